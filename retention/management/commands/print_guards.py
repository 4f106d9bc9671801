"""`manage.py print_guards`: the SQL that guards every governed table of the data map, to be frozen in a migration."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from retention import guards


class Command(BaseCommand):
    """Prints; a migration file is where it goes, with CREATE OR REPLACE for `guard_erasure_update`."""

    help = "Print the guard triggers and the list of tables that guard_erasure_update counts."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what the data map asks for."""
        self.stdout.write(guards.governed_sql())
        self.stdout.write("-- inside guard_erasure_update:")
        self.stdout.write(guards.left_over_sql())
