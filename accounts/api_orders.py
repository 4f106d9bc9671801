"""The API of the shop: it places orders (P7, P8) and asks how they stand.

What is ordered, and where the customer ordered from, stand in the body; answers hold a reference, a state and amounts,
never a score or a reason.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import invoicing, ordering
from accounts.api_base import IDEMPOTENCY_KEY, PROBLEMS, AccountNumber, ApiView, account_numbered, system, taken
from accounts.api_parsing import Problem, RefusesUnknownFields, Whole
from accounts.api_tokens import Caller
from accounts.idempotency import Answer, once
from accounts.models import Invoice, Order
from accounts.ordering import OrderedLine, Signals
from accounts.safeguards.cards import refuse_card_number


class LineFields(serializers.Serializer[Any]):
    """One line as the customer ordered it."""

    plan = serializers.RegexField(
        rf"^{ordering.PLAN.pattern}$", validators=[refuse_card_number], help_text="the product code"
    )
    text = serializers.CharField(
        max_length=invoicing.LONGEST_TEXT, validators=[refuse_card_number], help_text="what the customer read"
    )
    quantity = Whole(min_value=1, max_value=invoicing.MOST_OF_ONE, default=1)
    unit_cents = Whole(min_value=0, max_value=invoicing.LARGEST, help_text="price of one for a month, in cents")


class SignalFields(serializers.Serializer[Any]):
    """Where the customer ordered from, as the shop saw it; leave out what it did not see."""

    ip = serializers.IPAddressField(required=False, allow_null=True)
    user_agent = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=4000)
    referrer = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=4000, help_text="kept without its query"
    )


class Placing(RefusesUnknownFields):
    """An order as the shop sends it."""

    account = AccountNumber()
    shop_reference = serializers.CharField(
        max_length=ordering.LONGEST_REFERENCE,
        validators=[refuse_card_number],
        help_text="the shop's own id of the order: it makes one order, however often it is sent",
    )
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="USD", help_text="ISO 4217")
    lines: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=LineFields(), allow_empty=False, max_length=invoicing.MOST_LINES
    )
    signals = SignalFields()


class OrderStanding(serializers.Serializer[Any]):
    """How an order stands."""

    reference = serializers.CharField()
    account = serializers.CharField()
    state = serializers.ChoiceField(Order.State.choices)
    currency = serializers.CharField()
    total_cents = serializers.IntegerField()
    placed_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    invoice = serializers.CharField(allow_null=True, help_text="number of its invoice, once it is accepted")


class PlaceOrder(ApiView):
    """`POST /api/v1/orders/`."""

    required_scope = "orders:write"

    @extend_schema(
        operation_id="place_order",
        summary="Place an order",
        parameters=[IDEMPOTENCY_KEY],
        request=Placing,
        responses={201: OrderStanding, 200: OpenApiResponse(OrderStanding, "It was placed before."), **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Place an order; it is accepted at once, or a person looks at it first."""
        caller, fields = system(request), taken(Placing, request)
        return once(request, caller.pk, lambda: _place(caller, fields))


class ReadOrder(ApiView):
    """`GET /api/v1/orders/<reference>/`."""

    required_scope = "orders:read"

    @extend_schema(
        operation_id="read_order",
        summary="Read how an order stands",
        responses={200: OrderStanding, 404: OpenApiResponse(Problem, "There is no order with this reference.")},
    )
    def get(self, request: Request, reference: str) -> Response:
        """Return how an order stands."""
        order = Order.objects.select_related("account").filter(reference=reference).first()
        if order is None:
            raise NotFound("There is no order with this reference.")
        return Response(_standing(order))


def _place(caller: Caller, fields: dict[str, Any]) -> Answer:
    account = account_numbered(fields["account"])
    known = Order.objects.filter(shop_digest=ordering.shop_digest(fields["shop_reference"].strip())).exists()
    order = ordering.place_order(
        account.pk,
        lines=[OrderedLine(**line) for line in fields["lines"]],
        signals=Signals(**fields["signals"]),
        currency=fields["currency"],
        shop_reference=fields["shop_reference"],
        by=caller.actor,
    )
    return 200 if known else 201, _standing(order)


def _standing(order: Order) -> dict[str, Any]:
    invoice = Invoice.objects.filter(account_id=order.account_id, order=order.pk).order_by("issued_at", "pk").first()
    return dict(
        OrderStanding(
            {
                "reference": order.reference,
                "account": order.account.number,
                "state": order.state,
                "currency": order.currency,
                "total_cents": order.total_cents,
                "placed_at": order.placed_at,
                "decided_at": order.decided_at,
                "invoice": invoice.number if invoice else None,
            }
        ).data
    )
