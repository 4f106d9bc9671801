"""Tasks of the ground floor: take nothing, call the act, log counts. The rows say what is due."""

from __future__ import annotations

import structlog
from celery import shared_task

from accounts import expiring
from accounts.safeguards import outbox
from accounts.safeguards.models import Heartbeat

log = structlog.get_logger(__name__)


@shared_task(name="accounts.tasks.relay")  # type: ignore[untyped-decorator]
def relay() -> None:
    """Carry out what waits in the outbox."""
    counts = outbox.relay()
    if any(counts.values()):
        log.info("outbox relayed", **counts)


@shared_task(name="accounts.tasks.beat")  # type: ignore[untyped-decorator]
def beat() -> None:
    """Note that a worker took a message, for the health page, and delete what ended by its own clock."""
    Heartbeat.beat("worker")
    expired = expiring.expire()
    if expired:
        log.info("expired", rows=expired)
