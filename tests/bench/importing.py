"""`python -m tests.bench.importing [--clients N] [--file FILE] [--runs N]`: the import against a floor.

Floor: COPY of the very rows that our import wrote, both databases, sealed values and all, without guards and without
reading anything. Ours: `manage.py import_clients`, from the file to the ledger entry of the run. The two alternate on
fresh clones. "After the first hundred" leaves out the batch that the hundredth row is in.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import pstats
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.__main__ import STAGE, tidy_up  # isort: skip - sets Django up
from psycopg import Connection

from accounts.keys.local import make_key_file
from retention import importing
from tests import servers
from tests.panel import export, row, run

Rows = dict[tuple[str, str], bytes]
TABLES = (
    "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
    "AND c.relname NOT LIKE 'django_%' AND c.relname NOT LIKE 'auth_%' ORDER BY c.oid"
)


def connect(alias: str) -> Connection[Any]:
    """Return a connection as the owner to the clone in use."""
    connection = servers.connect(alias, servers.OWNER)
    for (table,) in connection.execute(TABLES).fetchall():
        connection.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
    return connection


def ours(path: Path, profile: cProfile.Profile | None) -> tuple[float, float, int, Rows]:
    """Import on a fresh clone; return (seconds, rows a second after the first hundred, imported, what was written)."""
    with STAGE.clone():
        marks: list[tuple[float, int]] = []
        real = importing.import_batch

        def marked(clients: Any, **given: Any) -> Any:
            outcomes = real(clients, **given)
            marks.append((time.perf_counter(), len(outcomes)))
            return outcomes

        importing.import_batch = marked
        began = time.perf_counter()
        if profile:
            profile.enable()
        try:
            _code, said = run(path)
        finally:
            importing.import_batch = real
            if profile:
                profile.disable()
        took = time.perf_counter() - began
        later = sum(count for _, count in marks[1:]) / (marks[-1][0] - marks[0][0]) if len(marks) > 1 else 0
        return took, later, said["imported"], copied_out()


def copied_out() -> Rows:
    """Return the content of every table of the clone in use."""
    found: Rows = {}
    for alias in servers.ALIASES:
        with connect(alias) as connection:
            for (table,) in connection.execute(TABLES).fetchall():
                with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)') as copy:
                    found[alias, table] = b"".join(copy)
    return found


def floor(rows: Rows) -> float:
    """Copy the rows into a fresh clone; return the seconds."""
    with STAGE.clone():
        connections = {alias: connect(alias) for alias in servers.ALIASES}
        empty = copied_out()
        wanted = {place: content for place, content in rows.items() if content != empty[place]}
        began = time.perf_counter()
        for alias, connection in connections.items():
            with connection.transaction():
                for (of, table), content in wanted.items():
                    if of == alias:
                        connection.execute(f'DELETE FROM "{table}"')
                        with connection.cursor().copy(f'COPY "{table}" FROM STDIN (FORMAT binary)') as copy:
                            copy.write(content)
        took = time.perf_counter() - began
        for connection in connections.values():
            connection.close()
        return took


def main() -> None:
    """Measure and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", type=int, default=2000)
    options.add_argument("--file", type=Path, help="a real export instead of made clients")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--profile", action="store_true", help="print where the time of ours goes")
    chosen = options.parse_args()
    make_key_file(Path(os.environ["KEK_FILE"]))
    STAGE.prepare()
    profile = cProfile.Profile() if chosen.profile else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clients.csv"
        if chosen.file:
            path.write_bytes(chosen.file.read_bytes())
        else:
            states = ("active",) * 17 + ("suspended", "canceled", "active")
            export(path, [row(number, status=states[number % 20]) for number in range(chosen.clients)])
        ours_took, later, floor_took, count = [], [], [], 0
        for _ in range(chosen.runs):
            took, after, count, rows = ours(path, profile)
            ours_took.append(took)
            later.append(after)
            floor_took.append(floor(rows))
            print(f"  ours {took:.2f} s, floor {floor_took[-1]:.2f} s", flush=True)
    print(f"\n{'':<8} {'seconds (min-max)':<20} {'clients/s':>10} {'after the first hundred':>24}")
    for name, times in (("floor", floor_took), ("ours", ours_took)):
        middle = statistics.median(times)
        after = f"{statistics.median(later):.0f} ({min(later):.0f}-{max(later):.0f})" if name == "ours" else ""
        spread = f"{middle:.2f} ({min(times):.2f}-{max(times):.2f})"
        print(f"{name:<8} {spread:<20} {count / middle:>10.0f} {after:>24}")
    print(
        f"\nours / floor: {statistics.median(ours_took) / statistics.median(floor_took):.1f}; aim: 500 clients a second"
    )
    if profile:
        out = io.StringIO()
        pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(30)
        print(out.getvalue())


if __name__ == "__main__":
    try:
        main()
    finally:
        tidy_up()
