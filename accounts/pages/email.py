"""Changing an e-mail address: what it is, the new one, the codes, and "this was not me".

The links in both mails open a page and do nothing else. How long the codes are good is the schedule's: the room above
routes `ask` with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import changing_email, members
from accounts.changing_email import MOST_TRIES, WrongCode
from accounts.doors import account_of, customer, customer_page, for_roles, fresh, is_too_often, public_page, too_often
from accounts.members import Part
from accounts.models import Contact, EmailChange
from accounts.people_forms import CodesForm, NewEmailForm, StopForm
from accounts.registering import NameTaken

Lasts = Callable[[], dt.timedelta]


@customer_page
def email(request: HttpRequest) -> HttpResponse:
    """Show the address somebody signs in with, and a change of theirs that waits for its codes."""
    user = customer(request)
    waiting = changing_email.open_changes(account_of(request).pk, timezone.now()).filter(asked_by=user.pk)
    context = {
        "address": members.addresses([user.pk]).get(user.pk, ""),
        "waiting": waiting.order_by("-asked_at", "-pk").first(),
    }
    return render(request, "accounts/email/show.html", context)


@customer_page
@fresh
def ask(request: HttpRequest, lasts: Lasts) -> HttpResponse:
    """Ask for the new address of whoever is signed in, and send both codes."""
    own = members.addresses([customer(request).pk]).get(customer(request).pk, "")
    return _ask(request, own, None, lasts)


@customer_page
@for_roles(Part.CONTACTS)
@fresh
def ask_for_contact(request: HttpRequest, contact: UUID, lasts: Lasts) -> HttpResponse:
    """Ask for the new address of the owner contact, and send both codes."""
    owner = Contact.objects.owners([account_of(request).pk])
    found = get_object_or_404(owner, pk=contact)
    return _ask(request, found.email, found.pk, lasts)


@customer_page
def codes(request: HttpRequest, change: UUID) -> HttpResponse:
    """Take the codes of both mails, and show how the change stands."""
    found = _change(request, change)
    form = CodesForm(request.POST or None, missing=_missing(found))
    is_open = _is_open(found)
    if request.method == "POST" and is_open:
        if is_too_often(request, "type_code", key=str(found.pk)):
            return too_often(request)
        if form.is_valid() and _confirmed(request, found, form):
            return redirect("accounts:email_codes", change=found.pk)
        found.refresh_from_db()
        is_open = _is_open(found)
    context = {
        "form": form if is_open else None,
        "change": found,
        "is_open": is_open,
        "left": MOST_TRIES - found.tries,
    }
    return render(request, "accounts/email/codes.html", context)


@customer_page
def withdraw(request: HttpRequest, change: UUID) -> HttpResponse:
    """End a change, for who asked; looking at the address leads back to it."""
    found = _change(request, change)
    if request.method == "POST":
        changing_email.withdraw(found.pk, by=customer(request))
    return redirect("accounts:email_codes", change=found.pk)


@public_page
def stop(request: HttpRequest, change: UUID) -> HttpResponse:
    """End a change by the code of either mail, without sign-in; every wrong pair gets one answer."""
    form, is_stopped = StopForm(request.POST or None), False
    if request.method == "POST":
        if is_too_often(request, "type_code", key=str(change)):
            return too_often(request)
        if form.is_valid():
            is_stopped = changing_email.stop(change, form.cleaned_data["code"])
            if not is_stopped:
                words = _("This code stops no change of an address. Check it in the mail and try again.")
                form.add_error("code", words)
    return render(request, "accounts/email/stop.html", {"form": form, "is_stopped": is_stopped})


def _ask(request: HttpRequest, address: str, contact: UUID | None, lasts: Lasts) -> HttpResponse:
    form = NewEmailForm(request.POST or None)
    if request.method == "POST":
        if is_too_often(request, "change_email", user=customer(request)):
            return too_often(request)
        if form.is_valid():
            try:
                change = changing_email.ask(
                    account_of(request).pk,
                    by=customer(request),
                    email=form.cleaned_data["email"],
                    lasts=lasts(),
                    submission=form.cleaned_data["submission"],
                    contact=contact,
                )
            except ValidationError as refusal:
                form.add_error("email", refusal)
            else:
                return redirect("accounts:email_codes", change=change.pk)
    back = reverse("accounts:contacts" if contact else "accounts:email")
    return render(request, "accounts/email/ask.html", {"form": form, "address": address, "back_url": back})


def _change(request: HttpRequest, pk: UUID) -> EmailChange:
    return get_object_or_404(EmailChange, pk=pk, account=account_of(request), asked_by=customer(request).pk)


def _is_open(change: EmailChange) -> bool:
    ended = change.done_at or change.withdrawn_at
    return ended is None and change.tries < MOST_TRIES and timezone.now() < change.ends_at


def _missing(change: EmailChange) -> tuple[str, ...]:
    given = {"old_code": change.old_confirmed_at, "new_code": change.new_confirmed_at}
    return tuple(name for name, at in given.items() if at is None)


def _confirmed(request: HttpRequest, change: EmailChange, form: CodesForm) -> bool:
    """Give the typed codes to the act; what it refuses goes on the form."""
    given = form.cleaned_data
    typed = {name: given.get(name, "") for name in ("old_code", "new_code")}
    try:
        changing_email.confirm(change.pk, by=customer(request), **typed, request=request)
    except (WrongCode, NameTaken) as refusal:
        form.add_error(None, str(refusal))
        return False
    return True
