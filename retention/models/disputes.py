"""Payment disputes: a pending one blocks, a window in which one could still come does not (P25)."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Ends, Held, Personal, Purpose, Reach
from accounts.keys.identifiers import uuid7
from accounts.models import Account
from accounts.safeguards.fields import SealedText


class Dispute(models.Model):
    """A chargeback or similar, opened by staff or by the billing system; its hold is placed in the same transaction."""

    class State(models.TextChoices):
        """Open, then one of three ends."""

        OPEN = "open", "open"
        WON = "won", "won"
        LOST = "lost", "lost"
        WITHDRAWN = "withdrawn", "withdrawn"

    class Reason(models.TextChoices):
        """The processor's reason, in its own words' families."""

        FRAUD = "fraudulent", "fraudulent"
        DUPLICATE = "duplicate", "duplicate"
        NOT_RECEIVED = "product_not_received", "product not received"
        UNACCEPTABLE = "product_unacceptable", "product unacceptable"
        CANCELED = "subscription_canceled", "subscription cancelled"
        GENERAL = "general", "general"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="disputes")
    processor = models.CharField(max_length=20)
    reference = SealedText(max_length=120)
    reference_digest = models.BinaryField(max_length=32)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="USD")
    reason = models.CharField(max_length=30, choices=Reason, default=Reason.GENERAL)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    opened_by = models.CharField(max_length=60)
    evidence_due_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=60, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.BILLING,
        label="Payment dispute",
        time="opened_at",
        purposes=(Purpose.INVOICING,),
        source="your payment provider",
        fields={
            "reference": Held("Processor's reference", reach=Reach.PAYMENT),
            "reference_digest": Held("Its blind index", shown=frozenset()),
        },
        plain={
            "processor": "the name of a company",
            "currency": "an ISO 4217 code",
            "opened_by": "an id",
            "closed_by": "an id",
        },
        ends=Ends.KEY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["open", "won", "lost", "withdrawn"]), name="dispute_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None, closed_by="")
                | (~Q(state="open") & Q(closed_at__isnull=False) & ~Q(closed_by="")),
                name="dispute_closed_has_time_and_person",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="dispute_amount_is_positive"),
            models.UniqueConstraint(
                fields=["processor", "reference_digest"], name="dispute_once_per_processor_reference"
            ),
        ]
        permissions = [("open_dispute", "Can open a payment dispute"), ("close_dispute", "Can close a payment dispute")]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """The processor's reference ends with the account's billing key."""
        return self.account_id, Category.BILLING.value
