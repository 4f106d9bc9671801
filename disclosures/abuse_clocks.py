"""How long a customer has to answer a notice of abuse, and when material goes and comes back (P17-P19).

The numbers stand in the schedule. Hours run through; business days end with the day in the portal's time zone, on the
federal calendar, whatever daylight saving does. All times are aware, and every clock begins with an accepted delivery.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from accounts.safeguards.calendar import add_business_days
from disclosures.models import CaseKind, Severity
from retention import schedule

END_OF_DAY = dt.time(23, 59, 59)
# Kinds of which the material goes first, before anybody is suspended.
MATERIAL_FIRST = frozenset({CaseKind.DMCA.value, CaseKind.NCII.value})


@dataclass(frozen=True)
class PutBack:
    """The days of a counter-notice: not before, usually, and not after (17 USC 512(g)(2)(C))."""

    first: dt.date
    usual: dt.date
    latest: dt.date


def name_of(kind: str, severity: int) -> str:
    """Return the number of the schedule that a case's time to answer follows: by its urgency, then by its kind."""
    if severity >= Severity.HIGH:
        return "answer_urgent"
    return "answer_soon" if kind == CaseKind.SPAM else "answer_notice"


def act_by(kind: str, severity: int, since: dt.datetime) -> dt.datetime:
    """Return by when an answer is due whose clock began `since`; never later than an answer can be due at all."""
    return min(_after(name_of(kind, severity), since), _later(since, "answer_due"))


def extended(kind: str, severity: int, until: dt.datetime, sent_at: dt.datetime) -> dt.datetime:
    """Return the later day that one extension gives: the same time once more."""
    return min(_after(name_of(kind, severity), until), _later(sent_at, "answer_due"))


def material_by(kind: str, since: dt.datetime, opened_at: dt.datetime) -> dt.datetime | None:
    """Return when we disable the material ourselves, or None where the case is about none.

    Intimate images are gone 48 hours after the report, however late the customer was told (PL 119-12).
    """
    if kind not in MATERIAL_FIRST:
        return None
    usual = _later(since, "material")
    if kind != CaseKind.NCII:
        return usual
    return max(since + dt.timedelta(minutes=1), min(usual, _later(opened_at, "images")))


def material_due(kind: str, by: dt.datetime | None, opened_at: dt.datetime) -> dt.datetime | None:
    """Return when material is disabled at the latest: images 48 hours after the report, delivered or not (PL 119-12).

    `by` is what follows from the delivery. Whoever takes no mail of ours would keep them up otherwise.
    """
    if kind != CaseKind.NCII:
        return by
    images = _later(opened_at, "images")
    return min(by, images) if by is not None else images


def remind_at(since: dt.datetime, until: dt.datetime) -> dt.datetime:
    """Return when somebody is reminded of an answer that is due: with a quarter of the time left."""
    return until - (until - since) / 4


def put_back(received_at: dt.datetime) -> PutBack:
    """Return the days of a counter-notice that came at this moment; the day itself does not count."""
    day = timezone.localtime(received_at, timezone.get_default_timezone()).date()
    return PutBack(
        add_business_days(day, schedule.number("put_back_from")),
        add_business_days(day, schedule.number("put_back")),
        add_business_days(day, schedule.number("put_back_latest")),
    )


def forward_by(received_at: dt.datetime) -> dt.datetime:
    """Return by when a counter-notice is forwarded."""
    return _after("forward", received_at)


def today(at: dt.datetime) -> dt.date:
    """Return the day at `at` in the portal's time zone."""
    return timezone.localtime(at, timezone.get_default_timezone()).date()


def _later(since: dt.datetime, name: str) -> dt.datetime:
    """Return the moment a span after another: in UTC, where an hour is an hour whatever daylight saving does."""
    return since.astimezone(dt.UTC) + schedule.span(name)


def _after(name: str, since: dt.datetime) -> dt.datetime:
    if schedule.NUMBERS[name].unit != "business days":
        return _later(since, name)
    zone = timezone.get_default_timezone()
    last = add_business_days(timezone.localtime(since, zone).date(), schedule.number(name))
    return dt.datetime.combine(last, END_OF_DAY, tzinfo=zone)
