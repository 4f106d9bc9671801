"""Following a privacy request without a sign-in: what a browser that gave the code may open, for an hour.

The session keeps the request's id and never the code; the reference it made last is kept to fill the form.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from retention import proving
from retention.following import AN_HOUR
from retention.models import PrivacyRequest

SESSION = "asks"
LAST = "asked"


def remember(request: HttpRequest, asked: PrivacyRequest) -> None:
    """Let this browser open the request for an hour."""
    request.session[SESSION] = {str(asked.pk): int(timezone.now().timestamp()) + AN_HOUR}


def is_remembered(request: HttpRequest, asked: PrivacyRequest) -> bool:
    """Return whether this browser gave the code less than an hour ago."""
    now = timezone.now()
    until = request.session.get(SESSION, {}).get(str(asked.pk), 0)
    return bool(until > now.timestamp()) and proving.follows(asked, now)


def note_reference(request: HttpRequest, asked: PrivacyRequest) -> None:
    """Remember the reference that this browser was given."""
    request.session[LAST] = asked.reference


def last_reference(request: HttpRequest) -> str:
    """Return the reference that this browser was given last, or nothing."""
    return str(request.session.get(LAST, ""))
