"""The API of the billing system: it tells of payment disputes and of how they end (P25).

A dispute is named by its processor and the processor's reference, both in the body: nothing personal
stands in an address. Opening one holds what is needed to settle it; closing it ends the hold, and a due
erasure goes on.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import IDEMPOTENCY_KEY, PROBLEMS, AccountNumber, ApiView, account_numbered, system, taken
from accounts.api_parsing import Choice, RefusesUnknownFields, Whole
from accounts.api_tokens import Caller
from accounts.idempotency import Answer, once
from accounts.models import Account
from accounts.safeguards.cards import refuse_card_number
from retention.dates import moment_of, refuse_unlikely_evidence
from retention.disputing import PROCESSOR, close_dispute, find_dispute, open_dispute
from retention.models import Dispute

LARGEST_AMOUNT = 10**11


class Moment(serializers.DateTimeField):
    """A moment; one without a zone is of the portal's, and must exist there once."""

    def enforce_timezone(self, value: dt.datetime) -> dt.datetime:
        """Return the moment; raise ValidationError for an hour that the clocks leave out or give twice."""
        return super().enforce_timezone(moment_of(value) if timezone.is_naive(value) else value)


class Named(RefusesUnknownFields):
    """How a dispute is named."""

    processor = serializers.RegexField(
        PROCESSOR, validators=[refuse_card_number], help_text="the payment processor, e.g. stripe"
    )
    reference = serializers.CharField(
        max_length=120, validators=[refuse_card_number], help_text="the processor's id of the dispute"
    )


class Opening(Named):
    """A dispute as the processor reports it."""

    account = AccountNumber()
    amount_cents = Whole(min_value=1, max_value=LARGEST_AMOUNT)
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="USD", help_text="ISO 4217")
    reason = Choice(Dispute.Reason.choices, default=Dispute.Reason.GENERAL)
    evidence_due_at = Moment(
        required=False,
        allow_null=True,
        validators=[refuse_unlikely_evidence],
        help_text="until when the processor takes evidence",
    )


class Ending(Named):
    """How a dispute ended."""

    outcome = Choice(["won", "lost", "withdrawn"])


class Standing(serializers.Serializer[Any]):
    """A dispute as the portal keeps it; the processor's reference is not repeated."""

    id = serializers.UUIDField()
    account = serializers.CharField()
    state = serializers.ChoiceField(Dispute.State.choices)
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class DisputeView(ApiView):
    """Common part of both doors."""

    required_scope = "disputes:write"


class OpenDispute(DisputeView):
    """`POST /api/v1/disputes/`."""

    @extend_schema(
        operation_id="open_dispute",
        summary="Open a payment dispute",
        parameters=[IDEMPOTENCY_KEY],
        request=Opening,
        responses={
            201: Standing,
            200: OpenApiResponse(Standing, "It was open already, just so."),
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> Response:
        """Record a dispute and hold what is needed to settle it."""
        caller = system(request)
        fields = taken(Opening, request)
        return once(request, caller.pk, lambda: _open(caller, fields))


class CloseDispute(DisputeView):
    """`POST /api/v1/disputes/close/`."""

    @extend_schema(
        operation_id="close_dispute",
        summary="Close a payment dispute",
        parameters=[IDEMPOTENCY_KEY],
        request=Ending,
        responses={200: Standing, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Record how a dispute ended; its hold ends with it."""
        caller = system(request)
        fields = taken(Ending, request)
        return once(request, caller.pk, lambda: _close(caller, fields))


def _open(caller: Caller, fields: dict[str, Any]) -> Answer:
    details = {name: value for name, value in fields.items() if name != "account"}
    account = account_numbered(fields["account"])
    known = find_dispute(fields["processor"], fields["reference"])
    if known is not None and _is_same(known, caller, account, fields):
        return 200, _standing(known)
    return 201, _standing(open_dispute(account.pk, by=caller.actor, **details))


def _is_same(known: Dispute, caller: Caller, account: Account, fields: dict[str, Any]) -> bool:
    """Whether this caller opened the same dispute before: a repeat after an answer was lost."""
    return (known.account_id, known.opened_by, known.amount_cents, known.currency, known.reason) == (
        account.pk,
        caller.actor,
        fields["amount_cents"],
        fields["currency"],
        fields["reason"],
    )


def _close(caller: Caller, fields: dict[str, Any]) -> Answer:
    known = find_dispute(fields["processor"], fields["reference"])
    if known is None:
        raise NotFound("There is no dispute with this processor and reference.")
    if known.state == fields["outcome"]:
        return 200, _standing(known)
    return 200, _standing(close_dispute(known.pk, outcome=fields["outcome"], by=caller.actor))


def _standing(dispute: Dispute) -> dict[str, Any]:
    return dict(
        Standing(
            {
                "id": dispute.pk,
                "account": dispute.account.number,
                "state": dispute.state,
                "opened_at": dispute.opened_at,
                "closed_at": dispute.closed_at,
            }
        ).data
    )
