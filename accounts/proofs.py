"""What a browser session proves of its user: how they signed in, and how long ago.

The sign-in library notes every step in the session: the password, and each use of a second factor after its code or
signature was checked. These facts are sealed with the session and belong to one user; nothing here can be
switched on or off.
"""

from __future__ import annotations

import time
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY, get_authentication_records
from django.conf import settings
from django.http import HttpRequest

# How the library names the use of a passkey, of an app's code or of a recovery code.
SECOND_FACTOR = "mfa"


def records(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the noted steps of the signed-in user, oldest first; none of anybody else's."""
    user = request.user
    return list(get_authentication_records(request, user)) if user.is_authenticated else []


def used_second_factor(request: HttpRequest) -> bool:
    """Return whether the signed-in user has used a second factor in this session."""
    return any(record.get("method") == SECOND_FACTOR for record in records(request))


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the user has proved within the last ten minutes who they are, by any of their means."""
    noted = records(request)
    if not noted:
        return False
    return time.time() - float(noted[-1].get("at", 0)) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def second_factor_is_fresh(request: HttpRequest) -> bool:
    """Return whether the user has used a second factor within the last ten minutes."""
    used = [float(record.get("at", 0)) for record in records(request) if record.get("method") == SECOND_FACTOR]
    return bool(used) and time.time() - max(used) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def forget_second_factor(request: HttpRequest) -> None:
    """Drop what the session noted of second factors: one that was removed proves nothing any more."""
    noted = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY)
    if isinstance(noted, list):
        kept = [record for record in noted if record.get("method") != SECOND_FACTOR]
        request.session[AUTHENTICATION_METHODS_SESSION_KEY] = kept
