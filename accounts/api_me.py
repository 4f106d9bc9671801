"""The customers' own API: who they are here, what we hold about them, and the records themselves.

All of it is derived from the data map (P1) and answers for the token's own account alone. Shown is what the pages show:
declared fields, not removed, not past the schedule (silence.md, S7); no query names a hold (S2). How long each category
is kept stands in the schedule above this room and is handed down when the addresses are made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import datamap
from accounts.api_base import PAGE_PARAMETERS, ApiView, Cursor, asked, cursor_of, customer, limit_of, linked, page_of
from accounts.api_parsing import Problem
from accounts.api_tokens import closed_refusal
from accounts.datamap import Audience, Category, Personal
from accounts.datamap.reading import Model
from accounts.datamap.records import Record, records, shown_fields
from accounts.models import Account, State

# What the pages of a closed account show: invoices, conversations, mails.
OPEN_WHEN_CLOSED = frozenset({Category.INVOICES, Category.SUPPORT, Category.CORRESPONDENCE})


@dataclass(frozen=True)
class Schedule:
    """What the schedule says, handed down from the room above.

    `cutoffs(at)`: the earliest time still kept, per category or table that rolls. `kept(account, category)`: until when
    it is kept, if that is known, and after how many days a record ends by itself.
    """

    cutoffs: Callable[[dt.datetime], Mapping[str, dt.datetime]]
    kept: Callable[[Account, str], tuple[dt.datetime | None, int | None]]


class Me(serializers.Serializer[Any]):
    """The account and the user behind the token."""

    account = serializers.CharField(help_text="the account number")
    state = serializers.ChoiceField([State.ACTIVE.value, State.CLOSED.value])
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="when the time to cancel a deletion ends")
    user = serializers.UUIDField(help_text="the owner who made the token")
    scopes = serializers.ListField(child=serializers.CharField())
    token_ends_at = serializers.DateTimeField()


class CategoryHeld(serializers.Serializer[Any]):
    """One category of what we hold."""

    category = serializers.ChoiceField(Category.values)
    name = serializers.CharField()
    purposes = serializers.ListField(child=serializers.CharField())
    sources = serializers.ListField(child=serializers.CharField())
    records = serializers.IntegerField(min_value=0)
    kept_until = serializers.DateTimeField(
        allow_null=True, help_text="null while the account is open: it is kept until the account is deleted"
    )
    record_days = serializers.IntegerField(
        allow_null=True, help_text="a record is deleted this many days after its time, while the account is open too"
    )


class WhatWeHold(serializers.Serializer[Any]):
    """Every category of what we hold."""

    results = CategoryHeld(many=True)


class FieldHeld(serializers.Serializer[Any]):
    """One field of a record: its name, its label and its value."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.JSONField(allow_null=True, help_text="text, number, list or object, as it is kept")


