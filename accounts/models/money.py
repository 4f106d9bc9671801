"""Payment methods as provider tokens (P4), and invoices with their lines and payments (P8)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Audience, Category, Held, Personal, Purpose, Reach
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedJSON, SealedText

# The parts of a billing address in the order in which they are written.
BILLED_TO = ("name", "company", "street", "city", "region", "postcode", "country")
INSIDE = frozenset({Audience.STAFF, Audience.LEGAL})


class PaymentMethod(OfAccount):
    """A token of the payment provider with brand, last four digits and expiry; never a card number."""

    provider = models.CharField(max_length=20)
    token = SealedText(max_length=120)
    brand = SealedText(max_length=30)
    last_four = SealedText(max_length=4)
    expiry = SealedText(max_length=7, null=True, blank=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.BILLING,
        label="Payment method",
        time="created_at",
        purposes=(Purpose.INVOICING, Purpose.FRAUD),
        source="your payment provider",
        fields={
            "token": Held("Provider's token", shown=INSIDE, reach=Reach.PAYMENT),
            "brand": Held("Brand", reach=Reach.PAYMENT),
            "last_four": Held("Last four digits", reach=Reach.PAYMENT),
            "expiry": Held("Expiry", required=False, reach=Reach.PAYMENT),
        },
        plain={"provider": "the name of a company"},
    )


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    """Facts about many invoices."""

    def unpaid(self) -> InvoiceQuerySet:
        """Issued and not settled: an unsatisfied agreement (P26)."""
        return self.filter(state=Invoice.State.ISSUED)


class Invoice(OfAccount):
    """An invoice with the legal name and address as they were, under the key of its own category."""

    class State(models.TextChoices):
        """Issued, then paid or void."""

        ISSUED = "issued", "issued"
        PAID = "paid", "paid"
        VOID = "void", "void"

    number = models.CharField(max_length=20, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.ISSUED)
    currency = models.CharField(max_length=3, default="USD")
    total_cents = models.BigIntegerField()
    billed_to = SealedJSON()
    order = models.UUIDField(null=True, blank=True)
    issued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = InvoiceQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.INVOICES,
        label="Invoice",
        time="issued_at",
        purposes=(Purpose.INVOICING, Purpose.LAW),
        source="made from your orders",
        fields={"billed_to": Held("Billed to", reach=Reach.ADDRESS)},
        plain={"number": "a random reference", "currency": "an ISO 4217 code"},
        facts={"total_cents": "Total in cents"},
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["issued", "paid", "void"]), name="invoice_state_is_known"),
            models.CheckConstraint(condition=Q(total_cents__gte=0), name="invoice_total_is_not_negative"),
            models.CheckConstraint(
                condition=Q(state="issued", settled_at=None) | (~Q(state="issued") & Q(settled_at__isnull=False)),
                name="invoice_settled_has_its_time",
            ),
        ]
        indexes = [
            # the obligation check of the purge
            models.Index(fields=["account"], condition=Q(state="issued"), name="invoice_unpaid"),
        ]
        permissions = [
            ("issue_invoice", "Can issue an invoice"),
            ("void_invoice", "Can void an invoice"),
            ("record_payment", "Can record a payment that came another way"),
        ]

    def __str__(self) -> str:
        return self.number


class InvoiceLine(OfAccount):
    """One line of an invoice; the service it bills may end earlier, hence no constraint to it."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    service = models.UUIDField(null=True, blank=True)
    text = SealedText(max_length=300)
    quantity = models.PositiveIntegerField(default=1)
    unit_cents = models.BigIntegerField()
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.INVOICES,
        label="Invoice line",
        time="created_at",
        purposes=(Purpose.INVOICING, Purpose.LAW),
        source="made from your orders",
        fields={"text": Held("Text", reach=Reach.SERVICE)},
        facts={"unit_cents": "Price of one in cents"},
    )

    @property
    def amount_cents(self) -> int:
        """Quantity times unit price, in cents."""
        return self.quantity * self.unit_cents


class Payment(OfAccount):
    """A payment of an invoice; `reference` is the provider's."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    amount_cents = models.BigIntegerField()
    method = SealedText(max_length=60)
    reference = SealedText(max_length=120, null=True, blank=True)
    paid_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.INVOICES,
        label="Payment",
        time="paid_at",
        purposes=(Purpose.INVOICING, Purpose.LAW),
        source="your payment provider",
        fields={
            "method": Held("Paid with", reach=Reach.PAYMENT),
            "reference": Held("Provider's reference", required=False, shown=INSIDE, reach=Reach.PAYMENT),
        },
        facts={"amount_cents": "Amount in cents"},
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_cents__gt=0), name="payment_is_positive")]
