"""Members of an account: their role is changed, they are removed, they leave.

Who may: owners; leaving is everybody's own. An open account always keeps an owner: the last one is refused here, under
the account's lock, and by the database whoever writes. Who is removed signs in no more, their sessions and tokens end,
and their rows are marked for the sweep. The account number signs in the primary owner: it moves to the
longest-standing other owner, and so does the owner contact where it holds the leaver's address.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import members
from accounts.errors import NotActionable
from accounts.inviting import tell_owners
from accounts.keys.keyring import keyring
from accounts.members import OWNER, ROLES, Part
from accounts.models import Account, AccountToken, Contact, EmailChange, Invitation, Person, SignInIdentifier, User
from accounts.safeguards import ledger
from accounts.safeguards.finding import normalised
from accounts.sessions import end_sessions

LAST = "The last owner of an account stays: make another member owner first."


def change_role(user_id: UUID, role: str, *, by: User, at: dt.datetime | None = None) -> User:
    """Give a member another role and return the user; the same role again changes nothing."""
    at = at or timezone.now()
    if role not in ROLES:
        raise NotActionable("A member is an owner, or looks after billing or technical matters: choose one of them.")
    with keyring(), transaction.atomic(durable=True):
        account = _locked(user_id)
        members.refuse_unless(by, account, Part.MEMBERS)
        members.refuse_closed(account)
        user = _member(user_id, account)
        if members.role_of(user) == role:
            return user
        if user.is_owner:
            _hand_over(user, account)
        user.is_owner, user.member_role = role == OWNER, "" if role == OWNER else role
        user.save(update_fields=["is_owner", "member_role"])
        if role != OWNER:
            _end_what_an_owner_began(user, account, at)
        entry = ledger.record(by.actor, "member.role_changed", account.pk, user=user.pk, role=role, at=at)
        tell_owners(account, f"member:{entry.id}", "role", role, at, also=_address_of(user))
    return user


def remove(user_id: UUID, *, by: User, at: dt.datetime | None = None) -> User:
    """Remove a member of the account and return the user; one that was removed stays so."""
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = _locked(user_id)
        members.refuse_unless(by, account, Part.MEMBERS)
        members.refuse_closed(account)
        user = User.objects.get(pk=user_id, account=account)
        if user.removed_at is None:
            _end(user, account, by, "removed", at)
    return user


def leave(*, by: User, at: dt.datetime | None = None) -> User:
    """Leave one's account, for any member but the last owner, and return the user."""
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = _locked(by.pk)
        members.refuse_closed(account)
        user = User.objects.get(pk=by.pk, account=account)
        if user.removed_at is None:
            _end(user, account, by, "left", at)
    return user


def _locked(user_id: UUID) -> Account:
    account_id = User.objects.values_list("account_id", flat=True).get(pk=user_id)
    if account_id is None:
        raise NotActionable("A member of staff belongs to no account.")
    return Account.objects.locked([account_id]).get()


def _member(user_id: UUID, account: Account) -> User:
    user = members.active(account.pk).filter(pk=user_id).first()
    if user is None:
        raise NotActionable("This member was removed: invite them again.")
    return user


def _end(user: User, account: Account, by: User, change: str, at: dt.datetime) -> None:
    role, own = members.role_of(user), _address_of(user)
    if user.is_owner:
        _hand_over(user, account)
    user.is_active, user.removed_at = False, at
    user.save(update_fields=["is_active", "removed_at"])
    Person.objects.filter(user=user, removed_at=None).update(removed_at=at)
    SignInIdentifier.objects.filter(user=user, removed_at=None).update(signs_in=False, removed_at=at)
    _end_what_an_owner_began(user, account, at)
    EmailChange.objects.filter(account=account, done_at=None, withdrawn_at=None).filter(
        Q(user=user.pk) | Q(asked_by=user.pk)
    ).update(withdrawn_at=at)
    ended = end_sessions(user=user.pk)
    facts = {"user": user.pk, "role": role, "sessions": ended}
    ledger.record(by.actor, f"member.{change}", account.pk, **facts, at=at)
    tell_owners(account, f"member:{user.pk}:{change}", change, role, at, also=own)


def _end_what_an_owner_began(user: User, account: Account, at: dt.datetime) -> None:
    """End the powers that work on without their owner: invitations, tokens, a change of the owner contact's address."""
    Invitation.objects.filter(account=account, invited_by=user.pk, accepted_at=None, removed_at=None).update(
        removed_at=at
    )
    AccountToken.objects.filter(user=user.pk, removed_at=None).update(removed_at=at)
    of_contact = EmailChange.objects.filter(
        account=account, asked_by=user.pk, contact__isnull=False, done_at=None, withdrawn_at=None
    )
    of_contact.filter(user=None).update(withdrawn_at=at)
    # A change of both goes on for their own address.
    of_contact.filter(user__isnull=False).update(contact=None)


def _hand_over(user: User, account: Account) -> None:
    """Give what the primary owner has to the longest-standing other owner; refuse when there is none."""
    heir = members.owners(account.pk).exclude(pk=user.pk).first()
    if heir is None:
        raise NotActionable(LAST)
    number = SignInIdentifier.objects.filter(user=user, kind=SignInIdentifier.Kind.NUMBER, signs_in=True).first()
    if number is not None:
        number.user = heir
        number.save(update_fields=["user"])
    theirs = members.addresses([user.pk, heir.pk])
    contact = Contact.objects.owners([account.pk]).first()
    if contact is None or not {user.pk, heir.pk} <= theirs.keys():
        return
    if normalised("email", contact.email) == normalised("email", theirs[user.pk]):
        # Otherwise the mails of the account, links that open it included, would go on to whoever left.
        contact.email, contact.phone = theirs[heir.pk], None
        contact.name = Person.objects.get(user=heir).name
        contact.save(update_fields=["email", "phone", "name"])


def _address_of(user: User) -> tuple[str, ...]:
    """Return where this member is told too."""
    own = members.addresses([user.pk]).get(user.pk)
    return (own,) if own else ()
