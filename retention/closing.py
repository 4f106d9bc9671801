"""Closing an account: the deletion request, its erasure rows, its ticket and the first mail, in one transaction (P23).

Only the owner may close. Nothing is deleted yet: the grace period runs, the customer can cancel until it ends.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext

from accounts import datamap, mailing
from accounts.errors import NotActionable
from accounts.keys import identifiers
from accounts.keys.keyring import keyring
from accounts.models import Account, Invoice, Service, State, Ticket, TicketMessage, User
from accounts.safeguards import ledger
from accounts.sessions import end_sessions
from retention import letters, schedule
from retention.models import DeletionRequest, Erasure


@dataclass(frozen=True)
class Closed:
    """The request, and the status code in clear: known only here and in the mail; "" when it was made before."""

    request: DeletionRequest
    code: str


def close(
    account_id: UUID,
    *,
    by: User,
    submission: UUID,
    keep_session: str | None = None,
    at: dt.datetime | None = None,
) -> Closed:
    """Close the account and return the request; a repeated `submission` returns the first one.

    Raises PermissionDenied for anybody but the owner, NotActionable when the account is not active.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        if by.account_id != account.pk or not by.is_owner:
            raise PermissionDenied("Only the owner of an account can close it.")
        made = DeletionRequest.objects.filter(submission=submission, account=account).first()
        if made is not None:
            return Closed(made, "")
        if account.state != State.ACTIVE:
            raise NotActionable(f"Account {account.number} is {account.state}; only an active one can be closed.")
        counts = datamap.counts([account.pk], schedule.cutoffs(at))
        _close_row(account, at)
        _plan_erasures(account, at + schedule.span("grace"))
        _stop_services(account, at, at + schedule.span("grace"))
        request, code = _request(account, by, submission, counts, at)
        end_sessions(account=account.pk, keep=keep_session)
        ledger.record(by.actor, "deletion.requested", account.pk, at=at, request=request.pk, due_at=request.due_at)
        context = letters.received(request, code)
        mailing.mail(account, f"deletion:{request.pk}:received", "retention/mail/received.txt", context, at=at)
    return Closed(request, code)


def code_digest(code: str) -> bytes:
    """Return the hash under which a status code is stored; blanks, dashes and case do not matter."""
    return hashlib.sha256("".join(code.split()).replace("-", "").upper().encode()).digest()


def _close_row(account: Account, at: dt.datetime) -> None:
    account.state, account.closed_at, account.due_at = State.CLOSED, at, at + schedule.span("grace")
    account.save(update_fields=["state", "closed_at", "due_at"])


def _plan_erasures(account: Account, due_at: dt.datetime) -> None:
    newest = Invoice.objects.filter(account=account).aggregate(newest=Max("issued_at"))["newest"]
    rows = []
    for category in datamap.categories():
        until = schedule.kept_until(category, newest, due_at)
        kept_for = schedule.RULES[category].keeps if until > due_at else ""
        rows.append(Erasure(account=account, category=category, due_at=until, kept_for=kept_for))
    Erasure.objects.bulk_create(rows)


def _stop_services(account: Account, at: dt.datetime, due_at: dt.datetime) -> None:
    services = list(Service.objects.running(at).filter(account=account))
    for service in services:
        Service.objects.filter(pk=service.pk).update(closing_stops_at=service.stop_on_close(at, due_at))


def _request(
    account: Account, by: User, submission: UUID, counts: dict[str, int], at: dt.datetime
) -> tuple[DeletionRequest, str]:
    code = identifiers.code()
    ticket = Ticket.objects.create(
        account=account, kind=Ticket.Kind.DELETION, subject=gettext("Deletion of the account"), created_at=at
    )
    TicketMessage.objects.create(
        account=account,
        ticket=ticket,
        author=by.pk,
        body=gettext("Delete my account and the services under it."),
        created_at=at,
    )
    request = DeletionRequest.objects.create(
        account=account,
        user=by.pk,
        ticket=ticket.pk,
        submission=submission,
        code_digest=code_digest(code),
        requested_at=at,
        due_at=at + schedule.span("grace"),
        counts=counts,
    )
    return request, code
