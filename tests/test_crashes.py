"""Killed at any step, at any time, with any server: nothing is lost, nothing held is touched, each effect happens once.

Everything dies by SIGKILL: pool processes at named steps and before every single statement, whole workers at random
times, Redis with all its messages, PostgreSQL without a checkpoint. What goes on afterwards is the same worker or a
fresh one, rung by nobody but its own beat or a message that was under way.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connections
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.keys.models import DataKey, KeyWrap
from accounts.keys.provider import KeyUnavailable
from accounts.models import Account, State
from accounts.safeguards.fields import SealedField
from accounts.safeguards.models import Delivery, DestructionOrder, Heartbeat, LedgerEntry, OutboxMessage
from accounts.tasks import relay
from chicagocloud.embedded import OWNER
from retention import closing, disputing, placing
from retention.models import Erasure, Hold
from retention.models import Stage as ErasureStage
from retention.refusals import AlreadyErased
from retention.tasks import ring
from tests.cast import DAY, furnish, make_customer
from tests.crashing_steps import RING_STEPS, SEND_STEPS
from tests.servers import Stage, Worker, current_stage

pytestmark = pytest.mark.crash
Start = Callable[..., Worker]
Mails = Callable[[], list[EmailMessage]]
# Seconds after a kill within which the work must be done, on a busy machine, by a worker that rings.
PATIENCE = 45.0
# Three rings erase, verify and destroy the last mail's key; what a killed process had begun takes some more.
RINGS = 10
# A queue's connection that has died without a word is dropped after 51 seconds (kombu); then there is PATIENCE again.
LONGEST = 51.0 + PATIENCE
QUICK = {"GRACE_SECONDS": "6"}
EXPECTED_ONCE = ("deletion.requested", "purge.erased", "keys.destroyed", "account.erased")


# --------------------------------------------------------------------------------------------------- the world


def closed(name: str = "dora") -> UUID:
    """Return an account that is furnished in every table, closed and due since yesterday."""
    past = timezone.now() - 31 * DAY
    user = furnish(make_customer(f"{name}-{uuid4().hex[:8]}"), at=past - DAY)
    closing.close(user.account_id, by=user, submission=uuid7(), at=past)
    # The mail about it is of today, or its week would be over.
    OutboxMessage.objects.filter(subject=user.account_id, state=Delivery.QUEUED).update(due_at=timezone.now())
    return user.account_id


@dataclass(frozen=True)
class Held:
    """An account under a hold, and what must still be there of it."""

    account: UUID
    categories: tuple[str, ...]
    rows: dict[str, int]

    @classmethod
    def of(cls, account: UUID, categories: tuple[str, ...]) -> Held:
        return cls(account, categories, rows_of(account, categories))


ALL = tuple(category for category in datamap.categories() if category != "credentials")


def held_accounts() -> list[Held]:
    """Return four accounts, closed and due: held whole, in part, by a dispute, and untold."""
    whole, part, disputed, untold = closed("whole"), closed("part"), closed("disputed"), closed("untold")
    placing.place(whole, Hold.Kind.LEGAL, by="staff:1", told=True, matter="M-1")
    placing.place(untold, Hold.Kind.LEGAL, by="staff:1", matter="M-2")
    placing.place(part, Hold.Kind.LEGAL, by="staff:1", categories=["support", "access"])
    disputing.open_dispute(
        disputed,
        processor="trial",
        reference=uuid4().hex,
        amount_cents=100,
        currency="USD",
        reason="fraud",
        by="system",
    )
    covered = Hold.objects.get(account=disputed).categories
    return [
        Held.of(whole, ALL),
        Held.of(untold, ALL),
        Held.of(part, ("support", "access", "contact")),
        Held.of(disputed, tuple(covered)),
    ]


def rows_of(account: UUID, categories: tuple[str, ...] = ALL) -> dict[str, int]:
    return {category: datamap.count([account], category).get(account, 0) for category in categories}


def unreadable(account: UUID) -> list[str]:
    """Return what is still stored of the account and cannot be opened."""
    found = []
    with keyring():
        for model, entry in datamap.governed().items():
            for row in datamap.rows(model, [account]):
                for field in row._meta.fields:
                    if isinstance(field, SealedField):
                        try:
                            getattr(row, field.name)
                        except (KeyDestroyed, KeyUnavailable):
                            found.append(f"{model._meta.db_table} of {entry.category} is there and does not open")
    return found


def broken(free: list[UUID], held: list[Held]) -> list[str]:
    """Return what may never be, whenever anybody looks: half an erasure, a key gone before its rows, a touched hold."""
    found = [f"held {name}" for hold in held for name in unreadable(hold.account)]
    for hold in held:
        if rows_of(hold.account, hold.categories) != hold.rows:
            found.append(f"a hold lost rows: {rows_of(hold.account, hold.categories)} of {hold.rows}")
    for account in free:
        found += unreadable(account)
        for erasure in Erasure.objects.filter(account=account).exclude(state=ErasureStage.DUE):
            if datamap.count([account], erasure.category):
                found.append(f"{erasure.category} is {erasure.state} and has rows")
    return found


def unfinished(free: list[UUID]) -> list[str]:
    """Return what is still to be done for accounts that nothing holds."""
    found = [f"account {account.state}" for account in Account.objects.filter(pk__in=free).exclude(state=State.ERASED)]
    for erasure in Erasure.objects.at_closure().filter(account__in=free).exclude(state=ErasureStage.VERIFIED):
        found.append(f"{erasure.category} {erasure.state} {erasure.last_error}")
    found += [f"order {order.categories}" for order in DestructionOrder.objects.filter(done_at=None)]
    waiting = OutboxMessage.objects.filter(state=Delivery.QUEUED, due_at__isnull=False)
    return found + [f"mail {message.event}" for message in waiting]


def wrong_at_the_end(free: list[UUID], held: list[Held], mails: Mails) -> list[str]:
    """Return every way in which the finished world is not as it should be."""
    found = broken(free, held)
    ended = tuple(category for category in datamap.categories() if category != "invoices")
    for account in free:
        if any(rows_of(account, ended).values()):
            found.append(f"rows are left: {rows_of(account, ended)}")
        left = KeyWrap.objects.filter(key__subject=account, key__category__in=ended)
        found += [f"the key of {wrap.key.category} is left" for wrap in left]
        if DataKey.objects.filter(subject=account, category="invoices", destroyed_at=None).count() != 1:
            found.append("the key of the invoices, which are kept, is gone")
        done = Counter(LedgerEntry.objects.filter(subject=account).values_list("action", flat=True))
        found += [f"{name} is {done[name]} times in the ledger" for name in EXPECTED_ONCE if done[name] != 1]
        events = OutboxMessage.objects.filter(subject=account).values_list("event", flat=True)
        # A trial's rhythm may have told that it is not finished while this test was killing.
        kinds = sorted(
            f"{of}:{kind}" for of, _, kind in (event.split(":", 2) for event in events) if "not-f" not in kind
        )
        if kinds != ["deletion:done", "deletion:received", "payment:received"]:
            found.append(f"mails of a free account: {kinds}")
    for hold in held:
        kept = set(hold.categories)
        gone = DataKey.objects.filter(subject=hold.account, category__in=kept).exclude(destroyed_at=None)
        found += [f"the key of {key.category} under a hold is destroyed" for key in gone]
        if Account.objects.get(pk=hold.account).state != State.CLOSED:
            found.append("a held account is not closed")
    return found + wrong_with_mails(mails)


def wrong_with_mails(mails: Mails) -> list[str]:
    """Return every mail that went out without its row, and every repeat that was not the same mail."""
    # The rows first: the worker goes on sending meanwhile.
    done = {str(pk): event for pk, event in OutboxMessage.objects.filter(state="sent").values_list("pk", "event")}
    copies: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for mail in mails():
        copies[str(mail["Message-ID"])].add((str(mail["To"]), str(mail["Subject"]), mail.get_content()))
    rows = {str(pk) for pk in OutboxMessage.objects.values_list("pk", flat=True)}
    found = []
    for name, contents in copies.items():
        if name.strip("<>").split("@")[0] not in rows:
            found.append(f"a mail went out that no row asked for: {name}")
        if len(contents) != 1:
            found.append(f"one Message-ID, {len(contents)} mails")
    sent = {name.strip("<>").split("@")[0] for name in copies}
    found += [f"{event} is sent and its mail is not" for pk, event in done.items() if pk not in sent]
    return found


# ------------------------------------------------------------------------------------------------ the test's hand


class Hand:
    """Arms the worker, waits for its death, lets the next process go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arm(self, step: str) -> None:
        (self.folder / "armed").write_text(step)

    def waits_for_death(self, seconds: float = 20.0) -> bool:
        """Whether the step was reached before the task was through."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (self.folder / "died").exists():
                return True
            time.sleep(0.01)
        return False

    def rings_to_death(self) -> bool:
        """Ring; whether the armed step was reached before a whole ring was through."""
        before = len(self.runs("retention.tasks.ring"))
        ring.delay()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if (self.folder / "died").exists():
                return True
            if len(self.runs("retention.tasks.ring")) > before:
                return False
            time.sleep(0.01)
        raise AssertionError("the worker does nothing")

    def lets_the_message_come_again(self) -> None:
        """Go on; return when the message whose worker died was delivered again and is through."""
        before = len(self.runs("retention.tasks.ring"))
        self.go_on()
        assert wait_until(lambda: len(self.runs("retention.tasks.ring")) > before), "the message is lost"

    def go_on(self) -> None:
        for name in ("armed", "died"):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / name).unlink()

    def runs(self, task: str) -> list[int]:
        """Return the number of statements of every run of a task so far."""
        file = self.folder / f"done {task}"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path)


def wait_until(
    done: Callable[[], bool],
    nudge: Callable[[], object] | None = None,
    seconds: float = PATIENCE,
    longer: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait for something, after `seconds` as long as `longer()`; `nudge` is what a beat would do every two seconds."""
    until, next_nudge = time.monotonic() + seconds, 0.0
    while time.monotonic() < until or longer():
        with contextlib.suppress(psycopg.Error, Exception):
            if done():
                return True
        if nudge is not None and time.monotonic() > next_nudge:
            nudge()
            next_nudge = time.monotonic() + 0.5
        time.sleep(0.05)
    return False


