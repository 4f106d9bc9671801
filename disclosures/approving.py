"""Reviewing a disclosure: another person approves exactly the packet they looked at, sends it back, or refuses (P12).

Who may: legal and the privacy officer, never who prepared it. An approval takes a second factor used just now and the
reference typed by hand, binds to the hash of the packet, and is good for a day.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from disclosures import preparing
from disclosures.models import Approval, Disclosure, Stage
from disclosures.refusing import in_words, locked, refuse_state, refuse_without
from retention import schedule

APPROVE = "disclosures.approve_disclosure"
# How long before an approval its second factor may have been used.
FACTOR = dt.timedelta(minutes=10)


def approve(
    disclosure_id: UUID,
    *,
    by: User,
    packet_hash: str,
    reference: str,
    factor_at: dt.datetime,
    note: str,
    at: dt.datetime | None = None,
) -> Approval:
    """Approve the packet of this hash and return the approval.

    Raises PermissionDenied for who prepared it, NotActionable for another packet than the present one, a reference
    typed wrongly, a second factor of too long ago, or a ground that ended.
    """
    at = at or timezone.now()
    refuse_without(by, APPROVE)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _another(disclosure, by)
        refuse_state(disclosure, Stage.SUBMITTED)
        if reference.strip().upper() != disclosure.reference:
            raise NotActionable("The reference is not that of this disclosure. Type it as it stands on the page.")
        if packet_hash != disclosure.packet_hash:
            raise NotActionable(
                f"Disclosure {disclosure.reference} has another packet than the one you looked at. Open it again."
            )
        if not at - FACTOR <= factor_at <= at:
            raise NotActionable("Use your second factor once more, then approve within ten minutes.")
        approval = Approval.objects.create(
            disclosure=disclosure,
            packet_hash=packet_hash,
            prepared_by=disclosure.made_by,
            approved_by=by.pk,
            approved_at=at,
            factor_at=factor_at,
            ends_at=at + schedule.span("approval"),
            note=note,
        )
        with in_words(disclosure):
            Disclosure.objects.filter(pk=disclosure.pk, state=Stage.SUBMITTED).update(state=Stage.APPROVED)
        ledger.record(by.actor, "disclosure.approved", disclosure.pk, at=at, packet=packet_hash, approval=approval.pk)
    return approval


def send_back(disclosure_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> Disclosure:
    """Send a disclosure back to who prepared it, with what is to change."""
    return _end(disclosure_id, Stage.RETURNED, by, "returned", reason, at)


def refuse(disclosure_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> Disclosure:
    """Refuse a disclosure for good."""
    return _end(disclosure_id, Stage.REFUSED, by, "refused", reason, at)


def _end(disclosure_id: UUID, state: str, by: User, word: str, reason: str, at: dt.datetime | None) -> Disclosure:
    at = at or timezone.now()
    refuse_without(by, APPROVE)
    if not reason.strip():
        raise NotActionable("Say why, so that whoever prepared it knows what to change.")
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _another(disclosure, by)
        refuse_state(disclosure, Stage.SUBMITTED, Stage.APPROVED)
        preparing.end(disclosure, state, by.actor, word, reason, at)
    return disclosure


def _another(disclosure: Disclosure, by: User) -> None:
    if disclosure.made_by == by.pk:
        raise PermissionDenied("Another person reviews what you prepared.")
