"""Placing orders (P6, P7, P8): the shop calls, the portal keeps the order with what it was placed from, and judges it.

Who may: the tokens with "orders:write", which the door checks. Below the threshold of `fraud` the order is accepted at
once; at it, or where the customer restricted that use and nothing is scored, it waits for a person (`deciding`). A
reference of the shop makes one order, however often it is sent. A closed account places none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from ua_parser import parse

from accounts import fraud, mailing, restricting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.fulfilling import fulfil
from accounts.invoicing import BilledLine, refuse_closed, total_of
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Account, Order, OrderLine, OrderSignals
from accounts.safeguards import ledger
from accounts.safeguards.cards import holds_card_number, refuse_card_number
from accounts.safeguards.finding import derived_key

PLAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
LONGEST_REFERENCE = 120
LONGEST_AGENT, LONGEST_REFERRER, LONGEST_FAMILY = 400, 500, 60
ONCE = "order_once_per_shop_reference"
ELSEWHERE = "This reference of the shop belongs to another order. Send a new order with a reference of its own."


@dataclass(frozen=True)
class OrderedLine(BilledLine):
    """One line of an order: a plan by its product code, in the words that the customer read."""

    plan: str = ""


@dataclass(frozen=True)
class Signals:
    """Where the customer ordered from, as the shop saw it; what it did not see is None."""

    ip: str | None = None
    user_agent: str | None = None
    referrer: str | None = None


def place_order(
    account_id: UUID,
    *,
    lines: Sequence[OrderedLine],
    signals: Signals,
    by: str,
    currency: str = "USD",
    shop_reference: str | None = None,
    at: dt.datetime | None = None,
) -> Order:
    """Place an order and return it, accepted or in review; the one there is when the shop's reference is known.

    Raises ValidationError for what cannot be ordered (a card number too), NotActionable for a closed account or a
    reference that belongs to another order.
    """
    at = at or timezone.now()
    total = _total_of(lines, currency)
    noted = noted_signals(signals)
    order = Order(currency=currency, total_cents=total, placed_at=at, shop_reference=_reference(shop_reference))
    order.shop_digest = shop_digest(order.shop_reference) if order.shop_reference else None
    with keyring(), _once_per_reference(), transaction.atomic(durable=True):
        account = order.account = Account.objects.locked([account_id]).get()
        known = _placed_before(order, lines)
        if known is not None:
            return known
        refuse_closed(account)
        restricting.refuse(account.pk, Purpose.SERVICES)
        _judge(order, noted)
        _write(order, lines, noted)
        facts = {"order": order.pk, "state": order.state, "score": order.score, "cents": total}
        ledger.record(by, "order.placed", account.pk, **facts, at=at)
        if order.state == Order.State.ACCEPTED:
            fulfil(order, by=ledger.SYSTEM, at=at)
        else:
            _tell(order)
    return order


def noted_signals(signals: Signals) -> dict[str, str | None]:
    """Return what is kept of the signals, browser type and operating system included; no more than is needed.

    A page is kept without its query, which may name a person. What looks like a card number is left out: it came from a
    browser, and the shop cannot correct it.
    """
    agent = _kept(signals.user_agent, LONGEST_AGENT)
    known = parse(agent) if agent else None
    browser = known.user_agent.family if known and known.user_agent else None
    system = known.os.family if known and known.os else None
    return {
        "ip": _address(signals.ip),
        "user_agent": agent,
        "browser": _kept(browser, LONGEST_FAMILY),
        "system": _kept(system, LONGEST_FAMILY),
        "referrer": _kept(_page(signals.referrer), LONGEST_REFERRER),
    }


def shop_digest(shop_reference: str) -> bytes:
    """Return the keyed hash by which an order is found by its reference of the shop."""
    return hmac.new(derived_key("shop reference"), shop_reference.encode(), hashlib.sha256).digest()


def _total_of(lines: Sequence[OrderedLine], currency: str) -> int:
    for line in lines:
        if not PLAN.fullmatch(line.plan) or holds_card_number(line.plan):
            raise ValidationError("A plan is a product code: letters, digits, dots, dashes.", code="plan")
    return total_of(lines, currency)


def _reference(shop_reference: str | None) -> str | None:
    text = (shop_reference or "").strip()
    if len(text) > LONGEST_REFERENCE or "\x00" in text:
        raise ValidationError(f"The shop's reference has at most {LONGEST_REFERENCE} characters.", code="reference")
    refuse_card_number(text)
    return text or None


def _placed_before(order: Order, lines: Sequence[OrderedLine]) -> Order | None:
    """Return the order this reference made before; asked under the account's lock, so that no sending is midway."""
    if order.shop_digest is None:
        return None
    known = Order.objects.select_related("account").filter(shop_digest=order.shop_digest).first()
    if known is not None and _content(known, list(known.lines.all())) != _content(order, lines):
        raise NotActionable(ELSEWHERE)
    return known


