"""What provisioning sends to the API of services, and what it gets back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from accounts import assigning
from accounts.api_base import AccountNumber
from accounts.api_parsing import RefusesUnknownFields, Whole
from accounts.safeguards.cards import refuse_card_number

LARGEST_PRICE = 10**9
EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
FARTHEST = dt.timedelta(days=50 * 365)


def refuse_unlikely(at: dt.datetime) -> None:
    """Raise ValidationError for a moment that is a typing error."""
    if not EARLIEST <= at <= timezone.now() + FARTHEST:
        raise ValidationError("Give a date between 1990 and half a century from now.")


def _moment(help_text: str) -> serializers.DateTimeField:
    return serializers.DateTimeField(
        required=False, allow_null=True, default=None, validators=[refuse_unlikely], help_text=help_text
    )


class NewService(RefusesUnknownFields):
    """A service as provisioning makes it."""

    account = AccountNumber()
    name = serializers.CharField(max_length=253, validators=[refuse_card_number], help_text="e.g. its host name")
    plan = serializers.RegexField(r"^[a-z0-9][a-z0-9._-]{0,39}$", help_text="a product code, e.g. vps-2")
    monthly_cents = Whole(min_value=0, max_value=LARGEST_PRICE, default=0)
    started_at = _moment("now when it is left out")
    term_ends_at = _moment("the end of its minimum term")
    paid_until = _moment("until when it is paid in advance")
    stops_at = _moment("its end, when it is fixed already")
    order = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="the order it came from")


class NewAddress(RefusesUnknownFields):
    """An address or network for a service."""

    address = serializers.CharField(
        max_length=assigning.LONGEST,
        validators=[refuse_card_number],
        help_text="e.g. 192.0.2.7, 192.0.2.0/28 or 2001:db8::/64",
    )
    at = _moment("since when it holds it; now when it is left out")


class AddressEnding(RefusesUnknownFields):
    """The end of an assignment."""

    at = _moment("the moment from which it holds it no more; now when it is left out")


class AddressAssigned(serializers.Serializer[Any]):
    """An assignment; the address itself is read with its service."""

    id = serializers.UUIDField()
    service = serializers.UUIDField()
    assigned_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class HeldAddress(serializers.Serializer[Any]):
    """An address that a service holds now."""

    id = serializers.UUIDField()
    address = serializers.CharField()
    assigned_at = serializers.DateTimeField()


class ServiceMade(serializers.Serializer[Any]):
    """A service that was made; its name is not repeated."""

    id = serializers.UUIDField()
    account = serializers.CharField()
    plan = serializers.CharField()
    started_at = serializers.DateTimeField()


class ServiceOut(ServiceMade):
    """A service with what it holds now."""

    name = serializers.CharField()
    monthly_cents = serializers.IntegerField()
    term_ends_at = serializers.DateTimeField(allow_null=True)
    paid_until = serializers.DateTimeField(allow_null=True)
    stops_at = serializers.DateTimeField(allow_null=True)
    addresses = HeldAddress(many=True)
