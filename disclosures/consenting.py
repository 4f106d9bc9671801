"""Consent: given, taken back at once, ended by its time or by an opt-out; each with proof and a receipt (P20, P29).

Who may: owners for their account; staff write down what they were told, with the evidence. A later consent for the same
recipient replaces the earlier one. An opt-out of sharing, a privacy signal of the browser included, ends what was
agreed to before it; what the customer agrees to afterwards stands (docs/decisions/0027).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import members, owners, restricting
from accounts.datamap import Category, Purpose
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, Restriction, User
from accounts.roles import may
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.uploads import Upload
from disclosures import consent_texts
from disclosures.models import Channel, ConsentGrant, ConsentPurpose, Recipient
from disclosures.models.consents import SHAREABLE
from retention import schedule

log = structlog.get_logger(__name__)

RECORD = "disclosures.record_consent"
ENDED_AT_ONCE = 200
PURPOSES = {ConsentPurpose.SHARING: Purpose.SHARING, ConsentPurpose.MARKETING: Purpose.MARKETING}


@dataclass(frozen=True)
class Agreement:
    """What is agreed to: marketing names no recipient and is about the contact alone."""

    purpose: str
    categories: tuple[str, ...] = (Category.CONTACT.value,)
    recipient: UUID | None = None


@dataclass(frozen=True)
class Evidence:
    """How a customer told staff: in words, with a file where there is one."""

    words: str
    file: Upload | None = None


def open_recipients(at: dt.datetime) -> Any:
    """Return the partners a customer can agree to, by name."""
    return Recipient.objects.open(at).filter(kind=Recipient.Kind.PARTNER).order_by("name", "pk")


def give(
    account_id: UUID,
    agreement: Agreement,
    *,
    by: User,
    submission: UUID,
    channel: str = Channel.PORTAL,
    ip: str | None = None,
    at: dt.datetime | None = None,
) -> ConsentGrant:
    """Record that an owner agrees and return the grant; the same form sent twice is one.

    Raises PermissionDenied for anybody but an owner, NotActionable for a closed account, a recipient that is not
    registered or open, no kind of data or one that no consent covers, and a form that somebody else sent.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        members.refuse_unless(by, account, Part.CONSENT)
        return _give(account, agreement, by.actor, submission, channel, at, ip=ip)


def record_given(
    account_id: UUID,
    agreement: Agreement,
    evidence: Evidence,
    *,
    by: User,
    submission: UUID,
    at: dt.datetime | None = None,
) -> ConsentGrant:
    """Write down a consent that the customer told staff of, with the evidence, and return the grant."""
    at = at or timezone.now()
    _staff_only(by)
    refuse_card_number(evidence.words)
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        return _give(account, agreement, by.actor, submission, Channel.STAFF, at, evidence=evidence)


def withdraw(
    grant_id: UUID, *, by: User, channel: str = Channel.PORTAL, ip: str | None = None, at: dt.datetime | None = None
) -> ConsentGrant:
    """Take a consent back, at once and for good, and return it; one that has ended stays as it ended."""
    with keyring(), transaction.atomic(durable=True):
        grant, account = _locked(grant_id)
        # Under the lock: a release that came before it has the earlier time.
        at = at or timezone.now()
        if by.is_staff:
            _staff_only(by)
        else:
            members.refuse_unless(by, account, Part.CONSENT)
        if grant.withdrawn_at is None:
            _end(account, [grant], by.actor, channel, at, ip)
    return grant


