"""The deletion queue in the admin: preview, pause, retry."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import account_link
from accounts.admin.tickets import TicketAdmin
from accounts.admin_base import Act, Eyes, RecordAdmin, Section, staff
from accounts.datamap import Category
from accounts.models import Ticket, User
from accounts.roles import may
from accounts.templatetags.portal_tags import moment
from retention import placing, retrying, schedule, sight
from retention.admin.fields import LONGEST_MATTER
from retention.models import DeletionRequest, Erasure, Hold, Stage

# What the steps of a due deletion read to whoever may not know of sealed matters.
LATER = "told when the deletion is finished"


class PauseForm(forms.Form):
    """How long, and why."""

    reason = forms.CharField(label="Reason", max_length=LONGEST_MATTER, widget=forms.Textarea(attrs={"rows": 3}))
    field_order = ("days", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        longest = schedule.number("pause")
        self.fields["days"] = forms.IntegerField(
            label="Days",
            min_value=1,
            max_value=longest,
            initial=longest // 2,
            help_text=f"At most {longest}.",
        )
        self.order_fields(self.field_order)


class Pause(Act):
    """Pause a deletion, once."""

    slug, label, permission = "pause", "Pause this deletion", "retention.pause_erasure"
    form_class = PauseForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.cancelled_at or record.finished_at:
            return "This request has ended."
        since = record.requested_at
        paused = Hold.objects.filter(account_id=record.account_id, kind=Hold.Kind.OPERATIONS, placed_at__gte=since)
        return "This deletion was paused before. A pause cannot be repeated." if paused.exists() else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            f"Nothing of it is erased for the time you name, at most {schedule.number('pause')} days.",
            "The pause ends by itself and can be given once.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        days = form.cleaned_data["days"]
        now = timezone.now()
        ends_at = now + schedule.span("pause") * days / schedule.number("pause")
        placing.place(
            record.account_id,
            Hold.Kind.OPERATIONS,
            by=user.actor,
            ends_at=ends_at,
            review_by=ends_at,
            matter=form.cleaned_data["reason"],
            at=now,
        )
        return f"{record.reference} is paused for {days} days."


class Retry(Act):
    """Try what failed again."""

    slug, label, permission = "retry", "Retry what failed", "retention.retry_erasure"

    def hindrance(self, record: Any, user: User) -> str:
        if record.cancelled_at or record.finished_at:
            return "This request has ended."
        failing = [e for e in Erasure.objects.filter(account_id=record.account_id) if sight.is_failing(e)]
        return "" if failing else "Nothing of this deletion failed."

    def consequences(self, record: Any) -> list[str]:
        return ["The worker takes it up at its next round, with every check as always."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        count = retrying.retry(record.account_id, by=user)
        return f"{count} steps of {record.reference} are tried again."


class Preview(Act):
    """Look at what the purge would find; nothing can be sent."""

    slug, label, permission = "preview", "Preview this deletion", "retention.preview_purge"
    http_method_names = ["get", "head"]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [dry_run(eyes.user, record)]


def dry_run(user: User, request: DeletionRequest) -> Section:
    """Return per category the rows that are there, when they are due, and why they stay, as far as known.

    A category that a sealed hold covers reads like one that nothing holds: "due" is true of both. `request` comes
    from the queue's own queryset.
    """
    now = timezone.now()
    holds = list(sight.holds_for(user).active(now).filter(account_id=request.account_id))
    there = sight.rows_for(user, request.account_id, now) if _is_counted(request) else {}
    rows = []
    steps = Erasure.objects.none() if request.cancelled_at else Erasure.objects.live()
    for erasure in steps.filter(account_id=request.account_id).order_by("due_at", "category"):
        stays = _reasons(erasure, holds)
        outlook = stays or (_outlook(erasure, now) if _is_counted(request) else LATER)
        count = there.get(erasure.category, "")
        rows.append((Category(erasure.category).label, count, moment(erasure.due_at), outlook))
    return Section(request.reference, head=("Category", "Rows", "Due", "Outlook"), rows=rows)


def _reasons(erasure: Erasure, holds: list[Hold]) -> str:
    """Return why an erasure waits, as far as the reader may know; "" when nothing they may know of covers it."""
    if erasure.state in {Stage.GONE, Stage.VERIFIED} or erasure.category == Category.CREDENTIALS:
        return ""
    covering = [hold for hold in holds if not hold.categories or erasure.category in hold.categories]
    return "stays: " + ", ".join(sorted({sight.reason(hold) for hold in covering})) if covering else ""


def _outlook(erasure: Erasure, now: dt.datetime) -> str:
    if erasure.state in {Stage.GONE, Stage.VERIFIED}:
        return str(erasure.get_state_display())
    return "due" if erasure.due_at <= now else "not due yet"


def _is_counted(request: DeletionRequest) -> bool:
    """Return whether the reader may see the steps of a request of the queue one by one."""
    return bool(cast(Any, request).is_counted)


class QueueState(admin.SimpleListFilter):
    """Where a deletion stands."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = (
            ("today", "Due today"),
            ("past", "Due and not finished"),
            ("failing", "Failing"),
            ("paused", "Paused"),
        )
        return [*names, ("ended", "Finished or cancelled")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeletionRequest]) -> QuerySet[DeletionRequest]:
        now = timezone.now()
        unfinished = queryset.filter(cancelled_at=None, finished_at=None)
        if self.value() == "today":
            return sight.due_today(unfinished, now)
        if self.value() == "past":
            return unfinished.filter(due_at__lte=now)
        if self.value() == "failing":
            return unfinished.filter(Exists(sight.failing_steps()))
        if self.value() == "paused":
            pauses = Hold.objects.active(now).filter(kind=Hold.Kind.OPERATIONS, account_id=OuterRef("account_id"))
            return unfinished.filter(Exists(pauses))
        return queryset.exclude(pk__in=unfinished.values("pk")) if self.value() == "ended" else queryset


