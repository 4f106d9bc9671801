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
from django.utils.translation import gettext_lazy as _
from django.views.defaults import page_not_found
from redis.exceptions import RedisError

from accounts import datamap, legal_texts, paying
from accounts.api_parsing import PROBLEM, problem
from accounts.doors import account_of, customer, customer_page, public_page
from accounts.members import Part, may_open
from accounts.models import AccessEvent, Account, Ticket, User
from disclosures.models import AbuseNotice, Instrument, ToldNotice
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
    account, user = account_of(request), customer(request)
    context = {
        "account_number": account.number,
        "tasks": _tasks(account, user),
        "last_sign_in": _sign_in_before(user, timezone.now()),
        "places": [(title, shown) for title, places in PLACES if (shown := _open_to(user, places))],
    }
    return render(request, "accounts/overview.html", context)


# Where an overview leads: a title, and under it each page with the part of the account it belongs to.
PLACES: tuple[tuple[Any, tuple[tuple[str, Any, Part | None], ...]], ...] = (
    (
        _("Your account"),
        (
            ("accounts:services", _("Services"), Part.SERVICES),
            ("accounts:orders", _("Orders"), Part.ORDERS),
            ("accounts:invoices", _("Invoices"), Part.INVOICES),
            ("accounts:contacts", _("Contacts and addresses"), Part.BILLING_CONTACTS),
            ("accounts:members", _("Members"), Part.MEMBERS),
            ("accounts:tickets", _("Conversations with support"), Part.TICKETS),
            ("disclosures:abuse_notices", _("Notices about your services"), Part.NOTICES),
            ("accounts:messages", _("Mails we sent"), Part.MESSAGES),
        ),
    ),
    (
        _("Your data"),
        (
            ("retention:data", _("What we hold"), Part.DATA),
            ("disclosures:activity", _("Who looked at it"), Part.DATA),
            ("retention:exports", _("Get a copy"), Part.EXPORT),
            ("retention:requests", _("Privacy requests"), Part.REQUESTS),
            ("disclosures:consent", _("Consent"), Part.CONSENT),
            ("disclosures:notices", _("Legal requests"), Part.DATA),
            ("accounts:business", _("Business information"), Part.BUSINESS),
            ("accounts:confidential", _("Confidential information"), Part.CONFIDENTIAL),
            ("retention:delete_start", _("Delete your account"), Part.DELETION),
        ),
    ),
    (
        _("Your sign-in"),
        (
            ("accounts:email", _("Your e-mail address"), None),
            ("mfa_index", _("Sign-in and security"), None),
            ("accounts:sessions", _("Where you are signed in"), None),
            ("accounts:tokens", _("API tokens"), Part.TOKENS),
            ("accounts:settings", _("Settings"), None),
            ("accounts:leave", _("Leave this account"), None),
        ),
    ),
)


def _open_to(user: User, places: tuple[tuple[str, Any, Part | None], ...]) -> list[tuple[str, Any]]:
    return [(reverse(name), label) for name, label, part in places if part is None or may_open(user, part)]


def _tasks(account: Account, user: User) -> list[dict[str, Any]]:
    """Return what needs this member of the account, nearest deadline first."""
    tasks = []
    if legal_texts.unaccepted(user):
        tasks.append({"kind": "legal", "due_at": None, "url": reverse("accounts:legal_accept")})
    if may_open(user, Part.INVOICES):
        tasks += _bills(account)
    if may_open(user, Part.TICKETS):
        tasks += _replies(account)
    if may_open(user, Part.NOTICES):
        tasks += _abuse_notices(account)
    if may_open(user, Part.DATA):
        tasks += _notices(account)
    # What has a day comes first; the sort keeps the order of what has none.
    return sorted(
        tasks, key=lambda task: (task["due_at"] is None, task["due_at"] or dt.datetime.max.replace(tzinfo=dt.UTC))
    )


def _bills(account: Account) -> list[dict[str, Any]]:
    return [
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


def _replies(account: Account) -> list[dict[str, Any]]:
    answered = Ticket.objects.shown().filter(account=account, state=Ticket.State.ANSWERED).only("reference")
    return [
        {
            "kind": "reply",
            "reference": ticket.reference,
            "due_at": None,
            "url": reverse("accounts:ticket", args=[ticket.reference]),
        }
        for ticket in answered.order_by("pk")[:MOST_TASKS]
    ]


def _notices(account: Account) -> list[dict[str, Any]]:
    told = ToldNotice.objects.filter(account=account, challenged_at=None, release_from__gt=timezone.now())
    return [
        {
            "kind": "notice",
            "reference": notice.reference,
            "due_at": notice.release_from,
            "waits": notice.given_at is None and notice.instrument != Instrument.EMERGENCY,
            "url": reverse("disclosures:notice", args=[notice.reference]),
        }
        for notice in told.order_by("release_from", "pk")[:MOST_TASKS]
    ]


def _abuse_notices(account: Account) -> list[dict[str, Any]]:
    open_now = AbuseNotice.objects.unanswered().filter(account=account)
    return [
        {
            "kind": "abuse",
            "reference": notice.reference,
            "due_at": notice.act_by,
            "is_suspended": notice.is_suspended,
            "url": reverse("disclosures:abuse_notice", args=[notice.reference]),
        }
        for notice in open_now.order_by("act_by", "pk")[:MOST_TASKS]
    ]


def _sign_in_before(user: User, now: dt.datetime) -> AccessEvent | None:
    """Return the user's sign-in before the latest one, as far back as the schedule keeps them (silence.md, S7)."""
    assert user.account_id is not None  # noqa: S101 - a customer page
    kept = datamap.shown(AccessEvent, user.account_id, schedule.cutoffs(now))
    latest = list(kept.filter(kind=AccessEvent.Kind.SIGN_IN, user=user.pk).only("at").order_by("-at")[:2])
    return latest[1] if len(latest) > 1 else None
