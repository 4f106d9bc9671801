"""Figures for partners: nobody can be found in them, not in one table and not in the difference of two (P13)."""

from __future__ import annotations

import datetime as dt
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from django.db import Error, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.errors import NotActionable
from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from disclosures import aggregates
from disclosures.aggregates import ALL, FEWEST, QUERIES, Place, published
from disclosures.models import AggregateTable
from tests.cast import DAY, make_customer, make_staff, run_service

GRID = QUERIES["accounts-by-services"]
PLACES = [(row, column) for row in GRID.rows for column in GRID.columns]
LINES = list(aggregates._equations(GRID))
counts = st.dictionaries(st.sampled_from(PLACES), st.one_of(st.integers(0, 25), st.integers(0, 500)))


def shown(rows: list[dict[str, Any]]) -> dict[Place, int]:
    return {(row["row"], row["column"]): row["count"] for row in rows if row["count"] is not None}


def hidden(rows: list[dict[str, Any]]) -> set[Place]:
    return {(row["row"], row["column"]) for row in rows if row["count"] is None}


def found_by_an_attacker(rows: list[dict[str, Any]]) -> set[Place]:
    """Return what somebody with the table alone can work out of its hidden figures."""
    known, open_places = shown(rows), hidden(rows)
    found = aggregates.determined(open_places, LINES)
    for line in LINES:
        if line[-1] in known:
            parts = [place for place in line[:-1] if place in open_places]
            left = known[line[-1]] - sum(known.get(place, 0) for place in line[:-1])
            if parts and left < FEWEST:
                found |= set(parts)
    return found


@given(counts)
@settings(max_examples=300, deadline=None)
def test_no_hidden_figure_follows_from_the_shown_ones(numbers: dict[Place, int]) -> None:
    rows = published(GRID, numbers, {})
    assert all(count >= FEWEST for count in shown(rows).values())
    assert found_by_an_attacker(rows) == set()


@given(counts, st.dictionaries(st.sampled_from(PLACES), st.integers(-15, 15)))
@settings(max_examples=300, deadline=None)
def test_no_difference_of_two_releases_is_a_few_accounts(before: dict[Place, int], changes: dict[Place, int]) -> None:
    after = {place: max(0, before.get(place, 0) + changes.get(place, 0)) for place in PLACES}
    first = shown(published(GRID, before, {}))
    second = shown(published(GRID, after, {place: [count] for place, count in first.items()}))
    for place in first.keys() & second.keys():
        difference = abs(first[place] - second[place])
        assert difference == 0 or difference >= FEWEST


def test_control_without_the_second_step_somebody_is_found() -> None:
    full = aggregates._with_sums(GRID, dict.fromkeys(PLACES, 50) | {PLACES[0]: 3})
    rows = [
        {"row": row, "column": column, "count": None if count < FEWEST else count}
        for (row, column), count in full.items()
    ]
    assert found_by_an_attacker(rows) == {PLACES[0]}
    assert PLACES[0] not in found_by_an_attacker(published(GRID, dict.fromkeys(PLACES, 50) | {PLACES[0]: 3}, {}))


def test_control_two_releases_that_do_not_know_each_other_differ_by_one() -> None:
    one, other = dict.fromkeys(PLACES, 50), dict.fromkeys(PLACES, 50) | {PLACES[0]: 51}
    first, second = shown(published(GRID, one, {})), shown(published(GRID, other, {}))
    assert second[PLACES[0]] - first[PLACES[0]] == 1
    knowing = shown(published(GRID, other, {place: [count] for place, count in first.items()}))
    assert PLACES[0] not in knowing
    assert (ALL, ALL) not in knowing


def test_most_of_a_table_of_many_accounts_is_shown() -> None:
    rows = published(GRID, dict.fromkeys(PLACES, 200) | {PLACES[0]: 3}, {})
    assert len(hidden(rows)) == 4
    assert len(published(GRID, {}, {})) == len(hidden(published(GRID, {}, {}))) == 20


def test_sums_of_cells_of_two_tables_that_are_both_shown_are_never_of_a_few() -> None:
    rows = shown(published(GRID, {place: 10 * (i + 1) for i, place in enumerate(PLACES)}, {}))
    for one, other in combinations(rows.values(), 2):
        assert one + other >= FEWEST


# ------------------------------------------------------------------------------------------------- with a database


@pytest.fixture
def officer() -> User:
    return make_staff("paul", "privacy_officer")


def last_quarter() -> str:
    return aggregates.closed_quarters(timezone.now())[0]


@pytest.mark.django_db
def test_a_table_counts_accounts_as_they_stood() -> None:
    _, until = aggregates.quarter(last_quarter())
    users = [make_customer(name) for name in ("ada", "ben", "cleo")]
    for user in users[:2]:
        run_service(user, at=until - 10 * DAY)
    counted = aggregates._count(GRID, until - 90 * DAY, timezone.now() + DAY)
    assert counted == {("1 service", "under 1 year"): 2, ("no service", "under 1 year"): 1}


@pytest.mark.usefixtures("committed")
def test_it_is_made_once_and_frozen(officer: User) -> None:
    period = last_quarter()
    table = aggregates.make("accounts-by-services", period, by=officer)
    assert aggregates.make("accounts-by-services", period, by=officer).pk == table.pk
    assert LedgerEntry.objects.filter(action="aggregate.made").count() == 1
    for change in ({"rows": []}, {"sha256": "0"}):
        with pytest.raises(Error), transaction.atomic():
            AggregateTable.objects.filter(pk=table.pk).update(**change)
    with pytest.raises(Error), transaction.atomic():
        AggregateTable.objects.filter(pk=table.pk)._raw_delete("default")


@pytest.mark.usefixtures("committed")
def test_what_is_not_declared_or_not_over_is_refused_in_words(officer: User) -> None:
    now = timezone.now()
    running = f"{now.year}-Q{(now.month - 1) // 3 + 1}"
    for query, period, words in (
        ("customers", last_quarter(), "There is no such question"),
        ("accounts-by-services", running, "has not ended"),
        ("accounts-by-services", "2026-Q5", "Name a quarter"),
        ("accounts-by-services", "", "Name a quarter"),
    ):
        with pytest.raises(NotActionable, match=words):
            aggregates.make(query, period, by=officer)
    with pytest.raises(NotActionable):
        aggregates.of(uuid4())


def test_quarters_are_whole_and_closed() -> None:
    assert aggregates.closed_quarters(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 2) == ["2025-Q4", "2025-Q3"]
    assert aggregates.closed_quarters(dt.datetime(2026, 11, 26, tzinfo=dt.UTC), 1) == ["2026-Q3"]
    since, until = aggregates.quarter("2026-Q4")
    assert (since.month, until.year, until.month) == (10, 2027, 1)
