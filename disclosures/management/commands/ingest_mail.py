"""`manage.py ingest_mail`: take reports of abuse in, from standard input or a Maildir (P17)."""

from __future__ import annotations

import mailbox
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from disclosures import inbound, reporting
from disclosures.models.cases import MOST_RAW_BYTES


class Command(BaseCommand):
    """Reads one message from standard input, or every new one of a Maildir; each becomes a report in its case,
    but for a notice of ours that came back.

    A message of a Maildir is moved to `cur` with the flag S once it is taken in: a second run passes it by, and what
    could not be stored stays new. Exits 0, or 1 when something stayed.
    """

    help = "Take reports of abuse in: one message from standard input, or the new ones of a Maildir."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--maildir", type=Path, help="folder with new, cur and tmp; without it, standard input")
        parser.add_argument("--limit", type=int, default=1000, help="messages of a Maildir at the most (1000)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path | None = options["maildir"]
        if folder is None:
            # One byte more than is kept, so that a larger one is known as such.
            raw = sys.stdin.buffer.read(MOST_RAW_BYTES + 1)
            if not raw:
                raise CommandError("Nothing came on standard input. Pipe one message in, or name a Maildir.")
            self._say(inbound.take(raw))
            return
        if not (folder / "new").is_dir():
            raise CommandError(f"{folder.name} is no Maildir: it has no folder new.")
        taken, failed = self._maildir(folder, options["limit"])
        self.stdout.write(f"taken in: {taken}, left for another run: {failed}")
        if failed:
            raise CommandError("Some messages could not be stored and stay new. Run it again.")

    def _maildir(self, folder: Path, limit: int) -> tuple[int, int]:
        box, taken, failed = mailbox.Maildir(folder, create=False), 0, 0
        for key in sorted(key for key, message in box.iteritems() if message.get_subdir() == "new")[:limit]:
            try:
                inbound.take(box.get_bytes(key))
            except Exception as error:  # noqa: BLE001 - one message; the others do not wait for it
                failed += 1
                self.stderr.write(f"one message stays: {type(error).__name__}")
                continue
            message = box[key]
            message.set_subdir("cur")
            message.add_flag("S")
            box[key] = message
            taken += 1
        return taken, failed

    def _say(self, taken: list[reporting.Taken]) -> None:
        for one in taken:
            self.stdout.write(f"{one.case.reference}: {'opened' if one.is_new else 'another report'}")