def note_signal(account_id: UUID, *, by: User, ip: str | None = None, at: dt.datetime | None = None) -> bool:
    """Take `Sec-GPC: 1` of a signed-in customer as an opt-out of sharing; return whether that is new.

    Once: what the customer agrees to afterwards, knowing their browser, is not undone by the same signal again.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        noted = Restriction.objects.filter(
            account=account, purpose=Purpose.SHARING.value, ground=Restriction.Ground.OPT_OUT
        )
        if not account.may_sign_in(at) or noted.exists():
            return False
        restricting.place(account.pk, [Purpose.SHARING], ground=Restriction.Ground.OPT_OUT, by=by.actor, at=at)
        grants = ConsentGrant.objects.filter(account=account, purpose=ConsentPurpose.SHARING, withdrawn_at=None)
        _end(account, list(grants.select_related("recipient")), by.actor, Channel.SIGNAL, at, ip)
    return True


def end_due(at: dt.datetime | None = None) -> int:
    """Note what ended by its time or by an opt-out, each account in a transaction of its own; return how many."""
    at = at or timezone.now()
    due = ConsentGrant.objects.ended_unnoted(at).order_by("expires_at").values_list("account_id", flat=True)
    ended = 0
    for account_id in list(dict.fromkeys(due[:ENDED_AT_ONCE])):
        with keyring(), transaction.atomic(durable=True):
            account = Account.objects.locked([account_id]).get()
            ended += _note_ended(account, at)
    return ended


def _note_ended(account: Account, at: dt.datetime) -> int:
    """Note the ended grants of an account whose lock is held."""
    found = ConsentGrant.objects.ended_unnoted(at).filter(account=account).select_related("recipient")
    expired = [grant for grant in found if grant.expires_at <= at]
    opted_out = [grant for grant in found if grant.expires_at > at]
    _end(account, expired, ledger.SYSTEM, Channel.EXPIRY, at)
    _end(account, opted_out, ledger.SYSTEM, Channel.OPT_OUT, at)
    return len(expired) + len(opted_out)


def _give(
    account: Account,
    agreement: Agreement,
    actor: str,
    submission: UUID,
    channel: str,
    at: dt.datetime,
    *,
    ip: str | None = None,
    evidence: Evidence | None = None,
) -> ConsentGrant:
    made = ConsentGrant.objects.filter(submission=submission).first()
    if made is not None and made.account_id == account.pk:
        return made
    if made is not None:
        raise NotActionable(USED_FORM)
    members.refuse_closed(account)
    recipient, categories = _checked(agreement, at, is_staff=evidence is not None)
    # What an opt-out ended is noted before the purpose is allowed again, or it would stand again.
    _note_ended(account, at)
    restricting.lift(account.pk, PURPOSES[ConsentPurpose(agreement.purpose)], by=actor, at=at)
    earlier = ConsentGrant.objects.filter(
        account=account, purpose=agreement.purpose, recipient=recipient, withdrawn_at=None
    )
    earlier.update(withdrawn_at=at, withdrawn_by=actor, withdrawn_how=channel)
    until = at + schedule.span("consent")
    words = consent_texts.of(agreement.purpose, recipient, categories, until.date())
    grant = ConsentGrant(
        account=account,
        submission=submission,
        purpose=agreement.purpose,
        recipient=recipient,
        categories=categories,
        text_version=words.version,
        text_hash=words.sha256,
        text=words.text,
        channel=channel,
        given_by=actor,
        ip=ip,
        given_at=at,
        expires_at=until,
    )
    facts: dict[str, Any] = {"grant": grant.pk, "purpose": str(agreement.purpose), "categories": categories}
    if evidence is not None:
        grant.evidence = evidence.words
        facts["evidence"] = hashlib.sha256(evidence.words.encode()).hexdigest()
        if evidence.file is not None:
            grant.evidence_name, grant.evidence_type = evidence.file.name, evidence.file.media_type
            grant.evidence_file = evidence.file.content
            facts["evidence_file"] = hashlib.sha256(evidence.file.content).hexdigest()
    grant.save(force_insert=True)
    ledger.record(actor, "consent.given", account.pk, at=at, channel=str(channel), text=words.version, **facts)
    _tell(account, grant, "given", at)
    return grant


def _checked(agreement: Agreement, at: dt.datetime, *, is_staff: bool) -> tuple[Recipient | None, list[str]]:
    if agreement.purpose == ConsentPurpose.MARKETING:
        return None, [Category.CONTACT.value]
    if agreement.purpose != ConsentPurpose.SHARING:
        raise NotActionable("A consent is for sharing or for marketing: choose one of them.")
    found = Recipient.objects.open(at) if is_staff else open_recipients(at)
    recipient = found.filter(pk=agreement.recipient).first() if agreement.recipient else None
    if recipient is None:
        raise NotActionable("This recipient is not registered, or can be given nothing any more. Open the page again.")
    categories = [name for name in SHAREABLE if name in agreement.categories]
    if not categories or set(agreement.categories) - set(SHAREABLE):
        raise NotActionable("Choose at least one kind of data. Sign-in data and confidential items are never shared.")
    return recipient, categories


def _end(
    account: Account, grants: Iterable[ConsentGrant], actor: str, channel: str, at: dt.datetime, ip: str | None = None
) -> None:
    for grant in grants:
        grant.withdrawn_at, grant.withdrawn_by, grant.withdrawn_how, grant.withdrawn_ip = at, actor, channel, ip
        grant.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_how", "withdrawn_ip"])
        ledger.record(actor, "consent.ended", account.pk, at=at, grant=grant.pk, channel=str(channel))
        _tell(account, grant, "ended", at)


def _tell(account: Account, grant: ConsentGrant, change: str, at: dt.datetime) -> None:
    """Mail the receipt to all owners; past the due date nobody is written to any more."""
    if not account.may_sign_in(at):
        return
    context = {
        "reference": grant.reference,
        "change": change,
        "purpose": grant.purpose,
        "name": grant.recipient.name if grant.recipient else "",
        "how": grant.withdrawn_how or grant.channel,
        "changed_at": at,
        "ends_at": grant.expires_at,
        "page_path": reverse("disclosures:consent"),
    }
    owners.tell(account, f"consent:{grant.pk}:{change}", "disclosures/mail/consent.txt", context, at=at)


def _locked(grant_id: UUID) -> tuple[ConsentGrant, Account]:
    account_id = ConsentGrant.objects.filter(pk=grant_id).values_list("account_id", flat=True).first()
    account = Account.objects.locked([account_id]).first() if account_id else None
    grant = ConsentGrant.objects.select_related("recipient").filter(pk=grant_id).first()
    if grant is None or account is None:
        raise NotActionable("This consent was deleted with its account. Nothing is shared on it.")
    return grant, account


def _staff_only(by: User) -> None:
    if not may(by, RECORD):
        raise PermissionDenied("Only support, legal and the privacy officer write down what a customer agreed to.")
