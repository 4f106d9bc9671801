"""Customers' own API tokens: an owner makes one for what is theirs, sees its secret once, and can end it.

Stored is a hash; name and networks are sealed. A token works while it is in time, its maker is an active owner and the
account's people may sign in. It ends for good when somebody ends it, when its maker is removed, and when a deletion is
cancelled: keys of before do not come back. Making and ending one is in the ledger, and making one is told by mail.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Sequence
from uuid import UUID, uuid5

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import mailing
from accounts.errors import NotActionable
from accounts.issuing import LONGEST_DAYS, digest_of
from accounts.keys.identifiers import reference
from accounts.keys.keyring import keyring
from accounts.models import Account, AccountToken, State, User
from accounts.networks import clean_networks
from accounts.safeguards import ledger
from accounts.scopes import Holder, unknown

PREFIX = "ccu_"
# More than this many at once is a loop that makes tokens, not a person.
MOST_LIVE = 50


def grant(
    user: User,
    *,
    name: str,
    scopes: Sequence[str],
    days: int,
    networks: Iterable[str],
    submission: UUID,
    at: dt.datetime | None = None,
) -> tuple[AccountToken, str]:
    """Return a new token of the user and its secret; a repeated `submission` returns the first token and "".

    Raises PermissionDenied for anybody but an owner, ValidationError for a network that is none, NotActionable for a
    scope or time that cannot be, a closed account, or too many tokens.
    """
    at = at or timezone.now()
    reach = clean_networks(networks)
    if not scopes or unknown(scopes, Holder.CUSTOMER) or not 1 <= days <= LONGEST_DAYS:
        raise NotActionable(f"A token has a known scope and lasts 1 to {LONGEST_DAYS} days; nothing was made.")
    if user.account_id is None:
        raise PermissionDenied("Only the owner of an account can make a token.")
    # The id of the sending makes the id of the row: a form that is sent twice meets its first row.
    token = AccountToken(
        id=uuid5(user.account_id, str(submission)),
        account_id=user.account_id,
        user=user.pk,
        name=name,
        scopes=sorted(set(scopes)),
        networks=reach or None,
        created_at=at,
        expires_at=at + dt.timedelta(days=days),
    )
    secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
    token.digest = digest_of(secret)
    try:
        with keyring(), transaction.atomic(durable=True):
            _check(user, at)
            token.save(force_insert=True)
            ledger.record(user.actor, "account_token.made", user.account_id, at=at, token=token.pk, scopes=token.scopes)
            _tell(token, at)
    except IntegrityError:
        return AccountToken.objects.get(pk=token.pk, account=user.account_id), ""
    return token, secret


def withdraw(token_id: UUID, *, by: User, at: dt.datetime | None = None) -> AccountToken:
    """End a token of the user's account now; ending it again changes nothing.

    Raises PermissionDenied for anybody but an owner, AccountToken.DoesNotExist for another account's token.
    """
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        Account.objects.locked([by.account_id] if by.account_id else []).first()
        token = AccountToken.objects.get(pk=token_id, account=by.account)
        if not by.is_owner:
            raise PermissionDenied("Only the owner of an account can end a token.")
        if AccountToken.objects.filter(pk=token.pk, removed_at=None).update(removed_at=at):
            ledger.record(by.actor, "account_token.ended", by.account_id, at=at, token=token.pk)
    token.refresh_from_db()
    return token


def end_tokens(
    *, user: UUID | None = None, account: Account | UUID | None = None, at: dt.datetime | None = None
) -> int:
    """End every token of a user, or of an account, in the caller's transaction; return how many."""
    if (user is None) == (account is None):
        raise TypeError("end_tokens ends the tokens of a user or of an account: name one of them.")
    rows = AccountToken.objects.filter(user=user) if user else AccountToken.objects.filter(account=account)
    return rows.filter(removed_at=None).update(removed_at=at or timezone.now())


def _check(user: User, at: dt.datetime) -> None:
    """Look again under the account's lock: who is no owner any more, or has closed, makes no key."""
    assert user.account_id is not None  # noqa: S101 - the caller looked
    account = Account.objects.locked([user.account_id]).get()
    if not User.objects.filter(pk=user.pk, account=account, is_owner=True, is_active=True, removed_at=None).exists():
        raise PermissionDenied("Only the owner of an account can make a token.")
    if account.state != State.ACTIVE:
        raise NotActionable(f"Account {account.number} is {account.state}; only an active one makes tokens.")
    live = AccountToken.objects.filter(account=account, removed_at=None, expires_at__gt=at).count()
    if live >= MOST_LIVE:
        raise NotActionable(f"Account {account.number} has {MOST_LIVE} tokens. End one, then make another.")


def _tell(token: AccountToken, at: dt.datetime) -> None:
    context = {
        "reference": reference("SEC"),
        "made_at": at,
        "ends_at": token.expires_at,
        "tokens_path": reverse("accounts:tokens"),
        "password_path": reverse("account_change_password"),
    }
    mailing.mail(token.account, f"token:{token.pk}:made", "accounts/mail/token_made.txt", context, at=at)
