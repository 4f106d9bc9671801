"""Browsers a user signs in with (P21): the first sign-in with a new one is told by mail.

A browser is known by what it is and what it runs on, without versions, as a keyed digest per user; its words are
sealed. The very first sign-in of a user tells nothing new and is not told. Staff have no such list. Where the sign-in
history of an account is erased, the database takes no row, and that is no error here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from uuid import UUID

from django.contrib.auth.signals import user_logged_in
from django.db import DatabaseError, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import browsers, credentials
from accounts.keys.identifiers import reference
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import AccessEvent, Device, User
from accounts.recording import CATEGORY_GONE, origin
from accounts.safeguards.finding import derived_key

LONGEST_LABEL = 100


def note_sign_in(user: User, browser: str | None, at: dt.datetime | None = None) -> None:
    """Note with which browser the user signed in, and tell by mail when it is a new one."""
    at = at or timezone.now()
    if user.account_id is None:
        return
    mark = _digest(user, browser)
    if Device.objects.filter(user=user.pk, digest=mark).update(last_seen_at=at):
        return
    try:
        with keyring(), transaction.atomic():
            _note_new(user, user.account_id, mark, browser, at)
    except KeyDestroyed:
        return
    except DatabaseError as error:
        # Somebody signed in with the same new browser at this moment, or the history is erased.
        if getattr(error.__cause__, "sqlstate", "") not in {CATEGORY_GONE, "23505"}:
            raise


def _note_new(user: User, account_id: UUID, mark: bytes, browser: str | None, at: dt.datetime) -> None:
    is_first = not _was_here_before(user)
    device = Device(
        account_id=account_id,
        user=user.pk,
        digest=mark,
        label=browsers.label(browser)[:LONGEST_LABEL],
        first_seen_at=at,
        last_seen_at=at,
    )
    device.save(force_insert=True)
    if is_first:
        return
    context = {
        "reference": reference("SEC"),
        "device": device.label,
        "signed_in_at": at,
        "sessions_path": reverse("accounts:sessions"),
        "reset_path": reverse("account_reset_password"),
    }
    credentials.tell(user, f"device:{device.pk}:new", "accounts/mail/new_device.txt", context, at=at)


def _was_here_before(user: User) -> bool:
    if Device.objects.filter(user=user.pk).exists():
        return True
    # The sign-in of this moment is noted already.
    events = AccessEvent.objects.filter(account=user.account_id, user=user.pk, kind=AccessEvent.Kind.SIGN_IN)
    return len(events.values_list("pk")[:2]) > 1


def _digest(user: User, browser: str | None) -> bytes:
    words = "\x00".join([str(user.pk), *browsers.families(browser)])
    return hmac.new(derived_key("devices"), words.encode(), hashlib.sha256).digest()


@receiver(user_logged_in, dispatch_uid="devices: signed in")
def _signed_in(request: HttpRequest | None = None, user: object = None, **kwargs: object) -> None:
    if request is not None and isinstance(user, User):
        note_sign_in(user, origin(request)[1])
