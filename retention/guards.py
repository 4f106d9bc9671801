"""Compares the guards in the databases with what the code expects; a difference stops the purge.

What is expected: the triggers and functions of the SQL files beside the migrations (later files override earlier
ones), five triggers for every governed table of the data map, and what the runtime role may do. The owner switching a
guard off cannot be refused by the database: it is reported here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

from accounts import datamap
from accounts.keys.routing import ALIAS as KEYS
from retention import schedule

ROOMS = Path(__file__).resolve().parent.parent
FILES = {
    DEFAULT_DB_ALIAS: ("accounts/safeguards/migrations", "retention/migrations", "disclosures/migrations"),
    KEYS: ("accounts/keys/migrations",),
}
RUNTIME = "portal_runtime"
MOVING = "SELECT, INSERT, UPDATE, DELETE"
# What the runtime role may do where it is less than everything; changing named columns is checked beside it.
NARROWER = {
    DEFAULT_DB_ALIAS: {
        "accounts_account": "SELECT, INSERT, UPDATE",
        "accounts_importedclient": "SELECT, INSERT",
        "accounts_webhookendpoint": "SELECT, INSERT, UPDATE",
        "account_emailaddress": "SELECT",
        "account_emailconfirmation": "SELECT",
        "disclosures_abusecase": "SELECT, INSERT, UPDATE",
        "disclosures_abusereport": "SELECT, INSERT",
        "disclosures_aggregatetable": "SELECT, INSERT",
        "disclosures_approval": "SELECT, INSERT, UPDATE",
        "disclosures_casecopy": "SELECT, INSERT",
        "disclosures_casefile": "SELECT, INSERT",
        "disclosures_casefinding": "SELECT, INSERT",
        "disclosures_casenote": "SELECT, INSERT",
        "disclosures_compulsion": "SELECT, INSERT, UPDATE",
        "disclosures_delivery": "SELECT, INSERT, UPDATE",
        "disclosures_disclosure": "SELECT, INSERT, UPDATE",
        "disclosures_incident": "SELECT, INSERT, UPDATE",
        "disclosures_legalcheck": "SELECT, INSERT",
        "disclosures_legaldocument": "SELECT, INSERT, UPDATE",
        "disclosures_legalletter": "SELECT, INSERT, UPDATE",
        "disclosures_legalnote": "SELECT, INSERT",
        "disclosures_legalnotice": "SELECT, INSERT, UPDATE",
        "disclosures_legalrequest": "SELECT, INSERT, UPDATE",
        "disclosures_packet": "SELECT, INSERT, UPDATE",
        "disclosures_packetpart": "SELECT, INSERT, UPDATE",
        "disclosures_recipient": "SELECT, INSERT, UPDATE",
        "disclosures_silence": "SELECT, INSERT, UPDATE",
        "disclosures_tiplinereport": "SELECT, INSERT",
        "disclosures_sought": "SELECT, INSERT, UPDATE",
        "disclosures_transparencytable": "SELECT, INSERT",
        "disclosures_told_disclosure": "SELECT",
        "disclosures_told_notice": "SELECT",
        "django_admin_log": "SELECT",
        "django_migrations": "SELECT",
        "retention_deletionrequest": "SELECT, INSERT, UPDATE",
        "retention_dispute": "SELECT, INSERT",
        "retention_erasure": "SELECT, INSERT, UPDATE",
        "retention_hold": "SELECT, INSERT",
        "retention_holdrelease": "SELECT, INSERT",
        "retention_keptversion": "",
        "retention_limit": "SELECT",
        "retention_purgeswitch": "SELECT, INSERT",
        "retention_told_hold": "SELECT",
        "safeguards_destructionorder": "SELECT, INSERT",
        "safeguards_destructionsecret": "",
        "safeguards_ledgerentry": "SELECT, INSERT",
        "safeguards_outboxmessage": "SELECT, INSERT, UPDATE",
    },
    KEYS: {
        "django_migrations": "SELECT",
        "keys_datakey": "SELECT, INSERT",
        "keys_destructionsecret": "",
        "keys_keywrap": "SELECT, INSERT",
    },
}
COLUMNS = {
    "retention_dispute": {"state", "closed_at", "closed_by", "evidence_due_at"},
    "retention_hold": {"told_at", "told_by", "told_how", "review_by", "released_at", "released_by"},
    "retention_holdrelease": {"approved_by", "approved_at"},
    "safeguards_destructionorder": {"done_at"},
}
FUNCTION = re.compile(
    r"CREATE (?:OR REPLACE )?FUNCTION public\.(\w+)\((.*?)\$guard\$(.*?)\$guard\$", re.DOTALL | re.IGNORECASE
)
TRIGGER = re.compile(r"^CREATE TRIGGER (\w+) .*? ON (?:public\.)?(\w+).*?;", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the code expects; `what` names objects of the database only."""

    database: str
    what: str


