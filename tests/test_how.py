"""How we keep our policy: one row per clause, numbers of today, and tests that exist (clauses.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from disclosures import clauses
from tests.visiting import words

TESTS = Path(__file__).parent


def missing() -> list[str]:
    """Return the tests that rows name and nobody wrote."""
    named = {name for row in clauses.rows() for name in row.shown_by}
    return sorted(name for name in named if not (TESTS / name).is_file())


def test_there_is_one_row_per_clause_in_order() -> None:
    assert [row.id for row in clauses.rows()] == [f"P{number}" for number in range(1, 32)]


def test_every_row_names_tests_that_exist() -> None:
    assert all(row.shown_by for row in clauses.rows())
    assert missing() == []


def test_a_row_that_names_no_test_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = clauses.Clause("P1", "says", "does", ("test_of_nobody.py",))
    monkeypatch.setattr(clauses, "CLAUSES", (planted,))

    assert missing() == ["test_of_nobody.py"]


@pytest.mark.django_db
def test_the_page_shows_each_clause_with_todays_numbers(settings) -> None:
    settings.SCHEDULE_OVERRIDES = {"signals": [61, "a shorter time for the test"]}

    answer = Client().get("/privacy/how/")

    said = words(answer)
    assert answer.status_code == 200
    assert all(f"{row.id}. {row.says}" in said and row.does in said for row in clauses.rows())
    assert "expires after 61 days" in said and "%(" not in said
