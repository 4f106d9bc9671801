"""The customer's side of a notice of a legal request: the copy they got, and their challenge.

Both are the account's own data under its own keys. Customer pages read these and the view of what was told, never the
tables of the legal request (silence.md, S2).
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Audience, Category, Held, Personal, Purpose
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedBytes, SealedText
from disclosures.models.legal import MOST_DOCUMENT_BYTES


class NoticeCopy(OfAccount):
    """A document of a legal request as the customer got it with the notice; a download only."""

    # The id of the notice it came with.
    notice = models.UUIDField()
    name = SealedText(max_length=200)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = SealedBytes(max_length=MOST_DOCUMENT_BYTES)
    made_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.CORRESPONDENCE,
        label="Copy of a legal request",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="the authority",
        fields={
            "name": Held("File name"),
            "content": Held("File", shown=frozenset({Audience.CUSTOMER, Audience.LEGAL})),
        },
        plain={"media_type": "a type of file", "sha256": "a hash"},
    )

    class Meta:
        indexes = [models.Index(fields=["notice"], name="notice_copy_by_notice")]


class NoticeChallenge(OfAccount):
    """The customer challenges a request in court: while it runs, nothing of theirs is released for that request."""

    class Ending(models.TextChoices):
        """How it ended."""

        QUASHED = "quashed", "the court stopped the request"
        UPHELD = "upheld", "the court upheld the request"
        GIVEN_UP = "given_up", "you gave it up"

    notice = models.UUIDField(unique=True)
    text = SealedText(max_length=5000)
    made_by = models.UUIDField()
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.UUIDField(null=True)
    ended_how = models.CharField(max_length=10, choices=Ending, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CORRESPONDENCE,
        label="Challenge of a legal request",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={"text": Held("What you wrote")},
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None, ended_how="")
                | (Q(ended_at__isnull=False, ended_by__isnull=False) & ~Q(ended_how="")),
                name="notice_challenge_ends_once",
            ),
        ]
