"""Orders in the admin, with the schedule's word on how long their signals are kept."""

from __future__ import annotations

import datetime as dt

from django.contrib import admin
from django.utils import timezone

from accounts.admin.orders import OrderRoom
from accounts.models import Order
from retention import schedule


@admin.register(Order)
class OrderAdmin(OrderRoom):
    """Orders, whose signals are shown until the schedule ends them, whether or not the sweep has run."""

    def signals_since(self) -> dt.datetime:
        """Return since when signals are kept."""
        return schedule.cutoffs(timezone.now())["signals"]
