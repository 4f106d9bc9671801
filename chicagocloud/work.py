"""What waits for one member of staff, as the admin's front page shows it: piles of work, most urgent first.

Each pile is made from what the reader's role may know: a sealed hold is in no pile and no count of the
others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.models import Ticket, User
from accounts.roles import may
from accounts.templatetags.portal_tags import moment
from retention import sight
from retention.models import DeletionRequest, Dispute, Hold

SHOWN = 10


@dataclass(frozen=True)
class Pile:
    """Some work: its first entries as (name, address, when), how many there are, what it says when empty."""

    title: str
    entries: list[tuple[str, str, Any]]
    count: int
    empty: str


def piles(user: User, site: str) -> list[Pile]:
    """Return the piles of this user's roles."""
    now = timezone.now()
    found: list[Pile] = []
    if may(user, "retention.approve_hold_release"):
        waiting = sight.approvals_for(user).order_by("requested_at")
        found.append(
            _pile(
                site,
                "Waiting for my approval",
                "Nothing waits for your approval.",
                "retention_hold",
                waiting,
                "hold_id",
                "requested_at",
            )
        )
        review = sight.holds_for(user).unreleased().filter(review_by__lt=now + dt.timedelta(days=14))
        review = review.exclude(kind=Hold.Kind.OPERATIONS).order_by("review_by")
        found.append(
            _pile(
                site,
                "Holds to review within 14 days",
                "No hold needs a review.",
                "retention_hold",
                review,
                "pk",
                "review_by",
            )
        )
    if may(user, "retention.view_deletionrequest"):
        found.extend(_deletions(site, now))
    if may(user, "retention.close_dispute"):
        soon = Dispute.objects.filter(
            state=Dispute.State.OPEN, evidence_due_at__lt=now + dt.timedelta(days=3)
        )
        found.append(
            _pile(
                site,
                "Evidence due within 3 days",
                "No evidence is due.",
                "retention_dispute",
                soon.order_by("evidence_due_at"),
                "pk",
                "evidence_due_at",
            )
        )
    if may(user, "accounts.reply_ticket"):
        tickets = Ticket.objects.filter(state=Ticket.State.WAITING_FOR_STAFF, removed_at=None).order_by(
            "created_at"
        )
        found.append(
            _pile(
                site,
                "Tickets that wait for us",
                "No ticket waits for us.",
                "accounts_ticket",
                tickets,
                "pk",
                "created_at",
            )
        )
    return found


def _deletions(site: str, now: dt.datetime) -> Iterable[Pile]:
    unfinished = DeletionRequest.objects.open()
    overdue = unfinished.filter(due_at__lte=now).order_by("due_at")
    failing = unfinished.filter(Exists(sight.failing_steps())).order_by("due_at")
    page = "retention_deletionrequest"
    yield _pile(
        site,
        "Deletions due today",
        "No deletion is due today.",
        page,
        sight.due_today(unfinished, now).order_by("due_at"),
        "pk",
        "due_at",
    )
    yield _pile(
        site,
        "Deletions due and not finished",
        "Every due deletion is finished.",
        page,
        overdue,
        "pk",
        "due_at",
    )
    yield _pile(site, "Deletions that fail", "No deletion fails.", page, failing, "pk", "due_at")


def _pile(site: str, title: str, empty: str, page: str, rows: QuerySet[Any], target: str, when: str) -> Pile:
    entries = [
        (
            str(row),
            reverse(f"admin:{page}_change", args=[getattr(row, target)], current_app=site),
            moment(getattr(row, when)),
        )
        for row in rows[:SHOWN]
    ]
    return Pile(title, entries, rows.count(), empty)
