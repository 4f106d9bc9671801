"""Finding a customer for staff: by account number, by reference (DEL-, TIC-, INV-), or by e-mail address.

An address is looked up by its blind index and only for roles that are shown contacts at all; it stands in no
URL, log or ledger entry.
"""

from __future__ import annotations

import re
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError

from accounts.admin_base import Identifiers
from accounts.datamap import Category
from accounts.models import Account, Contact, Invoice, SignInIdentifier, Ticket, User
from accounts.models.contacts import address_digest
from accounts.roles import View, category_view, may
from accounts.safeguards.finding import clean_email, digest
from retention.models import DeletionRequest

NUMBER = re.compile(r"[1-9][0-9]{8}", re.ASCII)


class FindForm(forms.Form):
    """One field for all three."""

    wanted = Identifiers(
        label="Account number, reference or e-mail address",
        max_length=254,
        help_text="For instance 123456789, DEL-7F3K-22QM, INV-7F3K-22QM or name@example.com.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "size": 40}),
        error_messages={"required": "Enter an account number, a reference or an e-mail address."},
    )


def find(wanted: str, user: User) -> UUID | None:
    """Return the account that `wanted` leads to, or None."""
    text = wanted.strip()
    if NUMBER.fullmatch(text):
        return _first(Account.objects.filter(number=text).values_list("pk", flat=True).first())
    if "@" in text:
        return _by_address(text) if category_view(user, Category.CONTACT) > View.HIDDEN else None
    reference = text.upper()
    if reference.startswith("DEL-"):
        found = DeletionRequest.objects.filter(reference=reference).values_list("account_id", flat=True).first()
        return _first(found)
    if reference.startswith("INV-"):
        return _by_invoice(reference) if may(user, "accounts.view_invoice") else None
    return _first(Ticket.objects.filter(reference=reference).values_list("account_id", flat=True).first())


def _by_invoice(number: str) -> UUID | None:
    return _first(Invoice.objects.filter(number=number).values_list("account_id", flat=True).first())


def _by_address(text: str) -> UUID | None:
    try:
        address = clean_email(text)
    except ValidationError:
        return None
    names = SignInIdentifier.objects.filter(
        kind=SignInIdentifier.Kind.EMAIL, digest=digest("email", address), account__isnull=False
    )
    # The one that signs in now before an older account of the same address.
    found = names.order_by("-signs_in", "-created_at").values_list("account_id", flat=True).first()
    return _first(found) or _by_contact(address)


def _by_contact(address: str) -> UUID | None:
    """Return the newest account that is written to at an address: sign-in names end at the due date, contacts go last.

    A contact that the customer removed is not there for anybody, whatever keeps its row.
    """
    contacts = Contact.objects.filter(email_digest=address_digest(address), removed_at=None)
    return _first(contacts.order_by("-created_at", "-pk").values_list("account_id", flat=True).first())


def _first(found: object) -> UUID | None:
    return found if isinstance(found, UUID) else None