def beat() -> None:
    """Ring once for everything, as the beat does."""
    ring.delay()
    relay.delay()


def make_due() -> None:
    """Take the waiting time off what failed or was claimed by the dead: half a minute, an hour at most."""
    OutboxMessage.objects.filter(state=Delivery.QUEUED).update(retry_at=None)


class Rings:
    """Counts the rings that a worker has ended since this was made, by its heartbeat."""

    def __init__(self) -> None:
        self.began, self.seen = time.monotonic(), set[dt.datetime]()

    def look(self) -> None:
        """Look for a new one; two between two looks count as one."""
        self.seen.update(Heartbeat.objects.filter(name="purge").values_list("at", flat=True))

    @property
    def count(self) -> int:
        # The first may have been there before.
        return max(0, len(self.seen) - 1)

    def are_few(self, longest: float) -> bool:
        """Whether the worker had no chance yet, and there is time left of `longest` seconds."""
        return self.count < RINGS and time.monotonic() - self.began < longest

    def __str__(self) -> str:
        last = f", last at {max(self.seen):%H:%M:%S}" if self.seen else ""
        return f"the worker rang {self.count} times in {time.monotonic() - self.began:.1f} s{last}"


def assert_all_done(
    free: list[UUID],
    held: list[Held],
    mails: Mails,
    nudge: Callable[[], object] | None = beat,
    patience: float = PATIENCE,
    longest: float = LONGEST,
) -> None:
    """Assert that everything is done, and rightly, within `patience` seconds.

    A worker that has not ended `RINGS` rings by then, because the machine or its queue stood still, has until
    `longest`: what is to be done is the rings' work. One that rings without doing it gets no second more.
    """
    rings = Rings()

    def done() -> bool:
        rings.look()
        make_due()
        return not unfinished(free)

    wait_until(done, nudge, patience, lambda: rings.are_few(longest))
    assert unfinished(free) == [], str(rings)
    assert wrong_at_the_end(free, held, mails) == []


