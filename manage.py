#!/usr/bin/env python
"""Django's command line. Commands that change the schema connect as the owner role, all others as the runtime role."""

from __future__ import annotations

import os
import sys

# The runtime role owns nothing; only these commands may use the owner's addresses.
OWNER_COMMANDS = {"migrate", "prepare_databases", "seal_databases"}


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chicagocloud.settings")
    if OWNER_COMMANDS & set(sys.argv[1:2]):
        os.environ["CHICAGOCLOUD_DB_ROLE"] = "owner"
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # The sentence says what to set; forty lines of where it was missed would hide it.
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
