"""The public pages on how the policy is kept, and on the agent for copyright notices."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.doors import public_page
from disclosures import clauses
from disclosures.copyright_agent import agent


@public_page
def how(request: HttpRequest) -> HttpResponse:
    """Show one row per clause of the policy, with what the software does."""
    return render(request, "disclosures/how.html", {"rows": list(clauses.rows())})


@public_page
def copyright_agent(request: HttpRequest) -> HttpResponse:
    """Name the designated agent, or say that there is none (17 USC 512(c)(2))."""
    named = agent()
    past = named is not None and named.is_past(timezone.localdate())
    return render(request, "disclosures/copyright_agent.html", {"agent": named, "past": past})
