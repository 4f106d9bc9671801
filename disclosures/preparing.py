"""Preparing a disclosure: a draft by one person, edited, submitted with its packet, or withdrawn (P12, P16, P20).

Who may: legal and the privacy officer, and of one disclosure only who made it. Submission builds the packet under the
account's lock and notes how the account stood; whatever changes afterwards voids what was approved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts.datamap import Category
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, User
from accounts.safeguards import ledger
from disclosures import packing
from disclosures.models import Basis, Disclosure, LegalRequest, Recipient, Stage
from disclosures.models.disclosures import DISCLOSABLE
from disclosures.refusing import in_words, locked, refuse_state, refuse_taken_back, refuse_without

PREPARE = "disclosures.prepare_disclosure"
EDITABLE = (Stage.DRAFT, Stage.RETURNED, Stage.EXPIRED)


@dataclass(frozen=True)
class Ground:
    """What a disclosure stands on: one of these by its basis."""

    basis: str
    legal_request: UUID | None = None
    consent: UUID | None = None
    case: UUID | None = None
    aggregate: UUID | None = None


@dataclass(frozen=True)
class Choice:
    """What is to leave of what the ground allows."""

    categories: tuple[str, ...] = ()
    period: tuple[dt.datetime | None, dt.datetime | None] = (None, None)
    omitted: tuple[str, ...] = ()
    items: tuple[UUID, ...] = ()


def make(
    account_id: UUID | None,
    ground: Ground,
    choice: Choice,
    *,
    recipient: UUID,
    purpose: str,
    by: User,
    submission: UUID,
    at: dt.datetime | None = None,
) -> Disclosure:
    """Make a draft and return it; the same form sent twice is one. Raises NotActionable for a choice that cannot be."""
    at = at or timezone.now()
    refuse_without(by, PREPARE)
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get() if account_id else None
        made = Disclosure.objects.filter(submission=submission).first()
        if made is not None and made.made_by == by.pk:
            return made
        if made is not None:
            raise NotActionable(USED_FORM)
        _refuse_impossible(ground, choice, account)
        to = Recipient.objects.open(at).filter(pk=recipient).first()
        if to is None:
            raise NotActionable("This recipient is not registered or is closed. Register it first.")
        disclosure = Disclosure.objects.create(
            account=account,
            recipient=to,
            basis=ground.basis,
            legal_request_id=ground.legal_request,
            consent=ground.consent,
            case=ground.case,
            aggregate_id=ground.aggregate,
            purpose=purpose,
            submission=submission,
            made_by=by.pk,
            made_at=at,
            **_facts(choice),
        )
        _record(by, "made", disclosure, at, basis=ground.basis, categories=sorted(choice.categories))
    return disclosure


def edit(disclosure_id: UUID, choice: Choice, *, version: int, by: User, at: dt.datetime | None = None) -> Disclosure:
    """Change what is to leave, in a draft or what came back; `version` is the one that was looked at."""
    at = at or timezone.now()
    refuse_without(by, PREPARE)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _own(disclosure, by)
        refuse_state(disclosure, *EDITABLE)
        if disclosure.version != version:
            raise NotActionable(f"Disclosure {disclosure.reference} was changed meanwhile. Open it again.")
        _refuse_impossible(Ground(disclosure.basis), choice, disclosure.account)
        Disclosure.objects.filter(pk=disclosure.pk, version=version).update(version=version + 1, **_facts(choice))
        _record(by, "edited", disclosure, at, version=version + 1, categories=sorted(choice.categories))
    disclosure.refresh_from_db()
    return disclosure


def submit(disclosure_id: UUID, *, by: User, at: dt.datetime | None = None) -> Disclosure:
    """Build the packet and hand the disclosure to somebody else for approval.

    Raises Unsupported for a ground that does not carry it, NotActionable where nothing is held or reached.
    """
    at = at or timezone.now()
    refuse_without(by, PREPARE)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _own(disclosure, by)
        refuse_state(disclosure, *EDITABLE)
        refuse_taken_back(disclosure)
        packet = packing.build(disclosure, by=by, at=at)
        account = disclosure.account
        with in_words(disclosure):
            Disclosure.objects.filter(pk=disclosure.pk, state=disclosure.state).update(
                state=Stage.SUBMITTED,
                packet_hash=packet.sha256,
                submitted_at=at,
                assumed_state=account.state if account else "",
                assumed_epoch=account.hold_epoch if account else None,
                assumed_recipient=disclosure.recipient.version,
            )
        _record(by, "submitted", disclosure, at, packet=packet.sha256, rows=packet.rows)
    disclosure.refresh_from_db()
    return disclosure


def withdraw(disclosure_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> Disclosure:
    """Give a disclosure up before it is released, for good."""
    at = at or timezone.now()
    refuse_without(by, PREPARE)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _own(disclosure, by)
        refuse_state(disclosure, *EDITABLE, Stage.SUBMITTED, Stage.APPROVED)
        end(disclosure, Stage.WITHDRAWN, by.actor, "withdrawn", reason, at)
    return disclosure


def end(disclosure: Disclosure, state: str, actor: str, word: str, reason: str, at: dt.datetime) -> None:
    """Move a locked disclosure out of the way to a release, and void what was approved."""
    disclosure.approvals.filter(voided_at=None).update(voided_at=at, voided_why=word)
    disclosure.state, disclosure.ended_reason, disclosure.ended_at = Stage(state), reason or None, at
    disclosure.save(update_fields=["state", "ended_reason", "ended_at"])
    ledger.record(actor, f"disclosure.{word}", disclosure.pk, at=at)


def _own(disclosure: Disclosure, by: User) -> None:
    if disclosure.made_by != by.pk:
        raise PermissionDenied("A disclosure is prepared by one person: make another one, or ask who made this one.")


def _facts(choice: Choice) -> dict[str, Any]:
    return {
        "categories": [name for name in DISCLOSABLE if name in choice.categories],
        "period_from": choice.period[0],
        "period_to": choice.period[1],
        "omitted": sorted(choice.omitted),
        "items": list(choice.items),
    }


def _refuse_impossible(ground: Ground, choice: Choice, account: Account | None) -> None:
    if ground.basis not in Basis.values:
        raise NotActionable("Choose what the disclosure stands on.")
    if (account is None) != (ground.basis == Basis.AGGREGATE):
        raise NotActionable("A disclosure concerns one account; figures without identities concern none.")
    if set(choice.categories) - set(DISCLOSABLE):
        raise NotActionable("Sign-in data and legal records are disclosed on no ground.")
    if account is not None and not choice.categories:
        raise NotActionable("Choose at least one kind of data.")
    if Category.CONFIDENTIAL.value in choice.categories and ground.basis != Basis.LEGAL_REQUEST:
        raise NotActionable("What was given in confidence leaves only where a court compels it, item by item.")
    if ground.basis == Basis.ABUSE_CASE and set(choice.categories) != {Category.CONTACT.value}:
        raise NotActionable("Silence after a complaint opens the contact and nothing else (P17).")
    if ground.basis == Basis.COUNTER_NOTICE and set(choice.categories) != {Category.NOTICES.value}:
        raise NotActionable("A counter-notice goes as it was signed: choose the notices and nothing else.")
    since, until = choice.period
    if since is not None and until is not None and until <= since:
        raise NotActionable("The period ends before it begins.")


def _record(by: User, word: str, disclosure: Disclosure, at: dt.datetime, **facts: Any) -> None:
    ledger.record(by.actor, f"disclosure.{word}", disclosure.pk, at=at, **facts)


def requests_for(account_id: UUID) -> Iterable[LegalRequest]:
    """Return the verified, open requests that seek an account."""
    return LegalRequest.objects.live().filter(sought__account=account_id, sought__found="one").distinct()
