"""What a customer is shown of a deletion: the plan before it, the progress after it. Silence-safe by construction.

Reads the view of told holds, never the holds (silence.md, S2). Before the due date nothing here depends on an untold
hold; from the due date on only finished or not finished does.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Max, Q
from django.utils import timezone

from accounts import datamap, paying
from accounts.datamap import Audience, Category
from accounts.datamap.reading import MOST_COUNTED
from accounts.models import Account, Invoice, Service
from retention import obligations, schedule, waiting
from retention.models import DeletionRequest, Dispute, Erasure, Hold, Stage, ToldHold
from retention.models.holds import HOLDABLE


@dataclass(frozen=True)
class Stop:
    """One service and the moment it stops: with its paid term, at once, or with the deletion if that is earlier.

    `with_wait`: where the grace period begins later, what would stop at once stops then.
    """

    service: Service
    stops_at: dt.datetime
    now: bool
    with_deletion: bool
    with_wait: bool = False


@dataclass(frozen=True)
class Blocker:
    """Something told that delays a part, with a way to fix it: kind is invoice, term, notice, dispute or hold."""

    kind: str
    object: Any
    review_by: dt.datetime | None = None
    categories: tuple[Any, ...] = ()
    covers: tuple[str, ...] = ()
    cents: int = 0


@dataclass(frozen=True)
class Line:
    """One category of the plan: how many records, whether they are deleted or kept, when, and why.

    `waits_for` are the told blockers that keep it beyond that moment; `waits_for_rest` says that it goes last.
    """

    category: str
    label: Any
    records: int
    is_kept: bool
    until: dt.datetime
    reason: Any
    waits_for: tuple[Blocker, ...] = ()
    waits_for_rest: bool = False
    # There are more than `records`: a page counts no further.
    is_more: bool = False


@dataclass(frozen=True)
class Plan:
    """What `/delete/` shows; `begins_at` is when the grace period begins, where that is not at once."""

    due_at: dt.datetime
    lines: list[Line]
    stops: list[Stop]
    blockers: list[Blocker]
    begins_at: dt.datetime | None = None

    @property
    def deleted(self) -> list[Line]:
        """The lines that the grace period ends."""
        return [line for line in self.lines if not line.is_kept]

    @property
    def kept(self) -> list[Line]:
        """The lines kept longer, for a named reason."""
        return [line for line in self.lines if line.is_kept]


@dataclass(frozen=True)
class Progress:
    """What the status page shows. `state`: waiting, unfinished, finished, cancelled."""

    state: str
    request: DeletionRequest
    days_left: int
    at: dt.datetime
    blockers: list[Blocker] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def plan(account: Account, at: dt.datetime | None = None) -> Plan:
    """Return what deleting the account would do; for a closed account, what its deletion does."""
    at = at or timezone.now()
    begins_at = at if account.due_at else waiting.begins_at(account.pk, at)
    due_at = account.due_at or begins_at + schedule.span("grace")
    closed_at = account.closed_at or at
    told = blockers(account, at)
    lines = _waiting(_lines(account, at, due_at), told)
    stops = _stops(account, closed_at, max(begins_at, closed_at), due_at)
    return Plan(due_at, lines, stops, told, begins_at if begins_at > at else None)


def progress(request: DeletionRequest, at: dt.datetime | None = None) -> Progress:
    """Return where a deletion stands, as far as it may be shown to whoever holds its reference."""
    at = at or timezone.now()
    if request.cancelled_at is not None:
        return Progress("cancelled", request, 0, at)
    if request.finished_at is not None:
        return Progress("finished", request, 0, at, [], _kept_still(request.account, at))
    if at < request.due_at:
        days_left = -(-(request.due_at - at) // dt.timedelta(days=1))
        return Progress("waiting", request, days_left, at, blockers(request.account, at), [])
    return Progress("unfinished", request, 0, at, _all_or_none(request.account, at))


def blockers(account: Account, at: dt.datetime) -> list[Blocker]:
    """Return what delays a part and was told: invoices and terms live, disputes and holds by the view."""
    found = [Blocker("invoice", invoice, cents=cents) for invoice, cents in paying.owed(account.pk)]
    found += [Blocker("term", service) for service in Service.objects.bound(at).filter(account=account)]
    due = tuple(category.value for category in schedule.ANSWER_COVERS)
    found += [Blocker("notice", answer, covers=due) for answer in obligations.answers(account.pk, at)]
    told = list(ToldHold.objects.filter(account=account).exclude(kind=Hold.Kind.AGREEMENT).order_by("told_at", "pk"))
    disputes = Dispute.objects.in_bulk([hold.cause for hold in told if hold.kind == Hold.Kind.DISPUTE and hold.cause])
    labels, holds = dict(datamap.Category.choices), dict[tuple[str, ...], Blocker]()
    for hold in told:
        names = tuple(labels[category] for category in hold.categories)
        covers = tuple(hold.categories) or tuple(HOLDABLE)
        if hold.kind == Hold.Kind.DISPUTE:
            found.append(Blocker("dispute", disputes.get(hold.cause), hold.review_by, names, covers))
        elif covers not in holds or (hold.review_by or at) < (holds[covers].review_by or at):
            # One matter can have several holds, and two that cover the same read the same: they are said once.
            holds[covers] = Blocker("hold", hold, hold.review_by, names, covers)
    return [*found, *holds.values()]


def _all_or_none(account: Account, at: dt.datetime) -> list[Blocker]:
    """Return the told blockers when they explain everything that is unfinished, else nothing (silence.md, S4).

    What is unfinished is asked of the erasures: whatever else may hold them changes no answer for what a told
    blocker covers. Contact data waits for all the rest by itself.
    """
    told = blockers(account, at)
    left = Erasure.objects.live().at_closure().filter(account=account).exclude(state=Stage.VERIFIED)
    unfinished = set(left.values_list("category", flat=True))
    explained = set().union(*(_covered(blocker) for blocker in told)) if told else set()
    waits_for_others = {Category.CONTACT.value} if unfinished & explained else set()
    return told if unfinished and unfinished <= explained | waits_for_others else []


def _covered(blocker: Blocker) -> set[str]:
    if blocker.kind in {"invoice", "term"}:
        return {category.value for category in schedule.AGREEMENT_COVERS}
    return set(blocker.covers)


def _kept_still(account: Account, at: dt.datetime) -> list[Line]:
    """Return what the schedule keeps beyond the grace period and has not ended yet."""
    kept = (
        Erasure.objects.live()
        .filter(account=account, due_at__gt=at)
        .exclude(kept_for="")
        .order_by("due_at", "category")
    )
    return [
        Line(e.category, Category(e.category).label, 0, True, e.due_at, schedule.RULES[Category(e.category)].reason)
        for e in kept
    ]


def _lines(account: Account, at: dt.datetime, due_at: dt.datetime) -> list[Line]:
    counts = _counts(account, at)
    newest = Invoice.objects.filter(account=account).aggregate(newest=Max("issued_at"))["newest"]
    lines = []
    for category in datamap.categories():
        rule = schedule.RULES[category]
        until = schedule.kept_until(category, newest, due_at)
        records = counts.get(category, 0)
        line = Line(category.value, category.label, min(records, MOST_COUNTED), until > due_at, until, rule.reason)
        lines.append(replace(line, is_more=records > MOST_COUNTED))
    return lines


def _counts(account: Account, at: dt.datetime) -> dict[Category, int]:
    """Return how many records of each category the customer may see and the purge erases, counted up to a limit."""
    models = {model: entry for model, entry in datamap.governed().items() if Audience.CUSTOMER in entry.shown}
    found: dict[Category, int] = {}
    for model, rows in datamap.capped_counts(account.pk, schedule.cutoffs(at), models).items():
        category = models[model].category
        found[category] = found.get(category, 0) + rows
    return found


def _waiting(lines: list[Line], told: list[Blocker]) -> list[Line]:
    """Return the lines with what was told to keep each beyond the grace period; contact data waits for all the rest."""
    covered = [(blocker, _covered(blocker)) for blocker in told]
    waits = {line.category: tuple(one for one, names in covered if line.category in names) for line in lines}
    something = any(waits[line.category] for line in lines if not line.is_kept)
    return [
        line
        if line.is_kept
        else replace(
            line, waits_for=waits[line.category], waits_for_rest=something and line.category == Category.CONTACT
        )
        for line in lines
    ]


def _stops(account: Account, closed_at: dt.datetime, begins_at: dt.datetime, due_at: dt.datetime) -> list[Stop]:
    running = Q(stops_at=None) | Q(stops_at__gt=closed_at)
    services = Service.objects.filter(running, account=account).order_by("started_at", "pk")
    stops = [(service, service.closing_stops_at or service.stop_on_close(begins_at, due_at)) for service in services]
    return [
        Stop(service, stops_at, stops_at <= closed_at, stops_at >= due_at, closed_at < stops_at == begins_at)
        for service, stops_at in stops
    ]
