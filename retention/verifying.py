"""Verifying: a later count that finds nothing makes an erasure verified; only then is anyone told "erased".

The count runs over the same rows the page counted and the purge deleted, and the key store is asked that no wrap of the
key is left. An account is erased when everything that closing ends is verified.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from uuid import UUID

import structlog
from django.db import connections, transaction
from django.utils import timezone

from accounts import datamap
from accounts.keys.routing import ALIAS as KEYS
from accounts.models import Account, State
from accounts.safeguards import ledger, outbox
from accounts.safeguards.ledger import SYSTEM, Fact
from retention import schedule
from retention.models import DeletionRequest, Erasure, Stage

log = structlog.get_logger(__name__)
BATCH = 200


def verify(at: dt.datetime | None = None, limit: int = 2_000) -> int:
    """Verify what went long enough ago; return the number of erasures verified."""
    at = at or timezone.now()
    verified = 0
    # Counting right away would revisit every dead row: a quarter of the whole cost.
    ready = Erasure.objects.filter(
        state=Stage.GONE, unreachable_at__isnull=False, rows_gone_at__lte=at - schedule.span("verify")
    )
    ids = list(ready.order_by("rows_gone_at").values_list("account_id", flat=True).distinct()[:limit])
    for start in range(0, len(ids), BATCH):
        verified += _verify_accounts(ids[start : start + BATCH], at)
    return verified


def done_event(request_id: UUID) -> str:
    """Return the name of the event that the last mail tells."""
    return f"deletion:{request_id}:done"


def _verify_accounts(account_ids: list[UUID], at: dt.datetime) -> int:
    with transaction.atomic(durable=True):
        accounts = list(Account.objects.locked(account_ids, skip=True))
        gone: dict[str, dict[UUID, Erasure]] = defaultdict(dict)
        for erasure in Erasure.objects.filter(account__in=accounts, state=Stage.GONE, unreachable_at__isnull=False):
            gone[erasure.category][erasure.account_id] = erasure
        passed: list[UUID] = []
        for category, erasures in gone.items():
            left = datamap.count(erasures, category)
            readable = _keys_left(list(erasures), category)
            for account_id, erasure in erasures.items():
                if left.get(account_id) or account_id in readable:
                    log.error("verification found remains", account=str(account_id), category=category)
                    continue
                passed.append(erasure.pk)
        Erasure.objects.filter(pk__in=passed).update(state=Stage.VERIFIED, verified_at=timezone.now())
        _finish([account for account in accounts if account.state == State.CLOSED], at)
    return len(passed)


def _keys_left(account_ids: list[UUID], category: str) -> set[UUID]:
    """Return the subjects whose key of the category can still be unwrapped by anybody."""
    with connections[KEYS].cursor() as cursor:
        cursor.execute(
            "SELECT k.subject FROM keys_datakey k JOIN keys_keywrap w ON w.key_id = k.id "
            "WHERE k.category = %s AND k.subject = ANY(%s)",
            [category, account_ids],
        )
        return {row[0] for row in cursor.fetchall()}


def _finish(accounts: list[Account], at: dt.datetime) -> None:
    """Make accounts erased whose closing is verified through and through, and let their last mail go."""
    unfinished = set(
        Erasure.objects.live()
        .at_closure()
        .filter(account__in=accounts)
        .exclude(state=Stage.VERIFIED)
        .values_list("account_id", flat=True)
    )
    finished = [account for account in accounts if account.pk not in unfinished]
    Account.objects.filter(pk__in=[account.pk for account in finished]).update(state=State.ERASED, erased_at=at)
    requests = DeletionRequest.objects.open().filter(account__in=finished)
    outbox.release(done_event(request_id) for request_id in requests.values_list("pk", flat=True))
    requests.update(finished_at=at)
    ledger.record_many((Fact(SYSTEM, "account.erased", account.pk) for account in finished), at=at)
