"""Stopping and starting the purge, for everything or for one category.

Who may: the roles with "retention.stop_purge", which the door checks. Rows are additive; the newest one
counts. A stopped purge erases nothing new, and what is due stays due: nothing is lost by stopping.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.models import User
from accounts.safeguards import ledger
from retention.models import PurgeSwitch


def stop(category: str, *, by: User, at: dt.datetime | None = None) -> PurgeSwitch:
    """Stop the purge of a category, or of everything; raise NotActionable when it is stopped."""
    return _set(category, True, by, at)


def start(category: str, *, by: User, at: dt.datetime | None = None) -> PurgeSwitch:
    """Let the purge of a category, or of everything, go on; raise NotActionable when it is not stopped."""
    return _set(category, False, by, at)


def name_of(category: str) -> str:
    """Return what a switch is for, in words."""
    return str(Category(category).label) if category else "everything"


def _set(category: str, is_stopped: bool, by: User, at: dt.datetime | None) -> PurgeSwitch:
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        if (category in PurgeSwitch.stopped()) == is_stopped:
            state = "stopped already" if is_stopped else "not stopped"
            raise NotActionable(f"The purge of {name_of(category)} is {state}; nothing was changed.")
        switch = PurgeSwitch.objects.create(category=category, is_stopped=is_stopped, set_by=by.actor, set_at=at)
        action = "purge.stopped" if is_stopped else "purge.started"
        ledger.record(by.actor, action, None, at=at, switch=switch.pk, category=category or "all")
    return switch
