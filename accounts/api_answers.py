"""What every answer of the API carries, whoever made it: never cached, what is left of the limit, and what ends.

An operation that will end is in the one table `DEPRECATED`: its answers then say since when (`Deprecation`, RFC 9745),
until when (`Sunset`, RFC 8594) and where to read on, and the documentation marks it. Versions live in the address
(`/api/v1/`); within one, fields are added and never taken away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.http import http_date

from accounts.api_limits import NOTED

PREFIX = "/api/"
VERSIONED = f"{PREFIX}v1/"
DOCS = f"{PREFIX}docs/"


@dataclass(frozen=True)
class Ending:
    """An operation that will end: since when that is known, and when it ends, if that is known too."""

    since: dt.datetime
    ends_at: dt.datetime | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The header fields that say so."""
        said = {"Deprecation": f"@{int(self.since.timestamp())}"}
        link = f'<{settings.PORTAL_ORIGIN}{DOCS}>; rel="deprecation"'
        if self.ends_at is not None:
            said["Sunset"] = http_date(self.ends_at.timestamp())
            link += f', <{settings.PORTAL_ORIGIN}{DOCS}>; rel="sunset"'
        return {**said, "Link": link}


# By method and name of the address, for instance ("POST", "api:open_dispute"). Nothing ends so far.
DEPRECATED: Mapping[tuple[str, str], Ending] = {}


class ApiAnswersMiddleware:
    """Stands outside everything that answers for the API, so that errors carry the same fields."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if request.path_info.startswith(PREFIX):
            _add(answer, getattr(getattr(request, NOTED, None), "headers", {}))
            _add(answer, getattr(ending_of(request), "headers", {}))
        if request.path_info.startswith(VERSIONED):
            patch_cache_control(answer, no_store=True, private=True)
            # Who asks decides what is answered: a cache that ignores the first rule still keeps callers apart.
            answer["Vary"] = "Authorization, Accept"
        return answer


def ending_of(request: HttpRequest) -> Ending | None:
    """Return the ending of the operation a request named, if it has one."""
    match = request.resolver_match
    if match is None or request.method is None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    return DEPRECATED.get((method, match.view_name))


def _add(answer: HttpResponse, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        answer[name] = value
