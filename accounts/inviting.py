"""Inviting members: an owner names an address and a role, and whoever opens the link in the mail joins with both.

The link works once and for a while; its hash is stored, the link itself is not. The answer to the inviter is one,
whether or not somebody signs in with the address already: only its holder reads so, in the mail. Joining makes a user
with an own password and the confirmed address as sign-in name. All owners are told of every step.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import mailing, members, owners
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import reference
from accounts.keys.keyring import keyring
from accounts.members import OWNER, ROLES, Part
from accounts.models import Account, Invitation, SignInIdentifier, State, User
from accounts.registering import clean_username, save_user, unique_names
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email, digest, normalised

LONGEST_TOKEN = 64
Kind = SignInIdentifier.Kind


def open_invitations(account_id: UUID, at: dt.datetime) -> QuerySet[Invitation]:
    """Return the invitations that can still be accepted."""
    return Invitation.objects.filter(account=account_id, accepted_at=None, removed_at=None, expires_at__gt=at)


def invite(
    account_id: UUID,
    *,
    by: User,
    email: str,
    role: str,
    lasts: dt.timedelta,
    submission: UUID,
    at: dt.datetime | None = None,
) -> Invitation:
    """Invite an address and return the invitation; an earlier one to the same address ends.

    Who may: owners. Raises ValidationError for an address of the wrong form, NotActionable for a closed account.
    """
    at = at or timezone.now()
    email = clean_email(email)
    if role not in ROLES:
        raise NotActionable("A member is an owner, or looks after billing or technical matters: choose one of them.")
    token = secrets.token_urlsafe(24)
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        members.refuse_unless(by, account, Part.MEMBERS)
        members.refuse_closed(account)
        made = Invitation.objects.filter(pk=submission).first()
        if made is not None and made.account_id == account.pk:
            return made
        if made is not None:
            raise NotActionable(USED_FORM)
        of_address = _address_digest(email)
        earlier = Invitation.objects.filter(account=account, email_digest=of_address, accepted_at=None, removed_at=None)
        earlier.update(removed_at=at)
        invitation = Invitation(
            pk=submission,
            account=account,
            email=email,
            email_digest=of_address,
            role=role,
            token_digest=token_digest(token),
            invited_by=by.pk,
            created_at=at,
            expires_at=at + lasts,
        )
        invitation.save(force_insert=True)
        ledger.record(by.actor, "member.invited", account.pk, invitation=invitation.pk, role=role, at=at)
        _send_link(account, invitation, token, at)
        tell_owners(account, f"invitation:{invitation.pk}:sent", "invited", role, at)
    return invitation


def withdraw(invitation_id: UUID, *, by: User, at: dt.datetime | None = None) -> Invitation:
    """End an invitation, for owners; one that ended stays so, and one that was accepted is NotActionable."""
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account_id = Invitation.objects.values_list("account_id", flat=True).get(pk=invitation_id)
        account = Account.objects.locked([account_id]).get()
        members.refuse_unless(by, account, Part.MEMBERS)
        invitation = Invitation.objects.get(pk=invitation_id)
        if invitation.accepted_at is not None:
            raise NotActionable("This invitation was accepted already: remove the member instead.")
        if invitation.removed_at is None:
            invitation.removed_at = at
            invitation.save(update_fields=["removed_at"])
            ledger.record(by.actor, "member.uninvited", account.pk, invitation=invitation.pk, at=at)
            tell_owners(account, f"invitation:{invitation.pk}:withdrawn", "withdrawn", invitation.role, at)
    return invitation


def find(token: str, at: dt.datetime | None = None) -> Invitation | None:
    """Return the invitation that a link opens now, or None."""
    at = at or timezone.now()
    found = Invitation.objects.select_related("account").filter(token_digest=token_digest(token)).first()
    return found if found is not None and _is_open(found, found.account, at) else None


def accept(token: str, *, name: str, password: str, username: str | None = None, at: dt.datetime | None = None) -> User:
    """Make the invited member and return the user; the link is used up.

    Raises NotActionable for a link that opens nothing, NameTaken for an address or user name in use, ValidationError
    for a name or user name of the wrong form.
    """
    at = at or timezone.now()
    refuse_card_number(name)
    names: dict[Kind, str] = {Kind.USERNAME: clean_username(username)} if username else {}
    found = find(token, at)
    if found is None:
        raise NotActionable(ENDED)
    with keyring(), unique_names(), transaction.atomic(durable=True):
        account = Account.objects.locked([found.account_id]).get()
        invitation = Invitation.objects.get(pk=found.pk)
        if not _is_open(invitation, account, at):
            raise NotActionable(ENDED)
        is_owner = invitation.role == OWNER
        user = User(account=account, is_owner=is_owner, created_at=at)
        user.member_role = "" if is_owner else invitation.role
        user.set_password(password)
        save_user(user, name, {Kind.EMAIL: invitation.email, **names}, at)
        invitation.accepted_at = at
        invitation.save(update_fields=["accepted_at"])
        facts = {"invitation": invitation.pk, "user": user.pk, "role": invitation.role}
        ledger.record(user.actor, "member.joined", account.pk, **facts, at=at)
        tell_owners(account, f"invitation:{invitation.pk}:accepted", "joined", invitation.role, at)
    return user


def tell_owners(
    account: Account, event: str, change: str, role: str, at: dt.datetime, *, also: tuple[str, ...] = ()
) -> None:
    """Mail all owners what changed among the members: "invited", "withdrawn", "joined", "role", "removed", "left"."""
    context: dict[str, Any] = {
        "reference": reference("SEC"),
        "change": change,
        "role": ROLES[role],
        "changed_at": at,
        "page_path": reverse("accounts:members"),
    }
    owners.tell(account, event, "accounts/mail/members_changed.txt", context, also=also, at=at)


def token_digest(token: str) -> bytes:
    """Return the hash under which a link is stored."""
    return hashlib.sha256(token[:LONGEST_TOKEN].encode()).digest()


ENDED = "This invitation was used already, or its time is over. Ask whoever invited you for a new one."


def _is_open(invitation: Invitation, account: Account, at: dt.datetime) -> bool:
    is_waiting = invitation.accepted_at is None and invitation.removed_at is None
    return is_waiting and at < invitation.expires_at and account.state == State.ACTIVE


def _send_link(account: Account, invitation: Invitation, token: str, at: dt.datetime) -> None:
    """Mail the link; an address that somebody signs in with gets a mail without one, made in the same way."""
    in_use = SignInIdentifier.objects.filter(
        kind=Kind.EMAIL, digest=digest(Kind.EMAIL, invitation.email), signs_in=True
    ).exists()
    template = "accounts/mail/invitation_in_use.txt" if in_use else "accounts/mail/invitation.txt"
    path = reverse("accounts:join", args=[token])
    context = {
        "reference": reference("SEC"),
        "join_url": f"{settings.PORTAL_ORIGIN}{path}",
        "role": ROLES[invitation.role],
        "asked_at": at,
        "ends_at": invitation.expires_at,
    }
    event = f"invitation:{invitation.pk}:mail"
    mailing.mail(account, event, template, context, to=invitation.email, store=False, at=at)


def _address_digest(email: str) -> bytes:
    return digest("invitation", normalised("email", email))
