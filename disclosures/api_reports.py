"""The API on which other systems hand in reports of abuse (P17), and see how their own stand.

Each report is taken in by the act that takes every report. The answer is the receipt: reference, id, and what could not
be read of it; never whom it concerns. Who hands in stands in the ledger, and that alone lets a token read a report
again. Of a case of children nothing is told after the receipt, as by mail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import IDEMPOTENCY_KEY, PROBLEMS, ApiView, system, taken
from accounts.api_parsing import Problem
from accounts.api_tokens import Caller
from accounts.idempotency import Answer, made_under, once
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry
from disclosures import composing, reporting
from disclosures.api_report_shapes import (
    Complaint,
    CopyrightNotice,
    ReportStanding,
    ReportState,
    XArfReport,
    party_of,
    place_of,
)
from disclosures.composing import Told
from disclosures.models import AbuseCase, AbuseNotice, AbuseReport, CaseKind
from disclosures.reports.shape import Kind, Report

DOOR = "api"
# What is kept of the fields, and the report they make; None when it is read from what is kept.
Made = tuple[bytes, Report | None]


class ReportView(ApiView):
    """Common part of the three doors."""

    required_scope = "reports:write"

    def take(
        self, request: Request, shape: type[serializers.Serializer[Any]], make: Callable[[dict[str, Any], Any], Made]
    ) -> Response:
        """Take a report in and answer with its receipt."""
        caller, fields = system(request), taken(shape, request)
        return once(request, caller.pk, lambda: _take(request, caller, *make(fields, request.data)))


class ReportAbuse(ReportView):
    """`POST /api/v1/reports/`."""

    @extend_schema(
        operation_id="report_abuse",
        summary="Report abuse",
        parameters=[IDEMPOTENCY_KEY],
        request=Complaint,
        responses={201: ReportStanding, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Hand in a report of anything but copyright.

        It is kept as it came, joins the case of its matter or opens one, and staff look at it. The answer is the
        receipt; none is mailed. The reporter's address hears what became of the case.
        """
        return self.take(request, Complaint, _complaint)


class ReportCopyright(ReportView):
    """`POST /api/v1/reports/copyright/`."""

    @extend_schema(
        operation_id="report_copyright",
        summary="Hand in a copyright notice",
        parameters=[IDEMPOTENCY_KEY],
        request=CopyrightNotice,
        responses={201: ReportStanding, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Hand in a notice with the six elements of 17 USC 512(c)(3), which a person checks.

        Whoever knowingly misrepresents that material infringes is liable for damages (17 USC 512(f)). The answer is the
        receipt; none is mailed. The complainant's address hears what became of the case.
        """
        return self.take(request, CopyrightNotice, _notice)


class ReportXArf(ReportView):
    """`POST /api/v1/reports/x-arf/`."""

    @extend_schema(
        operation_id="report_x_arf",
        summary="Hand in an X-ARF report",
        parameters=[IDEMPOTENCY_KEY],
        request=XArfReport,
        responses={201: ReportStanding, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Hand in an X-ARF report of version 4 or 3 with all its fields and evidence.

        What its schema does not allow is named in the answer and taken in nevertheless. It opens a case and is never a
        copyright notice: it has no six elements. Nobody is mailed. What is larger than a body may be goes by mail.
        """
        return self.take(request, XArfReport, _x_arf)


class ReadReport(ApiView):
    """`GET /api/v1/reports/<id>/`."""

    required_scope = "reports:read"

    @extend_schema(
        operation_id="read_report",
        summary="See how a report stands",
        responses={200: ReportStanding, 404: OpenApiResponse(Problem, "This token handed in no such report.")},
    )
    def get(self, request: Request, report: UUID) -> Response:
        """Return how a report stands that this token handed in; of a case of children it stays received."""
        return Response(_standing(_own(system(request), report)))


def _complaint(fields: dict[str, Any], sent: Any) -> Made:
    told = _told(fields, fields["reporter"], sent, may_be_named=fields["may_be_named"])
    return told.raw, told.complaint(Kind(fields["kind"]), fields["what"])


def _notice(fields: dict[str, Any], sent: Any) -> Made:
    told = _told(fields, fields["complainant"], sent)
    return told.raw, told.notice(fields["work"], fields["signature"])


def _x_arf(fields: dict[str, Any], sent: Any) -> Made:
    return composing.kept(sent["report"]), None


def _told(fields: dict[str, Any], who: dict[str, Any], sent: Any, **more: Any) -> Told:
    places = tuple(place_of(place) for place in fields["places"])
    return Told(party_of(who), places, composing.kept(sent), door=DOOR, case_id=fields.get("case_id", ""), **more)


def _take(request: Request, caller: Caller, raw: bytes, report: Report | None) -> Answer:
    # A repeat after a crash finds the report under the id of its claim.
    number = made_under(request, caller.pk)
    one, *_none = reporting.take_in(raw, channel=AbuseReport.Channel.API, report=report, by=caller.actor, number=number)
    return 201, _standing(one.report)


def _own(caller: Caller, number: UUID) -> AbuseReport:
    rows = AbuseReport.objects.filter(pk=number, channel=AbuseReport.Channel.API, case__forgotten_at=None)
    hidden = ("raw", "read", "reporter", "case__source", "case__outcome_reason")
    found = rows.select_related("case").defer(*hidden).first()
    if found is None or not _handed_in(caller, found):
        raise NotFound("This token handed in no report with this id.")
    return found


def _handed_in(caller: Caller, report: AbuseReport) -> bool:
    entries = LedgerEntry.objects.filter(subject=report.case_id, at=report.received_at, actor=caller.actor)
    return entries.filter(action__endswith="case.reported", body__contains=str(report.pk)).exists()


def _standing(report: AbuseReport) -> dict[str, Any]:
    """Return a report in ids, dates and fixed words, which may be kept with an idempotency key."""
    facts = {
        "id": report.pk,
        "reference": report.case.reference,
        "state": _state(report.case),
        "received_at": report.received_at,
        "joined": report.has_joined,
        "is_repeat": report.is_repeat,
        "problems": report.problems,
    }
    return dict(ReportStanding(facts).data)


def _state(case: AbuseCase) -> ReportState:
    if case.kind == CaseKind.CSAM:
        return ReportState.RECEIVED
    if case.closed_at is not None:
        return ReportState.CLOSED
    return ReportState.LOOKED_AT if _is_looked_at(case) else ReportState.RECEIVED


def _is_looked_at(case: AbuseCase) -> bool:
    """Whether a person did anything with a case: took it, said whom it concerns, found something, told the customer."""
    return (
        case.assigned_to is not None
        or case.decided_by != ledger.SYSTEM
        or case.findings.exists()
        or AbuseNotice.objects.filter(case=case.pk).exists()
    )
