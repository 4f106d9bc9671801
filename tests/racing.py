"""One side of a race, in a process of its own: `python -m tests.racing <side>`.

Reads lines "<account> <start, monotonic ns> <what>" from standard input, does its side at that moment through the
portal's own acts, and answers "<outcome> <began ns> <committing ns> <ended ns>". The environment's ISOLATION names the
isolation level. The sides called naive are wrong on purpose: the harness has to notice them.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import time
from collections.abc import Callable
from uuid import UUID

import django
import psycopg
from django.db import Error, connection, connections, transaction
from django.utils import timezone

TRIES = 4
SPIN_NS = 1_500_000
FIRST_DAY, HALF_A_DAY = dt.timedelta(days=60), dt.timedelta(hours=12)


def purge_side(account: UUID, what: str) -> str:
    """The portal's purge, tried again for what passes, as its ring does."""
    from retention import purge
    from retention.refusals import PASSING, code_of

    code = ""
    for _ in range(TRIES):
        try:
            done = purge.erase([account])
            return f"erased:{done.rows}" if done.accounts else "passed"
        except Error as error:
            code = code_of(error)
            if code not in PASSING:
                break
    return f"failed:{code}"


def hold_side(account: UUID, what: str) -> str:
    """The portal's act of placing a hold: `what` names categories, "period" the crowd's first day, "whole" all."""
    from retention import placing
    from retention.refusals import AlreadyErased, NotPlaced

    categories = () if what in {"whole", "period"} else what.split(",")
    first_day = timezone.now() - FIRST_DAY
    period = (None, first_day + HALF_A_DAY) if what == "period" else (None, None)
    for _ in range(TRIES):
        try:
            return f"placed:{placing.place(account, 'legal', by='system', categories=categories, period=period).pk}"
        except AlreadyErased:
            return "gone"
        except NotPlaced:
            continue
    return "busy"


def naive_purge_side(account: UUID, what: str) -> str:
    """Wrong on purpose: looks for holds, then deletes, and locks nothing."""
    from accounts import datamap

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT categories FROM retention_hold WHERE account_id = %s AND released_at IS NULL", [account]
            )
            scopes = [row[0] for row in cursor.fetchall()]
            rows = 0
            for category in datamap.categories():
                if any(not scope or category in scope for scope in scopes):
                    continue
                for model in datamap.in_category(category):
                    cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE account_id = %s", [account])
                    rows += cursor.rowcount
                cursor.execute(
                    "UPDATE retention_erasure SET state = 'gone', rows_gone_at = clock_timestamp(), "
                    "gone_xid = pg_current_xact_id()::text::bigint WHERE account_id = %s AND category = %s",
                    [account, category],
                )
        return f"erased:{rows}"
    except Error as error:
        return f"failed:{getattr(error.__cause__, 'sqlstate', '')}"


def insert_side(account: UUID, what: str) -> str:
    """Adds a payment method and changes it, in a transaction that stays open for a moment."""
    from accounts.models import PaymentMethod
    from retention.refusals import code_of

    try:
        with transaction.atomic():
            method = PaymentMethod.objects.create(
                account_id=account,
                provider="race",
                token="tok_race",
                brand="Visa",
                last_four="4242",
                created_at=timezone.now(),
            )
            PaymentMethod.objects.filter(pk=method.pk).update(provider="raced")
            linger()
        return "inserted"
    except Error as error:
        return f"refused:{code_of(error)}"


def edit_side(account: UUID, what: str) -> str:
    """Changes what a hold may cover, in a transaction that stays open for a moment."""
    from accounts.models import PaymentMethod
    from retention.refusals import code_of

    try:
        with transaction.atomic():
            PaymentMethod.objects.filter(account_id=account).update(provider="edited")
            linger()
        return "edited"
    except Error as error:
        return f"refused:{code_of(error)}"


SIDES: dict[str, Callable[[UUID, str], str]] = {
    "purge": purge_side,
    "hold": hold_side,
    "naive_purge": naive_purge_side,
    "insert": insert_side,
    "edit": edit_side,
}
committing = 0


def linger() -> None:
    """Keep the transaction open for up to four milliseconds; then note when the commit began."""
    global committing
    time.sleep(random.uniform(0, 0.004))  # noqa: S311 - a test's jitter
    committing = time.monotonic_ns()


def wait_until(moment: int) -> None:
    """Sleep most of the way, then spin: a sleep alone is too coarse for the window of a race."""
    while (left := moment - time.monotonic_ns()) > 0:
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)


def use_isolation(name: str) -> None:
    """Open this process's connections to the data database at the isolation level."""
    connections["default"].settings_dict["OPTIONS"]["isolation_level"] = psycopg.IsolationLevel[name]


def main() -> None:
    """Answer line by line until the input ends."""
    global committing
    django.setup()
    use_isolation(os.environ.get("ISOLATION", "READ_COMMITTED"))
    act = SIDES[sys.argv[1]]
    for alias in connections:
        connections[alias].ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        account, moment, what = line.split()
        wait_until(int(moment))
        committing = 0
        began = time.monotonic_ns()
        outcome = act(UUID(account), what)
        sys.stdout.write(f"{outcome} {began} {committing} {time.monotonic_ns()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
