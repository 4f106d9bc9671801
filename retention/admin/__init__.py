"""The admin's pages of holds, disputes, deletions, privacy requests, orders and switches; importing registers them."""

from __future__ import annotations

from retention.admin import deletions, disputes, holds, orders, requests, switches
from retention.admin.disputes import OpenDispute
from retention.admin.holds import OWN_REQUEST, PlaceHold

__all__ = [
    "OWN_REQUEST",
    "OpenDispute",
    "PlaceHold",
    "deletions",
    "disputes",
    "holds",
    "orders",
    "switches",
    "requests",
]
