"""`manage.py data_map --format md|json`: the record of processing, from the data map and the schedule."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from retention import processing


class Command(BaseCommand):
    """Prints; nothing is kept of it, because it says what the code does now."""

    help = "Print the record of processing: what is held, why, from where, who receives it, for how long."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the format."""
        parser.add_argument("--format", choices=["md", "json"], default="md", help="a paper or JSON (default: md)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what the data map declares."""
        if options["format"] == "json":
            self.stdout.write(json.dumps(processing.as_json(), ensure_ascii=False, indent=1))
        else:
            self.stdout.write(processing.as_markdown())
