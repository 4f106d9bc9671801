"""Identifiers: time-ordered UUIDs for rows, random references and numbers for people."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import time
from uuid import UUID

# Crockford's base 32 without letters that read like digits: references are spoken on the telephone.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS = ALPHABET.lstrip("23456789")


def uuid7() -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, 12 bits of their fraction (§6.2, method 3, as
    PostgreSQL's own function does), 62 random bits. Rows made one after the other sort in that order.
    """
    millis, nanos = divmod(time.time_ns(), 1_000_000)
    tail = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return UUID(int=(millis & (2**48 - 1)) << 80 | 0x7 << 76 | nanos * 4096 // 1_000_000 << 64 | 0b10 << 62 | tail)


def made_at(identifier: UUID) -> dt.datetime | None:
    """Return when a UUIDv7 was made, in UTC to the millisecond; None for any other UUID."""
    if identifier.version != 7:
        return None
    try:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=identifier.int >> 80)
    except OverflowError:
        return None


def reference(prefix: str) -> str:
    """Return a random reference such as `DEL-KF3K-Q2QM` (38 bits): it tells neither order nor number."""
    return f"{prefix}-{_groups(2)}"


def code() -> str:
    """Return a random code such as `K7QM-B2X9-...` (five groups, 95 bits) for whoever has no sign-in any more."""
    return _groups(5)


def short_code() -> str:
    """Return a random code such as `K7QM-B2X9` (38 bits), for what is typed within a day and in a few tries."""
    return _groups(2)


def _groups(number: int) -> str:
    # A letter first: groups of digits alone would read like a card number, which no stored text may hold (P4).
    return "-".join(
        secrets.choice(LETTERS) + "".join(secrets.choice(ALPHABET) for _ in range(3)) for _ in range(number)
    )


def account_number() -> str:
    """Return nine random digits; a sequence would go back on a restore and be given out twice (P3)."""
    return str(secrets.randbelow(900_000_000) + 100_000_000)
