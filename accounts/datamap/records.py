"""The walk over the records of a customer: what page, export and API read, each row with the fields they may show.

Rows are read in batches by key (time, then id), never with an offset, and as plain columns: sealed values open with one
key for a whole batch. Files are left where they are until somebody asks for one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Cast

from accounts.datamap.declaring import Personal
from accounts.datamap.reading import Model, declaration, shown
from accounts.datamap.words import Audience
from accounts.keys.keyring import KeyDestroyed, Keyring, current
from accounts.safeguards.fields import SealedBytes, SealedField, SealedText
from accounts.safeguards.sealing import HEADER, DoesNotOpen, key_of

BATCH = 5_000
# Of what is no personal field a reader wants states, amounts, numbers and dates; never ids of people, hashes, secrets.
FACTS = (
    models.BooleanField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,
)
INTERNAL = ("an id", "ids and", "a hash", "a keyed hash", "names of rules", "fixed words")
Position = tuple[dt.datetime, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One row as its customer may see it: id, time, and values by field name; None where there is nothing."""

    id: Any
    at: dt.datetime
    fields: dict[str, Any]

    @property
    def place(self) -> Position:
        """Where it stands in the order of its table."""
        return self.at, self.id


class Shown(NamedTuple):
    """One field that a customer is shown: its name, its label, whether it is a file, whether a page masks it."""

    name: str
    label: str
    is_file: bool = False
    masked: bool = False


def shown_fields(model: Model) -> list[Shown]:
    """Return the fields of a model that its customer is shown, personal ones first, files last."""
    entry = declaration(model)
    personal = [
        Shown(name, str(held.label), _is_file(model, name), held.masked)
        for name, held in entry.fields.items()
        if Audience.CUSTOMER in held.shown
    ]
    facts = [
        Shown(field.name, _label(field))
        for field in model._meta.fields
        if model.__dict__.get("personal") is entry and _is_fact(field, entry)
    ]
    return sorted([*personal, *facts], key=lambda field: field.is_file)


def kept_back(model: Model) -> list[str]:
    """Return the labels of the personal fields of a model that its customer is not shown."""
    fields = declaration(model).fields.values()
    return [str(held.label) for held in fields if Audience.CUSTOMER not in held.shown]


def records(
    model: Model,
    account_id: UUID,
    cutoffs: Mapping[str, dt.datetime],
    *,
    after: Position | None = None,
    before: Position | None = None,
    limit: int | None = None,
) -> Iterator[Record]:
    """Yield the records of a model that the account's customer may see, by time and then id, newest first.

    `after` goes on behind a place, `before` goes back from one, nearest first. Past the schedule, removed, or under a
    key that is destroyed means not there. Values of files are not among the fields: `file` reads one.
    """
    if Audience.CUSTOMER not in declaration(model).shown:
        return
    names = [field.name for field in shown_fields(model) if not field.is_file]
    make = partial(zip, names, strict=True)
    start, newest_first = (after, True) if before is None else (before, False)
    key = model._meta.pk
    for batch in opened(model, account_id, cutoffs, names, after=start, limit=limit, newest_first=newest_first):
        for row_id, at, values in batch:
            yield Record(key.to_python(row_id), at, dict(make(values)))


def file(model: Model, account_id: UUID, row_id: Any, name: str) -> bytes | None:
    """Return the content of a file of a record, or None where there is none or it was erased."""
    row = shown(model, account_id, {}).filter(pk=row_id).only("pk", name, "account").first()
    try:
        return cast("bytes | None", getattr(row, name)) if row is not None else None
    except KeyDestroyed:
        return None


Row = tuple[Any, dt.datetime, list[Any]]
Columns = list[tuple[Any, ...]]


def opened(
    model: Model,
    account_id: UUID,
    cutoffs: Mapping[str, dt.datetime],
    names: list[str],
    *,
    after: Position | None = None,
    limit: int | None = None,
    newest_first: bool = False,
    fetch: Callable[[Any], Columns] | None = None,
) -> Iterator[list[Row]]:
    """Yield batches of (id as text, time, values of `names`) with sealed values open, by time and id, oldest first."""
    time, fetch = declaration(model).time, fetch or fetched
    fields = [cast("models.Field[Any, Any]", model._meta.get_field(name)) for name in names]
    open_batch = _opener(model, fields)
    left = limit
    while left is None or left > 0:
        size = BATCH if left is None else min(BATCH, left)
        found = _after(shown(model, account_id, cutoffs), time, after, newest_first)
        columns = fetch(found.values_list(Cast("pk", models.TextField()), time, *names)[:size])
        if not columns:
            return
        yield open_batch(columns)
        after = columns[1][-1], columns[0][-1]
        read = len(columns[0])
        left = None if left is None else left - read
        if read < size:
            return


