"""The records of a customer: what page, export and API read, each row with the fields they may show.

Files are left where they are until somebody asks for one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import models

from accounts.datamap.columns import Position, opened
from accounts.datamap.declaring import Personal
from accounts.datamap.reading import Model, declaration, shown
from accounts.datamap.words import Audience
from accounts.keys.keyring import KeyDestroyed
from accounts.safeguards.fields import SealedBytes

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
        Shown(field.name, str(entry.facts.get(field.name) or _label(field)))
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
    for columns in opened(model, account_id, cutoffs, names, after=start, limit=limit, newest_first=newest_first):
        for row_id, at, *values in zip(*columns, strict=True):
            yield Record(key.to_python(row_id), at, dict(make(values)))


def file(model: Model, account_id: UUID, row_id: Any, name: str) -> bytes | None:
    """Return the content of a file of a record, or None where there is none or it was erased."""
    row = shown(model, account_id, {}).filter(pk=row_id).only("pk", name, "account").first()
    try:
        return cast("bytes | None", getattr(row, name)) if row is not None else None
    except KeyDestroyed:
        return None


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
