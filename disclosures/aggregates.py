"""Figures for partners without identities (P13): declared questions about closed quarters, counts of accounts only.

A figure is shown only when ten accounts or more stand behind it, when it differs from every earlier one of the same
place by nothing or by ten or more, and when no hidden figure follows from those that are shown, whatever sums are
made of them. Each question has one answer per quarter, frozen: asking again gives the same table.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

import rfc8785
from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import User
from accounts.safeguards import ledger
from disclosures.models import AggregateTable

# Fewer accounts than this are somebody: the figure is hidden.
FEWEST = 10
ALL = "all"

Place = tuple[str, str]
Counts = Mapping[Place, int]


@dataclass(frozen=True)
class Query:
    """One declared question. `sql` gives (row, column, accounts) of the quarter from `since` up to `until`."""

    name: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    sql: str


QUERIES = {
    query.name: query
    for query in (
        Query(
            "accounts-by-services",
            "Open accounts by number of running services and by age",
            ("no service", "1 service", "2 to 5 services", "6 services or more"),
            ("under 1 year", "1 to 3 years", "over 3 years"),
            """
            SELECT CASE WHEN s.running IS NULL THEN 'no service' WHEN s.running = 1 THEN '1 service'
                        WHEN s.running <= 5 THEN '2 to 5 services' ELSE '6 services or more' END,
                   CASE WHEN a.created_at > %(until)s - interval '1 year' THEN 'under 1 year'
                        WHEN a.created_at > %(until)s - interval '3 years' THEN '1 to 3 years'
                        ELSE 'over 3 years' END,
                   count(*)
              FROM accounts_account a
              LEFT JOIN (SELECT t.account_id, count(*) AS running FROM accounts_service t
                          WHERE t.started_at < %(until)s
                            AND coalesce(least(t.stops_at, t.closing_stops_at), 'infinity') >= %(until)s
                          GROUP BY 1) s ON s.account_id = a.id
             WHERE a.created_at < %(until)s AND coalesce(a.closed_at, 'infinity') >= %(until)s
             GROUP BY 1, 2""",
        ),
        Query(
            "accounts-by-invoices",
            "Accounts with an invoice in the quarter, by its sum and by how it was settled",
            ("under 50 USD", "50 to 200 USD", "over 200 USD"),
            ("all paid", "not all paid"),
            """
            SELECT CASE WHEN i.cents < 5000 THEN 'under 50 USD' WHEN i.cents <= 20000 THEN '50 to 200 USD'
                        ELSE 'over 200 USD' END,
                   CASE WHEN i.is_paid THEN 'all paid' ELSE 'not all paid' END,
                   count(*)
              FROM (SELECT v.account_id, sum(v.total_cents) AS cents,
                           bool_and(v.state = 'paid' AND v.settled_at < %(until)s) AS is_paid
                      FROM accounts_invoice v
                     WHERE v.issued_at >= %(since)s AND v.issued_at < %(until)s AND v.state <> 'void'
                     GROUP BY 1) i
             GROUP BY 1, 2""",
        ),
    )
}


def quarter(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Return when the quarter "2026-Q3" begins and when the next one does (UTC); NotActionable for anything else."""
    year, _, part = text.partition("-Q")
    if not (
        year.isascii() and year.isdigit() and len(year) == 4 and part in {"1", "2", "3", "4"} and int(year) >= 2000
    ):
        raise NotActionable("Name a quarter as 2026-Q3.")
    month = 3 * (int(part) - 1) + 1
    ends = (int(year) + 1, 1) if month == 10 else (int(year), month + 3)
    return dt.datetime(int(year), month, 1, tzinfo=dt.UTC), dt.datetime(*ends, 1, tzinfo=dt.UTC)


def closed_quarters(at: dt.datetime, most: int = 4) -> list[str]:
    """Return the newest quarters that had ended at `at`, newest first."""
    year, part = at.year, (at.month - 1) // 3
    found: list[str] = []
    while len(found) < most:
        year, part = (year - 1, 4) if part == 0 else (year, part)
        found.append(f"{year}-Q{part}")
        part -= 1
    return found


def make(query: str, period: str, *, by: User, at: dt.datetime | None = None) -> AggregateTable:
    """Return the one table of a declared question about a closed quarter, made now if it was not made before.

    Raises NotActionable for a question that is not declared, or a quarter that has not ended.
    """
    at = at or timezone.now()
    asked = QUERIES.get(query)
    if asked is None:
        raise NotActionable(f"There is no such question. Choose one of: {', '.join(sorted(QUERIES))}.")
    since, until = quarter(period)
    if until > at:
        raise NotActionable(f"The quarter {period} has not ended. Its figures can be made from {until:%-d %B %Y} on.")
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # One at a time: a second one finds the first one's table, and both know the same earlier figures.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('disclosures.aggregate'))")
        if table := AggregateTable.objects.filter(query=query, period=period).first():
            return table
        rows = published(asked, _count(asked, since, until), _earlier(query))
        table = AggregateTable.objects.create(
            query=query,
            period=period,
            rows=rows,
            sha256=hashlib.sha256(rfc8785.dumps(rows)).hexdigest(),
            made_by=by.pk,
            made_at=at,
        )
        hidden = sum(row["count"] is None for row in rows)
        ledger.record(by.actor, "aggregate.made", table.pk, at=at, query=query, period=period, hidden=hidden)
    return table


