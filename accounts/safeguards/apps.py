"""The app of the safeguards: ledger, outbox, destruction orders."""

from __future__ import annotations

from django.apps import AppConfig


class SafeguardsConfig(AppConfig):
    """Holds UUIDs and no foreign keys to models, which keeps it free of circles."""

    name = "accounts.safeguards"
    label = "safeguards"
    verbose_name = "Safeguards"
