"""Placing a hold: who may is the door's business; what holds afterwards is that nothing it covers can be erased.

The insert itself waits for a running batch (its trigger locks the account) and is refused when everything it would
cover is gone. A busy account is a clear "not placed", never a false yes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts.safeguards import ledger
from accounts.safeguards.calendar import add_business_days
from retention import schedule
from retention.models import Hold
from retention.refusals import named

Period = tuple[dt.datetime | None, dt.datetime | None]
WAIT = "5s"


def place(account_id: UUID, kind: str, *, by: str, at: dt.datetime | None = None, **details: Any) -> Hold:
    """Place one hold in a transaction of its own and return it.

    `details`: categories, period (from, to), matter, cause, review_by, ends_at, told, told_how; see `place_within`.
    Raises NotPlaced when the account stays busy, AlreadyErased when everything it covers is gone.
    """
    with named(account_id), transaction.atomic(durable=True):
        return place_within(account_id, kind, by=by, at=at, **details)


def place_within(
    account_id: UUID,
    kind: str,
    *,
    by: str,
    categories: Iterable[str] = (),
    period: Period = (None, None),
    matter: str = "",
    cause: UUID | None = None,
    review_by: dt.datetime | None = None,
    ends_at: dt.datetime | None = None,
    told: bool = False,
    told_how: str = "",
    at: dt.datetime | None = None,
) -> Hold:
    """Place a hold in the caller's transaction: a dispute or a legal request places its own with itself."""
    at = at or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{WAIT}'")
    hold = Hold(
        account_id=account_id,
        kind=kind,
        categories=[str(category) for category in categories],
        period_from=period[0],
        period_to=period[1],
        matter=matter or None,
        cause=cause,
        placed_by=by,
        placed_at=at,
        review_by=review_by or at + schedule.span("review"),
        ends_at=ends_at or _end_of(kind, at),
    )
    if told:
        hold.told_at, hold.told_by, hold.told_how = at, by, told_how or "portal"
    hold.save(force_insert=True)
    hold.refresh_from_db(fields=["already_gone", "partly_gone"])
    ledger.record(
        by,
        "hold.placed",
        account_id,
        at=at,
        hold=hold.pk,
        kind=str(kind),
        categories=hold.categories,
        period_from=hold.period_from,
        period_to=hold.period_to,
        already_gone=sorted(hold.already_gone),
        partly_gone=sorted(hold.partly_gone),
    )
    return hold


def _end_of(kind: str, at: dt.datetime) -> dt.datetime | None:
    if kind == Hold.Kind.OPERATIONS:
        return at + schedule.span("pause")
    if kind == Hold.Kind.PRESERVATION:
        return at + schedule.span("preservation")
    if kind == Hold.Kind.PROVISIONAL:
        if schedule.scale() < 1:
            return at + schedule.span("provisional")
        last = add_business_days(at.date(), schedule.number("provisional"))
        return dt.datetime.combine(last, dt.time(23, 59, 59), tzinfo=dt.UTC)
    return None
