"""Contacts of an account with their addresses (P2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText
from accounts.safeguards.finding import digest, normalised


class ContactQuerySet(models.QuerySet["Contact"]):
    """Facts about many contacts."""

    def owners(self, account_ids: Iterable[UUID]) -> ContactQuerySet:
        """The owner of each of these accounts: whom the company writes to; none once removed or erased."""
        return self.filter(account_id__in=list(account_ids), role=Contact.Role.OWNER, removed_at=None)


class Contact(OfAccount):
    """Whom the company writes to. Removed by the customer means `removed_at`; a daily sweep deletes it."""

    class Role(models.TextChoices):
        """What the contact is for."""

        OWNER = "owner", "owner"
        BILLING = "billing", "billing"
        TECHNICAL = "technical", "technical"
        ABUSE = "abuse", "abuse"

    role = models.CharField(max_length=10, choices=Role, default=Role.OWNER)
    name = SealedText(max_length=200)
    company = SealedText(max_length=200, null=True, blank=True)
    email = SealedText(max_length=254)
    # Staff find a customer by it after sign-in has ended; the same address may stand in many contacts.
    email_digest = models.BinaryField(max_length=32, null=True, editable=False)
    phone = SealedText(max_length=20, null=True, blank=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = ContactQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.CONTACT,
        label="Contact",
        time="created_at",
        purposes=(Purpose.SERVICES, Purpose.INVOICING, Purpose.SUPPORT),
        source="you",
        fields={
            "name": Held("Name", reach=Reach.NAME),
            "company": Held("Company", required=False, reach=Reach.NAME),
            "email": Held("E-mail", reach=Reach.NUMBER),
            "phone": Held("Telephone", required=False, reach=Reach.NUMBER),
        },
        plain={"email_digest": "a keyed hash of the address, one-way"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(role="owner", removed_at=None), name="contact_one_owner_per_account"
            ),
        ]
        indexes = [
            # finding a customer by address
            models.Index(fields=["email_digest"], name="contact_by_email"),
        ]

    def save(self, *args: Any, **given: Any) -> None:
        """Save it, with the blind index of its address."""
        fields = given.get("update_fields")
        if fields is None or "email" in fields:
            self.email_digest = address_digest(self.email)
            given["update_fields"] = None if fields is None else {*fields, "email_digest"}
        super().save(*args, **given)


def address_digest(email: str) -> bytes:
    """Return the blind index of a contact's address, under a key of its own: it links to no sign-in name."""
    return digest("contact", normalised("email", email))


class BillingProfile(OfAccount):
    """How an account is billed: as a person or a company, in which currency, with which registered numbers."""

    class Kind(models.TextChoices):
        """Who is billed."""

        INDIVIDUAL = "individual", "individual"
        COMPANY = "company", "company"

    kind = models.CharField(max_length=10, choices=Kind, default=Kind.INDIVIDUAL)
    currency = models.CharField(max_length=3, default="USD")
    tax_number = SealedText(max_length=40, null=True, blank=True)
    company_number = SealedText(max_length=40, null=True, blank=True)
    referred_by = SealedText(max_length=200, null=True, blank=True)
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.BILLING,
        label="Billing profile",
        time="created_at",
        purposes=(Purpose.INVOICING,),
        source="you",
        fields={
            "tax_number": Held("Tax number", required=False, reach=Reach.RECORD),
            "company_number": Held("Company number", required=False, reach=Reach.RECORD),
            "referred_by": Held("Referred by", required=False, reach=Reach.RECORD),
        },
        plain={"currency": "an ISO 4217 code"},
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account"], name="billing_profile_one_per_account")]


class EmailChange(OfAccount):
    """A change of an e-mail address, confirmed at the old and at the new one before it counts (P2, P21).

    `contact` is whose address changes, `user` whose sign-in name, either or both. Codes are single use and hashed.
    """

    user = models.UUIDField(null=True)
    contact = models.UUIDField(null=True)
    old_email = SealedText(max_length=254)
    new_email = SealedText(max_length=254)
    old_digest = models.BinaryField(max_length=32)
    new_digest = models.BinaryField(max_length=32)
    tries = models.PositiveSmallIntegerField(default=0)
    asked_by = models.UUIDField()
    asked_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    old_confirmed_at = models.DateTimeField(null=True)
    new_confirmed_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CONTACT,
        label="Change of an e-mail address",
        time="asked_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={
            "old_email": Held("Old e-mail", reach=Reach.NUMBER),
            "new_email": Held("New e-mail", reach=Reach.RECORD),
        },
        plain={"old_digest": "a hash of random bytes", "new_digest": "a hash of random bytes"},
        facts={
            "tries": "Times wrong codes were typed",
            "ends_at": "Codes work until",
            "old_confirmed_at": "Confirmed at the old address",
            "new_confirmed_at": "Confirmed at the new address",
            "done_at": "Address changed",
            "withdrawn_at": "Stopped",
        },
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(done_at=None) | Q(old_confirmed_at__isnull=False, new_confirmed_at__isnull=False),
                name="email_change_is_confirmed_at_both",
            ),
            models.CheckConstraint(condition=Q(done_at=None) | Q(withdrawn_at=None), name="email_change_ends_one_way"),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | Q(contact__isnull=False), name="email_change_changes_something"
            ),
        ]


class Address(OfAccount):
    """A postal or billing address of a contact."""

    class Kind(models.TextChoices):
        """What the address is for."""

        BILLING = "billing", "billing"
        POSTAL = "postal", "postal"

    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="addresses")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.BILLING)
    street = SealedText(max_length=300)
    city = SealedText(max_length=120)
    region = SealedText(max_length=120, null=True, blank=True)
    postcode = SealedText(max_length=20, null=True, blank=True)
    country = SealedText(max_length=2)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CONTACT,
        label="Address",
        time="created_at",
        purposes=(Purpose.INVOICING,),
        source="you",
        fields={
            "street": Held("Street", reach=Reach.ADDRESS),
            "city": Held("City", reach=Reach.ADDRESS),
            "region": Held("State or region", required=False, reach=Reach.ADDRESS),
            "postcode": Held("Postcode", required=False, reach=Reach.ADDRESS),
            "country": Held("Country", reach=Reach.ADDRESS),
        },
    )
