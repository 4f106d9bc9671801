"""What every operation of the API has in common: its base, its documentation, and pages of a list.

A list is read by an opaque cursor: it names the place after which to go on, so that what is added meanwhile neither
repeats nor hides anything. Links to the next and previous page begin with the configured origin, never with what a
request says of itself.

An operation of another system, which writes:

    class PlaceOrder(ApiView):
        required_scope = {"POST": "orders:write"}

        @extend_schema(operation_id="place_order", parameters=[IDEMPOTENCY_KEY], request=Ordering,
                       responses={201: Placed, **PROBLEMS})
        def post(self, request: Request) -> Response:
            caller, fields = system(request), taken(Ordering, request)
            return once(request, caller.pk, lambda: _place(caller, fields))

One of a customer, for what is theirs (an export, a privacy request), which a closed account may read too:

    class Exports(ApiView):
        required_scope = {"GET": "export:read", "POST": "export:write"}
        open_when_closed = True

        @extend_schema(operation_id="list_exports", parameters=PAGE_PARAMETERS, responses={200: page_of(Standing)})
        def get(self, request: Request) -> Response:
            own = Export.objects.filter(account=customer(request).account)
            return page_of_rows(request, own, time="asked_at", shape=_standing)

What both need of the schema's common answers (401, 403, 429 and so on) is added by `accounts.api_schema`.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_parsing import Problem, RefusesUnknownFields, UnknownFields, UnreadableParameter, readable_name
from accounts.api_tokens import Caller, CustomerCaller
from accounts.idempotency import HEADER
from accounts.models import Account
from accounts.registering import NUMBER

DEFAULT_LIMIT, LARGEST_LIMIT = 25, 100
LONGEST_CURSOR = 300

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    required=True,
    description="New for each write, the same for its repeats.",
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT},
    OpenApiParameter.QUERY,
    description="How many entries a page has.",
)
CURSOR = OpenApiParameter(
    "cursor",
    {"type": "string", "maxLength": LONGEST_CURSOR},
    OpenApiParameter.QUERY,
    description="Where to go on: take it from the links `next` and `previous`; what it holds may change.",
)
PAGE_PARAMETERS = [LIMIT, CURSOR]
ACCOUNT = OpenApiParameter(
    "account",
    {"type": "string", "pattern": f"^{NUMBER.pattern}$"},
    OpenApiParameter.QUERY,
    description="The account number, nine digits.",
)
PROBLEMS: dict[int, Any] = {
    400: OpenApiResponse(Problem, "The body is no strict JSON, or names an unknown field."),
    404: OpenApiResponse(Problem, "What the address or the body names is not there."),
    409: OpenApiResponse(Problem, "The state of things does not allow it; the detail names the way out."),
    413: OpenApiResponse(Problem, "The body is too large."),
    415: OpenApiResponse(Problem, "The body is no application/json."),
    422: OpenApiResponse(Problem, "A field has a value it cannot have, or the key was used with another body."),
}


class ApiView(APIView):
    """Base of every operation. `required_scope` names what a token must carry: for all methods, or by method."""

    required_scope: ClassVar[str | dict[str, str] | None] = None
    # Whether a closed account's own token may use it until the due date.
    open_when_closed = False

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Say which methods there are; the documentation says the rest."""
        return Response(status=204, headers={"Allow": ", ".join(self.allowed_methods)})


class AccountNumber(serializers.RegexField):
    """The number of an account in a body."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(rf"^{NUMBER.pattern}$", help_text="the account number, nine digits", **kwargs)


def account_numbered(number: str) -> Account:
    """Return the account of a number; raise NotFound."""
    account = Account.objects.filter(number=number).first() if NUMBER.fullmatch(number) else None
    if account is None:
        raise NotFound("There is no account with this number.")
    return account


def system(request: Request) -> Caller:
    """Return the system behind a request; raise PermissionDenied for a customer."""
    if not isinstance(request.user, Caller):
        raise PermissionDenied
    return request.user


def customer(request: Request) -> CustomerCaller:
    """Return the customer behind a request; raise PermissionDenied for another system."""
    if not isinstance(request.user, CustomerCaller):
        raise PermissionDenied
    return request.user


def taken(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the fields of a body; raise UnknownFields (400) or ValidationError (422)."""
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class Nothing(RefusesUnknownFields):
    """The body of a write that says all by its address: none, or an empty object."""


def page_of(entry: type[serializers.Serializer[Any]] | serializers.Serializer[Any]) -> serializers.Serializer[Any]:
    """Return how the documentation describes a page of entries."""
    one = entry if isinstance(entry, type) else type(entry)
    return inline_serializer(
        f"PageOf{one.__name__}",
        {
            "results": one(many=True),
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
        },
    )


