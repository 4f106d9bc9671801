"""Recording a look at a legal hold: customers are promised one at least every 90 days (silence.md, S4).

Who may: the roles with "retention.review_hold", which the door checks. Nothing but the date of the next look changes;
nobody is told.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import Account, User
from accounts.safeguards import ledger
from retention import schedule
from retention.models import Hold
from retention.refusals import named


def review(hold_id: UUID, *, by: User, at: dt.datetime | None = None) -> Hold:
    """Record a look at a hold and when the next one is due; raise NotActionable for one that needs no look."""
    at = at or timezone.now()
    with named(hold_id), transaction.atomic(durable=True):
        hold = Hold.objects.filter(pk=hold_id).first()
        if hold is None:
            raise NotActionable(f"There is no hold {hold_id}.")
        list(Account.objects.locked([hold.account_id]))
        next_look = at + schedule.span("review")
        if not Hold.objects.to_review().filter(pk=hold_id).update(review_by=next_look):
            raise NotActionable(f"Hold {hold_id} needs no review: it is released, or ends with what stands behind it.")
        ledger.record(by.actor, "hold.reviewed", hold.account_id, at=at, hold=hold.pk, review_by=next_look)
    hold.refresh_from_db()
    return hold
