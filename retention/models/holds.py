"""Holds: additive rows, never a boolean, never deleted. The database decides what covers and what may end (P24-P26).

`covers_until` and `released_at` are set by the hold's own trigger: a release needs two people, a passed end, or a
closed dispute or settled obligation behind it, and after two people released it the guard honours a cool-off.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import uuid7
from accounts.models import Account
from accounts.safeguards.fields import SealedText

# Credentials are outside holds: sign-in ends for everybody at the due date.
HOLDABLE = [category.value for category in Category if category is not Category.CREDENTIALS]


class HoldQuerySet(models.QuerySet["Hold"]):
    """Facts about many holds."""

    def active(self, at: dt.datetime | None = None) -> HoldQuerySet:
        """Holds that still cover what they cover: not released, or within the cool-off of their release."""
        return self.filter(Q(covers_until=None) | Q(covers_until__gt=at or timezone.now()))

    def unreleased(self) -> HoldQuerySet:
        """Holds nobody has released."""
        return self.filter(released_at=None)

    def for_what_is_owed(self) -> HoldQuerySet:
        """Unreleased holds of unpaid invoices and running terms; one with an end stands for an answer that is due."""
        return self.unreleased().filter(kind=Hold.Kind.AGREEMENT, ends_at=None)

    def to_review(self) -> HoldQuerySet:
        """Holds that somebody must look at from time to time: what takes two people to release, and is not released."""
        return self.unreleased().filter(kind__in=Hold.TWO_PEOPLE)

    def covering(self, category: str) -> HoldQuerySet:
        """Holds that cover `category`; no categories means everything but credentials."""
        if category == Category.CREDENTIALS:
            return self.none()
        return self.filter(Q(categories=[]) | Q(categories__contains=[category])).exclude(
            already_gone__contains=[category]
        )

    def told(self) -> HoldQuerySet:
        """Holds the customer was told of."""
        return self.exclude(told_at=None)

    def sealed(self) -> HoldQuerySet:
        """Holds the customer was not told of: nothing they can observe may tell."""
        return self.filter(told_at=None)


class Hold(models.Model):
    """What stops an erasure: of everything, of named categories, or of rows from a period."""

    class Kind(models.TextChoices):
        """Why; `review_by` and `ends_at` follow from it (retention.schedule)."""

        LEGAL = "legal", "legal hold"
        PRESERVATION = "preservation", "preservation request"
        PROVISIONAL = "provisional", "provisional hold"
        DISPUTE = "dispute", "payment dispute"
        AGREEMENT = "agreement", "unsatisfied agreement"
        OPERATIONS = "operations", "staff pause"

    # Kinds whose release takes two people.
    TWO_PEOPLE: ClassVar[frozenset[str]] = frozenset({Kind.LEGAL, Kind.PRESERVATION, Kind.PROVISIONAL})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    kind = models.CharField(max_length=12, choices=Kind)
    categories = ArrayField(models.CharField(max_length=32), default=list, blank=True)
    # Rows whose time lies in [period_from, period_to); empty means all.
    period_from = models.DateTimeField(null=True, blank=True)
    period_to = models.DateTimeField(null=True, blank=True)
    matter = SealedText(max_length=500, null=True, blank=True)
    # What stands behind it: a dispute, an invoice, a service.
    cause = models.UUIDField(null=True, blank=True)
    placed_by = models.CharField(max_length=60)
    placed_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    told_by = models.CharField(max_length=60, blank=True)
    told_how = models.CharField(max_length=20, blank=True)
    review_by = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=60, blank=True)
    # Set by the trigger only.
    covers_until = models.DateTimeField(null=True, editable=False)
    already_gone = ArrayField(models.CharField(max_length=32), default=list, editable=False)
    partly_gone = ArrayField(models.CharField(max_length=32), default=list, editable=False)

    objects = HoldQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Hold",
        time="placed_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"matter": Held("Matter", required=False, shown=STAFF_ONLY)},
        plain={
            "categories": "category names",
            "placed_by": "an id",
            "told_by": "an id",
            "told_how": "a fixed word",
            "released_by": "an id",
            "already_gone": "category names",
            "partly_gone": "category names",
        },
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(categories__contained_by=HOLDABLE), name="hold_categories_are_known"),
            models.CheckConstraint(
                condition=Q(told_at=None, told_by="") | (Q(told_at__isnull=False) & ~Q(told_by="")),
                name="hold_told_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=Q(period_from=None) | Q(period_to=None) | Q(period_to__gt=F("period_from")),
                name="hold_period_is_forward",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["legal", "preservation", "dispute", "agreement"]) | Q(ends_at__isnull=False),
                name="hold_provisional_and_operations_end",
            ),
            # One hold per open dispute and one per account for what is owed.
            models.UniqueConstraint(
                fields=["cause"], condition=Q(kind="dispute", released_at=None), name="hold_once_per_dispute"
            ),
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(kind="agreement", released_at=None, ends_at=None),
                name="hold_one_agreement_per_account",
            ),
            # An agreement with an end is a notice whose answer is due.
            models.UniqueConstraint(
                fields=["cause"],
                condition=Q(kind="agreement", released_at=None, ends_at__isnull=False),
                name="hold_once_per_notice",
            ),
        ]
        indexes = [
            # the guards and the purge: what covers these accounts now
            models.Index(fields=["account", "covers_until"], name="hold_by_account"),
            models.Index(fields=["ends_at"], condition=Q(released_at=None), name="hold_by_end"),
        ]
        permissions = [
            ("place_hold", "Can place a hold"),
            ("request_hold_release", "Can ask for the release of a hold"),
            ("approve_hold_release", "Can approve the release of a hold"),
            ("review_hold", "Can record a review of a hold"),
            ("tell_hold", "Can record that the customer was told of a hold"),
            ("view_sealed_hold", "Can see holds the customer was not told of"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """A matter is sealed under a key of its own: it outlives the account's."""
        return self.pk, Category.LEGAL.value


class HoldRelease(models.Model):
    """A legal hold's release: asked for by one person, approved by another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="releases")
    requested_by = models.UUIDField()
    requested_at = models.DateTimeField()
    reason = SealedText(max_length=1000)
    approved_by = models.UUIDField(null=True)
    approved_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Release of a hold",
        time="requested_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"reason": Held("Reason", shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("requested_by")), name="hold_release_takes_two_people"
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None, approved_at=None)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="hold_release_approval_has_its_time",
            ),
            models.UniqueConstraint(fields=["hold"], name="hold_release_once_per_hold"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with the matter of its hold."""
        return self.hold_id, Category.LEGAL.value


class ToldHold(models.Model):
    """The view of holds a customer was told of: the only one customer pages read (silence.md, S2)."""

    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, related_name="+")
    kind = models.CharField(max_length=12, choices=Hold.Kind)
    categories = ArrayField(models.CharField(max_length=32))
    cause = models.UUIDField(null=True)
    told_at = models.DateTimeField()
    review_by = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "retention_told_hold"

    def __str__(self) -> str:
        return str(self.pk)
