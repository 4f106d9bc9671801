"""Deciding about an order in review (P11): accept it, or decline it with a reason.

Who may: the roles with "accounts.decide_order". An order is decided once, by whoever comes first; who, when and, for a
declined one, why is recorded with it and in the ledger, and the customer is told by mail. The order of a closed account
is not decided any more: it goes with the account, or waits until its owner cancels that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import mailing, roles
from accounts.errors import NotActionable
from accounts.fulfilling import fulfil
from accounts.keys.keyring import keyring
from accounts.models import Account, Order, State, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number

LONGEST_REASON = 1000


def accept(order_id: UUID, *, by: User, at: dt.datetime | None = None) -> Order:
    """Accept an order in review, with its services and its invoice, and return it; NotActionable when it is decided."""
    at = at or timezone.now()
    _refuse_strangers(by)
    with keyring(), _locked(order_id) as order:
        _move(order, Order.State.ACCEPTED, by, at)
        invoice = fulfil(order, by=by.actor, at=at)
        about = {"order": order.pk, "invoice": invoice.pk if invoice else None}
        ledger.record(by.actor, "order.accepted", order.account_id, **about, at=at)
    return order


def decline(order_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> Order:
    """Decline an order in review and return it; the customer can read the reason.

    Raises ValidationError for a reason that is empty, too long or holds a card number, NotActionable for a decided one.
    """
    at = at or timezone.now()
    _refuse_strangers(by)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise ValidationError(f"A reason has 1 to {LONGEST_REASON} characters.", code="reason")
    refuse_card_number(reason)
    with keyring(), _locked(order_id) as order:
        _move(order, Order.State.DECLINED, by, at, reason)
        ledger.record(by.actor, "order.declined", order.account_id, order=order.pk, at=at)
        context = {"reference": order.reference, "placed_at": order.placed_at}
        event = f"order:{order.pk}:declined"
        mailing.mail(order.account, event, "accounts/mail/order_declined.txt", context, at=at)
    return order


def hindrance(order: Order) -> str:
    """Return why an order cannot be decided, as a sentence; empty when it can."""
    if order.state != Order.State.REVIEW:
        return f"Order {order.reference} is {order.get_state_display()}; only one in review can be decided."
    if order.account.state != State.ACTIVE:
        return f"Account {order.account.number} is closed: its orders are decided when its owner cancels that."
    return ""


def _refuse_strangers(by: User) -> None:
    if not roles.may(by, "accounts.decide_order"):
        raise PermissionDenied("Only billing may decide about an order.")


@contextmanager
def _locked(order_id: UUID) -> Iterator[Order]:
    """Lock the account, then the order, in a transaction of its own."""
    account_id = Order.objects.values_list("account_id", flat=True).get(pk=order_id)
    with transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        order = Order.objects.select_for_update().get(pk=order_id)
        order.account = account
        yield order


def _move(order: Order, state: Order.State, by: User, at: dt.datetime, reason: str = "") -> None:
    """Move the order out of review, or raise NotActionable and leave it; a sealed reason goes in just before."""
    found = hindrance(order)
    if found:
        raise NotActionable(found)
    if reason:
        order.decision_reason = reason
        order.save(update_fields=["decision_reason"])
    waiting = Order.objects.in_review().filter(pk=order.pk)
    if not waiting.update(state=state, decided_at=at, decided_by=by.actor):
        raise NotActionable(f"Order {order.reference} is decided already; only one in review can be decided.")
    order.refresh_from_db(fields=["state", "decided_at", "decided_by"])
