"""Orders in the admin (P11): the review queue, and the acts that accept or decline.

The room is registered by the room above (`retention.admin.orders`), which knows until when the signals may be shown.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from accounts import deciding, fraud
from accounts.admin.links import account_link
from accounts.admin.money import amount
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import Invoice, Order, OrderSignals, State, User
from accounts.templatetags.portal_tags import moment

EARLIER = 20


class DeclineForm(forms.Form):
    """Why an order is declined."""

    reason = forms.CharField(
        label="Reason",
        max_length=deciding.LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The customer can read it. Say what you could not confirm, and accuse nobody.",
    )


class Decide(Act):
    """Common part of both ways out of the review."""

    permission = "accounts.decide_order"

    def hindrance(self, record: Any, user: User) -> str:
        return deciding.hindrance(record)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [why(record), *self.room.signals(eyes, record), self.room.lines(eyes, record)]


class Accept(Decide):
    """Accept an order in review."""

    slug, label = "accept", "Accept this order"

    def consequences(self, record: Any) -> list[str]:
        return [
            f"The services of order {record.reference} start now.",
            f"An invoice over {amount(record.total_cents, record.currency)} is issued. The customer is told by mail.",
            "The order stays accepted.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Order {deciding.accept(record.pk, by=user).reference} is accepted."


class Decline(Decide):
    """Decline an order in review, with a reason."""

    slug, label = "decline", "Decline this order"
    form_class = DeclineForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "Nothing is set up and nothing is billed.",
            "The customer is told by mail that we cannot take the order, and reads your reason in the portal.",
            "The order stays declined; the customer can order again.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        order = deciding.decline(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"Order {order.reference} is declined."


def why(order: Order) -> Section:
    """Return the reasons of the score, in words."""
    if order.score is None:
        empty = "Not scored: the customer restricted this use of the data, so a person decides without a score."
        return Section("Why it was looked at", empty=empty, head=("Reason", "Points"))
    rows = [*fraud.in_words(order.reasons), ("Score", order.score), ("Threshold now", fraud.number("threshold"))]
    return Section("Why it was looked at", head=("Reason", "Points"), rows=rows)


class OrderRoom(RecordAdmin):
    """Orders: read, accept, decline."""

    acts = (Accept, Decline)
    list_display = ("reference", "account", "state", "score", "total", "waiting", "placed_at")
    list_filter = ("state",)
    list_select_related = ("account",)
    ordering = ("-placed_at",)

    def signals_since(self) -> dt.datetime:
        """Return since when signals are still kept at this moment, by the schedule (silence.md, S7)."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        found: QuerySet[Order] = super().get_queryset(request)
        return found.select_related("account")

    @admin.display(description="total")
    def total(self, order: Order) -> str:
        """Return what the order comes to."""
        return amount(order.total_cents, order.currency)

    @admin.display(description="waiting")
    def waiting(self, order: Order) -> str:
        """Return for how long it has been waiting for a decision."""
        if order.state != Order.State.REVIEW or order.account.state != State.ACTIVE:
            return "no"
        days = (timezone.now() - order.placed_at).days
        return f"{days} day{'' if days == 1 else 's'}"

    def lines(self, eyes: Eyes, order: Order) -> Section:
        """Return what was ordered."""
        rows = [
            (line.plan, eyes.on(line, "text"), line.quantity, amount(line.amount_cents, order.currency))
            for line in order.lines.order_by("placed_at", "pk")
        ]
        return Section("Lines", head=("Plan", "Text", "Quantity", "Amount"), rows=rows)

    def signals(self, eyes: Eyes, order: Order) -> list[Section]:
        """Return what the order was placed with, while the schedule keeps it."""
        kept = OrderSignals.objects.filter(order=order, noted_at__gte=self.signals_since()).first()
        facts = eyes.facts(kept) if kept else ()
        return [Section("Placed from", facts=facts, empty="No longer kept.")]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("State", record.get_state_display()),
            ("Total", self.total(record)),
            ("Placed", moment(record.placed_at)),
            ("Waiting", self.waiting(record)),
            ("Answer by", moment(fraud.answer_by(record.placed_at)) if record.state == Order.State.REVIEW else "none"),
            ("Decided", moment(record.decided_at) or "not yet"),
            ("Decided by", eyes.who(record.decided_by) or "nobody yet"),
        ]
        return [
            Section("Order", facts=[*facts, *eyes.facts(record)]),
            why(record),
            *self.signals(eyes, record),
            self.lines(eyes, record),
            self._invoices(record),
            self._others(record),
        ]

    def _invoices(self, order: Order) -> Section:
        found = Invoice.objects.filter(account_id=order.account_id, order=order.pk).order_by("issued_at", "pk")
        room: Any = self.admin_site.get_model_admin(Invoice)
        rows = [
            (
                format_html('<a href="{}">{}</a>', room.url_of(invoice), invoice.number),
                invoice.get_state_display(),
                amount(invoice.total_cents, invoice.currency),
            )
            for invoice in found
        ]
        return Section("Invoice", head=("Number", "State", "Total"), rows=rows)

    def _others(self, order: Order) -> Section:
        found = Order.objects.filter(account_id=order.account_id).exclude(pk=order.pk)
        rows = [
            (
                format_html('<a href="{}">{}</a>', self.url_of(other), other.reference),
                other.get_state_display(),
                self.total(other),
                moment(other.placed_at),
            )
            for other in found.order_by("-placed_at", "-pk")[:EARLIER]
        ]
        return Section(f"Other orders, the last {EARLIER}", head=("Reference", "State", "Total", "Placed"), rows=rows)
