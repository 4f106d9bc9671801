"""The purge: claim and erase in batches, keys last, verify later (holds-and-purge: found by experiment, keep it so).

One transaction per batch does everything reversible: lock the accounts alone; settle obligations; read the holds in a
new statement; delete what is due and free; note erasures, destruction orders, ledger entries and the last mail; commit.
Until the commit a hold wins; after it, it is told the time. Only then are keys destroyed, and only a later count that
finds nothing makes an erasure verified. Every step may be repeated or done twice at once.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.db import Error, connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import assigning, datamap
from accounts.datamap import Category
from accounts.keys.keyring import keyring
from accounts.keys.provider import KeyUnavailable
from accounts.models import Account, Session, SignInIdentifier, State
from accounts.safeguards import ledger, shredding
from accounts.safeguards.ledger import SYSTEM, Fact
from accounts.safeguards.shredding import Order
from retention import deleting, guards, last_mails, obligations, queue, releasing, schedule, verifying
from retention.covering import WHOLE, covers
from retention.deleting import Claim, Counts, Gone, Pair
from retention.models import Erasure, PurgeSwitch, Stage
from retention.refusals import GOVERNED, PASSING, STATEMENT_TIMEOUT, code_of

log = structlog.get_logger(__name__)

# Batches are sized by time, not rows: the longest lock is what a hold being placed has to wait for.
TARGET_SECONDS = 0.12
STATEMENT_TIMEOUT_MS = 2_000
FIRST_BATCH = 10
LARGEST_BATCH = 60
PICKED = 500
# Rows of one transaction when a single account is too large for one.
CHUNK_ROWS = 5_000
TICK_SECONDS = 50.0
TRIES = 4
FIRST_RETRY = dt.timedelta(minutes=1)
LAST_RETRY = dt.timedelta(hours=6)


@dataclass
class Tally:
    """What one call did: accounts and rows erased, keys destroyed, erasures verified, accounts failing."""

    accounts: int = 0
    rows: int = 0
    keys: int = 0
    verified: int = 0
    failed: int = 0
    stopped: str = ""
    longest: float = 0.0
    touched: set[UUID] = field(default_factory=set)


def ring(at: dt.datetime | None = None, *, limit: int | None = None, only: Collection[UUID] | None = None) -> Tally:
    """Do what is due, within a time budget; what is left is taken up by the next ring.

    Does nothing, and says so in `stopped`, when a guard differs from the code, the key store cannot be reached, the
    stop switch is set or the ceiling of an hour is reached.
    """
    at = at or timezone.now()
    tally = Tally()
    end_sign_in(at)
    # Before the first deletion, and whatever is held: each deletion that is due leaves the same trace.
    assigning.end_outlived(at, due_only=True)
    stopped = PurgeSwitch.stopped()
    tally.stopped = "stop switch" if "" in stopped else _unsafe()
    if tally.stopped:
        log.error("purge stopped", why=tally.stopped)
        return tally
    releasing.end_passed(at)
    _settle_agreements(at)
    _erase_all(tally, at, stopped, limit, only)
    # Asked again: whoever stops everything meanwhile does not want the one step that cannot be taken back.
    if "" in PurgeSwitch.stopped():
        tally.stopped = "stop switch"
        return tally
    tally.keys = shred()
    tally.verified = verifying.verify(at)
    return tally


def end_sign_in(at: dt.datetime) -> None:
    """End sign-in at the due date for everybody, whatever holds or stops their erasure (silence.md, S4, S14)."""
    due = Account.objects.filter(state=State.CLOSED, due_at__lte=at)
    signing_in = SignInIdentifier.objects.filter(account__in=due, signs_in=True).values("account")
    open_sessions = Session.objects.filter(account__in=due).values("account")
    wanted = list(due.filter(Q(pk__in=signing_in) | Q(pk__in=open_sessions)).values_list("pk", flat=True)[:PICKED])
    with transaction.atomic(durable=True):
        # Locked first and asked again: a customer may be cancelling in this moment. Whom somebody else has comes next.
        locked = Account.objects.locked(wanted, skip=True).values_list("pk", flat=True)
        ended = list(due.filter(pk__in=list(locked)).values_list("pk", flat=True))
        SignInIdentifier.objects.filter(account__in=ended, signs_in=True).update(signs_in=False)
        Session.objects.filter(account__in=ended).delete()


def erase(account_ids: Sequence[UUID], at: dt.datetime | None = None, *, chunk: int | None = None) -> Tally:
    """Erase what is due and free of the accounts, in one transaction; locked accounts are passed over.

    `chunk` limits the rows, for an account too large for one transaction. Raises database errors untouched.
    """
    at = at or timezone.now()
    began = time.monotonic()
    with keyring(), transaction.atomic(durable=True):
        _bound_statements()
        claim = claimed(account_ids, at)
        counts = deleted(claim, at, chunk)
        if claim.free or claim.partly:
            settled(claim, counts, at, complete=chunk is None)
    rows = sum(gone.rows for gone in counts.values())
    touched = {account_id for account_id, _ in (*claim.free, *claim.partly)}
    return Tally(accounts=len(touched), rows=rows, longest=time.monotonic() - began, touched=touched)


def claimed(account_ids: Sequence[UUID], at: dt.datetime) -> Claim:
    """Lock the accounts, alone; settle what they owe; then, in a new statement, read what is due and what is held."""
    claim, accounts = Claim(), _lock(account_ids)
    if not accounts:
        return claim
    obligations.settle(accounts, at)
    held: set[UUID] = set()
    contacts: dict[Pair, UUID] = {}
    stopped = PurgeSwitch.stopped()
    for erasure_id, account_id, category, whole, part in _due_with_holds(accounts, at):
        pair = (account_id, category)
        # Contact data that a period holds in part stays whole: the customer is still to be told (silence.md, S4, S13).
        if {"", category} & stopped or whole or (part and category == Category.CONTACT):
            held.add(account_id)
        elif part:
            held.add(account_id)
            claim.partly[pair] = erasure_id
        elif category == Category.CONTACT:
            contacts[pair] = erasure_id
        else:
            claim.free[pair] = erasure_id
    # Contact data goes last: the customer is to be told when the rest is finished (silence.md, S4, S13).
    claim.free.update({pair: erasure_id for pair, erasure_id in contacts.items() if pair[0] not in held})
    return claim


def deleted(claim: Claim, at: dt.datetime, chunk: int | None = None) -> Counts:
    """Read where the last mails go, delete, post them; return what went per (account, category, table)."""
    if not claim.free and not claim.partly:
        return {}
    addresses = {}
    if chunk is None:
        addresses = last_mails.last_addresses([a for a, category in claim.free if category == Category.CONTACT])
    _touch_accounts({account_id for account_id, _ in (*claim.free, *claim.partly)})
    counts = deleting.delete_chunk(claim, at, chunk) if chunk else deleting.delete_whole(claim, at)
    counts.update(deleting.delete_outside_periods(claim, at))
    last_mails.post_done_mails(addresses, counts)
    return counts


def settled(claim: Claim, counts: Counts, at: dt.datetime, *, complete: bool) -> None:
    """Note what went: erasure rows, destruction orders, one ledger entry per account."""
    per_pair: dict[Pair, dict[str, Gone]] = defaultdict(dict)
    for (account_id, category, table), gone in counts.items():
        per_pair[account_id, category][table] = gone
    # In a chunk nothing is gone yet: the whole statement that follows the last one says so.
    done = claim.free if complete else {}
    _mark(done, per_pair, gone=True)
    _mark(
        {p: e for p, e in (claim.free | claim.partly).items() if p not in done and per_pair.get(p)},
        per_pair,
        gone=False,
    )
    # What a period keeps is looked at again tomorrow.
    again = at + schedule.span("removed")
    Erasure.objects.filter(pk__in=claim.partly.values(), state=Stage.DUE).update(retry_at=again)
    shredding.order(_by_account(done))
    _write_ledger(done, per_pair, at)


def shred() -> int:
    """Destroy the keys of what is gone: after the commit, in later transactions; return how many orders were obeyed."""
    total = 0
    while orders := shredding.pending():
        obeyed = shredding.destroy(orders, _note_unreachable)
        total += obeyed
        if obeyed < len(orders):
            break
    return total


def preview(account_ids: Iterable[UUID], at: dt.datetime | None = None) -> list[dict[str, Any]]:
    """Return what a purge would do now, per account and category, changing nothing (a dry run).

    Each row: account (number), category, rows, due_at, fate ("erased", "not due", "waiting"). For the operator's
    command alone: whoever may not know of sealed matters has a dry run of their own in the admin (silence.md, S9).
    """
    at = at or timezone.now()
    ids = list(account_ids)
    fates = {
        erasure_id: "waiting" if whole or part else "erased"
        for erasure_id, _, _, whole, part in _due_with_holds(ids, at)
    }
    erasures = Erasure.objects.filter(account_id__in=ids, state=Stage.DUE).select_related("account")
    there = {category.value: datamap.count(ids, category) for category in datamap.categories()}
    return [
        {
            "account": erasure.account.number,
            "category": erasure.category,
            "rows": there[erasure.category].get(erasure.account_id, 0),
            "due_at": erasure.due_at,
            "fate": fates.get(erasure.pk, "not due"),
        }
        for erasure in erasures.order_by("due_at", "account", "category")
    ]


# ------------------------------------------------------------------------------------------------ a ring's parts


def _unsafe() -> str:
    try:
        differences = guards.differences()
    except (Error, KeyUnavailable):
        return "a database cannot be reached"
    if differences:
        for difference in differences:
            log.error("guard differs", database=difference.database, what=difference.what)
        return "a guard differs from the code"
    hour_ago = timezone.now() - dt.timedelta(hours=1)
    done = Erasure.objects.filter(rows_gone_at__gt=hour_ago).values("account").distinct().count()
    return "the ceiling of an hour is reached" if done >= schedule.number("ceiling") else ""


def _settle_agreements(at: dt.datetime) -> None:
    for account_id in queue.settled(200, at):
        with transaction.atomic(durable=True):
            if list(Account.objects.locked([account_id], skip=True)):
                obligations.settle([account_id], at)


def _erase_all(
    tally: Tally, at: dt.datetime, stopped: set[str], limit: int | None, only: Collection[UUID] | None
) -> None:
    size, passed_over = FIRST_BATCH, set[UUID]()
    backlog: list[UUID] = []
    end = time.monotonic() + TICK_SECONDS
    while time.monotonic() < end and (limit is None or tally.accounts < limit):
        # Picked for many batches at once: a pick is only a hint, and asking for each batch costs as much as erasing it.
        backlog = backlog or queue.pick(PICKED, at, stopped=stopped, passed_over=passed_over, only=only)
        if not backlog:
            return
        wanted = size if limit is None else min(size, limit - tally.accounts)
        ids, backlog = backlog[:wanted], backlog[wanted:]
        done = _erase_or_split(ids, at, tally)
        passed_over.update(set(ids) - done.touched)
        if done.longest:
            size = max(1, min(LARGEST_BATCH, int(len(ids) * min(2.0, TARGET_SECONDS / done.longest))))


def _erase_or_split(ids: Sequence[UUID], at: dt.datetime, tally: Tally) -> Tally:
    """Erase a batch; halve it when it takes too long or one account spoils it; note what fails alone."""
    failure: Exception | None = None
    for attempt in range(TRIES):
        try:
            done = erase(ids, at)
            tally.accounts += done.accounts
            tally.rows += done.rows
            tally.longest = max(tally.longest, done.longest)
            return done
        except Exception as error:  # whatever spoils one account must not keep the others from going
            failure = error
            code = code_of(error)
            if code == STATEMENT_TIMEOUT or code not in PASSING:
                break
            time.sleep(0.02 * 2**attempt)
    if len(ids) > 1:
        half = len(ids) // 2
        parts = [_erase_or_split(ids[:half], at, tally), _erase_or_split(ids[half:], at, tally)]
        return Tally(touched=parts[0].touched | parts[1].touched, longest=max(part.longest for part in parts))
    if failure is not None and code_of(failure) == STATEMENT_TIMEOUT:
        return _erase_in_chunks(ids[0], at, tally)
    _note_failure(ids[0], at, failure)
    tally.failed += 1
    return Tally(touched=set(ids))


def _erase_in_chunks(account_id: UUID, at: dt.datetime, tally: Tally) -> Tally:
    """Erase one large account in limited transactions: a hold placed halfway saves the rest.

    The whole statement that comes last finds next to nothing left and notes the erasure as gone; what the time of a
    ring does not allow is taken up by the next one.
    """
    end = time.monotonic() + TICK_SECONDS
    try:
        while time.monotonic() < end:
            done = erase([account_id], at, chunk=CHUNK_ROWS)
            tally.rows += done.rows
            tally.longest = max(tally.longest, done.longest)
            if done.rows < CHUNK_ROWS:
                final = erase([account_id], at)
                tally.accounts += final.accounts
                tally.rows += final.rows
                return Tally(touched={account_id}, longest=max(done.longest, final.longest))
    except (Error, KeyUnavailable) as error:
        _note_failure(account_id, at, error)
        tally.failed += 1
    return Tally()


def _note_failure(account_id: UUID, at: dt.datetime, error: Exception | None) -> None:
    name = type(error).__name__ if error else "unknown"
    code = code_of(error) if error else ""
    if code == GOVERNED:
        # Not a failure: something came to cover it. A mark would show it to those who may not know (silence.md, S9).
        log.info("erasure waits", account=str(account_id))
        return
    log.error("erasure failed", account=str(account_id), error=name, code=code)
    erasures = Erasure.objects.filter(account_id=account_id, state=Stage.DUE, due_at__lte=at)
    attempts = (erasures.aggregate(most=models.Max("attempts"))["most"] or 0) + 1
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 12), LAST_RETRY) * min(1.0, schedule.scale() * 100)
    erasures.update(attempts=attempts, retry_at=timezone.now() + wait, last_error=name[:80])


# ------------------------------------------------------------------------------------------------ a batch's parts


def _bound_statements() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}; SET LOCAL lock_timeout = '2s'")


def _lock(account_ids: Sequence[UUID]) -> list[UUID]:
    found = Account.objects.locked(account_ids, skip=True).filter(state__in=[State.CLOSED, State.ERASED])
    return list(found.values_list("pk", flat=True))


def _due_with_holds(account_ids: list[UUID], at: dt.datetime) -> list[tuple[UUID, UUID, str, bool, bool]]:
    """Return (erasure, account, category, held whole, held in part) of everything due."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT e.id, e.account_id, e.category,
                      coalesce(bool_or(h.id IS NOT NULL AND {WHOLE}), false),
                      coalesce(bool_or(h.id IS NOT NULL AND NOT {WHOLE}), false)
                 FROM retention_erasure e
                 LEFT JOIN retention_hold h ON h.account_id = e.account_id AND {covers("e.category")}
                WHERE e.account_id = ANY(%s) AND e.state = 'due' AND e.due_at <= %s
                GROUP BY e.id ORDER BY e.account_id, e.category""",
            [account_ids, at],
        )
        found: list[tuple[UUID, UUID, str, bool, bool]] = cursor.fetchall()
        return found


def _touch_accounts(account_ids: set[UUID]) -> None:
    """Write the account rows: at REPEATABLE READ a purge that does not is not seen by a hold."""
    Account.objects.filter(pk__in=account_ids).update(hold_epoch=models.F("hold_epoch") + 1)


def _mark(erasures: dict[Pair, UUID], per_pair: dict[Pair, dict[str, Gone]], *, gone: bool) -> None:
    if not erasures:
        return
    state = "state = 'gone', gone_xid = pg_current_xact_id()::text::bigint," if gone else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE retention_erasure e
                   SET {state} rows_gone_at = coalesce(e.rows_gone_at, clock_timestamp()), attempts = 0,
                       rows_shown = e.rows_shown + d.shown,
                       retry_at = NULL, last_error = '', counts = CASE WHEN e.counts = '{{}}' THEN d.counts ELSE (
                         SELECT coalesce(jsonb_object_agg(t, n), '{{}}') FROM (
                           SELECT key AS t, sum(value::bigint) AS n FROM (
                             SELECT * FROM jsonb_each_text(e.counts)
                              UNION ALL SELECT * FROM jsonb_each_text(d.counts)) x
                            GROUP BY key) y) END
                  FROM unnest(%s::uuid[], %s::jsonb[], %s::int[]) AS d(id, counts, shown) WHERE e.id = d.id""",
            [
                list(erasures.values()),
                [json.dumps({t: gone.rows for t, gone in per_pair.get(pair, {}).items()}) for pair in erasures],
                [sum(gone.shown for gone in per_pair.get(pair, {}).values()) for pair in erasures],
            ],
        )


def _write_ledger(done: dict[Pair, UUID], per_pair: dict[Pair, dict[str, Gone]], at: dt.datetime) -> None:
    touched: dict[UUID, dict[str, Any]] = defaultdict(lambda: {"categories": [], "rows": {}})
    for account_id, category in done:
        touched[account_id]["categories"].append(category)
    for (account_id, _category), tables in per_pair.items():
        touched[account_id]["rows"].update({table: gone.rows for table, gone in tables.items()})
    ledger.record_many(
        (Fact(SYSTEM, "purge.erased", account_id, facts) for account_id, facts in sorted(touched.items())), at=at
    )


def _note_unreachable(orders: Sequence[Order]) -> None:
    """In the transaction that marks the orders done: the erasures' keys are gone."""
    pairs = {(o.subject, category) for o in orders for category in o.categories if category != "mail"}
    if not pairs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE retention_erasure e SET unreachable_at = clock_timestamp()
                 FROM unnest(%s::uuid[], %s::text[]) AS d(account_id, category)
                WHERE e.account_id = d.account_id AND e.category = d.category AND e.state = 'gone'
                  AND e.unreachable_at IS NULL""",
            [[subject for subject, _ in pairs], [category for _, category in pairs]],
        )
    ledger.record_many(
        Fact(SYSTEM, "keys.destroyed", subject, {"categories": names}) for subject, names in _by_account(pairs).items()
    )


def _by_account(pairs: Iterable[Pair]) -> dict[UUID, list[str]]:
    """Return the sorted categories of each account, in the accounts' order."""
    found: dict[UUID, list[str]] = {}
    for account_id, category in sorted(pairs):
        found.setdefault(account_id, []).append(category)
    return found