class RecordHeld(serializers.Serializer[Any]):
    """One record: what kind it is, when it came to be, and its fields."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    fields = FieldHeld(many=True)  # type: ignore[assignment]


class ReadMe(ApiView):
    """`GET /api/v1/me/`."""

    required_scope = "data:read"
    open_when_closed = True

    @extend_schema(operation_id="read_me", summary="See whose token this is", responses={200: Me})
    def get(self, request: Request) -> Response:
        """Return the account and the user behind the token."""
        caller = customer(request)
        account, token = caller.account, caller.token
        found = {
            "account": account.number,
            "state": account.state,
            "created_at": account.created_at,
            "closed_at": account.closed_at,
            "due_at": account.due_at,
            "user": caller.user.pk,
            "scopes": sorted(token.scopes),
            "token_ends_at": token.expires_at,
        }
        return Response(Me(found).data)


class DataView(ApiView):
    """Common part of the data; `as_view(schedule=...)` hands the schedule down."""

    required_scope = "data:read"
    schedule: Schedule

    @classmethod
    def as_view(cls, *, schedule: Schedule, **initkwargs: Any) -> Any:  # type: ignore[override]
        """Return the view for an address, with the schedule it goes by."""
        cls.schedule = schedule
        return super().as_view(**initkwargs)


class ListData(DataView):
    """`GET /api/v1/data/`."""

    @extend_schema(
        operation_id="list_data",
        summary="See what we hold about you",
        responses={
            200: WhatWeHold,
            400: OpenApiResponse(Problem, "A parameter is not known."),
            409: OpenApiResponse(Problem, "The account is closed."),
        },
    )
    def get(self, request: Request) -> Response:
        """Return every category with its purposes, sources, number of records, and until when it is kept."""
        account = customer(request).account
        asked(request)
        counts = datamap.counts([account.pk], self.schedule.cutoffs(timezone.now()))
        kept = self.schedule.kept
        found = [_category(category, counts.get(category, 0), *kept(account, category)) for category in readable()]
        return Response({"results": found})


class ReadData(DataView):
    """`GET /api/v1/data/<category>/`."""

    open_when_closed = True

    @extend_schema(
        operation_id="read_data",
        summary="Read the records of a category",
        parameters=[
            OpenApiParameter("category", str, OpenApiParameter.PATH, enum=Category.values),
            *PAGE_PARAMETERS,
        ],
        responses={
            200: page_of(RecordHeld),
            400: OpenApiResponse(Problem, "The limit or the cursor cannot be read, or a parameter is not known."),
            404: OpenApiResponse(Problem, "There is no such category."),
            409: OpenApiResponse(Problem, "The account is closed."),
        },
    )
    def get(self, request: Request, category: str) -> Response:
        """Return a page of records, kind by kind, newest first; files are fetched in the portal."""
        account = customer(request).account
        asked(request)
        if category not in readable():
            raise NotFound("There is no such category.")
        if account.state != State.ACTIVE and category not in OPEN_WHEN_CLOSED:
            raise closed_refusal(account)
        kinds = kinds_of(category)
        walk = _Walk(account, kinds, self.schedule.cutoffs(timezone.now()))
        found, newer, older = walk.page(cursor_of(request, len(kinds)), limit_of(request))
        return linked(request, [_record(kinds[part], record) for part, record in found], newer, older)


def readable() -> list[Category]:
    """Return the categories of which a customer may read anything."""
    return [category for category in datamap.categories() if kinds_of(category)]


def kinds_of(category: str) -> list[Model]:
    """Return the tables of a category that its customer may read, by name: the order of their records."""
    found = [model for model in datamap.in_category(category) if Audience.CUSTOMER in datamap.entries()[model].shown]
    return sorted(found, key=lambda model: model._meta.label_lower)


class _Walk:
    """Walks over the tables of a category, one after the other, forth or back from a place."""

    def __init__(self, account: Account, kinds: list[Model], cutoffs: Mapping[str, dt.datetime]) -> None:
        self.account, self.kinds, self.cutoffs = account, kinds, cutoffs

    def page(self, cursor: Cursor | None, limit: int) -> tuple[list[tuple[int, Record]], Cursor | None, Cursor | None]:
        """Return the (table, record) pairs of a page, and the places to go on from in both directions."""
        back = cursor is not None and cursor.back
        found = self._read(cursor, limit + 1, back)
        more, found = len(found) > limit, found[:limit]
        if back:
            found.reverse()
        if not found:
            return [], None, None
        newer = _cursor(*found[0], back=True) if (more if back else cursor is not None) else None
        older = _cursor(*found[-1]) if back or more else None
        return found, newer, older

    def _read(self, cursor: Cursor | None, wanted: int, back: bool) -> list[tuple[int, Record]]:
        parts = range(len(self.kinds))
        start = cursor.part if cursor else 0
        found: list[tuple[int, Record]] = []
        for part in reversed(parts[: start + 1]) if back else parts[start:]:
            found += [(part, record) for record in self._part(part, cursor, wanted - len(found), back)]
            if len(found) >= wanted:
                break
        return found

    def _part(self, part: int, cursor: Cursor | None, limit: int, back: bool) -> list[Record]:
        place = cursor.place if cursor and cursor.part == part else None
        if back:
            # From the end of a table that stands before the cursor's: older than everything is before its first row.
            place = place or _BEFORE_ALL
            return list(records(self.kinds[part], self.account.pk, self.cutoffs, before=place, limit=limit))
        return list(records(self.kinds[part], self.account.pk, self.cutoffs, after=place, limit=limit))


_BEFORE_ALL = (dt.datetime(1, 1, 2, tzinfo=dt.UTC), UUID(int=0))


def _cursor(part: int, record: Record, back: bool = False) -> Cursor:
    return Cursor(record.at, record.id, part, back)


def _category(
    category: Category, number: int, kept_until: dt.datetime | None, record_days: int | None
) -> dict[str, Any]:
    entries = [datamap.entries()[kind] for kind in kinds_of(category)]
    found = {
        "category": category.value,
        "name": str(category.label),
        "purposes": _words(entries, lambda entry: [str(purpose.label) for purpose in entry.purposes]),
        "sources": _words(entries, lambda entry: [str(entry.source)]),
        "records": number,
        "kept_until": kept_until,
        "record_days": record_days,
    }
    return dict(CategoryHeld(found).data)


def _words(entries: list[Personal], of: Callable[[Personal], list[str]]) -> list[str]:
    return list(dict.fromkeys(word for entry in entries for word in of(entry)))


def _record(kind: Model, record: Record) -> dict[str, Any]:
    labels = {field.name: field.label for field in shown_fields(kind)}
    fields = [{"name": name, "label": labels[name], "value": value} for name, value in record.fields.items()]
    label = str(datamap.entries()[kind].label)
    return dict(RecordHeld({"id": record.id, "kind": label, "at": record.at, "fields": fields}).data)
