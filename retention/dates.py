"""Which moments anybody may give: admin and API refuse the others alike, with a sentence and before anything is done.

A moment far away is a typing error, and near the ends of the calendar it has no UTC time at all.
"""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import ValidationError
from django.forms.utils import from_current_timezone
from django.utils import timezone

EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
FARTHEST = dt.timedelta(days=50 * 365)
# No payment processor takes evidence a year after it asked, or asks for it a year ahead.
EVIDENCE = dt.timedelta(days=366)
CLOCKS_CHANGE = "The clocks change on this day: this time exists twice or not at all. Give one two hours away."


def moment_of(local: dt.datetime) -> dt.datetime:
    """Return the moment of a time without a zone, in the zone in use; raise ValidationError for none, or for two."""
    try:
        return from_current_timezone(local)
    except ValidationError:
        raise ValidationError(CLOCKS_CHANGE) from None


def refuse_unlikely(at: dt.datetime) -> None:
    """Raise ValidationError for a moment before 2000 or more than 50 years ahead."""
    if not EARLIEST <= at <= timezone.now() + FARTHEST:
        raise ValidationError("Give a date between 1 January 2000 and 50 years from now.")


def refuse_unlikely_evidence(at: dt.datetime) -> None:
    """Raise ValidationError for evidence due more than a year ago or ahead."""
    now = timezone.now()
    if not now - EVIDENCE < at < now + EVIDENCE:
        raise ValidationError("Give a date at most a year away from today.")
