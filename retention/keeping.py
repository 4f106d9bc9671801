"""Reading kept versions: governed rows as they were before an edit, kept because a hold covered them.

Only for who may see sealed matters. The table cannot be read by the runtime role: the database function that hands the
rows out writes the ledger entry itself, in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import connection, models, transaction

from accounts import datamap
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import User
from accounts.roles import sees_sealed
from accounts.safeguards.fields import SealedField
from accounts.safeguards.sealing import unseal

READ = 'SELECT category, table_name, "row"::text, kept_at FROM read_kept_versions(%s, %s)'


@dataclass(frozen=True)
class Kept:
    """One row as it was: its category, kind and time, and its personal fields as (label, value)."""

    category: str
    label: Any
    kept_at: dt.datetime
    values: list[tuple[Any, Any]]


def kept_versions(account_id: UUID, *, by: User) -> list[Kept]:
    """Return the kept versions of an account, oldest first; the reading stands in the ledger."""
    if not sees_sealed(by):
        raise PermissionDenied("Kept versions are read by those who may see sealed matters.")
    with keyring(), transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(READ, [account_id, by.pk])
            rows = cursor.fetchall()
        tables = {model._meta.db_table: model for model in datamap.governed()}
        return [
            _kept(tables[table], category, row, kept_at) for category, table, row, kept_at in rows if table in tables
        ]


def _kept(model: type[models.Model], category: str, row: str, kept_at: dt.datetime) -> Kept:
    content = json.loads(row)
    entry = datamap.entries()[model]
    values = []
    for name, held in entry.fields.items():
        field = model._meta.get_field(name)
        raw = content.get(getattr(field, "column", name))
        if isinstance(field, SealedField) and raw is not None:
            bound_to = f"{model._meta.db_table}.{field.column}.{content['id']}"
            values.append((held.label, _opened(field, bytes.fromhex(raw[2:]), bound_to)))
    return Kept(category, entry.label, kept_at, values)


def _opened(field: SealedField, box: bytes, bound_to: str) -> Any:
    try:
        return field.from_text(unseal(box, bound_to))
    except KeyDestroyed:
        return None
