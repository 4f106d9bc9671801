"""`manage.py seal_databases`: the owner writes the shared destruction secret and the triggers' limits; safe to repeat.

The secret is made once and given to both databases as HMAC pads (RFC 2104); no runtime role can read it on either
side. When only one side has one (a restored database), both get a new one: tokens live ten minutes at most.
"""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.keys.routing import ALIAS as KEYS
from retention import schedule

TABLES = {DEFAULT_DB_ALIAS: "safeguards_destructionsecret", KEYS: "keys_destructionsecret"}
BLOCK = 64


class Command(BaseCommand):
    """Run as the owner role, after `migrate` on both databases."""

    help = "Give both databases the shared destruction secret, and the data its limits (owner role)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write what is missing or differs."""
        if len({self._pads(alias) for alias in TABLES}) > 1 or None in {self._pads(alias) for alias in TABLES}:
            self._write_secret(os.urandom(BLOCK))
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            for name, seconds in schedule.limits().items():
                cursor.execute(
                    "INSERT INTO retention_limit (name, seconds) VALUES (%s, %s) "
                    "ON CONFLICT (name) DO UPDATE SET seconds = excluded.seconds",
                    [name, seconds],
                )
        self.stdout.write("Both databases are sealed.")

    def _pads(self, alias: str) -> tuple[bytes, bytes] | None:
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT inner_pad, outer_pad FROM {TABLES[alias]} WHERE id = 1")  # noqa: S608
            row = cursor.fetchone()
        return (bytes(row[0]), bytes(row[1])) if row else None

    def _write_secret(self, secret: bytes) -> None:
        inner = bytes(byte ^ 0x36 for byte in secret)
        outer = bytes(byte ^ 0x5C for byte in secret)
        for alias, table in TABLES.items():
            with connections[alias].cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {table} (id, inner_pad, outer_pad) VALUES (1, %s, %s) "  # noqa: S608
                    "ON CONFLICT (id) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad",
                    [inner, outer],
                )