def differences() -> list[Difference]:
    """Return every difference between both databases and the code; an unreachable database raises its error."""
    found = [Difference(KEYS, what) for what in _compare(KEYS)]
    found += [Difference(DEFAULT_DB_ALIAS, what) for what in (*_compare(DEFAULT_DB_ALIAS), *_compare_limits())]
    found += [Difference(DEFAULT_DB_ALIAS, what) for what in (*_compare_constraints(), *_releases_without_entry())]
    return found + [Difference("code", what) for what in map_against_files()]


def governed_triggers(table: str, category: str, moment: str) -> dict[str, str]:
    """Return the five trigger statements of a governed table, by trigger name."""
    each = "FOR EACH STATEMENT EXECUTE FUNCTION"
    return {
        "z_guard_delete": f"AFTER DELETE ON public.{table} REFERENCING OLD TABLE AS gone "
        f"{each} guard_delete('{category}', '{moment}')",
        "z_guard_update": f"AFTER UPDATE ON public.{table} REFERENCING OLD TABLE AS was "
        f"{each} guard_update('{category}', '{moment}')",
        "z_guard_insert": f"AFTER INSERT ON public.{table} REFERENCING NEW TABLE AS fresh "
        f"{each} guard_insert('{category}')",
        "z_guard_move": f"BEFORE UPDATE OF account_id ON public.{table} FOR EACH ROW "
        "WHEN ((old.account_id IS DISTINCT FROM new.account_id)) "
        "EXECUTE FUNCTION guard_move()",
        "z_guard_truncate": f"BEFORE TRUNCATE ON public.{table} {each} guard_truncate()",
    }


def governed_sql() -> str:
    """Return the SQL that guards every governed table of the data map, for a new migration to freeze."""
    lines: list[str] = []
    for model, entry in sorted(datamap.governed().items(), key=lambda item: item[0]._meta.db_table):
        table = model._meta.db_table
        for name, rest in governed_triggers(table, entry.category.value, datamap.time_column(model)).items():
            lines.append(f"CREATE TRIGGER {name} {rest};")
            lines.append(f"ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER {name};")
    return "\n".join(lines) + "\n"


def left_over_sql() -> str:
    """Return the part of `guard_erasure_update` that looks for rows of each governed table."""
    parts = [
        f"        (SELECT '{model._meta.db_table}' AS tab {_looked_for(model, entry.category.value)} LIMIT 1)"
        for model, entry in sorted(datamap.governed().items(), key=lambda item: item[0]._meta.db_table)
    ]
    return "\n        UNION ALL\n".join(parts)


def _looked_for(model: type[Model], category: str) -> str:
    # One index scan a table: row by row over tables and erasures costs ten times as much.
    return (
        f"FROM public.{model._meta.db_table} t\n"
        f"          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = '{category}'))"
    )


def _statements(alias: str) -> str:
    files = [file for folder in FILES[alias] for file in sorted((ROOMS / folder).glob("*.sql"))]
    return "\n".join(file.read_text() for file in files)


def expected_functions(alias: str) -> dict[str, tuple[str, bool]]:
    """Return per function its body and whether it runs as its owner, later files overriding earlier ones."""
    return {
        match[1]: (" ".join(match[3].split()), "SECURITY DEFINER" in match[2])
        for match in FUNCTION.finditer(_statements(alias))
    }


