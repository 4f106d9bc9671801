"""The clocks of a privacy request by the law it goes by: when receipt is confirmed, when the answer is due, once more.

Calendar days, business days and months are different units; all count from the receipt, whenever the person was
verified (11 CCR 7021(b)). A day ends at the time of day at which the request came, so that none is shorter.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from accounts.safeguards.calendar import add_business_days, add_months
from retention import schedule
from retention.models.privacy import Regime, Right
from retention.schedule import NUMBERS


def after(at: dt.datetime, name: str) -> dt.datetime:
    """Return the moment that lies a number of the schedule after `at`, in the unit of that number."""
    local, count = timezone.localtime(at), schedule.number(name)
    unit = NUMBERS[name].unit
    if unit == "business days":
        local = dt.datetime.combine(add_business_days(local.date(), count), local.timetz())
    elif unit == "months":
        local = add_months(local, count)
    elif unit == "calendar days":
        local += dt.timedelta(days=count)
    else:
        return at + schedule.span(name)
    return local.astimezone(dt.UTC)


def confirm_by(at: dt.datetime) -> dt.datetime:
    """Return by when the receipt of a request that came at `at` is confirmed."""
    return after(at, "confirm")


def expected_by(right: str, regime: str, at: dt.datetime) -> dt.datetime:
    """Return by when a request that came at `at` is answered."""
    if right == Right.OPT_OUT:
        return after(at, "opt_out")
    return after(at, "answer_gdpr" if regime == Regime.GDPR else "answer")


def extended(regime: str, expected: dt.datetime) -> dt.datetime:
    """Return the new due date when the time is extended, once."""
    return after(expected, "extension_gdpr" if regime == Regime.GDPR else "extension")


def cleaned_at(status: str, ended_at: dt.datetime) -> dt.datetime:
    """Return when the words of a request that ended so are no longer shown, and go."""
    return after(ended_at, "answered" if status in {"fulfilled", "denied"} else "dropped")


def deleted_at(ended_at: dt.datetime) -> dt.datetime:
    """Return when even the record without words goes."""
    return after(ended_at, "request_records")


def records_since(at: dt.datetime) -> dt.datetime:
    """Return the end of the oldest request whose record is still shown at `at`."""
    return add_months(at, -schedule.number("request_records"))
