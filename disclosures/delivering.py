"""How a released packet reaches its recipient: encrypted, by a link that works once, or by hand (P12).

The file is encrypted for the recipient's own key (age), or with a passphrase that is shown to staff once, to be sent
another way. The link stands in the mail only; its hash is stored. It opens by a button, so that no scanner of mails
uses it up, gives the file once, and every opening is noted. What the customer or staff ended after the release gives
no file from then on: they were told so.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import secrets
import zipfile
from dataclasses import dataclass
from uuid import UUID

import pyrage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts import mailing
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger, outbox
from disclosures import judging, lifting, packing
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    Basis,
    CaseOutcome,
    ConsentGrant,
    Delivery,
    Disclosure,
    Incident,
    LegalNotice,
    LegalRequest,
    NoticeChallenge,
    Outcome,
    Packet,
    PacketPart,
    Stage,
)
from disclosures.refusing import in_words, locked, refuse_state, refuse_without
from disclosures.releasing import RELEASE
from retention import schedule

PART = "delivery"
LONGEST_AGENT = 300
# True whatever the reason is, and tells none.
ENDED = "This link gives no file. Ask whoever sent it to you."
STOPPING = (Outcome.QUASHED, Outcome.WITHDRAWN)


@dataclass(frozen=True)
class Sent:
    """The delivery, and the passphrase in clear: known only here; "" where the recipient's own key is used."""

    delivery: Delivery
    passphrase: str


def send(disclosure_id: UUID, *, by: User, method: str, at: dt.datetime | None = None) -> Sent:
    """Encrypt the packet, mail the link to the recipient's address on file, and return the delivery.

    Raises NotActionable for a recipient without a key where one is asked for, for one that was changed or closed since
    the packet was made, and for what was sent already.
    """
    at = at or timezone.now()
    refuse_without(by, RELEASE)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _undelivered(disclosure)
        if has_ended(disclosure, at):
            raise NotActionable(
                f"Disclosure {disclosure.reference}: what it stands on ended or is challenged since its release, or "
                "the release is recorded as a mistake. Nothing was sent."
            )
        packet = _packet(disclosure)
        passphrase = "-".join(secrets.token_hex(3) for _ in range(5)) if method == Delivery.Method.PASSPHRASE else ""
        parts = {**packing.contents(packet), packing.MANIFEST: packing.manifest_of(packet)}
        content = _encrypted(disclosure, parts, passphrase)
        PacketPart.objects.create(
            packet=packet,
            name=PART,
            media_type="application/octet-stream",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            content=content,
        )
        token = secrets.token_urlsafe(32)
        # The address and key on file are those that were approved, or the database refuses.
        with in_words(disclosure):
            delivery = Delivery.objects.create(
                disclosure=disclosure,
                method=method,
                made_by=by.pk,
                made_at=at,
                link_digest=digest_of(token),
                link_ends_at=at + schedule.span("delivery"),
            )
        _mail(disclosure, delivery, token, at)
        ledger.record(by.actor, "disclosure.sent", disclosure.pk, at=at, method=str(method), delivery=delivery.pk)
    return Sent(delivery, passphrase)


def hand_over(disclosure_id: UUID, *, by: User, to: str, at: dt.datetime | None = None) -> Delivery:
    """Record that the packet was handed over, to whom; the disclosure is delivered by that."""
    at = at or timezone.now()
    refuse_without(by, RELEASE)
    if not to.strip():
        raise NotActionable("Say to whom it was handed over.")
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(disclosure_id)
        _undelivered(disclosure)
        _packet(disclosure)
        delivery = Delivery.objects.create(
            disclosure=disclosure, method=Delivery.Method.HAND, made_by=by.pk, made_at=at, handed_to=to
        )
        _delivered(disclosure, at)
        ledger.record(by.actor, "disclosure.handed_over", disclosure.pk, at=at, delivery=delivery.pk)
    return delivery


def find(token: str, at: dt.datetime | None = None) -> Delivery | None:
    """Return the delivery that a link opens now, or None."""
    at = at or timezone.now()
    found = Delivery.objects.select_related("disclosure").filter(link_digest=digest_of(token), opened_at=None).first()
    if found is None or not found.link_ends_at or at >= found.link_ends_at or has_ended(found.disclosure, at):
        return None
    return found


