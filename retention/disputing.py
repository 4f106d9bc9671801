"""Payment disputes, opened by staff or by the billing system (P25). The hold is placed with the dispute, and told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.models import Account
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import digest
from retention.models import Dispute, Erasure, Hold, Stage
from retention.placing import place_within
from retention.refusals import AlreadyErased, named
from retention.releasing import release_within
from retention.schedule import DISPUTE_COVERS

RECORDED = "A dispute with this reference of the processor is recorded already."
# A code, not a name: written one way, so that a dispute is found by it and counted once.
PROCESSOR = r"^[a-z][a-z0-9_-]{1,19}$"
ONCE = "dispute_once_per_processor_reference"


def open_dispute(
    account_id: UUID,
    *,
    processor: str,
    reference: str,
    amount_cents: int,
    currency: str = "USD",
    reason: str = Dispute.Reason.GENERAL,
    by: str,
    evidence_due_at: dt.datetime | None = None,
    at: dt.datetime | None = None,
) -> Dispute:
    """Record an open dispute and hold what is needed to settle it; return it.

    Raises NotActionable when this processor's reference is known, AlreadyErased when the account is gone.
    """
    at = at or timezone.now()
    refuse_card_number(reference)
    with named(account_id), _once(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).first()
        if account is None:
            raise NotActionable(f"There is no account {account_id}.")
        _refuse_erased(account)
        fingerprint = _fingerprint(processor, reference)
        if Dispute.objects.filter(processor=processor, reference_digest=fingerprint).exists():
            raise NotActionable(RECORDED)
        dispute = Dispute(
            account=account,
            processor=processor,
            reference=reference,
            reference_digest=fingerprint,
            amount_cents=amount_cents,
            currency=currency,
            reason=reason,
            opened_at=at,
            opened_by=by,
            evidence_due_at=evidence_due_at,
        )
        dispute.save(force_insert=True)
        place_within(
            account_id, Hold.Kind.DISPUTE, by=by, categories=DISPUTE_COVERS, cause=dispute.pk, told=True, at=at
        )
        ledger.record(by, "dispute.opened", account_id, at=at, dispute=dispute.pk, amount_cents=amount_cents)
    return dispute


def close_dispute(dispute_id: UUID, *, outcome: str, by: str, at: dt.datetime | None = None) -> Dispute:
    """Close an open dispute as won, lost or withdrawn; its hold ends with it and a due erasure goes on."""
    at = at or timezone.now()
    if outcome not in {Dispute.State.WON, Dispute.State.LOST, Dispute.State.WITHDRAWN}:
        raise NotActionable(f"Dispute {dispute_id}: the outcome is one of won, lost, withdrawn.")
    with named(dispute_id), transaction.atomic(durable=True):
        dispute = Dispute.objects.filter(pk=dispute_id).first()
        if dispute is None:
            raise NotActionable(f"There is no dispute {dispute_id}.")
        list(Account.objects.locked([dispute.account_id]))
        closed = Dispute.objects.filter(pk=dispute_id, state=Dispute.State.OPEN)
        if not closed.update(state=outcome, closed_at=at, closed_by=by):
            dispute.refresh_from_db()
            raise NotActionable(f"Dispute {dispute_id} is {dispute.state}; only an open one can be closed.")
        for hold in Hold.objects.unreleased().filter(kind=Hold.Kind.DISPUTE, cause=dispute_id):
            release_within(hold, by, at)
        ledger.record(by, "dispute.closed", dispute.account_id, at=at, dispute=dispute_id, outcome=outcome)
    dispute.refresh_from_db()
    return dispute


def _refuse_erased(account: Account) -> None:
    """Raise AlreadyErased once billing data is gone: its key is destroyed, and the reference could not be sealed."""
    gone = Erasure.objects.filter(account=account, category=Category.BILLING, state__in=[Stage.GONE, Stage.VERIFIED])
    erasure = gone.first()
    if erasure is not None:
        raise AlreadyErased(account.number, erasure.rows_gone_at)


@contextmanager
def _once() -> Iterator[None]:
    """Say the same of a reference that was recorded a moment ago, for another account."""
    try:
        yield
    except IntegrityError as error:
        if getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") == ONCE:
            raise NotActionable(RECORDED) from None
        raise


def find_dispute(processor: str, reference: str) -> Dispute | None:
    """Return the dispute that the processor calls `reference`, or None."""
    return Dispute.objects.filter(processor=processor, reference_digest=_fingerprint(processor, reference)).first()


def _fingerprint(processor: str, reference: str) -> bytes:
    return digest("dispute", f"{processor}:{reference}")
