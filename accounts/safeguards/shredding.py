"""Destroys data keys: the only step that cannot be taken back, so it comes last.

An order is obeyed only in a later transaction than the one that made it due: the main database mints a token for the
batch, the key store checks it. A key that is absent counts as destroyed; repeating an order changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db import connection, connections, transaction
from django.utils import timezone

from accounts.keys.routing import ALIAS
from accounts.safeguards.models import DestructionOrder

Settled = Callable[[Sequence[DestructionOrder]], None]


def pending(limit: int = 500) -> list[DestructionOrder]:
    """Return orders not yet carried out, oldest first."""
    return list(DestructionOrder.objects.filter(done_at=None).order_by("made_at")[:limit])


def destroy(orders: Sequence[DestructionOrder], settle: Settled) -> int:
    """Destroy the keys of `orders` with one token; `settle` runs in the transaction that marks them done.

    Returns the number of orders that the database allowed. Raises KeyUnavailable-like database errors untouched: the
    orders stay pending and the next tick takes them up.
    """
    if not orders:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT minted, token, allowed FROM mint_destruction(%s::uuid[])", [[o.id for o in orders]])
        minted, token, allowed = cursor.fetchone()
    ready = sorted((o for o in orders if o.id in set(allowed or ())), key=lambda o: (o.subject, o.category))
    if not ready:
        return 0
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            "SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)",
            [[o.subject for o in ready], [o.category for o in ready], minted, token],
        )
    with transaction.atomic():
        first = _mark_done(ready)
        if first:
            settle(first)
    return len(ready)


def _mark_done(orders: Sequence[DestructionOrder]) -> list[DestructionOrder]:
    """Mark the orders done and return those nobody had marked before: two at once settle each order once."""
    ids = [order.pk for order in orders]
    open_orders = DestructionOrder.objects.filter(pk__in=ids, done_at=None).order_by("pk").select_for_update()
    fresh = set(open_orders.values_list("pk", flat=True))
    DestructionOrder.objects.filter(pk__in=fresh).update(done_at=timezone.now())
    return [order for order in orders if order.pk in fresh]
