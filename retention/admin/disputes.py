"""Payment disputes in the admin: open and close."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import account_link, amount
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from retention import dates, disputing
from retention.admin.fields import MomentField
from retention.models import Dispute


class DisputeForm(forms.Form):
    """A payment dispute as the processor reports it."""

    processor = forms.CharField(label="Payment processor", max_length=20, help_text="Its short name: stripe, paypal.")
    reference = forms.CharField(label="Processor's reference", max_length=120, help_text="No card numbers.")
    amount = forms.DecimalField(label="Amount", max_digits=12, decimal_places=2)
    currency = forms.RegexField(
        label="Currency", regex=r"^[A-Z]{3}$", initial="USD", help_text="Three capital letters, such as USD."
    )
    reason = forms.ChoiceField(label="Reason", choices=Dispute.Reason.choices, initial=Dispute.Reason.GENERAL)
    evidence_due_at = MomentField("Evidence due", validators=[dates.refuse_unlikely_evidence])

    def clean_processor(self) -> str:
        """Return the processor's code as the billing system writes it."""
        code: str = self.cleaned_data["processor"].lower()
        if not re.match(disputing.PROCESSOR, code):
            raise forms.ValidationError("Give the short name, such as stripe: letters, digits, - and _, no spaces.")
        return code

    def clean_amount(self) -> int:
        """Return the amount in cents."""
        cents = int(self.cleaned_data["amount"] * 100)
        if cents < 1:
            raise forms.ValidationError("Enter an amount of at least 0.01.")
        return cents


class OpenDispute(Act):
    """Record a dispute on an account."""

    slug, label, permission = "open-dispute", "Open a dispute", "retention.open_dispute"
    form_class = DisputeForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "While it is open, what is needed to settle it is not erased. The rest of a deletion goes on.",
            "The customer is told on their deletion page.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        data = form.cleaned_data
        disputing.open_dispute(
            record.pk,
            processor=data["processor"],
            reference=data["reference"],
            amount_cents=data["amount"],
            currency=data["currency"],
            reason=data["reason"],
            by=user.actor,
            evidence_due_at=data["evidence_due_at"],
        )
        return f"The dispute on account {record.number} is open; until it closes it holds what is needed to settle it."


class OutcomeForm(forms.Form):
    """How a dispute ended."""

    outcome = forms.ChoiceField(
        label="How it ended",
        widget=forms.RadioSelect,
        choices=[choice for choice in Dispute.State.choices if choice[0] != Dispute.State.OPEN],
    )


class CloseDispute(Act):
    """Close a dispute."""

    slug, label, permission = "close", "Close this dispute", "retention.close_dispute"
    form_class = OutcomeForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Dispute.State.OPEN:
            return ""
        return f"This dispute is {record.get_state_display()}; only an open one can be closed."

    def consequences(self, record: Any) -> list[str]:
        return ["Its hold ends, and a deletion that waited for it goes on.", "A closed dispute stays closed."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        dispute = disputing.close_dispute(record.pk, outcome=form.cleaned_data["outcome"], by=user.actor)
        return f"The dispute is {dispute.get_state_display()}."


class EvidenceDue(admin.SimpleListFilter):
    """Disputes whose evidence is due soon."""

    title, parameter_name = "evidence", "evidence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("soon", "Due within 3 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        if self.value() != "soon":
            return queryset
        last = timezone.now() + dt.timedelta(days=3)
        return queryset.filter(state=Dispute.State.OPEN, evidence_due_at__lt=last)


@admin.register(Dispute)
class DisputeAdmin(RecordAdmin):
    """Payment disputes: read, close."""

    acts = (CloseDispute,)
    list_display = ("id", "account", "processor", "sum", "reason", "state", "opened_at", "evidence_due_at")
    list_filter = (EvidenceDue, "state", "reason")
    list_select_related = ("account",)
    ordering = ("-opened_at",)

    def name_of(self, record: Any) -> str:
        return f"dispute at {record.processor} on account {record.account.number}"

    @admin.display(description="amount")
    def sum(self, dispute: Dispute) -> str:
        return amount(dispute.amount_cents, dispute.currency)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("Processor", record.processor),
            ("Amount", self.sum(record)),
            ("Reason", record.get_reason_display()),
            ("State", record.get_state_display()),
            ("Opened", moment(record.opened_at)),
            ("Opened by", eyes.who(record.opened_by)),
            ("Evidence due", moment(record.evidence_due_at) or "no date"),
            ("Closed", moment(record.closed_at) or "no"),
        ]
        return [Section("Dispute", facts=[*facts, *eyes.facts(record)])]
