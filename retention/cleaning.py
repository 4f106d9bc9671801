"""Cleaning up requests that ended, however they ended: their words go, a bare record stays for as long as the law asks.

The words of an answered request stay while it can be read and appealed, those of a withdrawn or expired one a few days
(schedule: "answered", "dropped"); pages show them no longer than that, whether or not they could go. A hold keeps what
it covers. Of somebody without an account the key goes too, in a later transaction; of an erased account everything at
once. The record itself goes with "request_records" (11 CCR 7101).
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.datamap import Category
from accounts.models import State
from accounts.safeguards import ledger, shredding
from accounts.safeguards.ledger import SYSTEM
from accounts.safeguards.models import DestructionOrder
from retention import conversing, request_clocks
from retention.models import Hold, PrivacyRequest, RequestMessage
from retention.models.privacy import FINAL, OWN_KEY

log = structlog.get_logger(__name__)

WORDS = (
    "name",
    "email",
    "email_digest",
    "details",
    "facts",
    "agent",
    "permission_name",
    "permission",
    "code_digest",
    "extension_reason",
    "decision",
)
PICKED = 500


def clean(at: dt.datetime | None = None) -> int:
    """Clean up what ended long enough ago, delete records past their time; return how many of both.

    Each in a transaction of its own: what fails for one is logged and tried again at the next round.
    """
    at = at or timezone.now()
    return sum(_clean(pk, at) for pk in _due(at)) + _delete_records(at)


def is_past(request: PrivacyRequest, at: dt.datetime) -> bool:
    """Return whether a request's words are shown to nobody any more, cleaned up or not (silence.md, S7)."""
    if request.cleaned_at is not None:
        return True
    return request.decided_at is not None and at >= request_clocks.cleaned_at(request.status, request.decided_at)


def _due(at: dt.datetime) -> list[UUID]:
    """Return what may be due, oldest first; the exact moment is asked under the lock."""
    ended = PrivacyRequest.objects.filter(status__in=FINAL, cleaned_at=None).select_related("account")
    rows = ended.defer("permission").order_by("decided_at", "pk")
    return [request.pk for request in rows.iterator() if _is_due(request, at)][:PICKED]


def _is_due(request: PrivacyRequest, at: dt.datetime) -> bool:
    return is_past(request, at) or (request.account is not None and request.account.state == State.ERASED)


def _clean(request_id: UUID, at: dt.datetime) -> int:
    try:
        with transaction.atomic(durable=True):
            request = conversing.locked(request_id)
            if request.cleaned_at is not None or not _is_due(request, at) or _is_held(request, at):
                return 0
            RequestMessage.objects.filter(request=request).delete()
            PrivacyRequest.objects.filter(pk=request.pk).update(**dict.fromkeys(WORDS), cleaned_at=at)
            if request.account_id is None:
                shredding.order({request.pk: [OWN_KEY]})
            ledger.record(SYSTEM, "request.cleaned", conversing.subject_of(request), at=at, request=request.pk)
            return 1
    except Exception as error:  # noqa: BLE001 - a row that stays locked: one person's
        log.warning("privacy request not cleaned up", request=str(request_id), error=type(error).__name__)
        return 0


def _is_held(request: PrivacyRequest, at: dt.datetime) -> bool:
    """Return whether an active hold covers the request; read in a new statement, after the account was locked.

    A hold for a period covers the whole conversation: whatever of it lies outside waits with the rest.
    """
    if request.account_id is None:
        return False
    category = Category.SUPPORT.value
    holds = Hold.objects.active(at).filter(account_id=request.account_id).exclude(already_gone__contains=[category])
    return holds.filter(Q(categories=[]) | Q(categories__contains=[category])).exists()


def _delete_records(at: dt.datetime) -> int:
    """Delete bare records past their time; one whose key is still to be destroyed waits for that."""
    waiting = DestructionOrder.objects.filter(subject=OuterRef("pk"), done_at=None)
    old = PrivacyRequest.objects.exclude(cleaned_at=None).filter(~Q(decided_at=None), ~Exists(waiting))
    ended = old.order_by("decided_at", "pk").values_list("pk", "decided_at")[:PICKED]
    done = [pk for pk, decided_at in ended if decided_at and at >= request_clocks.deleted_at(decided_at)]
    if done:
        with transaction.atomic(durable=True):
            PrivacyRequest.objects.filter(pk__in=done).delete()
            ledger.record(SYSTEM, "request.records-deleted", None, at=at, rows=len(done))
    return len(done)
