"""Visiting the customer pages: a signed-in browser, the SQL a page causes, and pages without what is random."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.keys.identifiers import uuid7
from accounts.models import User
from retention.models import DeletionRequest
from tests.cast import PASSWORD, prove

RANDOM = (
    (re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"'), "TOKEN"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b(DEL|EXP|INV|OPN|ORD|PRV|SEC|TIC)-[0-9A-Z]{4}-[0-9A-Z]{4}\b"), r"\1-REFERENCE"),
)


def signed_in(user: User) -> Client:
    """Return a browser in which the user is signed in; staff with a second factor."""
    return entered(Client(), user)


def entered(visitor: Any, user: User) -> Any:
    """Sign the user in as a real sign-in does, in this browser: by password, and staff by a second factor too."""
    visitor.force_login(user, backend="accounts.signing_in.IdentifierBackend")
    session = visitor.session
    prove(session, user)
    session.came_from = {"ip": "127.0.0.1", "browser": ""}
    session.save()
    return visitor


def confirmed(user: User) -> Client:
    """Return a browser in which the user is signed in and gave the password a moment ago."""
    visitor = signed_in(user)
    session = visitor.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return visitor


def long_signed_in(user: User) -> Client:
    """Return a browser in which the user signed in so long ago that sensitive steps ask for the password again."""
    visitor = signed_in(user)
    session = visitor.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 86_400}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return visitor


def text(answer: HttpResponse) -> str:
    """Return a page without what is random in every one; of a download, what kind it is."""
    if not answer.headers.get("Content-Type", "text/").startswith("text/"):
        return str(answer.headers["Content-Type"])
    page = answer.content.decode()
    for pattern, instead in RANDOM:
        page = pattern.sub(instead, page)
    return page


def words(answer: HttpResponse) -> str:
    """Return what a reader sees of a page, in one line."""
    main = re.search(r"<main.*</main>", answer.content.decode(), re.DOTALL)
    assert main is not None
    return " ".join(re.sub(r"<[^>]+>", " ", main[0]).replace("&#x27;", "'").split())


@contextmanager
def sql() -> Iterator[list[str]]:
    """Collect the statements of both databases."""
    found: list[str] = []
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in ("default", "keys")]
        yield found
    found += [query["sql"] for capture in captured for query in capture.captured_queries]


def close_in(visitor: Client, **changed: str) -> HttpResponse:
    """Send the last check as the browser would; return the answer."""
    typed = {"password": PASSWORD, "kept": "on", "submission": str(uuid7()), **changed}
    return visitor.post(reverse("retention:delete_check"), typed)


def find_in(visitor: Client, reference: str, code: str, follow: bool = False) -> HttpResponse:
    """Send the form for following a deletion."""
    return visitor.post(reverse("retention:delete_find"), {"reference": reference, "code": code}, follow=follow)


def status_of(request: DeletionRequest) -> str:
    """Return the address of a request's status page."""
    return reverse("retention:delete_status", args=[request.reference])


def cancel_of(request: DeletionRequest) -> str:
    """Return the address of a request's cancel page."""
    return reverse("retention:delete_cancel", args=[request.reference])
