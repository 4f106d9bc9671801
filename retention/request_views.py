"""Privacy requests with a sign-in: what was asked, asking for more, the conversation, withdrawing.

Everything is looked up among the signed-in account's own rows; a request is made by its owner. GET changes nothing, a
POST that did something redirects, and a copy of the data asks for the password anew before anything is typed.
"""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import restricting
from accounts.datamap import Category, Purpose
from accounts.doors import account_of, customer, customer_page, for_roles, fresh, is_too_often, too_often
from accounts.members import Part
from accounts.models import State
from retention import conversing, deciding, request_clocks, request_pages, requesting
from retention.models import PrivacyRequest
from retention.models.privacy import Right
from retention.request_forms import MessageForm, WishForm

ENTRIES_A_PAGE = 25
# What a stranger at an open screen must not start.
SENSITIVE = {Right.ACCESS.value, Right.PORTABILITY.value}


@customer_page
@for_roles(Part.REQUESTS)
def requests(request: HttpRequest) -> HttpResponse:
    """Show the account's requests, newest first, and the uses that are stopped."""
    account, now = account_of(request), timezone.now()
    # A record past its time is shown to nobody, whether or not it could go.
    kept = Q(decided_at=None) | Q(decided_at__gt=request_clocks.records_since(now))
    own = PrivacyRequest.objects.filter(kept, account=account).order_by("-received_at", "-pk").defer("permission")
    page = Paginator(own, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [request_pages.listed(each) for each in page.object_list],
        "stopped": request_pages.standing(account.pk),
        "may_ask": account.state == State.ACTIVE,
    }
    return render(request, "retention/requests.html", context)


@customer_page
@for_roles(Part.REQUESTS)
def new(request: HttpRequest) -> HttpResponse:
    """Show what can be asked for."""
    return render(request, "retention/request_new.html", {"choices": request_pages.choices(signed_in=True)})


@customer_page
@for_roles(Part.REQUESTS)
def ask(request: HttpRequest, right: str) -> HttpResponse:
    """Ask for one right; what shows the data asks for the password first."""
    if right == Right.DELETION:
        return redirect("retention:delete_start")
    if right not in request_pages.RIGHTS:
        raise Http404("No such right.")
    return _ask_anew(request, right) if right in SENSITIVE else _ask(request, right)


def _ask(request: HttpRequest, right: str) -> HttpResponse:
    account = account_of(request)
    form = WishForm(right, request.POST or None, initial=_initial(request))
    if request.method == "POST":
        if is_too_often(request, "write_message"):
            return too_often(request)
        if form.is_valid():
            made = requesting.ask(
                account.pk, form.wish(), by=customer(request), submission=form.cleaned_data["submission"]
            )
            messages.success(request, _("We have your request %(reference)s.") % {"reference": made.reference})
            return redirect("retention:request", reference=made.reference)
    heading, lead = request_pages.RIGHTS[right]
    context = {
        "form": form,
        "heading": heading,
        "lead": lead,
        "is_copy": right in SENSITIVE,
        "export_url": request_pages.export_url() if right in SENSITIVE else "",
        "expected_by": request_clocks.expected_by(right, "ccpa", timezone.now()),
    }
    return render(request, "retention/request_ask.html", context)


_ask_anew = fresh(_ask)


@customer_page
@for_roles(Part.REQUESTS)
def one(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one request, and add the customer's message to it."""
    found, may_write = _own(request, reference)
    form = MessageForm(request.POST or None) if may_write else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_message"):
            return too_often(request)
        given = form.cleaned_data
        conversing.write(found.pk, by=customer(request), body=given["body"], submission=given["submission"])
        messages.success(request, _("We have your message."))
        return redirect("retention:request", reference=found.reference)
    context = {**request_pages.shown(found), "form": form, "signed_in": True}
    return render(request, "retention/request.html", context)


@customer_page
@for_roles(Part.REQUESTS)
def withdraw(request: HttpRequest, reference: str) -> HttpResponse:
    """Ask once more, and withdraw the request."""
    found, _may_write = _own(request, reference)
    if request.method == "POST":
        deciding.withdraw(found.pk, by=customer(request))
        messages.success(request, _("You withdrew this request. Nothing more follows from it."))
        return redirect("retention:request", reference=found.reference)
    if found.decided_at is not None:
        return redirect("retention:request", reference=found.reference)
    return render(request, "retention/request_withdraw.html", {**request_pages.listed(found), "signed_in": True})


@customer_page
@for_roles(Part.REQUESTS)
def allow(request: HttpRequest) -> HttpResponse:
    """Allow a use again that was stopped; looking at the address leads back to the list."""
    if request.method == "POST":
        purpose = request.POST.get("purpose", "")
        if purpose not in Purpose.values:
            raise Http404("No such use.")
        if restricting.lift(account_of(request).pk, purpose, by=customer(request).actor):
            messages.success(request, _("You allowed this use again."))
    return redirect("retention:requests")


def _own(request: HttpRequest, reference: str) -> tuple[PrivacyRequest, bool]:
    """Return a request of the account, and whether its owner may write about it."""
    own = PrivacyRequest.objects.filter(account=account_of(request)).defer("permission")
    found = get_object_or_404(own, reference=reference)
    if found.decided_at is not None and timezone.now() >= request_clocks.deleted_at(found.decided_at):
        raise Http404("No such request.")
    return found, found.decided_at is None


def _initial(request: HttpRequest) -> dict[str, object]:
    """Return what a link to the form has chosen already: a kind of data, or a use."""
    category, purpose = request.GET.get("category", ""), request.GET.get("purpose", "")
    found: dict[str, object] = {}
    if category in Category.values:
        found["category"] = category
    if purpose in Purpose.values:
        found["purposes"] = [purpose]
    return found
