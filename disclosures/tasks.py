"""Celery tasks of what leaves the company: they ring, the acts decide. No personal value in an argument."""

from __future__ import annotations

import structlog
from celery import shared_task

from disclosures import (
    concluding,
    consenting,
    countering,
    destroying,
    documenting,
    enforcing,
    informing,
    legal_reminding,
    releasing,
    silencing,
    transparency,
)

log = structlog.get_logger(__name__)


@shared_task  # type: ignore[untyped-decorator]
def end_consents() -> None:
    """Note which consents ended by their time or by an opt-out, and mail the receipts."""
    ended = consenting.end_due()
    if ended:
        log.info("consents ended", grants=ended)


@shared_task  # type: ignore[untyped-decorator]
def lapse() -> None:
    """Let approvals expire whose day is over, and destroy the bytes of packets that are due."""
    lapsed, destroyed = releasing.lapse(), destroying.destroy_due()
    if lapsed or destroyed:
        log.info("disclosures lapsed", approvals=lapsed, packets=destroyed)


@shared_task  # type: ignore[untyped-decorator]
def issue_figures() -> None:
    """Issue the half-yearly figures that are due, and again those that changed."""
    issued = transparency.issue_due()
    if issued:
        log.info("figures issued", tables=issued)


@shared_task  # type: ignore[untyped-decorator]
def remind_of_requests() -> None:
    """Post the reminders of what is due."""
    if posted := legal_reminding.remind():
        log.info("reminded of what is due", posted=posted)


@shared_task  # type: ignore[untyped-decorator]
def scan_documents() -> None:
    """Look at the documents that waited for the scanner."""
    if settled := documenting.rescan():
        log.info("documents scanned", settled=settled)


@shared_task  # type: ignore[untyped-decorator]
def tell() -> None:
    """Send the notices that are owed, and ask about orders of silence that end."""
    sent, asked = informing.send_due(), silencing.remind()
    if sent or asked:
        log.info("told of legal requests", notices=sent, asked=asked)


@shared_task  # type: ignore[untyped-decorator]
def watch_notices() -> None:
    """Look after the notices of abuse: reminders, material, silence, put-back; and the end of old cases."""
    done = {word: count for word, count in enforcing.watch().items() if count}
    back, forgotten = countering.put_back_due(), concluding.forget()
    if done or back or forgotten:
        log.info(
            "notices looked after",
            put_back=back,
            forgotten=forgotten,
            **{w.replace(" ", "_"): n for w, n in done.items()},
        )
