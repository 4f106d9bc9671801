"""Conversations with support.

Everything is looked up among the signed-in account's own rows: what belongs to somebody else is not there
(404), like what never was. GET changes nothing; a POST that did something redirects.
"""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import supporting
from accounts.doors import account_of, customer, customer_page, for_roles, is_too_often, too_often
from accounts.members import Part
from accounts.models import State, Ticket
from accounts.page_forms import ReplyForm, TicketForm

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.TICKETS)
def tickets(request: HttpRequest) -> HttpResponse:
    """Show the account's conversations, latest message first, and open a new one."""
    account = account_of(request)
    form = TicketForm(request.POST or None) if account.state == State.ACTIVE else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_message"):
            return too_often(request)
        given = form.cleaned_data
        ticket = supporting.open_ticket(
            account,
            by=customer(request),
            subject=given["subject"],
            body=given["body"],
            submission=given["submission"],
        )
        messages.success(request, _("We have your message. Our answer appears here, and we e-mail you."))
        return redirect("accounts:ticket", reference=ticket.reference)
    shown = Ticket.objects.shown().filter(account=account).annotate(last_at=Max("messages__created_at"))
    page = Paginator(shown.order_by("-last_at", "-pk"), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/tickets.html", {"page": page, "form": form})


@customer_page
@for_roles(Part.TICKETS)
def ticket(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one conversation, and add the customer's message to it."""
    account = account_of(request)
    found = get_object_or_404(Ticket.objects.shown(), account=account, reference=reference)
    may_write = found.state != Ticket.State.CLOSED and account.may_sign_in(timezone.now())
    form = ReplyForm(request.POST or None) if may_write else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_message"):
            return too_often(request)
        given = form.cleaned_data
        supporting.reply(found.pk, by=customer(request), body=given["body"], submission=given["submission"])
        messages.success(request, _("We have your message."))
        return redirect("accounts:ticket", reference=found.reference)
    context = {
        "ticket": found,
        "posts": found.messages.order_by("created_at", "pk"),
        "form": form,
        "can_settle": may_write and found.kind == Ticket.Kind.SUPPORT,
    }
    return render(request, "accounts/ticket.html", context)


@customer_page
@for_roles(Part.TICKETS)
def ticket_settle(request: HttpRequest, reference: str) -> HttpResponse:
    """End one conversation, for its people; looking at the address leads back to it."""
    found = get_object_or_404(Ticket.objects.shown(), account=account_of(request), reference=reference)
    if request.method == "POST":
        supporting.close_ticket(found.pk, by=customer(request))
        messages.success(request, _("This conversation is settled."))
    return redirect("accounts:ticket", reference=found.reference)
