"""The portal's own app: the top room, which reads from every other."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Holds the overview, the health page, the admin site and the demo data."""

    name = "chicagocloud"
    verbose_name = "ChicagoCloud Portal"
