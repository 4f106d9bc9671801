"""Invoices in the admin: void one, record a payment that came another way."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from accounts import forgiving, paying
from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import Invoice, User
from accounts.page_forms import SentOnce
from accounts.safeguards.cards import refuse_card_number
from accounts.templatetags.portal_tags import moment, money


def amount(cents: int, currency: str) -> str:
    """Return an amount in cents as people write it."""
    return money(cents, currency)


class Void(Act):
    """Void an invoice."""

    slug, label, permission = "void", "Void this invoice", "accounts.void_invoice"

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Invoice.State.ISSUED:
            return ""
        return f"This invoice is {record.get_state_display()}; only an issued one can be voided."

    def consequences(self, record: Any) -> list[str]:
        total = amount(record.total_cents, record.currency)
        return [
            f"Invoice {record.number} over {total} is no longer owed.",
            "It no longer stops the deletion of the account.",
            "A void invoice stays void; issue a new one instead.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        invoice = forgiving.void(record.pk, by=user)
        return f"Invoice {invoice.number} is void."


class PaymentForm(SentOnce):
    """A payment that came another way than through the portal."""

    method = forms.CharField(
        label="How it was paid",
        max_length=60,
        help_text="For instance: bank transfer. The customer reads this on the invoice.",
        validators=[refuse_card_number],
    )
    reference = forms.CharField(
        label="Reference of the payment",
        max_length=120,
        required=False,
        help_text="As the bank gives it. No card numbers.",
        validators=[refuse_card_number],
    )


class RecordPayment(Act):
    """Record that what is open of an invoice was paid another way."""

    slug, label, permission = "record-payment", "Record a payment", "accounts.record_payment"
    form_class = PaymentForm

    def done_before(self, record: Any, data: Any) -> str:
        sent = SentOnce(data)
        known = sent.is_valid() and paying.is_recorded(record, sent.cleaned_data["submission"])
        return f"The payment of invoice {record.number} is recorded." if known else ""

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Invoice.State.ISSUED:
            return ""
        return f"This invoice is {record.get_state_display()}; only an issued one can be paid."

    def consequences(self, record: Any) -> list[str]:
        open_amount = amount(paying.balance_cents(record), record.currency)
        return [
            f"Invoice {record.number} is paid: {open_amount}, all that is open. Record only money that has arrived.",
            "It no longer stops the deletion of the account, which goes on by itself.",
            "A payment that is recorded stays recorded.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        data = form.cleaned_data
        paying.record(
            record.pk, by=user, method=data["method"], reference=data["reference"], submission=data["submission"]
        )
        return f"The payment of invoice {record.number} is recorded."


@admin.register(Invoice)
class InvoiceAdmin(RecordAdmin):
    """Invoices: read, record a payment, void."""

    acts = (RecordPayment, Void)
    list_display = ("number", "account", "state", "total", "issued_at", "due_at", "settled_at")
    list_filter = ("state",)
    list_select_related = ("account",)
    ordering = ("-issued_at",)

    @admin.display(description="total")
    def total(self, invoice: Invoice) -> str:
        return amount(invoice.total_cents, invoice.currency)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("State", record.get_state_display()),
            ("Total", self.total(record)),
            ("Open", amount(paying.balance_cents(record), record.currency)),
            ("Issued", moment(record.issued_at)),
            ("Due", moment(record.due_at)),
            ("Settled", moment(record.settled_at) or "not yet"),
        ]
        lines = [
            (eyes.on(line, "text"), line.quantity, amount(line.amount_cents, record.currency))
            for line in record.lines.order_by("created_at", "pk")
        ]
        payments = [
            (
                eyes.on(payment, "method"),
                amount(payment.amount_cents, record.currency),
                moment(payment.paid_at),
            )
            for payment in record.payments.order_by("paid_at", "pk")
        ]
        return [
            Section("Invoice", facts=[*facts, *eyes.facts(record)]),
            Section("Lines", head=("Text", "Quantity", "Amount"), rows=lines),
            Section("Payments", head=("Paid with", "Amount", "Paid"), rows=payments),
        ]
