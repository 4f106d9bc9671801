"""Support tickets with their messages (P9, P23)."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import reference
from accounts.models.account import Account, OfAccount
from accounts.safeguards.fields import SealedBytes, SealedText


def _reference() -> str:
    return reference("TIC")


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Facts about many tickets."""

    def shown(self) -> TicketQuerySet:
        """Tickets the customer has not removed, whether or not the sweep has taken the others yet."""
        return self.filter(removed_at=None)

    def waiting_for_staff(self, at: dt.datetime) -> TicketQuerySet:
        """Tickets whose answer somebody waits for and could read at `at`."""
        waiting = self.shown().filter(state=Ticket.State.WAITING_FOR_STAFF)
        return waiting.filter(account__in=Account.objects.signing_in(at))


class Ticket(OfAccount):
    """A conversation with staff; a deletion request is one (P23)."""

    class Kind(models.TextChoices):
        """What the conversation is about."""

        SUPPORT = "support", "support"
        DELETION = "deletion", "deletion"

    class State(models.TextChoices):
        """Whose turn it is, or ended."""

        WAITING_FOR_STAFF = "waiting", "waiting for us"
        ANSWERED = "answered", "answered"
        CLOSED = "closed", "closed"

    reference = models.CharField(max_length=20, unique=True, default=_reference)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SUPPORT)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING_FOR_STAFF)
    subject = SealedText(max_length=200)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = TicketQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Ticket",
        time="created_at",
        purposes=(Purpose.SUPPORT,),
        source="you",
        fields={"subject": Held("Subject", reach=Reach.CONTENT)},
        plain={"reference": "random"},
    )

    class Meta:
        permissions = [("reply_ticket", "Can answer a ticket")]

    def __str__(self) -> str:
        return self.reference


class TicketMessage(OfAccount):
    """One message of a ticket, from the customer or from staff."""

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="messages")
    author = models.UUIDField(null=True)
    is_from_staff = models.BooleanField(default=False)
    body = SealedText(max_length=10_000)
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Ticket message",
        time="created_at",
        purposes=(Purpose.SUPPORT,),
        source="you and our staff",
        fields={"body": Held("Message", reach=Reach.CONTENT)},
        facts={"is_from_staff": "From our staff"},
    )


class TicketNote(OfAccount):
    """What staff note among themselves about a ticket; apart from its messages, never shown to the customer."""

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="notes")
    author = models.UUIDField()
    body = SealedText(max_length=10_000)
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Internal note",
        time="created_at",
        purposes=(Purpose.SUPPORT,),
        source="our staff",
        fields={"body": Held("Note", shown=STAFF_ONLY, reach=Reach.RECORD)},
        shown=STAFF_ONLY,
    )


class MediaType(models.TextChoices):
    """Files that are taken, by content; everything else is refused."""

    PDF = "application/pdf", "PDF"
    PNG = "image/png", "PNG"
    JPEG = "image/jpeg", "JPEG"
    TEXT = "text/plain", "text"


class Attachment(OfAccount):
    """A file of a message; served as a download only."""

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="attachments")
    message = models.ForeignKey(TicketMessage, on_delete=models.PROTECT, related_name="attachments")
    name = SealedText(max_length=200)
    media_type = models.CharField(max_length=20, choices=MediaType)
    size = models.PositiveIntegerField()
    content = SealedBytes()
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Attachment",
        time="created_at",
        purposes=(Purpose.SUPPORT,),
        source="you and our staff",
        fields={"name": Held("File name", reach=Reach.CONTENT), "content": Held("File", reach=Reach.CONTENT)},
    )
