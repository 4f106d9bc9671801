"""Second factors: what happens when one is added, removed or made anew, and how the operator gives staff theirs.

The pages check codes and signatures by the sign-in library; here stands what a change means for the portal: the user's
other sessions end, the change is noted in sign-in history and ledger, and told by mail. Secrets are shown once, to
whom they belong, and stand in no ledger entry, log or mail.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import credentials, proofs, recording
from accounts.errors import NotActionable
from accounts.keys.identifiers import reference
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Account, User
from accounts.safeguards import ledger
from accounts.sessions import end_sessions

Type = Authenticator.Type
# What can be asked for at sign-in; recovery codes alone are no second factor.
ASKED = (Type.TOTP, Type.WEBAUTHN)
PERIOD = 30


class Change(StrEnum):
    """What happened to somebody's second factors, in the words of the ledger."""

    APP_ADDED = "app_added"
    APP_REMOVED = "app_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    CODES_MADE = "codes_made"
    RESET = "reset"


@dataclass(frozen=True)
class Given:
    """What a person needs to sign in with an app: shown once."""

    secret: str
    uri: str
    codes: list[str]


def is_enrolled(user: User, *types: str) -> bool:
    """Return whether the user has a second factor that is asked for at sign-in (of these types, if any are named)."""
    return bool(Authenticator.objects.filter(user=user.pk, type__in=types or ASKED).exists())


def lock(user: User) -> None:
    """Lock the user's account, as every act does first, or the row of a member of staff."""
    if user.account_id is not None:
        Account.objects.locked([user.account_id]).get()
    else:
        User.objects.select_for_update().get(pk=user.pk)


def note_change(user: User, change: Change, *, request: HttpRequest, at: dt.datetime | None = None) -> None:
    """Note and tell a change that the user made, in the caller's transaction, which holds the lock.

    All other sessions end but for new recovery codes; after a removal this one has proved no second factor any more.
    """
    at = at or timezone.now()
    ends = change is not Change.CODES_MADE
    ended = end_sessions(user=user.pk, keep=request.session.session_key) if ends else 0
    if change in {Change.APP_REMOVED, Change.PASSKEY_REMOVED}:
        proofs.forget_second_factor(request)
    recording.note_request(user, AccessEvent.Kind.FACTOR, request)
    _note(user, change, by=user.actor, ended=ended, at=at)


def reset(user_id: UUID, *, by: str = ledger.SYSTEM, at: dt.datetime | None = None) -> Given:
    """Replace every second factor of a member of staff by a new app secret and recovery codes, and return these.

    All their sessions end. Raises NotActionable for customers, who set up their own.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        user = User.objects.select_for_update().get(pk=user_id)
        if not user.is_staff:
            raise NotActionable(f"User {user.pk} belongs to a customer, who sets up second factors in the portal.")
        Authenticator.objects.filter(user=user).delete()
        given = _give(user)
        _note(user, Change.RESET, by=by, ended=end_sessions(user=user.pk), at=at)
    return given


def present_code(user: User, at: float | None = None) -> str:
    """Return the code that the user's app would show now; raises NotActionable outside a trial and without an app."""
    if not settings.TRIAL:
        raise NotActionable("Codes are shown in a trial only; in production they come from a person's own app.")
    with keyring():
        return code_of(_secret_of(user), at)


def secret_of_trial(user: User) -> str:
    """Return the secret of the user's app, for an app of the person trying; raises NotActionable outside a trial."""
    if not settings.TRIAL:
        raise NotActionable("Secrets are shown again in a trial only; make a new one with manage.py staff.")
    with keyring():
        return _secret_of(user)


def code_of(secret: str, at: float | None = None) -> str:
    """Return the code of a secret at a time in seconds, now by default (RFC 6238)."""
    return str(format_hotp_value(hotp_value(secret, int(at if at is not None else time.time()) // PERIOD)))


def _secret_of(user: User) -> str:
    row = Authenticator.objects.filter(user=user, type=Type.TOTP).first()
    if row is None:
        raise NotActionable(f"User {user.pk} has no authenticator app; manage.py staff NAME --second-factor makes one.")
    return str(decrypt(row.data["secret"]))


def _give(user: User) -> Given:
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    codes = RecoveryCodes.activate(user).get_unused_codes()
    return Given(secret, get_adapter().build_totp_url(user, secret), codes)


def _note(user: User, change: Change, *, by: str, ended: int, at: dt.datetime) -> None:
    credentials.note_secured(user, at)
    entry = ledger.record(
        by, "factor.changed", user.account_id or user.pk, user=user.pk, change=change.value, sessions=ended, at=at
    )
    context = {
        "reference": reference("SEC"),
        "change": change.value,
        "changed_at": at,
        "reset_path": reverse("account_reset_password"),
    }
    credentials.tell(user, f"factor:{entry.id}:changed", "accounts/mail/factor_changed.txt", context, at=at)
