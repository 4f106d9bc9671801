"""The deletion pages: what goes and what stays, the last check, the status, finding it again, cancelling.

GET changes nothing; a POST that did something redirects; a form sent twice makes one request. A reference
opens for the people of its account and for whoever gave its code, and is not there for anybody else.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts import members
from accounts.doors import (
    account_of,
    customer,
    customer_page,
    for_roles,
    is_too_often,
    not_for_role,
    public_page,
    too_often,
)
from accounts.errors import NotActionable
from accounts.members import Part
from accounts.models import Account, State, Ticket, User
from retention import cancelling, closing, following, pages, plans
from retention.forms import CheckForm, FindForm
from retention.middleware import closed_page
from retention.models import DeletionRequest


@customer_page
@for_roles(Part.DELETION)
def start(request: HttpRequest) -> HttpResponse:
    """Show what a deletion would do: what goes, what stays, why, until when, and what stands in the way."""
    plan = plans.plan(account_of(request))
    return render(request, "retention/delete_start.html", pages.plan_context(plan))


@customer_page
@for_roles(Part.DELETION)
def check(request: HttpRequest) -> HttpResponse:
    """Ask for the password, and close the account; a form that was sent before leads to its request."""
    account, user = account_of(request), customer(request)
    if account.state != State.ACTIVE:
        made = _made_by_this_form(request, account)
        return _to_status(made) if made else closed_page(request, account)
    form = CheckForm(user, request.POST or None)
    if request.method == "POST":
        if is_too_often(request, "confirm_password", user=user):
            return too_often(request)
        if form.is_valid():
            closed = closing.close(
                account.pk,
                by=user,
                submission=form.cleaned_data["submission"],
                keep_session=request.session.session_key,
            )
            words = _("We have your request %(reference)s. A mail with its code is on the way.")
            messages.success(request, words % {"reference": closed.request.reference})
            return _to_status(closed.request)
    context = pages.plan_context(plans.plan(account))
    return render(request, "retention/delete_check.html", {**context, "form": form})


@public_page
def find(request: HttpRequest) -> HttpResponse:
    """Open a deletion's status by reference and code; every wrong pair gets one answer."""
    form = FindForm(request.POST or None)
    if request.method == "POST":
        typed = following.tidy(request.POST.get("reference", ""))
        if is_too_often(request, "find_deletion", key=typed):
            return too_often(request)
        if form.is_valid():
            asked = following.find(form.cleaned_data["reference"], form.cleaned_data["code"])
            if asked is not None:
                following.remember(request, asked)
                return _to_status(asked)
            form.add_error(None, _("This reference and this code do not match. Check both in the mail and try again."))
    return render(request, "retention/delete_find.html", {"form": form})


@public_page
def status(request: HttpRequest, reference: str) -> HttpResponse:
    """Show how far a deletion is; read-only for whoever gave the code."""
    asked = DeletionRequest.objects.select_related("account").filter(reference=reference).first()
    own = asked is not None and _is_of(request, asked.account)
    if asked is None or not (own or following.is_remembered(request, asked)):
        return _stranger(request)
    messages_url = _ticket_url(asked) if own else ""
    context = pages.status_context(plans.progress(asked), signed_in=own, support=messages_url)
    context["is_open"] = asked.account.state == State.ACTIVE
    cancel_url = reverse("retention:delete_cancel", args=[asked.reference])
    if own:
        may_cancel = members.may_open(customer(request), Part.DELETION)
        context |= {"can_cancel": may_cancel, "cancel_url": cancel_url, "messages_url": messages_url}
    elif not request.user.is_authenticated:
        context["sign_in_url"] = f"{reverse('account_login')}?{urlencode({'next': cancel_url})}"
    return render(request, "retention/delete_status.html", context)


@customer_page
@for_roles(Part.DELETION)
def cancel(request: HttpRequest, reference: str) -> HttpResponse:
    """Show what cancelling brings back, and cancel; once cancelled, say so; after the window, say when it ended."""
    account = account_of(request)
    asked = get_object_or_404(DeletionRequest, account=account, reference=reference)
    if request.method == "POST":
        try:
            cancelling.cancel(asked.pk, by=customer(request))
        except NotActionable:
            late = {**pages.cancel_context(asked, account), "in_time": False}
            return render(request, "retention/delete_cancel.html", late, status=409)
        return redirect("retention:delete_cancel", reference=asked.reference)
    if asked.cancelled_at is None:
        return render(request, "retention/delete_cancel.html", pages.cancel_context(asked, account))
    if account.state != State.ACTIVE:
        return _to_status(asked)
    context = {"deletion": asked, "comes_back": pages.running_services(account)}
    return render(request, "retention/delete_cancelled.html", context)


@customer_page
def reopen(request: HttpRequest) -> HttpResponse:
    """Open an account again that was closed without a request; where there is one, lead to its status or its end.

    This page is such a deletion's status too, so every member reads it; only owners are given the button.
    """
    account = account_of(request)
    if account.state == State.ACTIVE:
        return redirect("overview")
    may_reopen = members.may_open(customer(request), Part.DELETION)
    asked = DeletionRequest.objects.open().filter(account=account).first()
    if asked is not None:
        return redirect("retention:delete_cancel", reference=asked.reference) if may_reopen else _to_status(asked)
    if request.method == "POST":
        if not may_reopen:
            return not_for_role(request, Part.DELETION)
        cancelling.reopen(account.pk, by=customer(request))
        messages.success(request, _("Your account is open again. We sent you a mail about it."))
        return redirect("overview")
    context = {"due_at": account.due_at, "may_reopen": may_reopen, "owners": members.owner_names(account.pk)}
    return render(request, "retention/delete_reopen.html", context)


def _made_by_this_form(request: HttpRequest, account: Account) -> DeletionRequest | None:
    try:
        submission = CheckForm.base_fields["submission"].clean(request.POST.get("submission"))
    except ValidationError:
        return None
    return DeletionRequest.objects.filter(account=account, submission=submission).first()


def _to_status(asked: DeletionRequest) -> HttpResponse:
    return redirect("retention:delete_status", reference=asked.reference)


def _is_of(request: HttpRequest, account: Account) -> bool:
    return isinstance(request.user, User) and request.user.account_id == account.pk


def _stranger(request: HttpRequest) -> HttpResponse:
    """Answer alike for what never was and what is somebody else's: sign in, or there is no page here."""
    if request.user.is_authenticated:
        raise Http404("No such deletion of this account.")
    return redirect_to_login(request.get_full_path())


def _ticket_url(asked: DeletionRequest) -> str:
    own = Ticket.objects.shown().filter(pk=asked.ticket, account=asked.account_id)
    ticket = own.only("reference").first()
    return reverse("accounts:ticket", args=[ticket.reference]) if ticket else ""
