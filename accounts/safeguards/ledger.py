"""The ledger: what was done, by whom, to what, in the transaction that does it; append-only (P21).

An entry's canonical JSON (RFC 8785), its 16 random bytes of salt and its leaf hash are fixed at once, so that a Merkle
tree (RFC 6962) can be laid over it later: leaf = SHA-256(0x00 || salt || body). Facts are ids, counts, dates, category
names and fixed words; a personal value in clear does not pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.keys.identifiers import uuid7

WORD = re.compile(r"[A-Za-z0-9_.:+\-]{0,100}")
SYSTEM = "system"
# Beyond it a number has no canonical form (RFC 8785 §3.2.2.3).
LARGEST = 2**53
WRITE = """
    INSERT INTO safeguards_ledgerentry (id, at, actor, action, subject, body, salt, leaf)
    SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::bytea[],
                         %s::bytea[])
"""


class NotAFact(ValueError):
    """A value that may hold something personal was offered to the ledger."""


@dataclass(frozen=True)
class Fact:
    """One entry before it is written; `actor` is "system", "user:<uuid>", "staff:<uuid>" or "token:<uuid>"."""

    actor: str
    action: str
    subject: UUID | None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Entry(NamedTuple):
    """One entry as it was written; `LedgerEntry` is its row."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject: UUID | None
    body: str
    salt: bytes
    leaf: bytes


def record(actor: str, action: str, subject: UUID | None, /, *, at: datetime | None = None, **facts: Any) -> Entry:
    """Write one entry in the caller's transaction and return it; raise NotAFact for anything but ids and words."""
    return record_many([Fact(actor, action, subject, facts)], at=at)[0]


def record_many(facts: Iterable[Fact], *, at: datetime | None = None) -> list[Entry]:
    """Write many entries in one statement, in the caller's transaction."""
    at = at or timezone.now()
    entries = [_entry(fact, at) for fact in facts]
    if entries:
        with connection.cursor() as cursor:
            cursor.execute(WRITE, [list(column) for column in zip(*entries, strict=True)])
    return entries


def leaf_hash(salt: bytes, body: str) -> bytes:
    """Return the RFC 6962 leaf hash over salt and canonical body."""
    return hashlib.sha256(b"\x00" + salt + body.encode()).digest()


def _entry(fact: Fact, at: datetime) -> Entry:
    own, salt = uuid7(), os.urandom(16)
    content = {
        **{name: _value(value) for name, value in fact.facts.items()},
        "id": str(own),
        "at": _value(at),
        "actor": _value(fact.actor),
        "action": _value(fact.action),
        "subject": _value(fact.subject),
    }
    body = _canonical(content)
    return Entry(own, at, fact.actor, fact.action, fact.subject, body, salt, leaf_hash(salt, body))


def _canonical(content: dict[str, Any]) -> str:
    """Return RFC 8785 of what `_value` lets pass: ASCII words, whole numbers, lists and objects (the tests compare).

    The library for it takes ten times as long, and a purge writes three entries an account.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < LARGEST:
        return int(value)
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