def fetched(rows: Any) -> Columns:
    """Return the columns as the driver gives them: no instance, and no lazy value, is made of a million rows."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(zip(*cursor.fetchall(), strict=True))


def fetched_in_binary(rows: Any) -> Columns:
    """Return the same in the binary protocol, which halves the bytes and the parsing: for an export's many rows."""
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


def _opener(model: Model, fields: list[models.Field[Any, Any]]) -> Callable[[Columns], list[Row]]:
    """Return what opens the sealed columns of a batch, with the keys it has met."""
    ring, ciphers = current(), dict[bytes, AESGCM | None]()
    sealed = [
        (place + 2, f"{model._meta.db_table}.{field.column}.", cast(Any, field))
        for place, field in enumerate(fields)
        if isinstance(field, SealedField)
    ]

    def open_batch(columns: Columns) -> list[Row]:
        used = {bytes(box[1:17]) for place, _bound, _field in sealed for box in columns[place] if box is not None}
        _fetch_keys(ring, used - ciphers.keys(), ciphers)
        gone = {key for key in used if ciphers[key] is None}
        if gone:
            columns = _without(columns, [place for place, _bound, _field in sealed], gone)
        ids, values = columns[0], list(columns[2:])
        for place, bound, field in sealed:
            values[place - 2] = _open_column(ids, columns[place], bound, field, ciphers)
        each = zip(*values, strict=True) if values else (() for _ in ids)
        return [(row_id, at, list(row)) for row_id, at, row in zip(ids, columns[1], each, strict=True)]

    return open_batch


def _without(columns: Columns, places: list[int], gone: set[bytes]) -> Columns:
    """Leave out the rows that hold anything under a destroyed key: they are erased."""
    rows = [
        row
        for row in zip(*columns, strict=True)
        if not any(row[place] is not None and bytes(row[place][1:17]) in gone for place in places)
    ]
    return list(zip(*rows, strict=True)) if rows else [() for _ in columns]


def _open_column(
    ids: tuple[Any, ...], boxes: tuple[Any, ...], bound: str, field: Any, ciphers: Mapping[bytes, AESGCM | None]
) -> tuple[Any, ...]:
    """Open one column of a batch; a million rows pass here, hence the local names."""
    read = bytes.decode if type(field) is SealedText else field.from_bytes
    known = {key: cipher.decrypt for key, cipher in ciphers.items() if cipher is not None}
    try:
        return tuple(
            [
                None
                if box is None
                else read(known[box[1:17]](box[17:HEADER], box[HEADER:], f"{bound}{row_id}".encode()))
                for row_id, box in zip(ids, boxes, strict=True)
            ]
        )
    except InvalidTag:
        raise DoesNotOpen(f"A value of {bound} does not open: it was altered or comes from elsewhere.") from None


def _fetch_keys(ring: Keyring, wanted: set[bytes], ciphers: dict[bytes, AESGCM | None]) -> None:
    """Fetch the keys of a batch in one query; one that was destroyed leaves nothing to read."""
    ids = {key: key_of(b"\x01" + key) for key in wanted}
    for key_id in ids.values():
        ring.note(key_id)
    for key, key_id in ids.items():
        try:
            ciphers[key] = AESGCM(ring.key(key_id))
        except KeyDestroyed:
            ciphers[key] = None


def _is_file(model: Model, name: str) -> bool:
    return isinstance(model._meta.get_field(name), SealedBytes)


def _is_fact(field: models.Field[Any, Any], entry: Personal) -> bool:
    if field.primary_key or field.name in {*entry.fields, entry.time, "removed_at"}:
        return False
    if isinstance(field, FACTS) or field.choices:
        return True
    reason = entry.plain.get(field.name, "")
    return isinstance(field, models.CharField) and field.editable and bool(reason) and not reason.startswith(INTERNAL)


def _label(field: models.Field[Any, Any]) -> str:
    words = str(field.verbose_name).removesuffix(" at")
    return words[:1].upper() + words[1:]
