"""The customers' API of exports: ask for a copy, see how far it is, delete it (P21).

A token never carries the copy itself: it is fetched in the portal, with the password. An owner's token alone gets here;
a closed account asks until its due date, as on the pages.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import exporting
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
from accounts.api_parsing import Choice, Problem, RefusesUnknownFields
from accounts.api_tokens import CustomerCaller
from accounts.datamap import Category
from accounts.exporting_contents import FORMATS
from accounts.idempotency import Answer, made_under, once
from accounts.models import Account, Export
from retention import tasks

NOT_THERE = OpenApiResponse(Problem, "There is no such export.")


class ExportWanted(RefusesUnknownFields):
    """A copy that is asked for: everything, as pages to read and JSON, unless something else is said."""

    categories: serializers.ListField = serializers.ListField(
        child=Choice(Category.choices), default=Category.values, allow_empty=False, max_length=len(Category)
    )
    formats: serializers.ListField = serializers.ListField(
        child=Choice(FORMATS), default=["json"], allow_empty=False, max_length=len(FORMATS)
    )


class ExportStanding(serializers.Serializer[Any]):
    """How far a copy is."""

    reference = serializers.CharField()
    state = serializers.ChoiceField(Export.State.choices)
    categories = serializers.ListField(child=serializers.ChoiceField(Category.choices))
    formats = serializers.ListField(child=serializers.ChoiceField(FORMATS))
    percent = serializers.IntegerField(min_value=0, max_value=100, help_text="how much of it is made")
    asked_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="when the copy is deleted")
    size = serializers.IntegerField(allow_null=True, min_value=0, help_text="bytes of the file, once it is ready")
    sha256 = serializers.CharField(allow_null=True, help_text="of the file, once it is ready")
    fetch_url = serializers.URLField(
        allow_null=True, help_text="the page that gives the file to a signed-in owner who enters the password"
    )


class Exports(ApiView):
    """`GET` and `POST /api/v1/exports/`."""

    required_scope: ClassVar[dict[str, str]] = {"GET": "export:read", "POST": "export:write"}
    open_when_closed = True

    @extend_schema(
        operation_id="list_exports",
        summary="See the copies you asked for, newest first",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(ExportStanding)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of exports."""
        account = customer(request).account
        asked(request)
        return page_of_rows(request, _own(account).filter(removed_at=None), time="asked_at", shape=_standing)

    @extend_schema(
        operation_id="ask_export",
        summary="Ask for a copy of what we hold about you",
        parameters=[IDEMPOTENCY_KEY],
        request=ExportWanted,
        responses={201: ExportStanding, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Ask for a copy; it is made in the background, one at a time, and a mail says when it is ready."""
        caller, fields = customer(request), taken(ExportWanted, request)
        return once(request, caller.pk, lambda: _ask(request, caller, fields, made_under(request, caller.pk)))


class OneExport(ApiView):
    """`GET` and `DELETE /api/v1/exports/<reference>/`."""

    required_scope: ClassVar[dict[str, str]] = {"GET": "export:read", "DELETE": "export:write"}
    open_when_closed = True

    @extend_schema(
        operation_id="read_export",
        summary="See how far a copy is, and where to fetch it",
        responses={200: ExportStanding, 404: NOT_THERE},
    )
    def get(self, request: Request, reference: str) -> Response:
        """Return how far a copy is."""
        found = _own(customer(request).account).filter(removed_at=None, reference=reference).first()
        return Response(_standing(_there(found)))

    @extend_schema(
        operation_id="remove_export",
        summary="Delete a copy, or stop one that is being made",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: ExportStanding, **PROBLEMS},
    )
    def delete(self, request: Request, reference: str) -> Response:
        """Delete a copy for good; one that was deleted stays so."""
        caller, _nothing = customer(request), taken(Nothing, request)
        return once(request, caller.pk, lambda: _remove(caller, reference))


def _own(account: Account) -> Any:
    return Export.objects.filter(account=account)


def _there(export: Export | None) -> Export:
    if export is None:
        raise NotFound("There is no export with this reference.")
    return export


def _ask(request: Request, caller: CustomerCaller, fields: dict[str, Any], submission: UUID) -> Answer:
    refuse_too_often(request, "ask_export", caller.user)
    export = exporting.ask(
        caller.account.pk,
        by=caller.user,
        categories=fields["categories"],
        formats=fields["formats"],
        submission=submission,
    )
    tasks.ring_export(export.pk)
    return 201, _standing(export)


def _remove(caller: CustomerCaller, reference: str) -> Answer:
    export = _there(_own(caller.account).filter(reference=reference).first())
    exporting.remove(export.pk, by=caller.user)
    export.refresh_from_db()
    return 200, _standing(export)


def _standing(export: Export) -> dict[str, Any]:
    state = exporting.state_of(export)
    is_ready = state == Export.State.READY
    done = min(99, 100 * export.rows_done // export.rows_total) if export.rows_total else 0
    page = reverse("retention:export_download", args=[export.reference])
    found = {
        "reference": export.reference,
        "state": state,
        "categories": export.categories,
        "formats": export.formats,
        "percent": 100 if is_ready else done,
        "asked_at": export.asked_at,
        "ready_at": export.ready_at,
        "expires_at": export.expires_at,
        "size": export.size if is_ready else None,
        "sha256": export.sha256 if is_ready else None,
        "fetch_url": f"{settings.PORTAL_ORIGIN}{page}" if is_ready else None,
    }
    return dict(ExportStanding(found).data)
