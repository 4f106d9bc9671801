"""Ending what a customer owes: voiding an invoice, waiving a minimum term (P26).

Who may: the roles with "accounts.void_invoice" and "accounts.waive_term", which the door checks. Afterwards
the obligation no longer stops a deletion: the purge looks again at its next round and ends the hold by
itself.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import Account, Invoice, Service, User
from accounts.safeguards import ledger


def void(invoice_id: UUID, *, by: User, at: dt.datetime | None = None) -> Invoice:
    """Void an issued invoice; raise NotActionable when it is settled."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        invoice = Invoice.objects.get(pk=invoice_id)
        list(Account.objects.locked([invoice.account_id]))
        moved = Invoice.objects.filter(pk=invoice_id, state=Invoice.State.ISSUED).update(
            state=Invoice.State.VOID, settled_at=at
        )
        invoice.refresh_from_db()
        if not moved:
            state = invoice.get_state_display()
            raise NotActionable(f"Invoice {invoice.number} is {state}; only an issued one can be voided.")
        ledger.record(by.actor, "invoice.voided", invoice.account_id, at=at, invoice=invoice.pk)
    return invoice


def waive(service_id: UUID, *, by: User, at: dt.datetime | None = None) -> Service:
    """Waive a running minimum term; raise NotActionable when none runs."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        service = Service.objects.get(pk=service_id)
        list(Account.objects.locked([service.account_id]))
        moved = Service.objects.bound(at).filter(pk=service_id).update(term_waived_at=at)
        service.refresh_from_db()
        if not moved:
            raise NotActionable("No minimum term of this service runs, so there is nothing to waive.")
        ledger.record(by.actor, "term.waived", service.account_id, at=at, service=service.pk)
    return service
