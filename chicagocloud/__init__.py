"""The portal's own room: settings, addresses, the admin site, the API root, the embedded servers."""

from __future__ import annotations

from chicagocloud.celery import app as celery_app

__all__ = ["celery_app"]
