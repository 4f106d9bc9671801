"""Calendar arithmetic: calendar days, business days (US federal holidays) and days rolled to the next business day.

The numbers themselves stand in `retention.schedule`; here is only how to count.
"""

from __future__ import annotations

import calendar
import datetime as dt
from functools import lru_cache

import holidays


@lru_cache(maxsize=1)
def _federal() -> holidays.HolidayBase:
    return holidays.country_holidays("US")


def is_business_day(day: dt.date) -> bool:
    """Return whether `day` is neither a weekend day nor a US federal holiday, observed days included."""
    return day.weekday() < 5 and day not in _federal()


def add_business_days(day: dt.date, count: int) -> dt.date:
    """Return the `count`-th business day after `day`; the day itself does not count."""
    while count > 0:
        day += dt.timedelta(days=1)
        count -= is_business_day(day)
    return day


def rolled(day: dt.date) -> dt.date:
    """Return `day`, or the next business day when it is none (FRCP 6(a)(1)(C))."""
    while not is_business_day(day):
        day += dt.timedelta(days=1)
    return day


def end_of_year(day: dt.date) -> dt.date:
    """Return 31 December of the year of `day`."""
    return dt.date(day.year, 12, 31)


def add_months(at: dt.datetime, count: int) -> dt.datetime:
    """Return `at` moved by calendar months; a day that the month does not have becomes its last one."""
    years, month = divmod(at.month - 1 + count, 12)
    year, month = at.year + years, month + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
