"""All 35 ways in which the purge's four steps and a hold's three can follow each other, at each isolation level.

The purge locks, reads the holds, deletes, commits; the hold begins (and looks at the account), is inserted, commits.
Both are the portal's own acts, stopped between the steps. Afterwards a hold that was accepted must have what it covers.
The control takes the same steps wrongly: some of the 35 must then fail.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from uuid import UUID

import pytest
from django.db import transaction

from accounts.models import Account
from retention import purge
from retention.placing import place_within
from retention.refusals import AlreadyErased, NotPlaced, named
from tests.crowd import ROWS, make_crowd, rows_left
from tests.racing import naive_purge_side
from tests.servers import Connection, connect
from tests.stepping import Stepped, interleave
from tests.weakening import (
    EPOCH,
    READ,
    replace_in_function,
    without_lock_in,
    without_lock_in_holds,
    without_triggers,
)

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.race]

PURGE = (r"LEFT JOIN retention_hold", r"DELETE FROM")
NAIVE = (r"FROM retention_hold", r"DELETE FROM")
HOLD = (r'INSERT INTO "retention_hold"',)
ORDERS = [tuple(int(place not in purge_places) for place in range(7)) for purge_places in combinations(range(7), 4)]


def erase(account: UUID) -> str:
    """The portal's purge of one account, once."""
    return "erased" if purge.erase([account]).accounts else "passed"


def hold(account: UUID, categories: tuple[str, ...]) -> str:
    """A hold placed in a transaction that looked at the account first."""
    try:
        with named(account), transaction.atomic():
            Account.objects.get(pk=account)
            place_within(account, "legal", by="system", categories=categories)
        return "placed"
    except AlreadyErased:
        return "gone"
    except NotPlaced:
        return "busy"


def bad_orders(
    owner: Connection,
    act: Callable[[UUID], str] = erase,
    patterns: tuple[str, ...] = PURGE,
    categories: tuple[str, ...] = (),
    levels: tuple[str, str] = ("READ_COMMITTED", "READ_COMMITTED"),
) -> tuple[list[str], set[tuple[str, str]]]:
    """Return the interleavings after which an accepted hold lacks what it covers, and all outcomes seen."""
    accounts = make_crowd(len(ORDERS))
    outcomes = {}
    with connect() as watch:
        for account, order in zip(accounts, ORDERS, strict=True):
            one = Stepped(lambda account=account: act(account), patterns, levels[0])  # type: ignore[misc]
            other = Stepped(lambda account=account: hold(account, categories), HOLD, levels[1])  # type: ignore[misc]
            outcomes[account] = interleave(one, other, order, watch)
            assert not [outcome for outcome in outcomes[account] if outcome.startswith("error")], outcomes[account]
    left = rows_left(accounts)
    gone = {
        account: {*already, *partly}
        for account, already, partly in owner.execute(
            "SELECT account_id, already_gone, partly_gone FROM retention_hold WHERE account_id = ANY(%s)", [accounts]
        )
    }
    bad = []
    for account, order in zip(accounts, ORDERS, strict=True):
        wanted = {name: rows for name, rows in ROWS.items() if not categories or name in categories}
        assert (account in gone) == (outcomes[account][1] == "placed"), outcomes[account]
        for category, rows in wanted.items():
            covered = account in gone and category not in gone[account]
            if covered and left.get((account, category), 0) != rows:
                bad.append("".join("PH"[who] for who in order))
                break
            # A refusal is true: nothing of it is left.
            assert outcomes[account][1] != "gone" or (account, category) not in left
    return bad, set(outcomes.values())


@pytest.mark.parametrize(
    ("level", "categories"),
    [
        pytest.param("READ_COMMITTED", (), id="read-committed-whole"),
        pytest.param("READ_COMMITTED", ("billing",), id="read-committed-scoped"),
        pytest.param("REPEATABLE_READ", (), id="repeatable-read-whole"),
        pytest.param("REPEATABLE_READ", ("billing",), id="repeatable-read-scoped", marks=pytest.mark.stress),
        pytest.param("SERIALIZABLE", (), id="serializable-whole", marks=pytest.mark.stress),
        pytest.param("SERIALIZABLE", ("billing",), id="serializable-scoped", marks=pytest.mark.stress),
    ],
)
def test_none_of_the_35_interleavings_breaks_a_hold(owner: Connection, level: str, categories: tuple[str, ...]) -> None:
    assert len(set(ORDERS)) == 35
    bad, seen = bad_orders(owner, categories=categories, levels=(level, level))
    print(f"\n{level}: {len(bad)} bad of {len(ORDERS)}, outcomes {sorted(seen)}")
    assert bad == []
    assert {"placed", "gone"} <= {second for _, second in seen}
    assert {"erased", "passed"} <= {first for first, _ in seen} or categories


def test_control_a_purge_that_checks_and_then_deletes_breaks_many(owner: Connection) -> None:
    without_lock_in_holds(owner)
    without_triggers(owner, "z_guard_delete")
    without_triggers(owner, "z_guard_erasure_update")
    bad, _ = bad_orders(owner, act=lambda account: naive_purge_side(account, ""), patterns=NAIVE)
    print(f"\ncontrol, check then delete: {len(bad)} bad of {len(ORDERS)}: {bad}")
    assert len(bad) > 5


def test_control_guards_without_a_lock_let_some_through(owner: Connection) -> None:
    without_lock_in_holds(owner)
    without_lock_in(owner, "guard_delete", "guard_erasure_update")
    bad, _ = bad_orders(owner, act=lambda account: naive_purge_side(account, ""), patterns=NAIVE)
    print(f"\ncontrol, guards without a lock: {len(bad)} bad of {len(ORDERS)}: {bad}")
    assert len(bad) > 2


def test_control_a_hold_without_a_lock_is_confirmed_on_what_is_gone(owner: Connection) -> None:
    without_lock_in_holds(owner)
    bad, _ = bad_orders(owner)
    print(f"\ncontrol, a hold without a lock: {len(bad)} bad of {len(ORDERS)}: {bad}")
    assert len(bad) > 2


def test_the_guards_see_a_hold_that_an_old_snapshot_does_not(owner: Connection) -> None:
    # The hold is the portal's, at its own level; whoever deletes chooses theirs.
    levels = ("REPEATABLE_READ", "READ_COMMITTED")
    bad, _ = bad_orders(owner, act=lambda account: naive_purge_side(account, ""), patterns=NAIVE, levels=levels)
    assert bad == []


def test_control_a_hold_that_locks_but_writes_nothing_is_missed_by_an_old_snapshot(owner: Connection) -> None:
    replace_in_function(owner, "guard_hold", EPOCH, f"{READ} FOR UPDATE;")
    levels = ("REPEATABLE_READ", "READ_COMMITTED")
    bad, _ = bad_orders(owner, act=lambda account: naive_purge_side(account, ""), patterns=NAIVE, levels=levels)
    print(f"\ncontrol, no epoch at REPEATABLE READ: {len(bad)} bad of {len(ORDERS)}: {bad}")
    assert len(bad) > 2
