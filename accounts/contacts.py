"""Contacts, their addresses, and how an account is billed: changed by the customer, at once (P2, P4).

Who may: owners everything, billing members the contacts with the billing role and the billing profile. Each act locks
the account, refuses a closed one, and leaves a ledger entry of ids. Removing sets `removed_at`, the same for
everybody; the sweep deletes. The owner contact is who the company writes to: it is changed, never removed, and its
e-mail address changes by `changing_email` alone, because whoever holds it can set a new password.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import members
from accounts.countries import clean_country
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, Address, BillingProfile, Contact, User
from accounts.phones import clean_phone
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email

Role = Contact.Role


@dataclass(frozen=True)
class Facts:
    """What is known of a contact; `email` counts for every role but the owner's, whose address has its own way."""

    name: str
    company: str | None = None
    email: str | None = None
    phone: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Place:
    """A postal or billing address; `country` is an ISO 3166-1 alpha-2 code."""

    kind: str
    street: str
    city: str
    country: str
    region: str | None = None
    postcode: str | None = None


@dataclass(frozen=True)
class Billing:
    """How the account is billed; `currency` is an ISO 4217 code."""

    kind: str
    currency: str
    tax_number: str | None = None
    company_number: str | None = None


def visible(user: User) -> QuerySet[Contact]:
    """Return the contacts this member may read and change: all for owners, the billing ones for billing members."""
    own = Contact.objects.filter(account=user.account_id, removed_at=None)
    if members.may_open(user, Part.CONTACTS):
        return own
    return own.filter(role=Role.BILLING) if members.may_open(user, Part.BILLING_CONTACTS) else own.none()


def country_of(contact: Contact) -> str | None:
    """Return the country of a contact's oldest address: what its telephone numbers are read by."""
    first = contact.addresses.filter(removed_at=None).order_by("created_at", "pk").first()
    return first.country if first else None


def add(account_id: UUID, *, by: User, facts: Facts, submission: UUID, at: dt.datetime | None = None) -> Contact:
    """Add a contact and return it; a repeated `submission` returns the first one."""
    at = at or timezone.now()
    clean = _clean(facts, None)
    with _locked(account_id, by, clean.get("role") or "") as account:
        known = Contact.objects.filter(pk=submission).first()
        if known is not None:
            _refuse_foreign(known, account)
            return known
        if clean["role"] == Role.OWNER:
            raise NotActionable(f"Account {account.number} has its owner contact already: change that one.")
        contact = Contact(pk=submission, account=account, created_at=at, **clean)
        contact.save(force_insert=True)
        ledger.record(by.actor, "contact.added", account.pk, contact=contact.pk, role=contact.role, at=at)
    return contact


def change(contact_id: UUID, *, by: User, facts: Facts, at: dt.datetime | None = None) -> Contact:
    """Change a contact and return it; the same facts again change nothing."""
    at = at or timezone.now()
    with _of(contact_id, by) as contact:
        clean = _clean(facts, country_of(contact))
        if contact.role == Role.OWNER:
            del clean["role"], clean["email"]
        elif clean["role"] == Role.OWNER:
            raise NotActionable("An account has one owner contact: change that one instead.")
        elif clean["role"] != contact.role:
            _refuse_role(by, contact.account, str(clean["role"]))
        changed = _set(contact, clean)
        if changed:
            ledger.record(by.actor, "contact.changed", contact.account_id, contact=contact.pk, fields=changed, at=at)
    return contact


def remove(contact_id: UUID, *, by: User, at: dt.datetime | None = None) -> Contact:
    """Remove a contact with its addresses; one that was removed stays so. The owner contact is refused."""
    at = at or timezone.now()
    with _of(contact_id, by, removed=True) as contact:
        if contact.role == Role.OWNER:
            raise NotActionable("The owner contact cannot be removed, because we write to it. Change it instead.")
        if contact.removed_at is None:
            contact.removed_at = at
            contact.save(update_fields=["removed_at"])
            contact.addresses.filter(removed_at=None).update(removed_at=at)
            ledger.record(by.actor, "contact.removed", contact.account_id, contact=contact.pk, at=at)
    return contact


def add_address(
    contact_id: UUID, *, by: User, place: Place, submission: UUID, at: dt.datetime | None = None
) -> Address:
    """Give a contact an address and return it; a repeated `submission` returns the first one."""
    at = at or timezone.now()
    clean = _clean_place(place)
    with _of(contact_id, by) as contact:
        known = Address.objects.filter(pk=submission).first()
        if known is not None:
            _refuse_foreign(known, contact.account)
            return known
        address = Address(pk=submission, account_id=contact.account_id, contact=contact, created_at=at, **clean)
        address.save(force_insert=True)
        facts = {"contact": contact.pk, "address": address.pk}
        ledger.record(by.actor, "address.added", contact.account_id, **facts, at=at)
    return address


