"""What no database can refuse its owner: each such change is reported, stops the purge and fails the health check.

Every change is undone afterwards, and then nothing differs any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError

from accounts.safeguards import ledger
from chicagocloud import health
from chicagocloud.embedded import OWNER, SUPERUSER
from retention import guards, placing, purge
from retention.models import Erasure
from retention.models import Stage as State
from tests.crowd import make_crowd, rows_left
from tests.servers import Connection, Stage, connect, current_stage
from tests.weakening import source_of

CONTACT = "accounts_contact"
ON_DELETE = "z_guard_delete ON accounts_contact"
DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$ BEGIN {body} END $f$"

# (what, database, statements, statements that undo them; "" for what is made anew from the code's own text)
CHANGES: dict[str, tuple[str, str, str]] = {
    "a trigger disabled": (
        "default",
        f"ALTER TABLE {CONTACT} DISABLE TRIGGER z_guard_delete",
        f"ALTER TABLE {CONTACT} ENABLE ALWAYS TRIGGER z_guard_delete",
    ),
    "all triggers of a table disabled": (
        "default",
        "ALTER TABLE retention_hold DISABLE TRIGGER USER",
        "ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold; "
        "ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold_of_notice; "
        "ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_evidence",
    ),
    "a trigger that replicas pass by": (
        "default",
        f"ALTER TABLE {CONTACT} ENABLE TRIGGER z_guard_delete",
        f"ALTER TABLE {CONTACT} ENABLE ALWAYS TRIGGER z_guard_delete",
    ),
    "a trigger dropped": ("default", f"DROP TRIGGER {ON_DELETE}", ""),
    "a trigger with another category": (
        "default",
        f"DROP TRIGGER {ON_DELETE}; CREATE TRIGGER {ON_DELETE.replace(' ON', ' AFTER DELETE ON')} "
        f"REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at'); "
        f"ALTER TABLE {CONTACT} ENABLE ALWAYS TRIGGER z_guard_delete",
        f"DROP TRIGGER {ON_DELETE}",
    ),
    "a trigger that comes first and swallows": (
        "default",
        "CREATE TRIGGER a_first BEFORE INSERT ON retention_hold FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DROP TRIGGER a_first ON retention_hold",
    ),
    "a guard's body replaced": (
        "default",
        "CREATE OR REPLACE FUNCTION guard_delete() RETURNS trigger VOLATILE " + DEFINER.format(body="RETURN NULL;"),
        "SOURCE guard_delete",
    ),
    "a guard that is stable": (
        "default",
        "ALTER FUNCTION guard_delete() STABLE",
        "ALTER FUNCTION guard_delete() VOLATILE",
    ),
    "a guard with its caller's rights": (
        "default",
        "ALTER FUNCTION guard_delete() SECURITY INVOKER",
        "ALTER FUNCTION guard_delete() SECURITY DEFINER",
    ),
    "a guard with its caller's search path": (
        "default",
        "ALTER FUNCTION guard_delete() RESET search_path",
        "ALTER FUNCTION guard_delete() SET search_path = pg_catalog, pg_temp",
    ),
    "a function nobody expects": (
        "default",
        "CREATE FUNCTION wipe() RETURNS void " + DEFINER.format(body="DELETE FROM public.retention_hold;"),
        "DROP FUNCTION wipe()",
    ),
    "a second form of an expected function": (
        "default",
        "CREATE FUNCTION mint_destruction(text) RETURNS void " + DEFINER.format(body="NULL;"),
        "DROP FUNCTION mint_destruction(text)",
    ),
    "a function in a schema of its own": (
        "default",
        "CREATE SCHEMA aside; GRANT USAGE ON SCHEMA aside TO portal_runtime; "
        "CREATE FUNCTION aside.wipe() RETURNS void " + DEFINER.format(body="DELETE FROM public.retention_hold;"),
        "DROP SCHEMA aside CASCADE",
    ),
    "a right to truncate": (
        "default",
        f"GRANT TRUNCATE ON {CONTACT} TO portal_runtime",
        f"REVOKE TRUNCATE ON {CONTACT} FROM portal_runtime",
    ),
    "a right to delete holds, to everybody": (
        "default",
        "GRANT DELETE ON retention_hold TO PUBLIC",
        "REVOKE DELETE ON retention_hold FROM PUBLIC",
    ),
    "a right to one column of a hold": (
        "default",
        "GRANT UPDATE (covers_until) ON retention_hold TO portal_runtime",
        "REVOKE UPDATE (covers_until) ON retention_hold FROM portal_runtime",
    ),
    "a right to read one column of the secret": (
        "default",
        "GRANT SELECT (outer_pad) ON safeguards_destructionsecret TO portal_runtime",
        "REVOKE SELECT (outer_pad) ON safeguards_destructionsecret FROM portal_runtime",
    ),
    "a right to make triggers": (
        "default",
        f"GRANT TRIGGER ON {CONTACT} TO portal_runtime",
        f"REVOKE TRIGGER ON {CONTACT} FROM portal_runtime",
    ),
    "a right to make tables": (
        "default",
        "GRANT CREATE ON SCHEMA public TO portal_runtime",
        "REVOKE CREATE ON SCHEMA public FROM portal_runtime",
    ),
    "temporary tables": (
        "default",
        "GRANT TEMP ON DATABASE {db} TO portal_runtime",
        "REVOKE TEMP ON DATABASE {db} FROM portal_runtime",
    ),
    "a table given away": (
        "superuser",
        f"ALTER TABLE {CONTACT} OWNER TO portal_runtime",
        f"ALTER TABLE {CONTACT} OWNER TO portal_owner; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {CONTACT} TO portal_runtime",
    ),
    "membership in the owner's role": (
        "superuser",
        "GRANT portal_owner TO portal_runtime WITH INHERIT FALSE",
        "REVOKE portal_owner FROM portal_runtime",
    ),
    "a rule": (
        "default",
        f"CREATE RULE away AS ON UPDATE TO {CONTACT} DO INSTEAD NOTHING",
        f"DROP RULE away ON {CONTACT}",
    ),
    "row security on holds": (
        "default",
        "ALTER TABLE retention_hold ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE retention_hold DISABLE ROW LEVEL SECURITY",
    ),
    "a table below a governed one": (
        "default",
        f"CREATE TABLE below () INHERITS ({CONTACT})",
        "DROP TABLE below",
    ),
    "a shorter cool-off": (
        "default",
        "UPDATE retention_limit SET seconds = 1 WHERE name = 'cool_off'",
        "UPDATE retention_limit SET seconds = 86400 WHERE name = 'cool_off'",
    ),
    "a constraint dropped": (
        "default",
        "ALTER TABLE retention_holdrelease DROP CONSTRAINT hold_release_takes_two_people",
        "ALTER TABLE retention_holdrelease ADD CONSTRAINT hold_release_takes_two_people "
        "CHECK (approved_by IS NULL OR approved_by <> requested_by)",
    ),
    "a unique index dropped": (
        "default",
        "DROP INDEX erasure_once_per_account_category",
        "CREATE UNIQUE INDEX erasure_once_per_account_category ON retention_erasure (account_id, category) "
        "WHERE state <> 'cancelled'",
    ),
    "a key store's trigger disabled": (
        "keys",
        "ALTER TABLE keys_keywrap DISABLE TRIGGER z_guard_wrap",
        "ALTER TABLE keys_keywrap ENABLE ALWAYS TRIGGER z_guard_wrap",
    ),
    "a right to delete wraps": (
        "keys",
        "GRANT DELETE ON keys_keywrap TO portal_runtime",
        "REVOKE DELETE ON keys_keywrap FROM portal_runtime",
    ),
    "a destroying function that asks for no token": (
        "keys",
        "CREATE OR REPLACE FUNCTION destroy_keys(subjects uuid[], categories text[], minted text, token bytea) "
        "RETURNS integer " + DEFINER.format(body="DELETE FROM public.keys_keywrap; RETURN 0;"),
        "SOURCE destroy_keys",
    ),
}


@pytest.fixture(scope="module")
def stage(django_db_setup: Stage, django_db_blocker: Any) -> Iterator[Stage]:
    """One clone for all changes, each of which is undone; a due account waits in it."""
    with django_db_blocker.unblock(), django_db_setup.clone():
        yield django_db_setup


@contextmanager
def changed(what: str) -> Iterator[None]:
    """Carry out a change as the owner, and undo it."""
    alias, do, undo = CHANGES[what]
    role, alias = (SUPERUSER, "default") if alias == "superuser" else (OWNER, alias)
    database = current_stage().names.of(alias)
    with connect(alias, role) as owner:
        source = source_of(owner, undo.split()[1]) if undo.startswith("SOURCE") else undo.format(db=database)
        owner.execute(do.replace("{db}", database).encode())
        try:
            yield
        finally:
            if source:
                owner.execute(source.encode())
            restore_trigger(owner, alias)


def restore_trigger(owner: Connection, alias: str) -> None:
    """Make again, from the code's own text, what was dropped."""
    there = {
        (table, name)
        for table, name in owner.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"
        ).fetchall()
    }
    for (table, name), text in guards.expected_triggers(alias).items():
        if (table, name) not in there:
            owner.execute(f"{text}; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}".encode())


