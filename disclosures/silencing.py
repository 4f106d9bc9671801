"""Orders that a customer is not told, and their end (silence.md, S13; 18 USC 2705).

Each has an instrument with an end or a date to look again; a grand jury subpoena or a preservation letter alone orders
none, and our own choice lasts 45 days at most. Before the end legal is asked three times whether it was extended; an
extension is another order. None recorded, the notice goes out on the first business day after.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import mailing
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger, outbox
from disclosures.legal_rows import locked_open
from disclosures.models import LegalDocument, LegalRequest, Silence
from disclosures.refusing import refuse_without
from retention import schedule

SILENCE = "disclosures.silence_legalrequest"
# Days before the end at which legal is asked.
ASKED = (30, 14, 3)


def order(
    request_id: UUID,
    ground: str,
    *,
    by: User,
    starts_at: dt.datetime,
    ends_at: dt.datetime | None = None,
    review_by: dt.datetime | None = None,
    document: UUID | None = None,
    note: str = "",
    at: dt.datetime | None = None,
) -> Silence:
    """Record an order of silence, or an extension of one, and return it.

    Raises NotActionable without its instrument, without an end or a date to look again, and for a choice of our own
    that is too long.
    """
    at = at or timezone.now()
    refuse_without(by, SILENCE)
    if ground not in Silence.Ground.values:
        raise NotActionable("Choose what commands the silence.")
    if ends_at is None and review_by is None:
        raise NotActionable("An order of silence has an end, or a date to look at it again.")
    if ends_at is not None and ends_at <= starts_at:
        raise NotActionable("The order ends before it begins.")
    with keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id)
        if ground == Silence.Ground.CHOICE:
            _refuse_long_choice(request, starts_at, ends_at)
        paper = LegalDocument.objects.filter(pk=document, request=request).only("pk").first() if document else None
        if ground != Silence.Ground.CHOICE and paper is None:
            raise NotActionable("Add the order itself to the request, and name it here.")
        if request.notices.filter(sent_at__isnull=False).exists():
            raise NotActionable(f"Request {request.reference}: its customer was told already.")
        made = Silence.objects.create(
            request=request,
            ground=ground,
            document=paper,
            note=note or None,
            starts_at=starts_at,
            ends_at=ends_at,
            review_by=review_by,
            recorded_by=by.pk,
            recorded_at=at,
        )
        ledger.record(by.actor, "legal.silenced", request.pk, at=at, silence=made.pk, ground=ground, ends_at=ends_at)
    return made


def _refuse_long_choice(request: LegalRequest, starts_at: dt.datetime, ends_at: dt.datetime | None) -> None:
    """Raise NotActionable where our own choices, one after the other, would last too long."""
    longest = dt.timedelta(days=schedule.number("silence"))
    chosen = request.silences.filter(ground=Silence.Ground.CHOICE).values_list("starts_at", flat=True)
    if ends_at is None or ends_at > min([starts_at, *chosen]) + longest:
        raise NotActionable(
            f"Silence by our own choice ends after {longest.days} days at most. For longer it takes an order."
        )


def lift(silence_id: UUID, *, by: User, at: dt.datetime | None = None) -> Silence:
    """Record that an order ended before its time; the notice follows by the clock."""
    at = at or timezone.now()
    refuse_without(by, SILENCE)
    with keyring(), transaction.atomic(durable=True):
        found = Silence.objects.select_for_update().get(pk=silence_id)
        if found.lifted_at is None:
            found.lifted_at, found.lifted_by = at, by.pk
            found.save(update_fields=["lifted_at", "lifted_by"])
            ledger.record(by.actor, "legal.silence_lifted", found.request_id, at=at, silence=found.pk)
    return found


def remind(at: dt.datetime | None = None) -> int:
    """Ask legal, 30, 14 and 3 days before an order ends or is to be looked at, whether it was extended."""
    at = at or timezone.now()
    asked = 0
    for silence in Silence.objects.filter(lifted_at=None, request__closed_at=None).select_related("request"):
        ends = silence.ends_at or silence.review_by
        passed = [days for days in ASKED if ends is not None and at >= ends - dt.timedelta(days=days)]
        fresh = [days for days in passed if days not in silence.asked]
        if ends is None or ends <= at or not fresh or _extended(silence, ends):
            continue
        with keyring(), transaction.atomic(durable=True):
            _ask(silence.request, silence, min(passed), at)
            Silence.objects.filter(pk=silence.pk).update(asked=sorted({*silence.asked, *passed}))
        asked += 1
    return asked


def _extended(silence: Silence, ends: dt.datetime) -> bool:
    """Return whether a later order goes on where this one ends."""
    later = Silence.objects.filter(request=silence.request_id, lifted_at=None, starts_at__lte=ends).exclude(
        pk=silence.pk
    )
    return any(one.ends_at is None or one.ends_at > ends for one in later)


def _ask(request: LegalRequest, silence: Silence, days: int, at: dt.datetime) -> None:
    context = {
        "reference": request.reference,
        "ends_at": silence.ends_at or silence.review_by,
        "page_path": f"/admin/disclosures/legalrequest/{request.pk}/",
    }
    subject, body = mailing.render("disclosures/mail/silence_ends.txt", context)
    content = {"to": settings.LEGAL_EMAIL, "subject": subject, "body": body}
    outbox.post("mail", f"{outbox.SEALED}silence:{silence.pk}:{days}", content, subject=request.pk, at=at)
