"""System checks of the room: production is refused unless the staff pages really ask for a second factor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib import admin
from django.contrib.sessions.backends.base import SessionBase
from django.core.checks import CheckMessage, Error, register
from django.http import HttpRequest
from django.utils.module_loading import import_string

from accounts.models import User


@register("security", deploy=True)
def check_second_factor(app_configs: Iterable[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error unless the admin refuses staff who used no second factor, and lets those in who did."""
    if not apps.is_installed("allauth.mfa"):
        return [_error("The sign-in library's second factors are not installed.")]
    if getattr(settings, "MFA_TOTP_INSECURE_BYPASS_CODE", None):
        return [_error("MFA_TOTP_INSECURE_BYPASS_CODE is set: one code opens every account.")]
    if _admits("password"):
        return [_error("The admin site lets staff in by password alone.")]
    if not _admits("password", "mfa"):
        return [_error("The admin site does not let staff in who used a second factor.")]
    return []


def _admits(*methods: str) -> bool:
    """Return whether the admin site opens to staff who proved themselves by these methods; no database is asked."""
    user = User(is_staff=True)
    session: SessionBase = import_string(f"{settings.SESSION_ENGINE}.SessionStore")()
    request: Any = HttpRequest()
    request.user, request.session = user, session
    for method in methods:
        record_authentication(request, user, method)
    return admin.site.has_permission(request)


def _error(why: str) -> CheckMessage:
    return Error(
        f"Staff sign in to the admin without a second factor. {why}",
        hint="The admin site is chicagocloud.adminsite.PortalAdminSite; its has_permission asks for the second factor.",
        id="accounts.E900",
    )
