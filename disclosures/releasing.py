"""Releasing an approved disclosure: once, and only while everything it stands on still stands (P12-P16, P20).

Who may: legal and the privacy officer. Under the account's lock the database asks again for the approval of that very
packet, the ground, what the customer is owed, and the state of the account. What ended in between voids the approval.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from disclosures import countering, preparing
from disclosures.models import Basis, Disclosure, Stage
from disclosures.refusing import Unsupported, Waits, in_words, locked, refuse_state, refuse_taken_back, refuse_without

RELEASE = "disclosures.release_disclosure"
OVER = "its approval was good for a day"


def release(disclosure_id: UUID, *, by: User, at: dt.datetime | None = None) -> Disclosure:
    """Release a disclosure and return it: from then on nothing of it changes.

    Raises Unsupported, in words, where it stands on nothing any more; such a one expires and can be submitted again.
    """
    refuse_without(by, RELEASE)
    given = at
    try:
        with keyring(), transaction.atomic(durable=True):
            disclosure = locked(disclosure_id)
            # Under the lock: what waited for it came before or after, and the times say which.
            at = given or timezone.now()
            refuse_state(disclosure, Stage.APPROVED)
            refuse_taken_back(disclosure)
            with in_words(disclosure):
                Disclosure.objects.filter(pk=disclosure.pk, state=Stage.APPROVED).update(
                    state=Stage.RELEASED, released_at=at, released_by=by.pk
                )
            if disclosure.basis == Basis.COUNTER_NOTICE and disclosure.account is not None:
                assert disclosure.case is not None  # noqa: S101 - the constraint says so
                countering.forwarded(disclosure.case, disclosure.account, at)
            ledger.record(
                by.actor,
                "disclosure.released",
                disclosure.pk,
                at=at,
                packet=disclosure.packet_hash,
                basis=disclosure.basis,
                categories=disclosure.categories,
                recipient=disclosure.recipient.reference,
            )
    except Waits:
        raise
    except Unsupported as refusal:
        _expire(disclosure_id, str(refusal), given or timezone.now())
        raise
    disclosure.refresh_from_db()
    return disclosure


def _expire(disclosure_id: UUID, why: str, at: dt.datetime) -> None:
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        if disclosure.state == Stage.APPROVED:
            preparing.end(disclosure, Stage.EXPIRED, ledger.SYSTEM, "expired", why, at)


def ended(disclosure: Disclosure) -> str:
    """Return why a submitted or approved disclosure can be released no more, as words; empty while it can."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.disclosure_ended(%s)", [disclosure.pk])
        [why] = cursor.fetchone() or [None]
    return str(why or "")


def lapse(at: dt.datetime | None = None) -> int:
    """Let what can be released no more expire: approvals whose day is over, and grounds that ended; return how many.

    Who prepared it finds it among what waits for them, and can submit it again.
    """
    at = at or timezone.now()
    pending = Disclosure.objects.filter(state__in=[Stage.SUBMITTED, Stage.APPROVED]).order_by("pk")
    return sum(_lapse(pk, at) for pk in list(pending.values_list("pk", flat=True)))


def _lapse(disclosure_id: UUID, at: dt.datetime) -> bool:
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        why = ended(disclosure)
        if not why and disclosure.state == Stage.APPROVED:
            # By the clock of whoever asks, which tests set.
            why = "" if disclosure.approvals.filter(voided_at=None, ends_at__gt=at).exists() else OVER
        if why:
            said = f"Disclosure {disclosure.reference}: {why}. Nothing left the company."
            preparing.end(disclosure, Stage.EXPIRED, ledger.SYSTEM, "expired", said, at)
        return bool(why)
