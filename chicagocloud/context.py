"""What every template may use without asking: whether this is a trial, and the constant sentence's neighbours."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the portal-wide template context: the trial flag and the time zone named in the footer."""
    return {"trial": settings.TRIAL, "zone": settings.TIME_ZONE}
