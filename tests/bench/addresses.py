"""`python -m tests.bench.addresses [--assignments N] [--questions N]`: who held an address, among a million.

Ours: `who_held`, the function every door calls, with the round trip and the row made. The other side, in the same run
and on the same rows: the same question without the index, a sequential scan. Half of the addresses are single ones with
two holders one after the other, a fifth are /64 networks, the rest IPv4 networks of /28; services hold several each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import statistics
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.bench.__main__ import STAGE, owner, tidy_up  # isort: skip - sets Django up
from django.db import connection

from accounts import assigning
from accounts.keys.local import make_key_file

SINCE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
CHANGE = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CONSTRAINT = """
    ALTER TABLE accounts_ipassignment ADD CONSTRAINT ip_assignment_has_one_holder_at_a_time
    EXCLUDE USING gist (address inet_ops WITH &&, tstzrange(assigned_at, ended_at) WITH &&)
"""
ACCOUNTS = """
    INSERT INTO accounts_account (id, number, state, created_at, hold_epoch)
    SELECT gen_random_uuid(), (100000000 + n)::text, 'active', %s, 0 FROM generate_series(1, %s) n
"""
# An account, and a service of it, for each ten rows.
ROWS = """
    INSERT INTO accounts_ipassignment (id, account_id, service, address, assigned_at, ended_at)
    SELECT gen_random_uuid(), a.id, gen_random_uuid(), {address}, {start}, {stop}
      FROM generate_series(0, %(count)s - 1) n
      JOIN accounts_account a ON a.number = (100000001 + n %% %(accounts)s)::text
"""
# What is asked, and which addresses lie in it: (name, how to make one).
QUESTIONS = ("IPv4 address", "IPv6 address", "address of nobody", "IPv4 /24", "IPv6 /64")


def load(count: int) -> None:
    """Fill the clone in use with `count` assignments, and put its constraint back."""
    single, half = count * 3 // 10, count // 5
    rest = count - 2 * single - half
    since, change, never = f"'{SINCE}'::timestamptz", f"'{CHANGE}'::timestamptz", "NULL::timestamptz"
    one = "'10.0.0.0'::inet + n"
    six = "format('2001:db8:%%s:%%s::/64', to_hex(n / 65536), to_hex(n %% 65536))::inet"
    four = "set_masklen('100.64.0.0'::inet + n::bigint * 16, 28)"
    parts = (
        (one, since, change, single),
        (one, change, never, single),
        (six, since, never, half),
        (four, since, never, rest),
    )
    accounts = max(1, count // 10)
    with owner() as connected:
        for table in ("accounts_account", "accounts_ipassignment"):
            connected.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connected.execute("ALTER TABLE accounts_ipassignment DROP CONSTRAINT ip_assignment_has_one_holder_at_a_time")
        connected.execute(ACCOUNTS, [SINCE, accounts])
        connected.execute("ANALYZE accounts_account")
        for address, start, stop, rows in parts:
            sql = ROWS.format(address=address, start=start, stop=stop)
            connected.execute(sql, {"count": rows, "accounts": accounts})
            print(f"  {rows} rows", flush=True)
        connected.execute("SET maintenance_work_mem = '512MB'")
        connected.execute(CONSTRAINT)
        print("  index built", flush=True)
        for table in ("accounts_account", "accounts_ipassignment"):
            connected.execute(f"VACUUM ANALYZE {table}")


def question(kind: str, count: int, dice: random.Random) -> tuple[str, dt.datetime]:
    """Return one address or network to ask for, and a moment."""
    at = SINCE + dt.timedelta(seconds=dice.randrange(1, int((NOW - SINCE).total_seconds())))
    four = ip_address(int(ip_address("10.0.0.0")) + dice.randrange(count * 3 // 10))
    place = dice.randrange(count // 5)
    six = f"2001:db8:{place // 65536:x}:{place % 65536:x}::"
    return {
        "IPv4 address": str(four),
        "IPv6 address": f"{six}{dice.randrange(65536):x}",
        "address of nobody": str(ip_address(int(ip_address("172.16.0.0")) + dice.randrange(2**20))),
        "IPv4 /24": f"{ip_address(int(four) & 0xFFFFFF00)}/24",
        "IPv6 /64": f"{six}/64",
    }[kind], at


def timed(kind: str, count: int, many: int, dice: random.Random) -> tuple[list[float], float]:
    """Ask `many` questions of one kind; return how long each took, and how many rows an answer had on average."""
    took, rows = [], 0
    for _ in range(many):
        address, at = question(kind, count, dice)
        began = time.perf_counter()
        found = assigning.who_held(address, at)
        took.append(time.perf_counter() - began)
        rows += len(found)
    return took, rows / many


def main() -> None:
    """Load, ask, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--assignments", type=int, default=1_000_000)
    options.add_argument("--questions", type=int, default=5000)
    options.add_argument("--scans", type=int, default=10, help="questions asked without the index")
    chosen = options.parse_args()
    make_key_file(Path(os.environ["KEK_FILE"]))
    STAGE.prepare()
    dice = random.Random(20260101)  # noqa: S311 - the same questions in each run
    with STAGE.clone():
        began = time.perf_counter()
        load(chosen.assignments)
        with owner() as connected:
            there: Any = connected.execute("SELECT count(*) FROM accounts_ipassignment").fetchone()
        print(f"{there[0]} assignments, loaded in {time.perf_counter() - began:.0f} s\n")
        print(f"{'':<20} {'side':<6} {'rows':>6} {'p50':>10} {'p99':>10} {'longest':>10}")
        for kind in QUESTIONS:
            report(kind, "ours", *timed(kind, chosen.assignments, chosen.questions, dice))
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off"
                )
            report(kind, "scan", *timed(kind, chosen.assignments, chosen.scans, dice))
            with connection.cursor() as cursor:
                cursor.execute("RESET enable_indexscan; RESET enable_bitmapscan")


def report(kind: str, side: str, took: list[float], rows: float) -> None:
    """Print one line of the table."""
    ranked = sorted(took)
    times = (statistics.median(ranked), ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))], ranked[-1])
    print(f"{kind:<20} {side:<6} {rows:>6.1f} " + " ".join(f"{one * 1000:>7.2f} ms" for one in times), flush=True)


if __name__ == "__main__":
    try:
        main()
    finally:
        tidy_up()