def expected_triggers(alias: str) -> dict[tuple[str, str], str]:
    """Return per (table, trigger) the normalised statement that made it."""
    return {(match[2], match[1]): _normalised(match[0].rstrip(";")) for match in TRIGGER.finditer(_statements(alias))}


def _normalised(statement: str) -> str:
    return " ".join(statement.split()).replace("public.", "")


def map_against_files() -> list[str]:
    """Return every governed table that the SQL files of the migrations do not guard as the data map asks."""
    known = expected_triggers(DEFAULT_DB_ALIAS)
    found = []
    for model, entry in datamap.governed().items():
        table = model._meta.db_table
        for name, rest in governed_triggers(table, entry.category.value, datamap.time_column(model)).items():
            if known.get((table, name)) != _normalised(f"CREATE TRIGGER {name} {rest}"):
                found.append(f"trigger {name} on {table} is in no migration (manage.py print_guards prints it)")
    body = expected_functions(DEFAULT_DB_ALIAS)["guard_erasure_update"][0]
    found += [
        f"guard_erasure_update does not count {model._meta.db_table}"
        for model, entry in datamap.governed().items()
        if " ".join(_looked_for(model, entry.category.value).split()) not in body
    ]
    return found


def _compare(alias: str) -> list[str]:
    return [
        *_compare_triggers(alias),
        *_compare_functions(alias),
        *_compare_grants(alias),
        *_compare_tables(alias),
        *_compare_surroundings(alias),
    ]


