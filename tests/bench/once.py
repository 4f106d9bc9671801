"""One measured run of one variant on the clone named by the environment; prints one line of JSON.

`python -m tests.bench.once VARIANT`, variants: `orm_each` (a), `orm_batch` (b), `floor` (c), `ours` (d). A process of
its own, so that peak memory is this variant's.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import django

django.setup()

import psutil  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import datamap, mailing  # noqa: E402
from accounts.safeguards import outbox  # noqa: E402
from retention import deleting, last_mails, obligations, purge, queue, verifying  # noqa: E402

BATCH = 20


class Meter:
    """Statements, longest transaction, batches as they were cut."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        self.longest = 0.0
        self.steps: dict[str, float] = defaultdict(float)

    def count(self, alias: str) -> Callable[..., Any]:
        """Return an execute wrapper that counts."""

        def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            self.statements[alias] += 1
            return execute(sql, params, many, context)

        return wrapper

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Time one transaction."""
        began = time.perf_counter()
        with transaction.atomic():
            yield
        self.longest = max(self.longest, time.perf_counter() - began)

    def time(self, module: Any, name: str) -> None:
        """Add up what one step of the purge takes: the bench wraps it, the product knows nothing of this."""
        step = getattr(module, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **kwargs)
            finally:
                self.steps[name.strip("_")] += time.perf_counter() - began

        setattr(module, name, timed)


def due() -> list[UUID]:
    """Return the accounts of this run in the purge's own order."""
    return queue.pick(1_000_000, timezone.now())


def orm_each(meter: Meter) -> int:
    """(a) Django's delete(), account by account."""
    for account_id in due():
        with meter.transaction():
            _orm([account_id])
    return 0


def orm_batch(meter: Meter) -> int:
    """(b) The same on batches."""
    ids = due()
    for start in range(0, len(ids), BATCH):
        with meter.transaction():
            _orm(ids[start : start + BATCH])
    return 0


def floor(meter: Meter) -> int:
    """(c) The same rows by one DELETE per table in the same batches, and nothing else: the floor."""
    ids = due()
    for start in range(0, len(ids), BATCH):
        with meter.transaction(), connections["default"].cursor() as cursor:
            for model in datamap.governed():
                cursor.execute(
                    f"DELETE FROM {model._meta.db_table} WHERE account_id = ANY(%s)", [ids[start : start + BATCH]]
                )
    return 0


def ours(meter: Meter) -> int:
    """(d) The purge complete: holds, ledger, orders, last mails, keys, verification."""
    if not os.environ.get("BENCH_OWN_SIZING"):
        # The same batches as the floor; the product's own sizing by time is measured with the probes beside it.
        purge.FIRST_BATCH = purge.LARGEST_BATCH = BATCH
        purge.TARGET_SECONDS = float("inf")
    if os.environ.get("BENCH_WITHOUT_GUARD_CHECK"):
        # A guard was taken out on purpose, and the purge would rightly refuse to run.
        purge._unsafe = lambda: ""
    for name in ("claimed", "_mark", "_write_ledger", "shred", "_unsafe", "end_sign_in"):
        meter.time(purge, name)
    meter.time(deleting, "delete_whole")
    meter.time(last_mails, "post_done_mails")
    meter.time(queue, "pick")
    meter.time(mailing, "render")
    meter.time(verifying, "verify")
    meter.time(obligations, "settle")
    meter.time(outbox, "relay")
    verified = 0
    while True:
        tally = purge.ring()
        assert not tally.stopped, tally.stopped
        assert not tally.failed
        meter.longest = max(meter.longest, tally.longest)
        verified += tally.verified
        if not tally.accounts:
            break
    # As if the wait before the count had passed.
    while more := verifying.verify(timezone.now() + dt.timedelta(hours=1)):
        verified += more
    return verified


VARIANTS: dict[str, Callable[[Meter], int]] = {
    "orm_each": orm_each,
    "orm_batch": orm_batch,
    "floor": floor,
    "ours": ours,
}


def _orm(ids: list[UUID]) -> None:
    for model in datamap.governed():
        datamap.rows(model, ids).delete()


def _server_cpu() -> float:
    host = connections["default"].settings_dict["HOST"]
    keys = connections["keys"].settings_dict["HOST"]
    total = 0.0
    for folder in (host, keys):
        for process in psutil.process_iter(["name", "cpu_times", "cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if folder in line:
                for one in [process, *process.children(recursive=True)]:
                    try:
                        times = one.cpu_times()
                        total += times.user + times.system
                    except psutil.Error:
                        continue
    return total


def _one(sql: str) -> Any:
    with connections["default"].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def measure(variant: str) -> dict[str, Any]:
    """Run one variant and return its figures; times in seconds, WAL and memory in MB."""
    accounts = len(due())
    # A running worker has its addresses and templates loaded.
    reverse("retention:delete_find")
    connections["keys"].ensure_connection()
    meter = Meter()
    before = (_one("SELECT pg_current_wal_lsn()"), _server_cpu(), resource.getrusage(resource.RUSAGE_SELF))
    with ExitStack() as stack:
        for alias in ("default", "keys"):
            stack.enter_context(connections[alias].execute_wrapper(meter.count(alias)))
        began = time.perf_counter()
        verified = VARIANTS[variant](meter)
        seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    own = usage.ru_utime + usage.ru_stime - before[2].ru_utime - before[2].ru_stime
    return {
        "variant": variant,
        "accounts": accounts,
        "seconds": seconds,
        "accounts_per_second": accounts / seconds,
        "statements": sum(meter.statements.values()),
        "wal_mb": float(_one(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before[0]}')")) / 1e6,
        "client_cpu": own,
        "server_cpu": _server_cpu() - before[1],
        "longest": meter.longest,
        "peak_mb": usage.ru_maxrss / 1024,
        "verified": verified,
        "steps": dict(meter.steps),
    }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    print(json.dumps(measure(sys.argv[1])))
