"""Who calls the API: `Authorization: Bearer ccp_...` is another system, `Bearer ccu_...` a customer.

A token is looked up by its hash and opens only the views whose scope it carries, from its networks, until it expires or
ends. A customer's token also ends with its maker's ownership and with the account's sign-in; of a closed account it
reads what the pages of a closed account show. Every refusal reads alike, and a token never signs in to a page.
"""

from __future__ import annotations

import datetime as dt
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allauth.core.internal.httpkit import get_client_ip
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import granting, issuing, recording, scopes
from accounts.api_limits import refuse_too_many_strangers
from accounts.errors import NotActionable
from accounts.issuing import digest_of
from accounts.keys.keyring import KeyDestroyed
from accounts.models import AccessEvent, Account, AccountToken, ApiToken, State, User
from accounts.networks import reaches

if TYPE_CHECKING:  # its module reads the settings that name this one
    from rest_framework.views import APIView

SCHEME = "Bearer"
# The last use is noted at most this often: a busy token does not rewrite its row with each call.
NOTED_EVERY = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Caller:
    """The system behind a token, in the place of a user."""

    token: ApiToken
    is_authenticated: bool = True

    @property
    def pk(self) -> Any:
        """The token's id: limits and idempotency keys count by it."""
        return self.token.pk

    @property
    def actor(self) -> str:
        """How the ledger names it."""
        return f"token:{self.token.pk}"

    def may(self, scope: str) -> bool:
        """Return whether the token carries the scope."""
        return scope in self.token.scopes and not scopes.unknown([scope], scopes.Holder.SYSTEM)


@dataclass(frozen=True)
class CustomerCaller:
    """The customer behind a token of their own: an owner of `account`."""

    token: AccountToken
    user: User
    account: Account
    is_authenticated: bool = True

    @property
    def pk(self) -> Any:
        """The token's id: limits and idempotency keys count by it."""
        return self.token.pk

    @property
    def actor(self) -> str:
        """How the ledger names it: what a customer's token does, its user does."""
        return self.user.actor

    def may(self, scope: str) -> bool:
        """Return whether the token carries the scope."""
        return scope in self.token.scopes and not scopes.unknown([scope], scopes.Holder.CUSTOMER)


class TokenAuthentication(BaseAuthentication):
    """Finds the live token of a request; no header means nobody, any wrong one is refused."""

    def authenticate(self, request: Request) -> tuple[Caller | CustomerCaller, ApiToken | AccountToken] | None:
        """Return (caller, token), or None when the request names no token."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        caller = self._caller(request, words[1].decode("latin-1")) if len(words) == 2 else None
        if caller is None:
            refuse_too_many_strangers(request)
            raise AuthenticationFailed("This token is unknown, or it has ended. Use a live one.")
        return caller, caller.token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 names as the way in."""
        return SCHEME

    def _caller(self, request: Request, secret: str) -> Caller | CustomerCaller | None:
        now, address = timezone.now(), get_client_ip(request._request)
        if secret.startswith(granting.PREFIX):
            return _customer(request, secret, address, now)
        return _system(secret, address, now) if secret.startswith(issuing.PREFIX) else None


class HasScope(BasePermission):
    """Lets in a caller whose token carries the view's `required_scope`; a view without one lets in nobody.

    A closed account's token opens what says `open_when_closed = True`: what its pages may show.
    """

    message = "This token does not carry the scope that this needs. Have one made that does."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller may use the view; raise NotActionable for a closed account."""
        caller = request.user
        if not isinstance(caller, Caller | CustomerCaller):
            refuse_too_many_strangers(request)
            return False
        if request.method not in view.allowed_methods or request.method == "OPTIONS":
            # Nothing is done or shown: the answer is 405, or the methods there are.
            return True
        scope = scopes.of(view)
        if scope is None or not caller.may(scope):
            return False
        if isinstance(caller, CustomerCaller) and caller.account.state != State.ACTIVE:
            _refuse_closed(caller.account, view)
        return True


def closed_refusal(account: Account) -> NotActionable:
    """Return the refusal of what a closed account cannot read or do."""
    return NotActionable(
        f"Account {account.number} is closed; its token opens invoices, conversations, mails, exports and requests. "
        "Cancel the deletion in the portal to use the rest."
    )


def _refuse_closed(account: Account, view: APIView) -> None:
    if not getattr(view, "open_when_closed", False):
        raise closed_refusal(account)


def _system(secret: str, address: str | None, now: dt.datetime) -> Caller | None:
    digest = digest_of(secret)
    token = ApiToken.objects.live(now).filter(digest=digest).first()
    if token is None or not hmac.compare_digest(bytes(token.digest), digest) or not reaches(token.networks, address):
        return None
    if _is_to_note(token.last_used_at, now):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return Caller(token)


def _customer(request: Request, secret: str, address: str | None, now: dt.datetime) -> CustomerCaller | None:
    digest = digest_of(secret)
    live = AccountToken.objects.filter(removed_at=None, expires_at__gt=now).select_related("account")
    token = live.filter(digest=digest).first()
    if token is None or not hmac.compare_digest(bytes(token.digest), digest) or not token.account.may_sign_in(now):
        return None
    user = User.objects.filter(pk=token.user, account_id=token.account_id, is_owner=True, is_active=True).first()
    if user is None or user.removed_at is not None or not _is_reached(token, address):
        return None
    _note_use(token, user, request, now)
    return CustomerCaller(token, user, token.account)


def _note_use(token: AccountToken, user: User, request: Request, now: dt.datetime) -> None:
    """Note the use of a token, and its first use of each hour in the sign-in history (P6), which it must not fill."""
    last = token.last_used_at
    if not _is_to_note(last, now):
        return
    # Of calls side by side one alone finds the time as it was read.
    noted = AccountToken.objects.filter(pk=token.pk, last_used_at=last).update(last_used_at=now)
    if noted and (last is None or last.replace(minute=0, second=0, microsecond=0) + HOUR <= now):
        recording.note_request(user, AccessEvent.Kind.API, request._request)


def _is_reached(token: AccountToken, address: str | None) -> bool:
    try:
        return reaches(token.networks, address)
    except KeyDestroyed:
        # The purge has begun: what the token opened is gone.
        return False


def _is_to_note(last: dt.datetime | None, now: dt.datetime) -> bool:
    return last is None or last < now - NOTED_EVERY
