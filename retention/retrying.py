"""Trying a failing erasure again at once instead of at its next turn.

Who may: the roles with "retention.retry_erasure", which the door checks. Nothing is erased here: the worker
takes it up at its next round, with every check as always.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import Account, User
from accounts.safeguards import ledger
from retention.models import Erasure, Stage


def retry(account_id: UUID, *, by: User, at: dt.datetime | None = None) -> int:
    """Clear what failed of an account; return how many erasures, raise NotActionable when none failed."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        list(Account.objects.locked([account_id]))
        failing = Erasure.objects.filter(account_id=account_id, state__in=[Stage.DUE, Stage.GONE])
        cleared = failing.exclude(last_error="").update(attempts=0, retry_at=None, last_error="")
        if not cleared:
            raise NotActionable(f"Nothing failed of account {account_id}; there is nothing to retry.")
        ledger.record(by.actor, "erasure.retried", account_id, at=at, erasures=cleared)
    return cleared
