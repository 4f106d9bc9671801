"""The register of recipients: nothing leaves to anybody who is not in it (P12-P16).

Who may: legal and the privacy officer. A kind is never changed: what a partner may get is not what an authority may.
A closed recipient stays in the register and gets nothing more.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import asdict, dataclass
from uuid import UUID

import pyrage
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.phones import clean_phone
from accounts.roles import may
from accounts.safeguards import ledger
from accounts.safeguards.finding import clean_email
from disclosures import packing
from disclosures.models import Recipient

REGISTER = "disclosures.register_recipient"
# Characters that turn the order of those around them.
TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


@dataclass(frozen=True)
class Entry:
    """What the register holds of a recipient; `verified_how` says how it was made sure that the address is theirs."""

    name: str
    jurisdiction: str
    email: str
    verified_how: str
    contact_name: str = ""
    phone: str = ""
    postal: str = ""
    age_key: str = ""
    contract: str = ""
    contract_until: dt.date | None = None


def register(kind: str, entry: Entry, *, by: User, at: dt.datetime | None = None) -> Recipient:
    """Add a recipient and return it.

    Raises ValidationError for an address, telephone number or key that is none and for a name that no packet could
    show, NotActionable for a partner without a contract or an unknown kind.
    """
    at = at or timezone.now()
    _staff_only(by)
    if kind not in Recipient.Kind.values:
        raise NotActionable("Choose what the recipient is: a partner, an authority, a court, a party or a complainant.")
    facts = _clean(kind, entry)
    with keyring(), transaction.atomic(durable=True):
        recipient = Recipient.objects.create(kind=kind, registered_by=by.pk, registered_at=at, **facts)
        ledger.record(by.actor, "recipient.registered", recipient.pk, at=at, kind=kind)
    return recipient


def change(recipient_id: UUID, entry: Entry, *, by: User, at: dt.datetime | None = None) -> Recipient:
    """Change what the register holds of an open recipient and return it; errors as in `register`."""
    at = at or timezone.now()
    _staff_only(by)
    with keyring(), transaction.atomic(durable=True):
        recipient = _open(recipient_id)
        facts = _clean(recipient.kind, entry)
        changed = sorted(name for name, value in facts.items() if getattr(recipient, name) != value)
        if changed:
            for name in changed:
                setattr(recipient, name, facts[name])
            recipient.save(update_fields=changed)
            ledger.record(by.actor, "recipient.changed", recipient.pk, at=at, fields=changed)
    return recipient


def close(recipient_id: UUID, *, by: User, at: dt.datetime | None = None) -> Recipient:
    """End that a recipient can be given anything, for good, and return it; a closed one stays closed."""
    at = at or timezone.now()
    _staff_only(by)
    with keyring(), transaction.atomic(durable=True):
        recipient = Recipient.objects.select_for_update().get(pk=recipient_id)
        if recipient.closed_at is None:
            recipient.closed_at, recipient.closed_by = at, by.pk
            recipient.save(update_fields=["closed_at", "closed_by"])
            ledger.record(by.actor, "recipient.closed", recipient.pk, at=at)
    return recipient


def _open(recipient_id: UUID) -> Recipient:
    recipient = Recipient.objects.select_for_update().get(pk=recipient_id)
    if recipient.closed_at is not None:
        raise NotActionable(f"Recipient {recipient.reference} is closed. Register a new one.")
    return recipient


def _clean(kind: str, entry: Entry) -> dict[str, object]:
    if kind == Recipient.Kind.PARTNER and not entry.contract:
        raise NotActionable("A partner is registered with its contract: enter the number of the contract.")
    _refuse_name(entry.name)
    facts: dict[str, object] = {name: value or None for name, value in asdict(entry).items()}
    facts |= {name: getattr(entry, name) for name in ("name", "jurisdiction", "verified_how", "age_key", "contract")}
    facts["email"] = clean_email(entry.email)
    facts["phone"] = clean_phone(entry.phone) if entry.phone else None
    if entry.age_key:
        try:
            pyrage.x25519.Recipient.from_str(entry.age_key)
        except pyrage.RecipientError:
            raise ValidationError("This is no age public key. It begins with age1.", code="age_key") from None
    return facts


def _refuse_name(name: str) -> None:
    """Raise ValidationError for a name that the cover of a packet cannot show, or shows in another order."""
    if any(unicodedata.category(each) == "Cc" or unicodedata.bidirectional(each) in TURNING for each in name):
        words = "The name holds an invisible control character. Type it anew instead of pasting it."
    elif not packing.shows(name):
        words = "The cover of a packet cannot show every letter of this name. Write it in Latin letters."
    else:
        return
    raise ValidationError({"name": ValidationError(words, code="name")})


def _staff_only(by: User) -> None:
    if not may(by, REGISTER):
        raise PermissionDenied("Only legal and the privacy officer keep the register of recipients.")
