"""When a deletion's grace period begins: at once, or some time after a password or address was changed (P21, P23).

Who took over an account would change its password or address, and then delete it. So a request made within the
schedule's "secured" of such a change, by any owner, is accepted, but its grace period begins when that time is over,
services run at least until then, and the address before the change is told. Only the time of a change counts here,
never a hold.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db.models import Max

from accounts import members
from accounts.models import EmailChange
from retention import schedule
from retention.models import DeletionRequest


def begins_at(account_id: UUID, at: dt.datetime) -> dt.datetime:
    """Return when the grace period of a request made at `at` begins: `at` itself, or the end of the wait."""
    wait = schedule.span("secured")
    changed = members.owners(account_id).filter(secured_at__gt=at - wait, secured_at__lte=at)
    latest = changed.aggregate(latest=Max("secured_at"))["latest"]
    return latest + wait if latest else at


def began_at(request: DeletionRequest) -> dt.datetime:
    """Return when the grace period of a request begins or began, read from the request alone."""
    begins = request.due_at - schedule.span("grace")
    # With another grace period than when it was made there is no telling; the due date counts.
    is_a_wait = request.requested_at < begins <= request.requested_at + schedule.span("secured")
    return begins if is_a_wait else request.requested_at


def old_address(account_id: UUID, at: dt.datetime) -> str | None:
    """Return the address that the latest change of one replaced, when that is so short a time ago."""
    since = at - schedule.span("secured")
    recent = EmailChange.objects.filter(account=account_id, user__isnull=False, done_at__gt=since, done_at__lte=at)
    change = recent.order_by("-done_at", "-pk").first()
    return change.old_email if change else None
