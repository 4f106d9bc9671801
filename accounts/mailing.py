"""Mails: rendered and sealed in the business transaction, sent by the outbox relay, kept for the customer to read.

One event makes one outbox row and one Message-ID. Each template has its subject in the first line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Account, Contact, Correspondence, User
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from accounts.zones import zone_of

Template = str


def render(template: Template, context: Mapping[str, Any], reader: User | None = None) -> tuple[str, str]:
    """Return (subject, text) of a mail template such as `retention/mail/received.txt`.

    Times are shown in the zone the reader chose, or the portal's: never in that of whoever caused the mail.
    """
    always = {
        "origin": settings.PORTAL_ORIGIN,
        "contact_email": settings.DEFAULT_FROM_EMAIL,
        "trial": settings.TRIAL,
    }
    with timezone.override(zone_of(reader)):
        text = render_to_string(template, {**always, **context})
    subject, _, body = text.lstrip().partition("\n")
    return subject.removeprefix("Subject:").strip(), body.strip() + "\n"


def address_of(account_id: UUID) -> str | None:
    """Return the owner contact's e-mail address, or None when there is none any more."""
    contact = Contact.objects.owners([account_id]).first()
    return contact.email if contact else None


def mail(
    account: Account,
    event: str,
    template: Template,
    context: Mapping[str, Any],
    *,
    to: str | None = None,
    at: dt.datetime | None = None,
    store: bool = True,
    reader: User | None = None,
) -> OutboxMessage | None:
    """Post one mail in the caller's transaction; return None when the event was told or nobody can be written to.

    `to` defaults to the owner contact, `reader` (whose time zone it is in) to the first owner.
    `store=False` for what is not kept to be read again: a link that opens an
    account, and every mail after the due date.
    """
    at = at or timezone.now()
    to = to or address_of(account.pk)
    if to is None:
        return None
    reader = reader or User.objects.filter(account=account, is_owner=True, is_active=True).order_by("pk").first()
    subject, body = render(template, context, reader)
    content = {"to": to, "subject": subject, "body": body}
    message = outbox.post("mail", event, content, subject=account.pk, at=at)
    if message is not None and store:
        copy = Correspondence.objects.create(account=account, event=event, subject=subject, body=body, created_at=at)
        message.copy = copy.pk
        message.save(update_fields=["copy"])
    return message


@outbox.handles("mail")
def send(message: OutboxMessage) -> None:
    """Send one mail; a repeat carries the same Message-ID."""
    content = message.content
    host = urlsplit(settings.PORTAL_ORIGIN).hostname or "localhost"
    EmailMessage(
        subject=content["subject"],
        body=content["body"],
        to=[content["to"]],
        headers={"Message-ID": f"<{message.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    ).send()


@outbox.when_sent
def note_sent(copy: UUID, at: dt.datetime) -> None:
    """Tell the stored copy when it was sent; a copy that was erased meanwhile is no error."""
    Correspondence.objects.filter(pk=copy, sent_at=None).update(sent_at=at)
