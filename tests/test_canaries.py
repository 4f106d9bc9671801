"""Canaries: one customer's words, planted in every personal field, are nowhere in clear before the purge and nowhere
at all after it; no key that is left opens anything that was theirs.

The customer signs in, fails to, writes, closes, cancels and closes again through a real web process; a real worker
sends the mails and purges. Searched are dumps of both databases, Redis with its history, the logs of all processes
and servers, and every mail but its own address line.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.cookiejar import CookieJar
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.keys.models import KeyWrap
from accounts.keys.provider import provider
from accounts.models import AccessEvent, Account, Attachment, Contact, Session, State, User
from accounts.safeguards.fields import Sealed, SealedBytes, SealedField, SealedJSON
from accounts.safeguards.models import OutboxMessage
from accounts.safeguards.sealing import HEADER, DoesNotOpen
from accounts.tasks import relay
from retention import closing
from retention.models import DeletionRequest
from retention.tasks import ring
from tests.cast import DAY, PASSWORD, furnish, make_customer
from tests.searching import dumps, forms, found_in, in_redis, server_logs, without_address_line
from tests.servers import Connection, Portal, Stage, Worker, current_stage

pytestmark = pytest.mark.usefixtures("committed")
NAME = "zanzibara"
BROWSER = "ZanzibaraBrowser/9.9"
IP = "203.0.113.241"
PHONE = "+1 312 5559417"
POSTCODE = "ZB-90417"
# What nobody else's row, no name of a table and no word of the portal holds.
WORDS = (NAME, f"{NAME}@{NAME}.example", f"{NAME.title()} Canary", BROWSER, IP, PHONE, "13125559417", POSTCODE)
QUICK = {"GRACE_SECONDS": "6"}
# Columns whose values are too short to be searched for.
SHORT = {"last_four", "expiry", "country"}


# ------------------------------------------------------------------------------------------------- the planting


def planted() -> User:
    """Return a customer with canaries in every personal field, all of it so old that nothing is kept for tax."""
    long_ago = timezone.now() - 3650 * DAY
    user = make_customer(NAME, phone=PHONE)
    furnish(user, at=long_ago)
    with keyring():
        for model in datamap.governed():
            for row in datamap.rows(model, [user.account_id]):
                plant(row)
    return user


def plant(row: models.Model) -> None:
    """Put the canary into every sealed field of a row that does not hold it yet."""
    for sealed in sealed_fields(type(row)):
        value = getattr(row, sealed.name)
        if sealed.name in SHORT:
            value = value or {"expiry": "04/2031"}.get(sealed.name)
        elif sealed.name == "postcode":
            value = POSTCODE
        elif sealed.name in ("ip", "browser"):
            value = {"ip": IP, "browser": BROWSER}[sealed.name]
        elif sealed.name == "phone":
            value = PHONE
        elif isinstance(sealed, SealedBytes):
            value = f"{NAME} in a file".encode()
        elif NAME not in str(value).lower():
            value = {"note": f"{NAME} billed"} if isinstance(sealed, SealedJSON) else f"{NAME} {sealed.name}"
        setattr(row, sealed.name, value)
    row.save()


def sealed_fields(model: type[models.Model]) -> list[SealedField]:
    return [found for found in model._meta.fields if isinstance(found, SealedField)]


@dataclass
class Box:
    """One sealed value as it stood in the database, and what it was bound to."""

    where: str
    content: bytes
    bound_to: str


def boxes_of(account: UUID) -> list[Box]:
    """Return every sealed value of the account and of the mails that wait for it."""
    found = []
    for model in datamap.governed():
        for row in datamap.rows(model, [account]):
            found += boxes_in(row)
    for message in OutboxMessage.objects.filter(subject=account):
        found += boxes_in(message)
    return found


def boxes_in(row: models.Model) -> list[Box]:
    found = []
    for sealed in sealed_fields(type(row)):
        value = row.__dict__.get(sealed.attname)
        if isinstance(value, Sealed):
            found.append(Box(f"{row._meta.db_table}.{sealed.column}", value.box, sealed.bound_to(row)))
    return found


def opened_by_any_key(boxes: list[Box]) -> list[str]:
    """Return the boxes that some key still in the store opens, whatever key they name."""
    keys = [
        AESGCM(provider().unwrap(wrap.kek, bytes(wrap.wrapped), wrap.key_id.bytes)) for wrap in KeyWrap.objects.all()
    ]
    return [box.where for box in boxes if any(opens(key, box) for key in keys)]


def opens(key: AESGCM, box: Box) -> bool:
    try:
        key.decrypt(box.content[17:HEADER], box.content[HEADER:], box.bound_to.encode())
    except (InvalidTag, DoesNotOpen):
        return False
    return True


# ------------------------------------------------------------------------------------------------- the visiting


@dataclass
class Browser:
    """A small browser: cookies, forms with their tokens, the canary's name of a browser."""

    url: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def __post_init__(self) -> None:
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener.addheaders = [("User-Agent", BROWSER), ("X-Forwarded-For", IP), ("Referer", f"{self.url}/")]

    def get(self, path: str) -> str:
        return self._open(urllib.request.Request(self.url + path))  # noqa: S310 - the test's own portal

    def send(self, path: str, name: str, file: bytes, **content: str) -> str:
        """Send a form with a file, as a browser does without scripts."""
        page = self.get(path)
        parts = {**dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)), **content}
        line = uuid4().hex
        head = 'Content-Disposition: form-data; name="{}"'
        body = b"".join(f"--{line}\r\n{head.format(key)}\r\n\r\n{value}\r\n".encode() for key, value in parts.items())
        body += f'--{line}\r\n{head.format("attached")}; filename="{name}"\r\n\r\n'.encode() + file
        body += f"\r\n--{line}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={line}"}
        return self._open(urllib.request.Request(self.url + path, data=body, headers=kind))  # noqa: S310

    def post(self, path: str, **content: str) -> str:
        page = self.get(path)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        data = urllib.parse.urlencode({**hidden, **content}).encode()
        return self._open(urllib.request.Request(self.url + path, data=data))  # noqa: S310

    def _open(self, request: urllib.request.Request) -> str:
        try:
            with self.opener.open(request, timeout=20) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()


