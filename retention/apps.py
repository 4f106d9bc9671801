"""What stays and what goes: schedule, holds, disputes, deletion requests, the purge."""

from __future__ import annotations

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    """Loads the system checks of the room."""

    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        """Register the checks that compare the guards with the data map."""
        from retention import checks  # noqa: F401
