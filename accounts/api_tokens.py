"""How another system says who it is: `Authorization: Bearer ccp_...`, looked up by the token's hash.

A token opens only the views whose `required_scope` it carries, until it expires or is revoked. Every
refusal reads alike, and a token never signs in to a page.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.issuing import digest_of
from accounts.models import ApiToken

if TYPE_CHECKING:  # its module reads the settings that name this one
    from rest_framework.views import APIView

SCHEME = "Bearer"
# The last use is noted at most this often: a busy token does not rewrite its row with each call.
NOTED_EVERY = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Caller:
    """The system behind a token, in the place of a user."""

    token: ApiToken
    is_authenticated: bool = True

    @property
    def pk(self) -> Any:
        """The token's id: throttles count by it."""
        return self.token.pk

    @property
    def actor(self) -> str:
        """How the ledger names it."""
        return f"token:{self.token.pk}"

    def may(self, scope: str) -> bool:
        """Return whether the token carries the scope."""
        return scope in self.token.scopes


class TokenAuthentication(BaseAuthentication):
    """Finds the live token of a request; no header means nobody, any wrong one is refused."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiToken] | None:
        """Return (caller, token), or None when the request names no token."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        token = self._live(words[1]) if len(words) == 2 else None
        if token is None:
            raise AuthenticationFailed("This token is unknown, or it has ended. Use a live one.")
        return Caller(token), token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 names as the way in."""
        return SCHEME

    def _live(self, secret: bytes) -> ApiToken | None:
        now = timezone.now()
        token = ApiToken.objects.live(now).filter(digest=digest_of(secret.decode("latin-1"))).first()
        if token is not None and (token.last_used_at is None or token.last_used_at < now - NOTED_EVERY):
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token


class HasScope(BasePermission):
    """Lets in a caller whose token carries the view's `required_scope`; a view without one lets in nobody."""

    message = "This token does not carry the scope that this needs. Have one made that does."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller may use the view."""
        scope = getattr(view, "required_scope", None)
        return isinstance(request.user, Caller) and scope is not None and request.user.may(scope)
