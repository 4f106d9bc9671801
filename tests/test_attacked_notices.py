"""Attacks on notices of abuse, each once a hole: partial counter-notices, clocks that starve, reporters unnamed."""

from __future__ import annotations

import pytest
from psycopg import Connection

from accounts.models import User
from disclosures import countering, enforcing
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