def _content(order: Order, lines: Sequence[OrderedLine] | Sequence[OrderLine]) -> tuple[object, ...]:
    ordered = sorted((line.plan, line.text, line.quantity, line.unit_cents) for line in lines)
    return order.account_id, order.currency, ordered


def _judge(order: Order, noted: dict[str, str | None]) -> None:
    """Give the order its score and state; where the customer restricted it, no score and a person instead."""
    order.state = Order.State.REVIEW
    if fraud.is_restricted(order.account):
        return
    order.reasons = fraud.score(fraud.facts_of(order.account, order.total_cents, noted, order.placed_at))
    order.score = sum(order.reasons.values())
    if order.score < fraud.number("threshold"):
        order.state, order.decided_at, order.decided_by = Order.State.ACCEPTED, order.placed_at, ledger.SYSTEM


def _write(order: Order, lines: Sequence[OrderedLine], noted: dict[str, str | None]) -> None:
    own = {"account": order.account, "order": order}
    order.save(force_insert=True)
    for line in lines:
        OrderLine.objects.create(
            **own,
            plan=line.plan,
            text=line.text,
            quantity=line.quantity,
            unit_cents=line.unit_cents,
            placed_at=order.placed_at,
        )
    OrderSignals.objects.create(**own, **noted, noted_at=order.placed_at)
    kind = AccessEvent.Kind.ORDER
    AccessEvent.objects.create(
        account=order.account, kind=kind, ip=noted["ip"], browser=noted["user_agent"], at=order.placed_at
    )


def _tell(order: Order) -> None:
    context = {
        "reference": order.reference,
        "placed_at": order.placed_at,
        "answer_by": fraud.answer_by(order.placed_at),
    }
    event = f"order:{order.pk}:review"
    mailing.mail(order.account, event, "accounts/mail/order_in_review.txt", context, at=order.placed_at)


def _address(ip: str | None) -> str | None:
    if not ip:
        return None
    try:
        return str(ipaddress.ip_address(ip))
    except ValueError:
        raise ValidationError("The address of the customer is no IP address.", code="ip") from None


def _page(referrer: str | None) -> str | None:
    """Return the page without query, fragment, user and password; None for what is no page."""
    try:
        parts = urlsplit(referrer or "")
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _kept(text: str | None, longest: int) -> str | None:
    cut = (text or "").replace("\x00", "").strip()[:longest]
    return None if not cut or holds_card_number(cut) else cut


@contextmanager
def _once_per_reference() -> Iterator[None]:
    """Turn the database's refusal of a second order of a reference into NotActionable; nothing else is caught.

    Only two accounts at once get here: sendings for one account wait for each other.
    """
    try:
        yield
    except IntegrityError as error:
        if ONCE not in str(error):
            raise
        # The database's own message would repeat the digest.
        raise NotActionable(ELSEWHERE) from None
