"""Tokens of other systems: made once, shown once, stored as a hash, revoked for good.

Each has scopes of the table, an end within a year and, if wanted, networks it works from. Who may: the roles with
"accounts.make_token" and "accounts.revoke_token", which the door checks. The secret stands in no table, log or ledger
entry; whoever loses it makes a new token.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import ApiToken, User
from accounts.networks import clean_networks
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.scopes import Holder, unknown

LONGEST_DAYS = 366
PREFIX = "ccp_"


def digest_of(secret: str) -> bytes:
    """Return what is stored of a token; the secret is 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def issue(
    name: str,
    scopes: Sequence[str],
    *,
    by: User,
    days: int,
    networks: Iterable[str] = (),
    at: dt.datetime | None = None,
) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which nobody can read again.

    Raises ValidationError for a name that is no system's or a network that is none, NotActionable for a scope or a
    time that cannot be.
    """
    at = at or timezone.now()
    _refuse_personal(name)
    reach = clean_networks(networks)
    if not scopes or unknown(scopes, Holder.SYSTEM) or not 1 <= days <= LONGEST_DAYS:
        raise NotActionable(f"A token has a known scope and lasts 1 to {LONGEST_DAYS} days; nothing was made.")
    secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
    with transaction.atomic(durable=True):
        token = ApiToken.objects.create(
            name=name,
            digest=digest_of(secret),
            scopes=sorted(set(scopes)),
            networks=reach,
            created_at=at,
            expires_at=at + dt.timedelta(days=days),
        )
        ledger.record(by.actor, "token.made", None, at=at, token=token.pk, scopes=token.scopes, networks=len(reach))
    return token, secret


def revoke(token_id: UUID, *, by: User, at: dt.datetime | None = None) -> ApiToken:
    """End a token now; raise NotActionable when it has ended."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        ended = ApiToken.objects.live(at).filter(pk=token_id).update(revoked_at=at)
        token = ApiToken.objects.get(pk=token_id)
        if not ended:
            raise NotActionable(f"Token {token.pk} has ended already; there is nothing to revoke.")
        ledger.record(by.actor, "token.revoked", None, at=at, token=token.pk)
    return token


def _refuse_personal(name: str) -> None:
    # The name is stored in clear and outlives every account.
    refuse_card_number(name)
    if "@" in name:
        raise ValidationError("Name the system that uses the token, not a person's address.", code="address")
