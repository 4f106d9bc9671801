"""What every template may use without asking: whether this is a trial, the zone, the way back to one's deletion."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Account, State, User
from retention.models import DeletionRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the trial flag, the time zone, and for a closed account the status page of its deletion."""
    user = getattr(request, "user", None)
    account = user.account if isinstance(user, User) else None
    return {
        "trial": settings.TRIAL,
        "zone": settings.TIME_ZONE,
        "closing_url": _status_url(account) if account and account.state == State.CLOSED else "",
    }


def _status_url(account: Account) -> str:
    asked = DeletionRequest.objects.open().filter(account=account).only("reference").first()
    return reverse("retention:delete_status", args=[asked.reference]) if asked else ""
