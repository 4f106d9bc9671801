"""The time zones a person can choose to read times in; what is stored is UTC."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any

from django.conf import settings

# Regions of the IANA list that people live in; the rest are names kept for old systems.
REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
UTC = "UTC"


@cache
def zones() -> tuple[str, ...]:
    """Return the names a person can choose from, sorted."""
    names = zoneinfo.available_timezones()
    return (UTC, *sorted(name for name in names if name.partition("/")[0] in REGIONS))


def zone_of(user: Any) -> zoneinfo.ZoneInfo:
    """Return the zone times are shown in to this user: the one they chose while it is known, else the portal's."""
    name = getattr(user, "time_zone", "")
    return _zone(name if name in zones() else settings.TIME_ZONE)


@cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)
