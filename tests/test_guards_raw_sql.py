"""Raw SQL as the runtime role against every governed table: refused, or without loss.

The kinds stand in tests.attacks, the tables come from the data map. The control lets a superuser carry the same attack
out with the guards dropped: it must then lose rows, or it would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from chicagocloud.embedded import OWNER, SUPERUSER
from retention import placing
from tests.attacks import (
    DELETE,
    KINDS,
    Row,
    attack,
    attack_within,
    covered_rows,
    kept_rows,
    lost,
    newest_kept,
    statements,
    targets,
    unreadable,
)
from tests.cast import DAY, furnish, make_customer
from tests.servers import Connection, Stage, connect
from tests.weakening import without_triggers

# What the server refuses to a superuser inside a transaction, or by its configuration.
NO_CONTROL = {
    "the server's own settings": "would change the settings of the whole cluster",
    "two-phase commit": "the server prepares no transactions",
    "copy out through a program": "the program is not the loss; the deletion beside it is another kind",
    "move to no account, then delete": "only persons may be without account; their control is the move",
}


@dataclass(frozen=True)
class Scene:
    """A furnished account under a legal hold of everything, as it was at first, and another one that nothing holds."""

    held: UUID
    free: UUID
    original: dict[Row, Any]


@pytest.fixture(scope="module")
def scene(django_db_setup: Stage, django_db_blocker: Any) -> Iterator[Scene]:
    """One clone for all kinds: what none of them can lose needs no fresh start."""
    with django_db_blocker.unblock(), django_db_setup.clone():
        held = furnish(make_customer("held"))
        free = furnish(make_customer("free"))
        placing.place(held.account_id, "legal", by="system")
        with connect("default", OWNER) as owner:
            original = covered_rows(owner, [held.account_id])
        yield Scene(held.account_id, free.account_id, original)


def test_there_are_enough_kinds_and_every_governed_table_is_attacked() -> None:
    assert len(KINDS) >= 27
    assert len(targets()) >= 12
    assert all(target.column and target.key and target.moment for target in targets())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_hold_covers_survives(scene: Scene, kind: str) -> None:
    with connect("default", OWNER) as owner, connect("keys", OWNER) as keys_owner:
        before, newest = covered_rows(owner, [scene.held]), newest_kept(owner)
        wraps = keys_owner.execute("SELECT count(*) FROM keys_keywrap").fetchone()
        assert {table for table, _ in before} >= {target.table for target in targets()}
        with connect() as runtime:
            runtime.prepare_threshold = None
            for target in targets():
                attack(runtime, statements(kind, target, scene.held, scene.free))
                runtime.execute("DISCARD ALL")
        assert lost(owner, before, newest) == []
        assert lost(owner, scene.original) == []
        assert keys_owner.execute("SELECT count(*) FROM keys_keywrap").fetchone() == wraps
    # The old values are not only kept: they open.
    assert unreadable(scene.original) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_CONTROL])
def test_control_the_same_attack_without_guards_and_with_every_right_loses_rows(scene: Scene, kind: str) -> None:
    with connect("default", SUPERUSER) as admin:
        admin.autocommit = False
        admin.execute("SET CONSTRAINTS ALL IMMEDIATE")
        without_triggers(admin, "z_guard%")
        for target in targets():
            values = ", ".join(f"{column} = '\\x55'" for column in target.sealed)
            if values:
                admin.execute(f"UPDATE {target.table} SET {values}")
        before, newest = covered_rows(admin, [scene.held]), newest_kept(admin)
        for target in targets():
            attack_within(admin, statements(kind, target, scene.held, scene.free))
        admin.execute("RESET ROLE; RESET SESSION AUTHORIZATION; SET row_security = on; SET statement_timeout = 0")
        admin.execute("SET bytea_output = 'hex'; SET timezone = 'UTC'; SET search_path = public")
        found = lost(admin, before, newest)
        admin.rollback()
    assert found


def test_the_old_value_of_an_update_is_kept_and_opens_with_its_key(scene: Scene) -> None:
    with connect("default", OWNER) as owner, connect() as runtime:
        before = covered_rows(owner, [scene.held])
        for target in targets():
            change = f"UPDATE {target.table} SET {target.column} = '{target.value()}' WHERE account_id = %s"
            runtime.execute(change, [scene.held])
        kept = kept_rows(owner)
        after = covered_rows(owner, [scene.held])
    assert before.keys() == after.keys()
    changed = {place: row for place, row in before.items() if after[place] != row}
    assert {table for table, _ in changed} <= {target.table for target in targets()}
    assert all(row in kept[place] for place, row in changed.items())


def test_an_edit_of_a_free_account_keeps_no_old_version(scene: Scene) -> None:
    with connect("default", OWNER) as owner, connect() as runtime:
        runtime.execute("UPDATE accounts_contact SET name = '\\x00' WHERE account_id = %s", [scene.free])
        count = owner.execute("SELECT count(*) FROM retention_keptversion WHERE account_id = %s", [scene.free])
        assert count.fetchone() == (0,)


@pytest.mark.usefixtures("committed")
def test_moving_a_row_out_of_a_holds_period_and_deleting_it_leaves_its_old_version(
    owner: Connection, runtime: Connection
) -> None:
    then = timezone.now() - 200 * DAY
    bob = furnish(make_customer("bob"), at=then)
    period = (then - DAY, then + DAY)
    placing.place(bob.account_id, "legal", by="system", period=period)
    within = {
        place: row
        for place, row in covered_rows(owner, [bob.account_id]).items()
        if place not in covered_rows(owner, [bob.account_id], since=(then + DAY).isoformat())
    }
    assert len({table for table, _ in within}) >= 8
    for target in targets():
        refused = attack(runtime, [DELETE.format(t=target.table, account=bob.account_id)])
        assert refused in (["PH001"], ["23503"]) or target.table not in {table for table, _ in within}
        attack(
            runtime,
            [
                f"UPDATE {target.table} SET {target.moment} = now() WHERE account_id = '{bob.account_id}'",
                DELETE.format(t=target.table, account=bob.account_id),
            ],
        )
    assert lost(owner, within) == []
    assert unreadable(within) == []
    gone = covered_rows(owner, [bob.account_id])
    assert any(place not in gone for place in within)


@pytest.mark.usefixtures("committed")
def test_rows_outside_a_holds_period_and_of_other_categories_can_go(owner: Connection, runtime: Connection) -> None:
    bob = furnish(make_customer("bob"))
    now = timezone.now()
    placing.place(bob.account_id, "legal", by="system", categories=["billing"])
    placing.place(bob.account_id, "legal", by="system", period=(None, now - 100 * DAY))
    assert attack(runtime, [DELETE.format(t="accounts_accessevent", account=bob.account_id)]) == []
    assert attack(runtime, [DELETE.format(t="accounts_paymentmethod", account=bob.account_id)]) == ["PH001"]


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"])
def test_a_snapshot_older_than_the_hold_does_not_help(owner: Connection, runtime: Connection, level: str) -> None:
    bob = furnish(make_customer("bob"))
    before = covered_rows(owner, [bob.account_id])
    runtime.execute(f"BEGIN ISOLATION LEVEL {level}")
    runtime.execute("SELECT count(*) FROM retention_hold")
    placing.place(bob.account_id, "legal", by="system")
    with pytest.raises(psycopg.Error) as refusal:
        runtime.execute("DELETE FROM accounts_accessevent WHERE account_id = %s", [bob.account_id])
    runtime.execute("ROLLBACK")
    assert refusal.value.sqlstate in {"PH001", "40001"}
    assert lost(owner, before) == []


@pytest.mark.usefixtures("committed")
def test_an_edit_with_a_snapshot_older_than_the_hold_keeps_the_old_row_or_fails(
    owner: Connection, runtime: Connection
) -> None:
    bob = furnish(make_customer("bob"))
    before = covered_rows(owner, [bob.account_id])
    runtime.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    runtime.execute("SELECT count(*) FROM retention_hold")
    placing.place(bob.account_id, "legal", by="system")
    with pytest.raises(psycopg.errors.SerializationFailure):
        runtime.execute("UPDATE accounts_contact SET name = '\\x00' WHERE account_id = %s", [bob.account_id])
    runtime.execute("ROLLBACK")
    assert lost(owner, before) == []


@pytest.mark.usefixtures("committed")
def test_two_steps_whose_first_makes_the_hold_look_past_are_no_way_around(runtime: Connection) -> None:
    """The scope of a hold is what its trigger found, whatever its row claims when it is inserted."""
    bob = furnish(make_customer("bob"))
    row = runtime.execute(
        "INSERT INTO retention_hold (id, account_id, kind, categories, placed_by, placed_at, told_by, told_how, "
        "released_by, already_gone, partly_gone) VALUES (uuidv7(), %s, 'legal', '{}', 'system', now(), '', '', '', "
        "'{contact,billing}', '{}') RETURNING already_gone",
        [bob.account_id],
    ).fetchone()
    assert row == ([],)
    assert attack(runtime, [DELETE.format(t="accounts_paymentmethod", account=bob.account_id)]) == ["PH001"]


def test_the_time_a_hold_covers_is_the_servers_not_the_sessions(scene: Scene) -> None:
    with connect() as runtime:
        runtime.execute("SET timezone = 'Pacific/Kiritimati'; SET datestyle = 'SQL, DMY'")
        assert attack(runtime, [DELETE.format(t="accounts_accessevent", account=scene.held)]) == ["PH001"]
