"""Privacy requests without a sign-in: asking, the code, the status, messages, withdrawing (pages.md, 14).

Whoever asks gets one answer in one time, customer or stranger. What was typed stands in no address, no session and no
log. Attempts are limited by address and by what was typed; there is no puzzle.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.doors import is_too_often, public_page, too_often
from accounts.safeguards.finding import normalised
from retention import asking, conversing, deciding, following, proving, request_clocks, request_following, request_pages
from retention.models import PrivacyRequest
from retention.request_forms import AgentForm, EnterForm, MessageForm, PersonForm


@public_page
def start(request: HttpRequest) -> HttpResponse:
    """Show what can be asked for without a sign-in."""
    return render(request, "retention/request_public.html", {"choices": request_pages.choices(signed_in=False)})


@public_page
def ask(request: HttpRequest, right: str) -> HttpResponse:
    """Ask for one right for oneself."""
    return _ask(request, right, PersonForm)


@public_page
def ask_agent(request: HttpRequest, right: str) -> HttpResponse:
    """Ask for one right for somebody else, with a signed permission."""
    return _ask(request, right, AgentForm)


def _ask(request: HttpRequest, right: str, form_class: type[PersonForm]) -> HttpResponse:
    if right not in request_pages.RIGHTS:
        raise Http404("No such right.")
    form = form_class(right, request.POST or None, request.FILES or None)
    if request.method == "POST":
        typed = normalised("email", request.POST.get("email", "")[:254])
        if is_too_often(request, "ask_request", key=typed):
            return too_often(request)
        if form.is_valid() and (made := _made(form)) is not None:
            request_following.note_reference(request, made)
            words = _("We have your request %(reference)s. A mail with a code is on the way to the address you gave.")
            messages.success(request, words % {"reference": made.reference})
            return redirect("retention:ask_find")
    heading, lead = request_pages.RIGHTS[right]
    context = {
        "form": form,
        "heading": heading,
        "lead": lead,
        "right": right,
        "is_agent": form_class is AgentForm,
        "needed": proving.needed(right),
        "expected_by": request_clocks.expected_by(right, "ccpa", timezone.now()),
    }
    return render(request, "retention/request_public_ask.html", context)


def _made(form: PersonForm) -> PrivacyRequest | None:
    try:
        return asking.ask(form.wish(), form.person(), submission=form.cleaned_data["submission"])
    except ValidationError as error:
        form.add_error(None, error.messages)
        return None


@public_page
def find(request: HttpRequest) -> HttpResponse:
    """Prove the address or open the status by reference and code; every wrong pair gets one answer."""
    form = EnterForm(request.POST or None, initial={"reference": request_following.last_reference(request)})
    if request.method == "POST":
        typed = following.tidy(request.POST.get("reference", ""))
        if is_too_often(request, "find_request", key=typed):
            return too_often(request)
        if form.is_valid():
            asked = proving.enter(form.cleaned_data["reference"], form.cleaned_data["code"])
            if asked is not None:
                request_following.remember(request, asked)
                return redirect("retention:ask_status", reference=asked.reference)
            form.add_error(None, _("This reference and this code do not match, or the code was used or has ended."))
    return render(request, "retention/request_find.html", {"form": form})


@public_page
def status(request: HttpRequest, reference: str) -> HttpResponse:
    """Show a request to whoever gave its code, and add their message to it."""
    asked = _remembered(request, reference)
    if asked is None:
        return redirect("retention:ask_find")
    form = MessageForm(request.POST or None) if asked.decided_at is None else None
    if request.method == "POST" and form is not None and form.is_valid():
        if is_too_often(request, "write_request", key=asked.reference):
            return too_often(request)
        given = form.cleaned_data
        conversing.write(asked.pk, by=None, body=given["body"], submission=given["submission"])
        messages.success(request, _("We have your message."))
        return redirect("retention:ask_status", reference=asked.reference)
    context: dict[str, Any] = {**request_pages.shown(asked), "form": form, "signed_in": False, "export_url": ""}
    return render(request, "retention/request.html", context)


@public_page
def withdraw(request: HttpRequest, reference: str) -> HttpResponse:
    """Ask once more, and withdraw the request, for whoever gave its code."""
    asked = _remembered(request, reference)
    if asked is None:
        return redirect("retention:ask_find")
    if request.method == "POST":
        deciding.withdraw(asked.pk, by=None)
        messages.success(request, _("You withdrew this request. Nothing more follows from it."))
        return redirect("retention:ask_status", reference=asked.reference)
    if asked.decided_at is not None:
        return redirect("retention:ask_status", reference=asked.reference)
    return render(request, "retention/request_withdraw.html", {**request_pages.listed(asked), "signed_in": False})


def _remembered(request: HttpRequest, reference: str) -> PrivacyRequest | None:
    """Return the request this browser gave the code of; nothing for unknown references and other people's alike."""
    asked = PrivacyRequest.objects.filter(reference=reference, account=None).defer("permission").first()
    return asked if asked is not None and request_following.is_remembered(request, asked) else None