def visit(portal: Portal, user: User) -> None:
    """Do in a browser everything that could leave a trace."""
    stranger, browser = Browser(portal.url), Browser(portal.url)
    stranger.post("/sign-in/", login=f"{NAME}@{NAME}.example", password="wrong password")
    stranger.post("/sign-in/", login=f"{NAME}@nowhere.example", password="wrong password")
    stranger.post("/password/reset/", email=f"{NAME}@{NAME}.example")
    stranger.get(f"/?next=/{NAME}")
    browser.post("/sign-in/", login=f"{NAME}@{NAME}.example", password=PASSWORD)
    assert "Sign out" in browser.get("/")
    for page in ("/", "/invoices/", "/tickets/", "/delete/", "/help/"):
        browser.get(page)
    browser.post("/tickets/", subject=f"{NAME} asks", body=f"Hello, {NAME} here, {PHONE}", submission=str(uuid7()))
    browser.post("/tickets/", subject="card 4111 1111 1111 1111", body=NAME, submission=str(uuid7()))
    upload(browser, user)
    browser.post("/delete/check/", password="wrong password", kept="on", submission=str(uuid7()))
    browser.post("/delete/check/", password=PASSWORD, kept="on", submission=str(uuid7()))
    asked = DeletionRequest.objects.get(account=user.account_id)
    browser.get(f"/delete/{asked.reference}/")
    browser.post(f"/delete/{asked.reference}/cancel/")
    assert Account.objects.get(pk=user.account_id).state == State.ACTIVE
    browser.post("/sign-in/", login=f"{NAME}@{NAME}.example", password=PASSWORD)


