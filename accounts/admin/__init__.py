"""The admin's pages of accounts' own records, one module per record; importing them registers them, but for orders,
which the room above registers.
"""

from __future__ import annotations

from accounts.admin import addresses, given, money, orders, outbox, people, services, tickets, tokens, webhooks
from accounts.admin.links import account_link
from accounts.admin.money import amount

__all__ = [
    "account_link",
    "addresses",
    "amount",
    "given",
    "money",
    "orders",
    "outbox",
    "people",
    "services",
    "tickets",
    "tokens",
    "webhooks",
]
