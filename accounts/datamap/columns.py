"""The walk over the rows of a customer as plain columns, sealed values open: what pages, API and exports read.

Rows are read in batches by key (time, then id), never with an offset. A batch stays what the driver gave, a sequence a
column: nothing is made of each of a million rows that need not be. The keys of a batch come in one query.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, models
from django.db.models import F, Func, Q
from django.db.models.functions import Cast

from accounts.datamap.reading import Model, declaration, shown
from accounts.keys.keyring import KeyDestroyed, Keyring, current
from accounts.safeguards.fields import SealedField, SealedText
from accounts.safeguards.sealing import HEADER, DoesNotOpen, key_of

BATCH = 5_000
Position = tuple[dt.datetime, Any]
# The ids as text, the times, then the values of each field asked for.
Columns = list[Any]
Open = Callable[[bytes, bytes, bytes], bytes]


class Moment(Func):
    """A time in UTC as ISO 8601, made by the database: to make a million of them here costs more than to read them."""

    template = (
        "replace(to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '')||'Z'"
    )
    output_field = models.TextField()


def opened(
    model: Model,
    account_id: UUID,
    cutoffs: Mapping[str, dt.datetime],
    names: list[str],
    *,
    after: Position | None = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[Columns]:
    """Yield batches of ids, times and the values of `names`, sealed ones open, by time and id."""
    time = declaration(model).time
    open_batch = _opener(model, names)
    left = limit
    while left is None or left > 0:
        size = BATCH if left is None else min(BATCH, left)
        found = _after(shown(model, account_id, cutoffs), time, after, newest_first)
        columns = _fetched(found.values_list(Cast("pk", models.TextField()), time, *names)[:size])
        if not columns:
            return
        yield open_batch(columns)
        after = columns[1][-1], columns[0][-1]
        read = len(columns[0])
        left = None if left is None else left - read
        if read < size:
            return


def written(model: Model, account_id: UUID, cutoffs: Mapping[str, dt.datetime], names: list[str]) -> Iterator[Columns]:
    """Yield all of them, oldest first, with the time of each row as text: for a file of many rows."""
    time = declaration(model).time
    open_batch = _opener(model, names)
    after: Position | None = None
    while True:
        found = _after(shown(model, account_id, cutoffs), time, after, newest_first=False)
        columns = _fetched_in_binary(found.values_list(Cast("pk", models.TextField()), Moment(F(time)), *names)[:BATCH])
        if not columns:
            return
        yield open_batch(columns)
        after = dt.datetime.fromisoformat(columns[1][-1]), columns[0][-1]
        if len(columns[0]) < BATCH:
            return


def _fetched(rows: Any) -> Columns:
    """Return the columns as the driver gives them: no instance, and no lazy value, is made of a row."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(zip(*cursor.fetchall(), strict=True))


def _fetched_in_binary(rows: Any) -> Columns:
    """Return the same in the binary protocol, which halves the bytes and the parsing."""
    sql, params = rows.query.sql_with_params()
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, params, binary=True)
        return list(zip(*cursor.fetchall(), strict=True))


def _after(rows: Any, time: str, after: Position | None, newest_first: bool) -> Any:
    """Sort by time and id, and go on after a position; the bound on the time alone is what an index is asked for."""
    way, sign = ("lt", "-") if newest_first else ("gt", "")
    if after is not None:
        moment, row_id = after
        later = Q(**{f"{time}__{way}": moment}) | Q(**{f"pk__{way}": row_id})
        rows = rows.filter(later, **{f"{time}__{way}e": moment})
    return rows.order_by(f"{sign}{time}", f"{sign}pk")


def _opener(model: Model, names: list[str]) -> Callable[[Columns], Columns]:
    """Return what opens the sealed columns of a batch, with the keys it has met."""
    ring, ciphers = current(), dict[bytes, Open | None]()
    sealed = [
        (place, f"{model._meta.db_table}.{field.column}.".encode(), cast(Any, field))
        for place, field in enumerate(map(model._meta.get_field, names), start=2)
        if isinstance(field, SealedField)
    ]
    places = [place for place, _bound, _field in sealed]

    def open_batch(columns: Columns) -> Columns:
        if not sealed:
            return columns
        used = {box[1:17] for place in places for box in columns[place] if box is not None}
        _fetch_keys(ring, used - ciphers.keys(), ciphers)
        gone = {key for key in used if ciphers[key] is None}
        columns = _without(columns, places, gone) if gone else list(columns)
        ids = list(map(str.encode, columns[0]))
        for place, bound, field in sealed:
            columns[place] = _open_column(ids, columns[place], bound, field, ciphers)
        return columns

    return open_batch


def _without(columns: Columns, places: list[int], gone: set[bytes]) -> Columns:
    """Leave out the rows that hold anything under a destroyed key: they are erased."""
    rows = [
        row
        for row in zip(*columns, strict=True)
        if not any(row[place] is not None and row[place][1:17] in gone for place in places)
    ]
    return list(zip(*rows, strict=True)) if rows else [() for _ in columns]


def _open_column(
    ids: list[bytes], boxes: tuple[Any, ...], bound: bytes, field: Any, ciphers: Mapping[bytes, Open | None]
) -> list[Any]:
    """Open one column of a batch; a million rows pass here, hence the local names and one key without a look-up."""
    read = bytes.decode if type(field) is SealedText else field.from_bytes
    known = cast("dict[bytes, Open]", ciphers)
    try:
        return [
            None if box is None else read(known[box[1:17]](box[17:HEADER], box[HEADER:], bound + row_id))
            for row_id, box in zip(ids, boxes, strict=True)
        ]
    except InvalidTag:
        named = bound.decode()
        raise DoesNotOpen(f"A value of {named} does not open: it was altered or comes from elsewhere.") from None


def _fetch_keys(ring: Keyring, wanted: set[bytes], ciphers: dict[bytes, Open | None]) -> None:
    """Fetch the keys of a batch in one query; one that was destroyed leaves nothing to read."""
    ids = {key: key_of(b"\x01" + key) for key in wanted}
    for key_id in ids.values():
        ring.note(key_id)
    for key, key_id in ids.items():
        try:
            ciphers[key] = AESGCM(ring.key(key_id)).decrypt
        except KeyDestroyed:
            ciphers[key] = None
