"""Reads one row of a billing panel's client export (columns as FOSSBilling exports them) and says what cannot be taken.

A fault of what makes a customer (id, address, status, name) refuses the row, any other refuses its field only. A reason
names the column and never repeats the value. Formulas and markup are text like any other: escaped where they are shown.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

import iso3166
import phonenumbers
from django.core.exceptions import ValidationError

from accounts.models import BillingProfile
from accounts.safeguards.cards import holds_card_number
from accounts.safeguards.finding import clean_email

# What is taken from a row. The panel's `lang` and `updated_at` have no use here and are not collected (P1).
COLUMNS = (
    "id", "email", "status", "type", "first_name", "last_name", "phone_cc", "phone", "company", "company_vat",
    "company_number", "address_1", "address_2", "city", "state", "postcode", "country", "currency", "billing_email",
    "timezone", "ip", "referred_by", "notes", "created_at",
)  # fmt: skip
STATUSES = ("active", "suspended", "canceled")
PANEL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
LONGEST_NAME = 200
# Digits with the country code; the upper limit is that of E.164.
SHORTEST_PHONE, LONGEST_PHONE = 6, 15
LONGEST = {
    "company": 200, "company_vat": 40, "company_number": 40, "street": 300, "city": 120, "state": 120, "postcode": 20,
    "referred_by": 200, "notes": 10_000, "timezone": 40,
}  # fmt: skip
EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)

CARD = "looks like a card number; card numbers are never stored"
TOO_LONG = "is too long"
NO_EMAIL = "is no e-mail address in the form name@example.com"


@dataclass(frozen=True)
class Fault:
    """What is wrong with a column (or with the row, then `column` is empty), in words that repeat no value."""

    column: str
    reason: str


class RowRefused(Exception):
    """The row cannot become a customer; `fault` says why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(column, reason)


@dataclass
class Client:
    """One client of the panel as it can be taken; `faults` are the fields that were left out."""

    line: int
    panel_id: str
    fingerprint: str
    email: str
    status: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    phone: str | None = None
    registered_at: dt.datetime | None = None
    faults: list[Fault] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """Return a field as it is stored, or None where there is nothing."""
        return self.values.get(name) or None


def read(line: int, row: Mapping[str, str], at: dt.datetime) -> Client:
    """Return the client of one row, read at `at`; raise RowRefused."""
    for column in COLUMNS:
        if "\x00" in row[column]:
            raise RowRefused(column, "holds a NUL character")
    client = Client(
        line=line,
        panel_id=_panel_id(row),
        fingerprint=_fingerprint(row),
        email=_email(row["email"]),
        status=_status(row["status"]),
        name=_name(row),
    )
    _take_texts(client, row)
    _take_codes(client, row)
    client.phone = _phone(client, row)
    client.registered_at = _moment(client, row["created_at"], at)
    return client


def _panel_id(row: Mapping[str, str]) -> str:
    text = row["id"].strip()
    if not PANEL_ID.fullmatch(text):
        raise RowRefused("id", "is missing or no id of letters, digits, dashes and underscores")
    return text


def _fingerprint(row: Mapping[str, str]) -> str:
    """Return SHA-256 over what is taken: the same again however the file's lines end or its other columns change."""
    return hashlib.sha256("\x1f".join(row[column] for column in COLUMNS).encode()).hexdigest()


def _email(text: str) -> str:
    if not text.strip():
        raise RowRefused("email", "is missing")
    try:
        return clean_email(text)
    except ValidationError:
        raise RowRefused("email", NO_EMAIL) from None


def _status(text: str) -> str:
    if text not in STATUSES:
        raise RowRefused("status", f"is none of {', '.join(STATUSES)}")
    return text


def _name(row: Mapping[str, str]) -> str:
    name = _line(f"{row['first_name']} {row['last_name']}") or _line(row["company"])
    column = "last_name" if row["last_name"] else "first_name"
    if not name:
        raise RowRefused("first_name", "is missing, and so are last_name and company")
    if len(name) > LONGEST_NAME:
        raise RowRefused(column, TOO_LONG)
    if holds_card_number(name):
        raise RowRefused(column, CARD)
    return name


def _line(text: str) -> str:
    return " ".join(text.split())


def _take_texts(client: Client, row: Mapping[str, str]) -> None:
    """Take the free texts; one that is too long or looks like a card number is left out."""
    for column in ("company", "company_vat", "company_number", "city", "state", "postcode", "referred_by"):
        _take(client, column, column, _line(row[column]))
    # The parts of the street are checked apart too: what is wrong with one must not cost the other.
    parts = [part for part in ("address_1", "address_2") if _take(client, part, part, _line(row[part]))]
    street = ", ".join(client.values.pop(part) for part in parts)
    _take(client, "street", "address_1", street)
    _take(client, "notes", "notes", row["notes"].strip())


def _take(client: Client, name: str, column: str, text: str) -> bool:
    if not text:
        return False
    reason = TOO_LONG if len(text) > LONGEST.get(name, LONGEST["street"]) else CARD if holds_card_number(text) else ""
    if reason:
        client.faults.append(Fault(column, reason))
        return False
    client.values[name] = text
    return True


def _take_codes(client: Client, row: Mapping[str, str]) -> None:
    """Take what is one of a list: kind, currency, country, time zone, billing address, address of the sign-up."""
    for column, (fits, reason) in CODES.items():
        text = row[column].strip()
        if text and not fits(text):
            client.faults.append(Fault(column, reason))
        elif text:
            client.values[column] = text
    billing = row["billing_email"].strip()
    if billing:
        try:
            client.values["billing_email"] = clean_email(billing)
        except ValidationError:
            client.faults.append(Fault("billing_email", NO_EMAIL))


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(name for name in zoneinfo.available_timezones() if len(name) <= LONGEST["timezone"])


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


# What is one of a list, by column: what fits, and what is said of what does not.
CODES: dict[str, tuple[Callable[[str], object], str]] = {
    "type": (lambda text: text in BillingProfile.Kind.values, "is neither individual nor company"),
    "currency": (CURRENCY.fullmatch, "is no ISO 4217 code of three capital letters"),
    "country": (lambda text: text in iso3166.countries_by_alpha2, "is no ISO 3166 code of two capital letters"),
    "timezone": (lambda text: text in _zones(), "is no name of the IANA time zone list"),
    "ip": (_is_address, "is no IP address"),
}


def _phone(client: Client, row: Mapping[str, str]) -> str | None:
    """Return the telephone number in E.164; without a country code it is read as one of the country."""
    number, code = row["phone"].strip(), row["phone_cc"].strip().removeprefix("+")
    if not number:
        return None
    whole = number if number.startswith("+") or not code else f"+{code}{number}"
    try:
        parsed = phonenumbers.parse(whole, client.value("country"))
    except phonenumbers.NumberParseException:
        parsed = None
    # Not whether such a number is in use: a panel holds old and local ones, and the customer can correct theirs.
    digits = f"{parsed.country_code}{parsed.national_number}" if parsed else ""
    if parsed is None or not SHORTEST_PHONE <= len(digits) <= LONGEST_PHONE:
        client.faults.append(Fault("phone", "is no telephone number"))
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _moment(client: Client, text: str, at: dt.datetime) -> dt.datetime | None:
    """Return since when they are a customer (the panel writes UTC), or None: the time of the import stands then."""
    text = text.strip()
    if not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        client.faults.append(Fault("created_at", "is no date; the time of the import stands instead"))
        return None
    found = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    if not EARLIEST <= found <= at:
        client.faults.append(Fault("created_at", "lies in the future or before 1990; the time of the import stands"))
        return None
    return found
