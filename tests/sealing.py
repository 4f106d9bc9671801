"""A legal matter nobody may be told of, with everything it leaves behind: a request, its papers, what left on it."""

from __future__ import annotations

from datetime import timedelta

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, User
from disclosures import (
    answering,
    approving,
    checking,
    compelling,
    delivering,
    incidents,
    informing,
    legal_reminding,
    preparing,
    receiving,
    releasing,
    silencing,
)
from disclosures.models import Disclosure, Instrument, LegalRequest, Recipient
from disclosures.preparing import Choice, Ground
from tests import files, legal

DAY = timedelta(days=1)


def serve(account: Account, lena: User, **given: object) -> LegalRequest:
    """Receive a court's order about an account under silence, check and verify it; nobody is told."""
    court = legal.make_recipient("court")
    facts: dict[str, object] = {
        "submission": uuid7(),
        "instrument": Instrument.COURT_ORDER,
        "is_governmental": True,
        "authority": "The court of sealed matter 4711",
        "jurisdiction": "US-IL",
        "served_how": LegalRequest.Served.MAIL,
        "served_at": timezone.now() - DAY,
        "due_at": timezone.now() + 20 * DAY,
        "categories": ("identity", "contact", "access", "business"),
        "recipient_id": court.pk,
        "sender": "desk@c0urt.example",
        "persons": (receiving.Person("account", account.number), receiving.Person("domain", "sealed4711.example")),
        "files": (SimpleUploadedFile("sealed-order-4711.pdf", files.pdf()),),
    }
    request = receiving.receive(by=lena, **(facts | given))  # type: ignore[arg-type]
    document = request.documents.get()
    now = timezone.now()
    silencing.order(
        request.pk, "order_2705", by=lena, starts_at=now, ends_at=now + 300 * DAY, document=document.pk, note="4711"
    )
    receiving.note(request.pk, by=lena, text="Sealed word 4711.")
    sought = request.sought.exclude(account=account).get()
    receiving.decide_sought(sought.pk, by=lena)
    with keyring():
        on_file = str(Recipient.objects.get(pk=court.pk).email)
    for item in checking.needed(request):
        checking.check(request.pk, by=lena, item=item, is_met=True, confirmed_at=on_file)
    checking.verify(request.pk, by=lena)
    answering.draft(request.pk, by=lena, kind="receipt")
    return request


def prepare(request: LegalRequest, account: Account, lena: User, *categories: str) -> Disclosure:
    """Prepare a disclosure on the request."""
    assert request.recipient_id is not None
    ground, choice = Ground("legal_request", legal_request=request.pk), Choice(categories or ("identity",))
    facts = {"recipient": request.recipient_id, "purpose": "as ordered 4711"}
    return preparing.make(account.pk, ground, choice, by=lena, submission=uuid7(), **facts)  # type: ignore[arg-type]


def approve(disclosure: Disclosure, paul: User) -> None:
    disclosure.refresh_from_db()
    facts = {"packet_hash": disclosure.packet_hash, "reference": disclosure.reference, "factor_at": timezone.now()}
    approving.approve(disclosure.pk, by=paul, note="scope 4711", **facts)  # type: ignore[arg-type]


def seal_matter(account: Account, lena: User, paul: User) -> LegalRequest:
    """Bring about all of it: holds, papers, reminders, and disclosures in each state, one delivered, one a mistake."""
    request = serve(account, lena)
    compulsion = compelling.record(request.pk, account.pk, "business", reason="Page 4711.", by=lena)
    compelling.confirm(compulsion.pk, by=paul)
    prepare(request, account, lena)
    submitted, approved, mistaken, delivered = (prepare(request, account, lena) for _ in range(4))
    for made in (submitted, approved, mistaken, delivered):
        preparing.submit(made.pk, by=lena)
    for made in (approved, mistaken, delivered):
        approve(made, paul)
    for made in (mistaken, delivered):
        releasing.release(made.pk, by=lena)
    delivering.send(mistaken.pk, by=lena, method="passphrase")
    incidents.record(mistaken.pk, what="Matter 4711 went astray.", by=lena)
    delivering.hand_over(delivered.pk, by=lena, to="The clerk of 4711")
    legal_reminding.remind(timezone.now() + 15 * DAY)
    assert informing.send_due() == 0, "silence stands"
    return request
