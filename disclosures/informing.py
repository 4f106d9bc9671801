"""Telling a customer of a legal request: once, with a copy, and time before anything is released (P15; silence.md).

A notice is owed from the verification on and goes out as soon as no order of silence stands. Nothing is released before
it and a week; where the request is due sooner, the date that was agreed or the reason for a shorter time is recorded,
and the notice says so. A challenge of the customer pauses the release.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import mailing, members, owners
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, Correspondence, User
from accounts.safeguards import ledger
from accounts.safeguards.calendar import is_business_day
from accounts.safeguards.cards import refuse_card_number
from disclosures.models import (
    Instrument,
    LegalDocument,
    LegalNotice,
    LegalRequest,
    NoticeChallenge,
    NoticeCopy,
    Silence,
    Stage,
    ToldNotice,
)
from disclosures.refusing import refuse_without
from retention import schedule, telling
from retention.models import Hold

log = structlog.get_logger(__name__)

TELL = "disclosures.tell_legalrequest"
AT_ONCE = 100


def owe(request: LegalRequest, account_id: UUID, *, at: dt.datetime) -> LegalNotice:
    """Let the customer of an account be owed a notice of a request, in the caller's transaction; once."""
    notice, _made = LegalNotice.objects.get_or_create(
        request=request, account_id=account_id, defaults={"owed_since": at}
    )
    return notice


def is_silent(request_id: UUID, at: dt.datetime) -> bool:
    """Return whether an order of silence about a request stands at `at`."""
    return _standing(at).filter(request=request_id).exists()


def _standing(at: dt.datetime) -> QuerySet[Silence]:
    return Silence.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), lifted_at=None)


def due(at: dt.datetime) -> list[UUID]:
    """Return the notices that are owed and that no silence keeps back, oldest first."""
    silent = _standing(at).filter(request=OuterRef("request"))
    owed = LegalNotice.objects.filter(~Exists(silent), sent_at=None)
    if not is_business_day(timezone.localtime(at).date()):
        # After silence the notice goes out on a business day; nobody else waits for one.
        owed = owed.exclude(Exists(Silence.objects.filter(request=OuterRef("request"))))
    return list(owed.order_by("owed_since", "pk").values_list("pk", flat=True)[:AT_ONCE])


def send(
    notice_id: UUID, *, by: User | None = None, shortened_reason: str = "", at: dt.datetime | None = None
) -> LegalNotice:
    """Tell the customer, by mail and in the portal, with the copy; a notice that was sent stays as it was sent.

    Raises NotActionable while silence stands, or where a shorter time needs its reason.
    """
    at = at or timezone.now()
    if by is not None:
        refuse_without(by, TELL)
    actor = by.actor if by is not None else ledger.SYSTEM
    with keyring(), transaction.atomic(durable=True):
        account_id = LegalNotice.objects.values_list("account_id", flat=True).get(pk=notice_id)
        account = Account.objects.locked([account_id]).get()
        notice = LegalNotice.objects.select_related("request").select_for_update(of=("self",)).get(pk=notice_id)
        if notice.sent_at is not None:
            return notice
        request = notice.request
        if is_silent(request.pk, at):
            raise NotActionable(f"Request {request.reference}: an order of silence stands. Record its end first.")
        notice.release_from = _release_from(request, at, shortened_reason)
        notice.sent_at, notice.shortened_reason = at, shortened_reason or None
        _copy(notice, account, at)
        notice.letter = _mail(notice, account, at)
        if notice.letter is None:
            raise NotActionable(f"Request {request.reference}: account {account.number} has no address to write to.")
        notice.save(update_fields=["sent_at", "release_from", "letter", "shortened_reason"])
        _tell_holds(request, account, by, actor, at)
        ledger.record(actor, "legal.told", request.pk, at=at, notice=notice.pk)
    return notice


def send_due(at: dt.datetime | None = None) -> int:
    """Send every notice that is owed and may go; return how many went."""
    at = at or timezone.now()
    sent = 0
    for pk in due(at):
        try:
            send(pk, at=at)
        except NotActionable:
            # Due sooner than a week from now: somebody records the agreed date or the reason.
            continue
        sent += 1
    return sent


