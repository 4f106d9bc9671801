"""Support tickets: customers open them and write, staff answer (P9). A card number is refused before anything
is kept.

A closed account opens no new ticket but goes on writing in the ones it has, until sign-in ends. A message
may bring the id its form was given: sent twice, it is kept once. Its files were checked by `uploads`, and are kept in
the same transaction. Staff note among themselves apart from the messages: no customer sees or is told of a note.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts import mailing, roles
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Attachment, State, Ticket, TicketMessage, TicketNote, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.uploads import Upload

Kind = Ticket.Kind


def open_ticket(
    account: Account,
    *,
    by: User,
    subject: str,
    body: str,
    kind: Kind = Kind.SUPPORT,
    files: Sequence[Upload] = (),
    submission: UUID | None = None,
    at: dt.datetime | None = None,
) -> Ticket:
    """Open a ticket with its first message, in the caller's transaction if there is one, and return it.

    Raises ValidationError for a card number, PermissionDenied for strangers, NotActionable when closed.
    """
    at = at or timezone.now()
    _refuse_cards(subject, body)
    if by.account_id != account.pk:
        raise PermissionDenied("A ticket belongs to the account of whoever opens it.")
    with keyring(), transaction.atomic():
        account = Account.objects.locked([account.pk]).get()
        known = _already_sent(submission, by)
        if known is not None:
            return known.ticket
        if account.state != State.ACTIVE and kind != Kind.DELETION:
            raise NotActionable(
                f"Account {account.number} is closed: write in its deletion's ticket, or cancel that first."
            )
        ticket = Ticket.objects.create(account=account, kind=kind, subject=subject, created_at=at)
        _write(ticket, by, body, files, submission, at)
        ledger.record(by.actor, "ticket.opened", account.pk, ticket=ticket.pk, kind=kind.value, at=at)
    return ticket


def reply(
    ticket_id: UUID,
    *,
    by: User,
    body: str,
    files: Sequence[Upload] = (),
    submission: UUID | None = None,
    at: dt.datetime | None = None,
) -> TicketMessage:
    """Add a message of the customer or of staff and return it; of staff's the customer is told by mail.

    Raises ValidationError for a card number, PermissionDenied for strangers, NotActionable when ended.
    """
    at = at or timezone.now()
    _refuse_cards(body)
    with keyring(), transaction.atomic():
        ticket = _locked(ticket_id)
        known = _already_sent(submission, by)
        if known is not None:
            return known
        _refuse_strangers(ticket, by)
        _refuse_ended(ticket, at)
        message = _write(ticket, by, body, files, submission, at)
        ticket.state = Ticket.State.ANSWERED if by.is_staff else Ticket.State.WAITING_FOR_STAFF
        ticket.save(update_fields=["state"])
        ledger.record(by.actor, "ticket.answered", ticket.account_id, ticket=ticket.pk, message=message.pk, at=at)
        if by.is_staff:
            _tell(ticket, message, at)
    return message


def note(
    ticket_id: UUID, *, by: User, body: str, submission: UUID | None = None, at: dt.datetime | None = None
) -> TicketNote:
    """Keep what staff note among themselves about a ticket, ended or not, and return it; nobody is told.

    Raises ValidationError for a card number, PermissionDenied for everybody but staff who answer tickets,
    NotActionable when sign-in to the account has ended.
    """
    at = at or timezone.now()
    _refuse_cards(body)
    if not by.is_staff:
        raise PermissionDenied("Internal notes are written by staff.")
    with keyring(), transaction.atomic():
        ticket = _locked(ticket_id)
        _refuse_strangers(ticket, by)
        known = noted_before(submission)
        if known is not None:
            return known
        _refuse_unread(ticket, at)
        kept = TicketNote(
            id=submission or uuid7(),
            account_id=ticket.account_id,
            ticket=ticket,
            author=by.pk,
            body=body,
            created_at=at,
        )
        kept.save(force_insert=True)
        ledger.record(by.actor, "ticket.noted", ticket.account_id, ticket=ticket.pk, note=kept.pk, at=at)
    return kept


def noted_before(submission: UUID | None) -> TicketNote | None:
    """Return the note that this very form made before."""
    return TicketNote.objects.filter(pk=submission).first() if submission else None


def close_ticket(ticket_id: UUID, *, by: User, at: dt.datetime | None = None) -> Ticket:
    """End a conversation and return it; one that is ended stays as it is.

    Who may: staff who answer it, and the people of its account. A deletion's stays open until sign-in ends.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic():
        ticket = _locked(ticket_id)
        _refuse_strangers(ticket, by)
        if ticket.kind == Kind.DELETION and ticket.account.state == State.CLOSED and ticket.account.may_sign_in(at):
            raise NotActionable(f"Ticket {ticket.reference} stays open: its deletion can still be cancelled.")
        if ticket.state != Ticket.State.CLOSED:
            ticket.state = Ticket.State.CLOSED
            ticket.save(update_fields=["state"])
            ledger.record(by.actor, "ticket.closed", ticket.account_id, ticket=ticket.pk, at=at)
    return ticket


def is_read(ticket: Ticket, at: dt.datetime) -> bool:
    """Return whether an answer would be read: until sign-in ends."""
    return ticket.account.may_sign_in(at)


def _locked(ticket_id: UUID) -> Ticket:
    account_id = Ticket.objects.values_list("account_id", flat=True).get(pk=ticket_id)
    account = Account.objects.locked([account_id]).get()
    ticket = Ticket.objects.select_for_update().get(pk=ticket_id)
    ticket.account = account
    return ticket


def _refuse_strangers(ticket: Ticket, by: User) -> None:
    allowed = roles.may(by, "accounts.reply_ticket") if by.is_staff else by.account_id == ticket.account_id
    if not allowed:
        raise PermissionDenied("Only the people of its account and support staff may write in a ticket.")


def _refuse_ended(ticket: Ticket, at: dt.datetime) -> None:
    if ticket.state == Ticket.State.CLOSED:
        raise NotActionable(f"Ticket {ticket.reference} is closed. Open a new one if there is more to say.")
    _refuse_unread(ticket, at)


def _refuse_unread(ticket: Ticket, at: dt.datetime) -> None:
    if not is_read(ticket, at):
        raise NotActionable(f"Account {ticket.account.number} reads no messages any more: sign-in has ended.")


def _refuse_cards(*texts: str) -> None:
    for text in texts:
        refuse_card_number(text)


def _already_sent(submission: UUID | None, by: User) -> TicketMessage | None:
    """Return the message this form made before; asked under the account's lock, so that no sending is midway."""
    if submission is None:
        return None
    message = TicketMessage.objects.select_related("ticket").filter(pk=submission).first()
    if message is not None and message.author != by.pk:
        raise NotActionable(USED_FORM)
    return message


def _write(
    ticket: Ticket, by: User, body: str, files: Sequence[Upload], submission: UUID | None, at: dt.datetime
) -> TicketMessage:
    message = TicketMessage(
        id=submission or uuid7(),
        account_id=ticket.account_id,
        ticket=ticket,
        author=by.pk,
        is_from_staff=by.is_staff,
        body=body,
        created_at=at,
    )
    message.save(force_insert=True)
    for file in files:
        Attachment.objects.create(
            account_id=ticket.account_id,
            ticket=ticket,
            message=message,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            content=file.content,
            created_at=at,
        )
    return message


def _tell(ticket: Ticket, message: TicketMessage, at: dt.datetime) -> None:
    context = {"reference": ticket.reference, "answered_at": at}
    mailing.mail(ticket.account, f"ticket:{message.pk}:answered", "accounts/mail/ticket_answered.txt", context, at=at)
