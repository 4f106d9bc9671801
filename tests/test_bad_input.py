"""Bad input gets an answer, never an error of the server (bad-input.md): pages signed in and not, and the API."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import issuing
from accounts.keys.identifiers import uuid7
from accounts.models import Session
from accounts.sessions import SessionStore
from retention import api
from tests.cast import PASSWORD, furnish, make_customer, make_staff
from tests.pairing import Side, addresses
from tests.visiting import signed_in

pytestmark = pytest.mark.django_db

NASTY = [
    "", " ", "\x00", "a\x00b", "\u202ea", "\ufeff", "\u200d", "🙂", "ß", "ı", "İ", "a" * 5000, "{{ 1 }}", "../../x",
    "²" * 9, "١" * 9, "１２３４５６７８９", "-1", "0", str(2**31), str(2**63), "1e309", "NaN", "9" * 5000,
    "0001-01-01", "9999-12-31T23:59:60Z", "a\r\nSet-Cookie: x=1", "=1+1", "'; DROP TABLE x; --", "%00", "%ff",
    "//evil.example", "/\\evil.example", "http://[", "http://[::1", "https:evil", "javascript:alert(1)", "//a@b",
    "a@b@c", "@", "a@", "a@xn--", "a@[127.0.0.1]", "a@.com", "a@x." + "y" * 300, "mıke@a.example", "ＭＩＫＥ@a.example",
    "DEL-", "DEL-\x00", "TIC-é", str(uuid4()).upper(), "{" + str(uuid4()) + "}",
]  # fmt: skip
TEXTS = st.sampled_from(NASTY) | st.text(max_size=40)
FUZZ = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FORMS = {
    "account_login": {"login": "marta", "password": PASSWORD, "next": "/"},
    "account_reset_password": {"email": "marta@marta.example"},
    "account_change_password": {"oldpassword": "x", "password1": "y", "password2": "z"},
    "account_reauthenticate": {"password": "x", "next": "/"},
    "retention:delete_find": {"reference": "DEL-2222-2222", "code": "x"},
    "retention:delete_check": {"password": "x", "kept": "on", "submission": str(uuid7())},
    "accounts:tickets": {"subject": "s", "body": "b", "submission": str(uuid7())},
    "accounts:ticket": {"body": "b", "submission": str(uuid7())},
    "accounts:invoice_pay": {"method": str(uuid4()), "submission": str(uuid7())},
}


@pytest.fixture
def side() -> Side:
    return Side("marta", furnish(make_customer("marta")))


@pytest.fixture
def visitors(side: Side) -> list[Client]:
    """A stranger and the customer, each in a browser that gets an error as a page."""
    found = [Client(), signed_in(side.user)]
    for visitor in found:
        visitor.raise_request_exception = False
    return found


def well(answer: Any) -> None:
    assert answer.status_code < 500, (answer.status_code, answer.request["PATH_INFO"], answer.request["QUERY_STRING"])
    cache.clear()


@FUZZ
@given(text=TEXTS)
def test_no_address_is_too_odd(side: Side, visitors: list[Client], text: str):
    here = addresses(side)
    for visitor in visitors:
        for address in here.values():
            well(visitor.get(address, {"next": text, "page": text, "x": text, text: "x"}))
        for page in ("/{}/", "/invoices/{}/", "/invoices/{}/pay/", "/tickets/{}/", "/delete/{}/", "/delete/{}/cancel/"):
            well(visitor.get(page.format(quote(text, safe=""))))
        for key in ("{}-set-password", "0-{}", "{0}-{0}"):
            well(visitor.get(f"/password/reset/{key.format(quote(text, safe=''))}/"))


@FUZZ
@given(text=TEXTS)
def test_no_field_is_too_odd(side: Side, visitors: list[Client], text: str):
    here = addresses(side)
    for visitor in visitors:
        for page, usual in FORMS.items():
            for name in usual:
                well(visitor.post(here[page], {**usual, name: text}))


@FUZZ
@given(raw=st.sampled_from([text.encode() for text in NASTY]) | st.binary(max_size=60))
def test_no_header_or_cookie_is_too_odd(visitors: list[Client], raw: bytes):
    text = raw.decode("latin-1")
    for visitor in visitors:
        for name in (
            "HTTP_ACCEPT_LANGUAGE", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_REFERER",
            "HTTP_HOST", "HTTP_ORIGIN", "HTTP_X_REQUESTED_WITH", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_IF_MODIFIED_SINCE",
        ):  # fmt: skip
            well(visitor.get("/", **{name: text}))
            well(visitor.post("/sign-in/", {"login": "x", "password": "x"}, **{name: text}))
        for cookie in (f"sessionid={text}", f'sessionid="{text}"', f"csrftoken={text}", f"messages={text}", text):
            well(Client(raise_request_exception=False).get("/", HTTP_COOKIE=cookie))
        for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json", text):
            well(visitor.generic("POST", "/sign-in/", raw, content_type=kind))


@pytest.mark.parametrize(
    "cookie",
    ['"aaaaaaaabbbb\\000"', "a" * 31, "A" * 32, "a" * 5000, "é" * 32, "' OR 1=1 --", '"' + "a" * 31 + '\\377"'],
)
def test_a_cookie_that_names_no_session_opens_none(cookie: str):
    visitor = Client(raise_request_exception=False)

    answer = visitor.get("/sign-in/", HTTP_COOKIE=f"sessionid={cookie}")

    assert answer.status_code == 200
    assert not Session.objects.exists()


def test_what_the_store_gives_out_opens_a_session(side: Side, visitors: list[Client]):
    """The control: the rule of a key's form fits the store's own keys."""
    key = visitors[1].session.session_key

    assert SessionStore(key).session_key == key
    assert visitors[1].get("/").status_code == 200


@pytest.mark.parametrize("target", ["http://[", "//[", "https://[::1", "http://]"])
def test_a_next_that_cannot_be_read_leads_to_ones_own_start_page(side: Side, target: str):
    visitor = Client(raise_request_exception=False)

    page = visitor.get(reverse("account_login"), {"next": target})
    answer = visitor.post(reverse("account_login"), {"login": "marta", "password": PASSWORD, "next": target})

    assert (page.status_code, answer.status_code, answer["Location"]) == (200, 302, "/")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.sampled_from([2**53, 10**25, -(10**20), 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def secret() -> str:
    return issuing.issue("billing", ["disputes:write"], by=make_staff("ada", "administrator"), days=30)[1]


def call(secret: str, body: bytes, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": str(uuid4()), **more}
    sender = Client(raise_request_exception=False)
    return sender.post("/api/v1/disputes/", body, content_type="application/json", headers=headers)


@FUZZ
@given(value=JSON)
def test_no_json_is_too_odd(side: Side, secret: str, value: Any):
    usual = {"account": side.user.account.number, "processor": "stripe", "reference": "du_1", "amount_cents": 5}
    bodies = [value, *({**usual, name: value} for name in (*usual, "currency", "reason", "evidence_due_at", "x"))]
    for body in bodies:
        answer = call(secret, json.dumps(body).encode())
        well(answer)
        assert answer.status_code < 400 or answer["Content-Type"] == "application/problem+json"


@FUZZ
@given(raw=st.binary(max_size=60))
def test_no_bytes_are_too_odd_for_the_api(secret: str, raw: bytes):
    text = raw.decode("latin-1")
    well(call(secret, raw))
    well(call(secret, b"{}", **{"Idempotency-Key": text}))
    well(call(secret, b"{}", Authorization=text))
    well(call(secret, b"{}", Authorization=f"Bearer {text}"))


BEYOND = [2**53, -(2**53), 10**25, 2**63]


@pytest.mark.parametrize("number", BEYOND)
@pytest.mark.parametrize("name", ["reference", "account"])
def test_a_whole_number_that_readers_disagree_about_is_refused(side: Side, secret: str, name: str, number: int):
    usual = {"account": side.user.account.number, "processor": "stripe", "reference": "du_1", "amount_cents": 5}

    answer = call(secret, json.dumps({**usual, name: number}).encode())

    # A number of an account has nine digits: its own rule refuses first.
    assert answer.status_code == (400 if name == "reference" else 422)
    assert answer["Content-Type"] == "application/problem+json"
    assert str(number) not in answer.content.decode()


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("canary"), 500), (OperationalError("canary"), 503)])
def test_what_breaks_in_the_api_is_a_problem_without_its_cause(side: Side, secret: str, error: Exception, status: int):
    usual = {"account": side.user.account.number, "processor": "stripe", "reference": "du_1", "amount_cents": 5}

    with mock.patch.object(api, "_open", side_effect=error):
        answer = call(secret, json.dumps(usual).encode())

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert "canary" not in answer.content.decode()
