"""The public page on how the policy is kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.doors import public_page
from disclosures import clauses


@public_page
def how(request: HttpRequest) -> HttpResponse:
    """Show one row per clause of the policy, with what the software does."""
    return render(request, "disclosures/how.html", {"rows": list(clauses.rows())})
