"""The daily sweep: deletes what customers removed and what the schedule has expired, as far as nothing covers it.

Pages never show either (silence.md, S7), so that whether the sweep could delete tells nothing.
"""

from __future__ import annotations

import datetime as dt

from django.db import Error, connection, models, transaction
from django.utils import timezone

from accounts import datamap
from accounts.safeguards import ledger
from accounts.safeguards.ledger import SYSTEM
from retention import schedule
from retention.covering import covers
from retention.refusals import GOVERNED, PASSING, code_of

BATCH = 500


def sweep(at: dt.datetime | None = None) -> int:
    """Delete rows past their schedule or removed by the customer, in batches; return how many."""
    at = at or timezone.now()
    total = 0
    cutoffs = schedule.cutoffs(at)
    for model, entry in datamap.governed().items():
        names = {field.name for field in model._meta.fields}
        if entry.clock in cutoffs:
            total += _sweep_table(model, f"t.{datamap.time_column(model)} < %s", cutoffs[entry.clock])
        if "removed_at" in names:
            total += _sweep_table(model, "t.removed_at < %s", at - schedule.span("removed"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT sweep_kept_versions(5000)")
        kept = cursor.fetchone()[0]
    if total or kept:
        ledger.record(SYSTEM, "sweep.done", None, at=at, rows=total, kept_versions=kept)
    return total


def _sweep_table(model: type[models.Model], condition: str, before: dt.datetime) -> int:
    """Delete from one table what no active hold covers; a row another row still needs stays."""
    table, category = model._meta.db_table, datamap.entries()[model].category.value
    needed = "".join(
        f" AND NOT EXISTS (SELECT 1 FROM {child} c WHERE c.{column} = t.{key})"
        for child, column, key in datamap.children(model)
    )
    covered = covers(f"'{category}'", moment=f"t.{datamap.time_column(model)}")
    total = 0
    while True:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    f"""DELETE FROM {table} WHERE id IN (
                          SELECT t.id FROM {table} t WHERE {condition}{needed} AND NOT EXISTS (
                            SELECT 1 FROM retention_hold h WHERE h.account_id = t.account_id AND {covered})
                           LIMIT {BATCH})""",
                    [before],
                )
                done = int(cursor.rowcount)
        except Error as error:
            # A hold came in between, or somebody writes: the next sweep looks again.
            if code_of(error) in {GOVERNED, *PASSING}:
                return total
            raise
        total += done
        if done < BATCH:
            return total
