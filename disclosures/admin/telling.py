"""Silence and notices on the page of a legal request: orders, their end, telling, and what came of a challenge."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from accounts.admin_base import Act, asking
from accounts.models import User
from disclosures import informing, silencing
from disclosures.models import LegalDocument, LegalNotice, NoticeChallenge, Silence
from retention.admin.fields import MomentField

ENDED = "This request has ended; that stays."


class OrderForm(forms.Form):
    """An order of silence, as its instrument says."""

    ground = forms.ChoiceField(label="What commands it", choices=Silence.Ground.choices, widget=forms.RadioSelect)
    document = forms.ChoiceField(label="The order itself", required=False)
    starts_at = MomentField(label="From")
    ends_at = MomentField(label="Until")
    review_by = MomentField(label="Look again by", help_text="Where the order names no end.")
    note = forms.CharField(label="Note", max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class OrderSilence(Act):
    """Record an order that the customer is not told, or its extension."""

    slug, label, permission = "order-silence", "Record an order of silence", silencing.SILENCE

    def hindrance(self, record: Any, user: User) -> str:
        return ENDED if record.closed_at else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer is not told while it stands. Nothing they can see changes.",
            "A subpoena or a letter to preserve alone orders no silence.",
            "You are asked before it ends. None recorded, the notice goes out on the first business day after.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = OrderForm(data, initial={"starts_at": timezone.now()})
        papers = LegalDocument.objects.filter(request=record).only("pk", "added_at", "sha256").order_by("added_at")
        choices = [("", "none: our own choice"), *((str(one.pk), f"{one.sha256[:12]}…") for one in papers)]
        form.fields["document"].choices = choices  # type: ignore[attr-defined]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        given |= {"document": given["document"] or None, "starts_at": given["starts_at"] or timezone.now()}
        silencing.order(record.pk, given.pop("ground"), by=user, **given)
        return "The order of silence is recorded."


class LiftSilence(Act):
    """Record that silence ended before its time."""

    slug, label, permission = "lift-silence", "Record the end of silence", silencing.SILENCE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if Silence.objects.filter(request=record, lifted_at=None).exists() else "No order of silence stands."

    def consequences(self, record: Any) -> list[str]:
        return ["Every order about this request is lifted.", "The customer is told on the next business day."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        for pk in Silence.objects.filter(request=record, lifted_at=None).values_list("pk", flat=True):
            silencing.lift(pk, by=user)
        return "Silence has ended."


class TellForm(forms.Form):
    """Why the customer has less time than usual, where that is so."""

    shortened_reason = forms.CharField(
        label="Why the time is short",
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Only where the request is due sooner and no later date was agreed. The notice says so.",
    )


class TellCustomer(Act):
    """Send the notices of a request that are owed."""

    slug, label, permission = "tell", "Tell the customer now", informing.TELL
    form_class = TellForm

    def hindrance(self, record: Any, user: User) -> str:
        if informing.is_silent(record.pk, timezone.now()):
            return "An order of silence stands. Record its end first."
        owed = LegalNotice.objects.filter(request=record, sent_at=None)
        return "" if owed.exists() else "Nobody is owed a notice."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The owners get a mail, and see the notice with a copy in the portal.",
            "Nothing is released before their time is over. They can challenge the request.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        reason = form.cleaned_data["shortened_reason"]
        owed = LegalNotice.objects.filter(request=record, sent_at=None).values_list("pk", flat=True)
        sent = [informing.send(pk, by=user, shortened_reason=reason) for pk in owed]
        return f"Notices sent: {len(sent)}."


class EndForm(forms.Form):
    """What the court said."""

    how = forms.ChoiceField(label="How it ended", choices=NoticeChallenge.Ending.choices, widget=forms.RadioSelect)


class EndChallenge(Act):
    """Record how the challenges of a request ended."""

    slug, label, permission = "end-challenge", "Record the end of a challenge", informing.TELL
    form_class = EndForm

    def hindrance(self, record: Any, user: User) -> str:
        return "" if _running(record).exists() else "No challenge runs."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer reads it on the page of the notice.",
            "A request that the court stopped releases nothing.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        for pk in _running(record).values_list("pk", flat=True):
            informing.end_challenge(pk, form.cleaned_data["how"], by=user)
        return "The end of the challenge is recorded."


def _running(record: Any) -> Any:
    notices = LegalNotice.objects.filter(request=record).values("pk")
    return NoticeChallenge.objects.filter(notice__in=notices, ended_at=None)


ACTS = (OrderSilence, LiftSilence, TellCustomer, EndChallenge)
