"""`manage.py staff USERNAME --role legal`: makes a member of staff, or changes the roles of one who is there.

Name, address and password are asked for, not taken from the command line: a shell keeps what it was given.
"""

from __future__ import annotations

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.appointing import appoint
from accounts.errors import NotActionable
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

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it by the acts; what cannot be done is said without a personal value."""
        roles = [Role(role) for role in options["role"]]
        known = find(options["username"])
        try:
            user = appoint(known.pk, roles) if known else self._made(options["username"], roles)
        except NotActionable as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        names = ", ".join(role.label for role in roles) or "no role"
        self.stdout.write(f"Staff user {user.pk} has: {names}.")

    def _made(self, username: str, roles: list[Role]) -> Any:
        name, email = input("Name: "), input("E-mail address: ")
        password = getpass("Password: ")
        if password != getpass("Password again: "):
            raise CommandError("The two passwords differ. Nothing was made.")
        validate_password(password)
        return register_staff(username, name, email, password, [role.value for role in roles])
