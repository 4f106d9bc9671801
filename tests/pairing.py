"""Two customers who differ in one thing, and everything a customer can observe of each, made comparable.

There is one normaliser, and it is fixed: random identifiers, the two customers' own names, tokens, codes and times
of the day. Whatever else differs is a difference.
"""

from __future__ import annotations

import datetime as dt
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.core import mail
from django.core.mail import EmailMessage
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import legal_texts
from accounts.keys.identifiers import uuid7
from accounts.models import (
    AccountToken,
    Address,
    Attachment,
    BusinessItem,
    ConfidentialItem,
    Contact,
    Correspondence,
    EmailChange,
    Export,
    Invitation,
    Invoice,
    Order,
    Service,
    Ticket,
    User,
)
from accounts.models.account import OfAccount
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from disclosures.models import AbuseNotice, ConsentGrant, NoticeFile, Recipient, ToldNotice
from retention import closing
from retention.models import DeletionRequest, PrivacyRequest
from tests.cast import PASSWORD, furnish, make_customer
from tests.visiting import signed_in

NORMAL = (
    (re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"'), "TOKEN"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"(ABU|CON|DEL|DIS|EXP|INV|NOT|OPN|ORD|PRV|REC|SEC|TIC)-[0-9A-Z]{4}-[0-9A-Z]{4}\b"), r"\1-REFERENCE"),
    (re.compile(r"\b(?:[0-9A-Z]{4}-){4}[0-9A-Z]{4}\b"), "CODE"),
    (re.compile(r"\b[1-9]\d{8}\b"), "NUMBER"),
    (re.compile(r"\bwww\.[0-9a-f]{8}\.example\b"), "SERVICE"),
    (re.compile(r"@[0-9a-f]{6}\.example\b"), "@RANDOM.example"),
    (re.compile(r"\bcopy-[0-9a-f]{6}\.txt\b"), "copy-RANDOM.txt"),
    (re.compile(r"\b2001:db8(?::a[0-9a-f]{3}){6}\b"), "ADDRESS"),
    (re.compile(r'name="session" value="[0-9a-f]{32}"'), "SESSION"),
    # How many requests are left of a minute's.
    (re.compile(r";r=\d+;t=\d+"), ";r=N;t=N"),
    (re.compile(r"mar(?:ta|ko)", re.IGNORECASE), "SOMEBODY"),
    (re.compile(r"(?<!\d)[0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?!\d)"), "TIME"),
)
# Its value is random; that it is set, and how, is compared.
COOKIE = re.compile(r"^(Set-Cookie: \w+=)[^;]*", re.MULTILINE)
COOKIE_TIME = re.compile(r"expires=[^;]+")
BROWSER = "Canary/1.0"
MEASURED_AGAIN = 3
ABUSE_PAGES = (
    *(f"abuse_{page}" for page in ("notice", "acknowledge", "fixed", "disagree", "time")),
    "counter",
    "counter_sign",
    "strike_appeal",
)


@dataclass
class Side:
    """One customer of a pair, with what opens their pages."""

    name: str
    user: User
    request: DeletionRequest | None = None
    code: str = ""

    @property
    def account_id(self) -> UUID:
        assert self.user.account_id is not None
        return self.user.account_id

    def visitor(self) -> Client:
        """Return a browser in which the customer is signed in."""
        return signed_in(User.objects.get(pk=self.user.pk))

    def follower(self) -> Client:
        """Return a browser that gave reference and code."""
        assert self.request is not None
        visitor = Client()
        visitor.post(reverse("retention:delete_find"), {"reference": self.request.reference, "code": self.code})
        return visitor


def pair(*, closed_ago: dt.timedelta | None = None) -> tuple[Side, Side]:
    """Return two customers who did the same at the same times; with `closed_ago` both closed their account."""
    now = timezone.now()
    began = now - (closed_ago or dt.timedelta(0)) - dt.timedelta(days=40)
    sides = (Side("marta", person("marta", began)), Side("marko", person("marko", began)))
    if closed_ago is not None:
        for side in sides:
            closed = closing.close(side.account_id, by=side.user, submission=uuid7(), at=now - closed_ago)
            side.request, side.code = closed.request, closed.code
    return sides


def person(name: str, at: dt.datetime) -> User:
    """Return a customer with a name of five letters: pages of both have the same length."""
    return furnish(make_customer(name, phone="+1 312 5550001"), at=at)


def shown(answer: HttpResponse) -> str:
    """Return everything a browser is given, normalised: status, headers, cookies, body."""
    # A file is compressed: a reference inside changes its length and every byte. That its making asks no hold is shown
    # by the statements, which are counted beside.
    is_file = answer["Content-Type"] == "application/pdf"
    headers = sorted(answer.headers.items())
    lines = [f"{name}: {value}" for name, value in headers if not (is_file and name == "Content-Length")]
    lines += [COOKIE_TIME.sub("expires=", str(morsel)) for _, morsel in sorted(answer.cookies.items())]
    head = COOKIE.sub(r"\1VALUE", "\n".join([f"HTTP {answer.status_code}", *lines]))
    return normalised(head + "\n\n" + ("a file" if is_file else answer.content.decode()))


def normalised(text: str) -> str:
    """Return a text without identifiers and times of the day."""
    for pattern, instead in NORMAL:
        text = pattern.sub(instead, text)
    return text


def letters_to(side: Side) -> list[str]:
    """Return every mail sent to a side so far, normalised, address line and headers included, in a fixed order."""
    return sorted(whole(sent) for sent in mail.outbox if sent.to[0].startswith(f"{side.name}@"))


def moments(side: Side) -> list[dt.datetime]:
    """Return when each mail to a side was written: their rhythm."""
    rows = OutboxMessage.objects.filter(subject=side.account_id).order_by("created_at")
    return list(rows.values_list("created_at", flat=True))


def whole(sent: EmailMessage) -> str:
    message = sent.message()
    message.replace_header("Date", "DATE")
    return normalised(message.as_string())


def relay() -> None:
    """Send what waits, whatever its date."""
    while outbox.relay(limit=200)["sent"]:
        pass


# ------------------------------------------------------------------------------------------- the pages there are

# Staff, other systems, machines: no customer opens them.
NOT_FOR_CUSTOMERS = ("admin:", "api:", "health")
# Pages whose address is a secret of a mail, walked by their own tests.
BY_MAIL = {"account_reset_password_from_key"}
# Pages that show a new secret or question at each visit, walked by their own tests.
NEW_EACH_TIME = {"mfa_activate_totp", "mfa_add_webauthn", "mfa_login_webauthn"}


def customer_pages() -> set[str]:
    """Return the name of every page a customer can ask for, from the address table itself."""
    return {name for name in names(get_resolver()) if not name.startswith(NOT_FOR_CUSTOMERS)} - BY_MAIL - NEW_EACH_TIME


def names(resolver: URLResolver, spaces: tuple[str, ...] = ()) -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            assert entry.name, f"{entry} has no name"
            yield ":".join((*spaces, entry.name))
        else:
            yield from names(entry, (*spaces, entry.namespace) if entry.namespace else spaces)


def addresses(side: Side) -> dict[str, str]:
    """Return the address of every customer page for one side, by name."""
    invoice = Invoice.objects.filter(account=side.account_id).order_by("issued_at").first()
    ticket = Ticket.objects.filter(account=side.account_id).order_by("created_at").first()
    service = Service.objects.filter(account=side.account_id).order_by("started_at").first()
    token = AccountToken.objects.filter(account=side.account_id).order_by("created_at").first()
    export = Export.objects.filter(account=side.account_id).order_by("asked_at").first()
    exported = [export.reference if export else "EXP-2222-2222"]
    attachment = first(Attachment, side)
    business, secret, letter = (first(model, side) for model in (BusinessItem, ConfidentialItem, Correspondence))
    order = Order.objects.filter(account=side.account_id).order_by("placed_at", "pk").first()
    contact, address, change, user, invitation = (
        [_first_of(model, side)] for model in (Contact, Address, EmailChange, User, Invitation)
    )
    given: dict[str, list[Any]] = {
        "accounts:contact": contact,
        "accounts:contact_remove": contact,
        "accounts:address_add": contact,
        "accounts:address": contact + address,
        "accounts:address_remove": contact + address,
        "retention:contact_email_change": contact,
        "accounts:email_codes": change,
        "accounts:email_withdraw": change,
        "accounts:email_stop": change,
        "accounts:member": user,
        "accounts:member_remove": user,
        "accounts:invitation_withdraw": invitation,
        "accounts:join": ["unknown"],
        **{f"accounts:business_{page}": [business] for page in ("item", "file", "remove")},
        **{f"accounts:confidential_{page}": [secret] for page in ("item", "file", "remove", "move")},
        "accounts:message": [letter],
        "accounts:legal_document": ["terms"],
        "accounts:legal_text": ["terms", legal_texts.versions("terms")[0].version],
        "accounts:ticket_file": [ticket.reference if ticket else "TIC-2222-2222", attachment],
        "retention:data_category": ["access"],
        "disclosures:transparency_file": ["2026-H1"],
        "disclosures:delivery": ["unknown"],
        **{f"disclosures:{page}": [_notice_reference(side)] for page in ("notice", "notice_copy", "notice_give_up")},
        **{f"disclosures:{page}": [_abuse_reference(side)] for page in ABUSE_PAGES},
        "disclosures:abuse_notice_file": [_abuse_reference(side), first(NoticeFile, side, "sent_at")],
        "disclosures:consent_share": [_partner()],
        "disclosures:consent_withdraw": [_consent_reference(side)],
        "retention:export": exported,
        "retention:export_download": exported,
        "retention:export_remove": exported,
        "accounts:token_end": [token.pk if token else UUID(int=0)],
        "accounts:service": [service.pk if service else UUID(int=0)],
        "accounts:invoice": [invoice.number if invoice else "INV-2222-2222"],
        "accounts:invoice_pay": [invoice.number if invoice else "INV-2222-2222"],
        "accounts:invoice_pdf": [invoice.number if invoice else "INV-2222-2222"],
        "accounts:order": [order.reference if order else "ORD-2222-2222"],
        "accounts:ticket": [ticket.reference if ticket else "TIC-2222-2222"],
        "accounts:ticket_settle": [ticket.reference if ticket else "TIC-2222-2222"],
        "retention:delete_status": [side.request.reference if side.request else "DEL-2222-2222"],
        "mfa_remove_webauthn": [1],
        "mfa_edit_webauthn": [1],
        "retention:delete_cancel": [side.request.reference if side.request else "DEL-2222-2222"],
        **{f"retention:{name}": [_privacy_reference(side)] for name in ("request", "request_withdraw")},
        **{f"retention:{name}": ["PRV-2222-2222"] for name in ("ask_status", "ask_withdraw")},
        **{f"retention:{name}": ["rectification"] for name in ("request_ask", "ask_for", "ask_agent")},
    }
    return {name: reverse(name, args=given.get(name, [])) for name in customer_pages()}


def _first_of(model: Any, side: Side) -> UUID:
    row = model.objects.filter(account=side.account_id).order_by("pk").first()
    return row.pk if row else uuid4()


def first(model: type[OfAccount], side: Side, time: str = "created_at") -> UUID:
    """Return the id of a side's first row of a table, or one that no row has."""
    rows: Any = model._default_manager.filter(account=side.account_id)
    found: UUID | None = rows.order_by(time, "pk").values_list("pk", flat=True).first()
    return found or uuid4()


def _partner() -> str:
    known = Recipient.objects.filter(kind="partner").order_by("pk").first()
    return known.reference if known else "REC-2222-2222"


def _notice_reference(side: Side) -> str:
    told = ToldNotice.objects.filter(account=side.account_id).order_by("sent_at", "pk").first()
    return told.reference if told else "NOT-2222-2222"


def _abuse_reference(side: Side) -> str:
    told = AbuseNotice.objects.filter(account=side.account_id).order_by("sent_at", "pk").first()
    return told.reference if told else "NOT-2222-2222"


def _consent_reference(side: Side) -> str:
    given = ConsentGrant.objects.filter(account=side.account_id).order_by("given_at", "pk").first()
    return given.reference if given else "CON-2222-2222"


def _privacy_reference(side: Side) -> str:
    asked = PrivacyRequest.objects.filter(account=side.account_id).order_by("received_at", "pk").first()
    return asked.reference if asked else "PRV-2222-2222"


def walk(side: Side, visitor: Client) -> dict[str, str]:
    """Open every customer page as this visitor; return what was shown, with the number of statements it took."""
    found = {}
    for name, address in sorted(addresses(side).items()):
        if name == "account_logout":
            continue
        with queries() as count:
            answer = visitor.get(address, headers={"user-agent": BROWSER})
        found[name] = f"{count()} statements\n{shown(answer)}"
    return found


@contextmanager
def queries() -> Iterator[Callable[[], int]]:
    with CaptureQueriesContext(connections["default"]) as data, CaptureQueriesContext(connections["keys"]) as keys:
        yield lambda: len(data) + len(keys)


def forms(side: Side, visitor: Client) -> dict[str, str]:
    """Send every form a customer of a closed account may send, and the ones that are refused."""
    here = addresses(side)
    sent = {
        "sign in": ("account_login", {"login": side.name, "password": PASSWORD}),
        "sign in wrong": ("account_login", {"login": "nobody", "password": "wrong"}),
        "reset": ("account_reset_password", {"email": f"{side.name}@{side.name}.example"}),
        "write": ("accounts:ticket", {"body": "When is it?", "submission": str(uuid7())}),
        "open ticket": ("accounts:tickets", {"subject": "Hello", "body": "Well?", "submission": str(uuid7())}),
        "close again": ("retention:delete_check", {"password": PASSWORD, "kept": "on", "submission": str(uuid7())}),
        "find wrong": ("retention:delete_find", {"reference": "DEL-2222-2222", "code": "0000-0000-0000-0000-0000"}),
    }
    found = {}
    for name, (page, content) in sent.items():
        with queries() as count:
            answer = visitor.post(here[page], content, headers={"user-agent": BROWSER})
        found[name] = f"{count()} statements\n{shown(answer)}"
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the names of what differs, each with its first differing lines."""
    found = [f"only on one side: {name}" for name in sorted(one.keys() ^ other.keys())]
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            lines = zip(one[name].splitlines(), other[name].splitlines(), strict=False)
            first = next(((a, b) for a, b in lines if a != b), ("(length)", ""))
            found.append(f"{name}: {first[0].strip()!r} against {first[1].strip()!r}")
    return found


# --------------------------------------------------------------------------------------------------------- time


@dataclass
class Times:
    """How long the requests of each side took, in milliseconds."""

    one: list[float]
    other: list[float]

    @property
    def apart(self) -> float:
        """How far the lower quartiles are apart: what a busy machine adds, it adds above them."""
        return abs(quartile(self.one) - quartile(self.other))


def quartile(times: list[float]) -> float:
    return statistics.quantiles(times, n=4)[0]


def timed(one: Callable[[], Any], other: Callable[[], Any], requests: int) -> Times:
    """Ask both sides in turn, the first of each two alternating, so that neither has the warmer machine."""
    times = Times([], [])
    for number in range(requests + 5):
        sides = ((one, times.one), (other, times.other))
        for ask, into in sides if number % 2 else sides[::-1]:
            began = time.perf_counter()
            ask()
            if number >= 5:
                into.append((time.perf_counter() - began) * 1000)
    return times


def slowest_gap(one: Callable[[], Any], other: Callable[[], Any], requests: int, threshold: float) -> float:
    """Return how far apart the sides are, measured again while they look apart: a leak stays, noise does not."""
    gap = 0.0
    for _ in range(MEASURED_AGAIN):
        gap = timed(one, other, requests).apart
        if gap < threshold:
            break
    return gap
