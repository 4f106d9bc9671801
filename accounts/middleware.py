"""What surrounds a request: the keyring, from where its session is used, the time zone of who reads the answer, the
count of page visits.

Keys in clear live as long as the request and never longer.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts import recording, visits
from accounts.keys.keyring import keyring
from accounts.keys.provider import KeyUnavailable
from accounts.sessions import SessionStore
from accounts.zones import zone_of


class KeyringMiddleware:
    """One ring around everything that reads sealed values; a key store that is away is a 503."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with keyring():
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 503 when the keys cannot be had; what was asked for was not done."""
        return render(request, "503.html", status=503) if isinstance(error, KeyUnavailable) else None


class PageVisitMiddleware:
    """Notes which page was shown, when the visitor may be counted; looks after the page is made, never before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if visits.is_counted(request, response):
            visits.note(request)
        return response


class PersonMiddleware:
    """Shows times in the zone the signed-in person chose, and notes from where their session is used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session = request.session
        assert isinstance(session, SessionStore)  # noqa: S101 - SESSION_ENGINE
        ip, browser = recording.origin(request)
        session.came_from = {"ip": ip, "browser": browser}
        with timezone.override(zone_of(request.user)):
            response = self.get_response(request)
        session.note_use(timezone.now())
        return response
