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
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from accounts import invoicing, paying, printing
from accounts.doors import account_of, customer, customer_page, for_roles
from accounts.members import Part
from accounts.models import Account, Invoice, PaymentMethod, State, Ticket
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
    context = {
        "invoice": found,
        "lines": found.lines.order_by("created_at", "pk"),
        "payments": found.payments.order_by("paid_at", "pk"),
        "bill_to": invoicing.bill_to_lines(found),
        "tax_number": invoicing.tax_number(found),
        "balance_cents": paying.balance_cents(found),
    }
    return render(request, "accounts/invoice.html", context)


@customer_page
@for_roles(Part.INVOICES)
def invoice_pdf(request: HttpRequest, number: str) -> HttpResponse:
    """Answer one invoice as a PDF to keep: made now, downloaded, never shown inside the browser."""
    found = _invoice(request, number)
    answer = HttpResponse(printing.invoice_pdf(found), content_type="application/pdf")
    name = content_disposition_header(True, f"{found.number}.pdf")
    assert name is not None  # noqa: S101 - an attachment always has one
    answer["Content-Disposition"] = name
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


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
