"""Browsers a user signs in with (P21): the first sign-in with a new one is told by mail.

A browser is known by what it is and what it runs on, without versions, as a keyed digest per user; its words are
sealed. The very first sign-in of a user tells nothing new and is not told. Staff have no such list. Where the sign-in
history of an account is erased, the database takes no row, and that is no error here. What is older than sign-ins are
kept counts as gone, whether or not something kept its row: a mail would tell of it (silence.md, S7). The room above
knows that time, and rings with it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from uuid import UUID

from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import browsers, credentials
from accounts.keys.identifiers import reference
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import AccessEvent, Device, User
from accounts.recording import CATEGORY_GONE
from accounts.safeguards.finding import derived_key

LONGEST_LABEL = 100


def note_sign_in(user: User, browser: str | None, *, since: dt.datetime, at: dt.datetime | None = None) -> None:
    """Note with which browser the user signed in, and tell by mail when it is a new one since `since`."""
    at = at or timezone.now()
    if user.account_id is None:
        return
    mark = _digest(user, browser)
    if Device.objects.filter(user=user.pk, digest=mark, last_seen_at__gte=since).update(last_seen_at=at):
        return
    try:
        with keyring(), transaction.atomic():
            _note_new(user, user.account_id, mark, browser, since, at)
    except KeyDestroyed:
        return
    except DatabaseError as error:
        # Somebody signed in with the same new browser at this moment, or the history is erased.
        if getattr(error.__cause__, "sqlstate", "") not in {CATEGORY_GONE, "23505"}:
            raise


def _note_new(
    user: User, account_id: UUID, mark: bytes, browser: str | None, since: dt.datetime, at: dt.datetime
) -> None:
    is_first, label = not _was_here_before(user, since), browsers.label(browser)[:LONGEST_LABEL]
    device = Device(account_id=account_id, user=user.pk, digest=mark, label=label, first_seen_at=at, last_seen_at=at)
    # A row that is kept beyond its time begins anew; its old state stays with whatever keeps it.
    kept = Device.objects.filter(user=user.pk, digest=mark, last_seen_at__lt=since)
    if not kept.update(first_seen_at=at, last_seen_at=at):
        device.save(force_insert=True)
    if is_first:
        return
    context = {
        "reference": reference("SEC"),
        "device": label,
        "signed_in_at": at,
        "sessions_path": reverse("accounts:sessions"),
        "reset_path": reverse("account_reset_password"),
    }
    credentials.tell(user, f"device:{device.pk}:new", "accounts/mail/new_device.txt", context, at=at)


def _was_here_before(user: User, since: dt.datetime) -> bool:
    if Device.objects.filter(user=user.pk, last_seen_at__gte=since).exists():
        return True
    # The sign-in of this moment is noted already.
    events = AccessEvent.objects.filter(
        account=user.account_id, user=user.pk, kind=AccessEvent.Kind.SIGN_IN, at__gte=since
    )
    return len(events.values_list("pk")[:2]) > 1


def _digest(user: User, browser: str | None) -> bytes:
    words = "\x00".join([str(user.pk), *browsers.families(browser)])
    return hmac.new(derived_key("devices"), words.encode(), hashlib.sha256).digest()
