"""Services: what runs, until when, and the addresses each one holds and held (P10).

Everything is looked up among the signed-in account's own rows: what belongs to somebody else is not there (404), like
what never was. Nothing is changed here.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from accounts.doors import account_of, customer_page, for_roles
from accounts.members import Part
from accounts.models import Account, IpAssignment, Service, Suspension

ENTRIES_A_PAGE = 25
# Addresses named beside a service in the list; its own page has all.
NAMED = 3


@customer_page
@for_roles(Part.SERVICES)
def services(request: HttpRequest) -> HttpResponse:
    """Show the account's services, newest first, with the addresses they hold now."""
    account, now = account_of(request), timezone.now()
    found = Service.objects.filter(account=account).order_by("-started_at", "-pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    held: dict[UUID, list[Any]] = {}
    for row in IpAssignment.objects.held(now).filter(account=account).first_of([one.pk for one in shown], NAMED):
        held.setdefault(row.service, []).append(row)
    suspended = _suspended(account)
    rows = [_row(service, held.get(service.pk, []), suspended, now) for service in shown]
    return render(request, "accounts/services.html", {"page": page, "rows": rows})


@customer_page
@for_roles(Part.SERVICES)
def service(request: HttpRequest, service_id: UUID) -> HttpResponse:
    """Show one service with its addresses over time and whether it is suspended."""
    account, now = account_of(request), timezone.now()
    found = get_object_or_404(Service, account=account, pk=service_id)
    assigned = IpAssignment.objects.filter(account=account, service=found.pk).order_by("-assigned_at", "-pk")
    both = Q(service=None) | Q(service=found.pk)
    suspensions = Suspension.objects.standing().filter(both, account=account).order_by("placed_at", "pk")
    context = {
        "service": found,
        "state": _state(found, bool(suspensions), now),
        "suspensions": suspensions,
        "page": Paginator(assigned, ENTRIES_A_PAGE).get_page(request.GET.get("page")),
        "now": now,
    }
    return render(request, "accounts/service.html", context)


def _suspended(account: Account) -> set[UUID | None]:
    """Return the services that are suspended; None stands for all of them."""
    return set(Suspension.objects.standing().filter(account=account).values_list("service", flat=True))


def _row(service: Service, held: list[Any], suspended: set[UUID | None], now: dt.datetime) -> dict[str, Any]:
    total = held[0].total if held else 0
    return {
        "service": service,
        "state": _state(service, bool(suspended & {None, service.pk}), now),
        "addresses": [row.address for row in held],
        "more": total - len(held),
    }


def _state(service: Service, is_suspended: bool, now: dt.datetime) -> str:
    if service.ends_at is not None and service.ends_at <= now:
        return "stopped"
    return "suspended" if is_suspended else "running"