@pytest.mark.parametrize("what", CHANGES)
def test_it_is_reported_stops_the_purge_and_fails_the_health_check(stage: Stage, what: str) -> None:
    [account] = make_crowd(1)
    before = rows_left([account])
    assert guards.differences() == []
    with changed(what):
        assert guards.differences()
        assert purge.ring().stopped == "a guard differs from the code"
        with pytest.raises(health.NotWell):
            health.look_at_guards()
        assert rows_left([account]) == before
    # Control: undone, it goes on.
    assert guards.differences() == []
    assert health.look_at_guards() == "as expected"
    assert purge.ring(only=[account]).stopped == ""
    assert set(Erasure.objects.filter(account=account).values_list("state", flat=True)) == {State.GONE}


def test_a_second_form_cannot_hide_the_one_that_was_replaced(stage: Stage) -> None:
    with connect("default", OWNER) as owner:
        source = source_of(owner, "sweep_kept_versions")
        genuine = source.replace("(most integer)", "(most bigint)")
        owner.execute(
            "CREATE OR REPLACE FUNCTION sweep_kept_versions(most integer) RETURNS bigint "
            + DEFINER.format(body="DELETE FROM public.retention_keptversion; RETURN 0;")
        )
        owner.execute(genuine)
        try:
            assert guards.differences()
        finally:
            owner.execute("DROP FUNCTION sweep_kept_versions(bigint)")
            owner.execute(source)
    assert guards.differences() == []


