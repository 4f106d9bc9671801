"""Abuse cases in the admin: the queue by urgency, one page with the reports, the findings and one timeline (P17, P18).

Cases of children are found by whoever has the permission for them, and by nobody else.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin.links import account_link
from accounts.admin_base import ERASED, Act, Eyes, Identifiers, RecordAdmin, Section, asking, staff
from accounts.downloading import download
from accounts.errors import NotActionable
from accounts.models import Service, User
from accounts.roles import may
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment, moment_text
from disclosures import concluding, judging, notifying, reporting
from disclosures.admin import case_customer, case_letters, case_notices
from disclosures.admin.case_notices import ENDED, RECENT, words_of
from disclosures.admin.case_queue import CLOSE_SELECTED, CloseForm, CustomerStands, close_several
from disclosures.models import AbuseCase, AbuseNotice, AbuseReport, CaseFile, CaseKind, CaseOutcome, Finding
from disclosures.reports.shape import PROBLEMS

OPEN_RAW = "disclosures.open_report"
SHOWN_REPORTS = 20
HOUR = dt.timedelta(hours=1)
# From so many hours on, days are told.
DAYS = 48


class CaseAct(Act):
    """What the acts on an open case have in common."""

    permission = judging.DECIDE

    def hindrance(self, record: Any, user: User) -> str:
        return ENDED if record.closed_at else ""

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        retractions = _retractions(record)
        return [about(eyes, record), *taken_back(record, retractions), newest_report(eyes, record)]


def _told_hinders(record: AbuseCase) -> str:
    notice = notifying.notice_of(record)
    return "" if notice is None or notice.ended_at else "The customer was told. Close it, and take the report in anew."


class AssignToMe(CaseAct):
    """Take care of it."""

    slug, label = "assign-to-me", "Assign to me"

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or ("It is yours." if record.assigned_to == user.pk else "")

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        judging.assign(record.pk, by=user)
        return f"Case {record.reference} is yours."


class WhomForm(forms.Form):
    """Whose account it is."""

    number = Identifiers(
        label="Account number", max_length=20, required=False, help_text="Empty means: not a customer of ours."
    )
    service = forms.ChoiceField(label="Service", required=False)


class DecideWhom(CaseAct):
    """Say whom it concerns."""

    slug, label = "decide-whom", "Decide whom it concerns"

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or _told_hinders(record)

    def consequences(self, record: Any) -> list[str]:
        return ["The case stands with that account. Nobody is told anything by this."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        initial = {"number": record.account.number if record.account else "", "service": str(record.service or "")}
        form: Any = WhomForm(data, initial=initial)
        known = Service.objects.filter(account=record.account_id).order_by("started_at", "pk") if record.account else []
        form.fields["service"].choices = [("", "none in particular"), *((str(one.pk), one.name) for one in known)]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        service = UUID(given["service"]) if given["service"] and given["number"] else None
        done = judging.decide_whom(record.pk, by=user, number=given["number"], service=service)
        return f"Case {record.reference}: {done.get_found_display()}."


class FindingForm(forms.Form):
    """What was looked at, and what came of it."""

    item = forms.ChoiceField(label="What you looked at", choices=Finding.choices)
    is_met = forms.ChoiceField(label="Is it so?", choices=[("yes", "Yes"), ("no", "No")], widget=forms.RadioSelect)
    note = forms.CharField(
        label="How you know, or what is missing",
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class RecordFinding(CaseAct):
    """Record a finding."""

    slug, label = "record-finding", "Record a finding"
    form_class = FindingForm

    def consequences(self, record: Any) -> list[str]:
        return ["It stands with your name and the time. Another one of the same item takes its place."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [*super().sections(eyes, record), found(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        judging.find(record.pk, given["item"], by=user, is_met=given["is_met"] == "yes", note=given["note"])
        return "The finding is recorded."


class KindForm(forms.Form):
    """What it is about."""

    kind = forms.ChoiceField(label="What it is about", choices=CaseKind.choices, widget=forms.RadioSelect)


class ChangeKind(CaseAct):
    """Say what it is about."""

    slug, label = "change-kind", "Change what it is about"
    form_class = KindForm

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or _told_hinders(record)

    def consequences(self, record: Any) -> list[str]:
        return ["How urgent it is, and by when somebody must look, follow from it."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form: Any = KindForm(data, initial={"kind": record.kind})
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        done = judging.change_kind(record.pk, form.cleaned_data["kind"], by=user)
        return f"Case {record.reference} is about: {done.get_kind_display()}."


class NoteForm(forms.Form):
    """A note for colleagues."""

    text = forms.CharField(label="Your note", max_length=5000, widget=forms.Textarea(attrs={"rows": 4}))


class AddNote(CaseAct):
    """Write a note."""

    slug, label = "add-note", "Add a note"
    form_class = NoteForm

    def hindrance(self, record: Any, user: User) -> str:
        return ""

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        judging.note(record.pk, by=user, text=form.cleaned_data["text"])
        return "Your note is kept."


class CloseCase(CaseAct):
    """End it."""

    slug, label = "close", "Close the case"
    form_class = CloseForm

    def consequences(self, record: Any) -> list[str]:
        said = ["It stays as it is. What comes later about the same matter opens another case."]
        if notifying.notice_of(record) is not None:
            said.append("Withdrawn or not valid: services run again, material is back, a strike falls.")
            said.append("The customer is told.")
        return said

    def form(self, record: Any, data: Any = None) -> forms.Form:
        initial = {"outcome": CaseOutcome.WITHDRAWN} if judging.is_taken_back(record) else {}
        return asking(CloseForm(data, initial=initial))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        concluding.close(record.pk, form.cleaned_data["outcome"], by=user, reason=form.cleaned_data["reason"])
        return f"Case {record.reference} is closed."


def about(eyes: Eyes, record: AbuseCase) -> Section:
    """Return what a case is."""
    facts = [
        ("Reference", record.reference),
        ("Kind", record.get_kind_display()),
        ("Urgency", record.get_severity_display()),
        ("Somebody looks by", moment(record.look_by)),
        *eyes.facts(record),
        ("Seen at", moment(record.source_at) or "no time named"),
        ("Concerns", account_link(record) if record.account_id else record.get_found_display()),
        ("Decided by", "the search" if record.decided_by == ledger.SYSTEM else eyes.who(record.decided_by)),
        ("Opened", moment(record.opened_at)),
        ("Complainant", record.complainant.reference if record.complainant else "not named"),
        ("Assigned to", eyes.who(record.assigned_to) if record.assigned_to else "nobody"),
        ("Closed", moment(record.closed_at) or "no"),
        ("Outcome", record.get_outcome_display() or "none yet"),
    ]
    return Section("Case", facts=facts)


def newest_report(eyes: Eyes, record: AbuseCase, newest: Sequence[AbuseReport] = ()) -> Section:
    """Return what the newest report with words of its own says: most often it is among the `newest` of the page."""
    own = (row for row in newest if not row.is_repeat and not row.is_retraction)
    row = next(own, None) or record.worded_report()
    if row is None:
        return Section("What was reported", empty="Nothing yet.")
    read: dict[str, Any] = row.read or {}
    reporter = read.get("reporter") or {}
    facts = [
        ("Came", format_html("{}, {}", moment(row.received_at), row.get_channel_display())),
        ("Format", row.format),
        ("Reporter", ", ".join(filter(None, (reporter.get("organisation"), reporter.get("contact"))))),
        ("Written from", row.reporter or "nobody named"),
        ("May be named to the customer", "yes" if row.may_be_named else "no"),
        ("Sent by a machine", "yes" if row.is_automatic else "no"),
        *((("Takes a report back", "yes"),) if row.is_retraction else ()),
        ("Could not be read", "; ".join(PROBLEMS.get(code, code) for code in row.problems) or "nothing"),
        ("Its words", words_of(row) or "none"),
        *((f"Material {number}", _item(item)) for number, item in enumerate((read.get("items") or [])[:20], start=1)),
        *((one.get("kind", ""), one.get("body", "")) for one in (read.get("declarations") or [])[:10]),
        ("Every field", json.dumps(read.get("fields") or {}, ensure_ascii=False, indent=1)[:8000]),
    ]
    return Section("What was reported", facts=[fact for fact in facts if fact[1]])


def _retractions(record: AbuseCase, newest: Sequence[AbuseReport] = ()) -> list[AbuseReport]:
    """Return the reports that take one back; `newest` are those the page has, all there are when they are few."""
    if 0 < len(newest) < SHOWN_REPORTS:
        return [row for row in newest if row.is_retraction]
    return list(_newest_first(record).filter(is_retraction=True)[:SHOWN_REPORTS])


def taken_back(record: AbuseCase, rows: list[AbuseReport]) -> list[Section]:
    """Return what takes a report of this case back, and what to do about it; nothing where nothing does."""
    if not rows:
        return []
    said = [
        (moment_text(row.received_at), f"{row.reporter or 'nobody named'}: {words_of(row) or 'without words'}")
        for row in rows
    ]
    title, todo = "Taken back by the reporter", []
    if judging.is_taken_back(record):
        todo = [("What to do", judging.TAKEN_BACK)]
    elif AbuseCase.objects.taken_back(by_anybody=True).filter(pk=record.pk).exists():
        title = "Said to be taken back, by another sender than who reported: decide what follows"
    return [Section(title, facts=[*said, *todo])]


def _item(item: dict[str, Any]) -> str:
    return ", ".join(str(item[name]) for name in ("title", "url", "filename") if item.get(name))


def found(eyes: Eyes, record: AbuseCase) -> Section:
    """Return each finding that counts, and what a notice lacks."""
    rows = [
        (
            row.get_item_display(),
            "yes" if row.is_met else "no",
            row.note or "",
            eyes.who(row.found_by),
            moment(row.found_at),
        )
        for row in judging.findings(record).values()
    ]
    lacks = judging.missing(record)
    title = f"Findings (lacks: {', '.join(str(item.label) for item in lacks)})" if lacks else "Findings"
    return Section(title, head=("What", "Is it so", "Note", "By", "When"), rows=rows)


@admin.register(AbuseCase)
class AbuseCaseAdmin(RecordAdmin):
    """Cases of abuse: most urgent first."""

    acts = (
        AssignToMe,
        DecideWhom,
        RecordFinding,
        *case_notices.ACTS,
        *case_letters.ACTS,
        ChangeKind,
        AddNote,
        CloseCase,
    )
    list_display = (
        "reference",
        "kind",
        "severity",
        "hours_left",
        "concerns",
        "events",
        "answer",
        "assigned_to",
        "outcome",
    )
    list_filter = (CustomerStands, "kind", "severity", "found")
    ordering = ("closed_at", "-severity", "look_by", "pk")
    subject_field = "pk"
    actions = ("assign_selected", CLOSE_SELECTED)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether this member of staff works on cases; the admin asks for the action."""
        return may(staff(request), judging.DECIDE)

    @admin.action(description="Assign to me", permissions=["decide"])
    def assign_selected(self, request: HttpRequest, rows: QuerySet[AbuseCase]) -> None:
        """Take care of each selected case by the act of one, and say of each what came of it (for storms)."""
        for case in rows.order_by("opened_at", "pk"):
            try:
                judging.assign(case.pk, by=staff(request))
            except NotActionable as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.message_user(request, f"Case {case.reference} is yours.", messages.SUCCESS)

    @admin.action(description="Close", permissions=["decide"])
    def close_selected(self, request: HttpRequest, rows: QuerySet[AbuseCase]) -> HttpResponse | None:
        """End several cases with one outcome and one reason (for storms)."""
        return close_several(self, request, rows)

    def name_of(self, record: Any) -> str:
        return f"case {record.reference}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AbuseCase]:
        rows: QuerySet[AbuseCase] = super().get_queryset(request).select_related("account", "complainant")
        told = AbuseNotice.objects.filter(case=OuterRef("pk")).order_by("-sent_at")
        # Rows and not ids, so that the index by case alone answers: a storm is a hundred thousand of them.
        reports = AbuseReport.objects.filter(case=OuterRef("pk")).order_by().values("case")
        rows = rows.annotate(
            events_counted=Coalesce(Subquery(reports.values(n=Count("*"))), 0),
            sent_at=Subquery(told.values("sent_at")[:1]),
            act_by=Subquery(told.values("act_by")[:1]),
            answered_at=Subquery(told.values(when=Coalesce("remedied_at", "disagreed_at", "countered_at"))[:1]),
        )
        return judging.visible(staff(request), rows)

    @admin.display(description="customer")
    def answer(self, case: AbuseCase) -> str:
        if case.sent_at is None:  # type: ignore[attr-defined]
            return "not told"
        if case.answered_at is not None:  # type: ignore[attr-defined]
            return "answered"
        return f"answer by {moment_text(case.act_by)}" if case.act_by else "not delivered"  # type: ignore[attr-defined]

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        def assignee(case: AbuseCase) -> str:
            if case.assigned_to is None:
                return "nobody"
            eyes.know_colleagues()
            return eyes.who(case.assigned_to)

        return {"assigned_to": assignee}

    @admin.display(description="to be looked at")
    def hours_left(self, case: AbuseCase) -> str:
        if case.closed_at is not None:
            return "ended"
        left = case.look_by - timezone.now()
        hours = abs(left) // HOUR
        words = f"{hours // 24} days" if hours >= DAYS else "1 hour" if hours == 1 else f"{hours} hours"
        return f"in {words}" if left >= dt.timedelta() else f"late by {words}"

    @admin.display(description="concerns")
    def concerns(self, case: AbuseCase) -> str:
        return case.account.number if case.account else case.get_found_display()

    @admin.display(description="reports")
    def events(self, case: AbuseCase) -> int:
        return case.events_counted  # type: ignore[attr-defined,no-any-return]

    def get_detail_queryset(self, request: HttpRequest) -> QuerySet[AbuseCase]:
        """Return cases with their findings, which parts and acts of a page ask for, and the counts of the customer."""
        rows: QuerySet[AbuseCase] = super().get_detail_queryset(request)
        counts = case_customer.counts(staff(request), timezone.now())
        return rows.annotate(**counts).prefetch_related("findings")

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        # What carries keys of its own is fetched first, so that all of them come with the first value that is read.
        notifying.notice_of(record)
        customer = case_customer.concerned(eyes.user, record)
        newest = list(_newest_first(record)[:SHOWN_REPORTS])
        eyes.know_colleagues()
        retractions = _retractions(record, newest)
        record.was_taken_back = bool(retractions) and judging.is_taken_back(record)
        return [
            about(eyes, record),
            *taken_back(record, retractions),
            newest_report(eyes, record, newest),
            case_letters.reputation(eyes, record, newest),
            found(eyes, record),
            *case_notices.tipline(eyes, record),
            *case_customer.card(eyes.user, record, customer),
            self._earlier(eyes, record),
            *case_notices.told(eyes, record),
            self._reports(eyes, record, newest),
            case_notices.copies(eyes, record),
            _files(eyes, record),
            self._notes(eyes, record),
            self._timeline(eyes, record),
        ]

    def _reports(self, eyes: Eyes, record: AbuseCase, newest: list[AbuseReport]) -> Section:
        """Return the newest reports, and how many there are."""
        raw = may(eyes.user, OPEN_RAW)
        rows = [
            (
                moment(row.received_at),
                row.get_channel_display(),
                row.format,
                _repeat(row),
                _raw_link(row) if raw else "",
            )
            for row in newest
        ]
        counted = self.events(record)
        title = f"Reports ({counted})"
        if counted > SHOWN_REPORTS:
            title = f"Reports ({counted}, the newest {SHOWN_REPORTS})"
        return Section(title, head=("Came", "How", "Format", "Repeat", "Raw message"), rows=rows)

    def _earlier(self, eyes: Eyes, record: AbuseCase) -> Section:
        others = (
            judging.visible(eyes.user, AbuseCase.objects.filter(account=record.account_id))
            if record.account_id
            else None
        )
        rows = [
            (self._link(one), one.get_kind_display(), moment(one.opened_at), one.get_outcome_display() or "open")
            for one in (
                others.exclude(pk=record.pk).order_by("-opened_at", "pk")[:RECENT] if others is not None else []
            )
        ]
        return Section("Other cases of this customer", head=("Case", "About", "Opened", "Outcome"), rows=rows)

    def _link(self, case: AbuseCase) -> Any:
        return format_html('<a href="{}">{}</a>', self.url_of(case), case.reference)

    def _notes(self, eyes: Eyes, record: AbuseCase) -> Section:
        notes = record.notes.order_by("-written_at", "-pk")[:RECENT]
        rows = [(moment(one.written_at), eyes.who(one.written_by), one.text) for one in notes]
        return Section("Notes", head=("When", "Who", "What"), rows=rows)

    def _timeline(self, eyes: Eyes, record: AbuseCase) -> Section:
        entries = LedgerEntry.objects.filter(subject=record.pk).exclude(action="viewed").order_by("-at", "-pk")[:RECENT]
        rows = [(moment(entry.at), entry.action.rpartition(".")[2], eyes.who(entry.actor)) for entry in entries]
        return Section("Timeline", head=("When", "What", "Who"), rows=rows)

    def get_urls(self) -> list[URLPattern]:
        """Return the raw messages and the customer's files besides the pages."""
        raw, file = (self.admin_site.admin_view(view) for view in (self.raw_view, self.file_view))
        return [
            path("<uuid:object_id>/raw/<uuid:report>/", raw, name=self.url_name("raw")),
            path("<uuid:object_id>/files/<uuid:file>/", file, name=self.url_name("file")),
            *super().get_urls(),
        ]

    def raw_view(self, request: HttpRequest, object_id: UUID, report: UUID) -> HttpResponse:
        """Give a raw message out as a download, recorded before; it is never shown in the browser."""
        user = staff(request)
        if not may(user, OPEN_RAW):
            raise PermissionDenied
        case = self.one(request, object_id)
        row = AbuseReport.objects.filter(pk=report, case=case).first()
        if row is None:
            raise Http404
        ledger.record(user.actor, reporting.action(case, "opened_raw"), case.pk, report=row.pk)
        # Forms and other systems send fields, which are kept as JSON.
        ending = "eml" if row.channel == AbuseReport.Channel.MAIL else "json"
        return download(request, f"{case.reference}.{ending}", "application/octet-stream", bytes(row.raw))

    def file_view(self, request: HttpRequest, object_id: UUID, file: UUID) -> HttpResponse:
        """Give a file that the customer sent out as a download, recorded before; it is never shown in the browser."""
        user = staff(request)
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        case = self.one(request, object_id)
        row = CaseFile.objects.filter(pk=file, case=case).first()
        name = Eyes(user).on(row, "name") if row is not None else ERASED
        if row is None or name == ERASED:
            raise Http404
        ledger.record(user.actor, reporting.action(case, "opened_file"), case.pk, file=row.pk)
        return download(request, name, row.media_type, bytes(row.content))


