"""Registered recipients: nothing leaves to anybody who is not one (P12-P16)."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import reference, uuid7
from accounts.safeguards.fields import SealedText


def _reference() -> str:
    return reference("REC")


class RecipientQuerySet(models.QuerySet["Recipient"]):
    """Facts about many recipients."""

    def open(self, at: dt.datetime) -> RecipientQuerySet:
        """Recipients that may be given something at `at`: not closed, and a partner's contract has not ended."""
        return self.filter(closed_at=None).filter(
            Q(contract_until=None) | Q(contract_until__gte=at.date()) | ~Q(kind=Recipient.Kind.PARTNER)
        )


class Recipient(models.Model):
    """Somebody outside who may be given something: a partner under contract, an authority, a court, a party.

    `name` is the public name of an organisation; a person's own name is sealed with the contact.
    """

    class Kind(models.TextChoices):
        """What it is; only an authority or a court is a government body (18 USC 2702(a)(3))."""

        PARTNER = "partner", "partner"
        AUTHORITY = "authority", "authority"
        COURT = "court", "court"
        PARTY = "party", "party to a case or its lawyer"
        COMPLAINANT = "complainant", "complainant"

    GOVERNMENT: ClassVar[frozenset[str]] = frozenset({Kind.AUTHORITY, Kind.COURT})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_reference)
    kind = models.CharField(max_length=12, choices=Kind)
    name = models.CharField(max_length=200)
    # ISO 3166-1 alpha-2, for the United States with the state: "US-IL".
    jurisdiction = models.CharField(max_length=10)
    contact_name = SealedText(max_length=200, null=True)
    # What a letter is checked against, never the address that stands in the letter itself.
    email = SealedText(max_length=254)
    phone = SealedText(max_length=40, null=True)
    postal = SealedText(max_length=500, null=True)
    # An age public key ("age1…"): files are encrypted for whoever holds its other half.
    age_key = models.CharField(max_length=80, blank=True)
    contract = models.CharField(max_length=60, blank=True)
    contract_until = models.DateField(null=True)
    # How it was made sure that the address is theirs: a directory, a call, a contract.
    verified_how = models.CharField(max_length=200)
    registered_by = models.UUIDField()
    registered_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    # Counts the changes, by its trigger: what was approved goes to the address and key that were on file then.
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = RecipientQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Registered recipient",
        time="registered_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={
            "contact_name": Held("Contact", required=False, shown=STAFF_ONLY),
            "email": Held("E-mail on file", shown=STAFF_ONLY),
            "phone": Held("Telephone on file", required=False, shown=STAFF_ONLY),
            "postal": Held("Postal address", required=False, shown=STAFF_ONLY),
        },
        plain={
            "reference": "random",
            "name": "the public name of an organisation",
            "jurisdiction": "a country or state code",
            "age_key": "a public key",
            "contract": "a contract number",
            "verified_how": "words about an organisation",
        },
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["partner", "authority", "court", "party", "complainant"]),
                name="recipient_kind_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind="partner") | ~Q(contract=""), name="recipient_partner_has_a_contract"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, closed_by=None) | Q(closed_at__isnull=False, closed_by__isnull=False),
                name="recipient_closed_has_time_and_person",
            ),
        ]
        permissions = [("register_recipient", "Can register, change and close a recipient")]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_government(self) -> bool:
        """Return whether it is a government body."""
        return self.kind in self.GOVERNMENT

    def key_place(self) -> tuple[UUID, str]:
        """A contact is sealed under the recipient's own key."""
        return self.pk, Category.LEGAL.value
