"""Stopping the purge, and what happens at the last moment: nothing is erased after somebody said so."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts import signing_in
from accounts.keys.models import KeyWrap
from accounts.models import Account, State, User
from retention import cancelling, closing, letters, purge, switching
from retention.models import Erasure, Stage
from tests.cast import DAY, make_customer
from tests.pairing import pair

pytestmark = pytest.mark.usefixtures("committed")


def gone() -> set[Any]:
    return set(Erasure.objects.filter(state=Stage.GONE).values_list("account_id", flat=True))


def test_a_stop_of_everything_is_honoured_under_the_lock(rita: User) -> None:
    one, other = pair(closed_ago=40 * DAY)
    switching.stop("", by=rita)
    purge.erase([one.account_id])
    assert not gone()

    switching.start("", by=rita)
    purge.erase([one.account_id])

    assert gone() == {one.account_id}


def test_a_stop_pressed_while_a_round_runs_ends_it(rita: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair(closed_ago=40 * DAY)
    wraps = KeyWrap.objects.filter(key__subject__in=[one.account_id, other.account_id]).count()
    monkeypatch.setattr(purge, "FIRST_BATCH", 1)
    erase = purge.erase

    def erase_and_stop(*args: Any, **kwargs: Any) -> purge.Tally:
        tally = erase(*args, **kwargs)
        if not purge.PurgeSwitch.stopped():
            switching.stop("", by=rita)
        return tally

    monkeypatch.setattr(purge, "erase", erase_and_stop)

    tally = purge.ring()

    assert (tally.accounts, tally.keys, tally.stopped) == (1, 0, "stop switch")
    assert len(gone()) == 1
    # The step that cannot be taken back waits, too.
    assert KeyWrap.objects.filter(key__subject__in=[one.account_id, other.account_id]).count() == wraps
    switching.start("", by=rita)
    monkeypatch.setattr(purge, "erase", erase)
    assert purge.ring().keys > 0


def test_who_cancels_in_the_last_moment_can_still_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = make_customer("alice")
    assert alice.account_id is not None
    almost = timezone.now() - 30 * DAY + dt.timedelta(seconds=3)
    request = closing.close(alice.account_id, by=alice, submission=alice.pk, at=almost).request
    writing, go_on = threading.Event(), threading.Event()
    honest = letters.cancelled

    def slow(*args: Any) -> Any:
        writing.set()
        go_on.wait(10)
        return honest(*args)

    monkeypatch.setattr(letters, "cancelled", slow)
    cancels = in_a_thread(lambda: cancelling.cancel(request.pk, by=User.objects.get(pk=alice.pk)))
    writing.wait(10)
    time.sleep(max(0.0, (request.due_at - timezone.now()).total_seconds()) + 0.05)
    ends = in_a_thread(lambda: purge.end_sign_in(timezone.now()))
    ends.join(0.5)
    go_on.set()
    cancels.join()
    ends.join()

    assert Account.objects.get(pk=alice.account_id).state == State.ACTIVE
    assert signing_in.find("alice@alice.example") is not None


def in_a_thread(act: Any) -> threading.Thread:
    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread
