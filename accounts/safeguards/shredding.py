"""Destroys data keys: the only step that cannot be taken back, so it comes last.

An order is obeyed only in a later transaction than the one that made it due: the main database mints a token for the
batch, the key store checks it. A key that is absent counts as destroyed; repeating an order changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, connections, transaction

from accounts.keys.identifiers import uuid7
from accounts.keys.routing import ALIAS
from accounts.safeguards.models import DestructionOrder


class Order(NamedTuple):
    """What a destruction order names: a subject's keys of some categories."""

    id: UUID
    subject: UUID
    categories: list[str]


Settled = Callable[[Sequence[Order]], None]


def order(subjects: Mapping[UUID, Iterable[str]]) -> None:
    """Order the destruction of each subject's keys of the categories, in the caller's transaction; once for each."""
    # An array of arrays would need equal lengths: the categories of a subject travel as one text.
    names = [",".join(sorted(categories)) for categories in subjects.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO safeguards_destructionorder (id, subject, categories)
               SELECT o.id, o.subject, string_to_array(o.names, ',')
                 FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS o(id, subject, names) ON CONFLICT DO NOTHING""",
            [[uuid7() for _ in names], list(subjects), names],
        )


def pending(limit: int = 60) -> list[Order]:
    """Return orders not yet carried out, oldest first."""
    found = DestructionOrder.objects.filter(done_at=None).order_by("made_at")
    return [Order(*row) for row in found.values_list("id", "subject", "categories")[:limit]]


def destroy(orders: Sequence[Order], settle: Settled) -> int:
    """Destroy the keys of `orders` with one token; `settle` runs in the transaction that marks them done.

    Returns the number of orders that the database allowed. Raises KeyUnavailable-like database errors untouched: the
    orders stay pending and the next tick takes them up.
    """
    if not orders:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT minted, token, allowed FROM mint_destruction(%s::uuid[])", [[o.id for o in orders]])
        minted, token, allowed = cursor.fetchone()
    ready = [o for o in orders if o.id in set(allowed or ())]
    if not ready:
        return 0
    pairs = sorted({(o.subject, category) for o in ready for category in o.categories})
    subjects, categories = [subject for subject, _ in pairs], [category for _, category in pairs]
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)", [subjects, categories, minted, token])
    with transaction.atomic():
        first = _mark_done(ready)
        if first:
            settle(first)
    return len(ready)


def _mark_done(orders: Sequence[Order]) -> list[Order]:
    """Mark the orders done and return those nobody had marked before: two at once settle each order once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE safeguards_destructionorder o SET done_at = clock_timestamp()
                 FROM (SELECT id FROM safeguards_destructionorder WHERE id = ANY(%s) AND done_at IS NULL
                        ORDER BY id FOR UPDATE) mine
                WHERE o.id = mine.id RETURNING o.id""",
            [[o.id for o in orders]],
        )
        fresh = {row[0] for row in cursor.fetchall()}
    return [o for o in orders if o.id in fresh]
