"""Deletes what ends by its own clock: browser sessions past their date, stored answers of the API after a
week.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from accounts import idempotency
from accounts.models import Session


def expire(at: dt.datetime | None = None) -> int:
    """Delete what has ended at `at`; return how many rows."""
    at = at or timezone.now()
    sessions, _per_model = Session.objects.filter(expire_date__lt=at).delete()
    return sessions + idempotency.forget(at)
