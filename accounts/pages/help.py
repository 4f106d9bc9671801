"""How to reach a person, and how everybody can use the pages."""

from __future__ import annotations

from email.utils import parseaddr

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.doors import public_page


@public_page
def help_page(request: HttpRequest) -> HttpResponse:
    """Show how to reach a person and what customers can do themselves."""
    return render(request, "accounts/help.html", {"contact_email": _address()})


@public_page
def accessibility(request: HttpRequest) -> HttpResponse:
    """State what the pages aim for, how that is checked, what is missing, and whom to tell."""
    return render(request, "accounts/accessibility.html", {"contact_email": _address()})


def _address() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
