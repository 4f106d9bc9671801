"""Tickets in the admin: answer with files, note among staff, close.

Notes stand apart from the messages. A file is given out as a download only, and that is a look at the customer's data
like any other: one ledger entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import restricting, supporting
from accounts.admin.links import account_link
from accounts.admin_base import ERASED, HIDDEN, Act, Eyes, RecordAdmin, Section, asking, staff
from accounts.datamap import Category, Purpose
from accounts.downloading import download
from accounts.models import Attachment, State, Ticket, TicketMessage, User
from accounts.page_forms import LONGEST_BODY, SentOnce
from accounts.roles import View, category_view
from accounts.templatetags.portal_tags import moment
from accounts.uploading import UploadsField


class ReplyForm(forms.Form):
    """An answer to a ticket."""

    text = forms.CharField(
        label="Your answer",
        max_length=LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="The customer reads it in the portal. Write no card numbers.",
    )
    attached = UploadsField(label="Files for the customer", required=False)


class NoteForm(SentOnce):
    """A note among staff."""

    text = forms.CharField(
        label="Your note",
        max_length=LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Staff who read tickets see it. Write no card numbers.",
    )


STAYS_OPEN = "The customer can still cancel this deletion, so its ticket stays open until then."


UNREAD = "Sign-in to this account has ended: nobody would read an answer here."


class Reply(Act):
    """Answer a ticket."""

    slug, label, permission = "reply", "Send an answer", "accounts.reply_ticket"
    form_class = ReplyForm
    takes_files = True

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

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(ReplyForm(data, self.request.FILES if data is not None else None))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        supporting.reply(record.pk, by=user, body=given["text"], files=given["attached"])
        return f"Your answer to {record.reference} is there for the customer to read."


class NoteTicket(Act):
    """Note something among staff."""

    slug, label, permission = "note-ticket", "Record an internal note", "accounts.reply_ticket"
    form_class = NoteForm

    def hindrance(self, record: Any, user: User) -> str:
        return "" if supporting.is_read(record, timezone.now()) else "Sign-in to this account has ended."

    def consequences(self, record: Any) -> list[str]:
        return [
            "Staff who read tickets see it, apart from the messages.",
            "The customer is not shown it here. A law can still ask for it.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [conversation(eyes, record), notes(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        supporting.note(record.pk, by=user, body=given["text"], submission=given["submission"])
        return f"Your note to {record.reference} is kept for staff."


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
    """Return a ticket's messages, oldest first, with links to their files."""
    files: dict[UUID, list[Attachment]] = {}
    for file in ticket.attachments.defer("content").order_by("created_at", "pk"):
        files.setdefault(file.message_id, []).append(file)
    rows = [
        (
            "staff" if message.is_from_staff else "customer",
            moment(message.created_at),
            eyes.on(message, "body"),
            _files(eyes, ticket, message, files),
        )
        for message in ticket.messages.order_by("created_at", "pk")
    ]
    return Section("Messages", head=("From", "When", "Message", "Files"), rows=rows)


def _files(eyes: Eyes, ticket: Ticket, message: TicketMessage, files: dict[UUID, list[Attachment]]) -> SafeString:
    links = []
    for file in files.get(message.pk, []):
        name = eyes.on(file, "name")
        where = reverse("admin:accounts_ticket_file", args=[ticket.pk, file.pk])
        is_there = name not in {HIDDEN, ERASED}
        links.append(format_html('<a href="{}">{}</a>', where, name) if is_there else format_html("{}", name))
    return format_html_join("\n", "{}", ((link,) for link in links))


def notes(eyes: Eyes, ticket: Ticket) -> Section:
    """Return what staff noted among themselves, oldest first."""
    rows = [
        (eyes.who(note.author), moment(note.created_at), eyes.on(note, "body"))
        for note in ticket.notes.order_by("created_at", "pk")
    ]
    return Section("Internal notes, not shown to the customer", head=("From", "When", "Note"), rows=rows)


@admin.register(Ticket)
class TicketAdmin(RecordAdmin):
    """Tickets: read, answer, note, close."""

    acts = (Reply, NoteTicket, CloseTicket)
    list_display = ("reference", "account", "kind", "state", "created_at")
    list_filter = ("state", "kind")
    list_select_related = ("account",)
    ordering = ("-created_at",)
    # What the rooms above know of a ticket: each gives facts of its own. They stand here, because this room knows none.
    told_by: ClassVar[list[Callable[[Ticket], list[tuple[str, Any]]]]] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        """Return the tickets that may be used to answer: none of a customer who stopped this use of their messages."""
        tickets: QuerySet[Ticket] = super().get_queryset(request)
        return tickets.exclude(restricting.stopped(Purpose.SUPPORT, "account"))

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Reference", record.reference),
            ("Account", account_link(record)),
            ("Kind", record.get_kind_display()),
            ("State", record.get_state_display()),
            ("Opened", moment(record.created_at)),
            *(fact for tell in self.told_by for fact in tell(record)),
        ]
        about = Section("Ticket", facts=[*facts, *eyes.facts(record)])
        return [about, conversation(eyes, record), notes(eyes, record)]

    def get_urls(self) -> list[URLPattern]:
        """Return a ticket's files besides its pages."""
        view = self.admin_site.admin_view(self.file_view)
        return [
            path("<uuid:object_id>/files/<uuid:file_id>/", view, name=self.url_name("file")),
            *super().get_urls(),
        ]

    def file_view(self, request: HttpRequest, object_id: UUID, file_id: UUID) -> HttpResponse:
        """Give one file of a ticket out as a download; the ledger says so before."""
        user = staff(request)
        if not self.has_view_permission(request) or category_view(user, Category.SUPPORT) != View.SHOWN:
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        file = Attachment.objects.filter(ticket=self.one(request, object_id), pk=file_id).first()
        if file is None:
            raise Http404
        eyes = Eyes(user)
        name = eyes.on(file, "name")
        if name == ERASED:
            raise Http404
        eyes.record(file.account_id, file)
        return download(request, name, file.media_type, file.content)