def has_ended(disclosure: Disclosure, at: dt.datetime) -> bool:
    """Return whether a released disclosure gives nothing more: a mistake, no consent any more, a request stopped.

    Nor for a complaint that fell, and the contact not once its customer answered (P17). The database asks the same.
    """
    if Incident.objects.filter(disclosure=disclosure.pk).exists():
        return True
    if disclosure.consent is not None:
        return not ConsentGrant.objects.live(at).filter(pk=disclosure.consent).exists()
    if disclosure.case is not None:
        return _case_ended(disclosure, disclosure.case)
    if disclosure.legal_request_id is None:
        return False
    told = LegalNotice.objects.filter(request=disclosure.legal_request_id, account=disclosure.account_id)
    challenged = NoticeChallenge.objects.filter(Q(ended_at=None) | Q(ended_how=NoticeChallenge.Ending.QUASHED))
    stopped = LegalRequest.objects.filter(pk=disclosure.legal_request_id, outcome__in=STOPPING)
    return challenged.filter(notice__in=told.values("pk")).exists() or stopped.exists()


def _case_ended(disclosure: Disclosure, case_id: UUID) -> bool:
    case = AbuseCase.objects.get(pk=case_id)
    if case.outcome and lifting.ENDS[CaseOutcome(case.outcome)] in lifting.FELL:
        return True
    if not judging.is_valid(case):
        return True
    if disclosure.basis != Basis.ABUSE_CASE:
        return False
    return not AbuseNotice.objects.unheard().filter(account=disclosure.account_id, case=case.pk).exists()


def open_link(token: str, *, ip: str, agent: str, at: dt.datetime | None = None) -> tuple[str, bytes]:
    """Use a link up: return the name and the bytes of the encrypted file, once.

    Raises NotActionable for a link that opens nothing, in the same words whatever the reason.
    """
    at = at or timezone.now()
    found = find(token, at)
    if found is None:
        raise NotActionable(ENDED)
    with keyring(), transaction.atomic(durable=True):
        disclosure = locked(found.disclosure_id)
        delivery = Delivery.objects.select_for_update().get(pk=found.pk)
        if delivery.opened_at is not None or has_ended(disclosure, at):
            raise NotActionable(ENDED)
        part = _packet(disclosure).parts.get(name=PART)
        if part.content is None:
            # The account was deleted meanwhile, and what was not fetched with it.
            raise NotActionable(ENDED)
        content = bytes(part.content)
        delivery.opened_at, delivery.opened_ip, delivery.opened_agent = at, ip, agent[:LONGEST_AGENT] or None
        delivery.save(update_fields=["opened_at", "opened_ip", "opened_agent"])
        _delivered(disclosure, at)
        ledger.record(f"recipient:{disclosure.recipient_id}", "disclosure.opened", disclosure.pk, at=at)
    return f"{disclosure.reference}.zip.age", content


def digest_of(token: str) -> bytes:
    """Return the hash under which a link is stored."""
    return hashlib.sha256(token[:64].encode()).digest()


def _undelivered(disclosure: Disclosure) -> None:
    refuse_state(disclosure, Stage.RELEASED)
    if Delivery.objects.filter(disclosure=disclosure).exists():
        raise NotActionable(
            f"Disclosure {disclosure.reference} was sent already. Make another one if it did not arrive."
        )


def _packet(disclosure: Disclosure) -> Packet:
    return disclosure.packets.get(sha256=disclosure.packet_hash)


def _delivered(disclosure: Disclosure, at: dt.datetime) -> None:
    Disclosure.objects.filter(pk=disclosure.pk, state=Stage.RELEASED).update(state=Stage.DELIVERED, delivered_at=at)


def _encrypted(disclosure: Disclosure, parts: dict[str, bytes], passphrase: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(parts.items()):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    if passphrase:
        made: bytes = pyrage.passphrase.encrypt(written.getvalue(), passphrase)
        return made
    if not disclosure.recipient.age_key:
        raise NotActionable(
            f"Recipient {disclosure.recipient.reference} has no key on file. Use a passphrase, or enter its key."
        )
    key = pyrage.x25519.Recipient.from_str(disclosure.recipient.age_key)
    sealed: bytes = pyrage.encrypt(written.getvalue(), [key])
    return sealed


def _mail(disclosure: Disclosure, delivery: Delivery, token: str, at: dt.datetime) -> None:
    context = {
        "reference": disclosure.reference,
        "page_path": reverse("disclosures:delivery", args=[token]),
        "ends_at": delivery.link_ends_at,
        "by_passphrase": delivery.method == Delivery.Method.PASSPHRASE,
    }
    subject, body = mailing.render("disclosures/mail/delivery.txt", context)
    content = {"to": disclosure.recipient.email, "subject": subject, "body": body}
    outbox.post("mail", f"{outbox.SEALED}delivery:{delivery.pk}", content, subject=disclosure.pk, at=at)
