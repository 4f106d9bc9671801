"""What the purge takes up next, asked of the database. Nothing here changes anything.

A pick is only a hint: what may be erased is decided again under the account's lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

from retention.covering import WHOLE, covers

# Erasures that are due, not waiting for a retry and not covered whole; what a period keeps in part waits by
# `retry_at`. Contact data goes last and whole: while anything is unfinished, the customer must be reachable to be told.
PICK = f"""
    SELECT e.account_id, min(e.due_at) AS first_due
      FROM retention_erasure e
     WHERE e.state = 'due' AND e.due_at <= %(at)s AND (e.retry_at IS NULL OR e.retry_at <= %(at)s)
       AND NOT e.category = ANY(%(stopped)s) AND NOT e.account_id = ANY(%(passed_over)s)
       AND (%(only)s::uuid[] IS NULL OR e.account_id = ANY(%(only)s))
       AND NOT EXISTS (
            SELECT 1 FROM retention_hold h
             WHERE h.account_id = e.account_id AND {covers("e.category", at="%(at)s")}
               AND ({WHOLE} OR e.category = 'contact' OR %(parts_wait)s))
       AND (e.category <> 'contact' OR NOT EXISTS (
            SELECT 1 FROM retention_erasure o JOIN retention_hold h ON h.account_id = o.account_id
             WHERE o.account_id = e.account_id AND o.state = 'due' AND o.kept_for = '' AND o.category <> 'contact'
               AND {covers("o.category", at="%(at)s")}))
     GROUP BY e.account_id ORDER BY first_due, e.account_id LIMIT %(limit)s
"""
# Accounts whose agreement hold may have lost its ground: what was owed is paid, waived or ended.
SETTLED = """
    SELECT h.account_id FROM retention_hold h
     WHERE h.kind = 'agreement' AND h.released_at IS NULL AND h.ends_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM accounts_invoice i WHERE i.account_id = h.account_id AND i.state = 'issued')
       AND NOT EXISTS (SELECT 1 FROM accounts_service s WHERE s.account_id = h.account_id
                        AND s.term_ends_at > %(at)s AND s.term_waived_at IS NULL)
     ORDER BY h.account_id LIMIT %(limit)s
"""


def pick(
    limit: int,
    at: dt.datetime,
    *,
    stopped: Collection[str] = (),
    passed_over: Collection[UUID] = (),
    only: Collection[UUID] | None = None,
) -> list[UUID]:
    """Return accounts with something due and free at `at`, the longest due first."""
    params: dict[str, Any] = {
        "at": at,
        "limit": limit,
        "stopped": list(stopped),
        "passed_over": list(passed_over),
        "only": None if only is None else list(only),
        "parts_wait": False,
    }
    with connection.cursor() as cursor:
        cursor.execute(PICK, params)
        return [row[0] for row in cursor.fetchall()]


def settled(limit: int, at: dt.datetime) -> list[UUID]:
    """Return accounts whose agreement hold has lost its ground at `at`."""
    with connection.cursor() as cursor:
        cursor.execute(SETTLED, {"at": at, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def oldest_due(at: dt.datetime) -> dt.datetime | None:
    """Return since when the oldest erasure that nothing holds, not even in part, has been due, or None (S9)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT min(first_due) FROM ({PICK}) waiting",
            {"at": at, "limit": 1, "stopped": [], "passed_over": [], "only": None, "parts_wait": True},
        )
        found: dt.datetime | None = cursor.fetchone()[0]
        return found
