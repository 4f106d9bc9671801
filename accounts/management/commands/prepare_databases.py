"""Prepares roles, rights and, when asked, the two databases; safe to run again at any time.

Roles belong to a whole cluster, so no migration can make them. Given a superuser's addresses the command
carries the statements out; without them it prints the SQL for the operator to read and run. It never sets a
password: how the two roles sign in is the operator's to decide.

The owner role owns databases and tables and is used by the owner's commands alone. The runtime role owns
nothing and can neither create nor make temporary tables. In the keys database it may only insert and read.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg.conninfo import make_conninfo

OWNER, RUNTIME, REWRAPPER = "portal_owner", "portal_runtime", "portal_rewrapper"
# What the runtime role may do with tables made later; single tables and columns are narrowed by migrations.
RIGHTS = {"default": "SELECT, INSERT, UPDATE, DELETE", "keys": "SELECT, INSERT"}
# A killed client's statement would run on at the server and keep its locks: bounded for every session.
RUNTIME_SETTINGS = {
    "client_connection_check_interval": "500ms",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "30s",
}


def role_statements(alias: str) -> Iterator[str]:
    """Yield what is run once for each cluster, connected to any of its databases."""
    roles = {OWNER: "LOGIN", RUNTIME: "LOGIN"}
    if alias == "keys":
        roles[REWRAPPER] = "NOLOGIN"
    for role, login in roles.items():
        yield (
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') "
            f"THEN CREATE ROLE {role} {login}; END IF; END $$"
        )
        yield f"ALTER ROLE {role} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    for name, value in RUNTIME_SETTINGS.items():
        yield f"ALTER ROLE {RUNTIME} SET {name} = '{value}'"


def create_statement(database: str) -> str:
    return f"""CREATE DATABASE "{database}" OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8'"""


def connect_statements(database: str) -> Iterator[str]:
    """Yield who may connect. A clone of a database does not inherit this and needs it again."""
    yield f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC'
    yield f'GRANT CONNECT ON DATABASE "{database}" TO {RUNTIME}'


def schema_statements(alias: str) -> Iterator[str]:
    """Yield what is run connected to the database itself."""
    yield f"ALTER SCHEMA public OWNER TO {OWNER}"
    yield "REVOKE ALL ON SCHEMA public FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA public TO {RUNTIME}"
    if alias == "keys":
        yield f"GRANT USAGE ON SCHEMA public TO {REWRAPPER}"
    future = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT"
    yield f"{future} {RIGHTS[alias]} ON TABLES TO {RUNTIME}"
    yield f"{future} USAGE ON SEQUENCES TO {RUNTIME}"


def prepare(alias: str, admin_url: str, database: str, *, create: bool) -> None:
    """Carry the statements out as the role of `admin_url`, which must be a superuser or nearly one.

    `create` makes the database, owned by the owner role, unless it is there. Anything PostgreSQL refuses is
    raised as `psycopg.Error`.
    """
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for statement in role_statements(alias):
            admin.execute(statement)
        known = admin.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", [database]).fetchone()
        if create and known is None:
            admin.execute(create_statement(database))
        for statement in connect_statements(database):
            admin.execute(statement)
    inside = make_conninfo(admin_url, dbname=database)
    with psycopg.connect(inside, autocommit=True) as admin:
        for statement in schema_statements(alias):
            admin.execute(statement)


def script(alias: str, database: str) -> str:
    """Return the same statements as SQL for psql."""
    lines = [f"-- The cluster of the database {database}, as a superuser"]
    lines += [f"{statement};" for statement in role_statements(alias)]
    lines += [f"-- Unless it is there: {create_statement(database)};"]
    lines += [f"{statement};" for statement in connect_statements(database)]
    lines += [f'\\connect "{database}"', *(f"{statement};" for statement in schema_statements(alias))]
    return "\n".join(lines)


class Command(BaseCommand):
    """`manage.py prepare_databases [--admin-url URL --keys-admin-url URL] [--create]`."""

    help = "Prepares roles and rights of both databases, or prints the SQL for it when no address is given."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--admin-url", help="A superuser's address of the cluster of the data database.")
        parser.add_argument("--keys-admin-url", help="A superuser's address of the cluster of the keys.")
        parser.add_argument("--create", action="store_true", help="Make the databases where they are missing.")

    def handle(self, *args: Any, **options: Any) -> None:
        for alias, url in (("default", options["admin_url"]), ("keys", options["keys_admin_url"])):
            database = str(settings.DATABASES[alias]["NAME"])
            if not url:
                self.stdout.write(script(alias, database))
                continue
            try:
                prepare(alias, url, database, create=options["create"])
            except psycopg.Error as error:
                raise CommandError(
                    f"The database {database} (alias {alias}) could not be prepared: {str(error).strip()}. "
                    "Use a superuser's address; add --create when the database does not exist yet."
                ) from error
            self.stdout.write(f"Prepared {database} (alias {alias}).")
