"""Settings: the zone that times are shown in, light or dark, told by mail; the list of sessions and ending them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import mailing, settling, zones
from accounts.models import Correspondence, Session, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.sessions import mark_of
from tests.cast import PASSWORD, make_invoice, open_session
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")
PAGE = "accounts:settings"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15"
NOON = dt.datetime(2026, 12, 22, 18, 0, tzinfo=dt.UTC)


def save(visitor: Client, **changed: str) -> Any:
    return visitor.post(reverse(PAGE), {"time_zone": "", "theme": "auto", **changed})


# Settings.


def test_times_are_shown_in_the_zone_one_chose_and_the_footer_says_so(alice: User):
    make_invoice(alice, at=NOON)
    visitor = signed_in(alice)
    before = visitor.get(reverse("accounts:invoices")).content.decode()

    save(visitor, time_zone="Asia/Tokyo")

    after = visitor.get(reverse("accounts:invoices")).content.decode()
    assert "Times are shown in Chicago" in before and "22 December 2026" in before
    assert "Times are shown in Tokyo (JST)" in after and "23 December 2026" in after
    assert timezone.get_current_timezone_name() == settings.TIME_ZONE


def test_a_mail_is_in_the_zone_of_who_reads_it_not_of_who_caused_it(alice: User):
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Tokyo")
    alice.refresh_from_db()
    context = {"reference": "SEC-1", "changed_at": NOON, "reset_path": "/"}

    with timezone.override("Europe/Berlin"):
        own = mailing.render("accounts/mail/password_changed.txt", context, alice)[1]
        mailing.mail(alice.account, "one", "accounts/mail/password_changed.txt", context)
        nobodys = mailing.render("accounts/mail/password_changed.txt", context)[1]

    assert "23 December 2026, 03:00 (Tokyo)" in own
    assert "(Tokyo)" in Correspondence.objects.get(event="one").body
    assert "12:00 (Chicago)" in nobodys


def test_light_and_dark_are_kept_for_the_page(alice: User):
    visitor = signed_in(alice)
    assert visitor.get(reverse(PAGE)).context["theme"] == ""

    save(visitor, theme="dark")

    assert visitor.get(reverse(PAGE)).context["theme"] == "dark"
    alice.refresh_from_db()
    assert alice.theme == "dark"


def test_a_change_is_told_and_in_the_ledger_and_no_change_is_not(alice: User):
    visitor = signed_in(alice)

    save(visitor, time_zone="Europe/Berlin", theme="light")
    save(visitor, time_zone="Europe/Berlin", theme="light")

    mail = Correspondence.objects.get(event__startswith="settings:")
    entry = LedgerEntry.objects.get(action="settings.changed")
    assert "the time zone" in mail.body and "light or dark" in mail.body
    assert '["time_zone","theme"]' in entry.body and "Berlin" not in entry.body
    assert OutboxMessage.objects.get(event__startswith="settings:").content["to"] == "alice@alice.example"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"time_zone": "Nowhere/Land"}, "Choose a time zone from the list."),
        ({"time_zone": "../../etc/passwd"}, "Choose a time zone from the list."),
        ({"theme": "pink"}, "Choose how pages look."),
        ({"theme": ""}, "Choose how pages look."),
    ],
)
def test_what_is_not_on_the_list_is_refused(alice: User, changed: dict[str, str], said: str):
    answer = save(signed_in(alice), **changed)

    assert answer.status_code == 200 and said in words(answer)
    assert not LedgerEntry.objects.filter(action="settings.changed").exists()


def test_a_zone_that_is_gone_falls_back_to_the_portals(alice: User):
    alice.time_zone = "Gone/Away"

    assert str(zones.zone_of(alice)) == settings.TIME_ZONE
    assert len(zones.zones()) > 300


def test_staff_have_settings_and_are_told(rita: User):
    visitor = signed_in(rita)

    save(visitor, time_zone="Europe/Berlin")

    assert "Berlin" in visitor.get("/admin/").content.decode() or visitor.get(reverse(PAGE)).status_code == 200
    assert OutboxMessage.objects.get(event__startswith="settings:").content["to"] == "rita@staff.example"
    assert settling.settle(rita.pk, time_zone="Europe/Berlin", theme="auto") == []


# Sessions.


def in_a_browser(user: str = "alice", browser: str = SAFARI, ip: str = "203.0.113.9") -> Client:
    visitor = Client(HTTP_USER_AGENT=browser, REMOTE_ADDR=ip)
    visitor.post(reverse("account_login"), {"login": user, "password": PASSWORD})
    return visitor


def test_the_list_says_browser_address_last_use_and_which_is_this_one(alice: User):
    visitor = in_a_browser()
    in_a_browser(browser="curl/8.0", ip="203.0.113.77")
    open_session(alice)

    shown = words(visitor.get(reverse("accounts:sessions")))

    assert "Safari on Mac OS X This one From 203.0.113.9." in shown
    assert "curl From 203.0.113.77." in shown
    assert "Unknown browser" in shown
    assert shown.count("End this session") == 2


def test_the_page_holds_no_key_of_a_session(alice: User):
    visitor, other = in_a_browser(), in_a_browser()

    page = visitor.get(reverse("accounts:sessions")).content.decode()

    for browser in (visitor, other):
        assert browser.session.session_key not in page
    assert mark_of(other.session.session_key) in page


def test_where_a_session_is_used_stands_nowhere_in_clear(alice: User):
    in_a_browser()

    row = Session.objects.get(user=alice.pk)
    assert row.origin == {"ip": "203.0.113.9", "browser": SAFARI}
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(t::text, '|') FROM accounts_session t")
        kept = cursor.fetchone()[0]
    assert "203.0.113" not in kept and b"Safari".hex() not in kept


def test_the_last_use_is_noted_at_most_every_five_minutes(alice: User):
    visitor = in_a_browser()
    row = Session.objects.get(user=alice.pk)

    with sql() as quick:
        visitor.get(reverse("accounts:help"))
    Session.objects.filter(pk=row.pk).update(seen_at=row.seen_at - dt.timedelta(minutes=5, seconds=1))
    visitor.get(reverse("accounts:help"), REMOTE_ADDR="203.0.113.10")
    again = Session.objects.get(pk=row.pk)

    assert not [text for text in quick if text.startswith("UPDATE")]
    assert again.seen_at > row.seen_at and again.origin["ip"] == "203.0.113.10"
    assert again.expire_date == row.expire_date


def test_one_session_is_ended(alice: User):
    visitor, other, third = in_a_browser(), in_a_browser(), in_a_browser()

    visitor.post(reverse("accounts:session_end"), {"session": mark_of(other.session.session_key)})

    assert [one.get("/").status_code for one in (visitor, other, third)] == [200, 302, 200]
    assert '"sessions":1' in LedgerEntry.objects.get(action="sessions.ended").body


def test_all_other_sessions_are_ended(alice: User, bob: User):
    visitor, other, third, bobs = in_a_browser(), in_a_browser(), in_a_browser(), in_a_browser("bob")

    answer = visitor.post(reverse("accounts:session_end"), {"session": "others"}, follow=True)

    assert "Whoever used it has to sign in again." in words(answer)
    assert [one.get("/").status_code for one in (visitor, other, third, bobs)] == [200, 302, 302, 200]


@pytest.mark.parametrize("chosen", ["", "x", "é", "0" * 32])
def test_what_names_no_session_ends_none(alice: User, chosen: str):
    visitor = in_a_browser()

    answer = visitor.post(reverse("accounts:session_end"), {"session": chosen}, follow=True)

    assert "Nothing was left to end." in words(answer)
    assert Session.objects.filter(user=alice.pk).count() == 1


def test_somebody_elses_session_is_not_ended(alice: User, bob: User):
    visitor, bobs = in_a_browser(), in_a_browser("bob")

    visitor.post(reverse("accounts:session_end"), {"session": mark_of(bobs.session.session_key)})

    assert bobs.get("/").status_code == 200


def test_looking_at_the_address_ends_nothing(alice: User):
    visitor = in_a_browser()
    in_a_browser()

    assert visitor.get(reverse("accounts:session_end"))["Location"] == reverse("accounts:sessions")
    assert Session.objects.filter(user=alice.pk).count() == 2


def test_a_long_list_is_cut_into_pages_and_asks_no_more(alice: User):
    visitor = in_a_browser()
    with sql() as few:
        visitor.get(reverse("accounts:sessions"))
    for _ in range(45):
        open_session(alice)

    with sql() as many:
        page = visitor.get(reverse("accounts:sessions"))

    assert "Page 1 of 3" in words(page)
    assert len(many) <= min(len(few) + 1, 12)


@pytest.mark.parametrize("page", [PAGE, "mfa_index", "mfa_list_webauthn", "accounts:sessions", "mfa_activate_totp"])
def test_a_page_takes_twelve_statements_at_most(alice: User, page: str):
    visitor = in_a_browser()
    with sql() as found:
        assert visitor.get(reverse(page)).status_code == 200

    assert len(found) <= 12, "\n".join(found)
