"""Confidential information: given by the owners, opened by staff for a stated reason only, told to the owners (P30).

No list, search or card of staff shows a title or a content. `open_item` is the one way in: it needs the permission,
a reason out of a fixed list and one in words; the ledger entry and the mail to the owners are written and committed
before anything is read. The list's word stands in the ledger. The words themselves are no fact a ledger takes: they
are kept sealed in the copy of the mail that the owners read in the portal, and no mail carries them.

The owners alone may move an item to business: the row is sealed anew under the business key and the old one is
removed, in one transaction.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import mailing, owners, roles
from accounts.errors import NotActionable
from accounts.giving import keep, locked_open, refuse_strangers
from accounts.keys.identifiers import reference
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Account, BusinessItem, ConfidentialItem, Correspondence, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import LedgerEntry
from accounts.uploads import Upload

OPENED = "confidential.opened"
SHORTEST_WORDS = 10
LONGEST_WORDS = 500


class Reason(models.TextChoices):
    """Why staff open an item; the word stands in the ledger."""

    ASKED = "asked", _("The customer asked us to read it")
    SUPPORT = "support", _("We need it to answer the customer")
    FAULT = "fault", _("We look for a fault or a misuse of the service")
    DUTY = "duty", _("A duty of ours needs it")


class Part(models.TextChoices):
    """What of an item is shown in one opening."""

    TEXT = "text", _("title and text")
    FILE = "file", _("the file")


@dataclass(frozen=True)
class Shown:
    """What one opening shows, once: title and text, or the file with its name and type."""

    reference: str
    title: str = ""
    text: str = ""
    file_name: str = ""
    media_type: str = ""
    content: bytes = b""


@dataclass(frozen=True)
class Opening:
    """One opening as its owners are told of it."""

    item: UUID
    at: dt.datetime
    reference: str
    reason: str
    roles: tuple[str, ...]
    copy: UUID | None


def confide(
    account: Account,
    *,
    by: User,
    title: str,
    text: str = "",
    file: Upload | None = None,
    submission: UUID | None = None,
    at: dt.datetime | None = None,
) -> ConfidentialItem:
    """Keep what an owner gives in confidence, and return it; the same form sent twice is kept once.

    Raises ValidationError for a card number or anything but a text or a file, PermissionDenied for everybody but the
    owners, NotActionable when the account is closed.
    """
    at = at or timezone.now()
    refuse_strangers(account.pk, by)
    with keyring(), transaction.atomic():
        account = locked_open(account.pk)
        item, is_new = keep(ConfidentialItem, account, title, text, file, by=by, submission=submission, at=at)
        if is_new:
            ledger.record(by.actor, "confidential.given", account.pk, item=item.pk, at=at)
    return item


def withdraw(item_id: UUID, *, by: User, at: dt.datetime | None = None) -> None:
    """Take an item back, for its owners; one that is removed stays so."""
    at = at or timezone.now()
    with keyring(), transaction.atomic():
        item = _own(item_id, by)
        if item.removed_at is None:
            _end(item, at)
            ledger.record(by.actor, "confidential.withdrawn", item.account_id, item=item.pk, at=at)


def move_to_business(item_id: UUID, *, by: User, at: dt.datetime | None = None) -> BusinessItem:
    """Make a business item of a confidential one, for its owners, and return it.

    Raises PermissionDenied for everybody else, staff of any role included, NotActionable when the item is removed or
    the account closed.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic():
        item = _own(item_id, by)
        if item.removed_at is not None:
            raise NotActionable("This item is confidential no more: you moved or removed it already.")
        moved = BusinessItem.objects.create(
            account_id=item.account_id,
            title=item.title,
            text=item.text,
            file_name=item.file_name,
            media_type=item.media_type,
            size=item.size,
            content=item.content,
            source=item.source,
            given_by=item.given_by,
            created_at=item.created_at,
        )
        _end(item, at)
        ledger.record(by.actor, "confidential.moved", item.account_id, item=item.pk, business=moved.pk, at=at)
    return moved


def open_item(
    item_id: UUID, *, by: User, reason: Reason, words: str, part: Part = Part.TEXT, at: dt.datetime | None = None
) -> Shown:
    """Show one part of an item to staff, once; the ledger entry and the mails are committed before.

    Raises PermissionDenied without `open_confidential`, ValidationError for words that are too short or hold a card
    number, NotActionable when the item is removed, erased or without that part, or nobody could read of the opening.
    """
    at = at or timezone.now()
    if not roles.may(by, "accounts.open_confidential"):
        raise PermissionDenied("Confidential information is opened by staff who may open it.")
    words = clean_words(words)
    opening = reference("OPN")
    with keyring():
        with transaction.atomic(durable=True):
            item = _openable(item_id, part, at)
            ledger.record(
                by.actor,
                OPENED,
                item.account_id,
                categories=[ConfidentialItem.personal.category.value],
                roles=sorted(roles.roles_of(by)),
                kind=item._meta.label_lower,
                object=item.pk,
                reason=reason.value,
                part=part.value,
                reference=opening,
                at=at,
            )
            _tell(item, opening, reason, words, at)
        return _read(item_id, part, opening)


