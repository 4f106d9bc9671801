"""Keeps the key store and the data in two databases, which are never restored together."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

LABEL = "keys"
ALIAS = "keys"


class KeysRouter:
    """Sends the app `keys` to its own alias and everything else to `default`."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias to read `model` from."""
        return ALIAS if model._meta.app_label == LABEL else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias to write `model` to."""
        return self.db_for_read(model)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Allow the app `keys` in its own database and nothing else there."""
        return (db == ALIAS) == (app_label == LABEL)
