"""The API of provisioning: it makes services, gives them addresses, ends those, and reads an account's services (P10).

An account is named by its number, a service and an assignment by its id; an address stands in bodies only, never in a
URL. That an address is held by somebody else is a 409 which names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import assigning, provisioning
from accounts.api_parsing import Problem, RefusesUnknownFields
from accounts.api_service_shapes import (
    AddressAssigned,
    AddressEnding,
    NewAddress,
    NewService,
    ServiceList,
    ServiceMade,
    ServiceOut,
)
from accounts.api_tokens import Caller
from accounts.datamap import Category
from accounts.idempotency import HEADER, Answer, once
from accounts.keys.keyring import keyring
from accounts.models import Account, IpAssignment, Service
from accounts.registering import NUMBER
from accounts.safeguards import ledger
from accounts.safeguards.finding import derived_key

READ, WRITE = "services:read", "services:write"
# Addresses shown with a service; a network counts as one, and the pages of the portal show all.
ADDRESSES = 50


class ServicePages(CursorPagination):
    """Pages by cursor: what is added meanwhile moves nothing."""

    page_size = 50
    ordering = ("started_at", "pk")


IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="New for each write, the same for its repeats.",
)
ACCOUNT = OpenApiParameter("account", str, required=True, description="The account number, nine digits.")
CURSOR = OpenApiParameter("cursor", str, description="Where a page goes on; from `next` of the one before.")
PROBLEMS: dict[int, Any] = {
    401: OpenApiResponse(Problem, "No live token."),
    403: OpenApiResponse(Problem, "The token does not carry the scope."),
    404: OpenApiResponse(Problem, "There is no such account, service or assignment."),
    422: OpenApiResponse(Problem, "A field has a value it cannot have, or the key was used with another body."),
}
PROBLEMS_OF_WRITES: dict[int, Any] = {
    400: OpenApiResponse(Problem, "The body is no strict JSON, or names an unknown field."),
    409: OpenApiResponse(Problem, "The state of things does not allow it; the detail names the way out."),
    413: OpenApiResponse(Problem, "The body is too large."),
    **PROBLEMS,
}


class ServicesView(APIView):
    """Common part: reading and writing are two scopes."""

    @property
    def required_scope(self) -> str:
        """The scope that the method of this request needs."""
        return READ if self.request.method in SAFE_METHODS else WRITE


class Services(ServicesView):
    """`GET` and `POST /api/v1/services/`."""

    @extend_schema(
        operation_id="list_services",
        summary="Read the services of an account",
        parameters=[ACCOUNT, CURSOR],
        responses={200: ServiceList, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's services with the addresses they hold now."""
        account = _account(request.query_params.get("account", ""))
        pages = ServicePages()
        # Past the due date there is nothing to administer, and what may still be there is nobody's to learn (S4).
        there = (
            Service.objects.filter(account=account) if account.may_sign_in(timezone.now()) else Service.objects.none()
        )
        with keyring():
            found = pages.paginate_queryset(there, request, view=self) or []
            held = _held([service.pk for service in found], account)
            results = [_service(service, account, held.get(service.pk, [])) for service in found]
        _note_reading(_caller(request), account)
        return Response({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})

    @extend_schema(
        operation_id="make_service",
        summary="Make a service",
        parameters=[IDEMPOTENCY_KEY],
        request=NewService,
        responses={201: ServiceMade, **PROBLEMS_OF_WRITES},
    )
    def post(self, request: Request) -> Response:
        """Make a service of an active account."""
        caller, fields = _caller(request), _fields(NewService, request)
        service_id = _id_of(caller, request.headers.get(HEADER, ""))
        return once(request, caller.pk, lambda: _make(caller, service_id, fields))


class Addresses(ServicesView):
    """`POST /api/v1/services/<id>/addresses/`."""

    @extend_schema(
        operation_id="assign_address",
        summary="Assign an address or network to a service",
        parameters=[IDEMPOTENCY_KEY],
        request=NewAddress,
        responses={201: AddressAssigned, **PROBLEMS_OF_WRITES},
    )
    def post(self, request: Request, service: UUID) -> Response:
        """Assign it from a moment on; one that the service holds just so stays as it is."""
        caller, fields = _caller(request), _fields(NewAddress, request)
        return once(request, caller.pk, lambda: _assign(caller, service, fields))


class EndAddress(ServicesView):
    """`POST /api/v1/addresses/<id>/end/`."""

    @extend_schema(
        operation_id="end_address",
        summary="End an assignment",
        parameters=[IDEMPOTENCY_KEY],
        request=AddressEnding,
        responses={200: AddressAssigned, **PROBLEMS_OF_WRITES},
    )
    def post(self, request: Request, assignment: UUID) -> Response:
        """End it at a moment; the address is free from then on."""
        caller, fields = _caller(request), _fields(AddressEnding, request)
        return once(request, caller.pk, lambda: _end(caller, assignment, fields))


def _caller(request: Request) -> Caller:
    caller = request.user
    assert isinstance(caller, Caller)  # noqa: S101 - HasScope lets nobody else in
    return caller


def _fields(form: type[RefusesUnknownFields], request: Request) -> dict[str, Any]:
    serializer = form(data=request.data)
    serializer.is_valid(raise_exception=True)
    fields: dict[str, Any] = serializer.validated_data
    return fields


def _account(number: str) -> Account:
    if not NUMBER.fullmatch(number):
        raise ValidationError({"account": ["Give the account number, nine digits."]})
    account = Account.objects.filter(number=number).first()
    if account is None:
        raise NotFound("There is no account with this number.")
    return account


def _id_of(caller: Caller, key: str) -> UUID:
    """Return the id of the service that this caller makes under this key: an act that is repeated finds it again."""
    content = f"{caller.pk}:{key}".encode()
    made = hmac.new(derived_key("services of the API"), content, hashlib.sha256).digest()[:16]
    return UUID(bytes=made, version=4)


def _make(caller: Caller, service_id: UUID, fields: dict[str, Any]) -> Answer:
    account = _account(fields["account"])
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
