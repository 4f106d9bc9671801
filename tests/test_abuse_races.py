"""Races about notices: one outcome, one mail, one webhook, whatever comes first (P18, P19)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connections
from django.utils import timezone

from accounts import subscribing
from accounts.errors import NotActionable
from accounts.models import Account, Suspension, User
from accounts.safeguards.models import OutboxMessage
from disclosures import concluding, countering, enforcing, responding, striking
from disclosures.models import AbuseCase, AbuseNotice, CaseKind, Strike
from tests.abuse import sign_counter, told
from tests.cast import DAY, make_staff
from tests.servers import Connection
from tests.weakening import replace_in_function, source_of

pytestmark = pytest.mark.usefixtures("committed")
ROUNDS = 4


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def endpoint() -> str:
    """An endpoint of provisioning that takes suspensions."""
    adam = make_staff("adam", "administrator")
    events = ["service.suspended", "service.resumed"]
    made, _secret = subscribing.add("Provisioning", "https://provisioning.example/hooks", events, by=adam)
    return str(made.pk)


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Run the acts at once, each in a thread of its own; return what each gave, or its refusal."""
    gate, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int, act: Callable[[], Any]) -> None:
        try:
            gate.wait(10)
            found[number] = act()
        except NotActionable as refusal:
            found[number] = refusal  # type: ignore[call-overload]
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return found


def count(event: str) -> int:
    return OutboxMessage.objects.filter(event__contains=event).count()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_an_answer_at_the_deadline_against_the_suspending_worker(alice: User, dora: User, endpoint: str, number: int):
    notice = told(alice, dora, CaseKind.OTHER, ago=20 * DAY)
    items = dict.fromkeys(notice.items.values_list("pk", flat=True), "Removed.")
    together(
        lambda: responding.fix(notice.pk, items, by=alice),
        enforcing.watch,
        lambda: responding.acknowledge(notice.pk, by=alice),
        enforcing.watch,
    )
    notice.refresh_from_db()
    placed = Suspension.objects.filter(account=alice.account_id)
    assert notice.remedied_at is not None and notice.acknowledged_at is not None
    assert placed.count() == (notice.suspension is not None) and not placed.standing().exists()
    assert count(f"{notice.reference}:suspended") == count("webhook:service.suspended") == placed.count()
    assert count(f"{notice.reference}:lifted") == count("webhook:service.resumed") == placed.count()
    assert count(f"{notice.reference}:remedied") == 1
    assert all(
        str(one).endswith(endpoint)
        for one in OutboxMessage.objects.filter(kind="webhook").values_list("event", flat=True)
    )


def test_workers_at_once_suspend_once_and_tell_once(alice: User, dora: User, endpoint: str):
    notice = told(alice, dora, CaseKind.OTHER, ago=20 * DAY)
    together(*[enforcing.watch] * 4)
    assert Suspension.objects.standing().filter(account=alice.account_id).count() == 1
    assert count(f"{notice.reference}:suspended") == count("webhook:service.suspended") == 1 and endpoint


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_remedy_and_its_dispute_at_once_come_one_after_the_other(alice: User, dora: User, number: int):
    notice = told(alice, dora)
    first, second = notice.items.all()
    responding.fix(notice.pk, {first.pk: "Removed."}, by=alice)
    together(
        lambda: responding.fix(notice.pk, {second.pk: "Removed."}, by=alice),
        lambda: enforcing.dispute(first.pk, by=dora, seen="Still there."),
    )
    notice.refresh_from_db()
    items = list(notice.items.all())
    assert (notice.remedied_at is not None) == all(item.is_fixed for item in items)
    assert [item.is_fixed for item in items] == [False, True]


def test_two_members_of_staff_decide_at_once_and_one_of_them_did(alice: User, dora: User):
    notice = told(alice, dora)
    strike = striking.strike(notice.pk, by=dora)
    striking.appeal(strike.pk, by=alice, text="Mine.")
    omar, olga = make_staff("omar", "abuse_desk"), make_staff("olga", "abuse_desk")
    found = together(
        lambda: striking.decide(strike.pk, by=omar, in_favour=True, decision="Theirs."),
        lambda: striking.decide(strike.pk, by=olga, in_favour=False, decision="Not theirs."),
    )
    assert sum(isinstance(one, NotActionable) for one in found) == 1
    strike = Strike.objects.get()
    decided = omar.pk if isinstance(found[1], NotActionable) else olga.pk
    assert strike.decided_by == decided and (strike.overruled_at is not None) == (decided == omar.pk)
    assert count(f"{notice.reference}:overruled") + count(f"{notice.reference}:upheld") == 1


