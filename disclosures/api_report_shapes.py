"""What another system sends to report abuse, and what it gets back.

Fields of our own are refused when they are not known. An X-ARF report keeps every field it came with, as by mail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from accounts.api_accounts import Text
from accounts.api_parsing import Choice, Flag, RefusesUnknownFields, Whole
from accounts.safeguards.finding import clean_email
from disclosures import composing
from disclosures.reports import xarf
from disclosures.reports.shape import PROBLEMS, Party, Source
from retention import dates
from retention.api import Moment

LONGEST_CASE_ID = 200


class ReportState(TextChoices):
    """How a report stands, as whoever reported may know it."""

    RECEIVED = "received", "received"
    LOOKED_AT = "looked_at", "being looked at"
    CLOSED = "closed", "closed"


class PlaceFields(serializers.Serializer[Any]):
    """Where and when it was seen: a URL, an IP address, or a URL with the address it led to."""

    url = Text(max_length=composing.LONGEST_PLACE, required=False, help_text="of the web, whole")
    address = serializers.IPAddressField(required=False, help_text="IPv4 or IPv6")
    port = Whole(min_value=1, max_value=65535, required=False, help_text="the port at that address")
    seen_at = Moment(
        required=False,
        validators=[dates.refuse_unlikely],
        help_text="when it was seen there: it says who held the address then; now when it is left out",
    )

    def validate_url(self, value: str) -> str:
        """Return a URL as it stands; raise ValidationError for one that leads nowhere."""
        found = composing.place(value)
        if found is None or not found.urls:
            raise ValidationError("Write the whole address: https://www.example.com/page")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what names one place; raise ValidationError otherwise."""
        url, address = attrs.get("url"), attrs.get("address")
        if not url and not address:
            raise ValidationError("Give a URL, an address, or both.")
        if "port" in attrs and not address:
            raise ValidationError("Give the address that the port is of.")
        if url and address and place_of(attrs | {"address": ""}).address not in {"", place_of(attrs).address}:
            raise ValidationError("The URL names another address.")
        return attrs


class ReporterFields(serializers.Serializer[Any]):
    """Who reports."""

    name = Text(max_length=200, help_text="of a person, a desk or a sensor")
    organisation = Text(max_length=200, required=False)
    email = serializers.EmailField(
        max_length=254, required=False, help_text="who reads our answers; nothing is written when it is left out"
    )
    phone = Text(max_length=40, required=False)

    def validate_email(self, value: str) -> str:
        """Return the address as it is written to; a look-alike is refused."""
        return clean_email(value)


class ComplainantFields(ReporterFields):
    """Who complains, as 17 USC 512(c)(3)(A)(iv) wants them to be reached."""

    name = Text(max_length=200)
    organisation = Text(max_length=200, required=False, help_text="whose rights they act for, if not their own")
    email = serializers.EmailField(max_length=254)
    phone = Text(max_length=40)
    postal = Text(max_length=500, help_text="postal address")


class Declared(Flag):
    """A declaration that is made by `true`."""

    def to_internal_value(self, data: Any) -> bool:
        """Return True; raise ValidationError for anything else."""
        if super().to_internal_value(data):
            return True
        raise ValidationError("Send true if it is so: without it this is no notice.")


class Given(RefusesUnknownFields):
    """What both shapes of our own have in common."""

    places: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=PlaceFields(), allow_empty=False, max_length=composing.MOST_PLACES
    )
    case_id = Text(
        max_length=LONGEST_CASE_ID,
        required=False,
        help_text="your own id of the matter: reports of one reporter that share it join one case",
    )


class Complaint(Given):
    """A report of anything but copyright."""

    kind = Choice([(str(kind), words) for kind, words in composing.KINDS])
    what = Text(max_length=20_000, help_text="what happened, in words")
    reporter = ReporterFields()
    may_be_named = Flag(default=False, help_text="whether the customer concerned may read who reported")


class CopyrightNotice(Given):
    """A copyright notice with its six elements; the complainant is named to the customer concerned."""

    work = Text(max_length=5_000, help_text="the work that was copied: title, author, where it is published")
    complainant = ComplainantFields()
    good_faith = Declared(help_text=composing.GOOD_FAITH)
    accuracy = Declared(help_text=composing.ACCURACY)
    signature = Text(max_length=200, help_text="the full name of whoever signs, typed by them")


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": True,
        "description": "An X-ARF report of version 4 (`xarf_version`) or 3 (`Report`), as it would be sent by mail.",
        "anyOf": [
            {"required": ["xarf_version"]},
            {"required": ["Report", "ReporterInfo"]},
            {"required": ["Report", "Version"]},
        ],
    }
)
class XArfField(serializers.DictField):
    """An X-ARF report of which every field is kept."""

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        """Return the report; raise ValidationError for another object."""
        found: dict[Any, Any] = super().to_internal_value(data)
        if not xarf.is_report(found):
            raise ValidationError("This is no X-ARF report of version 4 (xarf_version) or 3 (Report).")
        return found


class XArfReport(RefusesUnknownFields):
    """An X-ARF report."""

    report = XArfField()


class ReportStanding(serializers.Serializer[Any]):
    """A report that was handed in: nothing of the customer it concerns."""

    id = serializers.UUIDField(help_text="of the report: by it the system that handed it in sees how it stands")
    reference = serializers.CharField(help_text="of the case it belongs to, for letters")
    state = serializers.ChoiceField(ReportState.choices)
    received_at = serializers.DateTimeField()
    joined = serializers.BooleanField(help_text="whether the case was there before")
    is_repeat = serializers.BooleanField(help_text="whether the very same was reported before; it is counted")
    problems = serializers.ListField(
        child=serializers.ChoiceField(list(PROBLEMS.items())), help_text="what could not be read; all of it is kept"
    )


def place_of(fields: dict[str, Any]) -> Source:
    """Return the place that its fields name; an address that is given says where the URL led to."""
    named = composing.place(fields.get("url", "")) or Source()
    address = composing.address_of(fields.get("address") or "") or named.address
    return replace(named, address=address, port=fields.get("port"), at=fields.get("seen_at"))


def party_of(fields: dict[str, Any]) -> Party:
    """Return who reports."""
    email = fields.get("email", "")
    return Party(
        organisation=fields.get("organisation", ""),
        contact=fields["name"],
        email=email,
        phone=fields.get("phone", ""),
        address=fields.get("postal", ""),
        domain=email.rpartition("@")[2],
    )
