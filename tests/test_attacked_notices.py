"""Attacks on notices of abuse, each once a hole: partial counter-notices, clocks that starve, reporters unnamed."""

from __future__ import annotations

import pytest
from psycopg import Connection

from accounts.models import User
from disclosures import countering, enforcing
from disclosures.admin import case_notices
from disclosures.models import AbuseCase, AbuseReport
from tests.abuse import NAMES, days_pass, told
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
