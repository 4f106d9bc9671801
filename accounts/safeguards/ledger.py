"""The ledger: what was done, by whom, to what, in the transaction that does it; append-only (P21).

An entry's canonical JSON (RFC 8785), its 16 random bytes of salt and its leaf hash are fixed at once, so that a Merkle
tree (RFC 6962) can be laid over it later: leaf = SHA-256(0x00 || salt || body). Facts are ids, counts, dates, category
names and fixed words; a personal value in clear does not pass.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import rfc8785
from django.utils import timezone

from accounts.safeguards.models import LedgerEntry

WORD = re.compile(r"[A-Za-z0-9_.:+\-]{0,100}")
SYSTEM = "system"


class NotAFact(ValueError):
    """A value that may hold something personal was offered to the ledger."""


@dataclass(frozen=True)
class Fact:
    """One entry before it is written; `actor` is "system", "user:<uuid>", "staff:<uuid>" or "token:<uuid>"."""

    actor: str
    action: str
    subject: UUID | None
    facts: Mapping[str, Any] = field(default_factory=dict)


def record(
    actor: str, action: str, subject: UUID | None, /, *, at: datetime | None = None, **facts: Any
) -> LedgerEntry:
    """Write one entry in the caller's transaction and return it; raise NotAFact for anything but ids and words."""
    return record_many([Fact(actor, action, subject, facts)], at=at)[0]


def record_many(entries: Iterable[Fact], *, at: datetime | None = None) -> list[LedgerEntry]:
    """Write many entries in one statement, in the caller's transaction."""
    at = at or timezone.now()
    return LedgerEntry.objects.bulk_create([_entry(fact, at) for fact in entries])


def leaf_hash(salt: bytes, body: str) -> bytes:
    """Return the RFC 6962 leaf hash over salt and canonical body."""
    return hashlib.sha256(b"\x00" + salt + body.encode()).digest()


def _entry(fact: Fact, at: datetime) -> LedgerEntry:
    entry = LedgerEntry(at=at, actor=_value(fact.actor), action=_value(fact.action), subject=fact.subject)
    content = {
        **{name: _value(value) for name, value in fact.facts.items()},
        "id": str(entry.id),
        "at": _value(at),
        "actor": fact.actor,
        "action": fact.action,
        "subject": _value(fact.subject),
    }
    entry.body = rfc8785.dumps(content).decode()
    entry.salt = os.urandom(16)
    entry.leaf = leaf_hash(entry.salt, entry.body)
    return entry


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and WORD.fullmatch(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(_value(name)): _value(item) for name, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_value(item) for item in value]
    raise NotAFact("The ledger takes ids, numbers, dates and fixed words; seal anything else in a field of its own.")
