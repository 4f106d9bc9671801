"""What a member of staff may know of holds, deletions and the ledger (silence.md, S9).

Whoever may not see sealed matters is given querysets without them: lists, counts, filters, searches and dry
runs are all made from these. A deletion that waits for a reason its reader may not know reads "waiting:
internal", and so does one that the purge has not come to yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, JSONField, OuterRef, Q, QuerySet, UUIDField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from accounts import datamap
from accounts.datamap import Category
from accounts.roles import Role, Viewer, may, sees_sealed
from accounts.safeguards.models import LedgerEntry
from retention import schedule
from retention.models import DeletionRequest, Erasure, Hold, HoldRelease, Stage
from retention.models.holds import HoldQuerySet

# A staff pause is told to no customer and is no legal matter: every role may know of it.
OPEN_TO_STAFF = Q(told_at__isnull=False) | Q(kind=Hold.Kind.OPERATIONS)
INTERNAL = "internal"


def counted(user: Viewer, at: dt.datetime) -> Q:
    """Return the condition on requests whose steps this user may see one by one.

    While a due deletion is unfinished its steps tell what is held, so whoever may not know of sealed matters sees them
    before the due date and when all is done.
    """
    return Q(pk__isnull=False) if sees_sealed(user) else Q(due_at__gt=at) | Q(finished_at__isnull=False)


def rows_for(user: Viewer, account_id: UUID, at: dt.datetime) -> dict[str, int]:
    """Return the number of rows per category: all that are there, or those the customer could see (S7).

    What a hold keeps past its schedule would tell of that hold.
    """
    if sees_sealed(user):
        there = {category.value: datamap.count([account_id], category) for category in datamap.categories()}
        return {category: found.get(account_id, 0) for category, found in there.items()}
    return datamap.counts([account_id], schedule.cutoffs(at))


def holds_for(user: Viewer) -> HoldQuerySet:
    """Return the holds this user may know of."""
    return Hold.objects.all() if sees_sealed(user) else Hold.objects.filter(OPEN_TO_STAFF)


# Whose pages are looked at by nobody else.
SEALED_KINDS = ("disclosures.legal", "disclosures.disclosure", "disclosures.incident", "disclosures.compulsion")
SEALED_ACTIONS = ("legal.", "disclosure.", "packet.", "compulsion.", "incident.")


def ledger_for(user: Viewer) -> QuerySet[LedgerEntry]:
    """Return the ledger entries this user may read: none that tells of a sealed hold.

    Views by legal and privacy officer of an account under a sealed hold stay out too, until the matter is
    told.
    """
    entries = LedgerEntry.objects.all()
    if sees_sealed(user):
        return entries
    # What is served by an authority, and what leaves because of it, is for those who work on it, told or not: the
    # customer's own page and the register of what was told have the rest.
    for prefix in SEALED_ACTIONS:
        entries = entries.exclude(action__startswith=prefix)
    for kind in SEALED_KINDS:
        entries = entries.exclude(action="viewed", body__contains=f'"kind":"{kind}')
    entries = entries.alias(facts=Cast("body", JSONField())).alias(hold=KT("facts__hold"))
    visible = holds_for(user).filter(pk=Cast(OuterRef("hold"), UUIDField()))
    entries = entries.exclude(Q(action__startswith="hold.") & ~Exists(visible))
    # Kept versions exist only under a hold, and a sweep that deleted some tells that one ended.
    entries = entries.exclude(action="kept_versions.read")
    entries = entries.exclude(Q(action="sweep.done") & ~Q(body__contains='"kept_versions":0,'))
    sealed = Hold.objects.exclude(OPEN_TO_STAFF).filter(account_id=OuterRef("subject"))
    lookers = Q(body__contains=f'"{Role.LEGAL.value}"') | Q(body__contains=f'"{Role.PRIVACY_OFFICER.value}"')
    return entries.exclude(Q(action="viewed") & lookers & Exists(sealed))


@dataclass(frozen=True)
class Standing:
    """How a deletion stands for one reader: a word, its reasons, and how much is verified gone."""

    word: str
    reasons: tuple[str, ...] = ()
    done: int = 0
    steps: int = 0

    def __str__(self) -> str:
        return f"{self.word}: {', '.join(self.reasons)}" if self.reasons else self.word


def standing(
    request: DeletionRequest, erasures: Iterable[Erasure], visible: Iterable[Hold], at: dt.datetime
) -> Standing:
    """Return how a request stands at `at`, from its erasures and the holds the reader may know of.

    Nothing is verified of a cancelled one: what is there belongs to a later request of the same account.
    """
    if request.cancelled_at:
        return Standing("cancelled")
    steps = [erasure for erasure in erasures if not erasure.kept_for and erasure.state != Stage.CANCELLED]
    done = sum(erasure.state == Stage.VERIFIED for erasure in steps)
    word, reasons = _word(request, steps, [hold for hold in visible if covers(hold, at)], at)
    return Standing(word, reasons, done, len(steps))


def _word(
    request: DeletionRequest, steps: list[Erasure], holds: list[Hold], at: dt.datetime
) -> tuple[str, tuple[str, ...]]:
    if request.finished_at:
        return "finished", ()
    failing = sorted({step.last_error for step in steps if is_failing(step)})
    if failing:
        return "failing", tuple(failing)
    pauses = [hold for hold in holds if hold.kind == Hold.Kind.OPERATIONS]
    if pauses:
        return "paused", ("staff pause",)
    if at < request.due_at:
        return "scheduled", ()
    reasons = sorted({reason(hold) for hold in holds})
    return "waiting", tuple(reasons) or (INTERNAL,)


def reason(hold: Hold) -> str:
    """Return the reason a hold gives, for a reader who may know of it."""
    return f"{hold.get_kind_display()}{'' if hold.told_at or hold.kind == Hold.Kind.OPERATIONS else ' (sealed)'}"


def category_names(categories: Iterable[str]) -> str:
    """Return categories in the words of every other page."""
    return ", ".join(str(Category(category).label) for category in categories)


def covers(hold: Hold, at: dt.datetime) -> bool:
    """Return whether a hold covers anything at `at`: not released, or within the cool-off of its release."""
    return hold.covers_until is None or hold.covers_until > at


def is_failing(erasure: Erasure) -> bool:
    """Return whether the last attempt at an erasure ended in an error."""
    return erasure.state in {Stage.DUE, Stage.GONE} and bool(erasure.last_error)


def due_today(requests: QuerySet[DeletionRequest], now: dt.datetime) -> QuerySet[DeletionRequest]:
    """Return the requests that become final later on the day of `now`, in the time zone in use."""
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return requests.filter(due_at__gt=now, due_at__lt=midnight + dt.timedelta(days=1))


def failing_steps() -> QuerySet[Erasure]:
    """Return, for a subquery over requests, the steps whose last attempt failed."""
    steps = Erasure.objects.filter(account_id=OuterRef("account_id"), state__in=[Stage.DUE, Stage.GONE])
    return steps.exclude(last_error="")


def approvals_for(user: Viewer) -> QuerySet[HoldRelease]:
    """Return the releases that wait for this user's approval: asked for by somebody else."""
    if not may(user, "retention.approve_hold_release"):
        return HoldRelease.objects.none()
    waiting = HoldRelease.objects.filter(approved_at=None, hold__released_at=None, hold__in=holds_for(user))
    return waiting.exclude(requested_by=user.pk) if user.pk else waiting.none()
