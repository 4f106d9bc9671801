"""Counting days: business days leave out weekends and US federal holidays; a day that is none rolls on."""

from __future__ import annotations

import datetime as dt

import pytest

from accounts.safeguards.calendar import add_business_days, end_of_year, is_business_day, rolled


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-11-23", True),  # a Monday
        ("2026-11-21", False),  # Saturday
        ("2026-11-22", False),  # Sunday
        ("2026-11-26", False),  # Thanksgiving
        ("2026-11-27", True),  # the day after is no federal holiday
        ("2026-12-25", False),
        ("2026-07-03", False),  # 4 July is a Saturday: observed on Friday
        ("2027-07-05", False),  # 4 July is a Sunday: observed on Monday
        ("2026-06-19", False),  # Juneteenth
        ("2021-12-31", False),  # New Year's Day of the next year, observed
        ("2026-02-16", False),  # Washington's Birthday
        ("2026-11-11", False),  # Veterans Day
    ],
)
def test_weekends_and_federal_holidays_are_no_business_days(text: str, is_one: bool):
    assert is_business_day(day(text)) is is_one


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2026-11-23", 0, "2026-11-23"),
        ("2026-11-23", 1, "2026-11-24"),
        ("2026-11-20", 1, "2026-11-23"),  # Friday to Monday
        ("2026-11-21", 1, "2026-11-23"),  # from a Saturday
        ("2026-11-23", 10, "2026-12-08"),  # over Thanksgiving
        ("2026-12-24", 1, "2026-12-28"),  # over Christmas and a weekend
        ("2026-12-31", 1, "2027-01-04"),  # over New Year
    ],
)
def test_business_days_are_counted_from_the_day_after(start: str, count: int, end: str):
    assert add_business_days(day(start), count) == day(end)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("2026-11-23", "2026-11-23"),
        ("2026-11-21", "2026-11-23"),
        ("2026-11-26", "2026-11-27"),
        ("2026-12-25", "2026-12-28"),
    ],
)
def test_a_last_day_that_is_no_business_day_rolls_on(text: str, on: str):
    assert rolled(day(text)) == day(on)


@pytest.mark.parametrize("text", ["2028-02-29", "2026-01-01", "2026-12-31"])
def test_a_year_ends_on_its_last_day(text: str):
    assert end_of_year(day(text)) == dt.date(day(text).year, 12, 31)


def test_counting_goes_one_by_one():
    start = day("2026-01-01")
    for count in range(1, 260):
        assert add_business_days(start, count) == add_business_days(add_business_days(start, count - 1), 1)
