"""The clocks of notices over weekends, holidays, daylight saving and leap days, each day written out by hand."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from disclosures import abuse_clocks
from disclosures.models import CaseKind, Severity

CHICAGO = ZoneInfo("America/Chicago")
HOUR = dt.timedelta(hours=1)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=CHICAGO)


@pytest.fixture(autouse=True)
def in_chicago() -> None:
    assert str(timezone.get_default_timezone()) == "America/Chicago"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        # five business days, ending with the day
        ("2026-11-09 10:00", "2026-11-17 23:59:59"),  # Monday before Veterans Day (Wednesday the 11th)
        ("2026-11-20 23:30", "2026-11-30 23:59:59"),  # a Friday night before Thanksgiving (the 26th)
        ("2026-11-21 00:30", "2026-11-30 23:59:59"),  # a Saturday
        ("2026-12-24 09:00", "2027-01-04 23:59:59"),  # Christmas and New Year's Day between, and two weekends
        ("2028-02-25 12:00", "2028-03-03 23:59:59"),  # over 29 February
        ("2026-03-06 12:00", "2026-03-13 23:59:59"),  # over the beginning of daylight saving (8 March)
        ("2026-10-30 12:00", "2026-11-06 23:59:59"),  # over its end (1 November)
        ("2026-07-02 12:00", "2026-07-10 23:59:59"),  # 4 July on a Saturday is kept on Friday the 3rd
    ],
)
def test_business_days_end_with_the_day_in_chicago(since: str, until: str):
    assert abuse_clocks.act_by(CaseKind.DMCA, Severity.NORMAL, at(since)) == at(until)


@pytest.mark.parametrize("since", ["2026-03-07 12:00", "2026-10-31 12:00", "2028-02-28 23:00", "2026-12-25 08:00"])
def test_hours_run_through_whatever_the_calendar_does(since: str):
    until = abuse_clocks.act_by(CaseKind.PHISHING, Severity.HIGH, at(since))
    assert until.astimezone(dt.UTC) - at(since).astimezone(dt.UTC) == 24 * HOUR
    material = abuse_clocks.material_by(CaseKind.DMCA, at(since), at(since))
    assert material is not None and material.astimezone(dt.UTC) - at(since).astimezone(dt.UTC) == 24 * HOUR


@pytest.mark.parametrize(
    ("kind", "severity", "name"),
    [
        (CaseKind.DMCA, Severity.NORMAL, "answer_notice"),
        (CaseKind.TRADEMARK, Severity.NORMAL, "answer_notice"),
        (CaseKind.OTHER, Severity.LOW, "answer_notice"),
        (CaseKind.SPAM, Severity.NORMAL, "answer_soon"),
        (CaseKind.SPAM, Severity.HIGH, "answer_urgent"),
        (CaseKind.ATTACK, Severity.HIGH, "answer_urgent"),
        (CaseKind.MALWARE, Severity.HIGH, "answer_urgent"),
        (CaseKind.NCII, Severity.CRITICAL, "answer_urgent"),
        (CaseKind.DMCA, Severity.CRITICAL, "answer_urgent"),
    ],
)
def test_the_time_goes_by_urgency_then_by_kind(kind: str, severity: int, name: str):
    assert abuse_clocks.name_of(kind, severity) == name


def test_intimate_images_are_gone_48_hours_after_the_report_however_late_the_customer_was_told():
    opened = at("2026-11-27 08:00")
    assert abuse_clocks.material_by(CaseKind.NCII, opened + HOUR, opened) == opened + 25 * HOUR
    assert abuse_clocks.material_by(CaseKind.NCII, opened + 40 * HOUR, opened) == opened + 48 * HOUR
    late = opened + 90 * HOUR
    assert abuse_clocks.material_by(CaseKind.NCII, late, opened) == late + dt.timedelta(minutes=1)
    assert abuse_clocks.material_by(CaseKind.SPAM, opened, opened) is None


@pytest.mark.parametrize(
    ("signed", "first", "usual", "latest"),
    [
        ("2026-11-27 10:00", "2026-12-11", "2026-12-14", "2026-12-17"),
        ("2026-12-11 10:00", "2026-12-28", "2026-12-29", "2027-01-04"),  # Christmas and New Year's Day left out
        ("2026-11-27 23:59", "2026-12-11", "2026-12-14", "2026-12-17"),  # still the 27th here, the 28th in UTC
        ("2028-02-18 10:00", "2028-03-06", "2028-03-07", "2028-03-10"),  # Presidents' Day and a leap day
    ],
)
def test_put_back_is_between_business_day_ten_and_fourteen(signed: str, first: str, usual: str, latest: str):
    days = abuse_clocks.put_back(at(signed))
    assert [day.isoformat() for day in (days.first, days.usual, days.latest)] == [first, usual, latest]


def test_more_time_is_the_same_time_once_more_and_thirty_days_in_all():
    sent = at("2026-11-09 10:00")
    until = abuse_clocks.act_by(CaseKind.DMCA, Severity.NORMAL, sent)
    assert abuse_clocks.extended(CaseKind.DMCA, Severity.NORMAL, until, sent) == at("2026-11-24 23:59:59")
    late = sent + dt.timedelta(days=29)
    assert abuse_clocks.extended(CaseKind.DMCA, Severity.NORMAL, late, sent) == sent + dt.timedelta(days=30)


def test_a_reminder_comes_with_a_quarter_of_the_time_left():
    sent = at("2026-11-09 10:00")
    assert abuse_clocks.remind_at(sent, sent + 8 * HOUR) == sent + 6 * HOUR
