"""The customers' API of consent: see what stands and stood, and take a consent back (P20).

Agreeing is not here: a program reads no words (docs/decisions/0027).
"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
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
from accounts.api_parsing import Problem
from accounts.api_tokens import CustomerCaller
from accounts.datamap import Category
from accounts.idempotency import Answer, once
from accounts.models import Account
from disclosures import consenting
from disclosures.models import Channel, ConsentGrant, ConsentPurpose

NOT_THERE = OpenApiResponse(Problem, "There is no such consent.")


class ConsentShown(serializers.Serializer[Any]):
    """A consent: what it is for, whom it names, and how it ended."""

    reference = serializers.CharField()
    purpose = serializers.ChoiceField(ConsentPurpose.choices)
    recipient = serializers.CharField(allow_null=True, help_text="the name of the partner; null for ourselves")
    categories = serializers.ListField(child=serializers.ChoiceField(Category.choices))
    text_version = serializers.CharField()
    channel = serializers.ChoiceField(Channel.choices)
    given_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    withdrawn_how = serializers.ChoiceField(Channel.choices, allow_null=True)


class Consents(ApiView):
    """`GET /api/v1/consents/`."""

    required_scope = "consents:read"
    open_when_closed = True

    @extend_schema(
        operation_id="list_consents",
        summary="See your consents, newest first",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(ConsentShown)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of consents, ended ones too."""
        asked(request)
        return page_of_rows(request, _own(customer(request).account), time="given_at", shape=_shown)


class WithdrawConsent(ApiView):
    """`POST /api/v1/consents/<reference>/withdraw/`."""

    required_scope: ClassVar[str] = "consents:write"
    open_when_closed = True

    @extend_schema(
        operation_id="withdraw_consent",
        summary="Take a consent back",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: ConsentShown, 404: NOT_THERE, **PROBLEMS},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Take it back at once; one that has ended stays as it ended."""
        caller, _nothing = customer(request), taken(Nothing, request)
        return once(request, caller.pk, lambda: _withdraw(caller, reference))


def _own(account: Account) -> Any:
    return ConsentGrant.objects.filter(account=account).select_related("recipient").defer("evidence_file")


def _withdraw(caller: CustomerCaller, reference: str) -> Answer:
    found = _own(caller.account).filter(reference=reference).first()
    if found is None:
        raise NotFound("There is no consent with this reference.")
    return 200, _shown(consenting.withdraw(found.pk, by=caller.user, channel=Channel.API))


def _shown(grant: ConsentGrant) -> dict[str, Any]:
    """Return a consent in ids, dates and fixed words, which may be kept with an idempotency key."""
    facts: dict[str, Any] = {
        name: getattr(grant, name)
        for name in (
            "reference",
            "purpose",
            "categories",
            "text_version",
            "channel",
            "given_at",
            "expires_at",
            "withdrawn_at",
        )
    }
    facts["recipient"] = grant.recipient.name if grant.recipient else None
    facts["withdrawn_how"] = grant.withdrawn_how or None
    return dict(ConsentShown(facts).data)
