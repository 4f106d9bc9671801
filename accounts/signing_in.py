"""Signing in with an e-mail address, a user name or an account number (P3), without telling which of them exist.

What is typed is looked up by its blind index among the identifiers that sign in. Unknown, wrong, inactive and
past the due date get one answer after one run of the password hasher and the same queries. Attempts are counted by
what was typed, known or not: a limit of the person would have to be told to be true, and would link their names.
What was typed reaches no session, log or readable cache key.
"""

from __future__ import annotations

from typing import Any, ClassVar

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import credentials, proofs, recording
from accounts.models import SignInIdentifier, User
from accounts.safeguards.finding import digest, normalised

log = structlog.get_logger(__name__)

Kind = SignInIdentifier.Kind
LONGEST = 254


def kind_of(typed: str) -> Kind:
    """Return what was typed: an address has an "@", a number only digits, all else is a user name."""
    if "@" in typed:
        return Kind.EMAIL
    return Kind.NUMBER if normalised("number", typed).isdecimal() else Kind.USERNAME


def find(typed: str) -> User | None:
    """Return the user who signs in with what was typed, or None; the same one query either way."""
    typed = typed[:LONGEST]
    kind = kind_of(typed)
    found = (
        SignInIdentifier.objects.filter(kind=kind, digest=digest(kind, typed), signs_in=True)
        .select_related("user__account")
        .first()
    )
    return found.user if found else None


def may_sign_in(user: User) -> bool:
    """Return whether the user may sign in now: active, and staff or of an account before its due date."""
    if not user.is_active:
        return False
    return user.is_staff if user.account is None else user.account.may_sign_in(timezone.now())


class IdentifierBackend(ModelBackend):
    """Checks password and standing; permissions of staff come from their groups."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **other: Any,
    ) -> User | None:
        """Return the user, or None for everybody else; the password is hashed once in every case."""
        if not username or password is None:
            return None
        user = find(username)
        if user is None:
            User().set_password(password)
        elif user.check_password(password) and may_sign_in(user):
            return user
        if request is not None:
            recording.post_refusal(user, request)
        return None

    def user_can_authenticate(self, user: Any) -> bool:
        """Return whether sessions and links of the user still count."""
        return isinstance(user, User) and may_sign_in(user)

    def get_user(self, user_id: Any) -> User | None:
        """Return the user of a session, or None once sign-in has ended for them."""
        user = User.objects.select_related("account").filter(pk=user_id).first()
        return user if user is not None and may_sign_in(user) else None


class PortalAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """What the sign-in library asks of the portal."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("This sign-in name and this password do not match. Try again."),
        "incorrect_password": _("That password does not match this account. Try again."),
        "enter_current_password": _("That is not your present password. Try again."),
        "too_many_login_attempts": _("There were too many attempts. Wait five minutes, then try again."),
        "invalid_password_reset": _("This link was used already, or its time is over. Get a new one."),
        "rate_limited": _("There were too many requests. Wait a few minutes, then try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts come with an order, never from a page here."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Return whether a "next" may be followed; one that cannot be read may not."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Change a password by the act that ends the other sessions and tells the owner."""
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL
        credentials.change_password(user, password, request=self.request)

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Return whether the password is the signed-in user's own; the view limits the attempts."""
        return isinstance(user, User) and user.check_password(password) and may_sign_in(user)

    def is_reauthentication_required(self, *, app: str, **about: Any) -> bool:
        """Return whether the library asks again before a sensitive page: by the portal's own measure."""
        return not proofs.is_fresh(context.request)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: every mail of the portal is an outbox row, written by the act that tells."""
        log.error("a mail of the sign-in library was not sent", template=template_prefix)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Send nothing: the act that changed something has told already."""

    def send_password_reset_mail(self, user: AbstractBaseUser, email: str, context: dict[str, Any]) -> None:
        """Post the link to the stored address; what was typed is not used."""
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL
        credentials.send_reset_link(user)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **given: Any) -> str:
        # By what was typed, never by whom it names: a limit that two names share tells that they are one person.
        typed = str(given.get("username", ""))[:LONGEST]
        kind = kind_of(typed)
        return f"{kind.value}:{digest(kind, typed).hex()}"
