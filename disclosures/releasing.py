"""Releasing an approved disclosure: once, and only while everything it stands on still stands (P12-P16, P20).

Who may: legal and the privacy officer. Under the account's lock the database asks again for the approval of that very
packet, the ground, what the customer is owed, and the state of the account. What ended in between voids the approval.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from disclosures import preparing
from disclosures.models import Disclosure, Stage
from disclosures.refusing import Unsupported, in_words, locked, refuse_state, refuse_without

RELEASE = "disclosures.release_disclosure"
# What passes by waiting: the approval stays, nothing has changed.
WAITS = ("has time until then", "no order of silence", "challenges the request", "an objection stands")


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
            with in_words(disclosure):
                Disclosure.objects.filter(pk=disclosure.pk, state=Stage.APPROVED).update(
                    state=Stage.RELEASED, released_at=at, released_by=by.pk
                )
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
    except Unsupported as refusal:
        if not any(words in str(refusal) for words in WAITS):
            _expire(disclosure_id, str(refusal), given or timezone.now())
        raise
    disclosure.refresh_from_db()
    return disclosure


def _expire(disclosure_id: UUID, why: str, at: dt.datetime) -> None:
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        if disclosure.state == Stage.APPROVED:
            preparing.end(disclosure, Stage.EXPIRED, ledger.SYSTEM, "expired", why, at)


def lapse(at: dt.datetime | None = None) -> int:
    """Let approvals whose day is over expire; return how many. The disclosure can be submitted again."""
    at = at or timezone.now()
    over = Disclosure.objects.filter(
        state=Stage.APPROVED, approvals__voided_at=None, approvals__ends_at__lte=at
    ).values_list("pk", flat=True)
    lapsed = 0
    for pk in list(over):
        with keyring(), transaction.atomic(durable=True):
            disclosure = locked(pk)
            if (
                disclosure.state != Stage.APPROVED
                or disclosure.approvals.filter(voided_at=None, ends_at__gt=at).exists()
            ):
                continue
            preparing.end(disclosure, Stage.EXPIRED, ledger.SYSTEM, "expired", "The approval was good for a day.", at)
            lapsed += 1
    return lapsed
