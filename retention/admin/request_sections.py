"""What the record of a privacy request shows: its facts, the person's words, messages and notes, what happened.

Words past their time are shown to those alone who may know of sealed matters: that they are still there would tell of a
hold (silence.md, S7, S9).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import account_link
from accounts.admin_base import NONE, Eyes, Section
from accounts.models import User
from accounts.roles import may, sees_sealed
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment
from retention import cleaning, conversing, proving
from retention.models import PrivacyRequest

DAY = dt.timedelta(days=1)
SIGNED_IN = "not needed: signed in"
# Labels of the data map that speak to the person, as colleagues read them.
FOR_STAFF = {
    "details": "What they asked for",
    "agent": "Who acts for them",
    "extension_reason": "Why more time was needed",
}
# What happened, as the timeline says it.
EVENTS = {
    "request.received": "received",
    "request.address-proved": "address proved",
    "request.compared": "facts compared",
    "request.assigned": "assigned",
    "request.extended": "extended",
    "request.noted": "note written",
    "request.answered": "message written",
    "request.fulfilled": "fulfilled",
    "request.denied": "denied",
    "request.revoked": "withdrawn",
    "request.expired": "expired",
    "request.cleaned": "words removed",
    "use.restricted": "uses stopped",
}


def days_left(request: PrivacyRequest) -> str:
    """Return how many days are left until the answer is due, or that it is overdue."""
    if request.decided_at is not None:
        return "ended"
    left = (request.expected_by - timezone.now()) // DAY
    return f"{left} days" if left >= 0 else f"overdue by {-left} days"


def standing(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return the facts of a request."""
    account: Any = account_link(record) if record.account is not None else "no account"
    facts = [
        ("Reference", record.reference),
        ("Account", account),
        ("Right", record.get_right_display()),
        ("Law", record.get_regime_display()),
        ("Uses to stop", ", ".join(record.purposes) or NONE),
        ("Kinds of data", ", ".join(record.categories) or "all"),
        ("Status", record.get_status_display()),
        ("Reason", record.get_reason_display() or NONE),
        ("Received", moment(record.received_at)),
        ("Receipt confirmed", moment(record.confirmed_at) or format_html("due {}", moment(record.confirm_by))),
        ("Answer due", due_text(record)),
        ("Days left", days_left(record)),
        ("Address proved", _proved(record)),
        ("Verified", _when(eyes, record.verified_at, record.verified_by)),
        ("Facts that match", _matched(record)),
        ("Extended", _when(eyes, record.extended_at, record.extended_by)),
        ("Assigned to", eyes.who(record.assigned_to) if record.assigned_to else "nobody"),
        ("Ended", _when(eyes, record.decided_at, record.decided_by)),
    ]
    return Section("Request", facts=facts)


def words(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return the person's words, as this role may see them and as long as they are shown."""
    if is_hidden(eyes.user, record):
        return Section("Words", empty="The words of this request are not shown any more.")
    facts = [
        (FOR_STAFF.get(name, str(held.label)), eyes.on(record, name))
        for name, held in PrivacyRequest.personal.fields.items()
        if name not in {"permission", "facts"}
    ]
    if record.agent is not None and may(eyes.user, "retention.verify_request") and record.address_confirmed_at:
        link = format_html('<a href="{}">Download the signed permission</a>', "permission/")
        facts.append(("Signed permission", link))
    return Section("Words", facts=facts)


def conversation(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return messages and notes, oldest first."""
    if is_hidden(eyes.user, record):
        return Section("Messages and notes", empty="Not shown any more.")
    rows = [
        (
            "note" if message.is_internal else "staff" if message.is_from_staff else "the person",
            moment(message.created_at),
            eyes.on(message, "body"),
        )
        for message in record.messages.order_by("created_at", "pk")
    ]
    return Section("Messages and notes", head=("From", "When", "Text"), rows=rows)


def timeline(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return what happened to the request, as the ledger has it."""
    entries = LedgerEntry.objects.filter(
        subject=conversing.subject_of(record), action__in=EVENTS, body__contains=str(record.pk)
    ).order_by("at", "pk")
    rows = [(moment(entry.at), EVENTS[entry.action], _who(eyes, entry.actor)) for entry in entries]
    return Section("Timeline", head=("When", "What", "By"), rows=rows)


def is_hidden(user: User, record: PrivacyRequest) -> bool:
    """Return whether the words of a request are past their time for this user."""
    return cleaning.is_past(record, timezone.now()) and not sees_sealed(user)


def _who(eyes: Eyes, actor: str) -> str:
    if actor.startswith("request:"):
        return "the person"
    return "the proof of the address" if actor == proving.BY_ADDRESS else eyes.who(actor)


def _when(eyes: Eyes, at: dt.datetime | None, by: str) -> Any:
    return format_html("{} by {}", moment(at), _who(eyes, by)) if at else "no"


def _proved(record: PrivacyRequest) -> Any:
    return SIGNED_IN if record.account_id else moment(record.address_confirmed_at) or "no"


def _matched(record: PrivacyRequest) -> str:
    if record.account_id:
        return SIGNED_IN
    return f"{record.facts_matched} of {proving.needed(record.right)} needed"


def due_text(record: PrivacyRequest) -> Any:
    """Return when the answer is due."""
    return moment(record.expected_by)
