"""The admin's pages of holds, disputes, the deletion queue and the stop switches.

Every queryset comes from `retention.sight`: a sealed hold is absent from what the reader's role may not know.
The acts that belong to an account (placing a hold, opening a dispute) are offered on the customer card.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import datamap
from accounts.admin import account_link, amount
from accounts.admin_base import Act, Eyes, RecordAdmin, Section, staff
from accounts.datamap import Category
from accounts.models import User
from accounts.roles import may
from accounts.safeguards.cards import refuse_card_number
from accounts.templatetags.portal_tags import moment, moment_text
from retention import dates, disputing, placing, releasing, retrying, reviewing, schedule, sight, switching, telling
from retention.models import DeletionRequest, Dispute, Erasure, Hold, HoldRelease, PurgeSwitch, Stage

OWN_REQUEST = "You asked for this release, so a colleague must approve it."
LEGAL_KINDS = (Hold.Kind.LEGAL, Hold.Kind.PRESERVATION, Hold.Kind.PROVISIONAL)
LONGEST_MATTER = 500
# What the steps of a due deletion read to whoever may not know of sealed matters.
LATER = "told when the deletion is finished"


class MomentField(forms.SplitDateTimeField):
    """A day and a time in the time zone in use, each with a label of its own."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        day = {"type": "date", "aria-label": f"{label}: day"}
        time = {"type": "time", "aria-label": f"{label}: time"}
        widget = forms.SplitDateTimeWidget(date_attrs=day, time_attrs=time)
        super().__init__(label=label, widget=widget, required=False, **kwargs)

    def compress(self, data_list: Any) -> dt.datetime | None:
        """Return the moment; raise ValidationError for an hour that the clocks leave out or give twice."""
        try:
            return super().compress(data_list)
        except forms.ValidationError as error:
            if error.code == "ambiguous_timezone":
                raise forms.ValidationError(dates.CLOCKS_CHANGE) from None
            raise


def held_categories() -> list[tuple[str, str]]:
    """Return the categories a hold may name, with their labels."""
    return [(c.value, str(c.label)) for c in datamap.categories() if c != Category.CREDENTIALS]


