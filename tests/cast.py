"""The cast: customers and staff members, brought into a state by the same verbs the portal uses.

`make_customer("alice")` and `make_staff("rita", "legal")` register them; `furnish(user)` gives an account
rows in every governed table, with nothing in them that stops an erasure; `owe` and `bind` add what does.
The fixtures at the end are the usual people. Every personal value carries the person's own name: a search
for it in dumps finds whatever was left.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.internal.flows.login import record_authentication
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone

from accounts import paying, recording, supporting
from accounts.datamap import Purpose
from accounts.keys.identifiers import account_number, reference, uuid7
from accounts.keys.keyring import keyring
from accounts.models import (
    Acceptance,
    AccessEvent,
    AccountToken,
    Address,
    Attachment,
    BillingProfile,
    BusinessItem,
    ConfidentialItem,
    Contact,
    Correspondence,
    Device,
    EmailChange,
    Export,
    ExportPart,
    Invitation,
    Invoice,
    InvoiceLine,
    IpAssignment,
    MediaType,
    Order,
    OrderLine,
    OrderSignals,
    PageVisit,
    PaymentMethod,
    Restriction,
    Service,
    Suspension,
    Ticket,
    TicketNote,
    User,
)
from accounts.registering import PostalAddress, register, register_staff
from accounts.sessions import SessionStore
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    AbuseNoticeItem,
    CaseFile,
    CaseFinding,
    CaseKind,
    ConsentGrant,
    CounterNotice,
    Finding,
    NoticeFile,
    Severity,
    Strike,
)
from retention import asking, requesting
from retention.models import PrivacyRequest
from tests.legal import consent, notice_rows

PASSWORD = "correct horse battery staple"
DAY = dt.timedelta(days=1)


def make_customer(name: str = "alice", **given: Any) -> User:
    """Return the owner of a new account: named "<Name> Canary", with the e-mail <name>@<name>.example."""
    facts: dict[str, Any] = {
        "name": f"{name.title()} Canary",
        "email": f"{name}@{name}.example",
        "password": PASSWORD,
        "username": name,
        "company": f"{name.title()} Hosting Ltd",
        "phone": phone_of(name),
        "address": PostalAddress(
            f"7 {name.title()} Street", f"{name.title()}ville", "US", postcode="60601", region="IL"
        ),
        "number": account_number(),
    }
    return register(**{**facts, **given})


def make_staff(name: str = "rita", *roles: str) -> User:
    """Return a staff member with these roles; their groups are made by the migration."""
    return register_staff(name, f"{name.title()} Staffer", f"{name}@staff.example", PASSWORD, roles)


def phone_of(name: str) -> str:
    """Return a telephone number that is the same for the same name and looks like no card number."""
    return "+1 312 " + str(5_550_000 + sum(ord(letter) for letter in name))


def furnish(user: User, at: dt.datetime | None = None) -> User:
    """Give the user's account rows in every governed table; everything is paid, no term runs."""
    at = at or timezone.now()
    with keyring():
        sign_in_from(user, at=at)
        open_session(user)
        add_billing_contact(user, at)
        PaymentMethod.objects.create(
            account_id=user.account_id,
            provider="trial",
            token=f"tok_{name_of(user)}",
            brand="Visa",
            last_four="4242",
            expiry="04/2031",
            created_at=at,
        )
        service = run_service(user, at=at)
        paying.pay(make_invoice(user, service=service, at=at).pk, by=user, at=at)
        supporting.open_ticket(
            user.account,
            by=user,
            subject=f"{name_of(user)} asks",
            body=f"A question by {name_of(user)}",
            at=at,
        )
        add_the_rest(user, service, at)
        Correspondence.objects.create(
            account_id=user.account_id,
            event=f"welcome:{uuid4()}",
            subject="Your account",
            body=f"Dear {name_of(user)}, your account is open.",
            created_at=at,
            sent_at=at,
        )
    return user


