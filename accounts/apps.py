"""Who the customers are, what is held about them, and how it is safeguarded: the ground floor."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Loads the checks of the data map and the handlers of the outbox."""

    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Register checks, outbox handlers and what follows a migration."""
        from accounts import checks as room_checks  # noqa: F401
        from accounts import credentials, declared, factors_kept, mailing, recording, roles, webhooks  # noqa: F401
        from accounts.datamap import checks  # noqa: F401

        post_migrate.connect(roles.sync, sender=self, dispatch_uid="roles: sync groups")