def _rows(alias: str, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _compare_triggers(alias: str) -> list[str]:
    rows = _rows(
        alias,
        """SELECT c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) FROM pg_trigger t
             JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT t.tgisinternal AND n.nspname = 'public'""",
    )
    there = {(table, name): (enabled, _normalised(text)) for table, name, enabled, text in rows}
    expected = expected_triggers(alias)
    found = [f"trigger {name} on {table} is not expected" for table, name in sorted(there.keys() - expected.keys())]
    for (table, name), text in sorted(expected.items()):
        if (table, name) not in there:
            found.append(f"trigger {name} on {table} is missing")
        elif there[table, name][0] not in ("A", b"A"):
            found.append(f"trigger {name} on {table} is switched off")
        elif there[table, name][1] != text:
            found.append(f"trigger {name} on {table} is another one")
    return found


def _compare_functions(alias: str) -> list[str]:
    rows = _rows(
        alias,
        """SELECT p.proname, p.prosrc, p.prosecdef, p.provolatile, p.proconfig, r.rolname
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
            WHERE n.nspname = 'public'""",
    )
    there = {name: rest for name, *rest in rows}
    names = [name for name, *_ in rows]
    expected = expected_functions(alias)
    found = [f"function {name} is not expected" for name in sorted(there.keys() - expected.keys())]
    found += [f"function {name} has more than one form" for name in sorted(there) if names.count(name) > 1]
    for name, (body, definer) in sorted(expected.items()):
        if name not in there:
            found.append(f"function {name} is missing")
            continue
        source, secdef, volatile, config, owner = there[name]
        as_made = " ".join(source.split()) == body and secdef == definer and volatile in ("v", b"v")
        if not as_made or config != ["search_path=pg_catalog, pg_temp"] or owner == RUNTIME:
            found.append(f"function {name} is another one")
    return found


def _compare_grants(alias: str) -> list[str]:
    rows = _rows(
        alias,
        """SELECT c.relname, array_to_string(ARRAY(
                    SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                                               'TRIGGER']) p
                     WHERE has_table_privilege(%s, c.oid, p)), ', '),
                  ARRAY(SELECT a.attname::text FROM pg_attribute a
                         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                           AND has_column_privilege(%s, c.oid, a.attnum, 'UPDATE')),
                  pg_get_userbyid(c.relowner)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'v', 'p', 'm', 'f')""",
        RUNTIME,
        RUNTIME,
    )
    found = []
    narrower = NARROWER[alias]
    usual = MOVING if alias == DEFAULT_DB_ALIAS else "SELECT, INSERT"
    for table, privileges, columns, owner in rows:
        if privileges != narrower.get(table, usual):
            found.append(f"the runtime role may {privileges or 'nothing'} on {table}")
        elif "UPDATE" not in privileges and set(columns) != COLUMNS.get(table, set()):
            found.append(f"the runtime role may change other columns of {table}")
        if owner == RUNTIME:
            found.append(f"the runtime role owns {table}")
    [(powers,)] = _rows(
        alias,
        """SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
               OR has_schema_privilege(rolname, 'public', 'CREATE')
               OR has_database_privilege(rolname, current_database(), 'TEMP')
               OR has_database_privilege(rolname, current_database(), 'CREATE')
             FROM pg_roles WHERE rolname = %s""",
        RUNTIME,
    ) or [(True,)]
    return [*found, "the runtime role has powers it must not have"] if powers else found


def _compare_tables(alias: str) -> list[str]:
    rows = _rows(
        alias,
        """SELECT c.relname, c.relrowsecurity, c.relkind,
                  EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v')""",
    )
    return [
        f"table {table} has row security, rules or partitions"
        for table, secured, kind, ruled in rows
        if secured or ruled or kind in ("p", b"p")
    ]


def _compare_surroundings(alias: str) -> list[str]:
    """What opens a way past the tables' own rights: single columns, memberships, other schemas, child tables."""
    columns = _rows(
        alias,
        """SELECT p, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                  unnest(ARRAY['SELECT', 'INSERT', 'REFERENCES']) p
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'v', 'p', 'm', 'f')
              AND has_any_column_privilege(%s, c.oid, p) AND NOT has_table_privilege(%s, c.oid, p)""",
        RUNTIME,
        RUNTIME,
    )
    roles = _rows(
        alias,
        """SELECT pg_get_userbyid(m.roleid) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
            WHERE r.rolname = %s""",
        RUNTIME,
    )
    schemas = _rows(
        alias,
        """SELECT n.nspname FROM pg_namespace n
            WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('public', 'information_schema')
              AND has_schema_privilege(%s, n.oid, 'USAGE')""",
        RUNTIME,
    )
    children = _rows(
        alias,
        "SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('r', 'p', 'f')",
    )
    return [
        *(f"the runtime role may {privilege} columns of {table}" for privilege, table in columns),
        *(f"the runtime role is a member of {role}" for (role,) in roles),
        *(f"the runtime role may use the schema {schema}" for (schema,) in schemas),
        *(f"table {child} is a child of {parent}" for child, parent in children),
    ]


def _compare_limits() -> list[str]:
    """A limit below the schedule lets the triggers allow too early what the schedule forbids."""
    there = dict(_rows(DEFAULT_DB_ALIAS, "SELECT name, seconds FROM retention_limit"))
    return [
        f"the limit {name} is below the schedule (manage.py seal_databases writes it)"
        for name, seconds in schedule.limits().items()
        if name in ("grace", "cool_off") and there.get(name, 0) < seconds
    ]


def _compare_constraints() -> list[str]:
    """Every constraint that a model declares is there and valid, whoever dropped it."""
    there = {name for (name,) in _rows(DEFAULT_DB_ALIAS, "SELECT conname FROM pg_constraint WHERE convalidated")}
    there |= {
        name for (name,) in _rows(DEFAULT_DB_ALIAS, "SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid")
    }
    return [
        f"constraint {constraint.name} on {model._meta.db_table} is missing"
        for model in apps.get_models()
        if model._meta.managed and model._meta.app_label in {"accounts", "retention", "disclosures", "safeguards"}
        for constraint in model._meta.constraints
        if constraint.name not in there
    ]


def _releases_without_entry() -> list[str]:
    """The alarm on a hold released by SQL: the act writes its ledger entry in the same transaction."""
    rows = _rows(
        DEFAULT_DB_ALIAS,
        """SELECT h.id FROM retention_hold h
            WHERE h.released_at IS NOT NULL AND NOT EXISTS (
              SELECT 1 FROM safeguards_ledgerentry l
               WHERE l.subject = h.account_id AND l.action = 'hold.released'
                 AND strpos(l.body, '"hold":"' || h.id::text || '"') > 0)""",
    )
    return ["a hold was released without its ledger entry" for _ in rows[:1]]
