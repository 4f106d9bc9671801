"""Why a court's order cannot be refused for business or confidential information: legal says so, the privacy officer
confirms it (P29, P30). A subpoena compels none of it and gets the objection letter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, ConfidentialItem, User
from accounts.safeguards import ledger
from disclosures.models import Compulsion, Instrument, LegalRequest
from disclosures.refusing import refuse_without

RECORD = "disclosures.record_compulsion"
CONFIRM = "disclosures.confirm_compulsion"
COURTS = (Instrument.COURT_ORDER.value, Instrument.SEARCH_WARRANT.value)


def record(
    request_id: UUID,
    account_id: UUID,
    category: str,
    *,
    reason: str,
    by: User,
    items: Sequence[UUID] = (),
    at: dt.datetime | None = None,
) -> Compulsion:
    """Record why it cannot be refused, item by item for what was given in confidence, and return the row."""
    at = at or timezone.now()
    refuse_without(by, RECORD)
    with keyring(), transaction.atomic(durable=True):
        Account.objects.locked([account_id]).get()
        request = LegalRequest.objects.select_for_update().get(pk=request_id)
        if request.instrument not in COURTS:
            raise NotActionable(
                f"Request {request.reference} is a {request.get_instrument_display()}: only an order or a warrant of a "
                "court compels this. Send the objection letter."
            )
        if request.closed_at is not None or request.verified_at is None:
            raise NotActionable(f"Request {request.reference} is not verified, or it has ended.")
        known = ConfidentialItem.objects.filter(account=account_id, pk__in=list(items)).count()
        if category == Category.CONFIDENTIAL and (not items or known != len(set(items))):
            raise NotActionable("Name each confidential item of this account that the court orders.")
        if Compulsion.objects.filter(legal_request=request, account=account_id, category=category).exists():
            raise NotActionable(f"This is recorded for request {request.reference} already.")
        made = Compulsion.objects.create(
            legal_request=request,
            account_id=account_id,
            category=category,
            items=sorted(set(items)) if category == Category.CONFIDENTIAL else [],
            reason=reason,
            recorded_by=by.pk,
            recorded_at=at,
        )
        ledger.record(by.actor, "compulsion.recorded", request.pk, at=at, compulsion=made.pk, category=category)
    return made


def confirm(compulsion_id: UUID, *, by: User, at: dt.datetime | None = None) -> Compulsion:
    """Confirm it as another person, and return it; what is confirmed stays so."""
    at = at or timezone.now()
    refuse_without(by, CONFIRM)
    with keyring(), transaction.atomic(durable=True):
        found = Compulsion.objects.select_for_update().get(pk=compulsion_id)
        if found.recorded_by == by.pk:
            raise NotActionable("Another person confirms what you recorded.")
        if found.confirmed_at is None:
            found.confirmed_by, found.confirmed_at = by.pk, at
            found.save(update_fields=["confirmed_by", "confirmed_at"])
            ledger.record(by.actor, "compulsion.confirmed", found.legal_request_id, at=at, compulsion=found.pk)
    return found