def challenge(notice_id: UUID, *, text: str, by: User, at: dt.datetime | None = None) -> NoticeChallenge:
    """Record that the customer challenges a request they were told of: nothing is released meanwhile. Once."""
    at = at or timezone.now()
    refuse_card_number(text)
    with keyring(), transaction.atomic(durable=True):
        told = ToldNotice.objects.get(pk=notice_id)
        account = Account.objects.locked([told.account_id]).get()
        members.refuse_unless(by, account, Part.DATA)
        made = NoticeChallenge.objects.filter(notice=notice_id).first()
        if made is not None:
            return made
        if not text.strip():
            raise NotActionable("Say where you challenge it, and on what ground.")
        made = NoticeChallenge.objects.create(account=account, notice=notice_id, text=text, made_by=by.pk, made_at=at)
        ledger.record(by.actor, "legal.challenged", account.pk, at=at, notice=notice_id)
    return made


def end_challenge(challenge_id: UUID, how: str, *, by: User, at: dt.datetime | None = None) -> NoticeChallenge:
    """Record how a challenge ended; the customer can only give it up, staff record what the court said."""
    at = at or timezone.now()
    if how not in NoticeChallenge.Ending.values:
        raise NotActionable("A challenge ends by the court stopping or upholding the request, or by giving it up.")
    with keyring(), transaction.atomic(durable=True):
        account_id = NoticeChallenge.objects.filter(pk=challenge_id).values_list("account_id", flat=True).first()
        account = Account.objects.locked([account_id]).first() if account_id else None
        found = NoticeChallenge.objects.filter(pk=challenge_id).first()
        if found is None or account is None:
            raise NotActionable("This challenge was deleted with its account.")
        if by.is_staff:
            refuse_without(by, TELL)
        elif how != NoticeChallenge.Ending.GIVEN_UP:
            raise PermissionDenied("Only our legal staff record what a court said.")
        else:
            members.refuse_unless(by, account, Part.DATA)
        if found.ended_at is None:
            found.ended_at, found.ended_by, found.ended_how = at, by.pk, NoticeChallenge.Ending(how)
            found.save(update_fields=["ended_at", "ended_by", "ended_how"])
            ledger.record(by.actor, "legal.challenge_ended", account.pk, at=at, notice=found.notice, how=how)
    return found


def _release_from(request: LegalRequest, at: dt.datetime, shortened_reason: str) -> dt.datetime:
    """Return from when something may be released: a week, or the agreed or shorter date with its reason."""
    usual = at + schedule.span("notice")
    due_at = request.agreed_due_at or request.due_at
    if due_at is None or due_at >= usual:
        return usual
    if not shortened_reason.strip():
        raise NotActionable(
            f"Request {request.reference} is due before the customer has had their time. Ask for more time and record "
            "the agreed date, or give the reason for a shorter one."
        )
    return max(at, due_at)


def _copy(notice: LegalNotice, account: Account, at: dt.datetime) -> None:
    clean = LegalDocument.objects.filter(request=notice.request_id, state=LegalDocument.State.CLEAN)
    document = clean.order_by("-is_for_customer", "added_at", "pk").first()
    if document is None:
        return
    NoticeCopy.objects.create(
        account=account,
        notice=notice.pk,
        name=document.name,
        media_type=document.media_type,
        size=document.size,
        sha256=document.sha256,
        content=document.content,
        made_at=at,
    )


def _mail(notice: LegalNotice, account: Account, at: dt.datetime) -> UUID | None:
    context = {
        "reference": notice.reference,
        "told_at": at,
        "release_from": notice.release_from,
        "shortened": bool(notice.shortened_reason),
        "was_given": notice.request.disclosures.filter(
            account=account, state__in=[Stage.RELEASED, Stage.DELIVERED]
        ).exists(),
        "is_emergency": notice.request.instrument == Instrument.EMERGENCY,
        "page_path": reverse("disclosures:notice", args=[notice.reference]),
    }
    event = f"legal-notice:{notice.pk}"
    if account.may_sign_in(at):
        owners.tell(account, event, "disclosures/mail/notice.txt", context, at=at)
    else:
        mailing.mail(account, event, "disclosures/mail/notice.txt", context, at=at)
    return Correspondence.objects.filter(account=account, event=event).values_list("pk", flat=True).first()


def _tell_holds(request: LegalRequest, account: Account, by: User | None, actor: str, at: dt.datetime) -> None:
    """Mark the holds of this request as told, and open the activity page where nothing else is untold."""
    holds = Hold.objects.unreleased().filter(cause=request.pk, account=account, told_at=None)
    for hold in holds:
        Hold.objects.filter(pk=hold.pk, told_at=None).update(told_at=at, told_by=actor, told_how="mail")
        ledger.record(actor, "hold.told", account.pk, at=at, hold=hold.pk, how="mail")
    telling.open_activity(account.pk, actor, at)
