"""The portal's own app: the top room, which reads from every other."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PortalConfig(AppConfig):
    """Holds the overview, the health page, the admin site and the demo data."""

    name = "chicagocloud"
    verbose_name = "ChicagoCloud Portal"


class PortalAdminConfig(AdminConfig):
    """Django's admin with the portal's own site."""

    default_site = "chicagocloud.adminsite.PortalAdminSite"
