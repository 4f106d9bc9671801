"""The API of invoices (P8): the shop issues them and reads how they stand.

Who is billed is read from the account, never from the call; name and address are in no answer.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import invoicing
from accounts.api_orders import IDEMPOTENCY_KEY, account_numbered, caller_of, fields_of, problems
from accounts.api_parsing import Choice, RefusesUnknownFields, Whole
from accounts.api_tokens import Caller
from accounts.idempotency import HEADER, Answer, once
from accounts.invoicing import BilledLine
from accounts.models import Invoice
from accounts.registering import NUMBER
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import derived_key


class BilledFields(serializers.Serializer[Any]):
    """One line of an invoice."""

    text = serializers.CharField(max_length=invoicing.LONGEST_TEXT, validators=[refuse_card_number])
    quantity = Whole(min_value=1, max_value=invoicing.MOST_OF_ONE, default=1)
    unit_cents = Whole(min_value=0, max_value=invoicing.LARGEST, help_text="price of one, in cents")


class Issuing(RefusesUnknownFields):
    """An invoice to be issued."""

    account = serializers.RegexField(rf"^{NUMBER.pattern}$", help_text="the account number, nine digits")
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="USD", help_text="ISO 4217")
    lines: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=BilledFields(), allow_empty=False, max_length=invoicing.MOST_LINES
    )
    due_days = Whole(min_value=0, max_value=invoicing.LONGEST_DUE_DAYS, default=invoicing.DUE_DAYS)


class Asked(RefusesUnknownFields):
    """Which invoices are asked for."""

    account = serializers.RegexField(rf"^{NUMBER.pattern}$", required=False)
    state = Choice(Invoice.State.choices, required=False)
    cursor = serializers.CharField(required=False)


class InvoiceStanding(serializers.Serializer[Any]):
    """How an invoice stands."""

    number = serializers.CharField()
    account = serializers.CharField(source="account.number")
    state = serializers.ChoiceField(Invoice.State.choices)
    currency = serializers.CharField()
    total_cents = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)


class InvoicePage(serializers.Serializer[Any]):
    """A page of invoices, newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = InvoiceStanding(many=True)


class NewestFirst(CursorPagination):
    """Pages that neither skip nor repeat when something is issued meanwhile."""

    page_size = 50
    ordering = ("-issued_at", "-pk")
    invalid_cursor_message = "This cursor leads nowhere. Begin again without one."

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Return the page; raise NotFound for a cursor that no page gave, repeating nothing of it."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError, OverflowError):
            raise NotFound(self.invalid_cursor_message) from None


class Invoices(APIView):
    """`GET` and `POST /api/v1/invoices/`."""

    @property
    def required_scope(self) -> str:
        """Reading and writing are different scopes."""
        return "invoices:write" if self.request.method == "POST" else "invoices:read"

    @extend_schema(
        operation_id="list_invoices",
        summary="Read how invoices stand, newest first",
        parameters=[
            OpenApiParameter("account", str, description="the account number, nine digits"),
            OpenApiParameter("state", str, enum=Invoice.State.values),
            OpenApiParameter("cursor", str, description="as in `next` of the page before"),
        ],
        responses={200: InvoicePage, **problems(400, 401, 403, 404, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of invoices."""
        asked = Asked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        pages = NewestFirst()
        page = pages.paginate_queryset(_found(asked.validated_data), request, view=self)
        return pages.get_paginated_response(InvoiceStanding(page, many=True).data)

    @extend_schema(
        operation_id="issue_invoice",
        summary="Issue an invoice",
        parameters=[IDEMPOTENCY_KEY],
        request=Issuing,
        responses={201: OpenApiResponse(InvoiceStanding), **problems()},
    )
    def post(self, request: Request) -> Response:
        """Issue an invoice to the name and address that the account has now; the customer is told by mail."""
        caller = caller_of(request)
        fields = fields_of(Issuing, request)
        submission = submission_of(caller, request)
        return once(request, caller.pk, lambda: _issue(caller, fields, submission))


def submission_of(caller: Caller, request: Request) -> UUID:
    """Return the id of the invoice that this key of this caller makes: a repeat after a crash finds it there."""
    content = f"{caller.pk} {request.headers.get(HEADER, '')}".encode()
    return UUID(bytes=hmac.new(derived_key("submission"), content, hashlib.sha256).digest()[:16], version=4)


def _found(asked: dict[str, Any]) -> QuerySet[Invoice]:
    found = Invoice.objects.select_related("account").defer("billed_to")
    if "account" in asked:
        found = found.filter(account=account_numbered(asked["account"]))
    return found.filter(state=asked["state"]) if "state" in asked else found


def _issue(caller: Caller, fields: dict[str, Any], submission: UUID) -> Answer:
    invoice = invoicing.issue_invoice(
        account_numbered(fields["account"]).pk,
        lines=[BilledLine(**line) for line in fields["lines"]],
        by=caller.actor,
        currency=fields["currency"],
        due_days=fields["due_days"],
        submission=submission,
    )
    return 201, dict(InvoiceStanding(invoice).data)
