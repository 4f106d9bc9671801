"""Staff pauses of one deletion end within the time of a single one, whoever places them (P26)."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from retention import closing, placing, releasing
from retention.models import Hold
from tests.cast import make_customer, make_staff

pytestmark = pytest.mark.usefixtures("committed")


def test_a_chain_of_pauses_is_refused() -> None:
    alice, rita = make_customer("alice"), make_staff("rita", "privacy_officer")
    began = timezone.now() - dt.timedelta(days=10)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=began)
    first = placing.place(
        alice.account_id, Hold.Kind.OPERATIONS, by=rita.actor, at=began, ends_at=began + dt.timedelta(days=7)
    )
    releasing.end_pause(first.pk, by=rita)

    with pytest.raises(NotActionable, match="pauses of one deletion"):
        placing.place(
            alice.account_id, Hold.Kind.OPERATIONS, by=rita.actor, ends_at=timezone.now() + dt.timedelta(days=7)
        )


def test_a_second_pause_within_the_time_of_one_is_placed() -> None:
    alice, rita = make_customer("alice"), make_staff("rita", "privacy_officer")
    began = timezone.now() - dt.timedelta(days=2)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=began)
    first = placing.place(
        alice.account_id, Hold.Kind.OPERATIONS, by=rita.actor, at=began, ends_at=began + dt.timedelta(days=1)
    )
    releasing.end_pause(first.pk, by=rita)

    placing.place(alice.account_id, Hold.Kind.OPERATIONS, by=rita.actor, ends_at=timezone.now() + dt.timedelta(days=5))
