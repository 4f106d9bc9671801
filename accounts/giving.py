"""Business information: notes and documents about what customers do, theirs to give and to take back (P28, P29).

The owners of an account give and remove it, in the open account only. Staff with `note_business` add notes, which the
owners read and may remove like their own. An item is a text or a file, never both. Removed means `removed_at`, for
everyone; the daily sweep deletes the row.
"""

from __future__ import annotations

import datetime as dt
from typing import TypeVar
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import roles
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, BusinessItem, ConfidentialItem, State, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.uploads import Upload

Item = TypeVar("Item", BusinessItem, ConfidentialItem)


def give(
    account: Account,
    *,
    by: User,
    title: str,
    text: str = "",
    file: Upload | None = None,
    submission: UUID | None = None,
    at: dt.datetime | None = None,
) -> BusinessItem:
    """Keep what an owner tells about the business, and return it; the same form sent twice is kept once.

    Raises ValidationError for a card number or anything but a text or a file, PermissionDenied for everybody but the
    owners, NotActionable when the account is closed.
    """
    at = at or timezone.now()
    refuse_strangers(account.pk, by)
    with keyring(), transaction.atomic():
        account = locked_open(account.pk)
        item, is_new = keep(BusinessItem, account, title, text, file, by=by, submission=submission, at=at)
        if is_new:
            ledger.record(by.actor, "business.given", account.pk, item=item.pk, at=at)
    return item


def note(
    account_id: UUID, *, by: User, title: str, text: str, submission: UUID | None = None, at: dt.datetime | None = None
) -> BusinessItem:
    """Keep what staff note about the business, and return it; the owners read it in the portal.

    Raises ValidationError for a card number, PermissionDenied without `note_business`, NotActionable when sign-in to
    the account has ended: nobody would read or correct the note.
    """
    at = at or timezone.now()
    if not roles.may(by, "accounts.note_business"):
        raise PermissionDenied("Business information is noted by staff who may note it.")
    with keyring(), transaction.atomic():
        account = Account.objects.locked([account_id]).get()
        if not account.may_sign_in(at):
            raise NotActionable(f"Account {account.number} takes no notes any more: sign-in has ended.")
        item, is_new = keep(BusinessItem, account, title, text, None, by=by, submission=submission, at=at)
        if is_new:
            ledger.record(by.actor, "business.noted", account.pk, item=item.pk, at=at)
    return item


def remove(item_id: UUID, *, by: User, at: dt.datetime | None = None) -> None:
    """Take an item back, for its owners; one that is removed stays so."""
    at = at or timezone.now()
    account_id = BusinessItem.objects.values_list("account_id", flat=True).get(pk=item_id)
    refuse_strangers(account_id, by)
    with keyring(), transaction.atomic():
        account = locked_open(account_id)
        if BusinessItem.objects.filter(pk=item_id, removed_at=None).update(removed_at=at):
            ledger.record(by.actor, "business.removed", account.pk, item=item_id, at=at)


def refuse_strangers(account_id: UUID | None, by: User) -> None:
    """Raise PermissionDenied for everybody but the owners of an account."""
    if by.is_staff or by.account_id != account_id or not by.is_owner:
        raise PermissionDenied("Only the owners of an account give, move and remove what they told us.")


def locked_open(account_id: UUID | None) -> Account:
    """Return the account, locked; raise NotActionable when it is closed."""
    account = Account.objects.locked([account_id] if account_id else []).get()
    if account.state != State.ACTIVE:
        raise NotActionable(f"Account {account.number} is closed: cancel its deletion to change what you gave us.")
    return account


def keep(
    model: type[Item],
    account: Account,
    title: str,
    text: str,
    file: Upload | None,
    *,
    by: User,
    submission: UUID | None,
    at: dt.datetime,
) -> tuple[Item, bool]:
    """Write one item under the account's lock and return it, with False when this very form had written it before."""
    for words in (title, text, file.name if file else ""):
        refuse_card_number(words)
    if bool(text) == bool(file):
        raise ValidationError(_("Write a text or choose a file: one of the two."), code="one")
    known = model.objects.filter(pk=submission).first() if submission else None
    if known is not None:
        if known.account_id != account.pk or known.given_by != by.pk:
            raise NotActionable(USED_FORM)
        return known, False
    item = model(
        id=submission or uuid7(),
        account=account,
        title=title,
        text=text or None,
        source=model.Source.STAFF if by.is_staff else model.Source.CUSTOMER,
        given_by=by.pk,
        created_at=at,
    )
    if file is not None:
        item.file_name, item.media_type = file.name, file.media_type
        item.size, item.content = file.size, file.content
    item.save(force_insert=True)
    return item, True
