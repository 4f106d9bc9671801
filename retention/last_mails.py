"""The last mail of a deletion: its address is read and its text sealed in the transaction that deletes them.

It is withheld until everything is verified gone, and kept under a key of its own that goes when it was sent.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from uuid import UUID

import structlog
from django.utils import timezone

from accounts import mailing
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Contact
from accounts.safeguards.models import OutboxMessage
from accounts.safeguards.sealing import DoesNotOpen
from retention import letters, verifying
from retention.deleting import Counts
from retention.models import DeletionRequest, Erasure, Stage

log = structlog.get_logger(__name__)


def last_addresses(account_ids: list[UUID]) -> dict[UUID, str]:
    """Return the owners' addresses of accounts whose contact data goes now."""
    if not account_ids:
        return {}
    addresses = {}
    for contact in Contact.objects.owners(account_ids):
        try:
            addresses[contact.account_id] = contact.email
        except (DoesNotOpen, KeyDestroyed):
            # One address that nobody can read must not stop the erasure of everybody.
            log.error("address does not open", account=str(contact.account_id))
    return addresses


def post_done_mails(addresses: dict[UUID, str], counts: Counts) -> None:
    """Seal the last mail under a key of its own, in the transaction that deletes; it goes once all is verified."""
    if not addresses:
        return
    rows, kept = _gone_and_kept(list(addresses), counts)
    messages = []
    for request in DeletionRequest.objects.open().filter(account_id__in=addresses):
        context = letters.done(request, rows[request.account_id], kept[request.account_id])
        subject, body = mailing.render("retention/mail/done.txt", context)
        messages.append(
            OutboxMessage(
                kind="mail",
                event=verifying.done_event(request.pk),
                subject=request.account_id,
                content={"to": addresses[request.account_id], "subject": subject, "body": body},
                created_at=timezone.now(),
                due_at=None,
            )
        )
    with keyring() as ring_of_keys:
        # Each mail's id is new, so that no key of it is asked for first.
        ring_of_keys.make(message.key_place() for message in messages)
        OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True)


def _gone_and_kept(
    account_ids: list[UUID], counts: Counts
) -> tuple[dict[UUID, int], dict[UUID, list[tuple[str, dt.datetime]]]]:
    """Return per account how many rows went, earlier ones included, and what the schedule keeps until when.

    Only rows the customer could see count: what a hold kept past its schedule would tell of that hold (S5, S7).
    """
    rows: dict[UUID, int] = defaultdict(int)
    kept: dict[UUID, list[tuple[str, dt.datetime]]] = defaultdict(list)
    for (account_id, _category, _table), gone in counts.items():
        rows[account_id] += gone.shown
    erasures = Erasure.objects.live().filter(account_id__in=account_ids).order_by("category")
    names = ("account_id", "category", "rows_shown", "kept_for", "state", "due_at")
    for account_id, category, earlier, kept_for, state, due_at in erasures.values_list(*names):
        rows[account_id] += earlier
        if kept_for and state == Stage.DUE:
            kept[account_id].append((category, due_at))
    return rows, kept
