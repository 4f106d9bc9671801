"""What customers agreed to, what they limited, and the copies they asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.datamap.declaring import NOBODY
from accounts.keys.identifiers import reference
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedBytes, SealedText


class Acceptance(OfAccount):
    """A user accepted one version of a legal text."""

    class Document(models.TextChoices):
        """The texts there are."""

        TERMS = "terms", "terms of service"
        ACCEPTABLE_USE = "acceptable-use", "acceptable use policy"
        PRIVACY = "privacy", "privacy notice"

    user = models.UUIDField()
    document = models.CharField(max_length=20, choices=Document)
    version = models.CharField(max_length=20)
    # SHA-256 of the text as it was shown: what was agreed to can be proved.
    text_hash = models.BinaryField(max_length=32)
    ip = SealedText(max_length=45, null=True)
    accepted_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.CONSENT,
        label="Accepted text",
        time="accepted_at",
        purposes=(Purpose.SERVICES, Purpose.LAW),
        source="you",
        fields={"ip": Held("IP address", required=False, reach=Reach.CONNECTIONS)},
        plain={"version": "a date", "text_hash": "a hash of a public text"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "document", "version"], name="acceptance_once_per_user_and_version")
        ]


class RestrictionQuerySet(models.QuerySet["Restriction"]):
    """Facts about many restrictions."""

    def standing(self, account_ids: Iterable[UUID], purpose: str) -> RestrictionQuerySet:
        """Restrictions of these accounts that stop `purpose` now."""
        return self.filter(account_id__in=list(account_ids), purpose=purpose, lifted_at=None)


class Restriction(OfAccount):
    """A use of the data that the customer restricted or objected to: whoever uses it for that looks here first."""

    class Ground(models.TextChoices):
        """The right that was used."""

        RESTRICTION = "restriction", "restriction"
        OBJECTION = "objection", "objection"
        OPT_OUT = "opt_out", "opt-out"

    purpose = models.CharField(max_length=10, choices=Purpose)
    ground = models.CharField(max_length=12, choices=Ground)
    # The privacy request behind it, if there is one.
    request = models.UUIDField(null=True)
    since = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)

    objects = RestrictionQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.CONSENT,
        label="Restricted use",
        time="since",
        purposes=(Purpose.LAW,),
        source="you",
        fields={},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "purpose"], condition=Q(lifted_at=None), name="restriction_once_per_purpose"
            )
        ]


def _export_reference() -> str:
    return reference("EXP")


class ExportQuerySet(models.QuerySet["Export"]):
    """Facts about many exports."""

    def underway(self) -> ExportQuerySet:
        """Exports that are being made or wait for it."""
        return self.filter(state__in=[Export.State.WAITING, Export.State.RUNNING])

    def downloadable(self, at: dt.datetime) -> ExportQuerySet:
        """Copies that can be downloaded at `at`."""
        return self.filter(state=Export.State.READY, expires_at__gt=at, removed_at=None)


class Export(OfAccount):
    """A copy of the account's data that its owner asked for. A copy is no record: no hold keeps it, it ends with the
    sign-in or after a few days, whichever is first.
    """

    class State(models.TextChoices):
        """Waiting, running, then ready or failed; ended when its time is over or it was deleted."""

        WAITING = "waiting", "waiting"
        RUNNING = "running", "being made"
        READY = "ready", "ready"
        FAILED = "failed", "failed"
        ENDED = "ended", "ended"

    reference = models.CharField(max_length=20, unique=True, default=_export_reference)
    user = models.UUIDField()
    submission = models.UUIDField(unique=True)
    categories = ArrayField(models.CharField(max_length=32))
    formats = ArrayField(models.CharField(max_length=10))
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField()
    # Whoever makes it says so again and again: a claim that is old is taken up by another worker.
    claimed_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    rows_total = models.PositiveBigIntegerField(default=0)
    rows_done = models.PositiveBigIntegerField(default=0)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    downloads = models.PositiveIntegerField(default=0)
    downloaded_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=80, blank=True)
    removed_at = models.DateTimeField(null=True)

    objects = ExportQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Export",
        time="asked_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={},
        plain={
            "reference": "random",
            "categories": "category names",
            "formats": "fixed words",
            "sha256": "a hash of a file with random salt of the ZIP's own entries",
            "last_error": "the name of an error",
        },
        shown=NOBODY,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(state__in=["waiting", "running"]), name="export_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(ready_at__isnull=False, expires_at__isnull=False),
                name="export_ready_has_its_times",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class ExportPart(OfAccount):
    """A piece of the file of an export, in order; pieces keep memory flat while it is written and while it is read."""

    export = models.ForeignKey(Export, on_delete=models.PROTECT, related_name="parts")
    number = models.PositiveIntegerField()
    content = SealedBytes(max_length=1024 * 1024)
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Piece of an export",
        time="created_at",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={"content": Held("Piece of the file", shown=NOBODY)},
        shown=NOBODY,
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="export_part_once")]