# ------------------------------------------------------------------------------------------------ killed at a step


@pytest.fixture
def crashing(committed: object, start_worker: Start, hand: Hand) -> Worker:
    return start_worker(app="tests.crashing_worker", CRASH_FOLDER=str(hand.folder), **QUICK)


def test_a_worker_killed_at_any_step_of_the_purge_loses_and_doubles_nothing(crashing: Worker, hand: Hand, mails: Mails):
    held, free, seen = held_accounts(), [], {}
    for step in RING_STEPS:
        free.append(closed())
        hand.arm(step)
        ring.delay()
        reached = hand.waits_for_death()
        seen[step] = broken(free[-2:], held[:1]) if reached else ["the step was never reached"]
        hand.go_on()
    assert {step: wrong for step, wrong in seen.items() if wrong} == {}
    assert_all_done(free, held, mails)


def test_a_worker_killed_at_any_step_of_sending_sends_each_mail_under_one_id(
    crashing: Worker, hand: Hand, mails: Mails
):
    free = []
    for step in SEND_STEPS:
        free.append(closed())
        hand.arm(step)
        relay.delay()
        assert hand.waits_for_death(), step
        assert broken(free, []) == []
        hand.go_on()
    assert_all_done(free, [], mails)
    repeated = [name for name, times in Counter(mail["Message-ID"] for mail in mails()).items() if times > 1]
    assert repeated, "a worker killed between sending and noting it must have sent again, under the same id"


