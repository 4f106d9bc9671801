"""Opens the keyring for one request: keys in clear live as long as the request and never longer. Counts page visits."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import visits
from accounts.keys.keyring import keyring
from accounts.keys.provider import KeyUnavailable


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
