"""Customer pages of the ground floor: invoices and paying them, conversations with support, help.

Everything is looked up among the signed-in account's own rows: what belongs to somebody else is not there
(404), like what never was. GET changes nothing; a POST that did something redirects.
"""

from __future__ import annotations

from email.utils import parseaddr
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import paying, supporting
from accounts.doors import account_of, customer, customer_page, is_too_often, public_page, too_often
from accounts.models import Account, Invoice, PaymentMethod, State, Ticket
from accounts.models.money import BILLED_TO
from accounts.page_forms import PayForm, ReplyForm, TicketForm

ENTRIES_A_PAGE = 25


@customer_page
def invoices(request: HttpRequest) -> HttpResponse:
    """Show the account's invoices, newest first."""
    found = Invoice.objects.filter(account=account_of(request)).order_by("-issued_at", "-pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/invoices.html", {"page": page})


@customer_page
def invoice(request: HttpRequest, number: str) -> HttpResponse:
    """Show one invoice with its lines and payments, made to be printed."""
    found = _invoice(request, number)
    billed_to = found.billed_to or {}
    context = {
        "invoice": found,
        "lines": found.lines.order_by("created_at", "pk"),
        "payments": found.payments.order_by("paid_at", "pk"),
        "bill_to": [billed_to[part] for part in BILLED_TO if billed_to.get(part)],
        "balance_cents": paying.balance_cents(found),
    }
    return render(request, "accounts/invoice.html", context)


@customer_page
def invoice_pay(request: HttpRequest, number: str) -> HttpResponse:
    """Offer the ways to pay an invoice, and pay it; one that needs no payment leads back to itself."""
    found = _invoice(request, number)
    balance = paying.balance_cents(found)
    if not balance:
        return redirect("accounts:invoice", number=found.number)
    form = _pay_form(request, account_of(request))
    if request.method == "POST" and form is not None and form.is_valid():
        method = UUID(form.cleaned_data["method"])
        paying.pay(found.pk, by=customer(request), method_id=method)
        messages.success(request, _("Invoice %(number)s is paid.") % {"number": found.number})
        return redirect("accounts:invoice", number=found.number)
    support_url = _support_url(account_of(request))
    context = {"invoice": found, "balance_cents": balance, "form": form, "support_url": support_url}
    return render(request, "accounts/invoice_pay.html", context)


@customer_page
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
def ticket_settle(request: HttpRequest, reference: str) -> HttpResponse:
    """End one conversation, for its people; looking at the address leads back to it."""
    found = get_object_or_404(Ticket.objects.shown(), account=account_of(request), reference=reference)
    if request.method == "POST":
        supporting.close_ticket(found.pk, by=customer(request))
        messages.success(request, _("This conversation is settled."))
    return redirect("accounts:ticket", reference=found.reference)


@public_page
def help_page(request: HttpRequest) -> HttpResponse:
    """Show how to reach a person and what customers can do themselves."""
    _name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return render(request, "accounts/help.html", {"contact_email": address})


def _invoice(request: HttpRequest, number: str) -> Invoice:
    return get_object_or_404(Invoice, account=account_of(request), number=number)


def _support_url(account: Account) -> str:
    """Return where the account's people write to us: a closed account goes on in the ticket of its deletion."""
    own = Ticket.objects.shown().filter(account=account, kind=Ticket.Kind.DELETION).exclude(state=Ticket.State.CLOSED)
    ticket = own.only("reference").order_by("-created_at", "-pk").first() if account.state != State.ACTIVE else None
    return reverse("accounts:ticket", args=[ticket.reference]) if ticket else reverse("accounts:tickets")


def _pay_form(request: HttpRequest, account: Account) -> PayForm | None:
    """Return the form, or None where nothing can be paid here or no method is on file."""
    if not paying.provider().pays_online:
        return None
    methods = list(PaymentMethod.objects.filter(account=account, removed_at=None).order_by("-created_at", "-pk"))
    return PayForm(methods, request.POST or None) if methods else None
