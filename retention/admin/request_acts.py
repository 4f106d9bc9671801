"""What staff do about a privacy request: take care of it, compare facts, write, extend, decide.

Each act shows the words and the conversation beside its form; who may is said by its permission.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin_base import Act, Eyes, Section
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from retention import conversing, deciding, extending, proving, request_clocks
from retention.admin.matching import matching_sections
from retention.admin.request_sections import conversation, due_text, words
from retention.models.privacy import Status

LONGEST = 5_000
ENDED = "This request has ended; that stays."


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
        help_text="Write no card numbers.",
    )


class ReasonForm(forms.Form):
    """Why more time is needed."""

    text = forms.CharField(
        label="Why more time is needed",
        max_length=1_000,
        widget=forms.Textarea(attrs={"rows": 4}),
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
            format_html("The answer is due on {} instead of {}; there is no second time.", until, due_text(record)),
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
