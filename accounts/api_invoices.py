"""The API of invoices (P8): the shop issues them and reads how they stand.

Who is billed is read from the account, never from the call; name and address are in no answer.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import invoicing
from accounts.api_base import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    PAGE_PARAMETERS,
    PROBLEMS,
    AccountNumber,
    ApiView,
    account_numbered,
    asked,
    page_of,
    page_of_rows,
    system,
    taken,
)
from accounts.api_parsing import Problem, RefusesUnknownFields, Whole
from accounts.api_tokens import Caller
from accounts.idempotency import Answer, made_under, once
from accounts.invoicing import BilledLine
from accounts.models import Invoice
from accounts.registering import NUMBER
from accounts.safeguards.cards import refuse_card_number


class BilledFields(serializers.Serializer[Any]):
    """One line of an invoice."""

    text = serializers.CharField(max_length=invoicing.LONGEST_TEXT, validators=[refuse_card_number])
    quantity = Whole(min_value=1, max_value=invoicing.MOST_OF_ONE, default=1)
    unit_cents = Whole(min_value=0, max_value=invoicing.LARGEST, help_text="price of one, in cents")


class Issuing(RefusesUnknownFields):
    """An invoice to be issued."""

    account = AccountNumber()
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="USD", help_text="ISO 4217")
    lines: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=BilledFields(), allow_empty=False, max_length=invoicing.MOST_LINES
    )
    due_days = Whole(min_value=0, max_value=invoicing.LONGEST_DUE_DAYS, default=invoicing.DUE_DAYS)


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


class Invoices(ApiView):
    """`GET` and `POST /api/v1/invoices/`."""

    required_scope: ClassVar[dict[str, str]] = {"GET": "invoices:read", "POST": "invoices:write"}

    @extend_schema(
        operation_id="list_invoices",
        summary="Read how invoices stand, newest first",
        parameters=[ACCOUNT, OpenApiParameter("state", str, enum=Invoice.State.values), *PAGE_PARAMETERS],
        responses={
            200: page_of(InvoiceStanding),
            404: OpenApiResponse(Problem, "There is no account with this number."),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of invoices."""
        system(request)
        wanted = asked(request, account=NUMBER.pattern, state="|".join(Invoice.State.values))
        return page_of_rows(request, _found(wanted), time="issued_at", shape=_standing)

    @extend_schema(
        operation_id="issue_invoice",
        summary="Issue an invoice",
        parameters=[IDEMPOTENCY_KEY],
        request=Issuing,
        responses={201: InvoiceStanding, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Issue an invoice to the name and address that the account has now; the customer is told by mail."""
        caller, fields = system(request), taken(Issuing, request)
        return once(request, caller.pk, lambda: _issue(caller, fields, made_under(request, caller.pk)))


def _found(wanted: dict[str, str]) -> QuerySet[Invoice]:
    found = Invoice.objects.select_related("account").defer("billed_to")
    if "account" in wanted:
        found = found.filter(account=account_numbered(wanted["account"]))
    return found.filter(state=wanted["state"]) if "state" in wanted else found


def _issue(caller: Caller, fields: dict[str, Any], submission: UUID) -> Answer:
    invoice = invoicing.issue_invoice(
        account_numbered(fields["account"]).pk,
        lines=[BilledLine(**line) for line in fields["lines"]],
        by=caller.actor,
        currency=fields["currency"],
        due_days=fields["due_days"],
        submission=submission,
    )
    return 201, _standing(invoice)


def _standing(invoice: Invoice) -> dict[str, Any]:
    return dict(InvoiceStanding(invoice).data)
