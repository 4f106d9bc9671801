"""What a signed-in person sets for themselves: the zone times are shown in, and light or dark pages.

A change is in the ledger by the names of what changed, and told by mail. Times stay stored in UTC.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import credentials
from accounts.keys.identifiers import reference
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger


def settle(user_id: UUID, *, time_zone: str, theme: str, at: dt.datetime | None = None) -> list[str]:
    """Save a person's settings and return the names of those that changed; nothing is told when none did."""
    at = at or timezone.now()
    with keyring(), transaction.atomic():
        user = User.objects.select_for_update(of=("self",)).select_related("account").get(pk=user_id)
        wanted = {"time_zone": time_zone, "theme": theme}
        changed = [name for name, value in wanted.items() if getattr(user, name) != value]
        if not changed:
            return []
        for name in changed:
            setattr(user, name, wanted[name])
        user.save(update_fields=changed)
        entry = ledger.record(
            user.actor, "settings.changed", user.account_id or user.pk, user=user.pk, settings=changed, at=at
        )
        context = {
            "reference": reference("SEC"),
            "changed": changed,
            "changed_at": at,
            "settings_path": reverse("accounts:settings"),
            "reset_path": reverse("account_reset_password"),
        }
        credentials.tell(user, f"settings:{entry.id}:changed", "accounts/mail/settings_changed.txt", context, at=at)
    return changed
