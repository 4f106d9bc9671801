"""System checks of the room: production is refused until staff have a second factor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register


@register("security", deploy=True)
def check_second_factor(app_configs: Iterable[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error while no second factor can be asked of staff: `check --deploy` refuses production until then."""
    if apps.is_installed("allauth.mfa"):
        return []
    return [
        Error(
            "Staff sign in to the admin without a second factor.",
            hint="This version is for trial and development; second factors come with the next one.",
            id="accounts.E900",
        )
    ]