class PlaceForm(forms.Form):
    """A legal hold."""

    kind = forms.ChoiceField(label="Kind", choices=[(kind.value, kind.label) for kind in LEGAL_KINDS])
    categories = forms.MultipleChoiceField(
        label="Categories",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked means everything but sign-in.",
    )
    period_from = MomentField(
        "Rows from", help_text="Empty means from the beginning.", validators=[dates.refuse_unlikely]
    )
    period_to = MomentField("Rows until", help_text="Empty means without end.", validators=[dates.refuse_unlikely])
    matter = forms.CharField(label="Matter", max_length=LONGEST_MATTER, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["categories"].choices = held_categories()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        begin, end = data.get("period_from"), data.get("period_to")
        if begin and end and end <= begin:
            self.add_error("period_to", "Give an end that is later than the beginning.")
        return data


class PlaceHold(Act):
    """Place a legal hold on an account; untold until somebody records the telling."""

    slug, label, permission = "place-hold", "Place a hold", "retention.place_hold"
    form_class = PlaceForm

    def consequences(self, record: Any) -> list[str]:
        preserved, verified = schedule.number("preservation"), schedule.number("provisional")
        return [
            "Nobody can erase what it covers until two people have released it.",
            f"A preservation request ends without them after {preserved} days.",
            f"A provisional hold ends without them after {verified} business days.",
            "The customer is not told. Nothing they can see changes.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        data = form.cleaned_data
        hold = placing.place(
            record.pk,
            data["kind"],
            by=user.actor,
            categories=data["categories"],
            period=(data["period_from"], data["period_to"]),
            matter=data["matter"],
        )
        gone = sight.category_names(sorted(hold.already_gone))
        return f"The hold on account {record.number} is placed." + (f" Deleted before: {gone}." if gone else "")


class TellForm(forms.Form):
    """How the customer was told."""

    how = forms.ChoiceField(label="How they were told", choices=[(how, how) for how in telling.HOW])


class Tell(Act):
    """Record that the customer was told."""

    slug, label, permission = "tell", "Record that the customer was told", "retention.tell_hold"
    form_class = TellForm

    def hindrance(self, record: Any, user: User) -> str:
        return "The customer was told already." if record.told_at else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            "From now on the customer's pages and every role of staff show this hold.",
            "This cannot be taken back. Make sure that no order of silence stands.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        telling.tell(record.pk, by=user, how=form.cleaned_data["how"])
        return "It is recorded that the customer was told."


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label="Reason", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class AskRelease(Act):
    """Ask for a release that somebody else approves."""

    slug, label, permission = "ask-release", "Ask for the release", "retention.request_hold_release"
    form_class = ReasonForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.released_at:
            return "This hold is released."
        if record.kind not in Hold.TWO_PEOPLE:
            return "This hold ends with what stands behind it; nobody needs to release it."
        return "Its release was asked for already." if record.releases.exists() else ""

    def consequences(self, record: Any) -> list[str]:
        return ["Nothing is released yet: a colleague must approve it.", "You cannot approve it yourself."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        releasing.ask(record.pk, by=user, reason=form.cleaned_data["reason"])
        return "The release waits for a colleague's approval."


class ApproveRelease(Act):
    """Approve what somebody else asked for."""

    slug, label, permission = "approve-release", "Approve the release", "retention.approve_hold_release"

    def hindrance(self, record: Any, user: User) -> str:
        if record.released_at:
            return "This hold is released."
        release = HoldRelease.objects.filter(hold=record).first()
        if release is None:
            return "Nobody has asked for the release of this hold yet."
        return OWN_REQUEST if release.requested_by == user.pk else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            "After the cool-off, what is due and held by nothing else is erased, with its original clock.",
            "A released hold does not come back; a new one can be placed on what is still there.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return hold_sections(eyes, record)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        hold = releasing.approve(record.pk, by=user)
        return f"The hold is released. It covers until the cool-off ends: {moment_text(hold.covers_until)}."


class Review(Act):
    """Record a look at a hold."""

    slug, label, permission = "review", "Record a review", "retention.review_hold"

    def hindrance(self, record: Any, user: User) -> str:
        if record.released_at:
            return "This hold is released."
        return "" if record.kind in Hold.TWO_PEOPLE else "This hold ends with what stands behind it; nobody reviews it."

    def consequences(self, record: Any) -> list[str]:
        return [
            f"The next look is due in {schedule.number('review')} days. Nothing else changes: the hold goes on.",
            "Look first whether what it rests on still stands. If not, ask for its release instead.",
            "The ledger says that you looked.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return hold_sections(eyes, record)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        hold = reviewing.review(record.pk, by=user)
        return f"Your review is recorded. The next look is due by {moment_text(hold.review_by)}."


class EndPause(Act):
    """End a staff pause early."""

    slug, label, permission = "end-pause", "End this pause", "retention.pause_erasure"

    def hindrance(self, record: Any, user: User) -> str:
        if record.kind != Hold.Kind.OPERATIONS:
            return "This hold is no staff pause."
        return "This pause has ended." if record.released_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["The deletion goes on at the next round, with its original clock."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        releasing.end_pause(record.pk, by=user)
        return "The pause has ended."


def hold_sections(eyes: Eyes, hold: Hold) -> list[Section]:
    """Return what is to be known of a hold, its matter and release as the role may see them."""
    until = moment(hold.covers_until) if hold.covers_until else "released by two people, or by its end"
    facts = [
        ("Account", account_link(hold)),
        ("Kind", hold.get_kind_display()),
        ("Covers", sight.category_names(hold.categories) or "everything but sign-in"),
        ("Rows from", moment(hold.period_from) or "the beginning"),
        ("Rows until", moment(hold.period_to) or "without end"),
        ("Placed", moment(hold.placed_at)),
        ("Placed by", eyes.who(hold.placed_by)),
        ("Told", moment(hold.told_at) or "no"),
        ("Review by", moment(hold.review_by) or "no review"),
        ("Ends by itself", moment(hold.ends_at) or "no"),
        ("Released", moment(hold.released_at) or "no"),
        ("Covers until", until),
        ("Deleted before it was placed", sight.category_names([*hold.already_gone, *hold.partly_gone]) or "nothing"),
    ]
    releases = [
        (
            moment(r.requested_at),
            eyes.who(r.requested_by),
            eyes.on(r, "reason"),
            moment(r.approved_at) or "not yet",
            eyes.who(r.approved_by) if r.approved_by else "",
        )
        for r in hold.releases.order_by("requested_at", "pk")
    ]
    return [
        Section("Hold", facts=[*facts, *eyes.facts(hold)]),
        Section(
            "Release", head=("Asked", "By", "Reason", "Approved", "Approved by"), rows=releases, empty="Not asked for."
        ),
    ]


class HoldState(admin.SimpleListFilter):
    """Whether a hold covers, waits for an approval, or is released."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Covers"), ("review", "Review within 14 days"), ("released", "Released")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        now = timezone.now()
        if self.value() == "active":
            return queryset.filter(pk__in=Hold.objects.active(now).values("pk"))
        if self.value() == "review":
            due = Hold.objects.to_review().filter(review_by__lt=now + dt.timedelta(days=14))
            return queryset.filter(pk__in=due.values("pk"))
        return queryset.exclude(released_at=None) if self.value() == "released" else queryset


@admin.register(Hold)
class HoldAdmin(RecordAdmin):
    """Holds this reader may know of; every other answers "not found"."""

    acts = (ApproveRelease, AskRelease, Review, Tell, EndPause)
    list_display = (
        "id",
        "account",
        "kind",
        "scope",
        "placed_at",
        "review_by",
        "ends_at",
        "told",
        "released_at",
    )
    list_filter = (HoldState, "kind")
    list_select_related = ("account",)
    ordering = ("-placed_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        return sight.holds_for(staff(request)).select_related("account")

    def name_of(self, record: Any) -> str:
        return f"{sight.reason(record)} on account {record.account.number}"

    @admin.display(description="covers")
    def scope(self, hold: Hold) -> str:
        return sight.category_names(hold.categories) or "everything"

    @admin.display(description="customer")
    def told(self, hold: Hold) -> str:
        if hold.told_at:
            return "told"
        return "not told" if hold.kind == Hold.Kind.OPERATIONS else "Sealed"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return hold_sections(eyes, record)


class DisputeForm(forms.Form):
    """A payment dispute as the processor reports it."""

    processor = forms.CharField(label="Payment processor", max_length=20, help_text="Its short name: stripe, paypal.")
    reference = forms.CharField(label="Processor's reference", max_length=120, help_text="No card numbers.")
    amount = forms.DecimalField(label="Amount", max_digits=12, decimal_places=2)
    currency = forms.RegexField(
        label="Currency", regex=r"^[A-Z]{3}$", initial="USD", help_text="Three capital letters, such as USD."
    )
    reason = forms.ChoiceField(label="Reason", choices=Dispute.Reason.choices, initial=Dispute.Reason.GENERAL)
    evidence_due_at = MomentField("Evidence due", validators=[dates.refuse_unlikely_evidence])

    def clean_processor(self) -> str:
        """Return the processor's code as the billing system writes it."""
        code: str = self.cleaned_data["processor"].lower()
        if not re.match(disputing.PROCESSOR, code):
            raise forms.ValidationError("Give the short name, such as stripe: letters, digits, - and _, no spaces.")
        refuse_card_number(code)
        return code

    def clean_amount(self) -> int:
        """Return the amount in cents."""
        cents = int(self.cleaned_data["amount"] * 100)
        if cents < 1:
            raise forms.ValidationError("Enter an amount of at least 0.01.")
        return cents

    def clean_reference(self) -> str:
        """Refuse what looks like a card number before anything is stored."""
        reference: str = self.cleaned_data["reference"]
        refuse_card_number(reference)
        return reference


class OpenDispute(Act):
    """Record a dispute on an account."""

    slug, label, permission = "open-dispute", "Open a dispute", "retention.open_dispute"
    form_class = DisputeForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "While it is open, what is needed to settle it is not erased. The rest of a deletion goes on.",
            "The customer is told on their deletion page.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        data = form.cleaned_data
        disputing.open_dispute(
            record.pk,
            processor=data["processor"],
            reference=data["reference"],
            amount_cents=data["amount"],
            currency=data["currency"],
            reason=data["reason"],
            by=user.actor,
            evidence_due_at=data["evidence_due_at"],
        )
        return f"The dispute on account {record.number} is open; until it closes it holds what is needed to settle it."


class OutcomeForm(forms.Form):
    """How a dispute ended."""

    outcome = forms.ChoiceField(
        label="How it ended",
        widget=forms.RadioSelect,
        choices=[choice for choice in Dispute.State.choices if choice[0] != Dispute.State.OPEN],
    )


class CloseDispute(Act):
    """Close a dispute."""

    slug, label, permission = "close", "Close this dispute", "retention.close_dispute"
    form_class = OutcomeForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Dispute.State.OPEN:
            return ""
        return f"This dispute is {record.get_state_display()}; only an open one can be closed."

    def consequences(self, record: Any) -> list[str]:
        return ["Its hold ends, and a deletion that waited for it goes on.", "A closed dispute stays closed."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        dispute = disputing.close_dispute(record.pk, outcome=form.cleaned_data["outcome"], by=user.actor)
        return f"The dispute is {dispute.get_state_display()}."


class EvidenceDue(admin.SimpleListFilter):
    """Disputes whose evidence is due soon."""

    title, parameter_name = "evidence", "evidence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("soon", "Due within 3 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        if self.value() != "soon":
            return queryset
        last = timezone.now() + dt.timedelta(days=3)
        return queryset.filter(state=Dispute.State.OPEN, evidence_due_at__lt=last)


@admin.register(Dispute)
class DisputeAdmin(RecordAdmin):
    """Payment disputes: read, close."""

    acts = (CloseDispute,)
    list_display = ("id", "account", "processor", "sum", "reason", "state", "opened_at", "evidence_due_at")
    list_filter = (EvidenceDue, "state", "reason")
    list_select_related = ("account",)
    ordering = ("-opened_at",)

    def name_of(self, record: Any) -> str:
        return f"dispute at {record.processor} on account {record.account.number}"

    @admin.display(description="amount")
    def sum(self, dispute: Dispute) -> str:
        return amount(dispute.amount_cents, dispute.currency)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("Processor", record.processor),
            ("Amount", self.sum(record)),
            ("Reason", record.get_reason_display()),
            ("State", record.get_state_display()),
            ("Opened", moment(record.opened_at)),
            ("Opened by", eyes.who(record.opened_by)),
            ("Evidence due", moment(record.evidence_due_at) or "no date"),
            ("Closed", moment(record.closed_at) or "no"),
        ]
        return [Section("Dispute", facts=[*facts, *eyes.facts(record)])]


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


def _steps(request: DeletionRequest) -> list[Erasure]:
    """Return the steps of a request of the queue: none of a cancelled one, whose account may have a later request."""
    account: Any = request.account
    return [] if request.cancelled_at else list(account.live_erasures)


class SwitchForm(forms.Form):
    """What to switch."""

    category = forms.ChoiceField(label="What", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(category.value, category.label) for category in datamap.categories()]
        self.fields["category"].choices = [("", "Everything"), *names]  # type: ignore[attr-defined]


class StopPurge(Act):
    """Stop the purge."""

    slug, label, permission = "stop", "Stop the purge", "retention.stop_purge"
    form_class = SwitchForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return ["Nothing new is erased until somebody starts it again. What is due stays due."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [stopped()]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        switch = switching.stop(form.cleaned_data["category"], by=user)
        return f"The purge of {switching.name_of(switch.category)} is stopped."


class StartPurge(StopPurge):
    """Let the purge go on."""

    slug, label = "start", "Start the purge"

    def consequences(self, record: Any) -> list[str]:
        return ["What is due and held by nothing is erased from the next round on."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        switch = switching.start(form.cleaned_data["category"], by=user)
        return f"The purge of {switching.name_of(switch.category)} goes on."


def stopped() -> Section:
    """Return what is stopped now."""
    rows = [(switching.name_of(category),) for category in sorted(PurgeSwitch.stopped())]
    return Section("Stopped now", head=("What",), rows=rows, empty="Nothing is stopped.")


@admin.register(PurgeSwitch)
class PurgeSwitchAdmin(RecordAdmin):
    """The stop switches, each change a row."""

    acts = (StopPurge, StartPurge)
    list_display = ("set_at", "what", "is_stopped", "set_by")
    ordering = ("-set_at",)

    def name_of(self, record: Any) -> str:
        return f"purge switch for {self.what(record)}"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"set_by": lambda switch: eyes.who(switch.set_by)}

    @admin.display(description="what")
    def what(self, switch: PurgeSwitch) -> str:
        return switching.name_of(switch.category)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("What", self.what(record)),
            ("Stopped", "yes" if record.is_stopped else "no"),
            ("Set", moment(record.set_at)),
            ("Set by", eyes.who(record.set_by)),
        ]
        return [Section("Switch", facts=facts), stopped()]
