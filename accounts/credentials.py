"""Passwords: changed by one act, reset by a link that is mailed to the stored address only (CVE-2019-19844).

A change ends every other session, is noted in the sign-in history and the ledger, and is told by mail, all in one
transaction. Who asks for a reset leaves one outbox row whoever was named, and the relay looks whether there is
somebody to write to. The link is not kept with the mails that the customer and staff can read.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

from allauth.account.forms import default_token_generator
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import mailing, recording
from accounts.keys.identifiers import reference, uuid7
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, SignInIdentifier, User
from accounts.safeguards import ledger, outbox
from accounts.safeguards.models import OutboxMessage
from accounts.sessions import end_sessions


def change_password(
    user: User, password: str, *, request: HttpRequest | None = None, at: dt.datetime | None = None
) -> None:
    """Set the password, end the user's other sessions and tell by mail.

    The session of `request` goes on when it is the user's own: the caller renews its key.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        note_secured(user, at)
        ended = end_sessions(user=user.pk, keep=_session_of(user, request))
        if request is not None:
            recording.note_request(user, AccessEvent.Kind.PASSWORD, request)
        entry = ledger.record(user.actor, "password.changed", user.account_id or user.pk, sessions=ended, at=at)
        tell(
            user,
            f"password:{entry.id}:changed",
            "accounts/mail/password_changed.txt",
            {
                "reference": reference("SEC"),
                "changed_at": at,
                "reset_path": reverse("account_reset_password"),
            },
            store=True,
            at=at,
        )


def note_secured(user: User, at: dt.datetime) -> None:
    """Note that password, address or second factor changed, in the caller's transaction: a deletion that is asked
    for soon afterwards waits.
    """
    User.objects.filter(pk=user.pk).update(secured_at=at)
    user.secured_at = at


def ask_for_reset(user: User | None) -> None:
    """Post the wish for a link; the same row, made in the same time, for nobody as for somebody."""
    named = user.pk if user is not None else uuid4()
    outbox.post("reset", f"reset:{uuid7()}", {"user": str(named)})


@outbox.handles("reset")
def answer_wish(message: OutboxMessage) -> None:
    """Mail a link if somebody was named; a repeat of the same wish mails none."""
    user = User.objects.filter(pk=message.content["user"]).select_related("account").first()
    if user is not None:
        send_reset_link(user, wish=message.pk)


def send_reset_link(user: User, *, wish: UUID | None = None, at: dt.datetime | None = None) -> None:
    """Mail a link that sets a new password once, to the address that is stored for signing in."""
    at = at or timezone.now()
    token = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user.pk.hex, "key": token})
    context = {
        "reference": reference("SEC"),
        "reset_url": f"{settings.PORTAL_ORIGIN}{path}",
        "asked_at": at,
        "ends_at": at + dt.timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
    }
    event = f"password:{wish or uuid7()}:reset"
    with keyring(), transaction.atomic():
        tell(user, event, "accounts/mail/password_reset.txt", context, store=False, at=at)


def stored_address(user: User) -> str | None:
    """Return the e-mail address the user signs in with, or None."""
    found = SignInIdentifier.objects.filter(user=user, kind=SignInIdentifier.Kind.EMAIL, signs_in=True).first()
    return str(found.value) if found else None


def tell(
    user: User, event: str, template: str, context: dict[str, Any], *, at: dt.datetime, store: bool = True
) -> None:
    """Mail the user at the address they sign in with, once an event, in the caller's transaction; staff too."""
    to = stored_address(user)
    if to is None:
        return
    if user.account is not None:
        mailing.mail(user.account, event, template, context, to=to, store=store, reader=user, at=at)
        return
    # A member of staff has no account whose mails would be kept.
    subject, body = mailing.render(template, context, user)
    outbox.post("mail", event, {"to": to, "subject": subject, "body": body}, subject=user.pk, at=at)


def _session_of(user: User, request: HttpRequest | None) -> str | None:
    if request is None or getattr(request, "user", None) != user:
        return None
    key: str | None = request.session.session_key
    return key