def add_the_rest(user: User, service: Service, at: dt.datetime) -> None:
    """Give the account a row in the tables whose acts need more than a customer: an order, an address, a file."""
    own: dict[str, Any] = {"account_id": user.account_id}
    if not BillingProfile.objects.filter(**own).exists():
        facts = {"tax_number": f"TAX {name_of(user)}", "referred_by": name_of(user)}
        BillingProfile.objects.create(**own, **facts, created_at=at)
    EmailChange.objects.create(
        **own,
        user=user.pk,
        old_email=f"old@{user.pk.hex[-6:]}.example",
        new_email=f"new@{user.pk.hex[-6:]}.example",
        old_digest=secrets.token_bytes(32),
        new_digest=secrets.token_bytes(32),
        asked_by=user.pk,
        asked_at=at,
        ends_at=at + DAY,
        withdrawn_at=at,
    )
    Invitation.objects.create(
        **own,
        email=f"friend@{user.pk.hex[-6:]}.example",
        email_digest=secrets.token_bytes(32),
        role="technical",
        token_digest=secrets.token_bytes(32),
        invited_by=user.pk,
        created_at=at,
        expires_at=at + DAY,
    )
    AccountToken.objects.create(
        **own,
        user=user.pk,
        name=f"{name_of(user)} script",
        digest=secrets.token_bytes(32),
        created_at=at,
        expires_at=at + 90 * DAY,
    )
    Device.objects.create(
        **own,
        user=user.pk,
        digest=secrets.token_bytes(32),
        label=f"{name_of(user)} browser",
        first_seen_at=at,
        last_seen_at=at,
    )
    give_address(service, at=at)
    order = Order.objects.create(
        **own,
        state=Order.State.ACCEPTED,
        total_cents=1290,
        score=0,
        placed_at=at,
        decided_at=at,
        decided_by="system",
    )
    OrderLine.objects.create(
        **own, order=order, plan="web-2", text=f"Web for {name_of(user)}", unit_cents=1290, placed_at=at
    )
    OrderSignals.objects.create(**own, order=order, ip="203.0.113.77", user_agent="Canary/1.0", noted_at=at)
    Suspension.objects.create(
        **own,
        service=service.pk,
        ground=Suspension.Ground.BILLING,
        placed_at=at,
        placed_by="system",
        lifted_at=at,
        lifted_by="system",
    )
    ticket = Ticket.objects.filter(**own).order_by("created_at").first()
    assert ticket is not None
    message = ticket.messages.order_by("created_at").first()
    assert message is not None
    TicketNote.objects.create(**own, ticket=ticket, author=user.pk, body=f"A note about {name_of(user)}", created_at=at)
    content = f"A file of {name_of(user)}".encode()
    Attachment.objects.create(
        **own,
        ticket=ticket,
        message=message,
        name=f"{name_of(user)}.txt",
        media_type=MediaType.TEXT,
        size=len(content),
        content=content,
        created_at=at,
    )
    given = {"title": f"Plans of {name_of(user)}", "text": f"What {name_of(user)} plans", "created_at": at}
    BusinessItem.objects.create(**own, **given, source=BusinessItem.Source.CUSTOMER)
    ConfidentialItem.objects.create(**own, **given, source=ConfidentialItem.Source.CUSTOMER)
    PageVisit.objects.create(**own, page="overview", network="203.0.113.0/24", at=at)
    Acceptance.objects.create(
        **own,
        user=user.pk,
        document=Acceptance.Document.TERMS,
        version=secrets.token_hex(4),
        text_hash=secrets.token_bytes(32),
        ip="203.0.113.77",
        accepted_at=at,
    )
    Restriction.objects.create(
        **own, purpose=Purpose.LAYOUT, ground=Restriction.Ground.OBJECTION, since=at, lifted_at=at
    )
    export = Export.objects.create(
        **own,
        user=user.pk,
        submission=uuid7(),
        categories=["identity"],
        formats=["json"],
        state=Export.State.ENDED,
        asked_at=at,
    )
    ExportPart.objects.create(**own, export=export, number=0, content=content, created_at=at)
    if not ConsentGrant.objects.filter(**own).exists():
        consent(user.account, ip="203.0.113.77", text=f"{name_of(user)} agrees to get news.", given_at=at)
    notice_rows(user, at)
    abuse_rows(user, service, at)


