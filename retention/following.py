"""Following a deletion without sign-in: reference and code open its status, to read only (silence.md, S4).

An unknown reference, a wrong code and one whose time is over get the same answer after the same work. The
right ends some months after the request did (schedule, "code"). What a browser was shown it may go on reading
for an hour: its session keeps the request's id, never the code.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets

from django.http import HttpRequest
from django.utils import timezone

from accounts.safeguards.calendar import add_months
from retention import schedule
from retention.closing import code_digest
from retention.models import DeletionRequest

SESSION = "follows"
AN_HOUR = 3600
LONGEST = 40
NOBODYS = secrets.token_bytes(32)


def tidy(typed: str) -> str:
    """Return a reference as it is written in the mail, however it was typed."""
    letters = re.sub(r"[^0-9A-Z]", "", typed[:LONGEST].upper())
    return "-".join((letters[:3], letters[3:7], letters[7:]))


def find(typed_reference: str, typed_code: str, at: dt.datetime | None = None) -> DeletionRequest | None:
    """Return the request that reference and code open, or None."""
    at = at or timezone.now()
    asked = DeletionRequest.objects.filter(reference=tidy(typed_reference)).first()
    expected = bytes(asked.code_digest) if asked else NOBODYS
    is_right = secrets.compare_digest(code_digest(typed_code[:LONGEST]), expected)
    return asked if asked is not None and is_right and is_open(asked, at) else None


def is_open(asked: DeletionRequest, at: dt.datetime) -> bool:
    """Return whether the code still opens the request: until so many months after its end (schedule)."""
    ended = asked.cancelled_at or asked.finished_at
    return ended is None or at < add_months(ended, schedule.number("code"))


def remember(request: HttpRequest, asked: DeletionRequest) -> None:
    """Let this browser read the request's status for an hour."""
    until = int(timezone.now().timestamp()) + AN_HOUR
    request.session[SESSION] = {str(asked.pk): until}


def is_remembered(request: HttpRequest, asked: DeletionRequest) -> bool:
    """Return whether this browser gave the code less than an hour ago."""
    now = timezone.now()
    until = request.session.get(SESSION, {}).get(str(asked.pk), 0)
    return bool(until > now.timestamp()) and is_open(asked, now)
