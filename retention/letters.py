"""What stands in the mails of a deletion: one function per mail, giving the context of its template.

The mails before the due date go to all owners, so they say what was asked and never who asked.

Each is true at the moment it is sent, whatever holds the account: none looks at a hold (silence.md, S5, S6).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.urls import reverse

from accounts.datamap import Category
from accounts.models import Account
from retention import schedule, waiting
from retention.models import DeletionRequest

Context = dict[str, Any]


def received(request: DeletionRequest, code: str) -> Context:
    """The request and its code; by when the customer hears whether it is finished."""
    return {
        **_always(request),
        "code": code,
        "requested_at": request.requested_at,
        "answer_by": request.due_at + schedule.span("not_finished"),
        "cancel_path": _path("delete_cancel", request),
        "begins_at": _later(request),
    }


def asked_soon(request: DeletionRequest) -> Context:
    """To the address before a recent change: until when nothing happens. Neither the code nor a way in."""
    return {**_always(request), "requested_at": request.requested_at, "begins_at": waiting.began_at(request)}


def due_soon(request: DeletionRequest, days: int) -> Context:
    """How long the request can still be cancelled."""
    return {
        **_always(request),
        "days": days,
        "cancel_path": _path("delete_cancel", request),
        "status_path": _path("delete_status", request),
    }


def not_finished(request: DeletionRequest) -> Context:
    """Nothing but the one text: no reason, no next date (S4)."""
    return _always(request)


def cancelled(request: DeletionRequest, at: dt.datetime) -> Context:
    """When the customer kept the account."""
    return {**_always(request), "cancelled_at": at}


def reopened(account: Account, at: dt.datetime) -> Context:
    """When an account that was closed without a request is open again."""
    return {"reference": account.number, "reopened_at": at}


def done(request: DeletionRequest, rows: int, kept: Iterable[tuple[str, dt.datetime]]) -> Context:
    """How many records went, and what the schedule keeps, as (category, until).

    Made with the deletion and sent after its verification: it names no moment of its own. One total, because
    numbers per category would tell how far a hold reached.
    """
    return {
        **_always(request),
        "requested_at": request.requested_at,
        "rows": rows,
        "kept": [{"label": Category(category).label, "until": until} for category, until in kept],
    }


def _always(request: DeletionRequest) -> Context:
    return {
        "reference": request.reference,
        "due_at": request.due_at,
        "find_path": reverse("retention:delete_find"),
    }


def _later(request: DeletionRequest) -> dt.datetime | None:
    """Return when the grace period begins, where that is not at once."""
    begins_at = waiting.began_at(request)
    return begins_at if begins_at > request.requested_at else None


def _path(name: str, request: DeletionRequest) -> str:
    return reverse(f"retention:{name}", args=[request.reference])
