"""Raw SQL against governed tables: the kinds of attack, how one is carried out, and what counts as loss.

An attack is a list of statements for one table. The attacker goes on after a refusal and commits what it can. Nothing
is lost when every row that a hold covered is still there unchanged, or its old version is among the kept ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from accounts import datamap
from accounts.datamap import Category
from accounts.keys.keyring import keyring
from accounts.models import IpAssignment, Restriction, Suspension
from accounts.safeguards.fields import SealedField
from accounts.safeguards.sealing import unseal
from tests.servers import Connection

Row = tuple[str, str]


@dataclass(frozen=True)
class Target:
    """A governed table as an attacker sees it."""

    table: str
    key: str
    moment: str
    sealed: tuple[str, ...]
    # What an update changes where nothing is sealed, with its type.
    other: tuple[str, str] = ("", "")

    @property
    def column(self) -> str:
        """The column that an update changes."""
        return self.sealed[0] if self.sealed else self.other[0]

    def value(self) -> str:
        """Return another value each time: an update to what is there already would prove nothing."""
        if self.other[1] == "timestamptz" and not self.sealed:
            return f"{2100 + secrets.randbelow(800)}-01-01T00:00:{secrets.randbelow(60):02}Z"
        return f"\\x{secrets.token_hex(4)}"

    def names(self, account: UUID, other: UUID) -> dict[str, str]:
        """Return what the statements of an attack are filled with."""
        return {
            "t": self.table,
            "key": self.key,
            "moment": self.moment,
            "column": self.column,
            "account": str(account),
            "other": str(other),
            "value": self.value(),
            "second": self.value(),
        }


# What can be changed in the tables that seal nothing.
CLEAR: dict[type, tuple[str, str]] = {
    IpAssignment: ("ended_at", "timestamptz"),
    Restriction: ("lifted_at", "timestamptz"),
    Suspension: ("lifted_by", "text"),
}


def targets() -> list[Target]:
    """Return every governed table of the data map that a hold can cover, children before their parents."""
    found = []
    for model, entry in datamap.governed().items():
        if entry.category != Category.CREDENTIALS:
            sealed = tuple(field.column for field in model._meta.fields if isinstance(field, SealedField))
            key = str(model._meta.pk.column) if model._meta.pk else ""
            found.append(
                Target(model._meta.db_table, key, datamap.time_column(model), sealed, CLEAR.get(model, ("", "")))
            )
    return found


DELETE = "DELETE FROM {t} WHERE account_id = '{account}'"
# What is lost by each kind, were it not refused; in the words an attacker would type.
KINDS: dict[str, list[str]] = {
    "delete one row": ["DELETE FROM {t} WHERE {key} = (SELECT {key} FROM {t} WHERE account_id = '{account}' LIMIT 1)"],
    "delete the account's rows": [DELETE],
    "delete every row": ["DELETE FROM {t}"],
    "delete using a join": [
        "DELETE FROM {t} USING accounts_account a WHERE a.id = {t}.account_id AND a.id = '{account}'"
    ],
    "delete in a CTE": ["WITH d AS (" + DELETE + " RETURNING 1) SELECT count(*) FROM d"],
    "delete below a select that is false": ["WITH d AS (" + DELETE + " RETURNING 1) SELECT 1 WHERE false"],
    "delete where current of a cursor": [
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT * FROM {t} WHERE account_id = '{account}' FOR UPDATE",
        "FETCH c",
        "DELETE FROM {t} WHERE CURRENT OF c",
        "COMMIT",
    ],
    "delete in a block that swallows errors": [
        "DO $$ BEGIN " + DELETE + "; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    ],
    "delete row by row, swallowing errors": [
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT {key} AS k FROM {t} WHERE account_id = '{account}' LOOP "
        "BEGIN DELETE FROM {t} WHERE {key} = r.k; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$",
    ],
    "delete under a savepoint": ["BEGIN", "SAVEPOINT s", DELETE, "ROLLBACK TO s", DELETE, "RELEASE s", "COMMIT"],
    "delete by a prepared statement": [
        "PREPARE p(uuid) AS DELETE FROM {t} WHERE account_id = $1",
        "EXECUTE p('{account}')",
        "DEALLOCATE p",
    ],
    "delete inside COPY": ["COPY (" + DELETE + " RETURNING *) TO STDOUT"],
    "copy out through a program": ["COPY {t} TO PROGRAM 'true'", "COPY {t} FROM PROGRAM 'true'", DELETE],
    "truncate": ["TRUNCATE {t}"],
    "truncate with all that depends": ["TRUNCATE {t} CASCADE"],
    "update to null": ["UPDATE {t} SET {sealed} = NULL WHERE account_id = '{account}'"],
    "update to another value": ["UPDATE {t} SET {column} = '{value}' WHERE account_id = '{account}'"],
    "update twice in one transaction": [
        "BEGIN",
        "UPDATE {t} SET {column} = '{value}' WHERE account_id = '{account}'",
        "UPDATE {t} SET {column} = '{second}' WHERE account_id = '{account}'",
        "COMMIT",
    ],
    "update with another output format": [
        "SET bytea_output = 'escape'; SET timezone = 'Asia/Kathmandu'; SET datestyle = 'SQL, DMY'",
        "UPDATE {t} SET {column} = '{value}' WHERE account_id = '{account}'",
    ],
    "update by a join": [
        "UPDATE {t} SET {column} = '{value}' FROM accounts_account a WHERE a.id = {t}.account_id AND a.id = '{account}'"
    ],
    "move to another account": ["UPDATE {t} SET account_id = '{other}' WHERE account_id = '{account}'"],
    "move to no account, then delete": [
        "UPDATE {t} SET account_id = NULL WHERE account_id = '{account}'",
        "DELETE FROM {t} WHERE account_id IS NULL",
    ],
    "change the id, then delete": [
        "UPDATE {t} SET {key} = gen_random_uuid() WHERE account_id = '{account}'",
        DELETE,
    ],
    "merge that deletes": [
        "MERGE INTO {t} USING (SELECT '{account}'::uuid AS a) s ON {t}.account_id = s.a WHEN MATCHED THEN DELETE"
    ],
    "merge that updates": [
        "MERGE INTO {t} USING (SELECT '{account}'::uuid AS a) s ON {t}.account_id = s.a "
        "WHEN MATCHED THEN UPDATE SET {column} = '{value}'"
    ],
    "insert that updates on conflict": [
        "INSERT INTO {t} SELECT * FROM {t} WHERE account_id = '{account}' "
        "ON CONFLICT ({key}) DO UPDATE SET {column} = '{value}'"
    ],
    "a temporary table named like the holds": [
        "CREATE TEMP TABLE retention_hold (LIKE public.retention_hold)",
        "SET search_path = pg_temp, public",
        DELETE,
    ],
    "functions and schemas in front of the guard's": [
        "CREATE SCHEMA evil",
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
        "AS 'SELECT ''infinity''::timestamptz'",
        "SET search_path = evil, public, pg_catalog",
        DELETE,
    ],
    "triggers switched off for the session": ["SET session_replication_role = 'replica'", DELETE],
    "triggers switched off for a transaction": [
        "BEGIN",
        "SET LOCAL session_replication_role = 'replica'",
        DELETE,
        "COMMIT",
    ],
    "triggers disabled": ["ALTER TABLE {t} DISABLE TRIGGER ALL", "ALTER TABLE {t} DISABLE TRIGGER USER", DELETE],
    "triggers dropped": ["DROP TRIGGER z_guard_delete ON {t}", DELETE],
    "the table dropped": ["DROP TABLE {t} CASCADE"],
    "a column dropped": ["ALTER TABLE {t} DROP COLUMN {column}"],
    "a column rewritten": ["ALTER TABLE {t} ALTER COLUMN {column} TYPE bytea USING '{value}'"],
    "the guard's function dropped": ["DROP FUNCTION guard_delete() CASCADE", DELETE],
    "the guard's function replaced": [
        "CREATE OR REPLACE FUNCTION public.guard_delete() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        DELETE,
    ],
    "a rule that deletes": [
        "CREATE RULE evil AS ON UPDATE TO {t} DO INSTEAD DELETE FROM {t} WHERE account_id = old.account_id",
        "UPDATE {t} SET account_id = account_id WHERE account_id = '{account}'",
    ],
    "holds hidden by row security": [
        "ALTER TABLE retention_hold ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE retention_hold FORCE ROW LEVEL SECURITY",
        "SET row_security = off",
        DELETE,
    ],
    "another role": ["SET ROLE portal_owner", "SET SESSION AUTHORIZATION portal_owner", DELETE, "RESET ROLE"],
    "rights granted to oneself": ["GRANT ALL ON {t} TO portal_runtime", "TRUNCATE {t} CASCADE"],
    "locks taken first": [
        "BEGIN",
        "LOCK TABLE accounts_account IN EXCLUSIVE MODE",
        "SELECT 1 FROM accounts_account WHERE id = '{account}' FOR UPDATE",
        DELETE,
        "COMMIT",
    ],
    "constraints deferred": ["BEGIN", "SET CONSTRAINTS ALL DEFERRED", DELETE, "COMMIT"],
    "a snapshot of one's own": ["BEGIN ISOLATION LEVEL REPEATABLE READ", DELETE, "COMMIT"],
    "a serializable transaction": ["BEGIN ISOLATION LEVEL SERIALIZABLE", DELETE, "COMMIT"],
    "timeouts that cut the guard short": ["SET lock_timeout = '1ms'; SET statement_timeout = '20ms'", DELETE],
    "a view that deletes": [
        "CREATE VIEW public.evil AS SELECT * FROM {t}",
        "DELETE FROM public.evil WHERE account_id = '{account}'",
    ],
    "a table below it": ["CREATE TABLE public.evil () INHERITS ({t})", "DELETE FROM {t}"],
    "the server's own settings": ["ALTER SYSTEM SET session_replication_role = 'replica'", DELETE],
    "two-phase commit": ["BEGIN", DELETE, "PREPARE TRANSACTION 'evil'", "COMMIT PREPARED 'evil'"],
}


def statements(kind: str, target: Target, account: UUID, other: UUID) -> list[str]:
    """Return the statements of an attack on a table."""
    names = target.names(account, other)
    found = []
    for statement in KINDS[kind]:
        columns = target.sealed if "{sealed}" in statement else [""]
        found += [statement.format(**names, sealed=column) for column in columns]
    return found


def attack(connection: Connection, wanted: Iterable[str]) -> list[str]:
    """Run the statements, each one whatever became of the one before; return the codes of the refusals."""
    refusals = []
    for statement in wanted:
        try:
            run(connection, statement)
        except psycopg.Error as error:
            refusals.append(error.sqlstate or type(error).__name__)
    if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        connection.execute("COMMIT")
    return refusals


def attack_within(connection: Connection, wanted: Iterable[str]) -> None:
    """Run the statements inside the open transaction, which will be rolled back; the attack's own is left out."""
    for statement in wanted:
        if statement.split()[0] not in {"BEGIN", "COMMIT"}:
            try:
                with connection.transaction():
                    run(connection, statement)
            except psycopg.Error:
                continue


