"""Page visits: what is stored of one, when nothing is, and that staff see counts of ten or more only (P5, P31)."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import visits
from accounts.datamap import Purpose
from accounts.models import Account, PageVisit, Restriction, State
from retention import sweeping
from tests.cast import DAY, make_customer
from tests.visiting import signed_in, sql

pytestmark = pytest.mark.django_db
HELP = "/help/"


def shown(number: int, page: str, at: dt.datetime) -> None:
    PageVisit.objects.bulk_create(PageVisit(page=page, at=at) for _ in range(number))


def last_week() -> dt.datetime:
    return visits.weeks(timezone.now())[0]


def test_a_visit_keeps_the_page_and_the_network_only(alice):
    signed_in(alice).get(HELP, REMOTE_ADDR="203.0.113.77")

    visit = PageVisit.objects.get()
    assert (visit.account_id, visit.page, visit.network) == (alice.account_id, "accounts:help", "203.0.113.0/24")


def test_who_is_not_signed_in_leaves_a_page_and_a_time():
    Client().get(HELP)

    visit = PageVisit.objects.get()
    assert (visit.account_id, visit.network) == (None, None)


@pytest.mark.parametrize("header", ["HTTP_SEC_GPC", "HTTP_DNT"])
def test_a_browser_that_asks_not_to_be_followed_leaves_nothing(alice, header):
    visitor = signed_in(alice)

    visitor.get(HELP, **{header: "1"})
    assert not PageVisit.objects.exists()
    visitor.get(HELP, **{header: "0"})
    assert PageVisit.objects.count() == 1, "the control: without the wish the visit is stored"


def test_an_objection_stops_it_and_lifting_it_starts_it_again(alice):
    objection = Restriction.objects.create(
        account=alice.account, purpose=Purpose.LAYOUT, ground=Restriction.Ground.OBJECTION, since=timezone.now()
    )
    visitor = signed_in(alice)

    visitor.get(HELP)
    assert not PageVisit.objects.exists()
    Restriction.objects.filter(pk=objection.pk).update(lifted_at=timezone.now())
    visitor.get(HELP)
    assert PageVisit.objects.count() == 1


def test_posts_errors_files_staff_and_other_systems_are_not_visits(alice, sam):
    visitor = signed_in(alice)

    visitor.post(reverse("account_logout"))
    visitor.get("/nothing/here/")
    visitor.get("/.well-known/gpc.json")
    visitor.get("/api/schema/")
    visitor.get("/health/")
    signed_in(sam).get(HELP)

    assert not PageVisit.objects.exists()


def test_no_cookie_comes_with_a_visit():
    answer = Client().get(HELP)

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


def test_a_page_is_shown_though_its_visit_cannot_be_stored(alice, monkeypatch):
    def refused(*args, **given):
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(PageVisit, "save", refused)

    assert signed_in(alice).get(HELP).status_code == 200


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
