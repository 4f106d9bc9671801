"""`python -m tests.bench.exports [--events N] [--runs N]`: a large account beside an empty one.

Pages: each page of what we hold, asked of both in turn, so that what else the machine does hits both. Export: the
floor is a bare COPY of the same rows whose same sealed values are opened, with nothing written; beside it the same with
a line of each row written to a file. Ours is the finished export: compressed, hashed, sealed in pieces, its entries and
mails included. One format is one pass over the rows, as the floor is; both formats are two. Each run is a process of
its own that has warmed up on a kind of data without rows, so that start-up counts on neither side; the variants
alternate. Prints tables, writes `bench-results`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from uuid import UUID

CHILD = len(sys.argv) > 1 and sys.argv[1] == "once"
if CHILD:
    import django

    django.setup()
    from tests import servers
else:
    from tests import servers
    from tests.bench.__main__ import STAGE, owner, tidy_up

from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import exporting  # noqa: E402
from accounts.keys.identifiers import uuid7  # noqa: E402
from accounts.keys.keyring import keyring  # noqa: E402
from accounts.keys.local import make_key_file  # noqa: E402
from accounts.models import Export, User  # noqa: E402
from accounts.safeguards.sealing import key_of  # noqa: E402
from retention import schedule  # noqa: E402

RESULTS = servers.ROOT / "bench-results" / "exports.json"
PAGES = ("/data/", "/data/access/", "/data/activity/", "/export/new/", "/export/", "/delete/")
BROWSERS = [
    f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{n}.0.0.0 Safari/537.36" for n in range(90, 130)
]
WITHOUT_ROWS = "confidential"
VARIANTS: dict[str, tuple[str, ...]] = {
    "COPY, opened": (),
    "the same, written": (),
    "json": ("json",),
    "csv": ("csv",),
    "json+csv": ("json", "csv"),
}


def load(account_id: UUID, events: int) -> None:
    """Give an account its events, sealed for real, over the last eighty days."""
    from tests.bench.population import _switch

    now, step = timezone.now(), dt.timedelta(days=80) / events
    with keyring() as ring, owner() as raw:
        key_id, key = ring.for_writing((account_id, "access"))
        cipher, head = AESGCM(key), b"\x01" + key_id.bytes
        _switch(raw, "DISABLE")
        copy = "COPY accounts_accessevent (id, account_id, kind, ip, browser, at) FROM STDIN"
        with raw.cursor() as cursor, cursor.copy(copy) as rows:
            for number in range(events):
                row = uuid7()
                boxes = []
                for column, text in (
                    ("ip", f"203.0.{random.randrange(256)}.{random.randrange(256)}"),  # noqa: S311
                    ("browser", BROWSERS[number % len(BROWSERS)]),
                ):
                    nonce = os.urandom(12)
                    bound = f"accounts_accessevent.{column}.{row}".encode()
                    boxes.append(head + nonce + cipher.encrypt(nonce, text.encode(), bound))
                rows.write_row((row, account_id, "sign_in", *boxes, now - step * (events - number)))
        _switch(raw, "ENABLE ALWAYS")
        raw.execute("VACUUM ANALYZE")


# ------------------------------------------------------------------------------------------------------- one run


def bare_copy(user: User, file: IO[str] | None) -> int:
    """Read the rows by COPY, open both values, and write a line each where there is a file."""
    done, ciphers = 0, dict[bytes, AESGCM]()
    rows = "SELECT id, kind, at, ip, browser FROM accounts_accessevent WHERE account_id = %s"
    sql = f"COPY ({rows}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor:
        # The portal's limit of one statement is for pages.
        cursor.execute("SET statement_timeout = 0")
    with keyring() as ring, connection.cursor() as cursor, cursor.cursor.copy(sql, [user.account_id]) as copy:
        copy.set_types(["uuid", "text", "timestamptz", "bytea", "bytea"])
        for row_id, kind, at, *boxes in copy.rows():
            values = []
            for column, box in zip(("ip", "browser"), boxes, strict=True):
                if box is None:
                    values.append("")
                    continue
                key = box[1:17]
                if key not in ciphers:
                    ciphers[key] = AESGCM(ring.key(key_of(box)))
                bound = f"accounts_accessevent.{column}.{row_id}".encode()
                values.append(ciphers[key].decrypt(box[17:29], box[29:], bound).decode())
            if file is not None:
                file.write(f"{row_id}\t{kind}\t{at}\t{values[0]}\t{values[1]}\n")
            done += 1
    return done


def by_the_product(user: User, formats: tuple[str, ...], category: str) -> int:
    """Ask for an export and make it, mails and ledger included; return its rows."""
    export = exporting.ask(user.account_id, by=user, categories=[category], formats=formats, submission=uuid7())
    ended = exporting.make(export.pk, cutoffs=schedule.cutoffs(timezone.now()), kept_for=schedule.span("export"))
    assert ended == "ready", ended
    return int(Export.objects.get(pk=export.pk).rows_done) // len(formats)


def once(variant: str, user_id: str) -> None:
    """Measure one variant in this process; print one line of JSON."""
    user = User.objects.get(pk=user_id)
    formats = VARIANTS[variant]
    if formats:
        by_the_product(user, formats, WITHOUT_ROWS)
    began, cpu = time.perf_counter(), time.process_time()
    if formats:
        rows = by_the_product(user, formats, "access")
    else:
        with tempfile.TemporaryFile("w") as file:
            rows = bare_copy(user, file if variant == "the same, written" else None)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu": cpu, "peak_mb": int(peak.split()[1]) / 1024}))


# ------------------------------------------------------------------------------------------------------ the whole


def measured(variant: str, user: User) -> dict[str, float]:
    """Run one variant in a process of its own."""
    module = [sys.executable, "-m", "tests.bench.exports", "once", variant, str(user.pk)]
    done = subprocess.run(
        module, cwd=servers.ROOT, env=servers.child_env(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def asked(large: User, empty: User, requests: int) -> dict[str, Any]:
    """Ask each page of both in turn; return milliseconds and statements."""
    settings.ALLOWED_HOSTS = ["*"]
    clients = {"large": Client(), "empty": Client()}
    for name, user in (("large", large), ("empty", empty)):
        clients[name].force_login(user, backend="accounts.signing_in.IdentifierBackend")
    found: dict[str, Any] = {}
    for page in PAGES:
        times: dict[str, list[float]] = {"large": [], "empty": []}
        for number in range(requests + 3):
            for name, client in clients.items():
                took = _timed(lambda client=client, page=page: client.get(page))  # type: ignore[misc]
                if number >= 3:
                    times[name].append(took)
        with CaptureQueriesContext(connection) as queries:
            clients["large"].get(page)
        found[page] = {name: {"p50": _at(took, 0.5), "p95": _at(took, 0.95)} for name, took in times.items()}
        found[page]["statements"] = len(queries)
    return found


def _timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    assert ask().status_code == 200
    return (time.perf_counter() - began) * 1000


def _at(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))]


def say_pages(pages: dict[str, Any]) -> None:
    """Print the table of the pages: milliseconds of both accounts, and how much longer the large one takes."""
    print(f"\n{'page':<18} {'large p50':>9} {'p95':>7} {'empty p50':>9} {'p95':>7} {'p50 more':>8} {'statements':>10}")
    for page, one in pages.items():
        large, empty = one["large"], one["empty"]
        print(
            f"{page:<18} {large['p50']:>9.1f} {large['p95']:>7.1f} {empty['p50']:>9.1f} {empty['p95']:>7.1f} "
            f"{large['p50'] - empty['p50']:>8.1f} {one['statements']:>10}"
        )


def say_exports(runs: dict[str, list[dict[str, float]]]) -> None:
    """Print the table: medians, the share of the floor's speed, the client's own CPU, the highest peak."""
    floor = statistics.median(one["seconds"] for one in runs["COPY, opened"])
    print(f"\n{'variant':<18} {'seconds':>8} {'spread':>13} {'rows/s':>8} {'of floor':>8} {'CPU s':>7} {'peak MB':>8}")
    for variant, some in runs.items():
        took = [one["seconds"] for one in some]
        seconds, cpu = statistics.median(took), statistics.median(one["cpu"] for one in some)
        spread, peak = f"{min(took):.2f}-{max(took):.2f}", max(one["peak_mb"] for one in some)
        rate = some[0]["rows"] / seconds
        print(
            f"{variant:<18} {seconds:>8.2f} {spread:>13} {rate:>8.0f} {floor / seconds:>8.0%} {cpu:>7.2f} {peak:>8.0f}"
        )


def main() -> None:
    """Prepare, measure, print, write."""
    options = argparse.ArgumentParser(prog="python -m tests.bench.exports", description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--requests", type=int, default=40)
    options.add_argument("--results", type=Path, default=RESULTS, help="where the JSON is written")
    chosen = options.parse_args()
    make_key_file(Path(os.environ["KEK_FILE"]))
    STAGE.prepare()
    STAGE.play(STAGE.make_clone())
    from tests.cast import make_customer

    large, empty = make_customer("large"), make_customer("empty")
    assert large.account_id is not None
    began = time.monotonic()
    load(large.account_id, chosen.events)
    print(f"{chosen.events} events loaded in {time.monotonic() - began:.0f} s", flush=True)
    pages = asked(large, empty, chosen.requests)
    say_pages(pages)
    runs: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(chosen.runs):
        for variant in VARIANTS:
            runs[variant].append(measured(variant, large))
            print(f"  {variant:<18} {runs[variant][-1]['seconds']:.2f} s", flush=True)
    say_exports(runs)
    chosen.results.parent.mkdir(exist_ok=True)
    chosen.results.write_text(json.dumps({"events": chosen.events, "pages": pages, "runs": runs}, indent=1))
    print(f"written: {chosen.results}")


if __name__ == "__main__":
    if CHILD:
        once(*sys.argv[2:])
    else:
        try:
            main()
        finally:
            tidy_up()
