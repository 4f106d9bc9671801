"""The bytes of packets end: after delivery, after their disclosure ended or got another, or with the account (P12).

Never while an active hold covers the account, whoever asks. First the content goes, then the packet is marked, and in a
later transaction its key: what backups hold of it is noise then. Hash and manifest stay.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import structlog
from django.db import Error, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.models import Account, State
from accounts.safeguards import ledger, shredding
from disclosures.models import Packet, Stage
from disclosures.models.disclosures import PACKET_KEY
from retention import schedule
from retention.models import Hold
from retention.refusals import GOVERNED, code_of

log = structlog.get_logger(__name__)

AT_ONCE = 200
ENDED = (Stage.RETURNED, Stage.REFUSED, Stage.EXPIRED, Stage.WITHDRAWN)


def destroy_due(at: dt.datetime | None = None) -> int:
    """Destroy the bytes that are due, each packet in a transaction of its own; return how many."""
    at = at or timezone.now()
    return sum(_destroy(pk, at) for pk in due(at)[:AT_ONCE])


def due(at: dt.datetime) -> list[UUID]:
    """Return the packets whose time is over and that nothing holds, oldest first."""
    before = at - schedule.span("packet")
    newest = Q(disclosure__packet_hash=F("sha256"))
    link_is_over = Q(disclosure__delivery__link_ends_at__lte=at)
    # Who decides on it needs it, and who can still fetch it: with the account what was released goes too.
    waits = newest & (
        Q(disclosure__state__in=[Stage.SUBMITTED, Stage.APPROVED])
        | (Q(disclosure__state=Stage.RELEASED) & ~Q(disclosure__account__state=State.ERASED) & ~link_is_over)
    )
    newer = Packet.objects.filter(disclosure=OuterRef("disclosure"), number__gt=OuterRef("number"))
    over = (
        Q(disclosure__delivered_at__lte=before)
        | Q(disclosure__state=Stage.RELEASED, disclosure__delivery__link_ends_at__lte=before)
        | Q(disclosure__state__in=ENDED, disclosure__ended_at__lte=before)
        | Exists(newer.filter(made_at__lte=before))
        | Q(disclosure__account__state=State.ERASED)
    )
    # Held ones are left out here, so that many of them keep no other back; the lock asks again.
    held = Hold.objects.active(at).filter(account=OuterRef("account_id"))
    found = Packet.objects.filter(over, ~Exists(held), destroyed_at=None).exclude(waits)
    return list(found.order_by("made_at", "pk").values_list("pk", flat=True))


def _destroy(packet_id: UUID, at: dt.datetime) -> int:
    try:
        with transaction.atomic(durable=True):
            packet = Packet.objects.get(pk=packet_id)
            if packet.account_id is not None:
                list(Account.objects.locked([packet.account_id]))
                if Hold.objects.active(at).filter(account=packet.account_id).exists():
                    return 0
            packet.parts.filter(content__isnull=False).update(content=None)
            if not Packet.objects.filter(pk=packet.pk, destroyed_at=None).update(destroyed_at=at):
                return 0
            shredding.order({packet.pk: [PACKET_KEY]})
            ledger.record(ledger.SYSTEM, "packet.destroyed", packet.disclosure_id, at=at, packet=packet.sha256)
    except Error as error:
        if code_of(error) != GOVERNED:
            log.warning("packet not destroyed", packet=str(packet_id), error=type(error).__name__)
        return 0
    return 1
