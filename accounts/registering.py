"""Makes customers and staff members: whoever sells or hires calls this, there is no sign-up page.

Afterwards an account has its owner with a name, everything the owner signs in with, a contact to write to and
a ledger entry, all in one transaction. A sign-in name is unique among those that sign in; the error says so
and names none: whether a stranger may read it is the caller's business.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.keys.identifiers import account_number
from accounts.keys.keyring import keyring
from accounts.models import Account, Address, Contact, Person, SignInIdentifier, User
from accounts.phones import clean_phone
from accounts.safeguards import ledger
from accounts.safeguards.finding import clean_email

# Begins with a letter and holds no "@": what is typed at the sign-in page is of one kind only.
USERNAME = re.compile(r"[a-z][a-z0-9._-]{1,58}[a-z0-9]", re.IGNORECASE | re.ASCII)
NUMBER = re.compile(r"[1-9][0-9]{8}", re.ASCII)
UNIQUE = "sign_in_identifier_is_unique_while_it_signs_in"
MADE_AT_ONCE = (Category.IDENTITY, Category.CREDENTIALS, Category.CONTACT)
Kind = SignInIdentifier.Kind


class NameTaken(NotActionable):
    """A sign-in name is in use by somebody who can sign in with it."""


@dataclass(frozen=True)
class PostalAddress:
    """A billing address as it is given at the registration; `country` is an ISO 3166-1 alpha-2 code."""

    street: str
    city: str
    country: str
    postcode: str | None = None
    region: str | None = None


def register(
    *,
    name: str,
    email: str,
    password: str | None,
    username: str | None = None,
    company: str | None = None,
    phone: str | None = None,
    address: PostalAddress | None = None,
    number: str | None = None,
    at: dt.datetime | None = None,
) -> User:
    """Make an account with its owner and return the owner; without password a reset mail lets the owner in.

    Raises ValidationError for an address, telephone, user name or number of the wrong form, NameTaken for one in use.
    """
    at = at or timezone.now()
    email, phone = clean_email(email), clean_phone(phone, address.country if address else None)
    account = Account(number=clean_number(number) if number else account_number(), created_at=at)
    user = User(account=account, is_owner=True, created_at=at)
    user.set_password(password)
    names = {Kind.EMAIL: email, Kind.NUMBER: account.number}
    if username:
        names[Kind.USERNAME] = clean_username(username)
    with keyring() as ring, unique_names(), transaction.atomic():
        ring.prepare((account.pk, category.value) for category in MADE_AT_ONCE)
        account.save(force_insert=True)
        save_user(user, name, names, at)
        contact = Contact(account=account, name=name, company=company, email=email, phone=phone, created_at=at)
        contact.save(force_insert=True)
        if address is not None:
            _save_address(contact, address, at)
        ledger.record(user.actor, "account.registered", account.pk, user=user.pk, at=at)
    return user


def register_staff(
    username: str,
    name: str,
    email: str,
    password: str | None,
    groups: Iterable[str] = (),
    *,
    by: str = ledger.SYSTEM,
    at: dt.datetime | None = None,
) -> User:
    """Make a staff member in the named groups and return the user; an unknown group is an error."""
    at = at or timezone.now()
    email, username, wanted = clean_email(email), clean_username(username), sorted(set(groups))
    user = User(account=None, is_staff=True, created_at=at)
    user.set_password(password)
    with keyring(), unique_names(), transaction.atomic():
        found = list(Group.objects.filter(name__in=wanted))
        missing = set(wanted) - {group.name for group in found}
        if missing:
            raise NotActionable(
                f"No group {', '.join(sorted(missing))}. Run manage.py migrate: it makes a group per role."
            )
        save_user(user, name, {Kind.EMAIL: email, Kind.USERNAME: username}, at)
        user.groups.set(found)
        ledger.record(by, "staff.registered", user.pk, groups=[group.pk for group in found], at=at)
    return user


def clean_username(text: str) -> str:
    """Return a user name; raise ValidationError for what could be an address, a number or a look-alike."""
    text = text.strip()
    if not USERNAME.fullmatch(text):
        raise ValidationError(
            _("A user name has 3 to 60 letters a to z, digits, dots, dashes or underscores, a letter first."),
            code="username",
        )
    return text


def clean_number(text: str) -> str:
    """Return an account number; raise ValidationError for anything but nine digits."""
    if not NUMBER.fullmatch(text):
        raise ValidationError(_("An account number has nine digits, the first not 0."), code="number")
    return text


def save_user(user: User, name: str, names: dict[Kind, str], at: dt.datetime) -> None:
    """Write a new user with their name and all they sign in with, in the caller's transaction."""
    user.save(force_insert=True)
    username = names.get(Kind.USERNAME)
    person = Person(account_id=user.account_id, user=user, name=name, username=username, created_at=at)
    person.save(force_insert=True)
    for kind, value in names.items():
        identifier = SignInIdentifier.of(user, kind, value)
        identifier.created_at = at
        identifier.save(force_insert=True)


def _save_address(contact: Contact, address: PostalAddress, at: dt.datetime) -> UUID:
    row = Address(
        account_id=contact.account_id,
        contact=contact,
        street=address.street,
        city=address.city,
        region=address.region,
        postcode=address.postcode,
        country=address.country,
        created_at=at,
    )
    row.save(force_insert=True)
    return row.pk


@contextmanager
def unique_names() -> Iterator[None]:
    """Turn the database's refusal of a second identifier into NameTaken; nothing else is caught."""
    try:
        yield
    except IntegrityError as error:
        if UNIQUE not in str(error):
            raise
        # The database's own message would repeat the digest.
        raise NameTaken("This sign-in name is in use. Choose another one, or sign in with it.") from None
