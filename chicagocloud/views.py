"""The overview, which reads from every room, and the page for what nobody foresaw."""

from __future__ import annotations

import datetime as dt
import sys
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.defaults import page_not_found
from redis.exceptions import RedisError

from accounts import datamap, paying
from accounts.api_parsing import PROBLEM, problem
from accounts.doors import account_of, customer_page, public_page
from accounts.models import AccessEvent, Account, Ticket, User
from retention import schedule

AWAY = (InterfaceError, OperationalError, RedisError)
API = "/api/"
MOST_TASKS = 20


@public_page
def overview(request: HttpRequest) -> HttpResponse:
    """Send staff to their work, everybody else to their own overview."""
    if isinstance(request.user, User) and request.user.is_staff:
        return redirect("admin:index")
    return _customers_overview(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 when a database or Redis is away, else 500; made without session and database, naming no cause."""
    status = HTTPStatus(503 if isinstance(sys.exc_info()[1], AWAY) else 500)
    if request.path_info.startswith(API):
        return _problem(status, "The portal cannot do this just now. Repeat it later with the same Idempotency-Key.")
    return HttpResponse(render_to_string(f"{status.value}.html"), status=status.value)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 to what cannot be read; nothing that was sent is repeated."""
    if request.path_info.startswith(API):
        return _problem(HTTPStatus.BAD_REQUEST, "The request cannot be read; nothing was done.")
    return HttpResponse(render_to_string("400.html"), status=HTTPStatus.BAD_REQUEST)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: the portal's page, and problem details to another system."""
    if request.path_info.startswith(API):
        return _problem(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
    return page_not_found(request, exception)


def _problem(status: HTTPStatus, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, detail=detail), status=status.value, content_type=PROBLEM)


@customer_page
def _customers_overview(request: HttpRequest) -> HttpResponse:
    account = account_of(request)
    context = {
        "account_number": account.number,
        "tasks": _tasks(account),
        "last_sign_in": _sign_in_before(account, timezone.now()),
        "open_tickets": Ticket.objects.shown().filter(account=account).exclude(state=Ticket.State.CLOSED).count(),
    }
    return render(request, "accounts/overview.html", context)


def _tasks(account: Account) -> list[dict[str, Any]]:
    """Return what needs the customer, nearest deadline first."""
    bills = [
        {
            "kind": "invoice",
            "number": invoice.number,
            "cents": cents,
            "currency": invoice.currency,
            "due_at": invoice.due_at,
            "url": reverse("accounts:invoice", args=[invoice.number]),
        }
        for invoice, cents in paying.owed(account.pk)[:MOST_TASKS]
    ]
    answered = Ticket.objects.shown().filter(account=account, state=Ticket.State.ANSWERED).only("reference")
    replies = [
        {
            "kind": "reply",
            "reference": ticket.reference,
            "due_at": None,
            "url": reverse("accounts:ticket", args=[ticket.reference]),
        }
        for ticket in answered.order_by("pk")[:MOST_TASKS]
    ]
    return bills + replies


def _sign_in_before(account: Account, now: dt.datetime) -> AccessEvent | None:
    """Return the sign-in before the latest one, as far back as the schedule keeps them (silence.md, S7)."""
    kept = datamap.shown(AccessEvent, account.pk, schedule.cutoffs(now))
    latest = list(kept.filter(kind=AccessEvent.Kind.SIGN_IN).only("at").order_by("-at")[:2])
    return latest[1] if len(latest) > 1 else None
