"""The budgets of every page a customer may open: statements, requests and size, for an account with something in it."""

from __future__ import annotations

import gzip
import re
import secrets

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from accounts.keys.identifiers import uuid7
from accounts.models import User
from disclosures import transparency
from retention import cancelling, closing
from tests.cast import PASSWORD, ask_something, furnish, make_customer, owe
from tests.legal import make_recipient
from tests.matrix import written
from tests.pairing import BY_MAIL, NOT_FOR_CUSTOMERS, Side, addresses, queries
from tests.passkeys import give_passkey

pytestmark = pytest.mark.django_db

MOST_STATEMENTS = 12
MOST_REQUESTS = 3
MOST_BYTES = 20 * 1024
# Without the icon: browsers ask for it once a site.
ASSET = re.compile(r'(?:<link[^>]+rel="stylesheet"[^>]+href|<(?:script|img)[^>]+src)="([^"]+)"')
OPENED = {"200", "302"}


def of_customers() -> list[str]:
    """Return the pages that the access matrix opens for the people of an account."""
    rows = written().items()
    names = [name for name, row in rows if not name.startswith(NOT_FOR_CUSTOMERS) and row["own"] in OPENED]
    return sorted(set(names) - BY_MAIL - {"account_logout"})


@pytest.fixture
def side() -> Side:
    """A customer with something of everything, twice, and an invoice to pay."""
    user = furnish(furnish(make_customer("fiona")))
    owe(user)
    ask_something(user)
    give_passkey(user)
    make_recipient("partner")
    transparency.freeze("2026-H1", by="system")
    RecoveryCodes.activate(user)
    asked = closing.close(user.account_id, by=user, submission=uuid7()).request
    cancelling.cancel(asked.pk, by=user)
    return Side("fiona", User.objects.get(pk=user.pk), asked)


def over(page: str, content: bytes, statements: int, is_page: bool = True) -> list[str]:
    """Return a sentence for each budget that a page does not keep to, and by how much."""
    # A download is no page: it asks for nothing further, and is as large as it is.
    assets = set(ASSET.findall(content.decode())) if is_page else set()
    found = []
    if statements > MOST_STATEMENTS:
        found.append(f"{page}: {statements} statements, {statements - MOST_STATEMENTS} too many")
    if len(assets) + 1 > MOST_REQUESTS:
        found.append(f"{page}: {len(assets) + 1} requests, {len(assets) + 1 - MOST_REQUESTS} too many")
    size = len(gzip.compress(content)) + sum(_size(asset) for asset in assets)
    if is_page and size > MOST_BYTES:
        found.append(f"{page}: {size} bytes compressed, {size - MOST_BYTES} too many")
    return found


def _size(asset: str) -> int:
    path = finders.find(re.sub(r"^/static/|\?.*$", "", asset).replace("//", "/"))
    if not isinstance(path, str):
        # A name with a hash: the file it was made of.
        path = finders.find(re.sub(r"\.[0-9a-f]{12}(?=\.\w+$)", "", asset.removeprefix("/static/")))
    assert isinstance(path, str), f"{asset} is no file of ours"
    with open(path, "rb") as file:
        return len(gzip.compress(file.read()))


def confirmed(side: Side) -> Client:
    """Return a browser in which the customer has typed the password a moment ago."""
    visitor = side.visitor()
    visitor.post("/sign-in/confirm/", {"password": PASSWORD})
    return visitor


def address_of(side: Side, name: str) -> str:
    """Return where a page of the customer's is; a passkey's has its number."""
    if name in {"mfa_remove_webauthn", "mfa_edit_webauthn"}:
        return reverse(name, args=[Authenticator.objects.get(user=side.user, type=Authenticator.Type.WEBAUTHN).pk])
    return addresses(side).get(name) or reverse(name)


@pytest.mark.parametrize("name", of_customers())
def test_a_page_keeps_to_its_budgets(side, name):
    visitor, address = confirmed(side), address_of(side, name)

    with queries() as count:
        answer = visitor.get(address)

    assert answer.status_code in {200, 302, 410}, f"{name} answered {answer.status_code}"
    is_page = answer.headers.get("Content-Type", "text/html").startswith("text/html")
    assert over(name, b"" if answer.streaming else answer.content, count(), is_page) == []


def test_a_page_over_its_budgets_is_caught():
    """Negative control, in plain numbers."""
    content = b'<script src="/static/portal.js"></script>' + secrets.token_hex(30_000).encode()

    assert [line.split(": ")[1].split(" ")[1].rstrip(",") for line in over("x", content, 15)] == ["statements", "bytes"]
    assert over("x", b"<p>small</p>", 3) == []
