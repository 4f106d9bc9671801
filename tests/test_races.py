"""Races between real processes: a hold against the purge, an insert against the purge, an edit against a hold.

Two processes do their sides of a pair at almost the same moment, pair after pair. How far apart they start follows from
who won before, so that most pairs meet in the critical window. Violations are counted afterwards, in the database.
D: data destroyed although the hold had been confirmed; L: a hold confirmed on what was gone. Each race has a control:
the same harness on guards or acts that are wrong on purpose has to count violations.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from retention import purge
from tests.crowd import ROWS, make_crowd, rows_left
from tests.servers import ROOT, Connection, child_env
from tests.weakening import without_lock_in, without_lock_in_holds, without_triggers

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.race]

SCOPES = ("billing", "contact", "access", "billing,support", "services")
LEAD_NS = 400_000
WIDTH_NS = 6_000_000
STEP_NS = 400_000
STRESS_PAIRS = int(os.environ.get("STRESS_PAIRS", "20000"))


@dataclass(frozen=True)
class Answer:
    """What a side did with one account, and when (monotonic ns, the same clock in every process)."""

    outcome: str
    began: int
    committing: int
    ended: int

    @property
    def word(self) -> str:
        return self.outcome.partition(":")[0]


class Side:
    """A process that does one side of every pair."""

    def __init__(self, name: str, isolation: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.racing", name],
            cwd=ROOT,
            env=child_env(ISOLATION=isolation, LOG_LEVEL="CRITICAL"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def wait_ready(self) -> None:
        assert self._line() == "ready"

    def ask(self, account: UUID, moment: int, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{account} {moment} {what}\n")
        self.process.stdin.flush()

    def answer(self) -> Answer:
        outcome, *times = self._line().split()
        return Answer(outcome, *map(int, times))

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, f"a side of the race ended with {self.process.wait(5)}"
        return line


@dataclass
class Pair:
    """One account that both sides met on."""

    account: UUID
    what: str
    first: Answer
    second: Answer


@dataclass
class Result:
    """All pairs of a race."""

    pairs: list[Pair] = field(default_factory=list)
    seconds: float = 0.0

    def words(self) -> Counter[tuple[str, str]]:
        return Counter((pair.first.word, pair.second.word) for pair in self.pairs)


@contextmanager
def sides(first: str, second: str, isolation: str) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        both = Side(first, isolation), Side(second, isolation)
        for side in both:
            stack.callback(side.stop)
        for side in both:
            side.wait_ready()
        yield both


def race(
    first: str, second: str, count: int, *, isolation: str = "READ_COMMITTED", scopes: Sequence[str] = SCOPES
) -> Result:
    """Let two sides meet on `count` accounts; half of them with a scope, half whole."""
    result, lag = Result(), 0
    accounts = make_crowd(count)
    with sides(first, second, isolation) as (one, other):
        began = time.monotonic()
        for number, account in enumerate(accounts):
            what = "whole" if number % 2 or not scopes else scopes[number // 2 % len(scopes)]
            delay = lag + int(random.uniform(-WIDTH_NS, WIDTH_NS))  # noqa: S311 - a test's jitter
            start = time.monotonic_ns() + LEAD_NS + max(0, -delay)
            one.ask(account, start, what)
            other.ask(account, start + delay, what)
            pair = Pair(account, what, one.answer(), other.answer())
            result.pairs.append(pair)
            # Whoever comes too late now is sent off earlier next time.
            lag += STEP_NS if was_in_time(pair) else -STEP_NS
        result.seconds = time.monotonic() - began
    return result


def second_won(pair: Pair) -> bool:
    """Whether the second side was through before the first."""
    return pair.second.ended < pair.first.ended


def was_in_time(pair: Pair) -> bool:
    """Whether the second side still found what it wanted."""
    return pair.second.word not in {"gone", "refused"} if pair.first.word != "edited" else second_won(pair)


def covered_by(what: str) -> dict[str, int]:
    """Return how many rows per category a hold of this scope covers."""
    if what == "whole":
        return ROWS
    if what == "period":  # the first day, of two
        return ROWS | {"access": 1}
    return {name: ROWS[name] for name in what.split(",")}


@dataclass
class Count:
    """What the database says after a race of holds and purges."""

    destroyed: int = 0
    late: int = 0
    false_refusals: int = 0
    orders_on_held: int = 0
    placed: int = 0
    refused: int = 0

    @property
    def violations(self) -> int:
        return self.destroyed + self.late


def count_violations(result: Result, owner: Connection) -> Count:
    """Compare every accepted hold with the rows that are left; tell D from L by who was through first."""
    ids = [pair.account for pair in result.pairs]
    left = rows_left(ids)
    holds = {
        account: (categories, set(already) | set(partly))
        for account, categories, already, partly in owner.execute(
            "SELECT account_id, categories, already_gone, partly_gone FROM retention_hold WHERE account_id = ANY(%s)",
            [ids],
        )
    }
    orders = set(owner.execute("SELECT subject, unnest(categories) FROM safeguards_destructionorder").fetchall())
    found = Count()
    for pair in result.pairs:
        wanted = covered_by(pair.what)
        if pair.account not in holds:
            found.refused += pair.second.word == "gone"
            kept = any(left.get((pair.account, category)) for category in wanted)
            found.false_refusals += pair.second.word == "gone" and kept
            continue
        found.placed += 1
        _, gone = holds[pair.account]
        covered = {category: rows for category, rows in wanted.items() if category not in gone}
        if any(left.get((pair.account, category), 0) < rows for category, rows in covered.items()):
            found.destroyed += second_won(pair)
            found.late += not second_won(pair)
        found.orders_on_held += any((pair.account, category) in orders for category in covered)
    return found


def report(name: str, result: Result, found: object) -> None:
    print(f"\n{name}: {len(result.pairs)} pairs in {result.seconds:.1f} s, {found}, {dict(result.words())}")


# --------------------------------------------------------------------------------------------- holds and purges


def assert_no_violation(result: Result, found: Count) -> None:
    assert (found.destroyed, found.late) == (0, 0)
    assert found.false_refusals == 0
    assert found.orders_on_held == 0
    # The window was met: both ways it can end are there often enough.
    assert found.placed > len(result.pairs) / 10
    assert found.refused + sum(1 for pair in result.pairs if pair.second.word == "gone") > len(result.pairs) / 20


def test_a_confirmed_hold_and_the_erasure_of_what_it_covers_never_both_happen(owner: Connection) -> None:
    result = race("purge", "hold", 2_000)
    found = count_violations(result, owner)
    report("hold against purge", result, found)
    assert_no_violation(result, found)


def test_a_hold_of_a_period_keeps_its_rows_or_is_refused(owner: Connection) -> None:
    result = race("purge", "hold", 100, scopes=("period",))
    found = count_violations(result, owner)
    report("hold of a period against purge", result, found)
    assert_no_violation(result, found)


@pytest.mark.stress
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("isolation", ["READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"])
def test_twenty_thousand_pairs_at_every_isolation_level(owner: Connection, isolation: str) -> None:
    result = race("purge", "hold", STRESS_PAIRS, isolation=isolation)
    found = count_violations(result, owner)
    report(f"hold against purge, {isolation}", result, found)
    assert_no_violation(result, found)


@pytest.mark.parametrize("isolation", ["REPEATABLE_READ", "SERIALIZABLE"])
def test_stricter_isolation_levels_are_as_safe(owner: Connection, isolation: str) -> None:
    result = race("purge", "hold", 100, isolation=isolation)
    found = count_violations(result, owner)
    report(f"hold against purge, {isolation}", result, found)
    assert_no_violation(result, found)


def test_control_check_then_delete_without_guards_is_caught(owner: Connection) -> None:
    without_lock_in_holds(owner)
    without_triggers(owner, "z_guard_delete")
    without_triggers(owner, "z_guard_erasure_update")
    result = race("naive_purge", "hold", 100)
    found = count_violations(result, owner)
    report("control: check, then delete", result, found)
    assert found.violations > 0


def test_control_guards_that_look_without_a_lock_are_caught(owner: Connection) -> None:
    without_lock_in_holds(owner)
    without_lock_in(owner, "guard_delete", "guard_erasure_update")
    result = race("naive_purge", "hold", 100)
    found = count_violations(result, owner)
    report("control: guards without a lock", result, found)
    assert found.violations > 0


def test_control_a_hold_that_takes_no_lock_is_caught(owner: Connection) -> None:
    without_lock_in_holds(owner)
    result = race("purge", "hold", 100)
    found = count_violations(result, owner)
    report("control: a hold without a lock", result, found)
    assert found.violations > 0


def test_the_guards_alone_make_a_careless_purge_safe(owner: Connection) -> None:
    result = race("naive_purge", "hold", 100)
    found = count_violations(result, owner)
    report("careless purge on real guards", result, found)
    assert found.violations == 0


# --------------------------------------------------------------------------------------------- inserts and edits


def outliving(result: Result, owner: Connection) -> int:
    """Count the accounts whose erasure of the category is done and that have rows of it."""
    ids = [pair.account for pair in result.pairs]
    rows = owner.execute(
        "SELECT count(DISTINCT e.account_id) FROM retention_erasure e "
        "JOIN accounts_paymentmethod m ON m.account_id = e.account_id "
        "WHERE e.account_id = ANY(%s) AND e.category = 'billing' AND e.state = 'gone'",
        [ids],
    ).fetchone()
    assert rows is not None
    return int(rows[0])


def test_no_row_of_an_open_transaction_outlives_the_erasure(owner: Connection) -> None:
    result = race("purge", "insert", 200, scopes=())
    found = outliving(result, owner)
    report("insert against purge", result, f"{found} outlived")
    assert found == 0
    words = Counter(pair.second.word for pair in result.pairs)
    assert min(words["inserted"], words["refused"]) > 20
    # An insert and an update in one transaction never meet the purge in a deadlock.
    assert {pair.second.outcome for pair in result.pairs} == {"inserted", "refused:PH004"}
    assert {pair.first.word for pair in result.pairs} <= {"erased", "passed"}


def test_control_without_the_insert_guard_rows_outlive_the_erasure(owner: Connection) -> None:
    without_triggers(owner, "z_guard_insert")
    result = race("purge", "insert", 60, scopes=())
    found = outliving(result, owner)
    report("control: no insert guard", result, f"{found} outlived")
    assert found > 0


def lost_edits(result: Result, owner: Connection) -> int:
    """Count the edits committed after the hold was confirmed whose old row nobody kept."""
    ids = [pair.account for pair in result.pairs]
    kept = {
        row[0]
        for row in owner.execute(
            "SELECT account_id FROM retention_keptversion WHERE account_id = ANY(%s) AND table_name = "
            "'accounts_paymentmethod' AND row ->> 'provider' = 'trial' GROUP BY 1 HAVING count(*) = 2",
            [ids],
        )
    }
    return sum(
        1
        for pair in result.pairs
        if pair.first.word == "edited"
        and pair.second.word == "placed"
        and pair.second.ended < pair.first.committing
        and ("whole" in pair.what or "billing" in pair.what)
        and pair.account not in kept
    )


def test_an_edit_after_a_hold_was_confirmed_leaves_the_old_row_behind(owner: Connection) -> None:
    result = race("edit", "hold", 300)
    found = lost_edits(result, owner)
    kept = owner.execute("SELECT count(DISTINCT account_id) FROM retention_keptversion").fetchone()
    report("edit against hold", result, f"{found} lost, {kept} accounts with kept versions")
    assert found == 0
    # An edit is never refused: a refusal would tell of a hold.
    assert {pair.first.word for pair in result.pairs} == {"edited"}
    assert kept is not None and 20 < kept[0] < 280


def test_control_an_edit_guard_without_a_lock_loses_old_rows(owner: Connection) -> None:
    without_lock_in(owner, "guard_update")
    result = race("edit", "hold", 200)
    found = lost_edits(result, owner)
    report("control: edit guard without a lock", result, f"{found} lost")
    assert found > 0


def test_what_holds_won_keeps_its_keys_when_the_rest_is_shredded(owner: Connection, keys_owner: Connection) -> None:
    result = race("purge", "hold", 60)
    purge.shred()
    destroyed = set(
        keys_owner.execute("SELECT subject, category FROM keys_datakey WHERE destroyed_at IS NOT NULL").fetchall()
    )
    assert destroyed
    left = rows_left([pair.account for pair in result.pairs])
    assert not {pair for pair in left if pair in destroyed}
