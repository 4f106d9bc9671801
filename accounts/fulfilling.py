"""What an accepted order brings about: its services, its invoice and the mail that confirms it (P8).

Runs in the transaction of whoever accepts, under the account's lock: an order is accepted with all of it or not at all.
"""

from __future__ import annotations

import datetime as dt

from accounts import invoicing, mailing, restricting
from accounts.datamap import Purpose
from accounts.invoicing import BilledLine
from accounts.models import Invoice, Order, Service


def fulfil(order: Order, *, by: str, at: dt.datetime) -> Invoice | None:
    """Make the services of an order just accepted, bill them, tell the customer; return the invoice, if it costs.

    Raises NotActionable where the customer stopped one of these uses.
    """
    restricting.refuse(order.account_id, Purpose.SERVICES)
    if order.total_cents:
        restricting.refuse(order.account_id, Purpose.INVOICING)
    services = _services(order, at)
    billed = [
        BilledLine(line.text, line.unit_cents, line.quantity, service.pk)
        for line, service in zip(order.lines.order_by("placed_at", "pk"), services, strict=True)
    ]
    invoice = None
    if order.total_cents:
        invoice = invoicing.write(order.account, billed, order.currency, by=by, order=order.pk, at=at)
    context = {
        "reference": order.reference,
        "placed_at": order.placed_at,
        "cents": order.total_cents,
        "currency": order.currency,
        "invoice": invoice.number if invoice else "",
        "due_at": invoice.due_at if invoice else None,
    }
    mailing.mail(order.account, f"order:{order.pk}:accepted", "accounts/mail/order_accepted.txt", context, at=at)
    return invoice


def _services(order: Order, at: dt.datetime) -> list[Service]:
    """Make one service a line; the shop's prices are those of a month."""
    longest = Service._meta.get_field("name").max_length
    return [
        Service.objects.create(
            account=order.account,
            order=order.pk,
            name=line.text[:longest],
            plan=line.plan,
            monthly_cents=line.amount_cents,
            started_at=at,
        )
        for line in order.lines.order_by("placed_at", "pk")
    ]
