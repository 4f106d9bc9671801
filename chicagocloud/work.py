"""What waits for one member of staff, as the admin's front page shows it: piles of work, most urgent first.

Each pile is made from what the reader's role may know: a sealed hold is in no pile and no count of the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from accounts.admin_base import Eyes
from accounts.datamap import Purpose
from accounts.models import Order, State, Ticket, User, WebhookEndpoint
from accounts.restricting import stopped
from accounts.roles import may, sees_sealed
from accounts.subscribing import MANAGE as MANAGE_WEBHOOKS
from accounts.templatetags.portal_tags import day, moment
from disclosures import abuse_clocks, compelling, informing, judging, notifying, preparing, preserving, striking
from disclosures.copyright_agent import agent
from disclosures.judging import visible
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    CaseKind,
    Compulsion,
    CounterNotice,
    Disclosure,
    Incident,
    LegalNotice,
    LegalRequest,
    Sought,
    Stage,
    Strike,
)
from retention import sight
from retention.models import DeletionRequest, Dispute, Hold, PrivacyRequest

SHOWN = 10
SOON = dt.timedelta(days=3)
REVIEW_SOON = dt.timedelta(days=14)
DUE_SOON = dt.timedelta(days=14)
SOON_LEGAL = dt.timedelta(days=7)


@dataclass(frozen=True)
class Pile:
    """Some work: the rows, the column they are sorted by, and how each is named and led to."""

    title: str
    empty: str
    rows: QuerySet[Any]
    when: str
    name: Callable[[Any], str] = str
    target: Callable[[Any], models.Model] = lambda row: row

    @property
    def count(self) -> int:
        """How many there are, not only of those shown."""
        return self.rows.count()

    @property
    def entries(self) -> list[tuple[str, str, Any]]:
        """The first rows as (name, address, when)."""
        first = self.rows.order_by(self.when, "pk")[:SHOWN]
        return [(self.name(row), _address(self.target(row)), moment(getattr(row, self.when))) for row in first]


@dataclass(frozen=True)
class Task:
    """One thing to do that is no row of a table, shown like a pile of one and only while it is to be done."""

    title: str
    name: str
    address: str
    when: Any
    count: ClassVar[int] = 1
    empty: ClassVar[str] = ""

    @property
    def entries(self) -> list[tuple[str, str, Any]]:
        """The task as (name, address, when)."""
        return [(self.name, self.address, self.when)]


def piles(user: User) -> Iterator[Pile | Task]:
    """Yield the piles of this user's roles."""
    now = timezone.now()
    if may(user, "retention.approve_hold_release"):
        yield from _holds(user, now)
    if may(user, "retention.view_deletionrequest"):
        yield from _deletions(now)
    if may(user, "retention.close_dispute"):
        disputes = Dispute.objects.filter(state=Dispute.State.OPEN, evidence_due_at__lt=now + SOON)
        rows = disputes.select_related("account")
        yield Pile("Evidence due within 3 days", "No evidence is due.", rows, "evidence_due_at", _dispute)
    if may(user, "accounts.decide_order"):
        orders = Order.objects.in_review().filter(account__state=State.ACTIVE)
        yield Pile("Orders in review", "No order waits for a review.", orders, "placed_at")
    if may(user, "accounts.reply_ticket"):
        tickets = Ticket.objects.waiting_for_staff(now).exclude(stopped(Purpose.SUPPORT, "account"))
        yield Pile("Tickets that wait for us", "No ticket waits for us.", tickets, "created_at", _reference)
    if may(user, "retention.decide_request"):
        yield from _requests(user, now)
    if may(user, "disclosures.view_legalrequest") and sees_sealed(user):
        yield from _legal(user, now)
    if may(user, "disclosures.view_abusecase"):
        yield from _cases(user, now)
    if may(user, "disclosures.prepare_disclosure") and sees_sealed(user):
        yield from _disclosures(user, now)
    if may(user, MANAGE_WEBHOOKS):
        gone, losing = WebhookEndpoint.objects.gone(), WebhookEndpoint.objects.losing()
        yield Pile("Webhooks that want no more", "Every receiver takes its events.", gone, "gone_at")
        yield Pile("Webhooks that lost events", "Every event reached its receiver.", losing, "lost_at", _lost)


