"""`manage.py import_clients FILE.csv`: imports a billing panel's client export; `--dry-run` changes nothing.

What could not be taken stands in FILE.refused.csv beside the file: line, column, reason, never a value. Exit codes: 0
done, 1 error, 2 usage, 4 partly done (rows were refused, or it was stopped). Ctrl-C stops between two batches; the
same command goes on, because what is there already reads "unchanged".
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseTrouble
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from accounts import panel_rows
from accounts.importing import Fate, Outcome, Seen
from accounts.keys.provider import KeyUnavailable
from accounts.panel_file import NotAnExport, Record, records
from accounts.panel_rows import Client, Fault, RowRefused
from retention import importing
from retention.management.commands.purge import DONE, ERROR, PARTLY, USAGE, stop_at_boundary

BATCH = 200
# A spreadsheet runs a cell that begins with one of these (OWASP ASVS 1.2.10), full-width ones too.
RUNS = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
GO_ON = "Nothing of the last batch was stored. The same command goes on where it stopped."


@dataclass
class Tally:
    """What a run did: counts, and what was refused by line."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, Fault]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one row."""
        self.counts[outcome.fate] += 1
        self.counts["addresses left out"] += outcome.address_expired
        if outcome.fate != Fate.REFUSED:
            self.counts["fields refused"] += len(outcome.faults)
        self.refused += [(outcome.line, fault) for fault in outcome.faults]

    def facts(self) -> dict[str, int]:
        """Return the counts in the order of the table."""
        names = [*Fate, "fields refused", "addresses left out"]
        return {str(name): self.counts[name] for name in names}


class Command(BaseCommand):
    """Acts at once, as its name says; `--dry-run` says what would become of each row."""

    help = "Import the clients of a billing panel from its CSV export (columns as FOSSBilling exports them)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", metavar="FILE.csv", type=Path, help="the panel's export of its clients")
        parser.add_argument("--dry-run", action="store_true", help="say what would become of each row; store nothing")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, import batch by batch, write the refusals, print the table, exit with the code."""
        path, dry = options["file"], options["dry_run"]
        began, at = time.monotonic(), timezone.now()
        tally = Tally()
        try:
            with path.open("rb") as file, stop_at_boundary() as interrupted, self._progress(path) as advance:
                for batch in self._batches(file):
                    self._take(batch, tally, dry)
                    advance(file.tell())
                    if interrupted():
                        break
                stopped = interrupted()
        except OSError as error:
            raise CommandError(f"The file cannot be read: {error.strerror}.", returncode=USAGE) from None
        except NotAnExport as error:
            raise CommandError(str(error), returncode=USAGE) from None
        except KeyUnavailable as error:
            raise CommandError(f"{error} {GO_ON}", returncode=ERROR) from None
        except DatabaseTrouble:
            raise CommandError(f"The database cannot be reached. {GO_ON}", returncode=ERROR) from None
        if not dry:
            importing.note_run(at, _words(tally.facts()), file_hash=_hash_of(path))
        sys.exit(self._report(path, tally, dry, stopped, time.monotonic() - began, options["json"]))

    def _batches(self, file: BinaryIO) -> Iterator[list[Record]]:
        found = records(file)
        while batch := list(islice(found, BATCH)):
            yield batch

    def _take(self, batch: list[Record], tally: Tally, dry: bool) -> None:
        if dry and not hasattr(self, "seen"):
            self.seen = Seen()
        clients: list[Client] = []
        outcomes: dict[int, Outcome] = {}
        at = timezone.now()
        for record in batch:
            try:
                clients.append(_client(record, at))
            except RowRefused as refusal:
                outcomes[record.line] = Outcome(record.line, Fate.REFUSED, (refusal.fault,))
        done = importing.preview(clients, self.seen, at=at) if dry else importing.import_batch(clients, at=at)
        outcomes.update({outcome.line: outcome for outcome in done})
        for line in sorted(outcomes):
            tally.add(outcomes[line])

    def _report(self, path: Path, tally: Tally, dry: bool, stopped: bool, seconds: float, as_json: bool) -> int:
        self._write(path, tally)
        facts: dict[str, Any] = {**tally.facts(), "seconds": round(seconds, 1)}
        if as_json:
            faults = [{"line": line, "column": fault.column, "reason": fault.reason} for line, fault in tally.refused]
            self.stdout.write(json.dumps({**facts, "dry_run": dry, "refusals": faults}))
        if dry:
            self.stderr.write("Nothing was stored. Leave --dry-run away to import.")
        if stopped:
            self.stderr.write("Stopped between two batches; the same command goes on where it stopped.")
        if not as_json:
            self.stdout.write("  ".join(f"{name}: {value}" for name, value in facts.items()))
        return PARTLY if stopped or tally.counts[Fate.REFUSED] else DONE

    def _write(self, path: Path, tally: Tally) -> None:
        try:
            written = _write_refusals(path, tally.refused)
        except OSError as error:
            self.stderr.write(
                f"The list of refusals cannot be written: {error.strerror}. Run it with --json to read it."
            )
            return
        if written:
            self.stderr.write(f"What was refused, by line: {written}")

    @contextmanager
    def _progress(self, path: Path) -> Iterator[Callable[[int], None]]:
        """Yield what is told how many bytes were read: a bar on a terminal, else a line for every tenth."""
        console, size = Console(stderr=True), max(1, path.stat().st_size)
        if console.is_terminal:
            with Progress(console=console) as bar:
                task = bar.add_task("Importing clients", total=size)
                yield lambda done: bar.update(task, completed=done)
            return
        told = 0

        def advance(done: int) -> None:
            nonlocal told
            if done * 10 // size > told:
                told = done * 10 // size
                self.stderr.write(f"{told * 10} % of the file")

        yield advance


def _client(record: Record, at: Any) -> Client:
    if record.row is None:
        assert record.fault is not None  # noqa: S101 - one of the two is there
        raise RowRefused(record.fault.column, record.fault.reason)
    return panel_rows.read(record.line, record.row, at)


def _words(facts: dict[str, int]) -> dict[str, int]:
    """Return the counts by names that can stand for arguments."""
    return {name.replace(" ", "_"): count for name, count in facts.items()}


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_refusals(path: Path, refused: list[tuple[int, Fault]]) -> Path | None:
    """Write the refusals beside the file and return where; a list of an earlier run that is empty now is removed."""
    target = path.with_name(f"{path.stem}.refused.csv")
    if not refused:
        target.unlink(missing_ok=True)
        return None
    draft = target.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["line", "column", "reason"])
        writer.writerows([line, safe_cell(fault.column), safe_cell(fault.reason)] for line, fault in refused)
    draft.replace(target)
    return target


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet runs: text that begins like a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(RUNS) else text
