"""Reminders of what is due: 7, 3 and 1 days before, to whoever takes care of a request, or to all who may.

A mail names the reference and nothing else: mailboxes are read by others. Each is one event, so a repeat posts nothing.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from accounts import mailing
from accounts.keys.keyring import keyring
from accounts.models import SignInIdentifier, User
from accounts.roles import Role
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from disclosures.models import LegalRequest

log = structlog.get_logger(__name__)

DAYS = (1, 3, 7)
DAY = dt.timedelta(days=1)


def remind(at: dt.datetime | None = None) -> int:
    """Post the reminders that are due and return how many mails there were."""
    at = at or timezone.now()
    due = LegalRequest.objects.open().annotate(due=Coalesce("agreed_due_at", "due_at"))
    soon = due.filter(due__gt=at, due__lte=at + max(DAYS) * DAY).order_by("due", "pk")
    return sum(_remind_of(request, at) for request in soon)


def _remind_of(request: LegalRequest, at: dt.datetime) -> int:
    due = request.agreed_due_at or request.due_at
    assert due is not None  # noqa: S101 - asked for above
    step = min(days for days in DAYS if due - at <= days * DAY)
    posted = 0
    try:
        with keyring(), transaction.atomic(durable=True):
            for reader in whom(request):
                # A date that was agreed on later has its own reminders.
                event = f"{outbox.SEALED}legal:{request.pk}:{due:%Y%m%d}:{step}:{reader.pk.hex[-12:]}"
                if OutboxMessage.objects.filter(event=event).exists():
                    continue
                posted += tell(reader, event, request.reference, due, at)
    except Exception as error:  # noqa: BLE001 - one request's mail; nobody else's waits for it
        log.warning("reminder not posted", error=type(error).__name__)
    return posted


def whom(request: LegalRequest) -> list[User]:
    """Return who is told of a request among staff: whoever takes care of it, or every member of the legal role."""
    staff = User.objects.filter(is_staff=True, is_active=True)
    mine = staff.filter(pk=request.assigned_to) if request.assigned_to else staff.none()
    found = list(mine)
    return found or list(staff.filter(Q(groups__name=Role.LEGAL.value)).distinct().order_by("pk"))


def tell(reader: User, event: str, reference: str, due_at: dt.datetime, at: dt.datetime) -> bool:
    """Post one mail to a member of staff, in the caller's transaction; return whether they have an address."""
    kind = SignInIdentifier.Kind.EMAIL
    address = SignInIdentifier.objects.filter(user=reader, kind=kind).order_by("pk").first()
    if address is None:
        return False
    days = -(-(due_at - at) // DAY)
    context = {"reference": reference, "days": days, "due_at": due_at, "page_path": reverse("admin:index")}
    subject, body = mailing.render("disclosures/mail/legal_due.txt", context, reader)
    content = {"to": str(address.value), "subject": subject, "body": body}
    return outbox.post("mail", event, content, at=at) is not None