def upload(browser: Browser, user: User) -> None:
    """Send files by every page that takes them, taken ones and a refused one; read one again, and search the mails."""
    text = f"{NAME} in a file, {PHONE}".encode()
    for path, form in (
        ("/tickets/", {"subject": f"{NAME} sends", "body": NAME}),
        ("/business/", {"title": f"{NAME} business", "text": ""}),
        ("/confidential/", {"title": f"{NAME} confidential", "text": ""}),
    ):
        assert "There is a problem" not in browser.send(path, f"{NAME}.txt", text, **form)
    assert "There is a problem" in browser.send("/tickets/", f"{NAME}.exe", b"MZ" + text, subject=NAME, body=NAME)
    file = Attachment.objects.filter(account=user.account_id).latest("created_at")
    assert file.content == text
    assert browser.get(f"/tickets/{file.ticket.reference}/files/{file.pk}/") == text.decode()
    assert "message" in browser.post("/messages/", words=NAME)


def traces(stage: Stage, processes: list[Portal | Worker], mails: Callable[[], list[EmailMessage]]) -> dict[str, bytes]:
    """Return everything outside the two databases that may hold a word."""
    content = {**in_redis(stage), **server_logs(stage)}
    for process in processes:
        content[f"the output of {type(process).__name__}"] = process.output().encode()
    content["the mails"] = b"\n".join(map(without_address_line, mails()))
    return content


def search(content: dict[str, bytes]) -> list[str]:
    return [found for where, text in content.items() for found in found_in(text, WORDS, where)]


