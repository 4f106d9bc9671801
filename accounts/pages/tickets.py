"""Conversations with support, and the files in them.

Everything is looked up among the signed-in account's own rows: what belongs to somebody else is not there
(404), like what never was. GET changes nothing; a POST that did something redirects. A file that is not taken answers
422, and nothing of its message is kept.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Max, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import supporting
from accounts.doors import account_of, customer, customer_page, for_roles, is_too_often, too_often
from accounts.downloading import download
from accounts.members import Part
from accounts.models import Attachment, State, Ticket
from accounts.page_forms import ReplyForm, TicketForm
from accounts.uploading import REFUSED, takes_files

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.TICKETS)
@takes_files
def tickets(request: HttpRequest) -> HttpResponse:
    """Show the account's conversations, latest message first, and open a new one."""
    account = account_of(request)
    if request.FILES and is_too_often(request, "send_file"):
        return too_often(request)
    form = TicketForm(request.POST or None, request.FILES or None) if account.state == State.ACTIVE else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_message"):
            return too_often(request)
        ticket = supporting.open_ticket(account, by=customer(request), **_written(form))
        messages.success(request, _("We have your message. Our answer appears here, and we e-mail you."))
        return redirect("accounts:ticket", reference=ticket.reference)
    shown = Ticket.objects.shown().filter(account=account).annotate(last_at=Max("messages__created_at"))
    page = Paginator(shown.order_by("-last_at", "-pk"), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return _shown(request, "accounts/tickets.html", {"page": page, "form": form})


@customer_page
@for_roles(Part.TICKETS)
@takes_files
def ticket(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one conversation, and add the customer's message to it."""
    account = account_of(request)
    found = get_object_or_404(Ticket.objects.shown(), account=account, reference=reference)
    may_write = found.state != Ticket.State.CLOSED and account.may_sign_in(timezone.now())
    if request.FILES and is_too_often(request, "send_file"):
        return too_often(request)
    form = ReplyForm(request.POST or None, request.FILES or None) if may_write else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_message"):
            return too_often(request)
        supporting.reply(found.pk, by=customer(request), **_written(form))
        messages.success(request, _("We have your message."))
        return redirect("accounts:ticket", reference=found.reference)
    # A page of the latest, read from the top: what is older is on the next page.
    files = Prefetch("attachments", Attachment.objects.defer("content").order_by("created_at", "pk"))
    latest = found.messages.prefetch_related(files).order_by("-created_at", "-pk")
    page = Paginator(latest, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "ticket": found,
        "page": page,
        "posts": list(page.object_list)[::-1],
        "form": form,
        "can_settle": may_write and found.kind == Ticket.Kind.SUPPORT,
    }
    return _shown(request, "accounts/ticket.html", context)


@customer_page
@for_roles(Part.TICKETS)
def ticket_file(request: HttpRequest, reference: str, file: UUID) -> HttpResponse:
    """Give one file of a conversation out, as a download."""
    own = Attachment.objects.filter(account=account_of(request), ticket__removed_at=None)
    found = get_object_or_404(own, pk=file, ticket__reference=reference)
    return download(request, found.name, found.media_type, found.content)


@customer_page
@for_roles(Part.TICKETS)
def ticket_settle(request: HttpRequest, reference: str) -> HttpResponse:
    """End one conversation, for its people; looking at the address leads back to it."""
    found = get_object_or_404(Ticket.objects.shown(), account=account_of(request), reference=reference)
    if request.method == "POST":
        supporting.close_ticket(found.pk, by=customer(request))
        messages.success(request, _("This conversation is settled."))
    return redirect("accounts:ticket", reference=found.reference)


def _written(form: forms.Form) -> dict[str, Any]:
    """Return what the form holds as an act calls it."""
    given = dict(form.cleaned_data)
    files = given.pop("attached")
    return {**given, "files": files}


def _shown(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Show the page: with 422 where a file was refused."""
    form: forms.Form | None = context["form"]
    status = REFUSED if form is not None and form.is_bound and "attached" in form.errors else 200
    return render(request, template, context, status=status)
