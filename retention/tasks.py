"""Celery tasks: they ring, the acts decide. No personal value in an argument; none takes one."""

from __future__ import annotations

from uuid import UUID

import structlog
from celery import shared_task
from celery.exceptions import CeleryError
from django.utils import timezone
from kombu.exceptions import KombuError

from accounts import assigning, exporting
from accounts.safeguards.models import Heartbeat
from retention import cleaning, deciding, purge, reminding, schedule, sweeping

log = structlog.get_logger(__name__)

# A million records take a minute; a worker that hangs for hours is ended, and the rows are taken up by another.
LONGEST_EXPORT = 4 * 3600


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
    """Delete what expired or was removed; end addresses of stopped services, requests nobody proved; clean up."""
    if ended := assigning.end_outlived():
        log.info("addresses ended", assignments=ended)
    if rows := sweeping.sweep():
        log.info("swept", rows=rows)
    expired, cleaned = deciding.expire(), cleaning.clean()
    if expired or cleaned:
        log.info("requests cleaned up", expired=expired, cleaned=cleaned)


@shared_task(time_limit=LONGEST_EXPORT)  # type: ignore[untyped-decorator]
def make_export(export_id: str) -> None:
    """Make one export, unless somebody makes it already."""
    cutoffs = schedule.cutoffs(timezone.now())
    ended = exporting.make(UUID(export_id), cutoffs=cutoffs, kept_for=schedule.span("export"))
    log.info("export", export=export_id, ended=ended)


def ring_export(export_id: UUID) -> None:
    """Tell a worker at once; when the queue is away, the next look at the rows finds it."""
    try:
        make_export.apply_async([str(export_id)], retry=False)
    except (CeleryError, KombuError, OSError):
        return


@shared_task  # type: ignore[untyped-decorator]
def tend_exports() -> None:
    """End copies whose time is over, and have made what nobody makes."""
    if ended := exporting.expire(listed_for=schedule.span("export")):
        log.info("exports ended", exports=ended)
    for export_id in exporting.forgotten():
        make_export.delay(str(export_id))