def _legal(user: User, now: dt.datetime) -> Iterator[Pile]:
    """Yield the legal requests: what is late or soon due, mine, nobody's, and what waits for a person's decision."""
    running = LegalRequest.objects.open().annotate(due=Coalesce("agreed_due_at", "due_at"))
    waiting = Sought.objects.filter(request=OuterRef("pk"), found__in=[Sought.Found.NONE, Sought.Found.SEVERAL])
    late, soon = running.filter(due__lt=now), running.filter(due__gte=now, due__lt=now + SOON_LEGAL)
    mine, nobodys = running.filter(assigned_to=user.pk), running.filter(assigned_to=None)
    unverified = running.filter(verified_at=None)
    yield Pile("Legal requests overdue", "No legal request is overdue.", late, "due", _served)
    yield Pile("Legal requests due within 7 days", "No legal request is due soon.", soon, "due", _served)
    yield Pile("My legal requests", "No legal request is yours.", mine, "received_at", _served)
    yield Pile("Legal requests of nobody", "Every legal request is somebody's.", nobodys, "received_at", _served)
    yield Pile("Legal requests to verify", "No legal request is to be verified.", unverified, "received_at", _served)
    yield Pile(
        "Persons sought to decide on",
        "Nobody waits for a decision.",
        running.filter(Exists(waiting)),
        "received_at",
        _served,
    )
    yield Pile(
        "Legal requests that hold nothing any more",
        "Every request that is not verified holds what it seeks.",
        running.filter(preserving.held_by_nothing()),
        "received_at",
        _served,
    )


def _cases(user: User, now: dt.datetime) -> Iterator[Pile | Task]:
    """Yield the abuse cases: mine, nobody's, and those of which a person says whom they concern."""
    running = visible(user, AbuseCase.objects.open())
    late, mine = running.filter(look_by__lt=now), running.filter(assigned_to=user.pk)
    nobodys, undecided = running.filter(assigned_to=None), visible(user, AbuseCase.objects.undecided())
    yield Pile("Abuse cases late", "No abuse case is late.", late, "look_by", _about)
    yield Pile("My abuse cases", "No abuse case is yours.", mine, "look_by", _about)
    yield Pile("Abuse cases of nobody", "Every abuse case is somebody's.", nobodys, "look_by", _about)
    taken_back = visible(user, AbuseCase.objects.taken_back(by_anybody=True))
    yield Pile("Reports taken back", "No report was taken back.", taken_back, "look_by", _about)
    yield Pile(
        "Abuse cases without a customer", "Of every case it is known whom it concerns.", undecided, "look_by", _about
    )

    if may(user, judging.SEES_CSAM):
        children = AbuseCase.objects.open().filter(kind=CaseKind.CSAM, tipline=None)
        yield Pile("Cases of children to report", "Every case of children was reported.", children, "opened_at", _about)
    if may(user, notifying.NOTIFY):
        images = AbuseCase.objects.open().filter(kind=CaseKind.NCII)
        yield Pile("Cases of intimate images", "No case of intimate images is open.", images, "opened_at", _about)
        yield from _notices(now)
        yield from _renewal(abuse_clocks.today(now))


def _renewal(on: dt.date) -> Iterator[Task]:
    """Yield the renewal of the designated agent: from 60 days before until the settings name a later date."""
    named = agent()
    if named is None or not named.is_to_be_renewed(on):
        return
    until, address = day(named.renew_by), reverse("disclosures:copyright_agent")
    if named.is_past(on):
        title = "Copyright agent: the registration has ended"
        name = "Renew it at the Copyright Office: until then our page names no agent"
    else:
        title = "Copyright agent: renew the registration"
        left = _days(named.renew_by - on)
        name = f"Renew it at the Copyright Office, and have the new date entered (COPYRIGHT_AGENT): {left}"
    yield Task(title, name, address, until)


def _days(left: dt.timedelta) -> str:
    if not left.days:
        return "today is the last day"
    return "1 day left" if left.days == 1 else f"{left.days} days left"


def _notices(now: dt.datetime) -> Iterator[Pile]:
    """Yield what waits for a person after a customer was told: of each pile the next deadline first."""
    open_now = AbuseNotice.objects.open()
    silent = open_now.filter(lapsed_at__isnull=False, suspension=None, remedied_at=None)
    disagreed, remedied = open_now.exclude(disagreed_at=None), open_now.exclude(remedied_at=None)
    counters = CounterNotice.objects.filter(forwarded_at=None, stopped_at=None, notice__ended_at=None)
    appeals = Strike.objects.filter(appealed_at__isnull=False, decided_at=None, overruled_at=None)
    yield Pile(
        "Customers to be reached", "Every notice was delivered.", notifying.undelivered(), "bounced_at", _notice, _case
    )
    yield Pile(
        "Silent, and without findings", "No silent notice waits for findings.", silent, "lapsed_at", _notice, _case
    )
    yield Pile("Customers who disagree", "No customer disagrees.", disagreed, "disagreed_at", _notice, _case)
    yield Pile("Remedies to look at", "No remedy waits to be looked at.", remedied, "remedied_at", _notice, _case)
    yield Pile(
        "Counter-notices to forward",
        "Every counter-notice was forwarded.",
        counters.filter(signed_at__isnull=False).select_related("notice"),
        "signed_at",
        lambda counter: _notice(counter.notice),
        lambda counter: _case(counter.notice),
    )
    yield Pile(
        "Appeals to answer",
        "No appeal waits.",
        appeals.select_related("notice"),
        "appealed_at",
        lambda strike: _notice(strike.notice),
        lambda strike: _case(strike.notice),
    )
    yield Pile(
        "Repeat infringers",
        "No account has as many strikes as the policy names.",
        striking.repeat_infringers(now),
        "created_at",
        lambda account: str(account.number),
    )


