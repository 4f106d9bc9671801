"""The conversation about a privacy request, notes of staff apart from it, and who of staff takes care of it.

A message of staff is told by mail, without a word of it. A form sent twice writes once.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts import members, roles
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from retention import request_letters
from retention.models import PrivacyRequest, RequestMessage
from retention.models.privacy import Status

ANSWERS = "retention.answer_request"


def write(
    request_id: UUID, *, by: User | None, body: str, submission: UUID | None = None, at: dt.datetime | None = None
) -> RequestMessage:
    """Add a message of the person or of staff and return it; `by` is None for whoever gave reference and code.

    Raises ValidationError for a card number, PermissionDenied for strangers, NotActionable when the request has ended.
    """
    return _add(request_id, by, body, submission, is_note=False, at=at)


def note(request_id: UUID, *, by: User, body: str, at: dt.datetime | None = None) -> RequestMessage:
    """Add a note that only staff read and return it."""
    return _add(request_id, by, body, None, is_note=True, at=at)


def assign(request_id: UUID, *, by: User, at: dt.datetime | None = None) -> PrivacyRequest:
    """Let this member of staff take care of the request and return it."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        request = locked(request_id)
        _refuse_strangers(request, by, is_note=True)
        _refuse_ended(request)
        if request.assigned_to != by.pk:
            request.assigned_to = by.pk
            request.save(update_fields=["assigned_to"])
            ledger.record(by.actor, "request.assigned", subject_of(request), at=at, request=request.pk, to=by.pk)
    return request


def locked(request_id: UUID) -> PrivacyRequest:
    """Return the request, its account locked before it, both read anew."""
    account_id = PrivacyRequest.objects.values_list("account_id", flat=True).get(pk=request_id)
    account = Account.objects.locked([account_id]).get() if account_id else None
    request = PrivacyRequest.objects.select_for_update().get(pk=request_id)
    request.account = account
    return request


def subject_of(request: PrivacyRequest) -> UUID:
    """Return whose a request is: the account, or the request itself for somebody without one."""
    return request.account_id or request.pk


def actor_of(request: PrivacyRequest, by: User | None) -> str:
    """Return who acts, for the ledger: whoever gave the code acts as the request itself."""
    return by.actor if by is not None else f"request:{request.pk}"


def _add(
    request_id: UUID, by: User | None, body: str, submission: UUID | None, *, is_note: bool, at: dt.datetime | None
) -> RequestMessage:
    at = at or timezone.now()
    refuse_card_number(body)
    with keyring(), transaction.atomic(durable=True):
        request = locked(request_id)
        _refuse_strangers(request, by, is_note)
        made = RequestMessage.objects.filter(pk=submission).first() if submission else None
        if made is not None and made.request_id == request.pk:
            return made
        if made is not None:
            raise NotActionable(USED_FORM)
        _refuse_ended(request)
        is_from_staff = by is not None and by.is_staff
        message = RequestMessage(
            id=submission or uuid7(),
            request=request,
            account_id=request.account_id,
            author=by.pk if by is not None else None,
            is_from_staff=is_from_staff,
            is_internal=is_note,
            body=body,
            created_at=at,
        )
        message.save(force_insert=True)
        action = "request.noted" if is_note else "request.answered"
        actor = actor_of(request, by)
        ledger.record(actor, action, subject_of(request), at=at, request=request.pk, message=message.pk)
        if is_from_staff and not is_note:
            request_letters.answered(request, message.pk, at)
    return message


def _refuse_strangers(request: PrivacyRequest, by: User | None, is_note: bool) -> None:
    if by is not None and by.is_staff:
        is_allowed = roles.may(by, ANSWERS)
    elif by is not None:
        is_allowed = not is_note and request.account_id is not None and _may_write(by, request.account_id)
    else:
        is_allowed = request.account_id is None and request.address_confirmed_at is not None and not is_note
    if not is_allowed:
        raise PermissionDenied("Only the person who asked and the privacy officer may write here.")


def _may_write(by: User, account_id: UUID) -> bool:
    """Return whether `by` may write for the account now: a role can have gone while they wrote."""
    now = members.active(account_id).filter(pk=by.pk).first()
    return now is not None and members.may_open(now, Part.REQUESTS)


def _refuse_ended(request: PrivacyRequest) -> None:
    if request.status not in {Status.OPEN, Status.IN_PROGRESS}:
        raise NotActionable(
            f"Request {request.reference} is {request.get_status_display()}. Make a new one if there is more to say."
        )
