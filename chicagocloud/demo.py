"""Demo data for a trial: five customers and one member of staff per role, brought about by the portal's own acts.

One customer is free to go, one under a hold they were told of, one under a hold they were not, one has a
payment dispute and one owes money. Whoever signs in already is left as they are, so that a second call
adds nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from django.conf import settings
from django.utils import timezone

from accounts import paying, recording, supporting
from accounts.errors import NotActionable
from accounts.keys.identifiers import reference
from accounts.keys.keyring import keyring
from accounts.models import (
    AccessEvent,
    Account,
    Address,
    Contact,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Service,
    User,
)
from accounts.registering import PostalAddress, register, register_staff
from accounts.roles import Role
from accounts.signing_in import find
from chicagocloud import demo_disclosures, demo_life
from retention import disputing, placing, telling
from retention.models import Hold

DAY = dt.timedelta(days=1)
MONTH = 30 * DAY
DOMAIN = "demo.example"
ENDED = "(sign-in has ended)"
# A technical member of the first customer's account.
MEMBER = "milo"
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
)


@dataclass(frozen=True)
class Entry:
    """One line of the table: who it is, what to sign in with, and the password."""

    who: str
    sign_in: str
    password: str


@dataclass(frozen=True)
class Customer:
    """One demo customer: a user name, a full name, what is special, and the act that makes it so."""

    username: str
    name: str
    who: str
    company: str
    city: str
    months: int
    becomes: Callable[[User, dict[Role, User]], None]


def load() -> list[Entry]:
    """Make whoever is not there yet; return the sign-ins of all. Raises NotActionable outside a trial."""
    _refuse_outside_a_trial()
    with keyring():
        staff = {role: _staff(role) for role in Role}
        for customer in CUSTOMERS:
            if find(customer.username) is None:
                _make(customer, staff)
    return list(_entries())


def kept() -> list[Entry]:
    """Return the sign-ins of all, without making anybody: in place of the password whose sign-in has ended.

    No more is known of them: what could tell an erased account's name from a held one's is erased.
    """
    _refuse_outside_a_trial()
    return [entry if find(entry.sign_in) else replace(entry, password=ENDED) for entry in _entries()]


def password_of(username: str) -> str:
    """Return the password of a demo user: known to everybody, hence for a trial only."""
    return f"demo-{username}-portal"


def _refuse_outside_a_trial() -> None:
    if not settings.TRIAL:
        raise NotActionable(
            "Demo data is for a trial only: its passwords are known to everybody. Set CHICAGOCLOUD_TRIAL=1 "
            "on a machine that holds no real customers."
        )


def _entries() -> Iterator[Entry]:
    for customer in CUSTOMERS:
        yield Entry(customer.who, customer.username, password_of(customer.username))
    yield Entry(f"member, technical, with {CUSTOMERS[0].username}", MEMBER, password_of(MEMBER))
    for role in Role:
        yield Entry(f"staff: {role.label}", staff_name(role), password_of(staff_name(role)))


def staff_name(role: Role) -> str:
    return role.value.replace("_", "-")


def _staff(role: Role) -> User:
    username = staff_name(role)
    known = find(username)
    if known is not None:
        return known
    name = f"{role.label.title()} Demo"
    return register_staff(username, name, f"{username}@staff.{DOMAIN}", password_of(username), [role.value])


def _make(customer: Customer, staff: dict[Role, User]) -> None:
    now = timezone.now()
    since = now - customer.months * MONTH - 3 * DAY
    user = register(
        name=customer.name,
        email=f"{customer.username}@{DOMAIN}",
        password=password_of(customer.username),
        username=customer.username,
        company=customer.company,
        phone="+1 312 555 0142",
        address=PostalAddress("233 South Wacker Drive", customer.city, "US", postcode="60606", region="IL"),
        at=since,
    )
    _add_billing_contact(user, customer, since)
    method = _add_method(user, since)
    services = _add_services(user, customer, since, now)
    for number in range(customer.months):
        _bill(user, customer, services, method, since + (number + 1) * MONTH)
    for number in range(12):
        _sign_in(user, number, now - (number * 5 + 1) * DAY)
    _talk(user, staff[Role.SUPPORT], now)
    demo_life.live(user, CUSTOMERS.index(customer), staff[Role.SUPPORT], now)
    # One is still to answer; the others' notices were a mistake of whoever complained.
    is_withdrawn = customer.becomes is not _disputes_a_payment
    demo_disclosures.report(user, staff[Role.ABUSE_DESK], is_withdrawn=is_withdrawn)
    customer.becomes(user, staff)


def _add_billing_contact(user: User, customer: Customer, at: dt.datetime) -> None:
    contact = Contact.objects.create(
        account=_account(user),
        role=Contact.Role.BILLING,
        name=f"Accounts of {customer.company}",
        company=customer.company,
        email=f"invoices@{customer.username}.{DOMAIN}",
        created_at=at,
    )
    Address.objects.create(
        account=_account(user),
        contact=contact,
        street="401 North Michigan Avenue",
        city=customer.city,
        region="IL",
        postcode="60611",
        country="US",
        created_at=at,
    )


def _add_method(user: User, at: dt.datetime) -> PaymentMethod:
    return PaymentMethod.objects.create(
        account=_account(user),
        provider="trial",
        token=f"tok_{reference('PAY')}",
        brand="Visa",
        last_four="4242",
        expiry=f"04/{timezone.now().year + 3}",
        created_at=at,
    )


def _add_services(user: User, customer: Customer, since: dt.datetime, now: dt.datetime) -> list[Service]:
    """Add a website paid for a while and a mail plan that stops at once; the minimum terms of both are over."""
    plans = (
        (f"www.{customer.username}.{DOMAIN}", "web-2", 1290, now + 11 * DAY),
        (f"mail.{customer.username}.{DOMAIN}", "mail-1", 490, None),
    )
    return [
        Service.objects.create(
            account=_account(user),
            name=name,
            plan=plan,
            monthly_cents=cents,
            started_at=since,
            term_ends_at=since + 3 * MONTH,
            paid_until=paid_until,
        )
        for name, plan, cents, paid_until in plans
    ]


def _issue(user: User, customer: Customer, services: list[Service], at: dt.datetime) -> Invoice:
    invoice = Invoice.objects.create(
        account=_account(user),
        number=reference("INV"),
        total_cents=sum(service.monthly_cents for service in services),
        billed_to={
            "name": customer.name,
            "company": customer.company,
            "street": "401 North Michigan Avenue",
            "city": customer.city,
            "postcode": "60611",
            "country": "US",
        },
        issued_at=at,
        due_at=at + 14 * DAY,
    )
    for service in services:
        InvoiceLine.objects.create(
            account=_account(user),
            invoice=invoice,
            service=service.pk,
            text=f"{service.name}, one month",
            unit_cents=service.monthly_cents,
            created_at=at,
        )
    return invoice


def _bill(user: User, customer: Customer, services: list[Service], method: PaymentMethod, at: dt.datetime) -> None:
    invoice = _issue(user, customer, services, at)
    paying.pay(invoice.pk, by=user, method_id=method.pk, at=at + DAY)


def _sign_in(user: User, number: int, at: dt.datetime) -> None:
    browser = BROWSERS[number % len(BROWSERS)]
    recording.note(user, AccessEvent.Kind.SIGN_IN, ip=f"198.51.100.{10 + number}", browser=browser, at=at)


def _talk(user: User, support: User, now: dt.datetime) -> None:
    ticket = supporting.open_ticket(
        _account(user),
        by=user,
        subject="A redirect for my website",
        body="How do I send visitors of the old address to the new one?",
        at=now - 3 * DAY,
    )
    supporting.reply(
        ticket.pk,
        by=support,
        body="Open the website's settings and add a redirect from the old address. It works within a minute.",
        at=now - 2 * DAY,
    )


def _account(user: User) -> Account:
    assert user.account is not None  # noqa: S101 - a customer, registered a moment ago
    return user.account


# What makes each customer special.


def _stays_free(user: User, staff: dict[Role, User]) -> None:
    """Nothing holds this account; it has a second member, and agreed to share with a partner."""
    demo_life.add_member(user, MEMBER, password_of(MEMBER))
    demo_disclosures.agree(user, staff[Role.LEGAL])


def _is_held_and_told(user: User, staff: dict[Role, User]) -> None:
    legal = staff[Role.LEGAL]
    matter = "Demo: a civil case, told by letter"
    hold = placing.place(_account(user).pk, Hold.Kind.LEGAL, by=legal.actor, matter=matter)
    telling.tell(hold.pk, by=legal, how="letter")
    demo_disclosures.serve(user, legal, timezone.now())


def _is_held_untold(user: User, staff: dict[Role, User]) -> None:
    legal = staff[Role.LEGAL]
    placing.place(_account(user).pk, Hold.Kind.LEGAL, by=legal.actor, matter="Demo: an order that forbids telling")


def _disputes_a_payment(user: User, staff: dict[Role, User]) -> None:
    disputing.open_dispute(
        _account(user).pk,
        processor="demo",
        reference="dp_demo_2048",
        amount_cents=1780,
        reason="subscription_canceled",
        by=staff[Role.BILLING].actor,
    )


def _owes(user: User, staff: dict[Role, User]) -> None:
    services = list(Service.objects.filter(account=_account(user)))
    debtor = next(customer for customer in CUSTOMERS if customer.becomes is _owes)
    _issue(user, debtor, services, timezone.now() - 9 * DAY)
    demo_life.order_for_review(user)


CUSTOMERS = (
    Customer("dana", "Dana Okafor", "customer", "Okafor Ceramics", "Chicago", 14, _stays_free),
    Customer("tomas", "Tomás Rivera", "under a told hold", "Rivera Cycles", "Evanston", 5, _is_held_and_told),
    Customer("una", "Una Larsen", "under an untold hold", "Larsen Books", "Oak Park", 5, _is_held_untold),
    Customer("wei", "Wei Zhang", "with a payment dispute", "Zhang Teas", "Cicero", 5, _disputes_a_payment),
    Customer("ivo", "Ivo Novak", "owes an invoice", "Novak Prints", "Skokie", 5, _owes),
)
