"""Checking a legal request (P15, P16): the checklist, the verification, and making it narrower.

Each check is a row with who and when; another opinion is another row, and the newest counts. A request is verified when
nothing is missing and every check it needs is met; then its lasting holds are placed beside the provisional ones, and
its customers are owed a notice, in one transaction. Afterwards it can only become narrower.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import normalised
from accounts.templatetags.portal_tags import moment_text
from disclosures import informing, lookalikes, preserving
from disclosures.legal_rows import RECEIVES, VERIFIES, locked_open, refuse_strangers, sought_ids
from disclosures.models import Check, Instrument, LegalCheck, LegalNote, LegalRequest, Recipient, Sought
from retention import dates
from retention.models.holds import HOLDABLE
from retention.refusals import named

Period = tuple[dt.datetime | None, dt.datetime | None]
# Process of another state must be domesticated here before it binds.
HOME = "US-IL"
ALWAYS = (Check.AUTHENTIC, Check.VALID, Check.SIGNED)
SCOPE = (Check.IN_SCOPE, Check.NOT_OVERBROAD)
DECLARING = {Instrument.EMERGENCY, Instrument.SUBPOENA_512H}


def needed(request: LegalRequest) -> list[Check]:
    """Return the checks a request needs, in the order of the list."""
    wanted = {*ALWAYS}
    if request.instrument != Instrument.PRESERVATION:
        wanted |= {*SCOPE}
    place = request.jurisdiction
    if request.instrument == Instrument.CIVIL_SUBPOENA and place.startswith("US-") and place != HOME:
        wanted.add(Check.DOMESTICATED)
    if request.instrument in DECLARING:
        wanted.add(Check.DECLARED)
    return [item for item in Check if item in wanted]


def newest(request: LegalRequest) -> dict[str, LegalCheck]:
    """Return the check that counts of each item."""
    rows = LegalCheck.objects.filter(request=request).order_by("checked_at", "pk")
    return {row.item: row for row in rows}


def check(
    request_id: UUID,
    *,
    by: User,
    item: str,
    is_met: bool,
    note: str = "",
    confirmed_at: str = "",
    sender: str = "",
    at: dt.datetime | None = None,
) -> LegalCheck:
    """Record one check of a request that is not verified yet, and return it.

    That the authority is genuine is met only when it was confirmed at an address on file: `confirmed_at` is that e-mail
    address or telephone number. `sender` is what stands in the letter; it is compared, and never relied on.
    """
    at = at or timezone.now()
    refuse_strangers(by, VERIFIES)
    refuse_card_number(note)
    with keyring(), transaction.atomic(durable=True):
        request = _unverified(request_id)
        words = [note.strip()]
        if item == Check.AUTHENTIC:
            words += _authentic(request, is_met, confirmed_at, sender, by, at)
        if item == Check.DECLARED and is_met and not request.documents.exists():
            raise NotActionable(f"Request {request.reference} has no document. Add the signed declaration first.")
        row = LegalCheck.objects.create(
            request=request,
            item=item,
            is_met=is_met,
            note=" ".join(filter(None, words)) or None,
            checked_by=by.pk,
            checked_at=at,
        )
        ledger.record(by.actor, "legal.checked", request.pk, at=at, check=row.pk, item=str(item), is_met=is_met)
    return row


def _authentic(
    request: LegalRequest, is_met: bool, confirmed_at: str, sender: str, by: User, at: dt.datetime
) -> list[str]:
    """Return what the check of the authority adds to its note; raise NotActionable for a confirmation elsewhere."""
    recipient = request.recipient
    if is_met and recipient is None:
        raise NotActionable(
            f"Request {request.reference} names no registered authority. Register it from a source of your own, and "
            "name it first."
        )
    if is_met and recipient is not None and not _is_on_file(recipient, confirmed_at):
        raise NotActionable(
            f"Request {request.reference}: that is no address on file of {recipient.reference}. Ask the authority at "
            "the e-mail address or telephone number on file, never at one that stands in the letter."
        )
    words = [f"Confirmed at {confirmed_at.strip()}."] if is_met else []
    if sender.strip() and recipient is not None:
        verdict = lookalikes.compared(sender, str(recipient.email))
        words.append(f"The letter names {sender.strip()}: {lookalikes.WORDS[verdict]}.")
        if verdict == lookalikes.LOOKALIKE:
            ledger.record(by.actor, "legal.lookalike", request.pk, at=at)
    return words


def _is_on_file(recipient: Recipient, address: str) -> bool:
    given = normalised("email", address)
    if "@" in given:
        return given == normalised("email", str(recipient.email))
    digits = "".join(filter(str.isdecimal, given))
    on_file = "".join(filter(str.isdecimal, str(recipient.phone or "")))
    return len(digits) >= 7 and digits == on_file


def complete(
    request_id: UUID,
    *,
    by: User,
    recipient_id: UUID | None,
    jurisdiction: str,
    due_at: dt.datetime | None,
    categories: Iterable[str],
    period: Period = (None, None),
    preserved_by_id: UUID | None = None,
    at: dt.datetime | None = None,
) -> LegalRequest:
    """Say what a draft lacks: who sent it, where, by when it is due, what it asks for. Never after the verification.

    Another authority is another question whether it is genuine: what was checked of the former one counts no more.
    """
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    wanted = sorted(set(categories))
    if set(wanted) - set(HOLDABLE):
        raise ValidationError("Choose categories of the list.")
    if period[0] and period[1] and period[1] <= period[0]:
        raise ValidationError("Give an end of the period that is later than its beginning.")
    with keyring(), transaction.atomic(durable=True):
        request = _unverified(request_id)
        if preserved_by_id == request.pk:
            raise ValidationError("A request is not its own preservation letter. Choose another one.")
        before = request.recipient_id
        request.recipient_id, request.jurisdiction = recipient_id, jurisdiction.strip().upper()
        request.due_at, request.categories = due_at, wanted
        request.period_from, request.period_to = period
        request.preserved_by_id = preserved_by_id
        request.save(
            update_fields=[
                "recipient",
                "jurisdiction",
                "due_at",
                "categories",
                "period_from",
                "period_to",
                "preserved_by",
            ]
        )
        met = newest(request).get(Check.AUTHENTIC)
        if before != recipient_id and met is not None and met.is_met:
            LegalCheck.objects.create(
                request=request, item=Check.AUTHENTIC, is_met=False, checked_by=by.pk, checked_at=at
            )
        facts = {"recipient": recipient_id, "due_at": due_at, "categories": wanted, "preserved_by": preserved_by_id}
        ledger.record(by.actor, "legal.completed", request.pk, at=at, **facts)
    return request


def hindrances(request: LegalRequest, at: dt.datetime) -> list[str]:
    """Return what still stands between a request and its verification, a sentence each."""
    lacks = [f"It lacks {name}." for name in request.missing]
    found = newest(request)
    lacks += [f"Not met: {item.label}." for item in needed(request) if not (item in found and found[item].is_met)]
    sought = list(Sought.objects.filter(request=request).values_list("found", flat=True))
    if not sought:
        lacks.append("It names nobody it seeks.")
    if {Sought.Found.NONE, Sought.Found.SEVERAL} & set(sought):
        lacks.append("It is not decided whom it seeks.")
    due = request.agreed_due_at or request.due_at
    if due is not None and due < at:
        lacks.append(f"Its due date has passed ({moment_text(due)}). Ask for more time and record the agreed date.")
    recipient = request.recipient
    if recipient is not None and recipient.closed_at is not None:
        lacks.append(f"Recipient {recipient.reference} is closed. Name another one.")
    if recipient is not None and request.is_governmental != recipient.is_government:
        kind = "a government body" if request.is_governmental else "a private party"
        lacks.append(f"It was entered as of {kind}; recipient {recipient.reference} is none.")
    return lacks


def verify(request_id: UUID, *, by: User, at: dt.datetime | None = None) -> LegalRequest:
    """Verify a request and return it: lasting holds stand beside the provisional ones, and notices are owed.

    Raises NotActionable with all that is missing. One whom nothing is left of is neither held nor written to.
    """
    at = at or timezone.now()
    refuse_strangers(by, VERIFIES)
    with named("of this request"), keyring(), transaction.atomic(durable=True):
        request = _unverified(request_id)
        if lacks := hindrances(request, at):
            raise NotActionable(f"Request {request.reference} cannot be verified yet. {' '.join(lacks)}")
        request.verified_at, request.verified_by = at, by.pk
        request.save(update_fields=["verified_at", "verified_by"])
        ledger.record(by.actor, "legal.verified", request.pk, at=at, recipient=request.recipient_id)
        for account in sought_ids(request):
            if preserving.hold_verified(request, account, by=by.actor, at=at):
                informing.owe(request, account, at=at)
    return request


def narrow(
    request_id: UUID,
    *,
    by: User,
    categories: Iterable[str],
    period: Period,
    reason: str,
    at: dt.datetime | None = None,
) -> LegalRequest:
    """Make a request smaller, as was agreed with the authority, and return it; it never becomes wider again.

    What is held stays held: what was served may come back in full.
    """
    at = at or timezone.now()
    refuse_strangers(by, VERIFIES)
    refuse_card_number(reason)
    wanted = sorted(set(categories))
    for each in filter(None, period):
        dates.refuse_unlikely(each)
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        if not reason.strip():
            raise NotActionable(f"Request {request.reference}: say who agreed to make it narrower, and how.")
        if not wanted or not set(wanted) <= set(request.categories) or not _is_inside(period, request):
            raise NotActionable(
                f"Request {request.reference} can only become narrower: choose among what it asks for, within its "
                "period. To ask for nothing more, close it."
            )
        if wanted == sorted(request.categories) and period == (request.period_from, request.period_to):
            raise NotActionable(f"Request {request.reference} asks for just that already. Nothing was changed.")
        request.categories, (request.period_from, request.period_to) = wanted, period
        request.save(update_fields=["categories", "period_from", "period_to"])
        LegalNote.objects.create(request=request, text=f"Narrowed: {reason.strip()}", written_by=by.pk, written_at=at)
        facts = {"categories": wanted, "period_from": period[0], "period_to": period[1]}
        ledger.record(by.actor, "legal.narrowed", request.pk, at=at, **facts)
    return request


def _is_inside(period: Period, request: LegalRequest) -> bool:
    begin, end = period
    if begin and end and end <= begin:
        return False
    if request.period_from and (begin is None or begin < request.period_from):
        return False
    return not request.period_to or (end is not None and end <= request.period_to)


def _unverified(request_id: UUID) -> LegalRequest:
    request = locked_open(request_id)
    if request.verified_at is not None:
        raise NotActionable(
            f"Request {request.reference} was verified on {moment_text(request.verified_at)}; it can only be narrowed."
        )
    return request