def asked(request: Request, **patterns: str) -> dict[str, str]:
    """Return the parameters that narrow a list, each of which fits its pattern whole.

    Raises UnknownFields (400) for a parameter the list does not have, UnreadableParameter (400) for one that is none.
    """
    unknown = sorted(set(request.query_params) - {"limit", "cursor", *patterns})
    if unknown:
        raise UnknownFields({readable_name(name): ["This parameter is not known."] for name in unknown})
    found = {name: text for name in patterns if (text := _single(request, name)) is not None}
    for name, text in found.items():
        if not re.fullmatch(patterns[name], text):
            raise UnreadableParameter(name, "This is no value that the list can be narrowed by.")
    return found


# ------------------------------------------------------------------------------------------------------- cursors


@dataclass(frozen=True)
class Cursor:
    """A place in a list: time and id of a row, in which part of the list, and whether to go back from there."""

    at: dt.datetime
    id: UUID
    part: int = 0
    back: bool = False

    @property
    def place(self) -> tuple[dt.datetime, UUID]:
        """Time and id."""
        return self.at, self.id

    def __str__(self) -> str:
        words = [int(self.back), self.part, self.at.astimezone(dt.UTC).isoformat(), self.id.hex]
        return base64.urlsafe_b64encode(json.dumps(words, separators=(",", ":")).encode()).decode().rstrip("=")


def limit_of(request: Request) -> int:
    """Return how many entries a page shall have; raise UnreadableParameter beyond the bounds."""
    text = _single(request, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= LARGEST_LIMIT):
        raise UnreadableParameter("limit", f"Give a whole number from 1 to {LARGEST_LIMIT}.")
    return int(text)


def cursor_of(request: Request, parts: int = 1) -> Cursor | None:
    """Return where to go on, or None at the beginning; raise UnreadableParameter for what no link of ours says."""
    text = _single(request, "cursor")
    if text is None:
        return None
    try:
        if len(text) > LONGEST_CURSOR or not text.isascii():
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        back, part, at, pk = json.loads(raw)
        found = Cursor(dt.datetime.fromisoformat(at), UUID(pk), part, bool(back))
        # Ours alone are written just so: booleans for numbers, other zones and other spellings are refused.
        if str(found) != text or not 0 <= part < parts:
            raise ValueError
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError, binascii.Error):
        raise UnreadableParameter("cursor", "Take the cursor from a link, as it stands there.") from None
    return found


def linked(request: Request, results: Sequence[Any], newer: Cursor | None, older: Cursor | None) -> Response:
    """Return a page of a list with its links; `newer` and `older` are the places to go on from, None at an end."""
    return Response({"results": results, "next": _link(request, older), "previous": _link(request, newer)})


def page_of_rows(
    request: Request, rows: QuerySet[Any], *, time: str, shape: Callable[[Any], dict[str, Any]]
) -> Response:
    """Return a page of rows, newest first by (`time`, id), each as `shape` says."""
    found, newer, older = rows_of_page(request, rows, time=time)
    return linked(request, [shape(row) for row in found], newer, older)


def rows_of_page(request: Request, rows: QuerySet[Any], *, time: str) -> tuple[list[Any], Cursor | None, Cursor | None]:
    """Return the rows of a page, newest first by (`time`, id), and the places to go on from in both directions."""
    limit, cursor = limit_of(request), cursor_of(request)
    if cursor is not None and cursor.back:
        found = list(rows.filter(beyond(time, cursor, "gt")).order_by(time, "pk")[: limit + 1])
        more_newer, more_older = len(found) > limit, True
        found = found[:limit][::-1]
    else:
        rest = rows.filter(beyond(time, cursor, "lt")) if cursor is not None else rows
        found = list(rest.order_by(f"-{time}", "-pk")[: limit + 1])
        more_newer, more_older = cursor is not None, len(found) > limit
        found = found[:limit]
    newer = Cursor(getattr(found[0], time), found[0].pk, back=True) if found and more_newer else None
    older = Cursor(getattr(found[-1], time), found[-1].pk) if found and more_older else None
    return found, newer, older


def beyond(time: str, cursor: Cursor, way: str) -> Q:
    """Return the condition on rows before ("lt") or after ("gt") a place in the order of time and id."""
    same = Q(**{time: cursor.at, f"pk__{way}": cursor.id})
    return Q(**{f"{time}__{way}e": cursor.at}) & (Q(**{f"{time}__{way}": cursor.at}) | same)


def _link(request: Request, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    # What the list was narrowed by stays: a cursor names a place, not a list.
    query = urlencode(request.query_params.dict() | {"limit": limit_of(request), "cursor": str(cursor)})
    return f"{settings.PORTAL_ORIGIN}{request.path}?{query}"


def _single(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise UnreadableParameter(name, "Give this once.")
    return values[0] if values else None