def run(connection: Connection, statement: str) -> None:
    """Execute one statement; what COPY sends is read to its end."""
    with connection.cursor() as cursor:
        if statement.startswith("COPY") and statement.endswith("STDOUT"):
            with cursor.copy(statement.encode()) as copy:
                for _ in copy:
                    pass
        else:
            cursor.execute(statement.encode())


def covered_rows(connection: Connection, accounts: Iterable[UUID], since: str = "-infinity") -> dict[Row, Any]:
    """Return every row of the governed tables that belongs to the accounts and is older than `since` allows."""
    found: dict[Row, Any] = {}
    for target in targets():
        rows = connection.execute(
            f"SELECT {target.key}::text, to_jsonb(t) FROM {target.table} t "
            f"WHERE account_id = ANY(%s) AND {target.moment} >= %s",
            [list(accounts), since],
        )
        found.update({(target.table, key): row for key, row in rows})
    return found


def newest_kept(connection: Connection) -> int:
    """Return the number of the newest kept version."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM retention_keptversion").fetchone()
    assert row is not None
    return int(row[0])


def kept_rows(connection: Connection, after: int = 0) -> dict[Row, list[Any]]:
    """Return every kept version newer than number `after` as its table would show it."""
    found: dict[Row, list[Any]] = {}
    tables = {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT table_name FROM retention_keptversion "
            "WHERE to_regclass('public.' || table_name) IS NOT NULL"
        )
    }
    keys = {target.table: target.key for target in targets()}
    for table in tables:
        rows = connection.execute(
            f"SELECT v.row ->> '{keys[table]}', to_jsonb(jsonb_populate_record(NULL::{table}, v.row)) "
            "FROM retention_keptversion v WHERE table_name = %s AND id > %s",
            [table, after],
        )
        for key, row in rows:
            found.setdefault((table, key), []).append(row)
    return found


def lost(connection: Connection, before: dict[Row, Any], after: int = 0) -> list[Row]:
    """Return the rows that are neither there as they were nor among the kept versions newer than number `after`."""
    kept = kept_rows(connection, after)
    left: dict[Row, Any] = {}
    for target in targets():
        there = connection.execute("SELECT to_regclass(%s)", [f"public.{target.table}"]).fetchone()
        if there and there[0]:
            rows = connection.execute(f"SELECT {target.key}::text, to_jsonb(t) FROM {target.table} t")
            left.update({(target.table, key): row for key, row in rows})
    return [place for place, row in before.items() if left.get(place) != row and row not in kept.get(place, [])]


def unreadable(rows: dict[Row, Any]) -> list[Row]:
    """Return the rows of which a sealed value does not open any more."""
    sealed = {target.table: target.sealed for target in targets()}
    found = []
    with keyring():
        for (table, key), row in rows.items():
            for column in sealed[table]:
                box = row[column]
                if box is not None and not unseal(bytes.fromhex(box.removeprefix("\\x")), f"{table}.{column}.{key}"):
                    found.append((table, key))
    return found