def test_a_worker_killed_before_every_fourth_statement_loses_and_doubles_nothing(
    crashing: Worker, hand: Hand, mails: Mails
):
    kill_before_statements(hand, mails, stride=4)


@pytest.mark.stress
@pytest.mark.timeout(1800)
def test_a_worker_killed_before_any_statement_loses_and_doubles_nothing(crashing: Worker, hand: Hand, mails: Mails):
    kill_before_statements(hand, mails, stride=1)


def kill_before_statements(hand: Hand, mails: Mails, *, stride: int) -> None:
    """Kill before the first statement of a ring, then before a later one, until a ring is through."""
    held, free, number = held_accounts(), [], 1
    while True:
        free.append(closed())
        hand.arm(f"statement {number}")
        if not hand.rings_to_death():
            break
        assert broken(free[-2:], held[:1]) == [], f"statement {number}"
        hand.lets_the_message_come_again()
        number += stride
    hand.go_on()
    assert 20 < number < 200
    assert_all_done(free, held, mails)


def test_a_hold_wins_over_a_purge_that_died_before_its_commit(crashing: Worker, hand: Hand, mails: Mails):
    account = closed()
    hand.arm("after settled")
    ring.delay()
    assert hand.waits_for_death()
    placing.place(account, Hold.Kind.LEGAL, by="staff:1")
    kept = Held.of(account, ALL)
    hand.go_on()
    free = [closed()]
    assert_all_done(free, [kept], mails)


def test_a_hold_after_the_commit_of_a_purge_that_died_is_told_so(crashing: Worker, hand: Hand, mails: Mails):
    account = closed()
    hand.arm("after erase")
    ring.delay()
    assert hand.waits_for_death()
    with pytest.raises(AlreadyErased):
        placing.place(account, Hold.Kind.LEGAL, by="staff:1", categories=["contact", "support"])
    hand.go_on()
    assert_all_done([account], [], mails)


