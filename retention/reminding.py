"""The mails of a deletion that run by the clock: due in 7 and 1 days, not finished (silence.md, S4, S6).

What is sent depends on the due date and on finished or not finished alone, never on a hold. Before the due date all
owners are told. From then on the owner contact alone is, for everybody: sign-in names go at the due date, contact
data stays until the rest is gone, and whether it waits must not show in who gets a mail.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import transaction
from django.utils import timezone

from accounts import mailing, owners
from accounts.keys.keyring import keyring
from accounts.models import Account
from accounts.safeguards.models import OutboxMessage
from retention import letters, schedule
from retention.models import DeletionRequest

log = structlog.get_logger(__name__)

REMIND_DAYS = (7, 1)


def remind(at: dt.datetime | None = None) -> int:
    """Post the mails that are due; each is one event, so a repeat posts nothing. Return how many were posted.

    What fails for one request is logged and tried again at the next round; nobody else's mail waits for it.
    """
    at = at or timezone.now()
    return sum(_remind_of(request, at) for request in DeletionRequest.objects.open().select_related("account"))


def _remind_of(request: DeletionRequest, at: dt.datetime) -> int:
    try:
        template, event, context = _due_mail(request, at)
        if not template or OutboxMessage.objects.filter(event=event).exists():
            return 0
        return _post(request, template, event, context, at)
    except Exception as error:  # noqa: BLE001 - an address that does not open, a row that stays locked: one customer's
        log.warning("mail of a deletion not posted", request=str(request.pk), error=type(error).__name__)
        return 0


def _due_mail(request: DeletionRequest, at: dt.datetime) -> tuple[str, str, letters.Context]:
    """Return (template, event, context) of the latest mail that is due, or an empty template."""
    if at >= request.due_at:
        late = at - request.due_at - schedule.span("not_finished")
        if late < dt.timedelta(0):
            return "", "", {}
        # The rhythm counts from the first mail on, which comes soon after the due date.
        number = int(late / schedule.span("review"))
        event = f"deletion:{request.pk}:not-finished:{number}"
        return "retention/mail/not_finished.txt", event, letters.not_finished(request)
    for days in sorted(REMIND_DAYS):
        ahead = dt.timedelta(days=days)
        # A grace that is not that long has no such reminder.
        if schedule.span("grace") > ahead and request.due_at - at <= ahead:
            # What is left is said as it is: a mail that comes late must not promise the full time.
            left = -(-(request.due_at - at) // dt.timedelta(days=1))
            event = f"deletion:{request.pk}:due:{days}"
            return "retention/mail/due_soon.txt", event, letters.due_soon(request, left)
    return "", "", {}


def _post(request: DeletionRequest, template: str, event: str, context: letters.Context, at: dt.datetime) -> int:
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([request.account_id]).get()
        request.refresh_from_db()
        if request.cancelled_at is not None or request.finished_at is not None:
            return 0
        if at < request.due_at:
            return owners.tell(account, event, template, context, at=at)
        return int(mailing.mail(account, event, template, context, at=at, store=False) is not None)