def _count(query: Query, since: dt.datetime, until: dt.datetime) -> dict[Place, int]:
    with connection.cursor() as cursor:
        cursor.execute(query.sql, {"since": since, "until": until})
        return {(row, column): count for row, column, count in cursor.fetchall()}


def _earlier(query: str) -> dict[Place, list[int]]:
    found: dict[Place, list[int]] = {}
    for rows in AggregateTable.objects.filter(query=query).values_list("rows", flat=True):
        for row in rows:
            if row["count"] is not None:
                found.setdefault((row["row"], row["column"]), []).append(row["count"])
    return found


def published(query: Query, counts: Counts, earlier: Mapping[Place, Sequence[int]]) -> list[dict[str, Any]]:
    """Return every figure of the table with its sums, None where it is hidden."""
    full = _with_sums(query, counts)
    hidden = {place for place, count in full.items() if not _may_stand(count, earlier.get(place, ()))}
    equations = list(_equations(query))
    while more := _also_to_hide(full, hidden, equations):
        hidden |= more
    return [
        {"row": row, "column": column, "count": None if (row, column) in hidden else count}
        for (row, column), count in full.items()
    ]


def _with_sums(query: Query, counts: Counts) -> dict[Place, int]:
    full = {(row, column): counts.get((row, column), 0) for row in query.rows for column in query.columns}
    for row in query.rows:
        full[row, ALL] = sum(full[row, column] for column in query.columns)
    for column in (*query.columns, ALL):
        full[ALL, column] = sum(full[row, column] for row in query.rows)
    return full


def _may_stand(count: int, before: Iterable[int]) -> bool:
    return count >= FEWEST and all(abs(count - other) >= FEWEST or count == other for other in before)


def _equations(query: Query) -> Iterator[list[Place]]:
    """Yield the places of each line; the last one is the sum of the others."""
    for row in (*query.rows, ALL):
        yield [(row, column) for column in (*query.columns, ALL)]
    for column in (*query.columns, ALL):
        yield [(row, column) for row in (*query.rows, ALL)]


def _also_to_hide(full: Counts, hidden: set[Place], equations: Sequence[Sequence[Place]]) -> set[Place]:
    """Return a further place to hide where what is hidden could be found out, or nothing.

    A hidden figure is found out when the lines determine it, and as good as found out when all that is hidden of a line
    is fewer accounts than one figure may stand for.
    """
    for line in equations:
        unknown = [place for place in line if place in hidden]
        known = [place for place in line if place not in hidden]
        parts = [place for place in unknown if place != line[-1]]
        is_small = bool(parts) and line[-1] not in hidden and sum(full[place] for place in parts) < FEWEST
        if known and (len(unknown) == 1 or is_small):
            return {min(known, key=lambda place: (ALL in place, full[place], place))}
    for place in sorted(determined(hidden, equations)):
        known = sorted({each for line in equations if place in line for each in line} - hidden)
        if known:
            return {min(known, key=lambda each: (ALL in each, full[each], each))}
    return set()


def determined(hidden: Iterable[Place], equations: Sequence[Sequence[Place]]) -> set[Place]:
    """Return the hidden places whose figure follows from the shown ones: by elimination over the lines."""
    unknown = sorted(hidden)
    matrix = []
    for line in equations:
        weights = [Fraction((place in line) * (-1 if place == line[-1] else 1)) for place in unknown]
        if any(weights):
            matrix.append(weights)
    found, rank = set(), 0
    for column in range(len(unknown)):
        pivot = next((i for i in range(rank, len(matrix)) if matrix[i][column]), None)
        if pivot is None:
            continue
        matrix[rank], matrix[pivot] = matrix[pivot], matrix[rank]
        by = matrix[rank][column]
        matrix[rank] = [value / by for value in matrix[rank]]
        for i, other in enumerate(matrix):
            if i != rank and other[column]:
                factor = other[column]
                matrix[i] = [value - factor * base for value, base in zip(other, matrix[rank], strict=True)]
        rank += 1
    for weights in matrix[:rank]:
        filled = [place for place, weight in zip(unknown, weights, strict=True) if weight]
        if len(filled) == 1:
            found.add(filled[0])
    return found


def of(table_id: UUID) -> AggregateTable:
    """Return a table by its id; NotActionable when there is none."""
    table = AggregateTable.objects.filter(pk=table_id).first()
    if table is None:
        raise NotActionable("There is no such table of figures.")
    return table
