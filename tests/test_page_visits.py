"""Page visits: what is stored of one, when nothing is, and that staff see counts of ten or more only (P5, P31)."""

from __future__ import annotations

import datetime as dt

import pytest
import redis
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import restricting, visits
from accounts.datamap import Purpose
from accounts.keys.identifiers import uuid7
from accounts.models import Account, PageVisit, Restriction, State
from accounts.tasks import store_visits
from retention import closing, purge, sweeping
from retention.models import Erasure
from tests.cast import DAY, make_customer
from tests.visiting import signed_in, sql

pytestmark = pytest.mark.usefixtures("committed")
HELP = "/help/"


def visit(visitor: Client, page: str = HELP, **headers: str) -> None:
    """Open a page, and store what waits."""
    assert visitor.get(page, **headers).status_code == 200
    store_visits()


def shown(number: int, page: str, at: dt.datetime) -> None:
    PageVisit.objects.bulk_create(PageVisit(page=page, at=at) for _ in range(number))


def last_week() -> dt.datetime:
    return visits.weeks(timezone.now())[0]


def test_a_visit_keeps_the_page_and_the_network_only(alice):
    visit(signed_in(alice), REMOTE_ADDR="203.0.113.77")

    stored = PageVisit.objects.get()
    assert (stored.account_id, stored.page, stored.network) == (alice.account_id, "accounts:help", "203.0.113.0/24")


def test_who_is_not_signed_in_leaves_a_page_and_a_time():
    visit(Client())

    stored = PageVisit.objects.get()
    assert (stored.account_id, stored.network) == (None, None)


@pytest.mark.parametrize("header", ["HTTP_SEC_GPC", "HTTP_DNT"])
def test_a_browser_that_asks_not_to_be_followed_leaves_nothing(alice, header):
    visitor = signed_in(alice)

    visit(visitor, **{header: "1"})
    assert not PageVisit.objects.exists()
    visit(visitor, **{header: "0"})
    assert PageVisit.objects.count() == 1, "the control: without the wish the visit is stored"


def test_an_objection_stops_it_and_lifting_it_starts_it_again(alice):
    objection = Restriction.objects.create(
        account=alice.account, purpose=Purpose.LAYOUT, ground=Restriction.Ground.OBJECTION, since=timezone.now()
    )
    visitor = signed_in(alice)

    visit(visitor)
    assert not PageVisit.objects.exists()
    Restriction.objects.filter(pk=objection.pk).update(lifted_at=timezone.now())
    visit(visitor)
    assert PageVisit.objects.count() == 1


def test_posts_errors_files_staff_and_other_systems_are_not_visits(alice, sam):
    visitor = signed_in(alice)

    visitor.post(reverse("account_logout"))
    visitor.get("/nothing/here/")
    visitor.get("/.well-known/gpc.json")
    visitor.get("/api/schema/")
    visitor.get("/health/")
    signed_in(sam).get(HELP)
    store_visits()

    assert not PageVisit.objects.exists()


def test_a_visit_that_cannot_be_read_takes_no_other_with_it():
    for _ in range(2):
        Client().get(HELP)
        visits.queue().rpush(visits.QUEUE, b"not a box at all, and longer than a nonce")
    visits.queue().rpush(visits.QUEUE, b"")

    store_visits()

    assert PageVisit.objects.count() == 2
    assert visits.queue().llen(visits.QUEUE) == 0


def test_no_cookie_comes_with_a_visit():
    answer = Client().get(HELP)
    store_visits()

    assert PageVisit.objects.count() == 1
    assert set(answer.cookies) <= {"csrftoken"}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("not an address", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_cut_before_it_is_stored(address, kept):
    assert visits.network_of(address) == kept


def test_a_page_is_shown_though_its_visit_cannot_wait_anywhere(alice, monkeypatch):
    def away():
        raise redis.ConnectionError("away")

    monkeypatch.setattr(visits, "queue", away)

    assert signed_in(alice).get(HELP).status_code == 200


def test_a_visit_asks_the_database_nothing_and_waits_sealed(alice):
    visitor = signed_in(alice)
    visitor.get(HELP, HTTP_DNT="1")
    with sql() as without:
        visitor.get(HELP, HTTP_DNT="1")

    with sql() as counted:
        visitor.get(HELP, REMOTE_ADDR="203.0.113.77")

    assert len(counted) == len(without)
    [box] = visits.queue().lrange(visits.QUEUE, 0, -1)
    assert str(alice.account_id).encode() not in box and b"203.0.113" not in box


def test_an_objection_counts_for_what_waits_already(alice):
    signed_in(alice).get(HELP)
    restricting.place(alice.account_id, [Purpose.LAYOUT], ground=Restriction.Ground.OBJECTION, by=alice.actor)

    assert visits.store() == 0
    assert not PageVisit.objects.exists()


def test_a_visit_of_an_account_erased_meanwhile_costs_no_other(alice, bob):
    signed_in(alice).get(HELP)
    signed_in(bob).get(HELP)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()
    assert Erasure.objects.get(account=alice.account_id, category="analytics").state != "due"

    assert visits.store() == 1
    assert PageVisit.objects.get().account_id == bob.account_id


def test_visits_expire_by_the_schedule(alice):
    shown(1, "overview", timezone.now() - 91 * DAY)
    PageVisit.objects.create(account=alice.account, page="overview", at=timezone.now() - 91 * DAY)
    PageVisit.objects.create(account=alice.account, page="overview", at=timezone.now() - 89 * DAY)

    sweeping.sweep()

    assert PageVisit.objects.count() == 1


def test_fewer_than_ten_are_not_counted_out():
    at = last_week() + DAY
    shown(10, "overview", at)
    shown(9, "accounts:help", at)

    assert visits.use(last_week()) == [visits.Use("overview", 10), visits.Use("accounts:help", None)]


def test_weeks_are_whole_and_do_not_overlap():
    sunday_night = dt.datetime(2026, 11, 29, 23, 59, tzinfo=dt.UTC)
    newest, before, *_ = visits.weeks(sunday_night)

    assert newest == dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
    assert before == newest - 7 * DAY
    assert visits.weeks(sunday_night + dt.timedelta(minutes=1))[0] == newest + 7 * DAY


def test_an_account_past_its_due_date_is_in_no_count():
    past, open_ = make_customer("past"), make_customer("open")
    at = last_week() + DAY
    for user in (past, open_):
        for _ in range(10):
            PageVisit.objects.create(account=user.account, page=f"page of {user.person.username}", at=at)
    now = timezone.now()
    Account.objects.filter(pk=past.account_id).update(
        state=State.CLOSED, closed_at=now - 40 * DAY, due_at=now - 10 * DAY
    )

    assert visits.use(last_week()) == [visits.Use("page of open", 10)]


def test_staff_read_counts_and_nothing_of_single_visits(sam, rita):
    shown(12, "overview", last_week() + DAY)
    shown(3, "accounts:help", last_week() + DAY)
    page = "/admin/page-use/"

    answer = signed_in(sam).get(page)

    said = answer.content.decode()
    assert answer.status_code == 200 and "12" in said and "fewer than 10" in said
    assert signed_in(rita).get(page).status_code == 403


def test_the_portal_says_that_it_honours_global_privacy_control():
    with sql() as statements:
        answer = Client().get("/.well-known/gpc.json")

    assert answer.json()["gpc"] is True and answer.headers["Content-Type"] == "application/json"
    assert not statements
