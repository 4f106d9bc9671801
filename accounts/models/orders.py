"""Orders as the shop places them, with what is noted to prevent fraud (P7, P8, P11)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.keys.identifiers import reference
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText


def _reference() -> str:
    return reference("ORD")


class OrderQuerySet(models.QuerySet["Order"]):
    """Facts about many orders."""

    def in_review(self) -> OrderQuerySet:
        """Orders that wait for somebody to accept or decline them."""
        return self.filter(state=Order.State.REVIEW)


class Order(OfAccount):
    """One order. A score over the threshold sends it to review; whoever decides is recorded with the reason."""

    class State(models.TextChoices):
        """In review, then accepted or declined; most are accepted at once."""

        REVIEW = "review", "in review"
        ACCEPTED = "accepted", "accepted"
        DECLINED = "declined", "declined"

    reference = models.CharField(max_length=20, unique=True, default=_reference)
    state = models.CharField(max_length=10, choices=State)
    currency = models.CharField(max_length=3, default="USD")
    total_cents = models.BigIntegerField()
    # Empty where scoring is restricted: somebody looks at the order instead.
    score = models.PositiveSmallIntegerField(null=True)
    # Names of the rules that gave points, with the points; the words stand beside the rules.
    reasons: Any = models.JSONField(default=dict)
    shop_reference = SealedText(max_length=120, null=True)
    shop_digest = models.BinaryField(max_length=32, null=True)
    placed_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=60, blank=True)
    decision_reason = SealedText(max_length=1000, null=True)

    objects = OrderQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.ORDERS,
        label="Order",
        time="placed_at",
        purposes=(Purpose.SERVICES, Purpose.FRAUD),
        source="you",
        fields={
            "shop_reference": Held("Reference of the shop", required=False, reach=Reach.RECORD),
            "decision_reason": Held("Reason of the decision", required=False, reach=Reach.RECORD),
        },
        plain={
            "reference": "random",
            "currency": "an ISO 4217 code",
            "reasons": "names of rules with numbers",
            "shop_digest": "a keyed hash, one-way",
            "decided_by": "an id",
        },
        facts={"total_cents": "Total in cents", "score": "Points of the order check"},
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["review", "accepted", "declined"]), name="order_state_is_known"
            ),
            models.CheckConstraint(condition=Q(total_cents__gte=0), name="order_total_is_not_negative"),
            models.CheckConstraint(
                condition=Q(state="review", decided_at=None, decided_by="")
                | (~Q(state="review") & Q(decided_at__isnull=False) & ~Q(decided_by="")),
                name="order_decided_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=~Q(state="declined") | Q(decision_reason__isnull=False), name="order_declined_has_its_reason"
            ),
            models.UniqueConstraint(
                fields=["shop_digest"], condition=Q(shop_digest__isnull=False), name="order_once_per_shop_reference"
            ),
        ]
        indexes = [
            # the review queue
            models.Index(fields=["placed_at"], condition=Q(state="review"), name="order_in_review"),
            models.Index(fields=["account", "placed_at"], name="order_by_account"),
        ]
        permissions = [("decide_order", "Can accept or decline an order in review")]

    def __str__(self) -> str:
        return self.reference


class OrderLine(OfAccount):
    """One line of an order."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    plan = models.CharField(max_length=40)
    text = SealedText(max_length=300)
    quantity = models.PositiveIntegerField(default=1)
    unit_cents = models.BigIntegerField()
    placed_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.ORDERS,
        label="Order line",
        time="placed_at",
        purposes=(Purpose.SERVICES,),
        source="you",
        fields={"text": Held("Text", reach=Reach.SERVICE)},
        plain={"plan": "a product code"},
        facts={"unit_cents": "Price of one in cents"},
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(quantity__gt=0), name="order_line_has_a_quantity")]

    @property
    def amount_cents(self) -> int:
        """Quantity times unit price, in cents."""
        return self.quantity * self.unit_cents


class OrderSignals(OfAccount):
    """What an order was placed with, noted to prevent fraud (P7); ends earlier than the order itself."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="signals")
    ip = SealedText(max_length=45, null=True)
    user_agent = SealedText(max_length=400, null=True)
    browser = SealedText(max_length=60, null=True)
    system = SealedText(max_length=60, null=True)
    referrer = SealedText(max_length=500, null=True)
    noted_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.ORDERS,
        label="Order check",
        time="noted_at",
        purposes=(Purpose.FRAUD,),
        source="your browser",
        fields={
            "ip": Held("IP address", required=False, reach=Reach.CONNECTIONS),
            "user_agent": Held("User agent", required=False, reach=Reach.RECORD),
            "browser": Held("Browser type", required=False, reach=Reach.RECORD),
            "system": Held("Operating system", required=False, reach=Reach.RECORD),
            "referrer": Held("Referring page", required=False, reach=Reach.RECORD),
        },
        rolls="signals",
    )
