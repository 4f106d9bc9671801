"""The small interface behind which a key-encryption key (KEK) lives: a local file for a trial, a KMS in production."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string


class KeyUnavailable(Exception):
    """The KEK or its provider cannot be reached: nothing may be erased, nothing can be read."""


class KekProvider(Protocol):
    """Wraps and unwraps data keys; `context` is authenticated and must be the same on both sides."""

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (KEK id, wrapped key)."""

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in clear, or raise KeyUnavailable."""

    def rewrap(self, kek: str, wrapped: bytes, context: bytes) -> tuple[str, bytes]:
        """Return (current KEK id, the same key wrapped under it)."""

    def destroy(self, kek: str) -> None:
        """Retire a KEK for good: what only it wrapped is unreadable from then on."""


@lru_cache(maxsize=1)
def provider() -> KekProvider:
    """Return the provider that the setting KEK_PROVIDER names; it may cache KEKs, never data keys."""
    made: KekProvider = import_string(settings.KEK_PROVIDER)()
    return made