def test_two_members_of_staff_close_at_once_and_the_case_ends_once(alice: User, dora: User):
    notice = told(alice, dora)
    omar = make_staff("omar", "abuse_desk")
    found = together(
        lambda: concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn."),
        lambda: concluding.close(notice.case, "not_valid", by=omar, reason="Not true."),
    )
    assert sum(isinstance(one, NotActionable) for one in found) == 1
    assert count(f"{notice.reference}:ended") == 1
    assert AbuseNotice.objects.get().ended_at is not None


def test_a_stop_and_an_advance_at_once_leave_one_day(alice: User, dora: User):
    counter = sign_counter(alice, dora)
    together(
        lambda: countering.stop(counter.pk, by=dora, court_action="N.D. Ill., 1:26-cv-1"),
        lambda: countering.advance(counter.pk, by=dora),
    )
    counter.refresh_from_db()
    assert counter.stopped_at is not None and counter.put_back_at is None
    assert countering.put_back_due(timezone.now() + 90 * DAY) == 0


# --------------------------------------------------------------------------------------------------------- controls


@pytest.fixture
def without_wall(owner: Connection) -> Iterator[Callable[[str, str, str], None]]:
    """Make a guard wrong for one test, by replacing a part of it."""
    sources: dict[str, str] = {}

    def weaken(function: str, old: str, new: str) -> None:
        sources.setdefault(function, source_of(owner, function))
        replace_in_function(owner, function, old, new)

    yield weaken
    for source in sources.values():
        owner.execute(source)


def test_control_a_worker_that_does_not_look_again_suspends_whoever_answered(
    alice: User, dora: User, monkeypatch: pytest.MonkeyPatch, without_wall: Callable[[str, str, str], None]
):
    """The answer came after the worker had made its list. Looking again is one wall, the database is two."""
    notice = told(alice, dora, CaseKind.OTHER, ago=20 * DAY)
    responding.disagree(notice.pk, by=alice, text="It is mine.")
    now = timezone.now()
    assert not enforcing._lapse(notice.pk, now)
    monkeypatch.setattr(AbuseNotice, "is_answered", False)
    with pytest.raises(DatabaseError, match="there is time, or an answer"):
        enforcing._lapse(notice.pk, now)
    without_wall("guard_abuse_notice", "OR NEW.disagreed_at IS NOT NULL", "")
    with pytest.raises(DatabaseError, match="no valid notice went unanswered"):
        enforcing._lapse(notice.pk, now)
    without_wall("guard_suspension", "AND n.disagreed_at IS NULL", "")
    assert enforcing._lapse(notice.pk, now), "the race is lost"
    assert Suspension.objects.standing().filter(account=alice.account_id).exists()


@pytest.mark.parametrize("has_wall", [True, False])
def test_control_workers_that_do_not_wait_for_each_other_suspend_twice_but_for_the_database(
    alice: User,
    dora: User,
    monkeypatch: pytest.MonkeyPatch,
    without_wall: Callable[[str, str, str], None],
    *,
    has_wall: bool,
):
    notice, both, now = told(alice, dora, CaseKind.OTHER, ago=20 * DAY), threading.Barrier(2), timezone.now()

    def unlocked(notice_id: UUID) -> tuple[AbuseNotice, Account, AbuseCase]:
        found = AbuseNotice.objects.select_related("account").get(pk=notice_id)
        both.wait(10)
        return found, found.account, AbuseCase.objects.get(pk=found.case)

    monkeypatch.setattr(enforcing.notifying, "locked", unlocked)
    if not has_wall:
        without_wall("guard_suspension", "AND (n.suspension IS NULL OR n.lifted_at IS NOT NULL)", "")
        without_wall(
            "guard_abuse_notice", "IF OLD.suspension IS NOT NULL AND OLD.lifted_at IS NULL THEN", "IF false THEN"
        )

    def lapse() -> bool:
        try:
            return enforcing._lapse(notice.pk, now)
        except DatabaseError:
            return False

    assert sorted(together(lapse, lapse)) == [not has_wall, True]
    assert Suspension.objects.standing().filter(account=alice.account_id).count() == (1 if has_wall else 2)
