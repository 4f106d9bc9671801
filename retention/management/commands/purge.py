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
from collections.abc import Callable, Iterator
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
        only = self._only(options["account"])
        if not options["apply"]:
            sys.exit(self._preview(only, options))
        if not options["no_input"]:
            self._ask(options["account"])
        sys.exit(self._apply(only, options))

    def _only(self, number: str | None) -> list[UUID] | None:
        if number is None:
            return None
        account = Account.objects.filter(number=number).first()
        if account is None:
            raise CommandError(f"There is no account {number}.", returncode=USAGE)
        return [account.pk]

    def _ask(self, number: str | None) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here: add --no-input. Nothing was changed.", returncode=USAGE)
        if not self._confirmed(number):
            raise CommandError("Nothing was changed.", returncode=USAGE)

    def _confirmed(self, number: str | None) -> bool:
        expected = number or "purge"
        return input(f"Type {expected} to erase what is due: ").strip() == expected

    def _preview(self, only: list[UUID] | None, options: dict[str, Any]) -> int:
        rows = purge.preview(only or self._due()[: options["limit"]])
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

    def _due(self) -> list[UUID]:
        """Return the accounts with something due: what would be erased first, then what waits."""
        due = Erasure.objects.due().order_by("due_at").values_list("account_id", flat=True)
        return list(dict.fromkeys([*pick(MOST, timezone.now()), *due]))

    def _apply(self, only: list[UUID] | None, options: dict[str, Any]) -> int:
        began = time.monotonic()
        # Asked of the queue: accounts that wait must not stand in front of those that are free.
        ids = only or pick(options["limit"], timezone.now())
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
        facts = {"done": total.accounts, "rows": total.rows, **self._left(only), "failed": total.failed}
        self._table({**facts, "seconds": round(time.monotonic() - began, 1)}, as_json=options["json"])
        if stopped_early:
            self.stderr.write("Stopped at a batch boundary; the same command goes on where it stopped.")
            return PARTLY
        if total.failed:
            return PARTLY if total.accounts else ERROR
        return WAITS if facts["waiting"] else DONE

    def _left(self, only: list[UUID] | None) -> dict[str, int]:
        """Return how many accounts wait although they are due, and how many have something kept for longer."""
        left = Erasure.objects.filter(state=Stage.DUE)
        left = left if only is None else left.filter(account_id__in=only)
        now = timezone.now()
        due = set(left.due(now).values_list("account_id", flat=True))
        kept = left.filter(due_at__gt=now).exclude(kept_for="").values("account_id").distinct().count()
        return {"waiting": len(due - set(pick(len(due) + 1, now, only=list(due)))), "kept": kept}

    def _table(self, facts: dict[str, Any], *, as_json: bool = False) -> None:
        line = "  ".join(f"{name}: {value}" for name, value in facts.items())
        self.stdout.write(json.dumps(facts) if as_json else line)

    @contextmanager
    def _progress(self, total: int) -> Iterator[Any]:
        console = Console(stderr=True)
        if not console.is_terminal:
            yield self._lines(total)
            return
        with Progress(console=console) as bar:
            task = bar.add_task("Erasing accounts", total=total)
            yield lambda count: bar.advance(task, count)

    def _lines(self, total: int) -> Callable[[int], None]:
        """Return what writes a line for every tenth that is done, where no bar can be drawn."""
        done, told = 0, 0

        def advance(count: int) -> None:
            nonlocal done, told
            done += count
            if done * 10 // total > told:
                told = done * 10 // total
                self.stderr.write(f"{done} of {total} accounts")

        return advance


@contextmanager
def stop_at_boundary() -> Iterator[Any]:
    """Turn Ctrl-C into a question the loop asks between batches; yield that question."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
