"""What else a demo customer did: addresses, an order, a member, files, requests, all by the portal's own acts."""

from __future__ import annotations

import datetime as dt
import re
from uuid import uuid4

from accounts import (
    assigning,
    confiding,
    contacts,
    giving,
    inviting,
    legal_texts,
    ordering,
    paying,
    supporting,
)
from accounts.models import (
    Account,
    Contact,
    Invoice,
    MediaType,
    MemberRole,
    Order,
    PageVisit,
    PaymentMethod,
    Service,
    Ticket,
    User,
)
from accounts.safeguards.models import OutboxMessage
from accounts.uploads import Upload
from retention import requesting, schedule
from retention.requesting import Wish

DAY = dt.timedelta(days=1)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SEEN = ("overview", "accounts:invoices", "retention:data", "accounts:help")
LINK = re.compile(r"/join/([^/\s]+)/")


def live(user: User, number: int, support: User, now: dt.datetime) -> None:
    """Let a customer have lived with the portal; `number` tells the addresses of one from another's."""
    account = user.account
    assert account is not None  # noqa: S101 - a customer
    _assign(account, number, now)
    _order(account, user, now)
    _write(account, user, support, now)
    contacts.set_billing(
        account.pk, by=user, billing=contacts.Billing(kind="company", currency="USD"), at=now - 9 * DAY
    )
    legal_texts.accept(user, legal_texts.current(), ip=f"198.51.100.{10 + number}", at=now - 8 * DAY)
    PageVisit.objects.bulk_create(
        PageVisit(account=account, page=page, at=now - back * DAY) for page in SEEN for back in range(7, 14)
    )
    requesting.ask(
        account.pk, Wish("rectification", details="My company moved to the second floor."), by=user, submission=uuid4()
    )


def add_member(user: User, name: str, password: str) -> User:
    """Invite a technical member and let them join."""
    account = user.account
    assert account is not None  # noqa: S101 - a customer
    invitation = inviting.invite(
        account.pk,
        by=user,
        email=f"{name}@{_domain(account)}",
        role=MemberRole.TECHNICAL,
        lasts=schedule.span("invitation"),
        submission=uuid4(),
    )
    letter = OutboxMessage.objects.get(event=f"invitation:{invitation.pk}:mail").content["body"]
    found = LINK.search(letter)
    assert found is not None  # noqa: S101 - the mail has its link
    return inviting.accept(found[1], name=f"{name.title()} Okafor", password=password, username=name)


def order_for_review(user: User) -> Order:
    """Place an order that a person has to look at."""
    assert user.account_id is not None  # noqa: S101 - a customer
    return ordering.place_order(
        user.account_id,
        lines=[ordering.OrderedLine("Dedicated server, one month", 99_000, 20, plan="metal-2")],
        signals=ordering.Signals(ip="203.0.113.5", user_agent="curl/8.1"),
        by="system",
    )


def _domain(account: Account) -> str:
    return str(Contact.objects.get(account=account, role=Contact.Role.OWNER).email).rpartition("@")[2]


def _assign(account: Account, number: int, now: dt.datetime) -> None:
    web, mail = Service.objects.filter(account=account).order_by("started_at", "pk")[:2]
    first = assigning.assign(web.pk, f"192.0.2.{10 + number}", by="system", at=web.started_at)
    assigning.end(first.pk, by="system", at=now - 60 * DAY)
    assigning.assign(web.pk, f"192.0.2.{40 + number}", by="system", at=now - 60 * DAY)
    assigning.assign(mail.pk, f"2001:db8:{number + 1:x}::/64", by="system", at=mail.started_at)


def _order(account: Account, user: User, now: dt.datetime) -> None:
    order = ordering.place_order(
        account.pk,
        lines=[ordering.OrderedLine("Backup space, one month", 300, 2, plan="backup-1")],
        signals=ordering.Signals("198.51.100.7", BROWSER, "https://shop.demo.example/backup/"),
        by="system",
        at=now - 20 * DAY,
    )
    method = PaymentMethod.objects.filter(account=account).order_by("pk").first()
    for invoice in Invoice.objects.unpaid().filter(account=account, order=order.pk):
        paying.pay(invoice.pk, by=user, method_id=method.pk if method else None, at=now - 19 * DAY)


def _write(account: Account, user: User, support: User, now: dt.datetime) -> None:
    """Write in the conversation with a file, note among staff, and say something of the business and in confidence."""
    ticket = Ticket.objects.filter(account=account).order_by("created_at", "pk").first()
    assert ticket is not None  # noqa: S101 - opened a moment ago
    plan = Upload("redirects.txt", MediaType.TEXT, b"old.example -> new.example\n")
    supporting.reply(ticket.pk, by=user, body="Thank you. Here is the list.", files=[plan], at=now - DAY)
    supporting.note(ticket.pk, by=support, body="Knows DNS well; a short answer is enough.", at=now - DAY)
    giving.give(account, by=user, title="What we host", text="A shop with a peak in December.", at=now - 6 * DAY)
    item = confiding.confide(
        account, by=user, title="Launch plan", text="The new shop opens in spring.", at=now - 6 * DAY
    )
    confiding.open_item(
        item.pk,
        by=support,
        reason=confiding.Reason.ASKED,
        words="They asked whether the space will do.",
        at=now - 5 * DAY,
    )
