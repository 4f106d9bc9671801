"""New browsers are told by mail once, never the first one of a user; nothing of them stands in clear (P21)."""

from __future__ import annotations

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import devices
from accounts.keys.identifiers import uuid7
from accounts.models import Correspondence, Device, User
from accounts.safeguards.models import OutboxMessage
from retention import closing, placing, schedule, sweeping
from tests.cast import DAY, PASSWORD, make_customer, sign_in_from

pytestmark = pytest.mark.usefixtures("committed")
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"
)


def sign_in(browser: str, login: str = "alice") -> None:
    visitor = Client(HTTP_USER_AGENT=browser, REMOTE_ADDR="203.0.113.9")
    assert visitor.post(reverse("account_login"), {"login": login, "password": PASSWORD}).status_code == 302


def told() -> list[str]:
    return [mail.body for mail in Correspondence.objects.filter(event__startswith="device:").order_by("created_at")]


def test_the_first_browser_of_a_user_is_not_told_and_a_second_one_is(alice: User):
    sign_in(FIREFOX.format(n=140))
    assert told() == []

    sign_in(SAFARI)

    (mail,) = told()
    assert "Safari on Mac OS X" in mail and "/settings/sessions/" in mail
    assert {device.label for device in Device.objects.all()} == {"Firefox on Windows", "Safari on Mac OS X"}


def test_a_known_browser_is_not_told_again_whatever_its_version(alice: User):
    sign_in(SAFARI)
    sign_in(FIREFOX.format(n=140))
    seen = Device.objects.get(label__isnull=False, digest=devices._digest(alice, FIREFOX.format(n=140))).last_seen_at

    sign_in(FIREFOX.format(n=141))

    assert len(told()) == 1
    assert Device.objects.get(digest=devices._digest(alice, FIREFOX.format(n=141))).last_seen_at > seen


def test_whoever_signed_in_before_there_was_a_list_is_told(alice: User):
    sign_in_from(alice)

    sign_in(SAFARI)

    assert len(told()) == 1


def test_the_mail_goes_to_the_user_not_to_the_account(alice: User):
    sign_in(SAFARI)
    sign_in(FIREFOX.format(n=140))

    mail = OutboxMessage.objects.get(event__startswith="device:")
    assert mail.content["to"] == "alice@alice.example"


def test_the_same_browser_of_two_users_leaves_two_digests(alice: User, bob: User):
    sign_in(SAFARI)
    sign_in(SAFARI, "bob")

    assert len({bytes(device.digest) for device in Device.objects.all()}) == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(t::text, '|') FROM accounts_device t")
        assert "Safari" not in cursor.fetchone()[0]


def test_staff_have_no_list_and_no_mail(rita: User):
    for browser in (SAFARI, FIREFOX.format(n=140)):
        sign_in(browser, "rita")

    assert not Device.objects.exists()


def test_a_mail_for_every_sign_in_would_be_seen(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: without the look at earlier sign-ins the very first is told."""
    monkeypatch.setattr(devices, "_was_here_before", lambda user, since: True)

    sign_in(SAFARI)

    assert len(told()) == 1


@pytest.mark.parametrize("again", [SAFARI, FIREFOX.format(n=140)], ids=["with the same browser", "with another one"])
def test_after_the_time_of_the_schedule_nothing_tells_whether_a_hold_kept_a_browser(alice: User, bob: User, again: str):
    placing.place(bob.account_id, "legal", by="system", matter="sealed")
    with time_machine.travel(timezone.now() - schedule.span("access") - 2 * DAY, tick=True):
        for login in ("alice", "bob"):
            sign_in(SAFARI, login)
    sweeping.sweep()
    # What is kept is kept: the pair is one.
    assert [device.user for device in Device.objects.all()] == [bob.pk]

    before = Correspondence.objects.filter(event__startswith="device:").count()
    for login in ("alice", "bob"):
        sign_in(again, login)
        sign_in(again, login)

    def letters(user: User) -> int:
        return Correspondence.objects.filter(account=user.account_id, event__startswith="device:").count()

    assert before == 0
    assert letters(alice) == letters(bob) == 0
    shown = Device.objects.filter(last_seen_at__gte=timezone.now() - DAY)
    first = {device.user: (device.label, device.first_seen_at.date()) for device in shown}
    assert first[alice.pk] == first[bob.pk]
    # Another browser is a second one for both.
    for login in ("alice", "bob"):
        sign_in("curl/8.0", login)
    assert letters(alice) == letters(bob) == 1


def test_a_row_that_is_kept_beyond_its_time_is_no_sign_that_somebody_was_here(
    alice: User, monkeypatch: pytest.MonkeyPatch
):
    """Negative control: without the time of the schedule a kept row speaks."""
    placing.place(alice.account_id, "legal", by="system", matter="sealed")
    with time_machine.travel(timezone.now() - schedule.span("access") - 2 * DAY, tick=True):
        sign_in(SAFARI)
    long_ago = timezone.now() - 4000 * DAY
    monkeypatch.setattr(schedule, "cutoffs", lambda at: {"access": long_ago})

    sign_in(FIREFOX.format(n=140))

    assert len(told()) == 1


def test_signing_in_to_a_closed_account_is_noted_too():
    user = make_customer("closing")
    closing.close(user.account_id, by=user, submission=uuid7())
    sign_in(SAFARI, "closing")

    assert Device.objects.filter(user=user.pk).count() == 1
