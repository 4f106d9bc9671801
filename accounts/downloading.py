"""The one way a file leaves: as a download under its own name, never shown as a page of the portal."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header

# What a file that is opened in the browser all the same may do: nothing, in an origin of its own.
POLICY = "sandbox; default-src 'none'"


def download(request: HttpRequest, name: str, media_type: str, content: bytes) -> HttpResponse:
    """Return `content` as an attachment named `name` (RFC 6266); it is stored by no cache and guessed at by nobody."""
    answer = HttpResponse(content, content_type=media_type)
    if media_type.startswith("text/"):
        answer["Content-Type"] = f"{media_type}; charset=utf-8"
    answer["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    answer["X-Content-Type-Options"] = "nosniff"
    # Set by hand, so that the middleware's policy for pages does not stand in for it.
    answer["Content-Security-Policy"] = POLICY
    answer["Cache-Control"] = "no-store, private"
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer
