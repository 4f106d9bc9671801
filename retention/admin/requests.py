"""Privacy requests in the admin: the queue by days left, the record with its timeline, and the acts on it.

What somebody without an account gave to be recognised by is shown beside what is held to whoever may verify it, and
only after the address was proved. Words past their time are shown to those alone who may know of sealed matters: that
they are still there would tell of a hold (silence.md, S7, S9).
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import account_link
from accounts.admin_base import NONE, Act, Eyes, RecordAdmin, Section, staff
from accounts.models import User
from accounts.roles import may, sees_sealed
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment
from retention import cleaning, conversing, deciding, extending, proving, request_clocks
from retention.admin.matching import matching_sections
from retention.models import PrivacyRequest
from retention.models.privacy import Status

DAY = dt.timedelta(days=1)
LONGEST = 5_000
ENDED = "This request has ended; that stays."
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


class RequestAct(Act):
    """What the acts on a privacy request have in common."""

    ends: str = ""

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [words(eyes, record), conversation(eyes, record)]

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.status in {Status.OPEN, Status.IN_PROGRESS} else ENDED


class AssignToMe(RequestAct):
    """Take care of a request."""

    slug, label, permission = "assign-to-me", "Assign to me", conversing.ANSWERS

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or ("This request is yours." if record.assigned_to == user.pk else "")

    def consequences(self, record: Any) -> list[str]:
        return ["The request stands among yours on the front page.", "The person is told nothing of it."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Request {conversing.assign(record.pk, by=user).reference} is yours."


class MatchForm(forms.Form):
    """How many facts match."""

    matched = forms.IntegerField(label="Facts that match", min_value=0, max_value=5)


class Verify(RequestAct):
    """Record how many facts match; enough of them verify the request."""

    slug, label, permission = "verify", "Verify identity", "retention.verify_request"
    form_class = MatchForm

    def hindrance(self, record: Any, user: User) -> str:
        return proving.why_not(record)

    def consequences(self, record: Any) -> list[str]:
        needed = proving.needed(record.right)
        found = [f"With {needed} or more matching facts the request is verified, and that stays."]
        if record.right in proving.HIGH and not proving.is_declared(record):
            found.append("The person signed no declaration: ask for it first, this request cannot be verified without.")
        return [*found, "With fewer it stays as it is: ask for more, or deny it."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [*matching_sections(eyes, record), *super().sections(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = proving.compare(record.pk, by=user, matched=form.cleaned_data["matched"])
        stands = (
            "is verified" if request.verified_at else f"is not verified: {proving.needed(request.right)} are needed"
        )
        return f"{request.facts_matched} facts match; request {request.reference} {stands}."


class TextForm(forms.Form):
    """Words the person or colleagues read."""

    text = forms.CharField(
        label="Your text",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 8}),
        validators=[refuse_card_number],
        help_text="Write no card numbers.",
    )


class ReasonForm(forms.Form):
    """Why more time is needed."""

    text = forms.CharField(
        label="Why more time is needed",
        max_length=1_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        validators=[refuse_card_number],
        help_text="The person reads it on the request's page. Write no card numbers.",
    )


class Extend(RequestAct):
    """Take more time, once."""

    slug, label, permission = "extend", "Extend the time", "retention.extend_request"
    form_class = ReasonForm

    def hindrance(self, record: Any, user: User) -> str:
        return extending.why_not(record, timezone.now())

    def consequences(self, record: Any) -> list[str]:
        until = moment(request_clocks.extended(record.regime, record.expected_by))
        return [
            format_html("The answer is due on {} instead of {}; there is no second time.", until, _due(record)),
            "The person is told by mail: the old and the new date, and where the reason stands.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = extending.extend(record.pk, by=user, reason=form.cleaned_data["text"])
        return f"Request {request.reference} is extended."


class Answer(RequestAct):
    """Write to the person."""

    slug, label, permission = "send-message", "Send a message", conversing.ANSWERS
    form_class = TextForm

    def consequences(self, record: Any) -> list[str]:
        return ["The person is told by mail, without a word of it, and reads it in the portal."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        conversing.write(record.pk, by=user, body=form.cleaned_data["text"])
        return f"Your message about {record.reference} is there to read."


class Note(RequestAct):
    """Write a note for colleagues."""

    slug, label, permission = "add-note", "Add a note", conversing.ANSWERS
    form_class = TextForm

    def consequences(self, record: Any) -> list[str]:
        return ["Only staff read it. It goes with the words of the request."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        conversing.note(record.pk, by=user, body=form.cleaned_data["text"])
        return f"Your note about {record.reference} is there for colleagues."


class FulfilForm(forms.Form):
    """The answer that goes with doing what was asked."""

    text = forms.CharField(
        label="Your answer",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 8}),
        validators=[refuse_card_number],
        initial="We did what you asked for.",
        help_text="The person reads it in the portal. Write no card numbers.",
    )


class Fulfil(RequestAct):
    """End a request as done."""

    slug, label, permission = "fulfil", "Mark as fulfilled", "retention.decide_request"
    form_class = FulfilForm

    def hindrance(self, record: Any, user: User) -> str:
        return deciding.why_not(record, Status.FULFILLED)

    def consequences(self, record: Any) -> list[str]:
        stops = [f"This use stops at once: {name}." for name in record.purposes if record.account_id]
        mail = "The person is told by mail that it is done, and reads your answer in the portal."
        return [*stops, mail, "A fulfilled request stays fulfilled."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = deciding.fulfil(record.pk, by=user, answer=form.cleaned_data["text"])
        return f"Request {request.reference} is fulfilled."


class DenyForm(forms.Form):
    """Why a request is denied, as a word of the list and in words."""

    reason = forms.ChoiceField(
        label="Reason", widget=forms.RadioSelect, choices=[(each.value, each.label) for each in deciding.DENIAL]
    )
    text = forms.CharField(
        label="Explanation",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 8}),
        validators=[refuse_card_number],
        help_text="The person reads it in the portal. Write no card numbers.",
    )


class Deny(RequestAct):
    """End a request as denied."""

    slug, label, permission = "deny", "Deny this request", "retention.decide_request"
    form_class = DenyForm

    def hindrance(self, record: Any, user: User) -> str:
        return deciding.why_not(record, Status.DENIED)

    def consequences(self, record: Any) -> list[str]:
        return [
            "The person is told by mail that it is denied, how to appeal and where to complain.",
            "They read the reason and your explanation in the portal. A denied request stays denied.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        request = deciding.deny(record.pk, by=user, reason=given["reason"], answer=given["text"])
        return f"Request {request.reference} is denied."


class Standing(admin.SimpleListFilter):
    """How a request stands with the clock and with its verification."""

    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("overdue", "Overdue"),
            ("soon", "Due within 7 days"),
            ("extended", "Extended"),
            ("verified", "Verified, not decided"),
            ("unverified", "To verify"),
            ("unproved", "Waits for the code"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PrivacyRequest]) -> QuerySet[PrivacyRequest]:
        now, is_open = timezone.now(), Q(decided_at=None)
        chosen = {
            "overdue": is_open & Q(expected_by__lt=now),
            "soon": is_open & Q(expected_by__gte=now, expected_by__lt=now + 7 * DAY),
            "extended": is_open & Q(extended_at__isnull=False),
            "verified": is_open & Q(verified_at__isnull=False),
            "unverified": is_open & Q(verified_at=None, address_confirmed_at__isnull=False),
            "unproved": is_open & Q(verified_at=None, address_confirmed_at=None),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class Whose(admin.SimpleListFilter):
    """Who of staff takes care of a request."""

    title, parameter_name = "whose", "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "Mine"), ("unassigned", "Unassigned")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PrivacyRequest]) -> QuerySet[PrivacyRequest]:
        if self.value() == "mine":
            return queryset.filter(assigned_to=staff(request).pk)
        return queryset.filter(assigned_to=None) if self.value() == "unassigned" else queryset


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(RecordAdmin):
    """Privacy requests: the queue, the record, the acts."""

    acts = (AssignToMe, Verify, Answer, Note, Extend, Fulfil, Deny)
    list_display = (
        "reference",
        "right",
        "regime",
        "is_verified",
        "received_at",
        "expected_by",
        "days_left",
        "status",
        "assigned_to",
    )
    list_filter = (Standing, Whose, "status", "right", "regime")
    # Open ones first (they have no such time, and nulls come first), by days left; then the latest to end.
    ordering = ("-decided_at", "expected_by", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PrivacyRequest]:
        """Return the requests; records past their time only for those who see sealed matters."""
        rows: QuerySet[PrivacyRequest] = super().get_queryset(request).select_related("account").defer("permission")
        if sees_sealed(staff(request)):
            return rows
        past = request_clocks.records_since(timezone.now())
        return rows.filter(Q(decided_at=None) | Q(decided_at__gt=past))

    def columns(self, eyes: Eyes) -> Any:
        return {"assigned_to": lambda request: eyes.who(request.assigned_to) if request.assigned_to else "nobody"}

    @admin.display(description="verified", boolean=True)
    def is_verified(self, request: PrivacyRequest) -> bool:
        return request.verified_at is not None

    @admin.display(description="days left", ordering="expected_by")
    def days_left(self, request: PrivacyRequest) -> str:
        return days_left(request)

    def subject_of(self, record: Any) -> Any:
        return conversing.subject_of(record)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [standing(eyes, record), words(eyes, record), conversation(eyes, record), timeline(eyes, record)]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = path("<uuid:object_id>/permission/", wrap(self.permission), name=self.url_name("permission"))
        return [own, *super().get_urls()]

    def permission(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Give the signed permission of an agent as a download, to whoever verifies, once the address is proved."""
        user = staff(request)
        if not may(user, "retention.verify_request"):
            raise PermissionDenied
        record = self.one(request, object_id)
        if record.permission is None or record.address_confirmed_at is None or _is_hidden(user, record):
            raise Http404
        name, content = str(record.permission_name), bytes(record.permission)
        ledger.record(user.actor, "viewed", self.subject_of(record), kind="retention.permission", object=record.pk)
        return HttpResponse(
            content,
            content_type="application/octet-stream",
            headers={
                # RFC 6266: a plain name for all, the true one encoded.
                "Content-Disposition": f"attachment; filename=\"permission\"; filename*=UTF-8''{quote(name, safe='')}",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            },
        )


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
        ("Answer due", _due(record)),
        ("Days left", days_left(record)),
        ("Address proved", _proved(record)),
        ("Verified", _when(eyes, record.verified_at, record.verified_by)),
        ("Facts that match", f"{record.facts_matched} of {proving.needed(record.right)} needed"),
        ("Extended", _when(eyes, record.extended_at, record.extended_by)),
        ("Assigned to", eyes.who(record.assigned_to) if record.assigned_to else "nobody"),
        ("Ended", _when(eyes, record.decided_at, record.decided_by)),
    ]
    return Section("Request", facts=facts)


