"""Telling the customer of a hold: the only act that sets `told_at` (silence.md, S1)."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import Account, User
from accounts.safeguards import ledger
from retention.models import Hold
from retention.refusals import named

# From then on the customer's activity page shows what legal staff looked at until that moment (silence.md, S8).
ACTIVITY_TOLD = "activity.told"
HOW = ("portal", "mail", "letter", "court")


def tell(hold_id: UUID, *, by: User, how: str, at: dt.datetime | None = None) -> Hold:
    """Record that the customer was told of a hold and how; from then on their pages show it."""
    at = at or timezone.now()
    if how not in HOW:
        raise NotActionable(f"Hold {hold_id}: say how the customer was told, one of {', '.join(HOW)}.")
    with named(hold_id), transaction.atomic(durable=True):
        hold = Hold.objects.filter(pk=hold_id).first()
        if hold is None:
            raise NotActionable(f"There is no hold {hold_id}.")
        list(Account.objects.locked([hold.account_id]))
        if not Hold.objects.filter(pk=hold_id, told_at=None).update(told_at=at, told_by=by.actor, told_how=how):
            raise NotActionable(f"Hold {hold_id}: the customer was told already.")
        ledger.record(by.actor, "hold.told", hold.account_id, at=at, hold=hold.pk, how=how)
        open_activity(hold.account_id, by.actor, at)
    hold.refresh_from_db()
    return hold


def open_activity(account_id: UUID, actor: str, at: dt.datetime) -> None:
    """Write that no matter is left untold: views of legal staff until now may be shown.

    The page reads this entry and never a hold. A matter that ended without being told still keeps them back; a staff
    pause is no matter.
    """
    untold = Hold.objects.sealed().filter(account_id=account_id).exclude(kind=Hold.Kind.OPERATIONS)
    if not untold.exists():
        ledger.record(actor, ACTIVITY_TOLD, account_id, at=at)
