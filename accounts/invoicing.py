"""Issuing invoices (P8): to whom and over what, as it was then, sealed under the key of their own category.

Who may: the roles with "accounts.issue_invoice" and the tokens with "invoices:write", which the doors check; an order
that is accepted issues its own. Afterwards the invoice is there for the customer to read, pay and print, and a mail
names it. A closed account gets no new one: it would be an obligation that its owner did not see when asking for the
deletion. The same `submission` makes one invoice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from iso3166 import countries_by_alpha2

from accounts import mailing, restricting
from accounts.datamap import Purpose
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import reference, uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Address, BillingProfile, Contact, Invoice, InvoiceLine, State
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number

MOST_LINES = 100
MOST_OF_ONE = 10_000
LONGEST_TEXT = 300
# In cents, for one price and for a whole invoice: beyond it somebody mistyped.
LARGEST = 10**11 - 1
# Our choice: what customers are used to.
DUE_DAYS = 14
LONGEST_DUE_DAYS = 365
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True)
class BilledLine:
    """One line of an invoice to be; `unit_cents` for each of `quantity`."""

    text: str
    unit_cents: int
    quantity: int = 1
    service: UUID | None = None

    @property
    def amount_cents(self) -> int:
        """Quantity times unit price, in cents."""
        return self.quantity * self.unit_cents


def issue_invoice(
    account_id: UUID,
    *,
    lines: Sequence[BilledLine],
    by: str,
    currency: str = "USD",
    due_days: int = DUE_DAYS,
    submission: UUID | None = None,
    at: dt.datetime | None = None,
) -> Invoice:
    """Issue an invoice and return it; the one there is when this `submission` issued it before.

    `by` is the ledger's name of who issues it. Raises ValidationError for lines or terms that cannot be (a card number
    too), NotActionable for a closed account.
    """
    at = at or timezone.now()
    total = total_of(lines, currency)
    if not total:
        raise ValidationError("An invoice bills something: its total is above zero.", code="total")
    if not 0 <= due_days <= LONGEST_DUE_DAYS:
        raise ValidationError(f"An invoice is due after 0 to {LONGEST_DUE_DAYS} days.", code="due_days")
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        known = _issued_before(account, submission, total, currency)
        if known is not None:
            return known
        refuse_closed(account)
        restricting.refuse(account.pk, Purpose.INVOICING)
        return write(account, lines, currency, by=by, due_days=due_days, invoice_id=submission, at=at)


def write(
    account: Account,
    lines: Sequence[BilledLine],
    currency: str,
    *,
    by: str,
    at: dt.datetime,
    due_days: int = DUE_DAYS,
    order: UUID | None = None,
    invoice_id: UUID | None = None,
) -> Invoice:
    """Write an invoice, its mail and its ledger entry in the caller's transaction, which holds the account's lock."""
    contacts = _contacts(account.pk)
    invoice = Invoice(
        id=invoice_id or uuid7(),
        account=account,
        number=reference("INV"),
        currency=currency,
        total_cents=sum(line.amount_cents for line in lines),
        billed_to=billed_to(account.pk, contacts),
        order=order,
        issued_at=at,
        due_at=at + dt.timedelta(days=due_days),
    )
    invoice.save(force_insert=True)
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            account=account,
            invoice=invoice,
            service=line.service,
            text=line.text,
            quantity=line.quantity,
            unit_cents=line.unit_cents,
            created_at=at,
        )
        for line in lines
    )
    ledger.record(by, "invoice.issued", account.pk, invoice=invoice.pk, order=order, cents=invoice.total_cents, at=at)
    _tell(invoice, contacts, at)
    return invoice


def total_of(lines: Sequence[BilledLine], currency: str) -> int:
    """Return the total in cents; raise ValidationError for lines that cannot be billed, repeating nothing of them."""
    if not CURRENCY.fullmatch(currency):
        raise ValidationError("A currency is three capital letters, such as USD.", code="currency")
    if not 1 <= len(lines) <= MOST_LINES:
        raise ValidationError(f"There are 1 to {MOST_LINES} lines.", code="lines")
    for line in lines:
        refuse_unlikely_line(line)
    total = sum(line.amount_cents for line in lines)
    if total > LARGEST:
        raise ValidationError("The total is too large to be meant.", code="total")
    return total


def refuse_unlikely_line(line: BilledLine) -> None:
    """Raise ValidationError for a line without words, with a card number in them, or with numbers that cannot be."""
    if not line.text.strip() or len(line.text) > LONGEST_TEXT or "\x00" in line.text:
        raise ValidationError(f"The text of a line has 1 to {LONGEST_TEXT} characters.", code="text")
    refuse_card_number(line.text)
    if not 1 <= line.quantity <= MOST_OF_ONE:
        raise ValidationError(f"The quantity of a line is 1 to {MOST_OF_ONE}.", code="quantity")
    if not 0 <= line.unit_cents <= LARGEST:
        raise ValidationError("The price of a line is not negative, and not too large to be meant.", code="unit_cents")


def refuse_closed(account: Account) -> None:
    """Raise NotActionable when the account is closed: nothing new is ordered or billed."""
    if account.state != State.ACTIVE:
        raise NotActionable(
            f"Account {account.number} is closed: nothing is ordered or billed. Its owner can cancel that first."
        )


def billed_to(account_id: UUID, contacts: Iterable[Contact] | None = None) -> dict[str, str]:
    """Return the legal name and address an invoice of the account is made out to now; parts nobody gave are absent.

    The billing contact's, else the owner's; the address of the one who has any.
    """
    payers = list(contacts) if contacts is not None else _contacts(account_id)
    profile = BillingProfile.objects.filter(account_id=account_id).first()
    parts: dict[str, str | None] = {
        "name": payers[0].name if payers else None,
        "company": next((payer.company for payer in payers if payer.company), None),
        "tax_number": profile.tax_number if profile else None,
    }
    address = _address(payers)
    if address is not None:
        parts |= {part: getattr(address, part) for part in ("street", "city", "region", "postcode", "country")}
    return {part: value for part, value in parts.items() if value}


def bill_to_lines(invoice: Invoice) -> list[str]:
    """Return name and address of an invoice as they are written on it, a line each."""
    to = invoice.billed_to or {}
    return [str(to[part]) for part in ("name", "company") if to.get(part)] + place_lines(to)


def place_lines(place: Mapping[str, str | None]) -> list[str]:
    """Return an address as it is written, a line each: street, town, country by its name."""
    region = " ".join(str(place[part]) for part in ("region", "postcode") if place.get(part))
    town = ", ".join(part for part in (place.get("city"), region) if part)
    known = countries_by_alpha2.get(str(place.get("country", "")).upper())
    country = known.apolitical_name if known else place.get("country")
    return [line for line in (place.get("street"), town, country) if line]


def tax_number(invoice: Invoice) -> str:
    """Return the tax number that an invoice names, or nothing."""
    return str((invoice.billed_to or {}).get("tax_number", ""))


def mail_address(account_id: UUID) -> str | None:
    """Return the e-mail address that invoices go to: the billing contact's, else the owner's."""
    contacts = _contacts(account_id)
    return contacts[0].email if contacts else None


def _contacts(account_id: UUID) -> list[Contact]:
    """Return who pays for the account: the billing contact, then the owner."""
    roles = {Contact.Role.BILLING: 0, Contact.Role.OWNER: 1}
    found = Contact.objects.filter(account_id=account_id, role__in=list(roles), removed_at=None)
    ordered = sorted(found.order_by("created_at", "pk"), key=lambda contact: roles[Contact.Role(contact.role)])
    return ordered


def _address(payers: Sequence[Contact]) -> Address | None:
    """Return the billing address of the first who has one, else a postal one."""
    found = Address.objects.filter(contact__in=[payer.pk for payer in payers], removed_at=None)
    places = {payer.pk: place for place, payer in enumerate(payers)}
    ordered = sorted(
        found.order_by("created_at", "pk"),
        key=lambda address: (places[address.contact_id], address.kind != Address.Kind.BILLING),
    )
    return ordered[0] if ordered else None


def _issued_before(account: Account, submission: UUID | None, total: int, currency: str) -> Invoice | None:
    known = Invoice.objects.filter(pk=submission).first() if submission is not None else None
    if known is not None and (known.account_id, known.total_cents, known.currency) != (account.pk, total, currency):
        raise NotActionable(USED_FORM)
    return known


def _tell(invoice: Invoice, contacts: Sequence[Contact], at: dt.datetime) -> None:
    context = {
        "reference": invoice.number,
        "cents": invoice.total_cents,
        "currency": invoice.currency,
        "issued_at": at,
        "due_at": invoice.due_at,
    }
    to = contacts[0].email if contacts else None
    event = f"invoice:{invoice.pk}:issued"
    mailing.mail(invoice.account, event, "accounts/mail/invoice_issued.txt", context, to=to, at=at)