# --------------------------------------------------------------------------------------------- negative controls


def test_a_worker_that_destroys_keys_before_the_commit_is_caught(
    committed: object, start_worker: Start, hand: Hand, mails: Mails
):
    url = current_stage().url("keys", OWNER)
    wrong = {"CRASH_VARIANT": "keys first", "CRASH_KEYS_OWNER_URL": url}
    start_worker(app="tests.crashing_worker", CRASH_FOLDER=str(hand.folder), **QUICK, **wrong)
    account = closed()
    hand.arm("after settled")
    ring.delay()
    assert hand.waits_for_death()
    assert any("does not open" in what for what in broken([account], []))


def test_a_worker_that_sends_inside_the_transaction_is_caught(
    committed: object, start_worker: Start, hand: Hand, mails: Mails
):
    start_worker(app="tests.crashing_worker", CRASH_FOLDER=str(hand.folder), **QUICK, CRASH_VARIANT="mail inside")
    account = closed()
    hand.arm("after settled")
    ring.delay()
    assert hand.waits_for_death()
    assert any("no row asked for" in what for what in wrong_with_mails(mails))
    assert Account.objects.get(pk=account).state == State.CLOSED


def test_lost_and_doubled_effects_are_seen_by_the_final_check(committed: object, mails: Mails):
    free, held = closed(), held_accounts()[:1]
    assert unfinished([free])
    assert wrong_at_the_end([free], held, mails)
    assert broken([free], held) == []
    placed = held[0].account
    assert broken([], [Held(placed, ALL, {**held[0].rows, "support": 99})])


def test_only_a_worker_that_hardly_rings_is_waited_for_longer(
    committed: object, mails: Mails, monkeypatch: pytest.MonkeyPatch
):
    free = [closed()]
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"the worker rang 0 times"):
        assert_all_done(free, [], mails, nudge=None, patience=0.2, longest=2.0)
    assert time.monotonic() - began >= 2.0
    monkeypatch.setattr("tests.test_crashes.make_due", lambda: Heartbeat.beat("purge"))
    with pytest.raises(AssertionError, match=rf"the worker rang {RINGS} times"):
        assert_all_done(free, [], mails, nudge=None, patience=0.2, longest=60.0)


# ------------------------------------------------------------------------------------------ killed at random times


def test_workers_killed_at_twenty_random_times_lose_and_double_nothing(
    committed: object, start_worker: Start, hand: Hand, mails: Mails
):
    kill_at_random(start_worker, hand, mails, times=20, whole=2)


@pytest.mark.stress
@pytest.mark.timeout(1800)
def test_workers_killed_at_two_hundred_random_times_lose_and_double_nothing(
    committed: object, start_worker: Start, hand: Hand, mails: Mails
):
    kill_at_random(start_worker, hand, mails, times=200, whole=40)