def abuse_rows(user: User, service: Service, at: dt.datetime) -> None:
    """Give the account a notice of abuse that ended, with a place, the draft of a counter-notice, and a strike."""
    named, own = name_of(user), {"account_id": user.account_id}
    desk = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first() or make_staff("desk")
    case = AbuseCase.objects.create(
        kind=CaseKind.DMCA,
        severity=Severity.NORMAL,
        opened_at=at,
        look_by=at + DAY,
        account_id=user.account_id,
        service=service.pk,
        found=AbuseCase.Found.ONE,
        decided_by="system",
        decided_at=at,
    )
    for item in Finding.values:
        CaseFinding.objects.create(case=case, item=item, is_met=True, found_by=desk.pk, found_at=at)
    notice = AbuseNotice.objects.create(
        **own,
        case=case.pk,
        kind=case.kind,
        service=service.pk,
        claim=f"A claim about {named}",
        reporter=f"Somebody who knows {named}",
        sent_at=at,
    )
    place = AbuseNoticeItem.objects.create(
        **own, notice=notice, number=1, location=f"https://www.example/{named}", told_at=at
    )
    file = {"name": f"{named}.txt", "media_type": "text/plain", "size": 7, "content": b"It goes", "sent_at": at}
    NoticeFile.objects.create(**own, notice=notice, sent_by=user.pk, **file)
    CaseFile.objects.create(case=case, sha256="0" * 64, sent_by=user.actor, **file)
    CounterNotice.objects.create(
        **own,
        notice=notice,
        items=[place.pk],
        reason=CounterNotice.Reason.OWN,
        statement=f"A statement by {named}",
        name=named,
        address=f"7 {named} Street",
        phone=phone_of(named),
        email=f"{user.pk.hex[-6:]}@counter.example",
        drafted_at=at,
        drafted_by=user.pk,
    )
    Strike.objects.create(**own, notice=notice, given_at=at, given_by=desk.pk, ends_at=at + 365 * DAY)
    ended = {"ended_at": at, "ended_by": "system", "ended_how": AbuseNotice.Ended.CLOSED}
    AbuseNotice.objects.filter(pk=notice.pk).update(**ended)


def order_in_review(user: User, at: dt.datetime | None = None) -> Order:
    """Give the account an order that waits for somebody to accept or decline it."""
    at = at or timezone.now()
    own: dict[str, Any] = {"account_id": user.account_id}
    order = Order.objects.create(
        **own,
        state=Order.State.REVIEW,
        total_cents=99_000,
        score=55,
        reasons={"no_browser": 35, "new_account": 20},
        shop_reference=f"shop of {name_of(user)}",
        placed_at=at,
    )
    OrderLine.objects.create(
        **own, order=order, plan="web-9", text=f"Much for {name_of(user)}", unit_cents=99_000, placed_at=at
    )
    OrderSignals.objects.create(
        **own, order=order, ip="203.0.113.78", user_agent="curl/8.1", browser="curl", noted_at=at
    )
    return order


def give_address(service: Service, address: str | None = None, at: dt.datetime | None = None) -> IpAssignment:
    """Assign an address to a service: one of its own documentation range (RFC 3849) when none is named."""
    return IpAssignment.objects.create(
        account_id=service.account_id,
        service=service.pk,
        # Groups without a leading zero: every address is as long as the others.
        address=address
        or "2001:db8:" + ":".join(f"a{group[1:]}" for group in re.findall("....", service.pk.hex[-24:])),
        assigned_at=at or timezone.now(),
    )


def name_of(user: User) -> str:
    """Return the stored name of a user."""
    return str(user.person.name)


def sign_in_from(
    user: User, ip: str = "203.0.113.77", browser: str = "Canary/1.0", at: dt.datetime | None = None
) -> AccessEvent:
    """Note a sign-in of the user from an address and a browser."""
    event = recording.note(user, AccessEvent.Kind.SIGN_IN, ip=ip, browser=browser, at=at)
    assert event is not None
    return event


def open_session(user: User) -> SessionStore:
    """Return a stored session in which the user is signed in."""
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = "accounts.signing_in.IdentifierBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    prove(session, user)
    session.create()
    return session


