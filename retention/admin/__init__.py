"""The admin's pages of holds, disputes, deletions, orders and stop switches; importing them registers them."""

from __future__ import annotations

from retention.admin import deletions, disputes, holds, orders, switches
from retention.admin.disputes import OpenDispute
from retention.admin.holds import OWN_REQUEST, PlaceHold

__all__ = ["OWN_REQUEST", "OpenDispute", "PlaceHold", "deletions", "disputes", "holds", "orders", "switches"]
