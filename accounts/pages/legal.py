"""The legal texts, for everybody to read and print, and accepting the current ones.

Nothing is ticked beforehand. A form accepts the versions it showed: once there is a newer one, it is shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import legal_texts, recording
from accounts.doors import customer, customer_page, public_page
from accounts.legal_texts import LegalText


class AcceptForm(forms.Form):
    """A tick for each text that is not accepted yet."""

    def __init__(self, texts: Sequence[LegalText], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for text in texts:
            self.fields[text.name] = forms.BooleanField(
                label=text.tick, error_messages={"required": gettext_lazy("Read this text, then tick that you did.")}
            )


@public_page
def texts(request: HttpRequest) -> HttpResponse:
    """List the documents with their current versions."""
    return render(request, "accounts/legal.html", {"texts": legal_texts.current()})


@public_page
def current(request: HttpRequest, document: str) -> HttpResponse:
    """Lead to the current version of a document."""
    known = legal_texts.versions(document)
    if not known:
        raise Http404("There is no such document.")
    return redirect("accounts:legal_text", document=document, version=known[0].version)


@public_page
def text(request: HttpRequest, document: str, version: str) -> HttpResponse:
    """Show one version of a document, made to be printed, and what other versions there are."""
    shown = legal_texts.find(document, version)
    if shown is None:
        raise Http404("There is no such version of a document.")
    known = legal_texts.versions(document)
    context = {"text": shown, "versions": known, "is_current": shown == known[0]}
    return render(request, "accounts/legal_text.html", {**context, "language": legal_texts.BINDING_LANGUAGE})


@customer_page
def accept(request: HttpRequest) -> HttpResponse:
    """Ask the signed-in user to accept what is not accepted yet, and record it."""
    user = customer(request)
    missing = legal_texts.unaccepted(user)
    form = AcceptForm(missing, request.POST or None)
    if request.method == "POST" and form.is_valid():
        ip, _browser = recording.origin(request)
        if legal_texts.accept(user, missing, ip=ip):
            messages.success(request, _("We noted that you accept these texts."))
        return redirect("overview")
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "accounts/legal_accept.html", {"form": form, "texts": missing}, status=status)
