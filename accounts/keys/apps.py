"""The app of the key store; its tables live in the database alias `keys` only."""

from __future__ import annotations

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """Routes itself to the alias `keys` by `routing.KeysRouter`."""

    name = "accounts.keys"
    label = "keys"
    verbose_name = "Key store"