def test_the_health_check_names_what_differs_to_whoever_brings_the_token(stage: Stage) -> None:
    with changed("a trigger disabled"), pytest.raises(health.NotWell, match="z_guard_delete on accounts_contact"):
        health.look_at_guards()


def test_an_unreachable_key_store_stops_the_purge_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    [account] = make_crowd(1)

    def unreachable(alias: str) -> list[str]:
        raise OperationalError("no answer")

    monkeypatch.setattr(guards, "_compare", unreachable)
    assert purge.ring().stopped == "a database cannot be reached"
    assert Erasure.objects.filter(account=account, state=State.DUE).exists()


def test_a_release_without_its_ledger_entry_raises_the_alarm(stage: Stage) -> None:
    account, other = make_crowd(2)
    holds = [placing.place(one, "operations", by="system") for one in (account, other)]
    with connect() as runtime:
        release = "UPDATE retention_hold SET released_at = now(), released_by = 'system' WHERE id = %s"
        runtime.execute(release, [holds[0].pk])
        assert "a hold was released without its ledger entry" in {one.what for one in guards.differences()}
        assert purge.ring().stopped == "a guard differs from the code"
        # An entry that is no JSON does not break the alarm, nor does one about another hold still it.
        runtime.execute(
            "INSERT INTO safeguards_ledgerentry (id, at, actor, action, subject, body, salt, leaf) "
            "SELECT uuidv7(), now(), 'x', 'hold.released', %s, 'no json', s, "
            "sha256('\\x00'::bytea || s || convert_to('no json', 'UTF8')) "
            "FROM (SELECT uuid_send(uuidv7()) AS s)",
            [account],
        )
    assert [one.what for one in guards.differences()] == ["a hold was released without its ledger entry"]
    ledger.record("system", "hold.released", account, hold=holds[0].pk)
    assert guards.differences() == []
