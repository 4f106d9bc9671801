"""Invoices, and paying them.

Everything is looked up among the signed-in account's own rows: what belongs to somebody else is not there
(404), like what never was. GET changes nothing; a POST that did something redirects.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import paying
from accounts.doors import account_of, customer, customer_page, for_roles
from accounts.members import Part
from accounts.models import Account, Invoice, PaymentMethod, State, Ticket
from accounts.models.money import BILLED_TO
from accounts.page_forms import PayForm

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.INVOICES)
def invoices(request: HttpRequest) -> HttpResponse:
    """Show the account's invoices, newest first."""
    found = Invoice.objects.filter(account=account_of(request)).order_by("-issued_at", "-pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/invoices.html", {"page": page})


@customer_page
@for_roles(Part.INVOICES)
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
@for_roles(Part.INVOICES)
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
