"""The alarm of an emergency request: whoever is on call is woken, since it waits for no queue (18 USC 2702(c)(4))."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from accounts import mailing
from accounts.safeguards import ledger, outbox
from disclosures.models import Instrument, LegalRequest


def alarm(request: LegalRequest, at: dt.datetime) -> None:
    """Wake whoever is on call for an emergency request, in the caller's transaction; nothing for any other."""
    if request.instrument != Instrument.EMERGENCY:
        return
    page = f"{settings.PORTAL_ORIGIN}/admin/disclosures/legalrequest/{request.pk}/"
    context = {"reference": request.reference, "page": page, "at": at}
    subject, body = mailing.render("disclosures/mail/emergency.txt", context)
    content = {"to": settings.ONCALL_EMAIL, "subject": subject, "body": body}
    outbox.post("mail", f"{outbox.SEALED}legal-emergency:{request.pk}", content, subject=request.pk, at=at)
    LegalRequest.objects.filter(pk=request.pk).update(alarmed_at=at)
    request.alarmed_at = at
    ledger.record(ledger.SYSTEM, "legal.alarmed", request.pk, at=at)
