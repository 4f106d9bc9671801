"""manage.py load_demo: fills a trial with demo customers and staff, and prints their sign-ins.

Staff get a second factor too, without which no staff page opens: the secret of their authenticator app is printed, and
`manage.py staff_code NAME` prints the code it shows now.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import factors
from accounts.errors import NotActionable
from accounts.roles import Role
from accounts.signing_in import find
from chicagocloud import demo


class Command(BaseCommand):
    """Refuses outside a trial; a second call adds whoever is not there and prints the same."""

    help = "Load demo customers and staff into a trial and print their sign-ins."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether to load, or only to say what is still there."""
        parser.add_argument("--kept", action="store_true", help="load nothing; print who of them still signs in")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load and print one line for each sign-in."""
        try:
            entries = demo.kept() if options["kept"] else demo.load()
        except NotActionable as refusal:
            raise CommandError(str(refusal)) from None
        head = demo.Entry("who", "sign-in", "password")
        wide = max(len(entry.who) for entry in entries)
        long = max(len(entry.sign_in) for entry in entries)
        for entry in (head, *entries):
            self.stdout.write(f"{entry.who:<{wide}} | {entry.sign_in:<{long}} | {entry.password}")
        self._print_second_factors(may_make=not options["kept"])
        folder = getattr(settings, "EMAIL_FILE_PATH", "")
        if folder:
            self.stdout.write(f"\nMails are written to {folder}")

    def _print_second_factors(self, may_make: bool) -> None:
        """Print the app secret of each member of the demo staff; one who has none gets it, but for `--kept`."""
        self.stdout.write("\nStaff also need a code. Secrets for an authenticator app (or: manage.py staff_code NAME):")
        for role in Role:
            name = demo.staff_name(role)
            user = find(name)
            if user is None:
                continue
            if may_make and not factors.is_enrolled(user):
                factors.reset(user.pk)
            if factors.is_enrolled(user, factors.Type.TOTP):
                self.stdout.write(f"  {name}: {factors.secret_of_trial(user)}")
