"""Business and confidential information: use-cases and documents a customer gave (P28-P30).

Two tables, because one table has one category: confidential information ends, opens and is held apart. The customer
may move an item to business, never staff.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Audience, Category, Held, Personal, Purpose, Reach
from accounts.models.account import OfAccount
from accounts.models.support import MediaType
from accounts.safeguards.fields import SealedBytes, SealedText


class GivenItem(OfAccount):
    """A note, or a document with its file."""

    class Source(models.TextChoices):
        """Who wrote it down."""

        CUSTOMER = "customer", "customer"
        STAFF = "staff", "staff"
        IMPORT = "import", "import"

    title = SealedText(max_length=200)
    text = SealedText(max_length=10_000, null=True, blank=True)
    file_name = SealedText(max_length=200, null=True)
    media_type = models.CharField(max_length=20, choices=MediaType, blank=True)
    size = models.PositiveIntegerField(default=0)
    content = SealedBytes(null=True)
    source = models.CharField(max_length=10, choices=Source)
    given_by = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta(OfAccount.Meta):
        abstract = True


class BusinessItem(GivenItem):
    """Business information: kept while the account is active, shared only with consent (P28, P29)."""

    personal: ClassVar[Personal] = Personal(
        category=Category.BUSINESS,
        label="Business information",
        time="created_at",
        purposes=(Purpose.SUPPORT, Purpose.SERVICES),
        source="you and our staff",
        fields={
            "title": Held("Title", reach=Reach.CONTENT),
            "text": Held("Text", required=False, reach=Reach.CONTENT),
            "file_name": Held("File name", required=False, reach=Reach.CONTENT),
            "content": Held("File", required=False, reach=Reach.CONTENT),
        },
    )

    class Meta:
        permissions = [("note_business", "Can note business information")]
        constraints = [
            models.CheckConstraint(
                condition=Q(text__isnull=False) | Q(content__isnull=False), name="business_item_holds_something"
            ),
        ]


class ConfidentialItem(GivenItem):
    """Confidential information: given to no third party, opened by staff only with a reason that is recorded (P30)."""

    personal: ClassVar[Personal] = Personal(
        category=Category.CONFIDENTIAL,
        label="Confidential information",
        time="created_at",
        purposes=(Purpose.SUPPORT, Purpose.SERVICES),
        source="you",
        fields={
            "title": Held("Title", shown=frozenset({Audience.CUSTOMER})),
            "text": Held("Text", required=False, shown=frozenset({Audience.CUSTOMER})),
            "file_name": Held("File name", required=False, shown=frozenset({Audience.CUSTOMER})),
            "content": Held("File", required=False, shown=frozenset({Audience.CUSTOMER})),
        },
    )

    class Meta:
        permissions = [("open_confidential", "Can open confidential information with a stated reason")]
        constraints = [
            models.CheckConstraint(
                condition=Q(text__isnull=False) | Q(content__isnull=False), name="confidential_item_holds_something"
            ),
            models.CheckConstraint(condition=Q(source="customer"), name="confidential_item_is_given_by_the_customer"),
        ]
