"""Customers from a billing panel: who is new, who was imported before, and the rows that make a new one.

A register tells the panel's clients by a keyed hash of their id and outlives the account: the same row again changes
nothing, other data under a known id is refused, and a client whose account was erased is not made anew. Imported people
have no password until they ask for one, and nobody is written to. All functions run in the caller's transaction; keys
are made for a whole batch at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connection, models

from accounts import suspending
from accounts.datamap import Category
from accounts.keys.keyring import KeyDestroyed, Place, current
from accounts.models import (
    AccessEvent,
    Account,
    Address,
    BillingProfile,
    BusinessItem,
    Contact,
    ImportedClient,
    Person,
    SignInIdentifier,
    State,
    Suspension,
    User,
)
from accounts.models.contacts import address_digest
from accounts.panel_rows import Client, Fault
from accounts.safeguards import ledger
from accounts.safeguards.finding import derived_key, digest

Kind = SignInIdentifier.Kind
# Any number will do, as long as no other lock of the portal's has it.
LOCK = 0x1_1A9_0C11_E275
NOTE_TITLE = "Note from the former customer panel"

IN_USE = Fault("email", "is in use by another account")
OTHER_DATA = Fault("id", "was imported before with other data")
UNDER_WAY = Fault("id", "belongs to an account whose deletion is under way")


class Fate(StrEnum):
    """What became of a row."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Outcome:
    """What became of the row at `line`; `faults` are the fields left out, or the one reason of a refused row.

    `address_expired`: the address of the sign-up is older than such addresses are kept, and was left out.
    """

    line: int
    fate: Fate
    faults: tuple[Fault, ...] = ()
    address_expired: bool = False


@dataclass
class Seen:
    """The clients and addresses met so far in a run: what a file repeats is known before it is stored."""

    fingerprints: dict[bytes, str] = field(default_factory=dict)
    emails: set[bytes] = field(default_factory=set)


@dataclass(frozen=True)
class Made:
    """An account that was made, and the client it was made from."""

    account: Account
    client: Client


def one_at_a_time() -> None:
    """Wait until no other run is in its batch: two runs of one file then find each other's rows, and never deadlock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def client_digest(panel_id: str) -> bytes:
    """Return the keyed hash under which a client of the panel is registered."""
    return hmac.new(derived_key("imported clients"), panel_id.encode(), hashlib.sha256).digest()


def sort_out(clients: Sequence[Client], seen: Seen, rolling: dt.datetime) -> tuple[list[Client], list[Outcome]]:
    """Return the clients that are new, and what becomes of each; `rolling` is since when addresses are kept.

    `seen` grows by the new ones.
    """
    digests = {client.line: client_digest(client.panel_id) for client in clients}
    emails = {client.line: digest(Kind.EMAIL, client.email) for client in clients}
    known = {bytes(row.digest): row for row in _registered(digests.values())}
    taken = _signing_in(emails.values())
    fresh, outcomes = [], []
    for client in clients:
        own, email = digests[client.line], emails[client.line]
        fate, fault = _judge(client, known.get(own), seen.fingerprints.get(own))
        if fate == Fate.IMPORTED and (email in taken or email in seen.emails):
            fate, fault = Fate.REFUSED, IN_USE
        faults = (fault,) if fault else tuple(client.faults)
        if fate == Fate.IMPORTED:
            fresh.append(client)
            seen.fingerprints[own] = client.fingerprint
            seen.emails.add(email)
        outcomes.append(Outcome(client.line, fate, faults, fate != Fate.REFUSED and _is_expired(client, rolling)))
    return fresh, outcomes


def _judge(client: Client, row: ImportedClient | None, met: str | None) -> tuple[Fate, Fault | None]:
    if row is not None:
        if row.account.erased_at is not None:
            return Fate.REFUSED, Fault("id", f"deleted on {row.account.erased_at:%Y-%m-%d}")
        try:
            met = row.row
        except KeyDestroyed:
            return Fate.REFUSED, UNDER_WAY
    if met is None:
        return Fate.IMPORTED, None
    return (Fate.UNCHANGED, None) if met == client.fingerprint else (Fate.REFUSED, OTHER_DATA)


def _registered(digests: Iterable[bytes]) -> models.QuerySet[ImportedClient]:
    return ImportedClient.objects.filter(digest__in=list(digests)).select_related("account")


def _signing_in(digests: Iterable[bytes]) -> set[bytes]:
    names = SignInIdentifier.objects.filter(kind=Kind.EMAIL, signs_in=True, digest__in=list(digests))
    return {bytes(found) for found in names.values_list("digest", flat=True)}


def _is_expired(client: Client, rolling: dt.datetime) -> bool:
    """Return whether the sign-up and with it its address is too old to keep (S7); one without a date is."""
    return "ip" in client.values and (client.registered_at is None or client.registered_at < rolling)


def make(clients: Sequence[Client], *, at: dt.datetime, rolling: dt.datetime) -> list[Made]:
    """Write everything of these new clients, with a ledger entry for each account, in the caller's transaction."""
    batch = _Batch(at, rolling)
    made = [batch.add(client) for client in clients]
    batch.write()
    return made


