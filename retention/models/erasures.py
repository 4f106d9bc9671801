"""Erasures: the purge's queue and the truth about what is gone; beside them kept versions, limits and stop switches."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.datamap import Category, Ends, Personal, Purpose
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import uuid7
from accounts.models import Account


class Stage(models.TextChoices):
    """Due, gone (rows deleted), verified (counted zero); cancelled when the customer kept the account."""

    DUE = "due", "due"
    GONE = "gone", "rows deleted"
    VERIFIED = "verified", "verified"
    CANCELLED = "cancelled", "cancelled"


class ErasureQuerySet(models.QuerySet["Erasure"]):
    """Facts about many erasures."""

    def live(self) -> ErasureQuerySet:
        """Everything but what a cancelled request left behind."""
        return self.exclude(state=Stage.CANCELLED)

    def due(self, at: dt.datetime | None = None) -> ErasureQuerySet:
        """Erasures whose time has come."""
        return self.filter(state=Stage.DUE, due_at__lte=at or timezone.now())

    def at_closure(self) -> ErasureQuerySet:
        """What closing ends; the rest is kept longer for a named reason."""
        return self.filter(kept_for="")


class Erasure(models.Model):
    """One category of one closed account. Moves due -> gone -> verified; a trigger refuses every other way."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="erasures")
    category = models.CharField(max_length=32, choices=Category)
    state = models.CharField(max_length=10, choices=Stage, default=Stage.DUE)
    due_at = models.DateTimeField()
    # Why it is kept longer than the grace period ("" when closing ends it); a key of the schedule.
    kept_for = models.CharField(max_length=30, blank=True)
    # Set with the first rows that went: a hold placed halfway is told that a part is gone.
    rows_gone_at = models.DateTimeField(null=True)
    unreachable_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    counts: Any = models.JSONField(default=dict)
    # Of these, how many the customer could see when they went: the number the last mail tells (silence.md, S7).
    rows_shown = models.PositiveIntegerField(default=0, db_default=0)
    gone_xid = models.BigIntegerField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=80, blank=True)

    objects = ErasureQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Erasure",
        time="due_at",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={},
        plain={
            "kept_for": "a key of the schedule",
            "counts": "numbers per table",
            "last_error": "the name of an error",
        },
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=Stage.values), name="erasure_state_is_known"),
            models.CheckConstraint(
                condition=Q(state__in=["due", "cancelled"]) | Q(rows_gone_at__isnull=False, gone_xid__isnull=False),
                name="erasure_gone_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="verified") | Q(verified_at__gte=F("rows_gone_at"), unreachable_at__isnull=False),
                name="erasure_verified_is_gone_and_unreachable",
            ),
            models.UniqueConstraint(
                fields=["account", "category"],
                condition=~Q(state="cancelled"),
                name="erasure_once_per_account_category",
            ),
        ]
        indexes = [
            # the purge's pick
            models.Index(fields=["due_at"], condition=Q(state="due"), name="erasure_due"),
            # the verification's pick
            models.Index(fields=["rows_gone_at"], condition=Q(state="gone"), name="erasure_gone"),
        ]
        permissions = [
            ("preview_purge", "Can preview what a purge would erase"),
            ("pause_erasure", "Can pause an erasure for a named time"),
            ("retry_erasure", "Can retry a failing erasure"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class KeptVersion(models.Model):
    """A governed row as it was before an edit, kept because a hold covered it. Only a trigger writes here.

    The runtime role cannot read the table: the legal role reads through a function that writes the ledger entry.
    """

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(max_length=32)
    table_name = models.CharField(max_length=63)
    row = models.JSONField()
    kept_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Kept version",
        time="kept_at",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={},
        plain={
            "category": "a category name",
            "table_name": "a table name",
            "row": "the row with its sealed values, same key",
        },
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [models.Index(fields=["account", "category"], name="kept_version_by_account")]

    def __str__(self) -> str:
        return str(self.pk)


class Limit(models.Model):
    """A number the triggers go by, written by the owner role from the schedule; the runtime role reads only."""

    name = models.CharField(primary_key=True, max_length=40)
    seconds = models.BigIntegerField()

    def __str__(self) -> str:
        return self.name


class PurgeSwitch(models.Model):
    """A stop switch of the purge, for everything ("") or one category. Rows are additive: the newest one counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    category = models.CharField(max_length=32, blank=True)
    is_stopped = models.BooleanField()
    set_by = models.CharField(max_length=60)
    set_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["category", "-set_at"], name="purge_switch_newest")]
        verbose_name_plural = "purge switches"
        permissions = [("stop_purge", "Can stop and start the purge")]

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def stopped(cls) -> set[str]:
        """Return what is stopped: category names, "" for everything."""
        newest = cls.objects.order_by("category", "-set_at").distinct("category")
        return {switch.category for switch in newest if switch.is_stopped}
