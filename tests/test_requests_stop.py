"""A use that a customer stopped really stops, one test for each row of the table, and lifting it starts it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import assigning, deciding, invoicing, ordering, provisioning, restricting, supporting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.invoicing import BilledLine
from accounts.keys.identifiers import uuid7
from accounts.models import Invoice, IpAssignment, Order, PageVisit, Restriction, Service, Ticket, User
from accounts.ordering import OrderedLine, Signals
from accounts.provisioning import Terms
from accounts.restricting import USES
from accounts.tasks import store_visits
from chicagocloud.work import piles
from disclosures import consenting
from disclosures.models import ConsentGrant
from tests import legal
from tests.cast import DAY, make_customer, make_staff, order_in_review, run_service
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")

# Tests of this module by the purpose they are about: the first test below holds the table against it.
ABOUT: dict[Purpose, Callable[..., Any]] = {}


def about(purpose: Purpose) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(test: Callable[..., Any]) -> Callable[..., Any]:
        ABOUT[purpose] = test
        return test

    return note


@pytest.fixture
def regular() -> User:
    """Somebody whose orders no rule doubts."""
    return make_customer("regina", at=timezone.now() - 365 * DAY)


def stop(user: User, purpose: Purpose) -> None:
    restricting.place(user.account_id, [purpose], ground=Restriction.Ground.RESTRICTION, by="system")


def allow(user: User, purpose: Purpose) -> None:
    assert restricting.lift(user.account_id, purpose, by=user.actor)


def order(user: User) -> Order:
    return ordering.place_order(
        user.account_id,
        lines=[OrderedLine(plan="web-2", text="Web hosting", quantity=1, unit_cents=1290)],
        signals=Signals(ip="203.0.113.9", user_agent="Mozilla/5.0 Firefox/128.0"),
        currency="USD",
        shop_reference=str(uuid4()),
        by="token:shop",
    )


def bill(user: User) -> Invoice:
    return invoicing.issue_invoice(user.account_id, lines=[BilledLine("Support", 1, 9000)], by="token:shop")


def test_every_row_of_the_table_has_its_test():
    assert set(ABOUT) == set(USES)


@about(Purpose.LAYOUT)
def test_layout_no_visit_is_stored(alice: User):
    visitor = signed_in(alice)
    stop(alice, Purpose.LAYOUT)
    visitor.get("/help/")
    store_visits()
    assert not PageVisit.objects.exists()

    allow(alice, Purpose.LAYOUT)
    visitor.get("/help/")
    store_visits()
    assert PageVisit.objects.get().account_id == alice.account_id


@about(Purpose.SHARING)
def test_sharing_no_consent_to_share_stands(alice: User):
    partner = legal.make_recipient("partner")
    agreement = consenting.Agreement("sharing", ("contact",), partner.pk)
    consenting.give(alice.account_id, agreement, by=alice, submission=uuid7())
    stop(alice, Purpose.SHARING)
    assert not ConsentGrant.objects.live(timezone.now()).exists()

    # Agreeing again allows it again.
    consenting.give(alice.account_id, agreement, by=alice, submission=uuid7())
    assert ConsentGrant.objects.live(timezone.now()).count() == 1
    assert not restricting.is_restricted(alice.account_id, Purpose.SHARING)


@about(Purpose.MARKETING)
def test_marketing_no_consent_to_news_stands(alice: User):
    news = consenting.Agreement("marketing")
    consenting.give(alice.account_id, news, by=alice, submission=uuid7())
    stop(alice, Purpose.MARKETING)
    assert not ConsentGrant.objects.live(timezone.now()).exists()

    consenting.give(alice.account_id, news, by=alice, submission=uuid7())
    assert ConsentGrant.objects.live(timezone.now()).count() == 1


@about(Purpose.FRAUD)
def test_fraud_no_rule_scores_an_order_and_a_person_looks_at_it(regular: User):
    stop(regular, Purpose.FRAUD)
    stopped = order(regular)
    assert (stopped.state, stopped.score, stopped.reasons) == (Order.State.REVIEW, None, {})

    allow(regular, Purpose.FRAUD)
    scored = order(regular)
    assert scored.state == Order.State.ACCEPTED and scored.score is not None


@about(Purpose.SERVICES)
def test_services_no_order_is_placed(regular: User):
    stop(regular, Purpose.SERVICES)
    with pytest.raises(NotActionable, match="stopped this use"):
        order(regular)
    assert not Order.objects.exists() and not Invoice.objects.exists()

    allow(regular, Purpose.SERVICES)
    assert order(regular).state == Order.State.ACCEPTED


def test_services_nothing_is_provisioned_and_no_waiting_order_is_accepted(alice: User):
    waiting, reviewer = order_in_review(alice), make_staff("berta", "billing")
    made = provisioning.provision(alice.account_id, "before.example", Terms("web-2"), by="token:provisioning")
    stop(alice, Purpose.SERVICES)
    with pytest.raises(NotActionable, match="stopped this use"):
        provisioning.provision(alice.account_id, "after.example", Terms("web-2"), by="token:provisioning")
    with pytest.raises(NotActionable, match="stopped this use"):
        deciding.accept(waiting.pk, by=reviewer)
    waiting.refresh_from_db()
    assert waiting.state == Order.State.REVIEW
    assert list(Service.objects.filter(account=alice.account_id).values_list("pk", flat=True)) == [made.pk]

    allow(alice, Purpose.SERVICES)
    deciding.accept(waiting.pk, by=reviewer)
    assert provisioning.provision(alice.account_id, "after.example", Terms("web-2"), by="token:provisioning")


@about(Purpose.INVOICING)
def test_invoicing_no_invoice_is_issued(alice: User):
    stop(alice, Purpose.INVOICING)
    with pytest.raises(NotActionable, match="stopped this use"):
        bill(alice)
    assert not Invoice.objects.exists()

    waiting, reviewer = order_in_review(alice), make_staff("berta", "billing")
    with pytest.raises(NotActionable, match="stopped this use"):
        deciding.accept(waiting.pk, by=reviewer)
    assert not Service.objects.filter(account=alice.account_id).exists()

    allow(alice, Purpose.INVOICING)
    assert bill(alice).total_cents == 9000


@about(Purpose.ADMINISTER)
def test_administer_no_address_is_assigned_and_what_is_held_can_be_ended(alice: User, bob: User):
    service = run_service(alice)
    held = assigning.assign(service.pk, "192.0.2.1", by="token:provisioning")
    stop(alice, Purpose.ADMINISTER)
    with pytest.raises(NotActionable, match="stopped this use"):
        assigning.assign(service.pk, "192.0.2.7", by="token:provisioning")
    assert list(IpAssignment.objects.values_list("pk", flat=True)) == [held.pk]
    assert assigning.end(held.pk, by="token:provisioning").ended_at is not None
    # Nobody else's use stops with it.
    assert assigning.assign(run_service(bob).pk, "192.0.2.8", by="token:provisioning")

    allow(alice, Purpose.ADMINISTER)
    assert assigning.assign(service.pk, "192.0.2.7", by="token:provisioning").ended_at is None


@about(Purpose.SUPPORT)
def test_support_no_ticket_is_in_the_room_or_on_the_pile_of_work(alice: User, bob: User, sam: User):
    own, others = (ask(user) for user in (alice, bob))
    room, one = reverse("admin:accounts_ticket_changelist"), reverse("admin:accounts_ticket_change", args=[own.pk])
    staff = signed_in(sam)
    stop(alice, Purpose.SUPPORT)
    listed = words(staff.get(room))
    assert own.reference not in listed and others.reference in listed
    assert staff.get(one).status_code != 200
    assert waiting(sam) == {others.reference}
    # To the customer their own conversation stays.
    assert signed_in(alice).get(reverse("accounts:ticket", args=[own.reference])).status_code == 200

    allow(alice, Purpose.SUPPORT)
    assert own.reference in words(staff.get(room)) and staff.get(one).status_code == 200
    assert waiting(sam) == {own.reference, others.reference}


def ask(user: User) -> Ticket:
    return supporting.open_ticket(user.account, by=user, subject="Help", body="Help me.", submission=uuid7())


def waiting(staff: User) -> set[str]:
    """Return the names of the tickets on the pile of work of a member of staff."""
    (pile,) = [pile for pile in piles(staff) if pile.title == "Tickets that wait for us"]
    return {name for name, _where, _when in pile.entries}
