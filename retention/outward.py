"""How a request reads outside: the six states and the reasons of the Data Rights Protocol, with nothing untold in them.

A deletion that is due and unfinished is in progress; a reason is given only where all reasons were told
(silence.md, S4, S12). That follows from `plans`, which reads the view of told holds alone.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from retention import plans, request_clocks
from retention.models import DeletionRequest, Hold, PrivacyRequest
from retention.models.privacy import Reason, Regime, Right, Status

Outward = dict[str, Any]
DELETION = {
    "waiting": Status.IN_PROGRESS.value,
    "unfinished": Status.IN_PROGRESS.value,
    "finished": Status.FULFILLED.value,
    "cancelled": Status.REVOKED.value,
}


def outward(request: PrivacyRequest | DeletionRequest, at: dt.datetime | None = None) -> Outward:
    """Return a request in DRP's words; moments are aware, the door writes them."""
    at = at or timezone.now()
    return _deletion(request, at) if isinstance(request, DeletionRequest) else _privacy(request, at)


def _privacy(request: PrivacyRequest, at: dt.datetime) -> Outward:
    is_final = request.decided_at is not None
    page = "retention:request" if request.account_id else "retention:ask_status"
    return _fields(
        request.pk,
        exercise=request.right,
        regime=request.regime,
        submitted_time=request.received_at,
        expected_by=request.expected_by,
        expires_at=request.code_ends_at if not is_final else None,
        processing_details=_details(request),
        status=request.status,
        reason=request.reason,
        results_url=_url(page, request.reference) if request.status == Status.FULFILLED else "",
    )


def _deletion(request: DeletionRequest, at: dt.datetime) -> Outward:
    progress = plans.progress(request, at)
    status = DELETION[progress.state]
    details = "Can be cancelled until the due date." if progress.state == "waiting" else ""
    return _fields(
        request.pk,
        exercise=Right.DELETION.value,
        regime=Regime.CCPA.value,
        submitted_time=request.requested_at,
        # The law's clock, not ours: the grace period lies within it.
        expected_by=request_clocks.expected_by(Right.DELETION, Regime.CCPA, request.requested_at),
        expires_at=None,
        processing_details=details,
        status=status,
        reason=_reason(progress.blockers) if progress.state == "unfinished" else "",
        results_url=_url("retention:delete_status", request.reference),
    )


def _reason(blockers: list[plans.Blocker]) -> str:
    """Return the reason of an unfinished deletion: none unless `plans` says that all of them were told."""
    kinds = {_kind(blocker) for blocker in blockers}
    for reason in (Reason.LEGAL_HOLD, Reason.PAYMENT_DISPUTE, Reason.OTHER):
        if reason in kinds:
            return reason.value
    return ""


def _kind(blocker: plans.Blocker) -> Reason:
    if blocker.kind == "dispute":
        return Reason.PAYMENT_DISPUTE
    if blocker.kind == "hold" and blocker.object.kind != Hold.Kind.OPERATIONS:
        return Reason.LEGAL_HOLD
    return Reason.OTHER


def _details(request: PrivacyRequest) -> str:
    if request.status == Status.OPEN and request.address_confirmed_at is None:
        return "Waits for the code that was mailed to the address."
    if request.status == Status.OPEN:
        return "We compare what you gave with what we hold."
    return "The time was extended once." if request.extended_at is not None and request.decided_at is None else ""


def _fields(request_id: UUID, *, submitted_time: dt.datetime, **given: Any) -> Outward:
    return {"request_id": str(request_id), "submitted_time": submitted_time, "received_at": submitted_time, **given}


def _url(name: str, reference: str) -> str:
    return f"{settings.PORTAL_ORIGIN}{reverse(name, args=[reference])}"
