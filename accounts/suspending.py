"""Suspending an account or one of its services, and lifting that (P19): additive rows, like holds.

Who may: billing and the abuse desk, each for its own ground, which the door checks. Two grounds suspend apart, and a
service runs again when every suspension of it and of its account is lifted. Provisioning is told by a signed webhook,
once for each. Nobody is written to here: whoever suspends says why in a mail of their own.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts import webhooks
from accounts.errors import NotActionable
from accounts.models import Account, Service, Suspension
from accounts.recording import CATEGORY_GONE
from accounts.safeguards import ledger

FACTS = ("suspension", "account", "service", "ground")
SUSPENDED = webhooks.declare_event(
    "service.suspended", FACTS, about="A service is suspended; where none is named, every service of the account."
).name
RESUMED = webhooks.declare_event(
    "service.resumed", FACTS, about="A suspension was lifted; the service runs when no other one stands."
).name


def place(
    account_id: UUID,
    ground: Suspension.Ground,
    *,
    by: str,
    service_id: UUID | None = None,
    at: dt.datetime | None = None,
) -> Suspension:
    """Suspend an account, or one service of it, and return the new row; `by` is an actor of the ledger.

    Raises NotActionable for a service of somebody else, and where the account's services are deleted.
    """
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        return place_within(account, ground, by=by, service_id=service_id, at=at)


def place_within(
    account: Account, ground: Suspension.Ground, *, by: str, at: dt.datetime, service_id: UUID | None = None
) -> Suspension:
    """Suspend in the caller's transaction, which holds the lock of the account."""
    if service_id is not None and not Service.objects.filter(pk=service_id, account=account).exists():
        raise NotActionable(f"Account {account.number} has no such service; nothing was suspended.")
    row, fact = suspension(account, ground, by=by, service_id=service_id, at=at)
    _insert(row, account)
    ledger.record_many([fact], at=at)
    _publish(SUSPENDED, row, account, at)
    return row


def suspension(
    account: Account,
    ground: Suspension.Ground,
    *,
    by: str,
    at: dt.datetime,
    service_id: UUID | None = None,
) -> tuple[Suspension, ledger.Fact]:
    """Return the row of a suspension and its ledger entry, both unsaved: many are written in few statements."""
    row = Suspension(account=account, service=service_id, ground=ground, placed_at=at, placed_by=by)
    facts = {"suspension": row.pk, "ground": str(ground), "service": service_id}
    return row, ledger.Fact(by, "suspension.placed", account.pk, facts)


def lift(suspension_id: UUID, *, by: str, at: dt.datetime | None = None) -> Suspension:
    """Lift a suspension and return it; raise NotActionable when it is lifted already."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        row = Suspension.objects.get(pk=suspension_id)
        list(Account.objects.locked([row.account_id]))
        if row.ground == Suspension.Ground.ABUSE:
            raise NotActionable("What the abuse desk suspended runs again with its case: open that, and lift it there.")
        return lift_within(row.pk, by=by, at=at)


def lift_within(suspension_id: UUID, *, by: str, at: dt.datetime) -> Suspension:
    """Lift a suspension in the caller's transaction, which holds the lock of the account."""
    lifted = Suspension.objects.standing().filter(pk=suspension_id).update(lifted_at=at, lifted_by=by)
    if not lifted:
        raise NotActionable(f"Suspension {suspension_id} is lifted already; there is nothing to lift.")
    row = Suspension.objects.get(pk=suspension_id)
    facts = {"suspension": row.pk, "ground": row.ground, "service": row.service}
    ledger.record(by, "suspension.lifted", row.account_id, at=at, **facts)
    _publish(RESUMED, row, row.account, at)
    return row


def _publish(event: str, row: Suspension, account: Account, at: dt.datetime) -> None:
    service = str(row.service) if row.service else None
    data = {"suspension": str(row.pk), "account": account.number, "service": service, "ground": str(row.ground)}
    webhooks.publish(event, key=str(row.pk), data=data, subject=account.pk, at=at)


def _insert(row: Suspension, account: Account) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") != CATEGORY_GONE:
            raise
        raise NotActionable(f"The services of account {account.number} are deleted; none can be suspended.") from None
