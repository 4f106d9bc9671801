"""Holds in the admin: place, tell, review, ask for a release, approve it, end a pause."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section, staff
from accounts.models import User
from accounts.templatetags.portal_tags import moment, moment_text
from retention import dates, placing, releasing, reviewing, schedule, sight, telling
from retention.admin.fields import LONGEST_MATTER, MomentField, held_categories
from retention.models import Hold, HoldRelease

OWN_REQUEST = "You asked for this release, so a colleague must approve it."
LEGAL_KINDS = (Hold.Kind.LEGAL, Hold.Kind.PRESERVATION, Hold.Kind.PROVISIONAL)


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