def change_address(address_id: UUID, *, by: User, place: Place, at: dt.datetime | None = None) -> Address:
    """Change an address and return it."""
    at = at or timezone.now()
    clean = _clean_place(place)
    with _of(_contact_of(address_id), by) as contact:
        address = contact.addresses.get(pk=address_id, removed_at=None)
        changed = _set(address, clean)
        if changed:
            facts = {"contact": contact.pk, "address": address.pk, "fields": changed}
            ledger.record(by.actor, "address.changed", contact.account_id, **facts, at=at)
    return address


def remove_address(address_id: UUID, *, by: User, at: dt.datetime | None = None) -> Address:
    """Remove an address; one that was removed stays so."""
    at = at or timezone.now()
    with _of(_contact_of(address_id), by) as contact:
        address = contact.addresses.get(pk=address_id)
        if address.removed_at is None:
            address.removed_at = at
            address.save(update_fields=["removed_at"])
            facts = {"contact": contact.pk, "address": address.pk}
            ledger.record(by.actor, "address.removed", contact.account_id, **facts, at=at)
    return address


def set_billing(account_id: UUID, *, by: User, billing: Billing, at: dt.datetime | None = None) -> BillingProfile:
    """Set how the account is billed and return it; the first time makes it."""
    at = at or timezone.now()
    for text in (billing.tax_number, billing.company_number):
        refuse_card_number(text or "")
    clean: dict[str, Any] = {
        "kind": billing.kind,
        "currency": billing.currency,
        "tax_number": billing.tax_number or None,
        "company_number": billing.company_number or None,
    }
    with _locked(account_id, by, Role.BILLING) as account:
        profile = BillingProfile.objects.filter(account=account).first()
        if profile is None:
            profile = BillingProfile(account=account, created_at=at, **clean)
            profile.save(force_insert=True)
            changed = sorted(clean)
        else:
            changed = _set(profile, clean)
        if changed:
            ledger.record(by.actor, "billing.changed", account.pk, profile=profile.pk, fields=changed, at=at)
    return profile


@contextmanager
def _locked(account_id: UUID, by: User, role: str) -> Iterator[Account]:
    """Lock the account of an act on a contact with this role, and refuse who may not and what is closed."""
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        _refuse_role(by, account, role)
        members.refuse_closed(account)
        yield account


@contextmanager
def _of(contact_id: UUID, by: User, *, removed: bool = False) -> Iterator[Contact]:
    """Lock the account of a contact and return it as it is now; one that was removed is not there."""
    found = Contact.objects.only("account_id", "role").get(pk=contact_id)
    with _locked(found.account_id, by, found.role) as account:
        contact = Contact.objects.get(pk=contact_id)
        if contact.removed_at is not None and not removed:
            raise ObjectDoesNotExist
        # As it is now: it may have another role than before the lock.
        _refuse_role(by, account, contact.role)
        contact.account = account
        yield contact


def _refuse_role(by: User, account: Account, role: str) -> None:
    members.refuse_unless(by, account, Part.BILLING_CONTACTS if role == Role.BILLING else Part.CONTACTS)


def _refuse_foreign(row: Contact | Address, account: Account) -> None:
    if row.account_id != account.pk:
        raise PermissionDenied("This form was sent for another account.")


def _contact_of(address_id: UUID) -> UUID:
    return Address.objects.values_list("contact_id", flat=True).get(pk=address_id)


def _clean(facts: Facts, country: str | None) -> dict[str, Any]:
    for text in (facts.name, facts.company):
        refuse_card_number(text or "")
    return {
        "role": facts.role,
        "name": facts.name,
        "company": facts.company or None,
        "email": clean_email(facts.email) if facts.email else None,
        "phone": clean_phone(facts.phone, country),
    }


def _clean_place(place: Place) -> dict[str, Any]:
    for text in (place.street, place.city, place.region, place.postcode):
        refuse_card_number(text or "")
    return {
        "kind": place.kind,
        "street": place.street,
        "city": place.city,
        "region": place.region or None,
        "postcode": place.postcode or None,
        "country": clean_country(place.country),
    }


def _set(row: Contact | Address | BillingProfile, clean: dict[str, Any]) -> list[str]:
    """Write what differs; return the names of the fields that did."""
    changed = sorted(name for name, value in clean.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, clean[name])
    if changed:
        row.save(update_fields=changed)
    return changed
