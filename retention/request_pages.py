"""What the pages of privacy requests show, with and without a sign-in, in the words of their templates.

Nothing here looks at a hold: what is shown follows from the request and the clock (silence.md, S2, S7).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import restricting
from accounts.datamap import Category, Purpose
from retention import cleaning
from retention.models import PrivacyRequest
from retention.models.privacy import Right, Status

Row = dict[str, Any]

# Each right: what it is called, and what happens with it, in the customer's words.
RIGHTS: dict[str, tuple[Any, Any]] = {
    Right.ACCESS: (_("Get a copy of your data"), _("You get what we hold about you, and where it came from.")),
    Right.PORTABILITY: (_("Take your data elsewhere"), _("You get your data in a form that other programs read.")),
    Right.RECTIFICATION: (_("Correct something"), _("We mend what is wrong and what you cannot mend yourself.")),
    Right.RESTRICTION: (_("Restrict a use"), _("We go on keeping your data but stop a use you name.")),
    Right.OBJECTION: (_("Object to a use"), _("We stop a use of your data that you object to.")),
    Right.OPT_OUT: (_("Opt out of sharing"), _("We share and use nothing about you beyond your services.")),
    Right.DELETION: (_("Delete your data"), _("We delete everything the law lets us delete.")),
    Right.COMPLAINT: (_("Complain"), _("Tell us what went wrong with your data. We look into it and answer.")),
}
STATES: dict[str, Any] = {
    Status.OPEN: _("Waits for your code"),
    Status.IN_PROGRESS: _("We work on it"),
    Status.FULFILLED: _("Done"),
    Status.DENIED: _("Denied"),
    Status.REVOKED: _("Withdrawn"),
    Status.EXPIRED: _("Expired"),
}
REASONS: dict[str, Any] = {
    "suspected_fraud": _("We think that somebody else made this request."),
    "insuf_verification": _("We could not verify that it was you."),
    "no_match": _("We found nothing that matches what you gave."),
    "claim_not_covered": _("The law does not give this right here."),
    "outside_jurisdiction": _("The law you named does not apply to you."),
    "too_many_requests": _("You asked for the same too often."),
    "retained_by_law": _("The law requires us to keep it."),
    "other": _("Our answer says why."),
}


def title_of(request: PrivacyRequest) -> Any:
    """Return what a request is called."""
    return RIGHTS[request.right][0]


def state_of(request: PrivacyRequest) -> Any:
    """Return the state in the person's words; once the address is proved, nothing waits for the code."""
    if request.status == Status.OPEN and request.address_confirmed_at is not None:
        return _("We check what you gave")
    return STATES[request.status]


def choices(*, signed_in: bool) -> list[Row]:
    """Return every right with the page that asks for it; an owner's deletion has pages of its own."""
    rows = []
    for right, (label, text) in RIGHTS.items():
        if signed_in and right == Right.DELETION:
            url = reverse("retention:delete_start")
        else:
            url = reverse("retention:request_ask" if signed_in else "retention:ask_for", args=[right])
        rows.append({"label": label, "text": text, "url": url})
    return rows


def listed(request: PrivacyRequest) -> Row:
    """Return one line of the list of requests."""
    return {
        "reference": request.reference,
        "title": title_of(request),
        "state": state_of(request),
        "is_open": request.decided_at is None,
        "received_at": request.received_at,
        "expected_by": request.expected_by,
        "decided_at": request.decided_at,
    }


def shown(request: PrivacyRequest, at: dt.datetime | None = None) -> Row:
    """Return what the page of a request shows: facts, steps, answer, and messages as long as they are shown."""
    at = at or timezone.now()
    is_past = cleaning.is_past(request, at)
    posts = [] if is_past else list(request.messages.filter(is_internal=False).order_by("created_at", "pk"))
    return {
        **listed(request),
        "asked": request,
        "is_past": is_past,
        "details": "" if is_past else request.details or "",
        "answer": "" if is_past else request.decision or "",
        "extension_reason": "" if is_past else request.extension_reason or "",
        "reason": REASONS.get(request.reason, "") if request.status == Status.DENIED else "",
        "is_denied": request.status == Status.DENIED,
        "uses": [(Purpose(name).label, restricting.USES[Purpose(name)].stops) for name in request.purposes],
        "data": [Category(name).label for name in request.categories],
        "posts": posts,
        "export_url": export_url() if request.right in {Right.ACCESS, Right.PORTABILITY} else "",
    }


def standing(account_id: Any) -> list[Row]:
    """Return the uses that the customer stopped."""
    rows = restricting.standing(account_id)
    return [{"purpose": row.purpose, "label": Purpose(row.purpose).label, "since": row.since} for row in rows]


def export_url() -> str:
    """Return where a customer makes a copy of the data."""
    return reverse("retention:exports")
