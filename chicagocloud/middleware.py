"""Refuses what no page can read or take, before any of them looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.shortcuts import render

from accounts.uploading import accepts_files

NUL = "\x00"


class ReadableQueryMiddleware:
    """Answers 400 to a query with a NUL in it: the database takes none, so any page that asked it would break."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if any(NUL in text for name, values in request.GET.lists() for text in (name, *values)):
            raise SuspiciousOperation("The query of an address holds a NUL.")
        return self.get_response(request)


class RequestSizeMiddleware:
    """Answers 413 to a form with files that is larger than its page takes, before a byte of it is read.

    Django limits what is no file by itself, and files not at all. It stands before the check of the form's token,
    which reads the body.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Look at the declared length: the server reads no further than that."""
        if request.content_type != "multipart/form-data":
            return None
        most = settings.LARGEST_UPLOAD if accepts_files(view) else settings.LARGEST_REQUEST
        size = request.META.get("CONTENT_LENGTH") or "0"
        if size.isdecimal() and int(size) <= most:
            return None
        return render(request, "413.html", {"most": most // (1024 * 1024)}, status=413)


class OneHostMiddleware:
    """Answers 400 when a request says that it was meant for a host that is none of ours.

    Links are made from the configured origin, so the header changes nothing here; a cache in between may differ.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.get_host()
        forwarded = request.headers.get("X-Forwarded-Host")
        if forwarded is not None:
            host, _port = split_domain_port(forwarded)
            if not host or not validate_host(host, settings.ALLOWED_HOSTS):
                raise DisallowedHost("X-Forwarded-Host names a host that is not allowed.")
        return self.get_response(request)
