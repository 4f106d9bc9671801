"""The API of provisioning: it makes services, gives them addresses, ends those, and reads an account's services (P10).

An account is named by its number, a service and an assignment by its id; an address stands in bodies only, never in a
URL. That an address is held by somebody else is a 409 which names nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import assigning, provisioning
from accounts.api_base import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    PAGE_PARAMETERS,
    PROBLEMS,
    ApiView,
    account_numbered,
    asked,
    linked,
    page_of,
    rows_of_page,
    system,
    taken,
)
from accounts.api_parsing import Problem, UnreadableParameter
from accounts.api_service_shapes import AddressAssigned, AddressEnding, NewAddress, NewService, ServiceMade, ServiceOut
from accounts.api_tokens import Caller
from accounts.datamap import Category
from accounts.idempotency import Answer, made_under, once
from accounts.keys.keyring import keyring
from accounts.models import Account, IpAssignment, Service
from accounts.registering import NUMBER
from accounts.safeguards import ledger

# Addresses shown with a service; a network counts as one, and the pages of the portal show all.
ADDRESSES = 50
OF_ACCOUNT = OpenApiParameter(
    "account", ACCOUNT.type, OpenApiParameter.QUERY, required=True, description=ACCOUNT.description
)


class Services(ApiView):
    """`GET` and `POST /api/v1/services/`."""

    required_scope: ClassVar[dict[str, str]] = {"GET": "services:read", "POST": "services:write"}

    @extend_schema(
        operation_id="list_services",
        summary="Read the services of an account, newest first",
        parameters=[OF_ACCOUNT, *PAGE_PARAMETERS],
        responses={200: page_of(ServiceOut), 404: OpenApiResponse(Problem, "There is no account with this number.")},
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's services with the addresses they hold now."""
        caller, account = system(request), _account_asked(request)
        # Past the due date there is nothing to administer, and what may still be there is nobody's to learn (S4).
        there = Service.objects.filter(account=account)
        there = there if account.may_sign_in(timezone.now()) else there.none()
        with keyring():
            found, newer, older = rows_of_page(request, there, time="started_at")
            held = _held([service.pk for service in found], account)
            results = [_service(service, account, held.get(service.pk, [])) for service in found]
        _note_reading(caller, account)
        return linked(request, results, newer, older)

    @extend_schema(
        operation_id="make_service",
        summary="Make a service",
        parameters=[IDEMPOTENCY_KEY],
        request=NewService,
        responses={201: ServiceMade, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Make a service of an active account."""
        caller, fields = system(request), taken(NewService, request)
        return once(request, caller.pk, lambda: _make(caller, made_under(request, caller.pk), fields))


class Addresses(ApiView):
    """`POST /api/v1/services/<id>/addresses/`."""

    required_scope = "services:write"

    @extend_schema(
        operation_id="assign_address",
        summary="Assign an address or network to a service",
        parameters=[IDEMPOTENCY_KEY],
        request=NewAddress,
        responses={201: AddressAssigned, **PROBLEMS},
    )
    def post(self, request: Request, service: UUID) -> Response:
        """Assign it from a moment on; one that the service holds just so stays as it is."""
        caller, fields = system(request), taken(NewAddress, request)
        return once(request, caller.pk, lambda: _assign(caller, service, fields))


class EndAddress(ApiView):
    """`POST /api/v1/addresses/<id>/end/`."""

    required_scope = "services:write"

    @extend_schema(
        operation_id="end_address",
        summary="End an assignment",
        parameters=[IDEMPOTENCY_KEY],
        request=AddressEnding,
        responses={200: AddressAssigned, **PROBLEMS},
    )
    def post(self, request: Request, assignment: UUID) -> Response:
        """End it at a moment; the address is free from then on."""
        caller, fields = system(request), taken(AddressEnding, request)
        return once(request, caller.pk, lambda: _end(caller, assignment, fields))


def _account_asked(request: Request) -> Account:
    number = asked(request, account=NUMBER.pattern).get("account")
    if number is None:
        raise UnreadableParameter("account", "Give the account number, nine digits.")
    return account_numbered(number)


def _make(caller: Caller, service_id: UUID, fields: dict[str, Any]) -> Answer:
    account = account_numbered(fields["account"])
    terms = provisioning.Terms(
        **{
            name: fields[name]
            for name in ("plan", "monthly_cents", "started_at", "term_ends_at", "paid_until", "stops_at")
        }
    )
    service = provisioning.provision(
        account.pk, fields["name"], terms, by=caller.actor, order=fields["order"], service_id=service_id
    )
    return 201, dict(ServiceMade(_facts(service, account)).data)


def _assign(caller: Caller, service_id: UUID, fields: dict[str, Any]) -> Answer:
    if not Service.objects.filter(pk=service_id).exists():
        raise NotFound("There is no service with this id.")
    return 201, _assigned(assigning.assign(service_id, fields["address"], by=caller.actor, at=fields["at"]))


def _end(caller: Caller, assignment_id: UUID, fields: dict[str, Any]) -> Answer:
    known = IpAssignment.objects.filter(pk=assignment_id).first()
    if known is None:
        raise NotFound("There is no assignment with this id.")
    if known.ended_at is not None and fields["at"] is None:
        return 200, _assigned(known)
    return 200, _assigned(assigning.end(assignment_id, by=caller.actor, at=fields["at"]))


def _assigned(row: IpAssignment) -> dict[str, Any]:
    facts = {"id": row.pk, "service": row.service, "assigned_at": row.assigned_at, "ended_at": row.ended_at}
    return dict(AddressAssigned(facts).data)


def _facts(service: Service, account: Account) -> dict[str, Any]:
    return {"id": service.pk, "account": account.number, "plan": service.plan, "started_at": service.started_at}


def _service(service: Service, account: Account, held: Sequence[IpAssignment]) -> dict[str, Any]:
    more = {name: getattr(service, name) for name in ("name", "monthly_cents", "term_ends_at", "paid_until")}
    rows = [{"id": row.pk, "address": row.address, "assigned_at": row.assigned_at} for row in held]
    facts = {**_facts(service, account), **more, "stops_at": service.ends_at, "addresses": rows}
    return dict(ServiceOut(facts).data)


def _held(services: list[UUID], account: Account) -> dict[UUID, list[IpAssignment]]:
    """Return what services hold now, by service; of each no more than are shown."""
    found: dict[UUID, list[IpAssignment]] = {}
    for row in IpAssignment.objects.held(timezone.now()).filter(account=account).first_of(services, ADDRESSES):
        found.setdefault(row.service, []).append(row)
    return found


def _note_reading(caller: Caller, account: Account) -> None:
    categories = sorted([Category.SERVICES.value, Category.NETWORK.value])
    ledger.record(caller.actor, "api.read", account.pk, categories=categories)
