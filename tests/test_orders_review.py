"""Deciding about orders in review: once, by whom may, with a reason, told to the customer (P11)."""

from __future__ import annotations

import datetime as dt
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import deciding, ordering
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Invoice, Order, OrderSignals, Restriction, Service, User
from accounts.ordering import OrderedLine, Signals
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from chicagocloud.work import piles
from retention import cancelling, closing, schedule
from tests.cast import DAY, make_customer, make_staff, order_in_review
from tests.servers import Connection
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def bill() -> User:
    return make_staff("bill", "billing")


@pytest.fixture
def waiting(alice: User) -> Order:
    return order_in_review(alice)


def actions(user: User) -> list[str]:
    return sorted(LedgerEntry.objects.filter(subject=user.account_id).values_list("action", flat=True))


# The act.


def test_accepting_starts_the_services_bills_them_and_tells(alice: User, bill: User, waiting: Order):
    order = deciding.accept(waiting.pk, by=bill)

    assert (order.state, order.decided_by, order.decision_reason) == ("accepted", bill.actor, None)
    assert order.decided_at is not None
    assert Service.objects.get().order == order.pk
    assert Invoice.objects.get().order == order.pk
    assert {"order.accepted", "invoice.issued"} <= set(actions(alice))
    outbox.relay()
    assert [one.subject for one in mail.outbox if order.reference in one.subject] == [
        f"We accepted your order {order.reference}"
    ]


def test_declining_keeps_the_reason_and_accuses_nobody(alice: User, bill: User, waiting: Order):
    order = deciding.decline(waiting.pk, by=bill, reason=" We could not confirm the address. ")

    assert (order.state, order.decided_by) == ("declined", bill.actor)
    assert Order.objects.get().decision_reason == "We could not confirm the address."
    assert not Service.objects.exists() and not Invoice.objects.exists()
    assert "order.declined" in actions(alice)
    outbox.relay()
    told = next(one for one in mail.outbox if order.reference in one.subject)
    assert told.subject == f"We cannot take your order {order.reference}"
    assert "Nothing was set up and nothing is billed" in told.body
    assert not {"fraud", "address", "suspect", "score"} & set(told.body.lower().split())


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "Card 4242 4242 4242 4242"])
def test_declining_needs_a_reason_without_a_card(bill: User, waiting: Order, reason: str):
    with pytest.raises(ValidationError):
        deciding.decline(waiting.pk, by=bill, reason=reason)
    assert Order.objects.in_review().count() == 1


def test_only_billing_decides(alice: User, sam: User, rita: User, waiting: Order):
    for stranger in (alice, sam, rita):
        with pytest.raises(PermissionDenied):
            deciding.accept(waiting.pk, by=stranger)
        with pytest.raises(PermissionDenied):
            deciding.decline(waiting.pk, by=stranger, reason="No")
    assert Order.objects.in_review().count() == 1


def test_what_is_decided_stays_decided(alice: User, bill: User, waiting: Order):
    deciding.decline(waiting.pk, by=bill, reason="No")
    before = actions(alice)

    for again in (
        lambda: deciding.accept(waiting.pk, by=bill),
        lambda: deciding.decline(waiting.pk, by=bill, reason="Another"),
    ):
        with pytest.raises(NotActionable, match=f"{waiting.reference} is declined; only one in review"):
            again()
    assert Order.objects.get().decision_reason == "No" and actions(alice) == before


def test_the_order_of_a_closed_account_waits_for_its_owner(alice: User, bill: User, waiting: Order):
    asked = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    with pytest.raises(NotActionable, match="is closed"):
        deciding.accept(waiting.pk, by=bill)

    cancelling.cancel(asked.pk, by=alice)
    assert deciding.accept(waiting.pk, by=bill).state == "accepted"


def decide_in_a_thread(order_id: UUID, user_id: UUID, number: int) -> str:
    try:
        user = User.objects.get(pk=user_id)
        if number % 2:
            return deciding.accept(order_id, by=user).state
        return deciding.decline(order_id, by=user, reason=f"No {number}").state
    except NotActionable:
        return "refused"
    finally:
        connections.close_all()


def decide_at_once(order: Order, user: User) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return sorted(pool.map(decide_in_a_thread, [order.pk] * 4, [user.pk] * 4, range(4)))


@pytest.mark.race
def test_two_reviewers_at_once_decide_once(bill: User):
    for turn in range(4):
        user = make_customer(f"racer{turn}")
        order = order_in_review(user)

        answers = decide_at_once(order, bill)

        order.refresh_from_db()
        assert answers == sorted([order.state, "refused", "refused", "refused"])
        decided = [action for action in actions(user) if action in {"order.accepted", "order.declined"}]
        assert decided == [f"order.{order.state}"]
        is_accepted = order.state == "accepted"
        assert Invoice.objects.filter(order=order.pk).count() == is_accepted
        assert Service.objects.filter(order=order.pk).count() == is_accepted
        assert (order.decision_reason is None) == is_accepted


