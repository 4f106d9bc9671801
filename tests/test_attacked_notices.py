"""Attacks on notices of abuse, each once a hole: partial counter-notices, clocks that starve, reporters unnamed."""

from __future__ import annotations

import datetime as dt
from unittest import mock

import pytest
from django.utils import timezone
from psycopg import Connection

from accounts.models import User
from disclosures import countering, enforcing, judging, responding
from disclosures.admin import case_notices
from disclosures.models import AbuseCase, AbuseNotice, AbuseReport, CaseKind
from tests.abuse import NAMES, TRUE, days_pass, find_true, make_case, silent, tell, told
from tests.cast import DAY, make_staff

pytestmark = pytest.mark.usefixtures("committed")
WORDS = countering.Words("fair_use", "It is a review.", email="alice@alice.example", **NAMES)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def test_a_put_back_brings_back_only_what_the_counter_notice_asks_for(alice: User, dora: User, owner: Connection):
    notice = told(alice, dora, ago=2 * DAY)
    enforcing.watch()
    one, other = notice.items.order_by("number")
    counter = countering.draft(notice.pk, [one.pk], WORDS, by=alice)
    countering.sign(counter.pk, by=alice, signature="Alice Canary")
    days_pass(owner, "counternotice", counter.pk, put_back_from="current_date - 3", put_back_on="current_date - 2")
    assert countering.put_back_due() == 1
    one.refresh_from_db()
    other.refresh_from_db()
    assert one.restored_at is not None
    assert other.restored_at is None, "nobody swore about this place"


def test_the_words_of_a_reporter_who_may_not_be_named_are_not_proposed(alice: User, dora: User, owner: Connection):
    case = told(alice, dora).case
    named = case_notices._proposed(AbuseCase.objects.get(pk=case))
    assert named["original"] and named["reporter"]
    owner.execute("UPDATE disclosures_abusereport SET may_be_named = false WHERE case_id = %s", [case])
    assert not AbuseReport.objects.get(case=case).may_be_named
    proposed = case_notices._proposed(AbuseCase.objects.get(pk=case))
    assert proposed["reporter"] == proposed["original"] == ""
    assert proposed["locations"] == named["locations"]


def fixed(notice: AbuseNotice, user: User, *, first: int = 99) -> None:
    items = [item for item in notice.items.order_by("number") if not item.is_fixed]
    responding.fix(notice.pk, {item.pk: "Removed." for item in items[:first]}, by=user)


def test_a_remedied_notice_that_stays_suspended_keeps_no_other_from_settling(
    alice: User, bob: User, dora: User, owner: Connection
):
    stuck = silent(alice, dora, CaseKind.SPAM)
    fixed(stuck, alice)
    free = told(bob, dora, CaseKind.SPAM)
    fixed(free, bob)
    for notice in (stuck, free):
        days_pass(owner, "abusenotice", notice.pk, remedied_at="now() - interval '15 days'")
    with mock.patch.object(enforcing, "AT_ONCE", 1):
        assert enforcing.watch()["settled"] == 1
    free.refresh_from_db()
    assert free.ended_how == "remedied"


def test_a_copyright_notice_without_its_elements_keeps_no_other_from_being_disabled_or_suspended(
    alice: User, bob: User, dora: User
):
    """Both findings stand, the six elements do not: it waits for a person, for ever perhaps."""
    at = timezone.now() - 20 * DAY
    for user in (alice, bob):
        _wait_for(user, dora, at, elements=user == bob)
        at += DAY / 24
    with mock.patch.object(enforcing, "AT_ONCE", 1):
        assert enforcing.watch()["disabled"] == 1
        enforcing.watch()
        enforcing.watch()
    waits, goes = AbuseNotice.objects.order_by("sent_at")
    assert waits.suspension is None and goes.suspension is not None


def _wait_for(user: User, by: User, at: dt.datetime, *, elements: bool) -> AbuseNotice:
    case = make_case(user, at=at)
    if elements:
        find_true(case, by)
    else:
        for item in TRUE:
            judging.find(case.pk, item, by=by, is_met=True)
    return tell(case, by, at=at)


def test_a_notice_fixed_in_part_and_disabled_in_the_rest_keeps_no_other_from_being_disabled(
    alice: User, bob: User, dora: User
):
    partly = told(alice, dora, ago=2 * DAY + DAY / 2)
    fixed(partly, alice, first=1)
    enforcing.watch()
    other = told(bob, dora, ago=2 * DAY)
    with mock.patch.object(enforcing, "AT_ONCE", 1):
        assert enforcing.watch()["disabled"] == 1
    assert other.items.filter(disabled_at=None).count() == 0
