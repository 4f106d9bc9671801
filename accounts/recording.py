"""Access events (P6): who signed in, was refused, signed out or changed the password, from where.

Address and browser are sealed under the account's key. Nothing is written for staff, who belong to no account,
nor once the account's sign-in history is erased: the database refuses that row, and the refusal is no error here.
A refused attempt is one outbox row whoever was named, and the relay looks whether that is a customer: whoever
measures the answers learns nothing.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID, uuid4

from allauth.core.internal.httpkit import get_client_ip
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import DatabaseError, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import AccessEvent, User
from accounts.safeguards import outbox
from accounts.safeguards.cards import holds_card_number
from accounts.safeguards.models import OutboxMessage

LONGEST_BROWSER = 400
# What the guard of a table answers when its category of this account is erased.
CATEGORY_GONE = "PH004"


def note(
    user: User,
    kind: AccessEvent.Kind,
    *,
    ip: str | None,
    browser: str | None,
    event_id: UUID | None = None,
    at: dt.datetime | None = None,
) -> AccessEvent | None:
    """Write one event of the user's account; return None for staff and where the history is gone."""
    if user.account_id is None:
        return None
    event = AccessEvent(
        id=event_id or uuid7(),
        account_id=user.account_id,
        kind=kind,
        user=user.pk,
        ip=ip,
        browser=browser,
        at=at or timezone.now(),
    )
    try:
        with keyring(), transaction.atomic():
            event.save(force_insert=True)
    except KeyDestroyed:
        return None
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") != CATEGORY_GONE:
            raise
        return None
    return event


def note_request(user: User, kind: AccessEvent.Kind, request: HttpRequest) -> AccessEvent | None:
    """Write one event of the user's account with the address and browser of the request."""
    ip, browser = origin(request)
    return note(user, kind, ip=ip, browser=browser)


def post_refusal(user: User | None, request: HttpRequest) -> None:
    """Post what was refused; the same row, made in the same time, for nobody as for a customer."""
    ip, browser = origin(request)
    named = user.pk if user is not None else uuid4()
    outbox.post("refusal", f"refusal:{uuid7()}", {"user": str(named), "ip": ip, "browser": browser})


@outbox.handles("refusal")
def note_refusal(message: OutboxMessage) -> None:
    """Write the event of a refused attempt, once, if somebody was named by it."""
    content = message.content
    user = User.objects.filter(pk=content["user"]).first()
    if user is None or AccessEvent.objects.filter(pk=message.pk).exists():
        return
    note(
        user,
        AccessEvent.Kind.REFUSED,
        ip=content["ip"],
        browser=content["browser"],
        event_id=message.pk,
        at=message.created_at,
    )


def origin(request: HttpRequest) -> tuple[str | None, str | None]:
    """Return (address, browser) of a request; a browser string that looks like a card number is left out."""
    browser = request.headers.get("User-Agent", "")[:LONGEST_BROWSER].replace("\x00", "")
    return get_client_ip(request), None if not browser or holds_card_number(browser) else browser


@receiver(user_logged_in, dispatch_uid="recording: signed in")
def _signed_in(request: HttpRequest | None = None, user: object = None, **kwargs: object) -> None:
    if request is not None and isinstance(user, User):
        note_request(user, AccessEvent.Kind.SIGN_IN, request)


@receiver(authentication_failed, dispatch_uid="recording: second factor refused")
def _refused(request: HttpRequest | None = None, user: object = None, **kwargs: object) -> None:
    if request is not None and isinstance(user, User):
        post_refusal(user, request)


@receiver(user_logged_out, dispatch_uid="recording: signed out")
def _signed_out(request: HttpRequest | None = None, user: object = None, **kwargs: object) -> None:
    if request is not None and isinstance(user, User):
        note_request(user, AccessEvent.Kind.SIGN_OUT, request)
