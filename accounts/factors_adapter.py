"""What the sign-in library asks of the portal about second factors: names, words, and for which host passkeys are."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import SignInIdentifier, User

Kind = SignInIdentifier.Kind


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """The library's hooks. Its `encrypt` is left as it is: the whole row is sealed (`factors_kept`)."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("That did not match. Check the newest code, or try another way."),
        "cannot_generate_recovery_codes": _("Set up an authenticator app or a passkey first."),
    }

    def is_mfa_enabled(self, user: Any, types: Any = None) -> bool:
        """Return whether the user has a factor of these types; looking at a page asks the database once for all."""
        request = context.request
        if user.is_anonymous or request is None or request.method not in {"GET", "HEAD"} or request.user is not user:
            return bool(super().is_mfa_enabled(user, types))
        known: frozenset[str] | None = user.__dict__.get("_factor_types")
        if known is None:
            known = frozenset(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
            user.__dict__["_factor_types"] = known
        return bool(known if types is None else known & {str(each.value) for each in types})

    def _get_user_identifier(self, user: AbstractBaseUser) -> str:
        # Shown by the person's own app or device, and kept nowhere else.
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL
        names = {one.kind: one.value for one in SignInIdentifier.objects.filter(user=user, signs_in=True)}
        return str(names.get(Kind.USERNAME) or names.get(Kind.NUMBER) or user.pk)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        """Return a name for a new passkey that the user can change."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return gettext("Passkey %(number)d") % {"number": count + 1}

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return the host passkeys belong to: the portal's own, whatever a request says it asked for."""
        return {"id": urlsplit(settings.PORTAL_ORIGIN).hostname or "", "name": settings.MFA_TOTP_ISSUER}

    def get_public_key_credential_user_entity(self, user: AbstractBaseUser) -> dict[str, Any]:
        """Return how the device names the user."""
        name = self._get_user_identifier(user)
        return {"id": user_pk_to_url_str(user).encode(), "display_name": name, "name": name}
