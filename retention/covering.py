"""What a hold covers, as SQL: the one condition that the queue, the purge and the sweep ask beside the guards.

The guards' own SQL asks the same of every statement, whoever writes; that both agree is tested row by row.
"""

from __future__ import annotations


def covers(category: str, *, at: str = "clock_timestamp()", moment: str = "") -> str:
    """Return the condition that hold `h` is active and covers `category`, all of it or a part.

    All arguments are SQL: `category` and `moment` (the time of a row, for a hold that covers a period) expressions,
    `at` the time asked for. Without `moment` any period counts. The caller joins `h` to the account; credentials are
    outside holds.
    """
    conditions = [
        f"(h.covers_until IS NULL OR h.covers_until > {at})",
        f"(cardinality(h.categories) = 0 OR {category} = ANY(h.categories))",
        f"NOT {category} = ANY(h.already_gone)",
        f"{category} <> 'credentials'",
    ]
    if moment:
        conditions.append(f"coalesce({moment} >= h.period_from, true) AND coalesce({moment} < h.period_to, true)")
    return " AND ".join(conditions)


WHOLE = "(h.period_from IS NULL AND h.period_to IS NULL)"
