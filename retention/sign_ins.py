"""Rings for the list of browsers at each sign-in, with the time that sign-ins are kept."""

from __future__ import annotations

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts import devices
from accounts.datamap import Category
from accounts.models import User
from accounts.recording import origin
from retention import schedule


@receiver(user_logged_in, dispatch_uid="devices: signed in")
def _signed_in(request: HttpRequest | None = None, user: object = None, **kwargs: object) -> None:
    if request is not None and isinstance(user, User):
        at = timezone.now()
        since = schedule.cutoffs(at)[Category.ACCESS.value]
        devices.note_sign_in(user, origin(request)[1], since=since, at=at)
