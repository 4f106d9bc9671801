"""More time for a privacy request: once, with a reason the person is told (11 CCR 7021(b), GDPR Art. 12(3))."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import roles
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from retention import conversing, request_clocks, request_letters
from retention.models import PrivacyRequest
from retention.models.privacy import Right, Status


def extend(request_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> PrivacyRequest:
    """Move the due date once, tell the reason, and return the request.

    Raises ValidationError without a reason, PermissionDenied without the permission, NotActionable for a request that
    ended, was extended, is overdue, or is an opt-out.
    """
    at = at or timezone.now()
    if not reason.strip():
        raise ValidationError("Write why more time is needed. The person reads it.")
    refuse_card_number(reason)
    if not roles.may(by, "retention.extend_request"):
        raise PermissionDenied("Only the privacy officer extends a privacy request.")
    with keyring(), transaction.atomic(durable=True):
        request = conversing.locked(request_id)
        if hindrance := why_not(request, at):
            raise NotActionable(hindrance)
        was_due_at = request.expected_by
        request.expected_by = request_clocks.extended(request.regime, was_due_at)
        request.extended_at, request.extended_by, request.extension_reason = at, by.actor, reason.strip()
        request.save(update_fields=["expected_by", "extended_at", "extended_by", "extension_reason"])
        ledger.record(
            by.actor,
            "request.extended",
            conversing.subject_of(request),
            at=at,
            request=request.pk,
            was_due_at=was_due_at,
            expected_by=request.expected_by,
        )
        request_letters.extended(request, was_due_at, at)
    return request


def why_not(request: PrivacyRequest, at: dt.datetime) -> str:
    """Return why there is no more time for it, as a sentence; empty when there is."""
    if request.status not in {Status.OPEN, Status.IN_PROGRESS}:
        return f"Request {request.reference} is {request.get_status_display()}; it needs no more time."
    if request.extended_at is not None:
        return f"Request {request.reference} was extended once; the law allows no second time. Answer it."
    if request.right == Right.OPT_OUT:
        return f"Request {request.reference} is an opt-out; the law allows no extension. Answer it."
    if at >= request.expected_by:
        return f"Request {request.reference} is overdue; more time is told before the due date. Answer it now."
    return ""
