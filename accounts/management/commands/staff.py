"""`manage.py staff USERNAME --role legal`: makes a member of staff, or changes the roles of one who is there.

Name, address and password are asked for, not taken from the command line: a shell keeps what it was given. With
`--second-factor` alone roles stay as they are, and the member of staff gets a new secret for an authenticator app and
new recovery codes, printed once: what they had no longer works, and their sessions end.
"""

from __future__ import annotations

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts import factors
from accounts.appointing import appoint
from accounts.errors import NotActionable
from accounts.models import User
from accounts.registering import register_staff
from accounts.roles import Role
from accounts.signing_in import find


class Command(BaseCommand):
    """Makes staff and gives roles; there is no page for either."""

    help = "Make a member of staff (name, address and password are asked for), or change the roles of one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The user name and every role; none takes all roles away."""
        parser.add_argument("username", help="what they sign in with")
        parser.add_argument("--role", action="append", default=[], choices=Role.values, help="repeat for several")
        parser.add_argument(
            "--second-factor",
            action="store_true",
            help="print a new app secret and recovery codes; keep roles",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it by the acts; what cannot be done is said without a personal value."""
        roles = [Role(role) for role in options["role"]]
        known = find(options["username"])
        try:
            if known is None or roles or not options["second_factor"]:
                known = appoint(known.pk, roles) if known else self._made(options["username"], roles)
                names = ", ".join(role.label for role in roles) or "no role"
                self.stdout.write(f"Staff user {known.pk} has: {names}.")
            if options["second_factor"]:
                self._print(factors.reset(known.pk))
        except NotActionable as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error

    def _print(self, given: factors.Given) -> None:
        self.stdout.write("Second factor, shown this once. Give it to its owner only; what they had no longer works.")
        self.stdout.write(f"Secret for an authenticator app: {given.secret}")
        self.stdout.write(f"The same as an address:          {given.uri}")
        self.stdout.write("Recovery codes, each for one sign-in:")
        for code in given.codes:
            self.stdout.write(f"  {code}")

    def _made(self, username: str, roles: list[Role]) -> User:
        name, email = input("Name: "), input("E-mail address: ")
        password = getpass("Password: ")
        if password != getpass("Password again: "):
            raise CommandError("The two passwords differ. Nothing was made.")
        validate_password(password)
        return register_staff(username, name, email, password, [role.value for role in roles])
