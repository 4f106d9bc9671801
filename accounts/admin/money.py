"""Invoices in the admin: issue one, void one, record a payment that came another way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin

from accounts import forgiving, invoicing, paying
from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import Invoice, State, User
from accounts.page_forms import SentOnce
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
    )
    reference = forms.CharField(
        label="Reference of the payment",
        max_length=120,
        required=False,
        help_text="As the bank gives it. No card numbers.",
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


LINES = 4
LARGEST_PRICE = Decimal(invoicing.LARGEST) / 100


class InvoiceForm(SentOnce):
    """What to bill: up to four lines, the first of which is needed."""

    currency = forms.RegexField(
        r"^[A-Z]{3}\Z", label="Currency", max_length=3, initial="USD", help_text="Three capital letters, such as USD."
    )
    due_days = forms.IntegerField(
        label="Days until it is due", min_value=0, max_value=invoicing.LONGEST_DUE_DAYS, initial=invoicing.DUE_DAYS
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a line of which a part is missing."""
        for line in range(2, LINES + 1):
            text, price = self.cleaned_data.get(f"text_{line}"), self.cleaned_data.get(f"price_{line}")
            if bool(text) != (price is not None) and f"price_{line}" not in self.errors:
                self.add_error(
                    f"price_{line}" if text else f"text_{line}", "Give this line a text and a price, or none."
                )
        return self.cleaned_data

    @property
    def lines(self) -> list[invoicing.BilledLine]:
        """The lines that were filled in; prices in cents."""
        data = self.cleaned_data
        return [
            invoicing.BilledLine(data[f"text_{n}"], int(data[f"price_{n}"] * 100), data[f"quantity_{n}"] or 1)
            for n in range(1, LINES + 1)
            if data.get(f"text_{n}")
        ]


def _line_fields(number: int) -> dict[str, forms.Field]:
    is_first = number == 1
    return {
        f"text_{number}": forms.CharField(
            label=f"Line {number}: what is billed",
            max_length=invoicing.LONGEST_TEXT,
            required=is_first,
            help_text="The customer reads it on the invoice." if is_first else "",
        ),
        f"quantity_{number}": forms.IntegerField(
            label=f"Line {number}: quantity",
            min_value=1,
            max_value=invoicing.MOST_OF_ONE,
            initial=1,
            required=is_first,
        ),
        f"price_{number}": forms.DecimalField(
            label=f"Line {number}: price of one",
            min_value=0,
            max_value=LARGEST_PRICE,
            decimal_places=2,
            required=is_first,
        ),
    }


for _number in range(1, LINES + 1):
    InvoiceForm.base_fields |= _line_fields(_number)
InvoiceForm.field_order = [*(n for n in InvoiceForm.base_fields if n[-1].isdigit()), "currency", "due_days"]


class IssueInvoice(Act):
    """Issue an invoice to a customer; stands on the customer card."""

    slug, label, permission = "issue-invoice", "Issue an invoice", "accounts.issue_invoice"
    form_class = InvoiceForm

    def done_before(self, record: Any, data: Any) -> str:
        sent = SentOnce(data)
        known = Invoice.objects.filter(pk=sent.cleaned_data["submission"], account=record) if sent.is_valid() else None
        invoice = known.first() if known is not None else None
        return f"Invoice {invoice.number} is issued." if invoice else ""

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == State.ACTIVE:
            return ""
        return f"Account {record.number} is {record.get_state_display()}; nothing is billed to it any more."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer is told by mail and reads the invoice in the portal.",
            "It names the customer and the billing address as they are now, and keeps them so.",
            "Until it is paid or void, the account cannot be deleted entirely.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        unpaid = Invoice.objects.unpaid().filter(account=record).order_by("due_at", "pk")
        rows = [(each.number, amount(each.total_cents, each.currency), moment(each.due_at)) for each in unpaid]
        return [Section("Unpaid invoices", head=("Number", "Total", "Due"), rows=rows)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        assert isinstance(form, InvoiceForm)  # noqa: S101 - this act's own form
        data = form.cleaned_data
        invoice = invoicing.issue_invoice(
            record.pk,
            lines=form.lines,
            by=user.actor,
            currency=data["currency"],
            due_days=data["due_days"],
            submission=data["submission"],
        )
        return f"Invoice {invoice.number} over {amount(invoice.total_cents, invoice.currency)} is issued."


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
