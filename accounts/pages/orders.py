"""What the customer ordered, as far as it concerns them: lines, state and invoice.

Neither the score nor what it was made of: what is held of them stands in the data pages like all else. Looked up among
the signed-in account's own rows only.
"""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from accounts import fraud
from accounts.doors import account_of, customer_page, for_roles
from accounts.members import Part
from accounts.models import Invoice, Order

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.ORDERS)
def orders(request: HttpRequest) -> HttpResponse:
    """Show the account's orders, newest first."""
    found = Order.objects.filter(account=account_of(request)).order_by("-placed_at", "-pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/orders.html", {"page": page})


@customer_page
@for_roles(Part.ORDERS)
def order(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one order with its lines and its invoice."""
    account = account_of(request)
    found = get_object_or_404(Order, account=account, reference=reference)
    context = {
        "order": found,
        "lines": found.lines.order_by("placed_at", "pk"),
        "invoices": Invoice.objects.filter(account=account, order=found.pk).order_by("issued_at", "pk"),
        "answer_by": fraud.answer_by(found.placed_at),
    }
    return render(request, "accounts/order.html", context)
