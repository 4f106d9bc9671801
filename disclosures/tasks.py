"""Celery tasks of what leaves the company: they ring, the acts decide. No personal value in an argument."""

from __future__ import annotations

import structlog
from celery import shared_task

from disclosures import consenting, transparency

log = structlog.get_logger(__name__)


@shared_task  # type: ignore[untyped-decorator]
def end_consents() -> None:
    """Note which consents ended by their time or by an opt-out, and mail the receipts."""
    ended = consenting.end_due()
    if ended:
        log.info("consents ended", grants=ended)


@shared_task  # type: ignore[untyped-decorator]
def issue_figures() -> None:
    """Issue the half-yearly figures that are due, and again those that changed."""
    issued = transparency.issue_due()
    if issued:
        log.info("figures issued", tables=issued)