@pytest.mark.race
def test_without_lock_and_comparison_several_would_decide(bill: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: the race above notices when nothing keeps the second reviewer out."""

    @contextmanager
    def unlocked(order_id: UUID) -> Any:
        order = Order.objects.select_related("account").get(pk=order_id)
        time.sleep(1)
        yield order

    def move(order: Order, state: str, by: User, at: dt.datetime, reason: str = "") -> None:
        order.state, order.decided_at, order.decided_by, order.decision_reason = state, at, by.actor, reason or None
        order.save()

    monkeypatch.setattr(deciding, "_locked", unlocked)
    monkeypatch.setattr(deciding, "_move", move)
    # Its outbox row is unique per event, a second wall that would hide the first one's absence.
    monkeypatch.setattr(deciding.mailing, "mail", lambda *args, **given: None)
    order = order_in_review(make_customer("racer"))
    assert decide_at_once(order, bill).count("refused") < 3
    assert LedgerEntry.objects.filter(action__in=["order.accepted", "order.declined"]).count() > 1


@pytest.mark.race
def test_one_reference_sent_many_times_at_once_makes_one_order():
    user = make_customer("racer", at=timezone.now() - 365 * DAY)
    lines = [OrderedLine("Web", 100, plan="web")]

    def place(number: int) -> str:
        try:
            signals = Signals("203.0.113.1")
            order = ordering.place_order(user.account_id, lines=lines, signals=signals, shop_reference="S", by="system")
            return order.reference
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(place, range(4)))) == 1
    assert (Order.objects.count(), Invoice.objects.count()) == (1, 1)


# What the database refuses, whoever writes.


@pytest.mark.parametrize(
    "change",
    [
        "state = 'accepted'",
        "state = 'declined', decided_at = now(), decided_by = 'system'",
        "state = 'lost'",
        "decided_by = 'system'",
        "total_cents = -1",
    ],
)
def test_raw_sql_decides_no_order_halfway(waiting: Order, runtime: Connection, change: str):
    with pytest.raises(Exception, match="order_"):
        runtime.execute(f"UPDATE accounts_order SET {change} WHERE id = %s", [waiting.pk])


def test_raw_sql_gives_no_two_orders_one_reference(alice: User, waiting: Order):
    Order.objects.filter(pk=waiting.pk).update(shop_digest=b"x" * 32)
    with pytest.raises(IntegrityError, match="order_once_per_shop_reference"):
        Order.objects.filter(pk=order_in_review(alice).pk).update(shop_digest=b"x" * 32)


# The queue of staff.


def clerk(user: User) -> Client:
    return signed_in(user)


def url(order: Order, page: str = "change") -> str:
    return reverse(f"admin:accounts_order_{page}", args=[order.pk])


def page(visitor: Client, address: str) -> str:
    answer = visitor.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("&#x27;", "'").split())


def test_the_queue_tells_how_long_each_order_waits(alice: User, bill: User):
    order = order_in_review(alice, at=timezone.now() - 3 * DAY)
    ordering.place_order(alice.account_id, lines=[OrderedLine("Web", 1, plan="web")], signals=Signals(), by="system")
    shown = page(clerk(bill), reverse("admin:accounts_order_changelist") + "?state__exact=review")

    assert order.reference in shown and "3 days" in shown and "55" in shown and "$990.00" in shown
    assert shown.count("ORD-") == 2  # the other order is in review too: it came from no browser


def test_the_record_gives_the_reasons_in_words_and_what_it_was_placed_from(alice: User, bill: User, waiting: Order):
    earlier = order_in_review(alice, at=timezone.now() - 10 * DAY)
    shown = page(clerk(bill), url(waiting))

    assert "It came from no page, and from a program that is no browser." in shown
    assert "The account was made less than 24 hours before." in shown
    assert "203.0.113.78" in shown and "curl/8.1" in shown
    assert "shop of Alice Canary" in shown and "Much for Alice Canary" in shown
    assert earlier.reference in shown
    assert "Accept this order" in shown and "Decline this order" in shown
    seen = LedgerEntry.objects.get(action="viewed", subject=alice.account_id)
    assert '"orders"' in seen.body and "203.0.113.78" not in seen.body


def test_an_order_without_a_score_says_why(alice: User, bill: User):
    Restriction.objects.create(
        account_id=alice.account_id, purpose=Purpose.FRAUD, ground="objection", since=timezone.now()
    )
    lines = [OrderedLine("Web", 1, plan="web")]
    order = ordering.place_order(alice.account_id, lines=lines, signals=Signals(), by="system")
    assert "a person decides without a score" in page(clerk(bill), url(order))


def test_signals_past_their_schedule_are_shown_to_nobody(alice: User, bill: User, waiting: Order):
    OrderSignals.objects.filter(order=waiting).update(noted_at=timezone.now() - schedule.span("signals") - DAY)

    for address in (url(waiting), url(waiting, "accept"), url(waiting, "decline")):
        shown = page(clerk(bill), address)
        assert "203.0.113.78" not in shown and "No longer kept." in shown


def test_a_clerk_accepts_and_declines_in_the_queue(alice: User, bill: User, waiting: Order):
    visitor, other = clerk(bill), order_in_review(alice)

    accepted = visitor.post(url(waiting, "accept"), {}, follow=True)
    refused = visitor.post(url(other, "decline"), {"reason": ""})
    declined = visitor.post(url(other, "decline"), {"reason": "We could not reach you."}, follow=True)
    again = visitor.post(url(other, "accept"), {})

    assert f"Order {waiting.reference} is accepted." in accepted.content.decode()
    assert refused.status_code == 422 and "Enter this: reason." in refused.content.decode()
    assert f"Order {other.reference} is declined." in declined.content.decode()
    assert again.status_code == 409
    assert Invoice.objects.count() == 1


def test_looking_at_a_decision_decides_nothing(bill: User, waiting: Order):
    shown = page(clerk(bill), url(waiting, "accept"))
    assert "An invoice over $990.00 is issued." in shown
    assert Order.objects.in_review().count() == 1


@pytest.mark.parametrize("role", ["support", "abuse_desk", "auditor", "administrator"])
def test_other_roles_see_no_order(waiting: Order, role: str):
    visitor = clerk(make_staff("stranger", role))
    codes = [visitor.get(url(waiting, name)).status_code for name in ("change", "accept", "decline")]
    assert codes == [403] * 3
    assert (
        waiting.reference
        not in visitor.get(reverse("admin:accounts_account_change", args=[waiting.account_id])).content.decode()
    )


def test_orders_in_review_are_a_pile_of_billings_work(alice: User, bill: User, sam: User, waiting: Order):
    def pile(user: User) -> Any:
        return next((one for one in piles(user) if one.title == "Orders in review"), None)

    assert (pile(bill).count, pile(bill).entries[0][:2]) == (1, (waiting.reference, url(waiting)))
    assert pile(sam) is None
    closing.close(alice.account_id, by=alice, submission=uuid7())
    assert pile(bill).count == 0


# The customer's pages.


def test_a_customer_reads_orders_and_their_state(alice: User, bill: User):
    visitor = signed_in(alice)
    assert "No orders yet." in words(visitor.get("/orders/"))
    first, second = order_in_review(alice), order_in_review(alice)
    assert "Being checked" in words(visitor.get("/orders/"))
    shown = words(visitor.get(f"/orders/{first.reference}/"))
    assert "A person looks at this order" in shown and "We write to you by" in shown
    assert "Much for Alice Canary $990.00" in shown

    deciding.accept(first.pk, by=bill)
    deciding.decline(second.pk, by=bill, reason="We could not reach you.")

    invoice = Invoice.objects.get()
    assert f"Invoice {invoice.number} Unpaid" in words(visitor.get(f"/orders/{first.reference}/"))
    shown = words(visitor.get(f"/orders/{second.reference}/"))
    assert "Our reason: We could not reach you." in shown and "Not taken" in shown


def test_no_page_of_the_customer_shows_the_score_or_the_signals(alice: User, waiting: Order):
    page = signed_in(alice).get(f"/orders/{waiting.reference}/").content.decode()
    # Tokens and moments hold any digits.
    shown = re.sub(r'(name="csrfmiddlewaretoken" value|nonce)="[^"]*"|<time.*?</time>', "", page)
    assert not re.search(r"\b55\b", shown)
    for word in ("curl", "203.0.113", "score", "no_browser", "shop of"):
        assert word not in shown


def test_orders_of_somebody_else_are_not_there(alice: User, bob: User, waiting: Order):
    known, unknown = (signed_in(bob).get(f"/orders/{each}/") for each in (waiting.reference, "ORD-2222-2222"))
    assert known.status_code == unknown.status_code == 404
    assert words(known) == words(unknown)


def test_order_pages_come_in_pages_and_cause_few_statements(alice: User):
    for number in range(30):
        order_in_review(alice, at=timezone.now() - number * DAY)
    visitor = signed_in(alice)
    assert "Page 1 of 2" in words(visitor.get("/orders/"))
    for address in ("/orders/", f"/orders/{Order.objects.first().reference}/"):
        with sql() as statements:
            assert visitor.get(address).status_code == 200
        assert len(statements) <= 12
        assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []


def test_a_closed_account_opens_its_invoices_but_orders_no_more(alice: User, waiting: Order):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    assert signed_in(alice).get("/orders/").status_code == 409
