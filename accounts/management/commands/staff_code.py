"""`manage.py staff_code USERNAME`: in a trial, prints the code an authenticator app of this member of staff shows now.

So that a person trying the portal gets into the staff pages without an app. Outside a trial it refuses: there a code
comes from its owner's own app.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import factors
from accounts.errors import NotActionable
from accounts.signing_in import find


class Command(BaseCommand):
    """Prints six digits and nothing else."""

    help = "Print the present sign-in code of a member of staff (in a trial only)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose code."""
        parser.add_argument("username", help="what they sign in with")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the code; what cannot be done is said without a personal value."""
        user = find(options["username"])
        if user is None or not user.is_staff:
            raise CommandError("No member of staff signs in with this name. manage.py load_demo prints the names.")
        try:
            self.stdout.write(factors.present_code(user))
        except NotActionable as error:
            raise CommandError(str(error)) from error