def words(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return the person's words, as this role may see them and as long as they are shown."""
    if _is_hidden(eyes.user, record):
        return Section("Words", empty="The words of this request are not shown any more.")
    facts = [
        (str(held.label), eyes.on(record, name))
        for name, held in PrivacyRequest.personal.fields.items()
        if name not in {"permission", "facts"}
    ]
    if record.agent is not None and may(eyes.user, "retention.verify_request") and record.address_confirmed_at:
        link = format_html('<a href="{}">Download the signed permission</a>', "permission/")
        facts.append(("Signed permission", link))
    return Section("Words", facts=facts)


def conversation(eyes: Eyes, record: PrivacyRequest) -> Section:
    """Return messages and notes, oldest first."""
    if _is_hidden(eyes.user, record):
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


def _is_hidden(user: User, record: PrivacyRequest) -> bool:
    return cleaning.is_past(record, timezone.now()) and not sees_sealed(user)


def _who(eyes: Eyes, actor: str) -> str:
    if actor.startswith("request:"):
        return "the person"
    return "the proof of the address" if actor == proving.BY_ADDRESS else eyes.who(actor)


def _when(eyes: Eyes, at: dt.datetime | None, by: str) -> Any:
    return format_html("{} by {}", moment(at), _who(eyes, by)) if at else "no"


def _proved(record: PrivacyRequest) -> Any:
    return "not needed: signed in" if record.account_id else moment(record.address_confirmed_at) or "no"


def _due(record: PrivacyRequest) -> Any:
    return moment(record.expected_by)
