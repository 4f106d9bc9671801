"""The API of the shop: orders and invoices by scoped tokens, strict JSON, one effect per key, nothing personal back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import invoicing, ordering
from accounts.issuing import issue
from accounts.keys.identifiers import uuid7
from accounts.models import Invoice, InvoiceLine, Order, OrderLine, OrderSignals, User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry
from accounts.scopes import Holder, carried_by
from retention.closing import close
from tests.cast import DAY, make_customer, make_invoice, make_staff, order_in_review

pytestmark = pytest.mark.usefixtures("committed")

ORDERS = "/api/v1/orders/"
INVOICES = "/api/v1/invoices/"
Send = Callable[..., Any]


@pytest.fixture
def ada() -> User:
    return make_staff("ada", "administrator")


@pytest.fixture
def secret(ada: User) -> str:
    return issue("shop", sorted(carried_by(Holder.SYSTEM)), by=ada, days=90)[1]


@pytest.fixture
def regular() -> User:
    return make_customer("regina", at=timezone.now() - 365 * DAY)


@pytest.fixture
def send(secret: str) -> Send:
    def call(path: str, body: Any = None, key: str = "", token: str = secret) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            return Client().get(path, headers=headers)
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        headers["Idempotency-Key"] = key or str(uuid4())
        return Client().post(path, data, content_type="application/json", headers=headers)

    return call


def ordered(user: User, /, **changes: Any) -> dict[str, Any]:
    assert user.account is not None
    body = {
        "account": user.account.number,
        "shop_reference": "S-2026-1",
        "currency": "USD",
        "lines": [{"plan": "web-2", "text": "Web hosting", "quantity": 2, "unit_cents": 1290}],
        "signals": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0 Firefox/128.0", "referrer": "https://s.example/"},
    }
    return {**body, **changes}


def billed(user: User, /, **changes: Any) -> dict[str, Any]:
    assert user.account is not None
    lines = [{"text": "Support", "quantity": 1, "unit_cents": 9000}]
    return {"account": user.account.number, "lines": lines, "due_days": 30, **changes}


# Orders.


def test_the_shop_places_an_order_and_reads_how_it_stands(regular: User, send: Send):
    answer = send(ORDERS, ordered(regular))

    assert answer.status_code == 201, answer.content
    order, invoice = Order.objects.get(), Invoice.objects.get()
    assert answer.json() == {
        "reference": order.reference,
        "account": regular.account.number,
        "state": "accepted",
        "currency": "USD",
        "total_cents": 2580,
        "placed_at": mock.ANY,
        "decided_at": mock.ANY,
        "invoice": invoice.number,
    }
    read = send(f"{ORDERS}{order.reference}/")
    assert (read.status_code, read.json()) == (200, answer.json())
    assert LedgerEntry.objects.get(action="order.placed").actor.startswith("token:")


def test_an_order_in_review_shows_neither_score_nor_reason(alice: User, send: Send):
    answer = send(ORDERS, ordered(alice, signals={"user_agent": "curl/8.1"}))

    assert answer.status_code == 201
    assert answer.json()["state"] == "review" and answer.json()["invoice"] is None
    assert set(answer.json()) == set(send(f"{ORDERS}{answer.json()['reference']}/").json())
    assert not {"score", "reasons", "signals"} & set(answer.json())


def test_an_unknown_account_or_order_is_404(regular: User, send: Send):
    assert send(ORDERS, ordered(regular, account="999999998")).status_code == 404
    assert send(f"{ORDERS}ORD-2222-2222/").status_code == 404
    assert not IdempotencyRecord.objects.exists()


def test_a_closed_account_orders_and_is_billed_nothing(regular: User, send: Send):
    close(regular.account_id, by=regular, submission=uuid7())
    for path, body in ((ORDERS, ordered(regular)), (INVOICES, billed(regular))):
        answer = send(path, body)
        assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
        assert "is closed" in answer.json()["detail"]


def test_the_same_shop_reference_gives_the_same_order_back(regular: User, send: Send):
    first, again = (send(ORDERS, ordered(regular)) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() and Order.objects.count() == 1
    other = send(ORDERS, ordered(regular, currency="EUR"))
    assert other.status_code == 409 and "S-2026-1" not in other.content.decode()


# Invoices.


def test_the_shop_issues_an_invoice_and_reads_it_in_the_list(regular: User, send: Send):
    answer = send(INVOICES, billed(regular))

    assert answer.status_code == 201, answer.content
    invoice = Invoice.objects.get()
    assert answer.json() == {
        "number": invoice.number,
        "account": regular.account.number,
        "state": "issued",
        "currency": "USD",
        "total_cents": 9000,
        "issued_at": mock.ANY,
        "due_at": mock.ANY,
        "settled_at": None,
    }
    listed = send(INVOICES).json()
    assert listed == {"next": None, "previous": None, "results": [answer.json()]}
    assert "Regina" not in json.dumps(listed)


def test_the_list_is_narrowed_and_comes_in_pages_that_lose_nothing(regular: User, alice: User, send: Send):
    for number in range(60):
        make_invoice(regular, at=timezone.now() - number * DAY)
    other = make_invoice(alice)

    first = send(f"{INVOICES}?account={regular.account.number}&limit=50").json()
    make_invoice(regular)
    second = send(first["next"].removeprefix(settings.PORTAL_ORIGIN)).json()

    numbers = [row["number"] for row in first["results"] + second["results"]]
    assert len(numbers) == len(set(numbers)) == 60 and other.number not in numbers
    assert second["next"] is None
    assert send(f"{INVOICES}?state=paid").json()["results"] == []
    assert (
        send(f"{INVOICES}?state=issued&account={alice.account.number}").json()["results"][0]["number"] == other.number
    )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("state=lost", 400),
        ("account=12", 400),
        ("account=１２３４５６７８９", 400),
        ("account=999999998", 404),
        ("page=2", 400),
        ("state=paid&state=issued", 400),
        ("limit=101", 400),
        ("cursor=%00", 400),
        ("cursor=nonsense", 400),
        # Our own, but of a place that no row of this world was ever at: the list begins or ends there.
        ("cursor=WzAsMCwiMjAyNi0wMS0wMVQwMDowMDowMCswMDowMCIsIjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIl0", 200),
    ],
)
def test_a_list_that_cannot_be_asked_for(regular: User, send: Send, query: str, status: int):
    make_invoice(regular)
    answer = send(f"{INVOICES}?{query}")
    assert answer.status_code == status, answer.content
    assert "nonsense" not in answer.content.decode() and "lost" not in answer.content.decode()


def test_a_read_of_the_list_costs_few_statements_and_opens_no_key(
    regular: User, send: Send, django_assert_max_num_queries: Any
):
    for _ in range(20):
        make_invoice(regular)
    with django_assert_max_num_queries(4):
        assert len(send(INVOICES).json()["results"]) == 20


# Once.


@pytest.mark.parametrize(("path", "make"), [(ORDERS, ordered), (INVOICES, billed)])
def test_a_repeated_key_has_one_effect_and_another_body_is_422(regular: User, send: Send, path: str, make: Any):
    first, again = (send(path, make(regular), key="k-1") for _ in range(2))

    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Invoice.objects.count() == 1
    assert send(path, make(regular, currency="EUR"), key="k-1").status_code == 422
    assert Invoice.objects.count() == 1


@pytest.mark.parametrize(("path", "make"), [(ORDERS, ordered), (INVOICES, billed)])
def test_a_repeat_after_a_crash_finds_what_was_done(regular: User, send: Send, path: str, make: Any):
    first = send(path, make(regular), key="k-1")
    # The process died between the act and its answer: a claim a minute old, without one.
    IdempotencyRecord.objects.update(status=None, answer=None, created_at=timezone.now() - DAY)

    again = send(path, make(regular), key="k-1")

    assert again.json() == first.json() and again.status_code in {200, 201}
    assert Invoice.objects.count() == 1


def test_two_systems_may_use_the_same_key(regular: User, ada: User, send: Send):
    other = issue("other shop", ["invoices:write"], by=ada, days=1)[1]
    for token in ({}, {"token": other}):
        assert send(INVOICES, billed(regular), key="k-1", **token).status_code == 201
    assert Invoice.objects.count() == 2


def test_a_key_is_needed(regular: User, secret: str):
    answer = Client().post(
        INVOICES,
        json.dumps(billed(regular)),
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 400 and not Invoice.objects.exists()


def test_nothing_personal_is_kept_about_the_call(regular: User, send: Send):
    send(ORDERS, ordered(regular), key="203.0.113.9")
    left = json.dumps(list(IdempotencyRecord.objects.values_list("answer", "key")))
    left += "".join(LedgerEntry.objects.values_list("body", flat=True))
    for word in ("203.0.113.9", "Firefox", "s.example", "S-2026-1", "Web hosting", "Regina"):
        assert word not in left


# Who may.


@pytest.mark.parametrize("scope", sorted(carried_by(Holder.SYSTEM)))
def test_a_scope_opens_its_own_door_and_no_other(regular: User, ada: User, send: Send, scope: str):
    order = order_in_review(regular)
    token = issue("narrow", [scope], by=ada, days=1)[1]
    doors = {
        "orders:write": (ORDERS, ordered(regular)),
        "orders:read": (f"{ORDERS}{order.reference}/", None),
        "invoices:write": (INVOICES, billed(regular)),
        "invoices:read": (INVOICES, None),
    }
    opened = {name for name, (path, body) in doors.items() if send(path, body, token=token).status_code < 300}
    assert opened == {scope} & set(doors)


def test_without_a_token_nothing_opens(regular: User, send: Send):
    for path, body in ((ORDERS, ordered(regular)), (INVOICES, billed(regular)), (INVOICES, None)):
        cache.clear()
        assert send(path, body, token="ccp_none").status_code == 401
    assert not Order.objects.exists() and not Invoice.objects.exists()


# Bad input: named fields, never the values, and nothing stored.

LINE = {"plan": "web", "text": "Web", "quantity": 1, "unit_cents": 1}
BAD_ORDERS: dict[str, tuple[dict[str, Any], int]] = {
    "unknown field": ({"coupon": "x"}, 400),
    "unknown field of a line": ({"lines": [{**LINE, "discount": 1}]}, 400),
    "unknown field of the signals": ({"signals": {"device": "x"}}, 400),
    "no lines": ({"lines": []}, 422),
    "lines are no list": ({"lines": {"0": LINE}}, 422),
    "101 lines": ({"lines": [LINE] * 101}, 422),
    "quantity 0": ({"lines": [{**LINE, "quantity": 0}]}, 422),
    "quantity below 0": ({"lines": [{**LINE, "quantity": -1}]}, 422),
    "quantity as text": ({"lines": [{**LINE, "quantity": "１２"}]}, 422),
    "quantity true": ({"lines": [{**LINE, "quantity": True}]}, 422),
    "a price with a fraction": ({"lines": [{**LINE, "unit_cents": 1.5}]}, 422),
    "a price below 0": ({"lines": [{**LINE, "unit_cents": -1}]}, 422),
    "a price of 2^53": ({"lines": [{**LINE, "unit_cents": 2**53}]}, 422),
    "a price of 2^63": ({"lines": [{**LINE, "unit_cents": 2**63}]}, 422),
    "a total too large": ({"lines": [{**LINE, "unit_cents": 10**11 - 1, "quantity": 2}]}, 422),
    "a card in a line": ({"lines": [{**LINE, "text": "Card 4242 4242 4242 4242"}]}, 422),
    "a card as plan": ({"lines": [{**LINE, "plan": "4242424242424242"}]}, 422),
    "a card as reference": ({"shop_reference": "4242424242424242"}, 422),
    "a reference of nothing": ({"shop_reference": "  "}, 422),
    "a reference too long": ({"shop_reference": "x" * 121}, 422),
    "a text too long": ({"lines": [{**LINE, "text": "x" * 301}]}, 422),
    "an address that is none": ({"signals": {"ip": "999.1.1.1"}}, 422),
    "an address with a name": ({"signals": {"ip": "evil.example"}}, 422),
    "an agent without end": ({"signals": {"user_agent": "x" * 4001}}, 422),
    "signals that are none": ({"signals": None}, 422),
    "a currency of small letters": ({"currency": "usd"}, 422),
    "an account of other digits": ({"account": "１２３４５６７８９"}, 422),
    "an account as number": ({"account": 10**400}, 422),
}


@pytest.mark.parametrize(("changed", "status"), BAD_ORDERS.values(), ids=BAD_ORDERS.keys())
def test_a_bad_order_is_refused_whole(regular: User, send: Send, changed: dict[str, Any], status: int):
    answer = send(ORDERS, ordered(regular, **changed))

    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert "4242" not in answer.content.decode() and "evil" not in answer.content.decode()
    assert not Order.objects.exists() and not OrderSignals.objects.exists() and not IdempotencyRecord.objects.exists()


BAD_INVOICES: dict[str, tuple[dict[str, Any], int]] = {
    "unknown field": ({"billed_to": {"name": "x"}}, 400),
    "unknown field of a line": ({"lines": [{"text": "a", "unit_cents": 1, "tax": 1}]}, 400),
    "nothing to pay": ({"lines": [{"text": "a", "unit_cents": 0}]}, 422),
    "due before": ({"due_days": -1}, 422),
    "due in 10^9 days": ({"due_days": 10**9}, 422),
    "due in 1e309 days": ({"due_days": 10**15}, 422),
    "due as a date": ({"due_days": "0001-01-01"}, 422),
    "a card": ({"lines": [{"text": "4242-4242-4242-4242", "unit_cents": 1}]}, 422),
    "lines of numbers": ({"lines": [1, 2]}, 422),
}


@pytest.mark.parametrize(("changed", "status"), BAD_INVOICES.values(), ids=BAD_INVOICES.keys())
def test_a_bad_invoice_is_refused_whole(regular: User, send: Send, changed: dict[str, Any], status: int):
    answer = send(INVOICES, billed(regular, **changed))
    assert answer.status_code == status, answer.content
    assert "4242" not in answer.content.decode() and not Invoice.objects.exists()


@pytest.mark.parametrize(
    "body",
    ["{", '{"account": "1", "account": "2"}', '{"due_days": NaN}', '{"due_days": 1e309}', "[" * 10_000, "[]", "null"],
)
@pytest.mark.parametrize("path", [ORDERS, INVOICES])
def test_what_is_no_object_is_refused(send: Send, path: str, body: str):
    assert send(path, body).status_code in {400, 422}


def test_the_limits_themselves_are_taken(regular: User, send: Send):
    lines = [{**LINE, "text": "x" * 300, "unit_cents": (10**11 - 1) // 100}] * 100
    answer = send(ORDERS, ordered(regular, lines=lines, shop_reference="y" * 120))
    assert answer.status_code == 201, answer.content
    assert OrderLine.objects.count() == InvoiceLine.objects.count() == 100
    assert Order.objects.get().total_cents <= invoicing.LARGEST
    assert len(Order.objects.get().shop_reference or "") == ordering.LONGEST_REFERENCE


def test_the_documentation_names_every_door():
    found = Client().get("/api/schema/", headers={"accept": "application/json"}).json()["paths"]
    assert set(found["/api/v1/orders/"]) == {"post"} and set(found["/api/v1/orders/{reference}/"]) == {"get"}
    assert set(found["/api/v1/invoices/"]) == {"get", "post"}