def _notice(notice: AbuseNotice) -> str:
    return f"{notice.reference}: {notice.get_kind_display()}"


def _case(notice: AbuseNotice) -> AbuseCase:
    return AbuseCase(pk=notice.case)


def _about(case: AbuseCase) -> str:
    return f"{case.reference}: {case.get_kind_display()}"


def _disclosures(user: User, now: dt.datetime) -> Iterator[Pile]:
    """Yield what leaves the company: what waits for me, what came back to me, and what is approved or released."""
    others = Disclosure.objects.filter(state=Stage.SUBMITTED).exclude(made_by=user.pk)
    mine = Disclosure.objects.filter(made_by=user.pk, state__in=preparing.EDITABLE)
    approved = Disclosure.objects.filter(state=Stage.APPROVED)
    released = Disclosure.objects.filter(state=Stage.RELEASED, delivery=None)
    compelled = Compulsion.objects.filter(confirmed_at=None).exclude(recorded_by=user.pk)
    owed = LegalNotice.objects.filter(sent_at=None, pk__in=informing.due(now)).select_related("request")
    incidents = Incident.objects.filter(closed_at=None)
    yield Pile("Disclosures to review", "No disclosure waits for your review.", others, "submitted_at", _reference)
    yield Pile("My disclosures to go on with", "Nothing of yours is unfinished.", mine, "made_at", _staged)
    yield Pile("Disclosures to release", "Nothing approved waits.", approved, "submitted_at", _reference)
    yield Pile("Disclosures to deliver", "Everything released was sent.", released, "released_at", _reference)
    if may(user, compelling.CONFIRM):
        compelled = compelled.select_related("legal_request")
        yield Pile("Compulsions to confirm", "No compulsion waits for you.", compelled, "recorded_at", _compelled)
    yield Pile(
        "Customers to be told of a request",
        "Every customer who may be told was told.",
        owed,
        "owed_since",
        lambda notice: _served(notice.request),
        lambda notice: notice.request,
    )
    yield Pile("Mistaken releases", "No mistaken release is open.", incidents, "act_by", _reference)


def _staged(disclosure: Disclosure) -> str:
    return f"{disclosure.reference}: {disclosure.get_state_display()}"


def _compelled(compulsion: Compulsion) -> str:
    return f"{compulsion.legal_request.reference}: {compulsion.get_category_display()}"


def _served(request: LegalRequest) -> str:
    return f"{request.reference}: {request.get_instrument_display()}"


def _requests(user: User, now: dt.datetime) -> Iterator[Pile]:
    running = PrivacyRequest.objects.open().defer("permission")
    due = running.verified().filter(expected_by__lt=now + DUE_SOON)
    mine = running.filter(assigned_to=user.pk)
    unverified = running.filter(verified_at=None).exclude(address_confirmed_at=None)
    unassigned = running.verified().filter(assigned_to=None)
    yield Pile("Privacy requests due soon", "No privacy request is due soon.", due, "expected_by", _named)
    yield Pile("My privacy requests", "No privacy request is yours.", mine, "expected_by", _named)
    yield Pile("Privacy requests to verify", "No privacy request is to be verified.", unverified, "expected_by", _named)
    yield Pile("Privacy requests of nobody", "Every privacy request is somebody's.", unassigned, "expected_by", _named)


def _named(request: PrivacyRequest) -> str:
    return f"{request.reference}: {request.get_right_display()}"


def _holds(user: User, now: dt.datetime) -> Iterator[Pile]:
    eyes = Eyes(user)
    yield Pile(
        "Waiting for my approval",
        "Nothing waits for your approval.",
        sight.approvals_for(user).select_related("hold__account"),
        "requested_at",
        lambda release: f"{_hold(release.hold)}, asked by {eyes.who(release.requested_by)}",
        lambda release: release.hold,
    )
    review = sight.holds_for(user).to_review().filter(review_by__lt=now + REVIEW_SOON).select_related("account")
    yield Pile("Holds to review within 14 days", "No hold needs a review.", review, "review_by", _hold)


def _deletions(now: dt.datetime) -> Iterator[Pile]:
    unfinished = DeletionRequest.objects.open()
    today, past = sight.due_today(unfinished, now), unfinished.filter(due_at__lte=now)
    failing = unfinished.filter(Exists(sight.failing_steps()))
    yield Pile("Deletions due today", "No deletion is due today.", today, "due_at")
    yield Pile("Deletions due and not finished", "Every due deletion is finished.", past, "due_at")
    yield Pile("Deletions that fail", "No deletion fails.", failing, "due_at")


def _hold(hold: Hold) -> str:
    return f"{sight.reason(hold)} on {hold.account.number}"


def _lost(endpoint: WebhookEndpoint) -> str:
    return f"{endpoint.name}: {endpoint.lost} lost"


def _dispute(dispute: Dispute) -> str:
    return f"{dispute.processor} on {dispute.account.number}"


def _reference(row: Any) -> str:
    return str(row.reference)


def _address(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