@admin.register(DeletionRequest)
class DeletionQueueAdmin(RecordAdmin):
    """The deletion queue: due, waiting and why as far as the role may know, failing, days left."""

    acts = (Preview, Pause, Retry)
    actions = ("preview_selected",)
    list_display = (
        "reference",
        "account",
        "due_at",
        "days_left",
        "standing",
        "steps",
        "attempts",
        "last_error",
    )
    list_filter = (QueueState,)
    ordering = ("due_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeletionRequest]:
        visible = Prefetch("account__holds", sight.holds_for(staff(request)), to_attr="visible_holds")
        steps = Prefetch("account__erasures", Erasure.objects.live(), to_attr="live_erasures")
        counted = ExpressionWrapper(sight.counted(staff(request), timezone.now()), output_field=BooleanField())
        queue: QuerySet[DeletionRequest] = super().get_queryset(request).annotate(is_counted=counted)
        return queue.select_related("account").prefetch_related(visible, steps)

    def has_preview_permission(self, request: HttpRequest) -> bool:
        """Return whether the reader may make a dry run."""
        return may(staff(request), Preview.permission)

    @admin.action(description="Preview what is due (dry run)", permissions=["preview"])
    def preview_selected(self, request: HttpRequest, queryset: QuerySet[DeletionRequest]) -> HttpResponse:
        """Show a dry run of the chosen requests; changes nothing."""
        sections = [dry_run(staff(request), chosen) for chosen in queryset]
        return self.page(request, "Preview (dry run)", sections)

    @admin.display(description="days left")
    def days_left(self, request: DeletionRequest) -> str:
        if request.cancelled_at or request.finished_at:
            return "ended"
        left = request.due_at - timezone.now()
        return str(left.days) if left.days >= 0 else "due"

    def _standing(self, request: DeletionRequest) -> sight.Standing:
        account: Any = request.account
        return sight.standing(request, account.live_erasures, account.visible_holds, timezone.now())

    @admin.display(description="state")
    def standing(self, request: DeletionRequest) -> str:
        return str(self._standing(request))

    @admin.display(description="verified")
    def steps(self, request: DeletionRequest) -> str:
        found = self._standing(request)
        return f"{found.done} of {found.steps}" if found.steps and _is_counted(request) else ""

    @admin.display(description="attempts")
    def attempts(self, request: DeletionRequest) -> int:
        return max((step.attempts for step in _steps(request) if sight.is_failing(step)), default=0)

    @admin.display(description="last error")
    def last_error(self, request: DeletionRequest) -> str:
        return ", ".join(sorted({step.last_error for step in _steps(request) if sight.is_failing(step)}))

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("Conversation", _conversation(eyes.user, record)),
            ("Asked for", moment(record.requested_at)),
            ("Due", moment(record.due_at)),
            ("Days left", self.days_left(record)),
            ("State", self.standing(record)),
            ("Verified", self.steps(record) or ("nothing to verify" if _is_counted(record) else LATER)),
            ("Cancelled", moment(record.cancelled_at) or "no"),
            ("Finished", moment(record.finished_at) or "no"),
        ]
        steps = [
            (
                Category(step.category).label,
                step.get_state_display(),
                moment(step.due_at),
                step.attempts if sight.is_failing(step) else 0,
                step.last_error or "none",
            )
            for step in sorted(_steps(record), key=lambda step: (step.due_at, step.category))
            if _is_counted(record) or sight.is_failing(step)
        ]
        head = ("Category", "State", "Due", "Attempts", "Last error")
        return [Section("Request", facts=facts), Section("Steps", head=head, rows=steps)]


def _conversation(user: User, request: DeletionRequest) -> str:
    """Return the reference of the request's ticket, as a link for those who may read tickets."""
    ticket = Ticket.objects.filter(pk=request.ticket).only("reference").first()
    if ticket is None:
        return "erased with the account"
    room: Any = admin.site.get_model_admin(Ticket)
    if not may(user, "accounts.view_ticket"):
        return ticket.reference
    return format_html('<a href="{}">{}</a>', room.url_of(ticket), ticket.reference)


def _deletion_of(ticket: Ticket) -> list[tuple[str, Any]]:
    """Return the request a ticket belongs to: every role that reads tickets may open it."""
    if ticket.kind != Ticket.Kind.DELETION:
        return []
    asked = DeletionRequest.objects.filter(ticket=ticket.pk).only("reference").first()
    if asked is None:
        return []
    room: Any = admin.site.get_model_admin(DeletionRequest)
    return [("Deletion", format_html('<a href="{}">{}</a>', room.url_of(asked), asked.reference))]


TicketAdmin.told_by.append(_deletion_of)


def _steps(request: DeletionRequest) -> list[Erasure]:
    """Return the steps of a request of the queue: none of a cancelled one, whose account may have a later request."""
    account: Any = request.account
    return [] if request.cancelled_at else list(account.live_erasures)
