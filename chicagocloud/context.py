"""What every template may use without asking: whether this is a trial, zone, look, the way back to one's deletion."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Account, State, User
from accounts.models.people import Theme
from retention import schedule
from retention.models import DeletionRequest

USUAL_DAYS = schedule.NUMBERS["grace"].value
USUAL_GRACE = USUAL_DAYS * 24 * 3600


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the trial flag, its grace when shortened, the usual one, zone, look, a closed account's status page."""
    user = getattr(request, "user", None)
    account = user.account if isinstance(user, User) else None
    return {
        "trial": settings.TRIAL,
        "trial_minutes": -(-settings.GRACE_SECONDS // 60) if settings.GRACE_SECONDS < USUAL_GRACE else 0,
        "usual_days": USUAL_DAYS,
        "zone": settings.TIME_ZONE,
        # For <html data-theme>: empty where the device decides.
        "theme": user.theme if isinstance(user, User) and user.theme != Theme.AUTO else "",
        "closing_url": _status_url(account) if account and account.state == State.CLOSED else "",
    }


def _status_url(account: Account) -> str:
    asked = DeletionRequest.objects.open().filter(account=account).only("reference").first()
    return reverse("retention:delete_status", args=[asked.reference]) if asked else reverse("retention:delete_reopen")