def clean_words(words: str) -> str:
    """Return a reason in words; raise ValidationError when it says too little, too much or a card number."""
    words = " ".join(words.split())
    if len(words) < SHORTEST_WORDS:
        raise ValidationError(f"Write why, in at least {SHORTEST_WORDS} letters.", code="short")
    if len(words) > LONGEST_WORDS:
        raise ValidationError(f"Write why, in at most {LONGEST_WORDS} letters.", code="long")
    refuse_card_number(words)
    return words


def openings(account_id: UUID, items: Iterable[UUID]) -> dict[UUID, list[Opening]]:
    """Return how often and when staff opened each of these items of an account, latest first."""
    wanted = set(items)
    found: dict[UUID, list[Opening]] = {item: [] for item in wanted}
    entries = LedgerEntry.objects.filter(subject=account_id, action=OPENED).order_by("-at", "-pk")
    copies = dict(_copies(account_id)) if wanted else {}
    for entry in entries if wanted else ():
        facts = json.loads(entry.body)
        item = UUID(facts["object"])
        if item in wanted:
            copy = copies.get(_event(item, facts["reference"]))
            reason, who = str(Reason(facts["reason"]).label), tuple(facts["roles"])
            found[item].append(Opening(item, entry.at, facts["reference"], reason, who, copy))
    return found


def _own(item_id: UUID, by: User) -> ConfidentialItem:
    """Return an item of the owner's open account, its account locked."""
    account_id = ConfidentialItem.objects.values_list("account_id", flat=True).get(pk=item_id)
    refuse_strangers(account_id, by)
    locked_open(account_id)
    return ConfidentialItem.objects.select_for_update().get(pk=item_id)


def _end(item: ConfidentialItem, at: dt.datetime) -> None:
    ConfidentialItem.objects.filter(pk=item.pk, removed_at=None).update(removed_at=at)


def _openable(item_id: UUID, part: Part, at: dt.datetime) -> ConfidentialItem:
    """Return an item that can be shown now, without its values, its account locked."""
    known = ConfidentialItem.objects.filter(pk=item_id).values_list("account_id", flat=True).first()
    account = Account.objects.locked([known] if known else []).first()
    kept = ConfidentialItem.objects.filter(removed_at=None).only("account", "media_type")
    item = kept.select_related("account").filter(pk=item_id).first() if account else None
    if account is None or item is None:
        raise NotActionable("This item is not there any more: its owner moved or removed it.")
    if not account.may_sign_in(at):
        raise NotActionable(f"Sign-in to account {account.number} has ended: nobody could read that you opened this.")
    if part not in parts_of(item):
        raise NotActionable("This item has no such part. Go back to it and open the other one.")
    return item


def parts_of(item: ConfidentialItem) -> list[Part]:
    """Return what an item holds, read from what is no secret: a file has a type."""
    has_text = ConfidentialItem.objects.filter(pk=item.pk, text__isnull=False).exists()
    return [*([Part.TEXT] if has_text else []), *([Part.FILE] if item.media_type else [])]


def _read(item_id: UUID, part: Part, opening: str) -> Shown:
    item = ConfidentialItem.objects.get(pk=item_id)
    try:
        if part == Part.FILE:
            name = item.file_name or "file"
            return Shown(opening, file_name=name, media_type=item.media_type, content=item.content or b"")
        return Shown(opening, title=item.title, text=item.text or "")
    except KeyDestroyed:
        raise NotActionable("This item is erased.") from None


def _event(item: UUID, opening: str) -> str:
    return f"confidential:{item}:{opening}:opened"


def _copies(account_id: UUID) -> Iterable[tuple[str, UUID]]:
    kept = Correspondence.objects.filter(account=account_id, event__startswith="confidential:")
    return kept.order_by("created_at", "pk").values_list("event", "pk")


def _tell(item: ConfidentialItem, opening: str, reason: Reason, words: str, at: dt.datetime) -> None:
    """Mail every owner without the words, and keep one copy with them."""
    context = {"reference": opening, "opened_at": at, "reason": reason.label}
    template, event = "accounts/mail/confidential_opened.txt", _event(item.pk, opening)
    subject, body = mailing.render(template, {**context, "words": words})
    copy = Correspondence.objects.create(account=item.account, event=event, subject=subject, body=body, created_at=at)
    for number, address in enumerate(owners.recipients(item.account_id).values()):
        told = event if number == 0 else f"{event}:{number}"
        message = mailing.mail(item.account, told, template, context, to=address, at=at, store=False)
        if number == 0 and message is not None:
            message.copy = copy.pk
            message.save(update_fields=["copy"])
