"""The customers' API of privacy requests: ask for a right, see how each stands, withdraw one (P21).

Requests read as the Data Rights Protocol words them. A deletion is read here too, but it begins and is cancelled on the
portal's own pages, which show what goes and what stays. Nothing here looks at a hold (silence.md, S2, S12).
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import (
    IDEMPOTENCY_KEY,
    PAGE_PARAMETERS,
    PROBLEMS,
    ApiView,
    Nothing,
    asked,
    customer,
    page_of,
    page_of_rows,
    taken,
)
from accounts.api_limits import refuse_too_often
from accounts.api_parsing import Conflict, Problem
from accounts.api_tokens import CustomerCaller
from accounts.idempotency import Answer, made_under, once
from accounts.models import Account
from retention import cleaning, deciding, outward, request_clocks, requesting
from retention.api_request_shapes import RequestShown, RequestStanding, RequestWanted
from retention.models import DeletionRequest, PrivacyRequest
from retention.models.privacy import Right
from retention.requesting import Wish

EXERCISE = OpenApiParameter(
    "exercise", str, enum=Right.values, description="Only requests of this right; `deletion` lists deletions."
)
NOT_THERE = OpenApiResponse(Problem, "There is no such request.")


class Requests(ApiView):
    """`GET` and `POST /api/v1/requests/`."""

    required_scope: ClassVar[dict[str, str]] = {"GET": "requests:read", "POST": "requests:write"}
    open_when_closed = True

    @extend_schema(
        operation_id="list_requests",
        summary="See your privacy requests, newest first",
        parameters=[EXERCISE, *PAGE_PARAMETERS],
        responses={200: page_of(RequestStanding)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of requests; deletions are a list of their own."""
        account = customer(request).account
        right = asked(request, exercise="|".join(Right.values)).get("exercise")
        if right == Right.DELETION:
            return page_of_rows(request, _deletions(account), time="requested_at", shape=_standing)
        own = _own(account)
        return page_of_rows(request, own.filter(right=right) if right else own, time="received_at", shape=_standing)

    @extend_schema(
        operation_id="ask_right",
        summary="Make a privacy request",
        parameters=[IDEMPOTENCY_KEY],
        request=RequestWanted,
        responses={
            201: RequestStanding,
            200: OpenApiResponse(RequestStanding, "The same is asked for already and has not ended."),
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> Response:
        """Ask for a right; a deletion begins in the portal, and the refusal says where."""
        caller, fields = customer(request), taken(RequestWanted, request)
        return once(request, caller.pk, lambda: _ask(request, caller, fields, made_under(request, caller.pk)))


class OneRequest(ApiView):
    """`GET /api/v1/requests/<reference>/`."""

    required_scope = "requests:read"
    open_when_closed = True

    @extend_schema(
        operation_id="read_request",
        summary="See how a request stands, with your words and our answer",
        responses={200: RequestShown, 404: NOT_THERE},
    )
    def get(self, request: Request, reference: str) -> Response:
        """Return one request, a deletion too."""
        account = customer(request).account
        found = _own(account).filter(reference=reference).first()
        return Response(_shown(found or _there(_deletions(account).filter(reference=reference).first())))


class WithdrawRequest(ApiView):
    """`POST /api/v1/requests/<reference>/withdraw/`."""

    required_scope = "requests:write"
    open_when_closed = True

    @extend_schema(
        operation_id="withdraw_request",
        summary="Withdraw a request",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: RequestStanding, **PROBLEMS},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Withdraw a request; nothing more follows from it, and one that was withdrawn stays so."""
        caller, _nothing = customer(request), taken(Nothing, request)
        return once(request, caller.pk, lambda: _withdraw(caller, reference))


def _own(account: Account) -> Any:
    """Return the requests that are shown: a record past its time is shown to nobody, whether or not it could go."""
    kept = Q(decided_at=None) | Q(decided_at__gt=request_clocks.records_since(timezone.now()))
    return PrivacyRequest.objects.filter(kept, account=account).defer("permission")


def _deletions(account: Account) -> Any:
    return DeletionRequest.objects.filter(account=account).select_related("account")


def _there(found: Any) -> Any:
    if found is None:
        raise NotFound("There is no request with this reference.")
    return found


def _ask(request: Request, caller: CustomerCaller, fields: dict[str, Any], submission: UUID) -> Answer:
    if fields["exercise"] == Right.DELETION:
        raise Conflict(f"A deletion of your account begins on its own page: {_url('retention:delete_start')}")
    refuse_too_often(request, "write_message", caller.user)
    wish = Wish(
        fields["exercise"], fields["regime"], tuple(fields["purposes"]), tuple(fields["categories"]), fields["details"]
    )
    made = requesting.ask(caller.account.pk, wish, by=caller.user, submission=submission)
    return 201 if made.submission == submission else 200, _standing(made)


def _withdraw(caller: CustomerCaller, reference: str) -> Answer:
    found = _own(caller.account).filter(reference=reference).first()
    if found is None:
        deletion = _there(_deletions(caller.account).filter(reference=reference).first())
        way = _url("retention:delete_cancel", deletion.reference)
        raise Conflict(f"A deletion is cancelled on its own page, until its due date: {way}")
    return 200, _standing(deciding.withdraw(found.pk, by=caller.user))


def _standing(request: PrivacyRequest | DeletionRequest) -> dict[str, Any]:
    """Return how a request stands: ids, dates and fixed words, which may be kept with an idempotency key."""
    return dict(RequestStanding(_outward(request)).data)


def _shown(request: PrivacyRequest | DeletionRequest) -> dict[str, Any]:
    if isinstance(request, DeletionRequest):
        return dict(
            RequestShown({**_outward(request), "purposes": [], "categories": [], "details": "", "answer": ""}).data
        )
    is_past = cleaning.is_past(request, timezone.now())
    words = {
        "purposes": request.purposes,
        "categories": request.categories,
        "details": "" if is_past else request.details or "",
        "answer": "" if is_past else request.decision or "",
    }
    return dict(RequestShown({**_outward(request), **words}).data)


def _outward(request: PrivacyRequest | DeletionRequest) -> dict[str, Any]:
    found = outward.outward(request)
    nothing = {name: found[name] or None for name in ("reason", "results_url")}
    return {**found, **nothing, "reference": request.reference}


def _url(name: str, *args: str) -> str:
    return f"{settings.PORTAL_ORIGIN}{reverse(name, args=args)}"