def prove(session: SessionBase, user: User) -> None:
    """Note in a session what a sign-in leaves there: the password, and of staff the second factor too.

    `test_admin_second_factor.py` compares it with a sign-in that was typed.
    """
    request: Any = HttpRequest()
    request.session = session
    record_authentication(request, user, "password")
    if user.is_staff:
        record_authentication(request, user, "mfa", id=1, type="totp")


def add_billing_contact(user: User, at: dt.datetime | None = None) -> Contact:
    """Give the account a second contact with an address."""
    at = at or timezone.now()
    contact = Contact.objects.create(
        account_id=user.account_id,
        role=Contact.Role.BILLING,
        name=f"{name_of(user)} Accountant",
        email=f"books@{user.pk.hex[-6:]}.example",
        created_at=at,
    )
    Address.objects.create(
        account_id=user.account_id,
        contact=contact,
        street=f"{name_of(user)} Road 1",
        city="Chicago",
        region="IL",
        postcode="60602",
        country="US",
        created_at=at,
    )
    return contact


def run_service(
    user: User,
    *,
    term: dt.timedelta | None = None,
    paid: dt.timedelta = 30 * DAY,
    at: dt.datetime | None = None,
) -> Service:
    """Give the account a service, paid for 30 days; with `term` its minimum term runs that long."""
    at = at or timezone.now()
    return Service.objects.create(
        account_id=user.account_id,
        name=f"www.{user.pk.hex[-8:]}.example",
        plan="web-2",
        monthly_cents=1290,
        started_at=at,
        term_ends_at=at + term if term else None,
        paid_until=at + paid,
    )


def make_invoice(
    user: User, *, cents: int = 1290, service: Service | None = None, at: dt.datetime | None = None
) -> Invoice:
    """Issue an invoice with one line to the account; it is unpaid."""
    at = at or timezone.now()
    invoice = Invoice.objects.create(
        account_id=user.account_id,
        number=reference("INV"),
        total_cents=cents,
        billed_to={"name": name_of(user), "street": f"{name_of(user)} Street"},
        issued_at=at,
        due_at=at + 14 * DAY,
    )
    InvoiceLine.objects.create(
        account_id=user.account_id,
        invoice=invoice,
        service=service.pk if service else None,
        text=f"Hosting for {name_of(user)}",
        unit_cents=cents,
        created_at=at,
    )
    return invoice


def ask_something(user: User, right: str = "rectification", at: dt.datetime | None = None) -> PrivacyRequest:
    """Let the owner of the account make a privacy request."""
    wish = requesting.Wish(right, details=f"What {name_of(user)} wants")
    assert user.account_id is not None
    return requesting.ask(user.account_id, wish, by=user, submission=uuid7(), at=at)


def ask_as_a_stranger(email: str = "stranger@stranger.example", right: str = "rectification") -> PrivacyRequest:
    """Let somebody without a sign-in make a privacy request."""
    person = asking.Person("Stranger Canary", email, {"postcode": "60601"})
    return asking.ask(requesting.Wish(right, details="What a stranger wants"), person, submission=uuid7())


def owe(user: User, at: dt.datetime | None = None) -> Invoice:
    """Leave the account an unpaid invoice: an unsatisfied agreement."""
    return make_invoice(user, at=at)


def bind(user: User, at: dt.datetime | None = None) -> Service:
    """Bind the account by a minimum term of a year: an unsatisfied agreement."""
    return run_service(user, term=365 * DAY, at=at)


@pytest.fixture
def alice() -> User:
    """A customer whose account nothing holds."""
    return make_customer("alice")


@pytest.fixture
def bob() -> User:
    """Another customer."""
    return make_customer("bob")


@pytest.fixture
def charlie() -> User:
    """A third customer, furnished in every governed table."""
    return furnish(make_customer("charlie"))


@pytest.fixture
def rita() -> User:
    """A staff member of the legal role."""
    return make_staff("rita", "legal")


@pytest.fixture
def lex() -> User:
    """A second staff member of the legal role, for what takes two people."""
    return make_staff("lex", "legal")


@pytest.fixture
def sam() -> User:
    """A staff member of the support role."""
    return make_staff("sam", "support")
