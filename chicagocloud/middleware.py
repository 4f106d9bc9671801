"""Refuses what no page can read, before any of them looks at it."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse

NUL = "\x00"


class ReadableQueryMiddleware:
    """Answers 400 to a query with a NUL in it: the database takes none, so any page that asked it would break."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if any(NUL in text for name, values in request.GET.lists() for text in (name, *values)):
            raise SuspiciousOperation("The query of an address holds a NUL.")
        return self.get_response(request)
