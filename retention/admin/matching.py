"""What somebody gave to be recognised by, beside what is held of the accounts it may be about.

Found by the proved address and by the account number that was given, through the blind index; shown to whoever may
verify, as the table of roles lets them see each category.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.admin_base import NONE, Eyes, Section
from accounts.models import Account, Address, Contact, Invoice, Service, SignInIdentifier
from accounts.roles import may
from accounts.safeguards.finding import digest
from retention.models import PrivacyRequest

MOST_ACCOUNTS = 3
MOST_ROWS = 20
LABELS = {
    "account_number": "Account number",
    "invoice": "Invoice",
    "postcode": "Postcode",
    "phone": "Telephone number",
    "service": "Service",
    "declaration": "Declaration signed as",
}


def matching_sections(eyes: Eyes, record: PrivacyRequest) -> list[Section]:
    """Return what was given and what is held, once the address is proved; nothing before it."""
    if record.address_confirmed_at is None or not may(eyes.user, "retention.verify_request"):
        return []
    given = record.facts or {}
    eyes.seen.add(PrivacyRequest.personal.category.value)
    facts = [(label, given.get(name) or NONE) for name, label in LABELS.items()]
    found = _accounts(record, given)
    return [Section("Given to be recognised by", facts=facts), *(_held(eyes, account) for account in found)]


def _accounts(record: PrivacyRequest, given: dict[str, Any]) -> list[Account]:
    """Return the accounts that the address or the number signs in to."""
    by_address = Q(kind=SignInIdentifier.Kind.EMAIL, digest=bytes(record.email_digest or b""))
    number = str(given.get("account_number", ""))
    by_number = Q(kind=SignInIdentifier.Kind.NUMBER, digest=digest("number", number)) if number else Q(pk=None)
    named = SignInIdentifier.objects.filter(by_address | by_number, signs_in=True).exclude(account=None)
    ids: set[UUID] = set(named.values_list("account_id", flat=True)[:MOST_ACCOUNTS])
    return list(Account.objects.filter(pk__in=ids).order_by("number"))


def _held(reader: Eyes, account: Account) -> Section:
    """Return what is held of one account, in the order of what was given; that is a look at its customer."""
    eyes = Eyes(reader.user)
    contacts = list(Contact.objects.filter(account=account).order_by("created_at", "pk")[:MOST_ROWS])
    addresses = list(Address.objects.filter(account=account).order_by("created_at", "pk")[:MOST_ROWS])
    invoices = Invoice.objects.filter(account=account).order_by("-issued_at", "pk").values_list("number", flat=True)
    services = list(Service.objects.filter(account=account).order_by("started_at", "pk")[:MOST_ROWS])
    facts = [
        ("Account number", account.number),
        ("Names", _joined(eyes.on(contact, "name") for contact in contacts)),
        ("E-mail addresses", _joined(eyes.on(contact, "email") for contact in contacts)),
        ("Invoices", _joined(invoices[:MOST_ROWS])),
        ("Postcodes", _joined(eyes.on(address, "postcode") for address in addresses)),
        ("Telephone numbers", _joined(eyes.on(contact, "phone") for contact in contacts)),
        ("Services", _joined(eyes.on(service, "name") for service in services)),
    ]
    eyes.record(account.pk, account)
    return Section(f"Held of account {account.number}", facts=facts)


def _joined(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values)) or NONE