def _files(eyes: Eyes, case: AbuseCase) -> Section:
    """Return the files that the customer sent to show what they did, newest first."""
    rows = [
        (moment(row.sent_at), eyes.who(row.sent_by), _file_link(row, eyes.on(row, "name")))
        for row in case.files.defer("content").order_by("-sent_at", "-pk")[:RECENT]
    ]
    return Section("Files that show what was done", head=("When", "Who", "File"), rows=rows)


def _file_link(row: CaseFile, name: str) -> Any:
    where = reverse("admin:disclosures_abusecase_file", args=[row.case_id, row.pk])
    return format_html('<a href="{}">{}</a> ({} bytes)', where, name, row.size)


def _newest_first(case: AbuseCase) -> QuerySet[AbuseReport]:
    """Return the reports of a case, newest first, without the raw messages."""
    rows: QuerySet[AbuseReport] = case.reports.defer("raw").order_by("-received_at", "-pk")
    return rows


def _repeat(row: AbuseReport) -> str:
    return "the same again" if row.is_repeat else ""


def _raw_link(row: AbuseReport) -> Any:
    where = reverse("admin:disclosures_abusecase_raw", args=[row.case_id, row.pk])
    return format_html('<a href="{}">Download ({} bytes)</a>', where, row.raw_size)
