"""Verifying: a later count that finds nothing makes an erasure verified; only then is anyone told "erased".

The count runs over the same rows the page counted and the purge deleted, and the key store is asked that no wrap of the
key is left. An account is erased when everything that closing ends is verified.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import structlog
from django.db import connection, connections, transaction
from django.db.models import Min
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
Pair = tuple[UUID, str]


def verify(at: dt.datetime | None = None, limit: int = 2_000) -> int:
    """Verify what went long enough ago; return the number of erasures verified."""
    at = at or timezone.now()
    verified = 0
    # Counting right away would revisit every dead row: a quarter of the whole cost.
    ready = Erasure.objects.filter(
        state=Stage.GONE, unreachable_at__isnull=False, rows_gone_at__lte=at - schedule.span("verify")
    )
    longest_gone = ready.values("account_id").annotate(first=Min("rows_gone_at")).order_by("first")
    ids = list(longest_gone.values_list("account_id", flat=True)[:limit])
    for start in range(0, len(ids), BATCH):
        verified += _verify_accounts(ids[start : start + BATCH], at)
    return verified


def done_event(request_id: UUID) -> str:
    """Return the name of the event that the last mail tells."""
    return f"deletion:{request_id}:done"


def _verify_accounts(account_ids: list[UUID], at: dt.datetime) -> int:
    with transaction.atomic(durable=True):
        accounts = dict(Account.objects.locked(account_ids, skip=True).values_list("pk", "state"))
        erasures = Erasure.objects.filter(account__in=accounts, state=Stage.GONE, unreachable_at__isnull=False)
        gone = set(erasures.values_list("account_id", "category"))
        left = datamap.remaining(gone) | _keys_left(gone)
        for account_id, category in sorted(left):
            log.error("verification found remains", account=str(account_id), category=category)
        _mark_verified(gone - left)
        _finish([account_id for account_id, state in accounts.items() if state == State.CLOSED], at)
    return len(gone - left)


def _keys_left(pairs: set[Pair]) -> set[Pair]:
    """Return the (subject, category) pairs whose key can still be unwrapped by anybody."""
    with connections[KEYS].cursor() as cursor:
        cursor.execute(
            "SELECT k.subject, k.category FROM keys_datakey k JOIN keys_keywrap w ON w.key_id = k.id "
            "WHERE k.subject = ANY(%s)",
            [list({subject for subject, _ in pairs})],
        )
        return pairs & set(cursor.fetchall())


def _mark_verified(pairs: set[Pair]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE retention_erasure e SET state = 'verified', verified_at = clock_timestamp()
                 FROM unnest(%s::uuid[], %s::text[]) AS d(account_id, category)
                WHERE e.account_id = d.account_id AND e.category = d.category AND e.state = 'gone'""",
            [[account_id for account_id, _ in pairs], [category for _, category in pairs]],
        )


def _finish(accounts: list[UUID], at: dt.datetime) -> None:
    """Make accounts erased whose closing is verified through and through, and let their last mail go."""
    unfinished = set(
        Erasure.objects.live()
        .at_closure()
        .filter(account__in=accounts)
        .exclude(state=Stage.VERIFIED)
        .values_list("account_id", flat=True)
    )
    finished = [account_id for account_id in accounts if account_id not in unfinished]
    Account.objects.filter(pk__in=finished).update(state=State.ERASED, erased_at=at)
    requests = DeletionRequest.objects.open().filter(account__in=finished)
    outbox.release(done_event(request_id) for request_id in requests.values_list("pk", flat=True))
    requests.update(finished_at=at)
    ledger.record_many((Fact(SYSTEM, "account.erased", account_id) for account_id in finished), at=at)