class _Batch:
    """The unsaved rows of many new customers, by table, in the order in which they are written."""

    def __init__(self, at: dt.datetime, rolling: dt.datetime) -> None:
        self.at, self.rolling = at, rolling
        tables = (
            Account, User, Person, SignInIdentifier, Contact, Address, BillingProfile, BusinessItem, AccessEvent,
            Suspension, ImportedClient,
        )  # fmt: skip
        self.rows: dict[type[models.Model], list[Any]] = {table: [] for table in tables}
        self.facts: list[ledger.Fact] = []

    def add(self, client: Client) -> Made:
        """Take up one client."""
        account = Account(created_at=client.registered_at or self.at)
        user = User(account=account, is_owner=True, created_at=self.at, time_zone=client.value("timezone") or "")
        user.set_unusable_password()
        self._put(account, user, Person(account=account, user=user, name=client.name, created_at=self.at))
        for kind, value in ((Kind.EMAIL, client.email), (Kind.NUMBER, account.number)):
            name = SignInIdentifier.of(user, kind, value)
            name.created_at = self.at
            self._put(name)
        self._add_contacts(account, client)
        self._add_rest(account, user, client)
        row, own = client.fingerprint, client_digest(client.panel_id)
        self._put(ImportedClient(account=account, digest=own, row=row, imported_at=self.at))
        facts = {"user": user.pk, "status": client.status}
        self.facts.append(ledger.Fact(ledger.SYSTEM, "account.imported", account.pk, facts))
        return Made(account, client)

    def _put(self, *rows: models.Model) -> None:
        for row in rows:
            self.rows[type(row)].append(row)

    def _add_contacts(self, account: Account, client: Client) -> None:
        owner = self._contact(account, client, Contact.Role.OWNER, client.email)
        owner.company, owner.phone = client.value("company"), client.phone
        self._put(owner)
        billing = client.value("billing_email")
        if billing and billing.casefold() != client.email.casefold():
            self._put(self._contact(account, client, Contact.Role.BILLING, billing))
        where = {name: client.value(name) for name in ("street", "city", "country", "state", "postcode")}
        if any(where.values()):
            address = Address(account=account, contact=owner, created_at=self.at)
            address.street, address.city = where["street"] or "", where["city"] or ""
            # A country that could not be taken is one the customer is asked for; the rest of the address is kept.
            address.region, address.postcode, address.country = (
                where["state"],
                where["postcode"],
                where["country"] or "",
            )
            self._put(address)

    def _contact(self, account: Account, client: Client, role: Contact.Role, email: str) -> Contact:
        contact = Contact(account=account, role=role, name=client.name, email=email, created_at=self.at)
        # What `save` does; rows written in bulk pass it by.
        contact.email_digest = address_digest(email)
        return contact

    def _add_rest(self, account: Account, user: User, client: Client) -> None:
        profile = BillingProfile(account=account, created_at=self.at)
        profile.kind = client.value("type") or BillingProfile.Kind.INDIVIDUAL
        profile.currency = client.value("currency") or profile.currency
        profile.tax_number, profile.company_number = client.value("company_vat"), client.value("company_number")
        profile.referred_by = client.value("referred_by")
        self._put(profile)
        if client.value("notes"):
            source = BusinessItem.Source.IMPORT
            note = {"title": NOTE_TITLE, "text": client.value("notes"), "created_at": self.at}
            self._put(BusinessItem(account=account, source=source, **note))
        if client.value("ip") and not _is_expired(client, self.rolling):
            kind = AccessEvent.Kind.SIGN_IN
            event = AccessEvent(account=account, kind=kind, user=user.pk, ip=client.value("ip"))
            event.at = client.registered_at or self.at
            self._put(event)
        if client.status == "suspended":
            ground = Suspension.Ground.BILLING
            row, fact = suspending.suspension(account, ground, by=ledger.SYSTEM, at=self.at)
            self._put(row)
            self.facts.append(fact)

    def write(self) -> None:
        """Write the keys, then the rows table by table, then the ledger entries."""
        current().make(sorted(self._places()))
        for table, rows in self.rows.items():
            # The default manager of users and accounts adds nothing to this.
            table._base_manager.bulk_create(rows)
        ledger.record_many(self.facts, at=self.at)

    def _places(self) -> set[Place]:
        sealed = {
            Category.IDENTITY: Person,
            Category.CREDENTIALS: SignInIdentifier,
            Category.CONTACT: Contact,
            Category.BILLING: BillingProfile,
            Category.BUSINESS: BusinessItem,
            Category.ACCESS: AccessEvent,
        }
        return {(row.account_id, category.value) for category, table in sealed.items() for row in self.rows[table]}


def is_closed(made: Made) -> bool:
    """Return whether the panel had cancelled this client: its account closes with the import."""
    return made.client.status == "canceled" and made.account.state == State.ACTIVE
