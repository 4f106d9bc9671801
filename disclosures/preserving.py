"""The holds of a legal request: placed at once, made lasting by the verification, renewed by the clock (P24, P26).

A letter nobody verified holds for ten business days, or a forged one could block deletions for good. A hold is never
taken away here: a provisional one ends by its own clock, a legal one takes two people. What a governmental
preservation letter holds is renewed once at its end, in the transaction that ends it, so that nothing between the two
is uncovered; further times take two people, and it never ends while a request it prepared the ground for is open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import LedgerEntry
from disclosures.legal_rows import VERIFIES, locked, refuse_strangers, sought_ids
from disclosures.models import Instrument, LegalNote, LegalNotice, LegalRequest, Outcome
from retention import placing, releasing, schedule
from retention.models import Hold
from retention.refusals import ALREADY_GONE, code_of, named

Kind = Hold.Kind
# Without them a notice that is owed could reach nobody (silence.md, S13).
TO_WRITE_TO = (Category.IDENTITY.value, Category.CONTACT.value)
# What ends a preservation: whoever asked for it asks no more, or never could.
ENDS_PRESERVATION = {Outcome.REJECTED, Outcome.QUASHED, Outcome.WITHDRAWN}
ASKED, RENEWED = "legal.renewal-asked", "legal.renewed"


def hold_provisionally(request: LegalRequest, accounts: Iterable[UUID], *, by: str, at: dt.datetime) -> list[UUID]:
    """Hold everything of the accounts for the time of a verification; return those of which nothing is left to hold.

    In the caller's transaction. An account that a hold of this request covers already gets no second one.
    """
    held = set(Hold.objects.unreleased().filter(cause=request.pk).values_list("account_id", flat=True))
    return [pk for pk in sorted(set(accounts) - held) if not _place(request, pk, Kind.PROVISIONAL, by=by, at=at)]


def hold_verified(request: LegalRequest, account: UUID, *, by: str, at: dt.datetime) -> bool:
    """Hold what a verified request asks for, of one account; return False when nothing is left of it.

    In the caller's transaction. 2703(f) binds what was there when the letter came: rows made before it.
    """
    scope = sorted({*request.categories, *TO_WRITE_TO} - {Category.CREDENTIALS.value}) if request.categories else []
    period = (request.period_from, request.period_to)
    if request.instrument == Instrument.PRESERVATION and request.is_governmental:
        until = min(filter(None, (request.period_to, request.received_at)))
        if request.period_from is not None and request.period_from >= until:
            raise NotActionable(
                f"Request {request.reference} asks to preserve what came after it; the law binds what was there. "
                "Correct its period, or reject it."
            )
        return _place(
            request, account, Kind.PRESERVATION, by=by, at=at, categories=scope, period=(request.period_from, until)
        )
    is_held = _place(request, account, Kind.LEGAL, by=by, at=at, categories=scope, period=period)
    if any(period):
        # A period leaves out what the customer is written to by, so that stays by a hold of its own.
        is_held = _place(request, account, Kind.LEGAL, by=by, at=at, categories=TO_WRITE_TO) or is_held
    return is_held


def _place(request: LegalRequest, account: UUID, kind: str, *, by: str, at: dt.datetime, **scope: Any) -> bool:
    try:
        with transaction.atomic():
            matter = f"Legal request {request.reference}"
            placing.place_within(account, kind, by=by, at=at, cause=request.pk, matter=matter, **scope)
    except DatabaseError as error:
        if code_of(error) != ALREADY_GONE:
            raise
        ledger.record(by, "legal.nothing-left", request.pk, at=at, account=account)
        return False
    return True


@releasing.keeps_back
def owed_a_notice() -> Exists:
    """Return the condition on holds whose customer is owed a notice of the request behind them: they stay."""
    owed = LegalNotice.objects.filter(request=OuterRef("cause"), account=OuterRef("account"), sent_at=None)
    return Exists(owed)


def held_by_nothing() -> Q:
    """Return the condition on open requests whose provisional holds ended before anybody verified them."""
    holds = Hold.objects.filter(cause=OuterRef("pk"))
    is_open = Q(closed_at=None, verified_at=None)
    return is_open & Exists(holds.exclude(released_at=None)) & ~Exists(holds.filter(released_at=None))


@releasing.when_releasing
def before_release(hold: Hold, by: str, at: dt.datetime) -> None:
    """Renew a preservation whose time is over, once or while it is needed; say that a provisional hold ended."""
    if hold.cause is None or hold.kind not in {Kind.PRESERVATION, Kind.PROVISIONAL}:
        return
    request = LegalRequest.objects.filter(pk=hold.cause).first()
    if request is None:
        return
    if hold.kind == Kind.PROVISIONAL:
        ledger.record(by, "legal.provisional-ended", request.pk, at=at, hold=hold.pk, account=hold.account_id)
        return
    has_followers = request.followed_by.open().exists()
    if hold.ends_at is None or hold.ends_at > at:
        if has_followers:
            raise NotActionable(
                f"Hold {hold.pk} preserves what an open request asks for. Close that request before its release."
            )
        return
    rounds = Hold.objects.filter(cause=request.pk, account=hold.account_id, kind=Kind.PRESERVATION)
    if rounds.filter(released_at=None, ends_at__gt=hold.ends_at).exists():
        return
    is_first = rounds.count() == 1 and request.outcome not in ENDS_PRESERVATION
    if is_first or has_followers:
        # From its end on, however late the clock is.
        length = schedule.span("preservation")
        _renew(request, hold, by, at, hold.ends_at + length if hold.ends_at + length > at else at + length)


def _renew(request: LegalRequest, hold: Hold, by: str, at: dt.datetime, ends_at: dt.datetime) -> None:
    """Place the same hold once more; what the customer was told of the old one holds for the new one."""
    with keyring():
        try:
            with transaction.atomic():
                fresh = placing.place_within(
                    hold.account_id,
                    Kind.PRESERVATION,
                    by=by,
                    at=at,
                    categories=hold.categories,
                    period=(hold.period_from, hold.period_to),
                    cause=request.pk,
                    matter=f"Legal request {request.reference}",
                    ends_at=ends_at,
                    told=hold.told_at is not None,
                    told_how=hold.told_how,
                )
        except DatabaseError as error:
            if code_of(error) != ALREADY_GONE:
                raise
            return
    ledger.record(by, RENEWED, request.pk, at=at, hold=fresh.pk, before=hold.pk, until=ends_at)


def renewal_asked(request_id: UUID) -> LedgerEntry | None:
    """Return the entry of the renewal that waits for another person, if one does."""
    entries = LedgerEntry.objects.filter(subject=request_id, action__in=[ASKED, RENEWED]).order_by("-at", "-pk")
    newest = entries.first()
    return newest if newest is not None and newest.action == ASKED else None


def why_no_renewal(request: LegalRequest) -> str:
    """Return why a preservation cannot be renewed by people now, as a sentence; empty when it can."""
    if request.instrument != Instrument.PRESERVATION or not request.is_governmental or request.verified_at is None:
        return f"Request {request.reference} is no verified preservation letter of the government."
    running = Hold.objects.unreleased().filter(cause=request.pk, kind=Kind.PRESERVATION)
    if not running.exists():
        return f"Nothing of request {request.reference} is preserved any more. Enter the new letter as a new request."
    if Hold.objects.filter(cause=request.pk, kind=Kind.PRESERVATION).count() == running.count():
        return f"Request {request.reference} renews once by itself. Ask after that."
    return ""


def ask_renewal(request_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> None:
    """Ask for one more time of a preservation; another person must approve it."""
    at = at or timezone.now()
    refuse_strangers(by, VERIFIES)
    refuse_card_number(reason)
    with keyring(), transaction.atomic(durable=True):
        request = locked(request_id)
        if hindrance := why_no_renewal(request):
            raise NotActionable(hindrance)
        if not reason.strip():
            raise NotActionable(f"Request {request.reference}: say why it is preserved longer.")
        if renewal_asked(request.pk) is not None:
            raise NotActionable(f"Request {request.reference}: a renewal waits already; a colleague can approve it.")
        LegalNote.objects.create(request=request, text=reason.strip(), written_by=by.pk, written_at=at)
        ledger.record(by.actor, ASKED, request.pk, at=at)


def approve_renewal(request_id: UUID, *, by: User, at: dt.datetime | None = None) -> None:
    """Approve the renewal somebody else asked for: every account it preserves is held for one more time."""
    at = at or timezone.now()
    refuse_strangers(by, VERIFIES)
    with named(request_id), keyring(), transaction.atomic(durable=True):
        request = locked(request_id)
        asked = renewal_asked(request.pk)
        if hindrance := why_no_renewal(request) or ("" if asked else "Nobody has asked for this renewal yet."):
            raise NotActionable(hindrance)
        assert asked is not None  # noqa: S101 - looked at above
        if asked.actor == by.actor:
            raise PermissionDenied("You asked for this renewal, so a colleague must approve it.")
        holds = Hold.objects.unreleased().filter(cause=request.pk, kind=Kind.PRESERVATION)
        for account in sought_ids(request):
            newest = holds.filter(account=account).order_by("-ends_at").first()
            if newest is not None and newest.ends_at is not None:
                _renew(request, newest, by.actor, at, max(newest.ends_at, at) + schedule.span("preservation"))
