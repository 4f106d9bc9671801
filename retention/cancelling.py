"""Cancelling a deletion: possible until the due date, for everybody alike; sessions and tokens do not come back.

Any owner may, whoever asked for the deletion; all owners are told. An account that an import closed has no request to
cancel: `reopen` opens it again in the same way.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format

from accounts import members, owners
from accounts.errors import NotActionable
from accounts.granting import end_tokens
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, Service, State, Ticket, User
from accounts.safeguards import ledger
from retention import letters
from retention.models import DeletionRequest, Erasure, Stage
from retention.refusals import named


def cancel(request_id: UUID, *, by: User, at: dt.datetime | None = None) -> DeletionRequest:
    """Open the account again; a second call returns the cancelled request.

    Raises PermissionDenied for anybody but an owner, NotActionable after the due date (silence.md, S0).
    """
    request = DeletionRequest.objects.get(pk=request_id)
    with named(request.account_id), keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([request.account_id]).get()
        # The time after the wait for the lock: what is too late by then is too late.
        at = at or timezone.now()
        request.refresh_from_db()
        begun = Erasure.objects.live().filter(account=account).exclude(rows_gone_at=None)
        is_too_late = request.cancelled_at is None and (
            at >= request.due_at or account.state != State.CLOSED or begun.exists()
        )
        if by.account_id != account.pk or not is_too_late:
            members.refuse_unless(by, account, Part.DELETION)
        if request.cancelled_at is not None:
            return request
        # Before who may is asked: once the purge has come, its people sign in no more, and too late is the truth.
        if is_too_late:
            ended = date_format(timezone.localtime(request.due_at), "j F Y, H:i")
            raise NotActionable(f"Deletion {request.reference}: the time to cancel ended on {ended}.")
        _open_again(account, at)
        Ticket.objects.filter(pk=request.ticket, account=account).update(state=Ticket.State.CLOSED)
        DeletionRequest.objects.filter(pk=request.pk).update(cancelled_at=at)
        ledger.record(by.actor, "deletion.cancelled", account.pk, at=at, request=request.pk)
        context = letters.cancelled(request, at)
        owners.tell(account, f"deletion:{request.pk}:cancelled", "retention/mail/cancelled.txt", context, at=at)
    request.refresh_from_db()
    return request


def reopen(account_id: UUID, *, by: User, at: dt.datetime | None = None) -> None:
    """Open an account again that was closed without a request; one that is open stays as it is.

    Raises PermissionDenied for anybody but an owner, NotActionable after the due date or when a request is to cancel.
    """
    with named(account_id), keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        at = at or timezone.now()
        members.refuse_unless(by, account, Part.DELETION)
        if account.state == State.ACTIVE:
            return
        asked = DeletionRequest.objects.open().filter(account=account).first()
        if asked is not None:
            raise NotActionable(f"Account {account.number} is closed by {asked.reference}: cancel that request.")
        if account.state != State.CLOSED or account.due_at is None or at >= account.due_at:
            raise NotActionable(f"Account {account.number}: the time to open it again has ended.")
        due_at = account.due_at
        _open_again(account, at)
        ledger.record(by.actor, "account.reopened", account.pk, at=at)
        event = f"account:{account.pk}:reopened:{due_at:%Y%m%dT%H%M%S}"
        owners.tell(account, event, "retention/mail/reopened.txt", letters.reopened(account, at), at=at)


def _open_again(account: Account, at: dt.datetime) -> None:
    # The account first: an erasure can be cancelled only when its account is open again.
    account.state, account.closed_at, account.due_at = State.ACTIVE, None, None
    account.save(update_fields=["state", "closed_at", "due_at"])
    Erasure.objects.filter(account=account, state=Stage.DUE).update(state=Stage.CANCELLED)
    Service.objects.filter(account=account).exclude(closing_stops_at=None).update(closing_stops_at=None)
    end_tokens(account=account, at=at)
