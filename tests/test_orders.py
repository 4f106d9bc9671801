"""Placing orders: judged by declared rules, kept with what they were placed from, fulfilled once (P6, P7, P8, P11)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import redis
from django.core import mail
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils import timezone

from accounts import datamap, fraud, ordering
from accounts.datamap import Category, Purpose
from accounts.errors import NotActionable
from accounts.fraud import Facts
from accounts.keys.identifiers import uuid7
from accounts.models import (
    AccessEvent,
    Account,
    Correspondence,
    Invoice,
    InvoiceLine,
    Order,
    OrderLine,
    OrderSignals,
    PaymentMethod,
    Restriction,
    Service,
    User,
)
from accounts.ordering import OrderedLine, Signals
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import day_text, moment_text
from retention import closing, schedule, sweeping
from tests.cast import DAY, make_customer

pytestmark = pytest.mark.usefixtures("committed")

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
BROWSED = Signals("203.0.113.9", CHROME, "https://shop.example/plans/")
SCRIPTED = Signals("203.0.113.9", "python-requests/2.31", None)
LINES = [OrderedLine("Web hosting", 1290, 2, plan="web-2"), OrderedLine("Backup", 500, plan="backup-1")]


@pytest.fixture
def regular() -> User:
    """A customer of a year."""
    return make_customer("regina", at=timezone.now() - 365 * DAY)


def place(user: User, signals: Signals = BROWSED, lines: Any = LINES, **more: Any) -> Order:
    assert user.account_id is not None
    return ordering.place_order(user.account_id, lines=lines, signals=signals, by="system", **more)


def letter(event: str) -> mail.EmailMessage:
    outbox.relay()
    return next(one for one in mail.outbox if event in one.subject)


# What an accepted order brings about.


def test_an_ordinary_order_is_accepted_at_once_and_fulfilled(regular: User):
    order = place(regular, shop_reference="S-1")

    assert (order.state, order.score, order.reasons, order.decided_by) == ("accepted", 0, {}, "system")
    assert order.decided_at == order.placed_at and order.total_cents == 3080
    services = list(Service.objects.order_by("started_at", "pk"))
    assert [(one.name, one.plan, one.monthly_cents, one.order) for one in services] == [
        ("Web hosting", "web-2", 2580, order.pk),
        ("Backup", "backup-1", 500, order.pk),
    ]
    invoice = Invoice.objects.get()
    assert (invoice.order, invoice.total_cents, invoice.state) == (order.pk, 3080, "issued")
    billed = InvoiceLine.objects.order_by("created_at", "pk")
    assert [(line.service, line.quantity, line.unit_cents) for line in billed] == [
        (services[0].pk, 2, 1290),
        (services[1].pk, 1, 500),
    ]
    actions = LedgerEntry.objects.filter(subject=regular.account_id).values_list("action", flat=True)
    assert {"order.placed", "invoice.issued"} <= set(actions)


def test_the_confirmation_and_the_invoice_are_mailed(regular: User):
    order = place(regular)
    invoice = Invoice.objects.get()

    confirmed, billed = letter(f"accepted your order {order.reference}"), letter(f"invoice {invoice.number}")

    assert confirmed.to == billed.to == ["regina@regina.example"]
    assert f"You ordered on {moment_text(order.placed_at)}, for $30.80." in confirmed.body
    assert f"Pay invoice {invoice.number} by {day_text(invoice.due_at)}" in confirmed.body
    assert f"/orders/{order.reference}/" in confirmed.body
    assert "over $30.80" in billed.body and f"/invoices/{invoice.number}/" in billed.body
    assert Correspondence.objects.filter(account=regular.account_id).count() == 2
    assert not billed.attachments


def test_what_costs_nothing_is_not_billed(regular: User):
    order = place(regular, lines=[OrderedLine("Trial", 0, plan="trial")])

    assert order.state == "accepted" and Service.objects.count() == 1
    assert not Invoice.objects.exists()
    assert "It costs nothing" in letter(order.reference).body


def test_the_order_is_kept_with_what_it_was_placed_from(regular: User):
    order = place(regular, Signals("203.0.113.9", CHROME, "https://u:p@shop.example/plans/?name=Regina#top"))

    seen = OrderSignals.objects.get(order=order)
    assert (seen.ip, seen.user_agent, seen.browser, seen.system) == ("203.0.113.9", CHROME, "Chrome", "Windows")
    # Whatever stands behind the page may name a person: not needed, so not kept (P1).
    assert seen.referrer == "https://shop.example/plans/"
    event = AccessEvent.objects.get(kind=AccessEvent.Kind.ORDER)
    assert (event.account_id, event.ip, event.browser, event.at) == (
        regular.account_id,
        "203.0.113.9",
        CHROME,
        order.placed_at,
    )


@pytest.mark.parametrize(
    "signals",
    [
        Signals(),
        Signals("::1", "", ""),
        Signals(None, "x" * 3000, "javascript:alert(1)"),
        Signals(None, None, "http://["),
    ],
)
def test_signals_that_are_absent_or_odd_are_kept_as_nothing_or_cut(regular: User, signals: Signals):
    seen = OrderSignals.objects.get(order=place(regular, signals))

    assert len(seen.user_agent or "") <= 400
    assert (seen.referrer, seen.browser, seen.system) == (None, None, None)


def test_signals_that_look_like_a_card_are_left_out(regular: User):
    seen = OrderSignals.objects.get(
        order=place(regular, Signals(None, "4242 4242 4242 4242", "https://a.example/4242424242424242"))
    )

    assert (seen.user_agent, seen.referrer) == (None, None)


# Once.


def test_a_reference_of_the_shop_makes_one_order(regular: User):
    first, again = (place(regular, shop_reference="S-7") for _ in range(2))

    assert first.pk == again.pk
    assert (Order.objects.count(), Service.objects.count(), Invoice.objects.count()) == (1, 2, 1)
    # The reference itself is sealed, and found by a keyed hash of it.
    assert Order.objects.get().shop_reference == "S-7"


def test_a_reference_of_another_order_is_refused(regular: User, alice: User):
    place(regular, shop_reference="S-7")

    for user, lines in ((regular, LINES[:1]), (alice, LINES)):
        with pytest.raises(NotActionable, match="belongs to another order"):
            place(user, lines=lines, shop_reference="S-7")
    assert Order.objects.count() == 1


def test_without_a_reference_each_call_is_an_order(regular: User):
    assert place(regular).pk != place(regular).pk


# What is refused.

TOO_MANY = [OrderedLine("Web", 1, plan="web")] * 101


@pytest.mark.parametrize(
    "changed",
    [
        {"lines": []},
        {"lines": TOO_MANY},
        {"lines": [OrderedLine(" ", 1, plan="web")]},
        {"lines": [OrderedLine("x" * 301, 1, plan="web")]},
        {"lines": [OrderedLine("a\x00b", 1, plan="web")]},
        {"lines": [OrderedLine("Card 4242 4242 4242 4242", 1, plan="web")]},
        {"lines": [OrderedLine("Web", 1, plan="web 2")]},
        {"lines": [OrderedLine("Web", 1, plan="4242424242424242")]},
        {"lines": [OrderedLine("Web", 1, plan="ｗｅｂ")]},
        {"lines": [OrderedLine("Web", -1, plan="web")]},
        {"lines": [OrderedLine("Web", 1, 0, plan="web")]},
        {"lines": [OrderedLine("Web", 1, 10_001, plan="web")]},
        {"lines": [OrderedLine("Web", 10**11, plan="web")]},
        {"lines": [OrderedLine("Web", 10**10, plan="web")] * 10},
        {"currency": "usd"},
        {"currency": "USD\n"},
        {"currency": "ＵＳＤ"},
        {"shop_reference": "4242 4242 4242 4242"},
        {"shop_reference": "x" * 121},
        {"shop_reference": "a\x00b"},
        {"signals": Signals("300.1.1.1")},
        {"signals": Signals("203.0.113.0/24")},
    ],
)
def test_what_cannot_be_ordered_is_refused_and_nothing_is_kept(regular: User, changed: dict[str, Any]):
    with pytest.raises(ValidationError) as refusal:
        place(regular, **changed)
    assert "4242" not in str(refusal.value)
    assert not Order.objects.exists() and not AccessEvent.objects.filter(kind="order").exists()


def test_the_largest_order_there_can_be_is_taken(regular: User):
    order = place(regular, lines=[OrderedLine("Web", (10**11 - 1) // 100, plan="web")] * 100)
    assert order.total_cents == 99_999_999_900 and OrderLine.objects.count() == 100


def test_a_closed_account_orders_nothing(regular: User):
    closing.close(regular.account_id, by=regular, submission=uuid7())

    with pytest.raises(NotActionable, match="is closed: nothing is ordered"):
        place(regular)
    assert not Order.objects.exists()


def test_a_repeat_after_the_account_closed_still_finds_its_order(regular: User):
    first = place(regular, shop_reference="S-7")
    Invoice.objects.all().update(state="void", settled_at=timezone.now())
    closing.close(regular.account_id, by=regular, submission=uuid7())

    assert place(regular, shop_reference="S-7").pk == first.pk


# The judgement.


def test_at_the_threshold_an_order_waits_for_a_person(alice: User):
    order = place(alice, SCRIPTED)

    assert (order.state, order.score) == ("review", 55)
    assert order.reasons == {"no_browser": 35, "new_account": 20}
    assert (order.decided_at, order.decided_by) == (None, "")
    assert not Service.objects.exists() and not Invoice.objects.exists()
    told = letter(f"checking your order {order.reference}")
    assert f"By {moment_text(fraud.answer_by(order.placed_at))} we write" in told.body
    assert "python" not in told.body and "score" not in told.body.lower()


def test_the_threshold_is_an_operators_to_set_with_a_reason(alice: User, settings: Any):
    settings.FRAUD_OVERRIDES = {"threshold": [56, "we look at fewer"]}
    assert place(alice, SCRIPTED).state == "accepted"
    settings.FRAUD_OVERRIDES = {"threshold": [40, ""]}
    with pytest.raises(ImproperlyConfigured, match="threshold"):
        place(alice, SCRIPTED)


def test_whoever_restricts_the_use_is_not_scored_but_looked_at_by_a_person(regular: User):
    restricted = Restriction.objects.create(
        account_id=regular.account_id, purpose=Purpose.FRAUD, ground="objection", since=timezone.now()
    )
    order = place(regular)
    assert (order.state, order.score, order.reasons) == ("review", None, {})

    restricted.lifted_at = timezone.now()
    restricted.save(update_fields=["lifted_at"])
    assert place(regular).state == "accepted"


def test_a_restricted_order_is_not_counted_for_its_network_either(regular: User, redis_server: redis.Redis):
    Restriction.objects.create(
        account_id=regular.account_id, purpose=Purpose.FRAUD, ground="restriction", since=timezone.now()
    )
    place(regular)
    assert redis_server.keys("*") == []


QUIET = {"total_cents": 1290, "account_age": 365 * DAY, "user_agent": CHROME, "referrer": "https://shop.example/"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"from_network": 5}, []),
        ({"from_network": 6}, ["busy_network"]),
        ({"from_account": 5}, []),
        ({"from_account": 6}, ["many_orders"]),
        ({"account_age": dt.timedelta(hours=24)}, []),
        ({"account_age": dt.timedelta(hours=23, minutes=59)}, ["new_account"]),
        ({"total_cents": 50_000}, []),
        ({"total_cents": 50_001}, ["large_amount"]),
        ({"total_cents": 50_001, "largest_accepted": 10_001}, []),
        ({"total_cents": 50_001, "largest_accepted": 10_000}, ["large_amount"]),
        ({"total_cents": 10_000, "largest_accepted": 0}, []),
        ({"total_cents": 10_001, "largest_accepted": 0}, ["large_amount"]),
        ({"user_agent": "curl/8.1"}, []),
        ({"user_agent": "curl/8.1", "referrer": ""}, ["no_browser"]),
        ({"user_agent": "", "referrer": ""}, ["no_browser"]),
        ({"user_agent": "what is this", "referrer": ""}, ["no_browser"]),
        ({"referrer": ""}, []),
        ({"methods_added": 2}, []),
        ({"methods_added": 3}, ["many_methods"]),
        ({"declined": 1}, ["declined_before"]),
        ({"countries": 2}, ["two_countries"]),
    ],
)
def test_each_rule_holds_when_it_says_so(changed: dict[str, Any], found: list[str]):
    assert list(fraud.score(Facts(**{**QUIET, **changed}))) == found


def test_every_rule_has_points_and_words_with_their_numbers():
    told = fraud.in_words({name: rule.points for name, rule in fraud.RULES.items()} | {"gone_rule": 5})

    assert [points for _, points in told] == sorted((points for _, points in told), reverse=True)
    assert all(rule.points > 0 for rule in fraud.RULES.values())
    assert ("More than 5 orders came from this network within an hour.", 30) in told
    assert ("gone_rule", 5) in told
    assert not any("%" in words for words, _ in told)


def test_the_facts_are_read_from_what_is_held(regular: User):
    now = timezone.now()
    account = Account.objects.get(pk=regular.account_id)
    place(regular, at=now - 2 * DAY)
    place(regular, at=now - dt.timedelta(minutes=5))
    for number in range(3):
        PaymentMethod.objects.create(
            account=account, provider="trial", token=f"tok_{number}", brand="Visa", last_four="4242", created_at=now
        )

    facts = fraud.facts_of(account, 100, ordering.noted_signals(BROWSED), now)

    assert (facts.largest_accepted, facts.declined, facts.from_account) == (3080, 0, 2)
    assert (facts.methods_added, facts.countries, facts.account_age.days) == (3, 1, 365)


def test_orders_of_one_network_are_counted_for_an_hour_under_a_keyed_hash(redis_server: redis.Redis):
    people = [make_customer(f"person{n}", at=timezone.now() - 365 * DAY) for n in range(6)]
    orders = [place(user, Signals(f"203.0.113.{n}", CHROME, "https://s.example/")) for n, user in enumerate(people)]

    assert [order.reasons for order in orders] == [{}] * 5 + [{"busy_network": 30}]
    [key] = redis_server.keys("*")
    assert "203.0.113" not in key
    assert 3500 < redis_server.ttl(key) <= 3600
    assert fraud.network_of("2001:db8:1:2::3") == "2001:db8:1::/48"


def test_a_repeat_is_not_counted_again(regular: User, redis_server: redis.Redis):
    for _ in range(3):
        place(regular, shop_reference="S-7")
    [key] = redis_server.keys("*")
    assert redis_server.get(key) == "1"


def test_without_the_counter_an_order_is_not_lost(regular: User, monkeypatch: pytest.MonkeyPatch):
    def away(*args: Any, **given: Any) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(fraud.cache, "add", away)
    assert place(regular).state == "accepted"


def test_the_answer_is_promised_in_business_days(settings: Any):
    friday = dt.datetime(2026, 11, 20, 18, 0, tzinfo=dt.UTC)
    assert fraud.answer_by(friday) == friday + 4 * DAY
    # Thanksgiving is no business day.
    assert fraud.answer_by(friday + 5 * DAY) == friday + 10 * DAY
    settings.FRAUD_OVERRIDES = {"answer": [1, "we have a night shift"]}
    assert fraud.answer_by(friday) == friday + 3 * DAY


# What is held, and until when.


def test_order_and_signals_stand_in_the_data_map(regular: User):
    order = place(regular)
    tables = datamap.in_category(Category.ORDERS)

    assert {Order, OrderLine, OrderSignals} <= set(tables)
    cutoffs = schedule.cutoffs(timezone.now())
    shown = {model: datamap.shown(model, order.account_id, cutoffs).count() for model in tables}
    assert (shown[Order], shown[OrderLine], shown[OrderSignals]) == (1, 2, 1)


def test_expired_signals_are_shown_and_counted_no_more_before_they_are_swept(regular: User):
    late = place(regular, at=timezone.now() - schedule.span("signals") - DAY)
    place(regular)
    cutoffs = schedule.cutoffs(timezone.now())

    assert OrderSignals.objects.count() == 2
    assert late.pk not in datamap.shown(OrderSignals, late.account_id, cutoffs).values_list("order", flat=True)
    assert datamap.shown(Order, late.account_id, cutoffs).count() == 2
    assert datamap.counts([late.account_id], cutoffs)["orders"] == 2 + 4 + 1

    sweeping.sweep()
    assert OrderSignals.objects.count() == 1 and Order.objects.count() == 2