def kill_at_random(start_worker: Start, hand: Hand, mails: Mails, *, times: int, whole: int) -> None:
    """Kill pool processes, and `whole` times the worker with all its processes, while there is work."""
    held, free = held_accounts(), []
    worker = start_worker(app="tests.crashing_worker", concurrency=2, CRASH_FOLDER=str(hand.folder), **QUICK)
    chance = random.Random(20261123)  # noqa: S311 - times of kills, no secret
    killed = 0
    for number in range(times):
        free.append(closed())
        for _ in range(2):
            beat()
        time.sleep(chance.uniform(0.0, 0.25))
        if number % (times // whole) == 0:
            worker.kill()
            killed += 1
            worker.start_again().wait_ready()
        else:
            killed += kill_children(worker)
        assert broken(free[-2:], held[:1]) == []
    assert killed >= times
    assert_all_done(free, held, mails)


def kill_children(worker: Worker) -> int:
    """`kill -9` every pool process of the worker; return how many."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    return len(children)


# ------------------------------------------------------------------------------------------ messages that misbehave


def test_doubled_delayed_and_reordered_messages_change_nothing(committed: object, start_worker: Start, mails: Mails):
    held, free = held_accounts(), [closed() for _ in range(6)]
    start_worker(concurrency=2, **QUICK)
    for number in range(40):
        ring.apply_async(countdown=(number % 5) * 0.2)
        relay.apply_async(countdown=(number % 3) * 0.3)
    assert_all_done(free, held, mails, nudge=beat)
    before = (LedgerEntry.objects.count(), OutboxMessage.objects.count(), len(mails()))
    for _ in range(20):
        beat()
    time.sleep(1.5)
    assert (LedgerEntry.objects.count(), OutboxMessage.objects.count(), len(mails())) == before


# ---------------------------------------------------------------------------------------------- killed servers


@contextlib.contextmanager
def beating(start_worker: Start) -> Iterator[Worker]:
    """A worker with a beat of its own: nobody rings for it."""
    yield start_worker(beat=True, **QUICK)


def test_redis_killed_and_emptied_takes_no_work_with_it(crash_servers: Stage, start_worker: Start, mails: Mails):
    held, free = held_accounts(), [closed() for _ in range(3)]
    with beating(start_worker) as worker:
        crash_servers.servers.redis.kill()
        free += [closed() for _ in range(3)]
        crash_servers.servers.redis.start()
        crash_servers.empty_redis()
        assert_all_done(free, held, mails, nudge=None)
        assert worker.is_alive


def test_a_mail_posted_while_redis_is_down_is_sent(crash_servers: Stage, start_worker: Start, mails: Mails):
    crash_servers.servers.redis.kill()
    account = closed()
    crash_servers.servers.redis.start()
    with beating(start_worker):
        assert_all_done([account], [], mails, nudge=None)


def test_postgresql_stopped_at_once_three_times_loses_and_doubles_nothing(
    crash_servers: Stage, start_worker: Start, mails: Mails
):
    stop_at_random(crash_servers, start_worker, mails, times=3)


@pytest.mark.stress
@pytest.mark.timeout(1800)
def test_postgresql_stopped_at_once_twenty_times_loses_and_doubles_nothing(
    crash_servers: Stage, start_worker: Start, mails: Mails
):
    stop_at_random(crash_servers, start_worker, mails, times=20)


def stop_at_random(stage: Stage, start_worker: Start, mails: Mails, *, times: int) -> None:
    held, free = held_accounts(), []
    chance = random.Random(20261123)  # noqa: S311 - times of stops, no secret
    with beating(start_worker) as worker:
        for number in range(times):
            free += [closed() for _ in range(3)]
            time.sleep(chance.uniform(0.2, 2.2))
            cluster = (stage.servers.data, stage.servers.keys)[number % 2]
            cluster.stop_immediately()
            time.sleep(0.2)
            cluster.start()
            connections.close_all()
            assert broken(free, held) == []
        assert_all_done(free, held, mails, nudge=None)
        assert worker.is_alive


def test_with_the_key_store_down_nothing_is_erased_and_it_is_said(
    crash_servers: Stage, start_worker: Start, mails: Mails
):
    account = closed()
    before = rows_of(account)
    crash_servers.servers.keys.stop_immediately()
    with beating(start_worker) as worker:
        assert wait_until(lambda: "purge stopped" in worker.output(), seconds=20)
        assert rows_of(account) == before
        crash_servers.servers.keys.start()
        connections.close_all()
        assert_all_done([account], [], mails, nudge=None)


def test_a_due_date_is_a_column_so_a_worker_that_was_away_for_weeks_finds_its_work(
    committed: object, start_worker: Start, mails: Mails
):
    account = closed()
    Erasure.objects.filter(account=account).update(retry_at=timezone.now() - dt.timedelta(days=9))
    start_worker(beat=True, **QUICK)
    assert_all_done([account], [], mails, nudge=None)
