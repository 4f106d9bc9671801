"""Legal requests in the admin: the queue by days left, the record with its timeline, letters and documents.

Only who may know of sealed matters finds anything here: for everybody else there is no such record, list or count.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.admin_base import Eyes, RecordAdmin, Section, staff
from accounts.downloading import download
from accounts.errors import NotActionable
from accounts.models import User
from accounts.roles import may, sees_sealed
from disclosures import checking, documenting
from disclosures.admin import legal_acts, legal_sections, telling
from disclosures.admin.disclosures import Compel
from disclosures.legal_rows import DOWNLOADS
from disclosures.models import LegalDocument, LegalLetter, LegalRequest, Silence, Sought

SEES = "disclosures.view_legalrequest"
SEALED_FIELDS = ("authority", "official", "docket", "wording", "outcome_reason")
WEEK = dt.timedelta(days=7)


def sees(user: User) -> bool:
    """Return whether a member of staff may know of legal requests at all."""
    return may(user, SEES) and sees_sealed(user)


class LegalRoom(RecordAdmin):
    """What belongs to legal requests."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return sees(staff(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if sees(staff(request)) else rows.none()


class Standing(admin.SimpleListFilter):
    """How a request stands with its clock; without a choice the open ones."""

    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("overdue", "Overdue"),
            ("soon", "Due within 7 days"),
            ("unverified", "To verify"),
            ("verified", "Verified, not ended"),
            ("objected", "Objection stands"),
            ("sealed", "Silence stands"),
            ("ended", "Ended"),
            ("all", "All"),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": "Open"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[LegalRequest]) -> QuerySet[LegalRequest]:
        now, is_open = timezone.now(), Q(closed_at=None)
        due = queryset.alias(due=Coalesce("agreed_due_at", "due_at"))
        chosen: QuerySet[Any] = {
            "overdue": due.filter(is_open, due__lt=now),
            "soon": due.filter(is_open, due__gte=now, due__lt=now + WEEK),
            "unverified": queryset.filter(is_open, verified_at=None),
            "verified": queryset.filter(is_open, verified_at__isnull=False),
            "objected": queryset.filter(is_open, objected_at__isnull=False, objection_ended_at=None),
            "sealed": queryset.filter(_silent(now)),
            "ended": queryset.filter(closed_at__isnull=False),
            "all": queryset,
        }.get(self.value() or "", queryset.filter(is_open))
        return chosen


def _silent(at: dt.datetime) -> Exists:
    standing = Silence.objects.filter(request=OuterRef("pk"), lifted_at=None, starts_at__lte=at)
    return Exists(standing.filter(Q(ends_at=None) | Q(ends_at__gt=at)))


class Whose(admin.SimpleListFilter):
    """Who takes care of a request, or may do the next thing about it."""

    title, parameter_name = "whose", "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "Mine"), ("unassigned", "Unassigned")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LegalRequest]) -> QuerySet[LegalRequest]:
        if self.value() == "mine":
            return queryset.filter(assigned_to=staff(request).pk)
        return queryset.filter(assigned_to=None) if self.value() == "unassigned" else queryset


