"""`manage.py make_api_token NAME --scope disputes:write --by USERNAME`: prints the token once, on standard
output.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts import issuing, roles, scopes
from accounts.errors import NotActionable
from accounts.signing_in import find


class Command(BaseCommand):
    """Makes a token for another system; only its hash is stored."""

    help = "Make an API token for another system and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name, scopes, how long it lasts, and who answers for it."""
        parser.add_argument("name", help="what the token is for, e.g. billing")
        parser.add_argument(
            "--scope", action="append", required=True, choices=sorted(scopes.carried_by(scopes.Holder.SYSTEM))
        )
        parser.add_argument("--days", type=int, default=90, help="how long it lasts (default 90, at most 366)")
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            help="a network it works from, like 203.0.113.0/24; may be repeated",
        )
        parser.add_argument("--by", required=True, help="user name of the administrator who makes it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the token by the act the admin uses."""
        by = find(options["by"])
        if by is None or not roles.may(by, "accounts.make_token"):
            raise CommandError("--by names nobody who may make tokens. Give an administrator's user name.")
        try:
            token, secret = issuing.issue(
                options["name"], options["scope"], by=by, days=options["days"], networks=options["network"]
            )
        except NotActionable as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stderr.write(f"Token {token.pk} lasts until {token.expires_at:%d %B %Y}. Keep it now:")
        self.stdout.write(secret)
