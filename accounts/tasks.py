"""Tasks of the ground floor: take nothing, call the act, log counts. The rows say what is due."""

from __future__ import annotations

from collections import Counter

import structlog
from celery import shared_task

from accounts import expiring, visits, webhooks
from accounts.safeguards import outbox
from accounts.safeguards.models import Heartbeat

log = structlog.get_logger(__name__)

# Rounds of fifty: refused sign-ins by the thousand do not keep mails waiting.
ROUNDS = 20


@shared_task(name="accounts.tasks.relay")  # type: ignore[untyped-decorator]
def relay() -> None:
    """Carry out what waits in the outbox, until it is empty or others had no turn for long."""
    total: Counter[str] = Counter()
    for _round in range(ROUNDS):
        counts = outbox.relay(but=[webhooks.KIND])
        total.update(counts)
        if not counts["sent"]:
            break
    if total.total():
        log.info("outbox relayed", **total)


@shared_task(name="accounts.tasks.send_webhooks")  # type: ignore[untyped-decorator]
def send_webhooks() -> None:
    """Send the webhooks that are due, apart from the mails: a receiver can take its time."""
    counts = webhooks.send_due()
    if sum(counts.values()):
        log.info("webhooks sent", **counts)


@shared_task(name="accounts.tasks.beat")  # type: ignore[untyped-decorator]
def beat() -> None:
    """Note that a worker took a message, for the health page, and delete what ended by its own clock."""
    Heartbeat.beat("worker")
    expired = expiring.expire()
    if expired:
        log.info("expired", rows=expired)


@shared_task(name="accounts.tasks.store_visits")  # type: ignore[untyped-decorator]
def store_visits() -> None:
    """Store the page visits that wait."""
    if stored := visits.store():
        log.info("page visits stored", rows=stored)
