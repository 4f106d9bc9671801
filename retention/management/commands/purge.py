"""`manage.py purge`: previews what is due; erases with `--apply`. A door into the same act that the workers ring.

Exit codes: 0 done, 1 error, 2 usage, 3 something waits, 4 partly done. Ctrl-C stops at a batch boundary and says how to
go on: nothing is half done, because a batch is one transaction.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from accounts.models import Account
from retention import purge
from retention.models import Erasure, Stage
from retention.queue import pick

DONE, ERROR, USAGE, WAITS, PARTLY = 0, 1, 2, 3, 4
STEP = 20
# More than this many accounts in one call is refused: the workers do it by themselves, bounded by the ceiling.
MOST = 500


class Command(BaseCommand):
    """Preview by default; `--apply` acts, asking first on a terminal unless `--no-input`."""

    help = "Preview or carry out the erasures that are due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--account", metavar="NUMBER", help="only the account with this number")
        parser.add_argument("--limit", type=int, default=100, help=f"accounts at most (default 100, at most {MOST})")
        parser.add_argument("--apply", action="store_true", help="erase; without it nothing is changed")
        parser.add_argument("--no-input", action="store_true", help="do not ask (for schedules)")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Preview or purge, print the table, exit with the code."""
        if not 1 <= options["limit"] <= MOST:
            raise CommandError(f"--limit is a number from 1 to {MOST}.", returncode=USAGE)
        ids = self._accounts(options["account"], options["limit"])
        if not options["apply"]:
            sys.exit(self._preview(ids, options))
        if not options["no_input"] and sys.stdin.isatty() and not self._confirmed(options["account"]):
            raise CommandError("Nothing was changed.", returncode=USAGE)
        sys.exit(self._apply(ids, options))

    def _accounts(self, number: str | None, limit: int) -> list[UUID]:
        if number is not None:
            account = Account.objects.filter(number=number).first()
            if account is None:
                raise CommandError(f"There is no account {number}.", returncode=USAGE)
            return [account.pk]
        due = Erasure.objects.due().order_by("due_at").values_list("account_id", flat=True)
        return list(dict.fromkeys(due))[:limit]

    def _confirmed(self, number: str | None) -> bool:
        expected = number or "purge"
        return input(f"Type {expected} to erase what is due: ").strip() == expected

    def _preview(self, ids: list[UUID], options: dict[str, Any]) -> int:
        rows = purge.preview(ids)
        counts = Counter(row["fate"] for row in rows)
        if options["json"]:
            self.stdout.write(json.dumps({"preview": rows}, default=str))
        else:
            for row in rows:
                self.stdout.write(f"{row['account']}  {row['category']:<15} {row['rows']:>7}  {row['fate']}")
            self._table(
                {"would be erased": counts["erased"], "waiting": counts["waiting"], "not due": counts["not due"]}
            )
            self.stderr.write("Nothing was changed. Add --apply to erase.")
        return WAITS if counts["waiting"] else DONE

    def _apply(self, ids: list[UUID], options: dict[str, Any]) -> int:
        began = time.monotonic()
        total = purge.Tally()
        with stop_at_boundary() as interrupted, self._progress(len(ids)) as advance:
            for start in range(0, len(ids), STEP):
                if interrupted():
                    break
                step = ids[start : start + STEP]
                tally = purge.ring(only=step)
                if tally.stopped:
                    raise CommandError(f"Nothing more was erased: {tally.stopped}.", returncode=ERROR)
                for name in ("accounts", "rows", "keys", "verified", "failed"):
                    setattr(total, name, getattr(total, name) + getattr(tally, name))
                advance(len(step))
            stopped_early = interrupted()
        waiting = self._waiting(ids)
        facts = {"accounts": total.accounts, "rows": total.rows, "waiting": waiting, "failed": total.failed}
        if options["json"]:
            self.stdout.write(json.dumps(facts))
        else:
            self._table({**facts, "seconds": round(time.monotonic() - began, 1)})
        if stopped_early:
            self.stderr.write("Stopped at a batch boundary; the same command goes on where it stopped.")
            return PARTLY
        if total.failed:
            return PARTLY if total.accounts else ERROR
        return WAITS if waiting else DONE

    def _waiting(self, ids: list[UUID]) -> int:
        due = Erasure.objects.due().filter(account_id__in=ids, state=Stage.DUE)
        waiting = set(due.values_list("account_id", flat=True))
        return len(waiting - set(pick(len(ids) + 1, timezone.now(), only=ids)))

    def _table(self, facts: dict[str, Any]) -> None:
        self.stdout.write("  ".join(f"{name}: {value}" for name, value in facts.items()))

    @contextmanager
    def _progress(self, total: int) -> Iterator[Any]:
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda count: None
            return
        with Progress(console=console) as bar:
            task = bar.add_task("Erasing accounts", total=total)
            yield lambda count: bar.advance(task, count)


@contextmanager
def stop_at_boundary() -> Iterator[Any]:
    """Turn Ctrl-C into a question the loop asks between batches; yield that question."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
