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
from retention import schedule
from retention.models import DeletionRequest, Hold
from retention.plans import Blocker, Plan, Progress

Row = dict[str, Any]
WORDS = {"waiting": "waiting", "unfinished": "unfinished", "finished": "done", "cancelled": "cancelled"}


def plan_context(plan: Plan) -> Row:
    """Return what the start and the check page show alike."""
    return {
        "due_at": plan.due_at,
        "plan": [
            {
                "label": line.label,
                "count": line.records,
                "fate": "keep" if line.is_kept else "delete",
                "reason": line.reason,
                "until": line.until,
            }
            for line in plan.lines
        ],
        "services": [
            {
                "name": stop.service.name,
                "at_once": stop.now,
                "with_deletion": stop.with_deletion,
                "stops_at": stop.stops_at,
            }
            for stop in plan.stops
        ],
        "told": told_rows(plan.blockers),
    }


def status_context(progress: Progress, *, signed_in: bool) -> Row:
    """Return what the status page shows to the signed-in owner or to whoever gave the code."""
    left = progress.request.due_at - progress.at
    return {
        "deletion": progress.request,
        "state": WORDS[progress.state],
        "days_left": progress.days_left if left >= dt.timedelta(days=1) else 0,
        "told": told_rows(progress.blockers, links=signed_in),
        "kept": [
            {"label": line.label, "reason": line.reason, "until": line.until} for line in progress.lines if line.is_kept
        ],
    }


def told_rows(blockers: Iterable[Blocker], *, links: bool = True) -> list[Row]:
    """Return one row for each thing the customer was told of, with the way to mend it when they can open it."""
    return [_told(blocker, links) for blocker in blockers]


def _told(blocker: Blocker, links: bool) -> Row:
    thing = blocker.object
    support = reverse("accounts:tickets") if links else ""
    if blocker.kind == "invoice":
        pay = reverse("accounts:invoice_pay", args=[thing.number]) if links else ""
        owed = {"cents": blocker.cents, "currency": thing.currency}
        return {"kind": "invoice", "number": thing.number, "url": pay, **owed}
    if blocker.kind == "term":
        return {"kind": "term", "service": thing.name, "until": thing.term_ends_at, "url": support}
    if blocker.kind == "dispute":
        reference = thing.reference if thing else ""
        return {"kind": "dispute", "reference": reference, "url": support, "review_by": blocker.review_by}
    if thing.kind == Hold.Kind.OPERATIONS:
        return {"kind": "pause", "days": schedule.number("pause"), "url": ""}
    what = ", ".join(str(label) for label in blocker.categories)
    return {"kind": "legal", "what": what, "review_by": blocker.review_by, "url": ""}


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
