"""System checks: every governed table of the data map is guarded by a migration, and with --database in fact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from retention import guards


@register("guards")
def check_guards_in_migrations(app_configs: Iterable[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error per governed table that no migration guards."""
    return [
        Error(what, hint="Freeze what `manage.py print_guards` prints in a new migration.", id="retention.E001")
        for what in guards.map_against_files()
    ]


@register("guards", "database")
def check_guards_in_database(
    app_configs: Iterable[AppConfig] | None = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Return an error per guard that differs in the databases; asked for by `check --database default`.

    A database that waits for a migration is not compared: the purge and the health page compare it all the same.
    """
    # `migrate` asks too, before it has brought the guards: what they should be is known once nothing waits.
    if not databases or any(_waits_for_a_migration(alias) for alias in connections):
        return []
    return [
        Error(
            f"{difference.database}: {difference.what}",
            hint="Find out who changed it before anything is purged.",
            id="retention.E002",
        )
        for difference in guards.differences()
    ]


def _waits_for_a_migration(alias: str) -> bool:
    executor = MigrationExecutor(connections[alias])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
