"""Closing an account: the deletion request, its erasure rows, its ticket and the first mail, in one transaction (P23).

Only an owner may close; all owners are told, and any of them can cancel. Nothing is deleted yet: the grace period runs
until the due date. It begins later where a password or address was changed a short time before (`waiting`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext

from accounts import datamap, mailing, members, owners
from accounts.errors import USED_FORM, NotActionable
from accounts.keys import identifiers
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, Invoice, Service, State, Ticket, TicketMessage, User
from accounts.safeguards import ledger
from accounts.sessions import end_sessions
from retention import letters, schedule, waiting
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

    Raises PermissionDenied for anybody but an owner, NotActionable when the account is not active.
    """
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        members.refuse_unless(by, account, Part.DELETION)
        made = DeletionRequest.objects.filter(submission=submission).first()
        if made is not None and made.account_id == account.pk:
            return Closed(made, "")
        if made is not None:
            raise NotActionable(USED_FORM)
        if account.state != State.ACTIVE:
            raise NotActionable(f"Account {account.number} is {account.state}; only an active one can be closed.")
        counts = datamap.counts([account.pk], schedule.cutoffs(at))
        begins_at = waiting.begins_at(account.pk, at)
        due_at = begins_at + schedule.span("grace")
        shut([account], at, begins_at)
        request, code = _request(account, by, submission, counts, at, due_at)
        end_sessions(account=account.pk, keep=keep_session)
        ledger.record(by.actor, "deletion.requested", account.pk, at=at, request=request.pk, due_at=request.due_at)
        _tell(account, request, code, at)
    return Closed(request, code)


def code_digest(code: str) -> bytes:
    """Return the hash under which a status code is stored; blanks, dashes and case do not matter."""
    return hashlib.sha256("".join(code.split()).replace("-", "").upper().encode()).digest()


def _tell(account: Account, request: DeletionRequest, code: str, at: dt.datetime) -> None:
    """Tell all owners, and the address that was theirs until a short time ago."""
    context = letters.received(request, code)
    owners.tell(account, f"deletion:{request.pk}:received", "retention/mail/received.txt", context, at=at)
    old = waiting.old_address(account.pk, at)
    if old is not None:
        event, template = f"deletion:{request.pk}:old-address", "retention/mail/asked_soon.txt"
        mailing.mail(account, event, template, letters.asked_soon(request), to=old, at=at)


def shut(accounts: Sequence[Account], at: dt.datetime, begins_at: dt.datetime | None = None) -> None:
    """Close these accounts' rows, plan their erasures and stop their services, in the caller's transaction.

    The grace period begins at `begins_at`, or at once. No request, no ticket, no mail: closing adds them, importing
    somebody who left before does not.
    """
    begins_at = begins_at or at
    due_at = begins_at + schedule.span("grace")
    for account in accounts:
        account.state, account.closed_at, account.due_at = State.CLOSED, at, due_at
    ids = [account.pk for account in accounts]
    Account.objects.filter(pk__in=ids).update(state=State.CLOSED, closed_at=at, due_at=due_at)
    _plan_erasures(ids, due_at)
    _stop_services(ids, begins_at, due_at)


def _plan_erasures(ids: list[UUID], due_at: dt.datetime) -> None:
    invoices = Invoice.objects.filter(account__in=ids).order_by().values_list("account")
    newest = dict(invoices.annotate(newest=Max("issued_at")))
    rows = []
    for account_id in ids:
        for category in datamap.categories():
            until = schedule.kept_until(category, newest.get(account_id), due_at)
            kept_for = schedule.RULES[category].keeps if until > due_at else ""
            rows.append(Erasure(account_id=account_id, category=category, due_at=until, kept_for=kept_for))
    Erasure.objects.bulk_create(rows)


def _stop_services(ids: list[UUID], at: dt.datetime, due_at: dt.datetime) -> None:
    """Set when each service stops that still runs when the grace period begins, at `at`."""
    for service in list(Service.objects.running(at).filter(account__in=ids)):
        Service.objects.filter(pk=service.pk).update(closing_stops_at=service.stop_on_close(at, due_at))


def _request(
    account: Account, by: User, submission: UUID, counts: dict[str, int], at: dt.datetime, due_at: dt.datetime
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
        due_at=due_at,
        counts=counts,
    )
    return request, code
