"""AES-256-GCM boxes bound to the table, column and row they stand in.

Layout: version (1 byte, 1), data key id (16), nonce (12), ciphertext and tag. The associated data is
`table.column.row`, so that a value copied elsewhere does not open.
"""

from __future__ import annotations

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from accounts.keys.keyring import Place, current

VERSION = 1
HEADER = 1 + 16 + 12


class DoesNotOpen(Exception):
    """The box was altered, or copied from another table, column or row."""


def seal(text: str, place: Place, bound_to: str) -> bytes:
    """Return the box of `text` under the key of `place` (subject, category), bound to `table.column.row`."""
    return seal_bytes(text.encode(), place, bound_to)


def seal_bytes(content: bytes, place: Place, bound_to: str) -> bytes:
    """Return the box of `content`, as `seal` does for text."""
    key_id, key = current().for_writing(place)
    nonce = os.urandom(12)
    return bytes([VERSION]) + key_id.bytes + nonce + AESGCM(key).encrypt(nonce, content, bound_to.encode())


def unseal(box: bytes, bound_to: str) -> str:
    """Return the text in `box`; raise KeyDestroyed, KeyUnavailable or DoesNotOpen."""
    return unseal_bytes(box, bound_to).decode()


def unseal_bytes(box: bytes, bound_to: str) -> bytes:
    """Return the content of `box`; raise KeyDestroyed, KeyUnavailable or DoesNotOpen."""
    if len(box) < HEADER + 16 or box[0] != VERSION:
        raise DoesNotOpen(f"The value at {bound_to} is no box of version {VERSION}.")
    key = current().key(key_of(box))
    try:
        return AESGCM(key).decrypt(box[17:HEADER], box[HEADER:], bound_to.encode())
    except InvalidTag:
        raise DoesNotOpen(f"The value at {bound_to} does not open: it was altered or comes from elsewhere.") from None


def key_of(box: bytes) -> UUID:
    """Return the id of the data key that sealed `box`."""
    return UUID(bytes=box[1:17])
