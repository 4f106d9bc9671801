"""Answering a legal request: objecting, more time, letters as drafts, rejecting and closing (P15, P16).

An objection stops everything until it ends. A letter is made from its template, edited, and sent to the address on file
or marked as sent by hand; then it stays. A request is closed with its outcome while nothing of it is on its way.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import mailing
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger, outbox
from accounts.safeguards.cards import refuse_card_number
from disclosures.legal_rows import ANSWERS, locked_open, refuse_strangers
from disclosures.models import Disclosure, Instrument, LegalLetter, LegalNote, LegalRequest, Outcome, Stage
from retention import dates, schedule, sight

Kind = LegalLetter.Kind
# On its way: whoever closes the request first would take its basis away unseen.
UNDER_WAY = (Stage.SUBMITTED, Stage.APPROVED, Stage.RELEASED)
LEFT = (Stage.RELEASED, Stage.DELIVERED)
GAVE = {Outcome.FULFILLED, Outcome.PARTLY}
HOW = ("mail", "post", "hand", "fax")


@dataclass(frozen=True)
class Clock:
    """Until when an objection counts, and by which of the two."""

    until: dt.datetime
    why: str


def objection_clock(request: LegalRequest) -> Clock | None:
    """Return until when an objection is in time (FRCP 45(d)(2)(B)): 14 days after service or the time to comply.

    Only subpoenas between private parties have that clock; of calendar days, not rolled, so that ours is the earlier.
    """
    if request.instrument not in {Instrument.CIVIL_SUBPOENA, Instrument.SUBPOENA_512H}:
        return None
    served = request.served_at + schedule.span("objection")
    if request.due_at is not None and request.due_at < served:
        return Clock(request.due_at, "the time to comply")
    return Clock(served, f"{schedule.number('objection')} days after service")


def object_to(request_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> LegalRequest:
    """Record that an objection was served, with its reason as a note, and return the request."""
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        if request.objected_at is not None and request.objection_ended_at is None:
            raise NotActionable(f"Request {request.reference}: an objection stands already. Record how it ended.")
        if request.objected_at is not None:
            raise NotActionable(
                f"Request {request.reference} was objected to once, and that ended. Write a letter, or close it."
            )
        _note(request, "Objection", reason, by, at)
        request.objected_at, request.objected_by = at, by.pk
        request.save(update_fields=["objected_at", "objected_by"])
        clock = objection_clock(request)
        is_late = clock is not None and at > clock.until
        ledger.record(by.actor, "legal.objected", request.pk, at=at, is_late=is_late)
    return request


def end_objection(request_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> LegalRequest:
    """Record that an objection was agreed on, overruled or given up, and return the request."""
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        if request.objected_at is None or request.objection_ended_at is not None:
            raise NotActionable(f"Request {request.reference}: no objection stands. There is nothing to end.")
        _note(request, "End of the objection", reason, by, at)
        request.objection_ended_at, request.objection_ended_by = at, by.pk
        request.save(update_fields=["objection_ended_at", "objection_ended_by"])
        ledger.record(by.actor, "legal.objection-ended", request.pk, at=at)
    return request


def agree_time(request_id: UUID, *, by: User, due_at: dt.datetime, at: dt.datetime | None = None) -> LegalRequest:
    """Record the later due date that the authority agreed to, and return the request."""
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    dates.refuse_unlikely(due_at)
    with transaction.atomic(durable=True):
        request = locked_open(request_id)
        now_due = request.agreed_due_at or request.due_at
        if due_at <= at or (now_due is not None and due_at <= now_due):
            raise NotActionable(
                f"Request {request.reference}: the agreed date lies after the present one and after now."
            )
        request.agreed_due_at = due_at
        request.save(update_fields=["agreed_due_at"])
        ledger.record(by.actor, "legal.more-time", request.pk, at=at, due_at=due_at)
    return request


# ---------------------------------------------------------------------------------------------------------- letters


def draft(request_id: UUID, *, by: User, kind: str, at: dt.datetime | None = None) -> LegalLetter:
    """Make a letter from its template and return it; a draft of that kind which was not sent yet is returned as is."""
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        known = LegalLetter.objects.filter(request=request, kind=kind, sent_at=None).first()
        if known is not None:
            return known
        subject, body = mailing.render(f"disclosures/letters/{Kind(kind).value}.txt", _facts(request), by)
        letter = LegalLetter.objects.create(
            request=request, kind=kind, subject=subject, body=body, made_by=by.actor, made_at=at
        )
        ledger.record(by.actor, "legal.letter-made", request.pk, at=at, letter=letter.pk, kind=str(kind))
    return letter


def _facts(request: LegalRequest) -> dict[str, Any]:
    clock = objection_clock(request)
    return {
        "reference": request.reference,
        "instrument": request.get_instrument_display(),
        "authority": str(request.authority),
        "official": str(request.official or ""),
        "docket": str(request.docket or ""),
        "received_at": request.received_at,
        "due_at": request.agreed_due_at or request.due_at,
        "categories": sight.category_names(request.categories),
        "objection_until": clock.until if clock else None,
    }


def edit(letter_id: UUID, *, by: User, subject: str, body: str) -> LegalLetter:
    """Change a draft and return it; a letter that was sent stays as it was sent."""
    refuse_strangers(by, ANSWERS)
    for text in (subject, body):
        refuse_card_number(text)
    if not subject.strip() or not body.strip():
        raise ValidationError("A letter has a subject and a text.")
    with keyring(), transaction.atomic(durable=True):
        _request, letter = _draft(letter_id)
        letter.subject, letter.body = " ".join(subject.split()), body
        letter.save(update_fields=["subject", "body"])
    return letter


def send(letter_id: UUID, *, by: User, how: str, at: dt.datetime | None = None) -> LegalLetter:
    """Send a letter by mail to the address on file, or record that it went another way, and return it. Once."""
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    if how not in HOW:
        raise ValidationError(f"Say how it is sent: {', '.join(HOW)}.")
    with keyring(), transaction.atomic(durable=True):
        request, letter = _draft(letter_id)
        if how == "mail":
            recipient = request.recipient
            if recipient is None or recipient.closed_at is not None:
                raise NotActionable(
                    f"Request {request.reference} names no registered authority, so there is no address on file. Name "
                    "it first, or send the letter another way."
                )
            content = {"to": str(recipient.email), "subject": str(letter.subject), "body": str(letter.body)}
            outbox.post("mail", f"{outbox.SEALED}legal-letter:{letter.pk}", content, at=at)
        letter.sent_at, letter.sent_by = at, by.pk
        letter.save(update_fields=["sent_at", "sent_by"])
        facts = {"letter": letter.pk, "kind": letter.kind, "how": how}
        ledger.record(by.actor, "legal.letter-sent", request.pk, at=at, **facts)
    return letter


def _draft(letter_id: UUID) -> tuple[LegalRequest, LegalLetter]:
    request_id = LegalLetter.objects.filter(pk=letter_id).values_list("request_id", flat=True).first()
    if request_id is None:
        raise NotActionable("There is no such letter. Open the request again.")
    request = locked_open(request_id)
    letter = LegalLetter.objects.select_for_update().get(pk=letter_id)
    if letter.sent_at is not None:
        raise NotActionable(f"This letter about {request.reference} was sent; it stays. Make a new one.")
    return request, letter


# ------------------------------------------------------------------------------------------------------------ ending


def reject(request_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> LegalRequest:
    """End a request as rejected: it makes the letter of rejection a draft no more, so draft and send that before."""
    return close(request_id, by=by, outcome=Outcome.REJECTED, reason=reason, at=at)


def close(request_id: UUID, *, by: User, outcome: str, reason: str, at: dt.datetime | None = None) -> LegalRequest:
    """End a request with its outcome and return it. Its holds stay: their release takes two people, as always.

    Raises NotActionable while something of it is on its way, and for an outcome that what left does not bear out.
    """
    at = at or timezone.now()
    refuse_strangers(by, ANSWERS)
    refuse_card_number(reason)
    if not reason.strip():
        raise ValidationError("Say why it ends like this.")
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        if hindrance := why_not_closed(request, outcome):
            raise NotActionable(hindrance)
        request.closed_at, request.closed_by, request.outcome = at, by.pk, Outcome(outcome)
        request.outcome_reason = reason.strip()
        request.save(update_fields=["closed_at", "closed_by", "outcome", "outcome_reason"])
        ledger.record(by.actor, "legal.closed", request.pk, at=at, outcome=str(outcome))
    return request


def why_not_closed(request: LegalRequest, outcome: str) -> str:
    """Return why a request cannot end so now, as a sentence; empty when it can."""
    stages = set(Disclosure.objects.filter(legal_request=request).values_list("state", flat=True))
    if stages & set(UNDER_WAY):
        return f"Request {request.reference}: a disclosure of it is under way. Finish it or withdraw it first."
    has_left = bool(stages & set(LEFT))
    if outcome in GAVE and not has_left:
        return f"Request {request.reference}: nothing was disclosed for it. Choose another outcome."
    if has_left and outcome in {Outcome.NOTHING_HELD, Outcome.PRESERVED, Outcome.REJECTED}:
        return f"Request {request.reference}: something was disclosed for it. Choose an outcome that says so."
    if outcome == Outcome.PRESERVED and request.instrument != Instrument.PRESERVATION:
        return f"Request {request.reference} is no preservation letter. Choose another outcome."
    return ""


def _note(request: LegalRequest, what: str, reason: str, by: User, at: dt.datetime) -> None:
    refuse_card_number(reason)
    if not reason.strip():
        raise ValidationError("Write the grounds.")
    LegalNote.objects.create(request=request, text=f"{what}: {reason.strip()}", written_by=by.pk, written_at=at)
