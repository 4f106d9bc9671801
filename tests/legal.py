"""What the law and consent bring into a test, by rows alone: recipients, requests, notices, silence, consents.

The acts have tests of their own; whoever tests what comes after a verified request begins here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Correspondence, User
from disclosures.models import (
    ConsentGrant,
    Instrument,
    LegalDocument,
    LegalNotice,
    LegalRequest,
    NoticeChallenge,
    NoticeCopy,
    Recipient,
    Silence,
    Sought,
)

DAY = dt.timedelta(days=1)
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def make_recipient(kind: str = "authority", **given: Any) -> Recipient:
    """Return a registered recipient: "authority" and "court" are government bodies, "partner" has a contract."""
    facts: dict[str, Any] = {
        "name": f"The {kind} of Testville",
        "jurisdiction": "US-IL",
        "email": f"desk@{kind}.example",
        "contract": "C-1" if kind == "partner" else "",
        "verified_how": "directory of the state",
        "registered_by": uuid4(),
        "registered_at": timezone.now(),
    }
    with keyring():
        return Recipient.objects.create(kind=kind, **(facts | given))


def make_request(
    *accounts: Account, instrument: str = Instrument.GRAND_JURY_SUBPOENA, verified: bool = True, **given: Any
) -> LegalRequest:
    """Return a legal request that seeks `accounts`, verified unless told otherwise, for all that can be asked."""
    now = timezone.now()
    kind = "party" if instrument in {Instrument.CIVIL_SUBPOENA, Instrument.SUBPOENA_512H} else "authority"
    facts: dict[str, Any] = {
        "submission": uuid4(),
        "instrument": instrument,
        "is_governmental": kind == "authority",
        "authority": "The authority of Testville",
        "jurisdiction": "US-IL",
        "served_how": LegalRequest.Served.MAIL,
        "served_at": now - DAY,
        "received_by": uuid4(),
        "received_at": now,
        "due_at": now + 20 * DAY,
        "categories": ["identity", "contact", "billing", "services", "network", "access"],
    }
    with keyring():
        facts = {"recipient": given.pop("recipient", None) or make_recipient(kind)} | facts | given
        request = LegalRequest.objects.create(**facts)
        for account in accounts:
            seek(request, account)
        if verified:
            LegalRequest.objects.filter(pk=request.pk).update(verified_at=now, verified_by=uuid4())
            request.refresh_from_db()
    return request


def seek(request: LegalRequest, account: Account) -> Sought:
    """Let a request seek an account by its number."""
    with keyring():
        return Sought.objects.create(
            request=request,
            kind=Sought.Kind.ACCOUNT,
            value=account.number,
            found=Sought.Found.ONE,
            account=account,
            decided_by="system",
            decided_at=timezone.now(),
        )


def attach(request: LegalRequest, content: bytes = PDF, **given: Any) -> LegalDocument:
    """Attach a document to a request as it would lie there after it was looked at."""
    facts: dict[str, Any] = {
        "name": "order.pdf",
        "media_type": "application/pdf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "state": LegalDocument.State.CLEAN,
        "content": content,
        "added_by": uuid4(),
        "added_at": timezone.now(),
    }
    with keyring():
        return LegalDocument.objects.create(request=request, **(facts | given))


def owe_notice(request: LegalRequest, account: Account) -> LegalNotice:
    """Let the customer of `account` be owed a notice of the request."""
    return LegalNotice.objects.create(request=request, account=account, owed_since=timezone.now())


def tell(request: LegalRequest, account: Account, *, waited: bool = True) -> LegalNotice:
    """Return the sent notice of the request to the account; `waited`: nothing has to be waited for any more."""
    notice = LegalNotice.objects.filter(request=request, account=account).first() or owe_notice(request, account)
    notice.sent_at = timezone.now()
    # Days cannot be made to pass: the database knows the hour. A shorter time with its reason is over at once.
    notice.release_from = notice.sent_at + (dt.timedelta() if waited else 7 * DAY)
    with keyring():
        notice.shortened_reason = "due sooner" if waited else None
        notice.letter = letter(account, f"legal-notice:{notice.pk}").pk
        notice.save()
    return notice


def letter(account: Account, event: str) -> Correspondence:
    """Store the letter that a notice is sent by; needs a keyring."""
    now = timezone.now()
    return Correspondence.objects.create(
        account=account,
        event=event,
        subject="A legal request about your account",
        body="A legal request asks us for data of your account.",
        created_at=now,
        sent_at=now,
    )


def silence(request: LegalRequest, **given: Any) -> Silence:
    """Return an order of silence about the request that stands for a year."""
    now = timezone.now()
    facts: dict[str, Any] = {
        "ground": Silence.Ground.ORDER_2705,
        "starts_at": now - DAY,
        "ends_at": now + 365 * DAY,
        "recorded_by": uuid4(),
        "recorded_at": now,
    }
    document = given.pop("document", None) or attach(request)
    with keyring():
        return Silence.objects.create(request=request, document=document, **(facts | given))


def consent(account: Account, recipient: Recipient | None = None, **given: Any) -> ConsentGrant:
    """Return a live consent: to share the contact with `recipient`, or to marketing without one."""
    now = timezone.now()
    text = "You agree to what stands here."
    facts: dict[str, Any] = {
        "submission": uuid7(),
        "purpose": "sharing" if recipient else "marketing",
        "recipient": recipient,
        "categories": ["contact"],
        "text_version": "2026-11-01",
        "text_hash": hashlib.sha256(text.encode()).digest(),
        "text": text,
        "channel": "portal",
        "given_by": "user:test",
        "ip": "203.0.113.77",
        "given_at": now,
        "expires_at": now + 365 * DAY,
    }
    with keyring():
        return ConsentGrant.objects.create(account=account, **(facts | given))


def notice_rows(user: User, at: dt.datetime) -> None:
    """Give the user's account a copy that came with a notice, and a challenge that ended."""
    request = make_request(user.account)
    notice = tell(request, user.account)
    own: dict[str, Any] = {"account_id": user.account_id, "notice": notice.pk, "made_at": at}
    content = f"A copy for {user.account_id}".encode()
    with keyring():
        NoticeCopy.objects.create(
            **own,
            name=f"copy-{user.pk.hex[-6:]}.txt",
            media_type="text/plain",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            content=content,
        )
        challenge = NoticeChallenge.objects.create(**own, text=f"I object, {user.pk}", made_by=user.pk)
        end_challenge(challenge.pk, NoticeChallenge.Ending.GIVEN_UP)


def end_challenge(challenge: UUID, how: str) -> None:
    """End a challenge of a notice."""
    NoticeChallenge.objects.filter(pk=challenge).update(ended_at=timezone.now(), ended_by=uuid4(), ended_how=how)
