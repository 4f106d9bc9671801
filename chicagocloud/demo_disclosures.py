"""What concerns others in the demo company: a partner with a consent, a legal request, a copyright notice; all told."""

from __future__ import annotations

import datetime as dt

from accounts.keys.identifiers import uuid7
from accounts.models import User
from disclosures import (
    checking,
    concluding,
    consenting,
    informing,
    judging,
    notifying,
    preparing,
    receiving,
    registering,
    reporting,
)
from disclosures.models import (
    AbuseNotice,
    Basis,
    CaseOutcome,
    Finding,
    Instrument,
    LegalNotice,
    LegalRequest,
    Recipient,
)
from disclosures.preparing import Choice, Ground
from disclosures.reports.shape import Declaration, Format, Hint, Item, Kind, Mail, Party, Report, Source

DAY = dt.timedelta(days=1)
HOW = "Demo: called back at the number of the public directory"


def agree(user: User, legal: User) -> None:
    """Let a customer agree to share contact details with a partner, and prepare what waits for another person."""
    account = user.account
    assert account is not None  # noqa: S101 - a customer
    entry = registering.Entry("Prairie Backups", "US-IL", "privacy@prairie.example", HOW, contract="DPA-2026-4")
    partner = registering.register(Recipient.Kind.PARTNER, entry, by=legal)
    agreement = consenting.Agreement("sharing", ("contact",), partner.pk)
    grant = consenting.give(account.pk, agreement, by=user, submission=uuid7())
    made = preparing.make(
        account.pk,
        Ground(Basis.CONSENT, consent=grant.pk),
        Choice(("contact",)),
        recipient=partner.pk,
        purpose="Demo: they set up the backup that the customer ordered there",
        by=legal,
        submission=uuid7(),
    )
    preparing.submit(made.pk, by=legal)


def serve(user: User, legal: User, now: dt.datetime) -> LegalRequest:
    """Let a grand jury ask for a customer, and tell the customer of it."""
    account = user.account
    assert account is not None  # noqa: S101 - a customer
    email = "records@clerk.example"
    court = registering.register(
        Recipient.Kind.AUTHORITY, registering.Entry("Grand jury of the Northern District", "US", email, HOW), by=legal
    )
    request = receiving.receive(
        by=legal,
        submission=uuid7(),
        instrument=Instrument.GRAND_JURY_SUBPOENA,
        is_governmental=True,
        authority="Grand jury of the Northern District",
        jurisdiction="US",
        served_how=LegalRequest.Served.MAIL,
        served_at=now - DAY,
        due_at=now + 20 * DAY,
        categories=("identity", "contact", "access"),
        recipient_id=court.pk,
        persons=(receiving.Person("account", account.number),),
    )
    for item in checking.needed(request):
        checking.check(request.pk, by=legal, item=item, is_met=True, confirmed_at=email, note=HOW)
    checking.verify(request.pk, by=legal)
    informing.send(LegalNotice.objects.get(request=request).pk, by=legal)
    return request


def report(user: User, desk: User, *, is_withdrawn: bool) -> AbuseNotice:
    """Let somebody send a copyright notice about a customer, who is told; `is_withdrawn` when it was a mistake."""
    account = user.account
    assert account is not None  # noqa: S101 - a customer
    who = Party(organisation="Lakeshore Films", contact="Robin Reyes", email="rights@lakeshore-films.example")
    places = ("https://www.demo.example/films/harbor.mp4", "https://www.demo.example/films/poster.jpg")
    text = "These two files copy our film Harbor Lights. We did not allow it."
    notice = Report(
        Format.FREE_TEXT,
        Kind.COPYRIGHT,
        notice_type="DMCA",
        mail=Mail(sent_from=who, is_automatic=True),
        reporter=who,
        sender=who,
        sources=(Source(urls=places, hints=(Hint("account_number", account.number),)),),
        items=tuple(Item(title="Harbor Lights", url=place) for place in places),
        declarations=(Declaration("signature", "Robin Reyes"),),
        text=text,
        content_hash=account.number,
    )
    [taken] = reporting.take_in(text.encode(), channel="form", report=notice)
    for item in Finding:
        judging.find(taken.case.pk, item, by=desk, is_met=True, note="Demo: looked at")
    claim = notifying.Claim("Two files copy the film Harbor Lights.", places, str(who.organisation), text)
    told = notifying.notify(taken.case.pk, claim, by=desk)
    if is_withdrawn:
        concluding.close(taken.case.pk, CaseOutcome.WITHDRAWN, by=desk, reason="Demo: they wrote that it was a mistake")
    return told
