"""Identifiers: time-ordered UUIDs for rows, random references and numbers for people."""

from __future__ import annotations

import os
import secrets
import time
from uuid import UUID

# Crockford's base 32 without letters that read like digits: references are spoken on the telephone.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def uuid7() -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    millis = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    value = (millis & (2**48 - 1)) << 80 | 0x7 << 76 | (tail >> 68 & 0xFFF) << 64 | 0b10 << 62 | tail & (2**62 - 1)
    return UUID(int=value)


def reference(prefix: str) -> str:
    """Return a random reference such as `DEL-7F3K-22QM` (40 bits): it tells neither order nor number."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{prefix}-{letters[:4]}-{letters[4:]}"


def account_number() -> str:
    """Return nine random digits; a sequence would go back on a restore and be given out twice (P3)."""
    return str(secrets.randbelow(900_000_000) + 100_000_000)
