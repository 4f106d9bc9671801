"""How a privacy request ends: fulfilled or denied by staff, withdrawn by the person, expired by the clock.

One compare-and-set under the lock ends a request, so that of two decisions at once one counts and the other is told
so. What a request restricts stops in the same transaction that fulfils it, and in no other.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import restricting, roles
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import State, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from retention import conversing, request_letters, schedule
from retention.models import PrivacyRequest
from retention.models.privacy import Reason, Status
from retention.requesting import STOPPING

log = structlog.get_logger(__name__)

# DRP's reasons for a denial, and the one by which staff deny a part for what the law keeps (silence.md, S12): a legal
# hold is none of them, its reason is only for holds that were told.
DENIAL = (
    Reason.SUSPECTED_FRAUD,
    Reason.NOT_VERIFIED,
    Reason.NO_MATCH,
    Reason.NOT_COVERED,
    Reason.OUTSIDE,
    Reason.TOO_MANY,
    Reason.RETAINED_BY_LAW,
    Reason.OTHER,
)
PICKED = 200


def fulfil(request_id: UUID, *, by: User, answer: str, at: dt.datetime | None = None) -> PrivacyRequest:
    """End a verified request as fulfilled, stop the uses it names, tell the person, and return it.

    Raises ValidationError without an answer, PermissionDenied without the permission, NotActionable when it is not
    verified or has ended.
    """
    return _decide(request_id, by, Status.FULFILLED, "", answer, at)


def deny(request_id: UUID, *, by: User, reason: str, answer: str, at: dt.datetime | None = None) -> PrivacyRequest:
    """End a request as denied, with a reason of the list and an explanation in words, and return it.

    Raises ValidationError without either, PermissionDenied without the permission, NotActionable when it has ended.
    """
    if reason not in {each.value for each in DENIAL}:
        raise ValidationError("Choose the reason of the denial from the list.")
    return _decide(request_id, by, Status.DENIED, reason, answer, at)


def withdraw(request_id: UUID, *, by: User | None, at: dt.datetime | None = None) -> PrivacyRequest:
    """End a request by the wish of its person and return it; one that is withdrawn stays so.

    `by` is None for whoever gave reference and code. Raises PermissionDenied for strangers, NotActionable when it has
    ended otherwise.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        request = conversing.locked(request_id)
        is_own = request.account_id is None if by is None else by.account_id == request.account_id
        if not is_own or (by is not None and by.is_staff):
            raise PermissionDenied("Only the person who made a request can withdraw it.")
        if request.status == Status.REVOKED:
            return request
        _end(request, Status.REVOKED, conversing.actor_of(request, by), at)
        request_letters.withdrawn(request, at)
    return request


def expire(at: dt.datetime | None = None) -> int:
    """End what nobody proved to be theirs in time, and what an erased account left; return how many.

    Each in a transaction of its own: what fails for one is logged and tried again at the next round.
    """
    at = at or timezone.now()
    stale = Q(account=None, address_confirmed_at=None, received_at__lt=at - schedule.span("unverified"))
    late = PrivacyRequest.objects.open().filter(stale | Q(account__state=State.ERASED))
    return sum(_expire(pk, at) for pk in late.order_by("received_at", "pk").values_list("pk", flat=True)[:PICKED])


def _expire(request_id: UUID, at: dt.datetime) -> int:
    try:
        with transaction.atomic(durable=True):
            request = conversing.locked(request_id)
            is_erased = request.account is not None and request.account.state == State.ERASED
            is_open = request.status in {Status.OPEN, Status.IN_PROGRESS}
            # Read anew under the lock: the person may have given the code in this moment.
            if is_open and (is_erased or (request.account is None and request.address_confirmed_at is None)):
                _end(request, Status.EXPIRED, ledger.SYSTEM, at)
                return 1
    except Exception as error:  # noqa: BLE001 - a row that stays locked: one person's
        log.warning("privacy request not expired", request=str(request_id), error=type(error).__name__)
    return 0


def _decide(
    request_id: UUID, by: User, status: Status, reason: str, answer: str, at: dt.datetime | None
) -> PrivacyRequest:
    at = at or timezone.now()
    if not answer.strip():
        raise ValidationError("Write the answer. The person reads it.")
    refuse_card_number(answer)
    if not roles.may(by, "retention.decide_request"):
        raise PermissionDenied("Only the privacy officer decides a privacy request.")
    with keyring(), transaction.atomic(durable=True):
        request = conversing.locked(request_id)
        if hindrance := why_not(request, status):
            raise NotActionable(hindrance)
        _end(request, status, by.actor, at, reason=reason, decision=answer.strip())
        if status == Status.FULFILLED and request.account_id is not None and request.right in STOPPING:
            ground = STOPPING[request.right]
            restricting.place(
                request.account_id, request.purposes, ground=ground, by=by.actor, request=request.pk, at=at
            )
        request_letters.decided(request, at)
    return request


def why_not(request: PrivacyRequest, status: str) -> str:
    """Return why a request cannot end so, as a sentence; empty when it can."""
    if request.status not in {Status.OPEN, Status.IN_PROGRESS}:
        return f"Request {request.reference} is {request.get_status_display()}; that stays."
    if status == Status.FULFILLED and request.verified_at is None:
        return f"Request {request.reference} is not verified. Record the facts that match, or deny it."
    return ""


def _end(request: PrivacyRequest, status: Status, by: str, at: dt.datetime, **given: Any) -> None:
    """End the request if nobody has; the condition stands in the statement itself."""
    ended = PrivacyRequest.objects.open().filter(pk=request.pk)
    decision = given.pop("decision", None)
    if not ended.update(status=status, decided_at=at, decided_by=by, reason=given.get("reason", "")):
        raise NotActionable(f"Request {request.reference} has ended; that stays.")
    request.refresh_from_db(fields=["status", "decided_at", "decided_by", "reason"])
    if decision is not None:
        request.decision = decision
        request.save(update_fields=["decision"])
    ledger.record(by, f"request.{status.value}", conversing.subject_of(request), at=at, request=request.pk, **given)
