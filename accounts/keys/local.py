"""The KEK provider for a trial or a single machine: AES-256 keys in a file outside every backup of the databases."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from accounts.keys.provider import KeyUnavailable


def make_key_file(path: Path) -> None:
    """Write a new key file with one KEK, readable by its owner only; an existing file is left as it is."""
    if path.exists():
        return
    kek = secrets.token_hex(4)
    _write(path, {"current": kek, "keys": {kek: secrets.token_hex(32)}})


def rotate(path: Path) -> str:
    """Add a KEK to the file, make it the current one and return its id; older ones stay until destroyed."""
    content = json.loads(path.read_text())
    kek = secrets.token_hex(4)
    content["current"] = kek
    content["keys"][kek] = secrets.token_hex(32)
    _write(path, content)
    return kek


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class LocalKeyFile:
    """Reads the file named by the setting KEK_FILE, again whenever it changes."""

    def __init__(self) -> None:
        self._path = Path(settings.KEK_FILE)
        self._stamp = 0
        self._content: dict[str, Any] = {}

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (current KEK id, nonce and AES-GCM box)."""
        kek = str(self._read()["current"])
        nonce = os.urandom(12)
        return kek, nonce + self._cipher(kek).encrypt(nonce, key, context)

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in clear; raise KeyUnavailable when the KEK is gone or the box was altered."""
        try:
            return self._cipher(kek).decrypt(wrapped[:12], wrapped[12:], context)
        except InvalidTag:
            raise KeyUnavailable(f"The wrap under KEK {kek} does not open: it was altered or moved.") from None

    def rewrap(self, kek: str, wrapped: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the same key wrapped under the current KEK."""
        return self.wrap(self.unwrap(kek, wrapped, context), context)

    def destroy(self, kek: str) -> None:
        """Remove a KEK that is not the current one from the file."""
        content = self._read()
        if kek == content["current"]:
            raise KeyUnavailable(f"KEK {kek} is the current one; rotate before destroying it.")
        content["keys"].pop(kek, None)
        _write(self._path, content)

    def _cipher(self, kek: str) -> AESGCM:
        try:
            return AESGCM(bytes.fromhex(self._read()["keys"][kek]))
        except KeyError:
            raise KeyUnavailable(
                f"KEK {kek} is not in the key file; it was retired or the file is another one."
            ) from None

    def _read(self) -> dict[str, Any]:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._content = json.loads(self._path.read_text())
                self._stamp = stamp
        except OSError as error:
            raise KeyUnavailable(f"The key file cannot be read: {error.strerror}. See KEK_FILE.") from None
        return self._content
