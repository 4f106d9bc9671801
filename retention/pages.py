"""What the deletion pages show, in the words of their templates.

Made from `plans` alone, which reads the view of told holds: nothing here looks at a hold (silence.md, S2).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Service
from retention import schedule, waiting
from retention.models import DeletionRequest, Hold
from retention.plans import Blocker, Line, Plan, Progress

Row = dict[str, Any]
WORDS = {"waiting": "waiting", "unfinished": "unfinished", "finished": "done", "cancelled": "cancelled"}


def plan_context(plan: Plan) -> Row:
    """Return what the start and the check page show alike."""
    return {
        "due_at": plan.due_at,
        "begins_at": plan.begins_at,
        "plan": [_row(line) for line in plan.lines],
        "services": [
            {
                "name": stop.service.name,
                "at_once": stop.now,
                "with_deletion": stop.with_deletion,
                "with_wait": stop.with_wait,
                "stops_at": stop.stops_at,
            }
            for stop in plan.stops
        ],
        "told": told_rows(plan.blockers),
    }


def _row(line: Line) -> Row:
    waits = line.waits_for or line.waits_for_rest
    return {
        "label": line.label,
        "count": line.records,
        "is_more": line.is_more,
        "fate": "keep" if line.is_kept else "wait" if waits else "delete",
        "reason": line.reason,
        "until": line.until,
        "waits_for": list({_kind(one): {"kind": _kind(one), "object": one.object} for one in line.waits_for}.values()),
    }


def status_context(progress: Progress, *, signed_in: bool, support: str = "") -> Row:
    """Return what the status page shows to the signed-in owner or to whoever gave the code.

    `support` is the address where the owner writes about this deletion.
    """
    left = progress.request.due_at - progress.at
    begins_at = waiting.began_at(progress.request)
    return {
        "begins_at": begins_at if begins_at > progress.at else None,
        "deletion": progress.request,
        "state": WORDS[progress.state],
        "days_left": progress.days_left if left >= dt.timedelta(days=1) else 0,
        "told": told_rows(progress.blockers, links=signed_in, support=support),
        "kept": [
            {"label": line.label, "reason": line.reason, "until": line.until} for line in progress.lines if line.is_kept
        ],
    }


def told_rows(blockers: Iterable[Blocker], *, links: bool = True, support: str = "") -> list[Row]:
    """Return one row for each thing the customer was told of, with the way to mend it when they can open it."""
    ask = (support or reverse("accounts:tickets")) if links else ""
    return [{"kind": _kind(blocker), **_told(blocker, links, ask)} for blocker in blockers]


def _kind(blocker: Blocker) -> str:
    if blocker.kind != "hold":
        return blocker.kind
    return "pause" if blocker.object.kind == Hold.Kind.OPERATIONS else "legal"


def _told(blocker: Blocker, links: bool, ask: str) -> Row:
    kind, thing = _kind(blocker), blocker.object
    if kind == "invoice":
        pay = reverse("accounts:invoice_pay", args=[thing.number]) if links else ""
        return {"number": thing.number, "cents": blocker.cents, "currency": thing.currency, "url": pay}
    if kind == "term":
        return {"service": thing.name, "until": thing.term_ends_at, "url": ask}
    if kind == "notice":
        return {"reference": thing.reference, "until": thing.until, "url": thing.url if links else ""}
    if kind == "dispute":
        return {"reference": thing.reference if thing else "", "url": ask, "review_by": _to_come(blocker.review_by)}
    if kind == "pause":
        return {"days": schedule.number("pause"), "url": ""}
    what = ", ".join(str(label) for label in blocker.categories)
    return {"what": what, "review_by": _to_come(blocker.review_by), "url": ""}


def _to_come(at: dt.datetime | None) -> dt.datetime | None:
    """Return a moment that is still to come: a look that is overdue is no promise to show."""
    return at if at and at > timezone.now() else None


def cancel_context(asked: DeletionRequest, account: Account) -> Row:
    """Return what the cancel page shows: what runs again, what ended for good meanwhile."""
    now = timezone.now()
    stopping = Service.objects.filter(account=account).exclude(closing_stops_at=None).order_by("started_at", "pk")
    ends = {service.name: service.stops_at for service in stopping}
    return {
        "deletion": asked,
        "in_time": now < asked.due_at,
        "comes_back": [name for name, end in ends.items() if end is None or end > now],
        "lost": [name for name, end in ends.items() if end is not None and end <= now],
        "status_url": reverse("retention:delete_status", args=[asked.reference]),
    }


def running_services(account: Account) -> list[str]:
    """Return the names of the services that run now."""
    now = timezone.now()
    running = Service.objects.running(now).filter(Q(account=account)).order_by("started_at", "pk")
    return [service.name for service in running]
