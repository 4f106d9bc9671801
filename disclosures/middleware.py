"""The privacy signal of a browser (`Sec-GPC: 1`) is an opt-out of sharing for whoever is signed in (P20).

Others ask no query. Of those with the signal the session remembers that it was noted.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.core.internal.httpkit import get_client_ip
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from disclosures import consenting

NOTED = "gpc_noted"


class SignalMiddleware:
    """Notes the signal at the first request of a session that carries it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note the signal before the page is made, so that the page shows it."""
        if request.headers.get("Sec-GPC", "").strip() == "1":
            _note(request)
        return self.get_response(request)


def _note(request: HttpRequest) -> None:
    user = request.user
    if not isinstance(user, User) or user.account_id is None or request.session.get(NOTED):
        return
    consenting.note_signal(user.account_id, by=user, ip=get_client_ip(request))
    request.session[NOTED] = True
