"""Consent: who may be given what for what, the words that were agreed to, and the proof of it (P20, P29)."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from accounts.datamap import Audience, Category, Held, Personal, Purpose, Reach
from accounts.keys.identifiers import reference
from accounts.models import MediaType, Restriction
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedBytes, SealedText
from disclosures.models.recipients import Recipient

# What a consent can never cover: how people sign in, what was given in confidence, what concerns a legal matter.
NEVER = (Category.CREDENTIALS, Category.CONFIDENTIAL, Category.LEGAL)
SHAREABLE = [category.value for category in Category if category not in NEVER]


class ConsentPurpose(models.TextChoices):
    """What a consent is for; sharing and marketing stand apart."""

    SHARING = "sharing", "sharing with a partner"
    MARKETING = "marketing", "news and offers from us"


class Channel(models.TextChoices):
    """How it was given or withdrawn."""

    PORTAL = "portal", "in the portal"
    API = "api", "by another system"
    STAFF = "staff", "told to our staff"
    SIGNAL = "gpc", "privacy signal of the browser"
    EXPIRY = "expiry", "its time was over"
    OPT_OUT = "opt_out", "an opt-out or objection"


def _reference() -> str:
    return reference("CON")


class ConsentQuerySet(models.QuerySet["ConsentGrant"]):
    """Facts about many grants."""

    def live(self, at: dt.datetime) -> ConsentQuerySet:
        """Grants that stand at `at`: not withdrawn, not expired, and no opt-out of their purpose came after them."""
        return self.filter(~Exists(_opt_outs()), withdrawn_at=None, expires_at__gt=at)

    def ended_unnoted(self, at: dt.datetime) -> ConsentQuerySet:
        """Grants that ended by the clock or by an opt-out, and do not say so yet."""
        return self.filter(Q(expires_at__lte=at) | Exists(_opt_outs()), withdrawn_at=None)


def _opt_outs() -> models.QuerySet[Restriction]:
    """What stops the purpose of a grant since it was given."""
    about: Any = {"account": OuterRef("account"), "purpose": OuterRef("purpose"), "since__gte": OuterRef("given_at")}
    return Restriction.objects.filter(lifted_at=None, **about)


class ConsentGrant(OfAccount):
    """One consent. It is never changed, only withdrawn; another text or other categories are another grant."""

    reference = models.CharField(max_length=20, unique=True, default=_reference)
    submission = models.UUIDField(unique=True)
    purpose = models.CharField(max_length=10, choices=ConsentPurpose)
    # Empty for what we do ourselves.
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, null=True, related_name="+")
    categories = ArrayField(models.CharField(max_length=32))
    text_version = models.CharField(max_length=20)
    # SHA-256 of the words below, as they were shown.
    text_hash = models.BinaryField(max_length=32)
    text = SealedText(max_length=5000)
    channel = models.CharField(max_length=10, choices=Channel)
    # "user:<uuid>", or "staff:<uuid>" who wrote down what they were told.
    given_by = models.CharField(max_length=60)
    ip = SealedText(max_length=45, null=True)
    evidence = SealedText(max_length=2000, null=True)
    evidence_name = SealedText(max_length=200, null=True)
    evidence_type = models.CharField(max_length=20, choices=MediaType, blank=True)
    evidence_file = SealedBytes(null=True)
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=60, blank=True)
    withdrawn_how = models.CharField(max_length=10, choices=Channel, blank=True)
    withdrawn_ip = SealedText(max_length=45, null=True)

    objects = ConsentQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.CONSENT,
        label="Consent",
        time="given_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={
            "text": Held("What you agreed to"),
            "ip": Held("IP address when given", required=False, reach=Reach.CONNECTIONS),
            "withdrawn_ip": Held("IP address when withdrawn", required=False, reach=Reach.CONNECTIONS),
            "evidence": Held("How you told us", required=False),
            "evidence_name": Held("File name of the evidence", required=False),
            "evidence_file": Held("Evidence", required=False, shown=frozenset({Audience.CUSTOMER, Audience.LEGAL})),
        },
        facts={"withdrawn_at": "Ended on", "withdrawn_how": "Ended how", "expires_at": "Holds until"},
        plain={
            "reference": "random",
            "categories": "category names",
            "text_version": "a date",
            "text_hash": "a hash of the words, which are sealed",
            "given_by": "an id",
            "withdrawn_by": "an id",
        },
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose="sharing", recipient__isnull=False) | Q(purpose="marketing", recipient=None),
                name="consent_sharing_has_a_recipient",
            ),
            models.CheckConstraint(
                condition=Q(categories__contained_by=SHAREABLE) & ~Q(categories=[]), name="consent_categories_are_known"
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("given_at")), name="consent_expires_after_it_is_given"),
            models.CheckConstraint(
                condition=~Q(channel="staff") | Q(evidence__isnull=False) | Q(evidence_file__isnull=False),
                name="consent_by_staff_has_evidence",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["portal", "api", "staff"]), name="consent_is_given_by_somebody"
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None, withdrawn_by="", withdrawn_how="")
                | (Q(withdrawn_at__isnull=False) & ~Q(withdrawn_by="") & ~Q(withdrawn_how="")),
                name="consent_withdrawn_has_time_and_person",
            ),
            models.UniqueConstraint(
                fields=["account", "purpose", "recipient"],
                condition=Q(withdrawn_at=None),
                nulls_distinct=False,
                name="consent_one_live_per_recipient",
            ),
        ]
        indexes = [
            # what ends by the clock
            models.Index(fields=["expires_at"], condition=Q(withdrawn_at=None), name="consent_by_expiry"),
        ]
        permissions = [("record_consent", "Can write down a consent or its withdrawal with the evidence")]