class Place(admin.SimpleListFilter):
    """Where a request comes from."""

    title, parameter_name = "jurisdiction", "place"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("home", f"This state ({checking.HOME})"),
            ("federal", "Federal (US)"),
            ("states", "Other states"),
            ("abroad", "Abroad"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LegalRequest]) -> QuerySet[LegalRequest]:
        american = Q(jurisdiction="US") | Q(jurisdiction__startswith="US-")
        chosen = {
            "home": Q(jurisdiction=checking.HOME),
            "federal": Q(jurisdiction="US"),
            "states": Q(jurisdiction__startswith="US-") & ~Q(jurisdiction=checking.HOME),
            "abroad": ~american & ~Q(jurisdiction=""),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


@admin.register(LegalRequest)
class LegalRequestAdmin(LegalRoom):
    """Legal requests: the queue, the record, the acts."""

    acts = (
        legal_acts.Receive,
        legal_acts.Find,
        legal_acts.AssignToMe,
        legal_acts.Complete,
        legal_acts.AddDocuments,
        legal_acts.SeekMore,
        legal_acts.Decide,
        legal_acts.RecordCheck,
        legal_acts.Verify,
        legal_acts.Narrow,
        legal_acts.AgreeTime,
        legal_acts.ObjectTo,
        legal_acts.EndObjection,
        legal_acts.DraftLetter,
        legal_acts.AskRenewal,
        legal_acts.ApproveRenewal,
        legal_acts.AddNote,
        *telling.ACTS,
        Compel,
        legal_acts.Close,
    )
    subject_field = "pk"
    list_display = (
        "reference",
        "instrument",
        "authority_name",
        "accounts",
        "received_at",
        "days_left",
        "standing",
        "assigned_to",
        "is_sealed",
    )
    list_filter = (Standing, Whose, "instrument", Place)
    # The index of open requests has this order; those without a date come last.
    ordering = ("due_at", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalRequest]:
        # Asked for the rows of one page; as columns and joins they would be made for every row of the pages before it.
        found = Sought.objects.filter(found=Sought.Found.ONE).only("request", "account")
        silences = Silence.objects.filter(lifted_at=None).defer("note", "recorded_by")
        rows: QuerySet[LegalRequest] = super().get_queryset(request)
        named = ("recipient", "preserved_by")
        return rows.prefetch_related(
            *named, Prefetch("sought", found, "people"), Prefetch("silences", silences, "silence")
        )

    def get_detail_queryset(self, request: HttpRequest) -> QuerySet[LegalRequest]:
        """Return requests with what is named in them: of one, a join is the cheaper way."""
        rows: QuerySet[LegalRequest] = super().get_detail_queryset(request)
        return rows.select_related("recipient", "preserved_by")

    def columns(self, eyes: Eyes) -> Any:
        def assignee(request: LegalRequest) -> str:
            if request.assigned_to is None:
                return "nobody"
            eyes.know_colleagues()
            return eyes.who(request.assigned_to)

        return {"assigned_to": assignee}

    @admin.display(description="authority")
    def authority_name(self, request: LegalRequest) -> str:
        return request.recipient.name if request.recipient else "not known yet"

    @admin.display(description="accounts")
    def accounts(self, request: Any) -> int:
        return len({person.account_id for person in request.people})

    @admin.display(description="days left")
    def days_left(self, request: LegalRequest) -> str:
        return legal_sections.days_left(request, timezone.now())

    @admin.display(description="status")
    def standing(self, request: LegalRequest) -> str:
        return legal_sections.status(request)

    @admin.display(description="silence")
    def is_sealed(self, request: Any) -> str:
        now = timezone.now()
        return "Sealed" if any(one.stands(now) for one in request.silence) else ""

    def name_of(self, record: Any) -> str:
        return f"legal request {record.reference}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        parts = (
            legal_sections.standing,
            legal_sections.persons,
            legal_sections.checklist,
            legal_sections.on_file,
            legal_sections.documents,
            legal_sections.holds,
            legal_sections.silence,
            legal_sections.notices,
            legal_sections.letters,
            legal_sections.notes,
            legal_sections.timeline,
        )
        return [part(eyes, record) for part in parts]


@admin.register(LegalLetter)
class LegalLetterAdmin(LegalRoom):
    """Letters about legal requests: drafts to edit and send, and those that were sent."""

    acts = (legal_acts.Edit, legal_acts.Send)
    subject_field = "request_id"
    list_display = ("id", "request", "kind", "made_at", "sent_at")
    list_filter = ("kind",)
    list_select_related = ("request",)
    ordering = ("-made_at", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalLetter]:
        return super().get_queryset(request).select_related("request__recipient")

    def name_of(self, record: Any) -> str:
        return f"{record.get_kind_display()} about {record.request.reference}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.letter(eyes, record)]


@admin.register(LegalDocument)
class LegalDocumentAdmin(LegalRoom):
    """Documents of legal requests: what they are, and the download; never shown here."""

    subject_field = "request_id"
    list_display = ("id", "request", "state", "size", "added_at")
    list_filter = ("state",)
    list_select_related = ("request",)
    ordering = ("-added_at", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalDocument]:
        return super().get_queryset(request).select_related("request").defer("content")

    def name_of(self, record: Any) -> str:
        return f"document of {record.request.reference}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.documents(eyes, record.request)]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file_view)
        return [path("<uuid:object_id>/file/", view, name=self.url_name("file")), *super().get_urls()]

    def file_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Give a document out as a download, after the ledger entry; 409 while nobody looked at it."""
        user = staff(request)
        if not (sees(user) and may(user, DOWNLOADS)):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        document = self.one(request, object_id)
        if document is None:
            raise Http404
        try:
            given = documenting.handed_out(document.pk, by=user, request_ids=[document.request_id])
        except NotActionable as error:
            return self.page(request, "This document cannot be had yet", [Section("Document", empty=str(error))])
        is_clean = given.state == LegalDocument.State.CLEAN
        return download(
            request, given.name, documenting.MEDIA_TYPE if is_clean else "application/octet-stream", given.content
        )
