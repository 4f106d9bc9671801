"""What stays and what goes: schedule, holds, disputes, deletion requests, the purge."""

from __future__ import annotations

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    """Loads the system checks of the room, and what it does at each sign-in."""

    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        """Register the checks that compare the guards with the data map, and the receiver of sign-ins."""
        # After the room below: a sign-in is noted by then.
        from retention import checks, sign_ins  # noqa: F401
