"""Deleting rows of a batch under the lock: whole categories, a limited number, or what a period leaves free.

Each statement is refused by the guards if anything active covers what it takes. Counts come with the deletes.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models

from accounts import datamap
from accounts.datamap import Audience, Category
from retention import schedule
from retention.covering import covers

Pair = tuple[UUID, str]


@dataclass
class Claim:
    """What a batch may do, decided under the lock: whole categories, and categories that a period holds in part."""

    free: dict[Pair, UUID] = field(default_factory=dict)
    partly: dict[Pair, UUID] = field(default_factory=dict)


class Gone(NamedTuple):
    """How many rows of a table went, and how many of these the customer could see (silence.md, S7)."""

    rows: int
    shown: int


Counts = dict[tuple[UUID, str, str], Gone]


def delete_whole(claim: Claim, at: dt.datetime) -> Counts:
    """Delete in one combined statement, one DELETE per table, counts by RETURNING."""
    free: dict[str, list[UUID]] = defaultdict(list)
    for account_id, category in claim.free:
        free[category].append(account_id)
    deletes, counts, params = [], [], list[Any]()
    for number, (model, entry) in enumerate(datamap.governed().items()):
        ids = free.get(entry.category.value)
        if ids:
            table, (shown, cutoff) = model._meta.db_table, _shown(model, at)
            taken = f"DELETE FROM {table} t WHERE account_id = ANY(%s) RETURNING account_id, {shown} AS shown"
            deletes.append(f"d{number} AS ({taken})")
            counts.append(
                f"SELECT account_id, '{entry.category.value}', '{table}', count(*), count(*) FILTER (WHERE shown) "
                f"FROM d{number} GROUP BY account_id"
            )
            params += [ids, *cutoff]
    if not deletes:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(deletes)} {' UNION ALL '.join(counts)}", params)
        return {(account_id, category, table): Gone(*n) for account_id, category, table, *n in cursor.fetchall()}


def _shown(model: type[models.Model], at: dt.datetime) -> tuple[str, list[dt.datetime]]:
    """Return as SQL with its parameters whether a row `t` is one the customer could see, as `datamap.shown` has it."""
    entry, conditions, params = datamap.entries()[model], ["true"], list[dt.datetime]()
    if Audience.CUSTOMER not in entry.shown:
        conditions.append("false")
    if any(each.name == "removed_at" for each in model._meta.fields):
        conditions.append("t.removed_at IS NULL")
    cutoff = schedule.cutoffs(at).get(entry.clock)
    if cutoff is not None:
        conditions.append(f"t.{datamap.time_column(model)} >= %s")
        params.append(cutoff)
    return " AND ".join(conditions), params


def delete_chunk(claim: Claim, at: dt.datetime, chunk: int) -> Counts:
    """Delete at most `chunk` rows, children before their parents."""
    left = chunk
    found: Counts = {}
    for model, entry in datamap.governed().items():
        table = model._meta.db_table
        for account_id, category in claim.free:
            # Contact data goes with the whole statement, which reads the address for the last mail first.
            if category != entry.category or category == Category.CONTACT or left <= 0:
                continue
            some = f"t.ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE account_id = %s LIMIT %s))"
            gone = _delete_where(model, some, [account_id, left], at)
            if gone.rows:
                found[account_id, category, table] = gone
                left -= gone.rows
    return found


def _delete_where(model: type[models.Model], where: str, params: list[Any], at: dt.datetime) -> Gone:
    shown, cutoff = _shown(model, at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH d AS (DELETE FROM {model._meta.db_table} t WHERE {where} RETURNING {shown} AS shown) "
            "SELECT count(*), count(*) FILTER (WHERE shown) FROM d",
            [*params, *cutoff],
        )
        return Gone(*cursor.fetchone())


def delete_outside_periods(claim: Claim, at: dt.datetime) -> Counts:
    """Delete what a period-scoped hold does not cover; a parent stays while a covered child does."""
    found: Counts = {}
    for model, entry in datamap.governed().items() if claim.partly else ():
        table = model._meta.db_table
        covered = covers(f"'{entry.category.value}'", moment=f"t.{datamap.time_column(model)}")
        children = "".join(
            f" AND NOT EXISTS (SELECT 1 FROM {child} c WHERE c.{column} = t.{key})"
            for child, column, key in datamap.children(model)
        )
        for account_id, category in claim.partly:
            if category != entry.category:
                continue
            free = f"NOT EXISTS (SELECT 1 FROM retention_hold h WHERE h.account_id = t.account_id AND {covered})"
            gone = _delete_where(model, f"t.account_id = %s{children} AND {free}", [account_id], at)
            if gone.rows:
                found[account_id, category, table] = gone
    return found
