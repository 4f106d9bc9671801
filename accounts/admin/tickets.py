"""Tickets in the admin: answer and close."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from accounts import supporting
from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import State, Ticket, User
from accounts.templatetags.portal_tags import moment


class ReplyForm(forms.Form):
    """An answer to a ticket."""

    text = forms.CharField(
        label="Your answer",
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="The customer reads it in the portal. Write no card numbers.",
    )


STAYS_OPEN = "The customer can still cancel this deletion, so its ticket stays open until then."


UNREAD = "Sign-in to this account has ended: nobody would read an answer here."


class Reply(Act):
    """Answer a ticket."""

    slug, label, permission = "reply", "Send an answer", "accounts.reply_ticket"
    form_class = ReplyForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Ticket.State.CLOSED:
            return "This ticket is closed."
        return "" if supporting.is_read(record, timezone.now()) else UNREAD

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer is told by mail and reads your answer in the portal.",
            "The ticket no longer waits for us.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [conversation(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        supporting.reply(record.pk, by=user, body=form.cleaned_data["text"])
        return f"Your answer to {record.reference} is there for the customer to read."


class CloseTicket(Act):
    """End a conversation."""

    slug, label, permission = "close", "Close this ticket", "accounts.reply_ticket"

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Ticket.State.CLOSED:
            return "This ticket is closed."
        is_kept = record.kind == Ticket.Kind.DELETION and record.account.state == State.CLOSED
        return STAYS_OPEN if is_kept and supporting.is_read(record, timezone.now()) else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            "The conversation ends: nobody writes in it any more. The customer can start a new one.",
            "It no longer stands under what needs the customer. They are sent no mail.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [conversation(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Ticket {supporting.close_ticket(record.pk, by=user).reference} is closed."


def conversation(eyes: Eyes, ticket: Ticket) -> Section:
    """Return a ticket's messages, oldest first."""
    rows = [
        (
            "staff" if message.is_from_staff else "customer",
            moment(message.created_at),
            eyes.on(message, "body"),
        )
        for message in ticket.messages.order_by("created_at", "pk")
    ]
    return Section("Messages", head=("From", "When", "Message"), rows=rows)


@admin.register(Ticket)
class TicketAdmin(RecordAdmin):
    """Tickets: read, answer, close."""

    acts = (Reply, CloseTicket)
    list_display = ("reference", "account", "kind", "state", "created_at")
    list_filter = ("state", "kind")
    list_select_related = ("account",)
    ordering = ("-created_at",)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Reference", record.reference),
            ("Account", account_link(record)),
            ("Kind", record.get_kind_display()),
            ("State", record.get_state_display()),
            ("Opened", moment(record.created_at)),
        ]
        return [Section("Ticket", facts=[*facts, *eyes.facts(record)]), conversation(eyes, record)]
