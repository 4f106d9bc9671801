"""Celery tasks: they ring, the acts decide. No personal value in an argument; none takes one."""

from __future__ import annotations

import structlog
from celery import shared_task

from accounts.safeguards.models import Heartbeat
from retention import purge, reminding, sweeping

log = structlog.get_logger(__name__)


@shared_task  # type: ignore[untyped-decorator]
def ring() -> None:
    """Purge what is due."""
    tally = purge.ring()
    Heartbeat.beat("purge")
    if tally.accounts or tally.keys or tally.verified or tally.failed:
        log.info(
            "purge rang",
            accounts=tally.accounts,
            rows=tally.rows,
            keys=tally.keys,
            verified=tally.verified,
            failed=tally.failed,
        )


@shared_task  # type: ignore[untyped-decorator]
def remind() -> None:
    """Post the mails that run by the clock."""
    if posted := reminding.remind():
        log.info("reminded", posted=posted)


@shared_task  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Delete what expired or was removed."""
    if rows := sweeping.sweep():
        log.info("swept", rows=rows)
