"""How to reach a person."""

from __future__ import annotations

from email.utils import parseaddr

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.doors import public_page


@public_page
def help_page(request: HttpRequest) -> HttpResponse:
    """Show how to reach a person and what customers can do themselves."""
    _name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return render(request, "accounts/help.html", {"contact_email": address})
