"""The outbox: effects outside the database are rows of the business transaction, carried out by a relay.

With Redis down at the commit a task sent directly is lost; a row is not. Claims use SKIP LOCKED and count the attempt
before the effect; a mail sent twice after a crash carries the same Message-ID.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.safeguards import shredding
from accounts.safeguards.models import Delivery, OutboxMessage

log = structlog.get_logger(__name__)

# An address in the outbox is gone after this long even if its mail could not be delivered (a named exception).
KEPT_FOR = dt.timedelta(days=7)
# A claim whose process died is taken up again after this long; doubled with each attempt, an hour at most.
FIRST_RETRY = dt.timedelta(seconds=30)
LAST_RETRY = dt.timedelta(hours=1)

# How the events of legal matters begin: staff who may not know of them see none of these rows (silence.md, S9).
SEALED = "sealed:"

Handler = Callable[[OutboxMessage], None]
Expired = Callable[[OutboxMessage, dt.datetime], None]
_handlers: dict[str, Handler] = {}
_sent_hooks: list[Callable[[UUID, dt.datetime], None]] = []
_expired_hooks: dict[str, Expired] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the handler of a kind of message; the handler may be called twice for one row."""

    def register(handler: Handler) -> Handler:
        _handlers[kind] = handler
        return handler

    return register


def when_sent(hook: Callable[[UUID, dt.datetime], None]) -> Callable[[UUID, dt.datetime], None]:
    """Register what is told the `copy` id and the time when a row was carried out, in that transaction."""
    _sent_hooks.append(hook)
    return hook


def when_expired(kind: str) -> Callable[[Expired], Expired]:
    """Register what is told the row and the time when one of this kind ended unsent, in that transaction."""

    def register(hook: Expired) -> Expired:
        _expired_hooks[kind] = hook
        return hook

    return register


def post(
    kind: str,
    event: str,
    content: dict[str, Any],
    *,
    subject: UUID | None = None,
    copy: UUID | None = None,
    at: dt.datetime | None = None,
) -> OutboxMessage | None:
    """Write one message in the caller's transaction; return None when this event has its row already."""
    if OutboxMessage.objects.filter(event=event).exists():
        return None
    at = at or timezone.now()
    return OutboxMessage.objects.create(
        kind=kind, event=event, content=content, subject=subject, copy=copy, created_at=at, due_at=at
    )


def release(events: Iterable[str], at: dt.datetime | None = None) -> int:
    """Let withheld messages go; return how many there were."""
    withheld = OutboxMessage.objects.filter(event__in=list(events), due_at=None)
    return withheld.update(due_at=at or timezone.now())


def relay(
    limit: int = 50, at: dt.datetime | None = None, *, only: Iterable[str] = (), but: Iterable[str] = ()
) -> dict[str, int]:
    """Carry out what is due, one claim at a time; return counts of sent, failed and expired.

    `only` and `but` name kinds: what may take long is carried out apart, so that mails do not wait behind it.
    """
    at = at or timezone.now()
    kinds = (tuple(only), tuple(but))
    counts = {"sent": 0, "failed": 0, "expired": _expire(at)}
    for _ in range(limit):
        message = _claim(at, *kinds)
        if message is None:
            break
        counts[_carry_out(message)] += 1
    return counts


def _claim(at: dt.datetime, only: tuple[str, ...] = (), but: tuple[str, ...] = ()) -> OutboxMessage | None:
    due = OutboxMessage.objects.due(at).exclude(kind__in=but)
    due = due.filter(kind__in=only) if only else due
    with transaction.atomic():
        message = due.order_by("due_at").select_for_update(skip_locked=True).first()
        if message is not None:
            message.attempts += 1
            message.retry_at = at + min(FIRST_RETRY * 2 ** min(message.attempts - 1, 10), LAST_RETRY)
            message.save(update_fields=["attempts", "retry_at"])
    return message


def _carry_out(message: OutboxMessage) -> str:
    try:
        with keyring():
            _handlers[message.kind](message)
    except KeyDestroyed:
        _end(message, Delivery.EXPIRED)
        return "expired"
    except Exception as error:  # noqa: BLE001 - whatever the outside world does, the row stays and is tried again
        log.warning("outbox message failed", message=str(message.id), kind=message.kind, error=type(error).__name__)
        OutboxMessage.objects.filter(pk=message.pk).update(last_error=type(error).__name__)
        return "failed"
    _end(message, Delivery.SENT)
    return "sent"


def _end(message: OutboxMessage, state: Delivery) -> None:
    now = timezone.now()
    with transaction.atomic():
        ended = OutboxMessage.objects.filter(pk=message.pk, state=Delivery.QUEUED).update(
            state=state, ended_at=now, content=None, last_error=""
        )
        if ended:
            shredding.order({message.pk: ["mail"]})
            if message.copy is not None and state == Delivery.SENT:
                for hook in _sent_hooks:
                    hook(message.copy, now)
            if state == Delivery.EXPIRED and message.kind in _expired_hooks:
                _expired_hooks[message.kind](message, now)


def _expire(at: dt.datetime) -> int:
    old = OutboxMessage.objects.filter(state=Delivery.QUEUED, due_at__lt=at - KEPT_FOR)
    expired = 0
    for message in old[:100]:
        _end(message, Delivery.EXPIRED)
        expired += 1
    return expired