def wait_for(done: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        ring.delay()
        relay.delay()
        time.sleep(0.4)
    assert done()


# ------------------------------------------------------------------------------------------------------ the tests


def test_a_customer_is_nowhere_in_clear_before_the_purge_and_nowhere_after_it(
    start_portal: Callable[..., Portal], start_worker: Callable[..., Worker], mails: Callable[[], list[EmailMessage]]
):
    stage, user = current_stage(), planted()
    processes = [start_portal(), start_worker(**QUICK)]
    visit(processes[0], user)
    wait_for(lambda: not OutboxMessage.objects.due().exists())
    before = dumps(stage)
    assert search(before) == []
    assert search(traces(stage, processes, mails)) == []

    boxes = boxes_of(user.account_id)
    assert len(boxes) > 30 and len(opened_by_any_key(boxes)) == len(boxes)
    owner = User.objects.get(pk=user.pk)
    closing.close(user.account_id, by=owner, submission=uuid7(), at=timezone.now() - 31 * DAY)
    boxes += boxes_of(user.account_id)
    wait_for(lambda: finished(user.account_id))

    assert opened_by_any_key(boxes) == []
    assert not any(datamap.count([user.account_id], category) for category in datamap.categories())
    assert search(dumps(stage)) == []
    assert search(traces(stage, processes, mails)) == []
    addresses = [str(mail["To"]) for mail in mails()]
    assert addresses.count(f"{NAME}@{NAME}.example") >= 4


def finished(account: UUID) -> bool:
    waits = OutboxMessage.objects.filter(subject=account, state="queued").exists()
    keys = KeyWrap.objects.filter(key__subject=account).exists()
    mail_keys = KeyWrap.objects.filter(key__category="mail").exists()
    return Account.objects.get(pk=account).state == State.ERASED and not (waits or keys or mail_keys)


def test_the_canary_is_planted_in_every_personal_field_by_the_real_verbs():
    user = planted()
    for model in datamap.governed():
        rows = list(datamap.rows(model, [user.account_id]))
        assert rows, f"{model._meta.label} has no row of the canary"
        for sealed in sealed_fields(model):
            values = [str(getattr(row, sealed.name)) for row in rows]
            known = sealed.name in SHORT or any(word.lower() in " ".join(values).lower() for word in WORDS)
            number = sealed.name == "value"  # one of the sign-in names is the account's number
            assert known or number, f"{model._meta.label}.{sealed.name} holds no canary: {values}"


def test_the_address_and_browser_of_a_visit_are_noted_so_that_their_absence_means_something(live_portal: Portal):
    user = planted()
    Browser(live_portal.url).post("/sign-in/", login=f"{NAME}@{NAME}.example", password=PASSWORD)
    noted = AccessEvent.objects.filter(account=user.account_id).order_by("-at").first()
    assert noted is not None and noted.browser == BROWSER and noted.ip
    assert Session.objects.filter(account=user.account_id).exists()


@pytest.mark.parametrize(
    ("sql", "how"),
    [
        ("UPDATE accounts_service SET plan = 'for Zanzibara'", "text"),
        ("UPDATE accounts_contact SET name = convert_to('Dear Zanzibara,', 'UTF8')", "hexadecimal"),
        ("INSERT INTO safeguards_heartbeat VALUES (encode('x zanzibara x', 'base64'), now())", "base64"),
        ("INSERT INTO safeguards_heartbeat VALUES (encode('xy zanzibara', 'base64'), now())", "base64"),
        (
            "UPDATE accounts_signinidentifier SET digest = sha256('zanzibara@zanzibara.example')"
            " WHERE kind = 'email' AND account_id IS NOT NULL",
            "sha256",
        ),
        ("UPDATE accounts_accessevent SET ip = '203.0.113.241'", "hexadecimal"),
    ],
)
def test_a_planted_leak_is_found_in_a_dump(owner: Connection, sql: str, how: str):
    planted()
    stage = current_stage()
    assert search(dumps(stage)) == []
    owner.execute(sql)
    assert any(f"as {how}" in found for found in search(dumps(stage)))


def test_a_planted_leak_is_found_in_redis_logs_and_mails(redis_server: Any, mails: Callable[[], list[EmailMessage]]):
    stage = current_stage()
    redis_server.set("rate:zanzibara@zanzibara.example", "1")
    redis_server.lpush("celery", '{"args": ["203.0.113.241"]}')
    found = search(in_redis(stage))
    assert any(NAME in what for what in found) and any(IP in what for what in found)
    redis_server.flushall()
    assert any("file" in what for what in search(in_redis(stage)))
    forget_history(redis_server)
    assert search(in_redis(stage)) == []
    mail = EmailMessage()
    mail["To"], mail["Subject"] = f"{NAME}@{NAME}.example", "Deletion"
    mail.set_content("Dear Zanzibara Canary")
    assert found_in(without_address_line(mail), WORDS, "a mail")
    mail.set_content("Dear customer")
    assert not found_in(without_address_line(mail), WORDS, "a mail")


def forget_history(redis_server: Any) -> None:
    """Have Redis write its file anew: another test searches the same one."""
    redis_server.bgrewriteaof()
    until = time.monotonic() + 20
    while time.monotonic() < until and search(in_redis(current_stage())):
        time.sleep(0.1)


def test_before_the_purge_its_own_key_opens_a_box_and_no_other_does():
    user = planted()
    boxes = boxes_of(user.account_id)
    assert opened_by_any_key(boxes) == [box.where for box in boxes]
    moved = [Box(box.where, box.content, box.bound_to + "x") for box in boxes]
    assert opened_by_any_key(moved) == []


def test_a_refused_value_is_not_repeated_in_the_error():
    user = planted()
    contact = Contact.objects.get(account=user.account_id, role="owner")
    contact.name = f"{NAME} 4111 1111 1111 1111"
    with pytest.raises(ValidationError) as refusal:
        contact.save()
    assert NAME not in str(refusal.value)


def test_a_word_is_known_in_each_of_its_forms():
    ways = [how for how, _form in forms(NAME)]
    assert set(ways) == {"text", "hexadecimal", "UTF-16", "base64", "md5", "sha1", "sha256", "sha512"}
