"""Signed webhooks: what a receiver can prove, what is tried again, where nothing is sent, and who may do what."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts import reaching, subscribing, tasks, webhooks
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import EndpointState, User, WebhookEndpoint
from accounts.safeguards import outbox
from accounts.safeguards.models import Delivery, LedgerEntry, OutboxMessage
from tests.cast import DAY, make_staff
from tests.servers import Connection
from tests.visiting import entered
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.usefixtures("committed")
EVENT = "test.happened"
SEALED = f"{outbox.SEALED}test.secret"
HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    """Events of the tests alone, one of them sealed."""
    for name in (EVENT, SEALED):
        webhooks.declare_event(name, fields=("case", "works"), about="Something happened.")
    yield
    for name in (EVENT, SEALED):
        del webhooks.EVENTS[name]


@pytest.fixture
def ada() -> User:
    """Who administers the systems."""
    return make_staff("ada", "administrator")


@pytest.fixture
def paula() -> User:
    """Who administers the systems and may know of sealed matters."""
    return make_staff("paula", "administrator", "legal")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def endpoint(ada: User, receiver: Receiver) -> WebhookEndpoint:
    """An endpoint whose receiver knows its secret."""
    made, secret = subscribing.add("shop", receiver.url, [EVENT], by=ada)
    receiver.secrets = [secret]
    return made


def publish(event: str = EVENT, key: str = "one", **given: Any) -> int:
    facts: dict[str, Any] = {"data": {"case": "AB-1", "works": ["w1", "w2"]}, **given}
    with transaction.atomic():
        return webhooks.publish(event, key=key, **facts)


def again(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.objects.get(pk=endpoint.pk)


def row() -> OutboxMessage:
    return OutboxMessage.objects.get()


# ---------------------------------------------------------------------------------------------- what a receiver gets


def test_a_receiver_can_prove_who_sent_an_event(endpoint: WebhookEndpoint, receiver: Receiver):
    at = dt.datetime(2026, 11, 27, 4, 5, 6, tzinfo=dt.UTC)

    assert publish(at=at, data={"case": "AB-1"}) == 1
    assert outbox.relay(at=at)["sent"] == 1

    [(name, event)] = receiver.taken.items()
    assert event == {
        "type": EVENT,
        "timestamp": "2026-11-27T04:05:06.000Z",
        "data": {"case": "AB-1", "works": None},
    }
    assert name == str(row().pk)
    assert again(endpoint).last_sent_at is not None and again(endpoint).last_failure == ""


def test_another_secret_is_refused_by_the_receiver_and_tried_again(endpoint: WebhookEndpoint, receiver: Receiver):
    receiver.secrets = [subscribing._new_secret()]

    publish()
    counts = outbox.relay()

    assert counts["failed"] == 1 and receiver.taken == {}
    assert [one.status for one in receiver.requests] == [401]
    assert (row().state, row().last_error) == (Delivery.QUEUED, "ReceiverRefuses")
    assert again(endpoint).last_failure == "ReceiverRefuses" and again(endpoint).last_sent_at is None


def test_a_changed_body_and_an_old_timestamp_are_refused(endpoint: WebhookEndpoint, receiver: Receiver):
    publish()
    outbox.relay()
    [sent] = receiver.requests

    assert receiver.take(sent.headers, sent.body) == 204
    assert receiver.take(sent.headers, sent.body.replace(b"AB-1", b"AB-2")) == 401
    assert receiver.take({**sent.headers, "webhook-id": str(uuid7())}, sent.body) == 401
    assert receiver.take({**sent.headers, "webhook-signature": "nonsense"}, sent.body) == 401
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=6)):
        assert receiver.take(sent.headers, sent.body) == 401


def test_a_retry_keeps_the_id_and_is_signed_anew(endpoint: WebhookEndpoint, receiver: Receiver):
    receiver.answers = [500]
    publish()
    at = timezone.now()

    assert outbox.relay(at=at)["failed"] == 1
    assert again(endpoint).last_failure == "ReceiverFails"
    assert outbox.relay(at=at + SECOND) == {"sent": 0, "failed": 0, "expired": 0}
    with time_machine.travel(at + 31 * SECOND):
        assert outbox.relay(at=at + 31 * SECOND)["sent"] == 1

        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(row().pk)
        assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
        assert first.body == second.body
    assert again(endpoint).last_failure == ""


def test_a_crash_after_the_sending_repeats_an_event_that_its_receiver_knows(
    endpoint: WebhookEndpoint, receiver: Receiver
):
    publish()
    at = timezone.now()
    claimed = outbox._claim(at)
    assert claimed is not None
    webhooks.send(claimed)  # and the process dies before the row ends

    assert outbox.relay(at=at + 31 * SECOND)["sent"] == 1
    assert len(receiver.requests) == 2 and len(receiver.taken) == 1


def test_two_publishes_of_one_act_make_one_delivery(endpoint: WebhookEndpoint, receiver: Receiver):
    assert publish(key="act") == 1
    assert publish(key="act") == 0
    assert publish(key="other") == 1

    outbox.relay()

    assert len(receiver.taken) == 2


def test_a_rolled_back_act_tells_nobody(endpoint: WebhookEndpoint, receiver: Receiver):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        webhooks.publish(EVENT, key="one", data={})
        raise ZeroDivisionError

    assert outbox.relay()["sent"] == 0 and not receiver.requests


def test_only_endpoints_that_take_an_event_are_told(endpoint: WebhookEndpoint, ada: User, receiver: Receiver):
    subscribing.add("panel", receiver.url, [webhooks.TEST], by=ada)
    subscribing.add("billing", receiver.url, [EVENT, webhooks.TEST], by=ada)

    assert publish() == 2


# ---------------------------------------------------------------------------------------------- secrets


def test_both_secrets_sign_for_a_day_after_a_rotation(endpoint: WebhookEndpoint, receiver: Receiver, ada: User):
    [old] = receiver.secrets
    at = timezone.now()
    _, new = subscribing.rotate(endpoint.pk, by=ada, at=at)

    for key, known in (("old", old), ("new", new)):
        receiver.secrets = [known]
        publish(key=key)
        assert outbox.relay()["sent"] == 1
    with time_machine.travel(at + subscribing.OVERLAP + SECOND):
        receiver.secrets = [old]
        publish(key="late")
        assert outbox.relay()["failed"] == 1
        receiver.secrets = [new]
        assert outbox.relay(at=timezone.now() + HOUR)["sent"] == 1
    assert receiver.requests[0].headers["webhook-signature"].count("v1,") == 2
    assert receiver.requests[-1].headers["webhook-signature"].count("v1,") == 1


def test_a_form_sent_twice_does_not_end_the_secret_a_receiver_still_has(endpoint: WebhookEndpoint, ada: User):
    seen = endpoint.rotation
    subscribing.rotate(endpoint.pk, by=ada, seen=seen)
    secrets = again(endpoint).secrets(timezone.now())

    with pytest.raises(NotActionable, match="used already"):
        subscribing.rotate(endpoint.pk, by=ada, seen=seen)
    assert again(endpoint).secrets(timezone.now()) == secrets and len(secrets) == 2


def test_no_secret_stands_in_clear_in_the_database(
    endpoint: WebhookEndpoint, receiver: Receiver, ada: User, runtime: Connection
):
    _, new = subscribing.rotate(endpoint.pk, by=ada)
    secrets = [*receiver.secrets, new]
    assert again(endpoint).secrets(timezone.now()) == secrets[::-1]

    for table in ("accounts_webhookendpoint", "safeguards_ledgerentry", "safeguards_outboxmessage"):
        rows = runtime.execute(f"SELECT t::text FROM {table} t").fetchall()
        text = str(rows)
        for secret in secrets:
            raw = secret.removeprefix("whsec_")
            assert raw not in text and raw.encode().hex() not in text and "whsec_" not in text


def test_the_runtime_role_deletes_no_endpoint(endpoint: WebhookEndpoint, runtime: Connection):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        runtime.execute("DELETE FROM accounts_webhookendpoint")


# ---------------------------------------------------------------------------------------------- what is sent


REFUSED = {
    "a field nobody declared": {"account": "123"},
    "an address": {"case": "someone@example.com"},
    "a name": {"case": "Alice Canary"},
    "a word with letters of a name": {"case": "Zoë"},
    "an IP address": {"case": "203.0.113.7"},
    "an IPv6 address": {"case": "2001:db8::1"},
    "a card number": {"case": "4242424242424242"},
    "nothing": {"case": ""},
    "a long text": {"case": "a" * 101},
    "a number": {"case": 7},
    "one of a list": {"works": ["w1", "two words"]},
    "a list in a list": {"works": [["w1"]]},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_declared_identifier_is_not_sent(endpoint: WebhookEndpoint, what: str):
    with pytest.raises(webhooks.NotDeclared) as error:
        publish(data=REFUSED[what])

    assert "Canary" not in str(error.value) and "example" not in str(error.value)
    assert not OutboxMessage.objects.exists()


def test_an_event_nobody_declared_is_not_sent(endpoint: WebhookEndpoint):
    with pytest.raises(webhooks.NotDeclared, match="test.other is not declared"):
        publish("test.other")
    with pytest.raises(webhooks.NotDeclared, match="The key of"):
        publish(key="a key of words")
    with pytest.raises(webhooks.NotDeclared, match="too long"):
        publish(key="a" * 90)
    assert publish(key=str(uuid7())) == 1


@pytest.mark.parametrize("name", ["", "word", "With.Capitals", "a.b c", f"a.{'b' * 30}", "a.b:c"])
def test_an_event_has_a_plain_name(name: str):
    with pytest.raises(webhooks.NotDeclared):
        webhooks.declare_event(name)
    assert name not in webhooks.EVENTS


def test_an_event_is_declared_once_in_the_same_words():
    webhooks.declare_event(EVENT, fields=("case", "works"), about="Something happened.")
    with pytest.raises(webhooks.NotDeclared, match="already"):
        webhooks.declare_event(EVENT, fields=("case",))
    with pytest.raises(webhooks.NotDeclared, match="plain words"):
        webhooks.declare_event("test.third", fields=("E-Mail",))


def test_the_longest_name_fits_beside_an_id_as_key(paula: User, receiver: Receiver):
    name = f"{outbox.SEALED}a.{'b' * (webhooks.LONGEST_NAME - 2)}"
    webhooks.declare_event(name)
    subscribing.add("shop", receiver.url, [name], by=paula)

    assert publish(name, key=str(uuid7()), data={}) == 1
    del webhooks.EVENTS[name]


def test_nothing_of_an_event_stands_in_clear_while_it_waits(endpoint: WebhookEndpoint, alice: User, owner: Connection):
    publish(key="k1", subject=alice.account_id, data={"case": "REF-SECRET"})

    rows = owner.execute("SELECT m::text, encode(content, 'escape') FROM safeguards_outboxmessage m").fetchall()
    assert "REF-SECRET" not in str(rows) and endpoint.url not in str(rows)
    assert row().content["body"].count("REF-SECRET") == 1 and str(alice.account_id) not in str(row().content)


# ---------------------------------------------------------------------------------------------- receivers that fail


def test_gone_pauses_the_endpoint_and_is_a_task_for_staff(endpoint: WebhookEndpoint, receiver: Receiver, ada: User):
    receiver.answers = [410]
    publish()

    assert outbox.relay()["failed"] == 1

    paused = again(endpoint)
    assert (paused.state, paused.last_failure) == (EndpointState.PAUSED, "ReceiverIsGone")
    assert paused.gone_at is not None and paused.paused_at == paused.gone_at and paused.paused_by is None
    assert "Webhooks that want no more (1)" in front(ada)
    assert publish(key="two") == 0
    assert outbox.relay(at=timezone.now() + HOUR)["failed"] == 1 and len(receiver.requests) == 1

    subscribing.resume(endpoint.pk, by=ada)
    assert "Webhooks that want no more (0)" in front(ada)
    assert outbox.relay()["sent"] == 1 and len(receiver.taken) == 1


def test_a_redirect_is_not_followed(endpoint: WebhookEndpoint, receiver: Receiver):
    receiver.answers = [307, 301]
    publish()

    outbox.relay()
    outbox.relay(at=timezone.now() + HOUR)

    assert len(receiver.requests) == 2 and again(endpoint).last_failure == "ReceiverRedirects"
    assert receiver.taken == {} and row().state == Delivery.QUEUED


def test_what_is_paused_waits_and_goes_at_once_when_it_is_resumed(
    endpoint: WebhookEndpoint, receiver: Receiver, ada: User
):
    publish(key="before")
    subscribing.pause(endpoint.pk, by=ada)
    assert publish(key="meanwhile") == 0

    assert outbox.relay()["failed"] == 1
    assert row().last_error == "EndpointWaits" and not receiver.requests
    subscribing.resume(endpoint.pk, by=ada)

    assert outbox.relay()["sent"] == 1 and len(receiver.taken) == 1


def test_an_event_that_failed_for_a_week_is_lost_and_a_task_for_staff(
    endpoint: WebhookEndpoint, receiver: Receiver, ada: User
):
    receiver.answers = [500] * 9
    at = timezone.now()
    publish(key="one")
    publish(key="two")
    outbox.relay(at=at + outbox.KEPT_FOR - HOUR)
    assert "Webhooks that lost events (0)" in front(ada)

    assert outbox.relay(at=at + outbox.KEPT_FOR + HOUR)["expired"] == 2

    lost = again(endpoint)
    assert (lost.lost, lost.state) == (2, EndpointState.ACTIVE) and lost.lost_at is not None
    assert {one.state for one in OutboxMessage.objects.all()} == {Delivery.EXPIRED}
    assert "Webhooks that lost events (1)" in front(ada) and "shop: 2 lost" in front(ada)
    assert "2 since somebody last looked" in page_of(ada, endpoint)
    subscribing.settle(endpoint.pk, by=ada)
    assert "Webhooks that lost events (0)" in front(ada)
    assert json.loads(LedgerEntry.objects.get(action="webhook.settled").body)["lost"] == 2


def test_a_receiver_that_is_away_costs_one_attempt_a_round_and_keeps_no_mail_waiting(
    endpoint: WebhookEndpoint, receiver: Receiver
):
    receiver.answers = [500] * 9
    for key in ("one", "two", "three"):
        publish(key=key)
    letter = {"to": "someone@example.com", "subject": "Subject", "body": "Text\n"}
    outbox.post("mail", "test:mail", letter)

    tasks.relay()
    assert len(mail.outbox) == 1 and not receiver.requests
    tasks.send_webhooks()
    assert len(receiver.requests) == 1

    receiver.answers = []
    assert webhooks.send_due(at=timezone.now() + HOUR)["sent"] == 3


def test_many_events_for_a_receiver_that_is_away_do_not_end_the_turn_of_others(
    endpoint: WebhookEndpoint, receiver: Receiver, ada: User
):
    for number in range(webhooks.AT_ONCE + 1):
        publish(key=f"many{number}")
    receiver.answers = [500]
    with receiving() as other:
        _, secret = subscribing.add("panel", other.url, [EVENT], by=ada)
        other.secrets = [secret]
        subscribing.choose(endpoint.pk, [webhooks.TEST], by=ada)
        publish(key="late")

        counts = webhooks.send_due()

        assert (counts["sent"], counts["failed"]) == (1, webhooks.AT_ONCE + 1)
        assert len(other.taken) == len(receiver.requests) == 1


def test_a_turn_ends_in_time(endpoint: WebhookEndpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "LONGEST_TURN", 0.0)
    publish()

    assert webhooks.send_due() == {} and not receiver.requests


def test_one_process_sends_at_a_time(endpoint: WebhookEndpoint, receiver: Receiver):
    publish()
    counts = []

    def work() -> None:
        counts.append(webhooks.send_due())
        connections.close_all()

    with webhooks._turn() as has_turn:
        assert has_turn
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert counts == [{}] and not receiver.requests
    assert webhooks.send_due()["sent"] == 1


# ---------------------------------------------------------------------------------------------- where nothing is sent


ADDRESSES = {
    "plain http": "http://shop.example.com/hook",
    "a user": "https://user@shop.example.com/hook",
    "a password": "https://user:secret@shop.example.com/hook",
    "a query": "https://shop.example.com/hook?token=secret",
    "an empty query": "https://shop.example.com/hook?",
    "a fragment": "https://shop.example.com/hook#secret",
    "another scheme": "ftp://shop.example.com/hook",
    "no scheme": "shop.example.com/hook",
    "no host": "https:///hook",
    "a blank": "https://shop.example.com/a b",
    "a line": "https://shop.example.com/a\r\nX-Other: 1",
    "a backslash": "https://shop.example.com\\@evil.example.com/",
    "a port that is none": "https://shop.example.com:99999/",
    "a private address": "https://10.0.0.7/hook",
    "a private address by http": "http://10.0.0.7/hook",
    "link-local": "https://169.254.169.254/latest/meta-data",
    "link-local of IPv6": "https://[fe80::1]/hook",
    "unique local": "https://[fd00::1]/hook",
    "a shared network": "https://100.64.0.1/hook",
    "an IPv4 address inside IPv6": "https://[::ffff:10.0.0.7]/hook",
    "one behind NAT64": "https://[64:ff9b::10.0.0.7]/hook",
    "everywhere": "https://0.0.0.0/hook",
    "multicast": "https://224.0.0.1/hook",
    "digits": "https://2130706433/hook",
    "digits in hexadecimal": "https://0x7f000001/hook",
    "too long": f"https://shop.example.com/{'a' * 500}",
    "nothing": "",
}


@pytest.mark.parametrize("what", ADDRESSES)
def test_an_address_that_leads_astray_is_refused_and_not_repeated(ada: User, what: str):
    with pytest.raises(ValidationError) as error:
        subscribing.add("shop", ADDRESSES[what], [EVENT], by=ada)

    assert "secret" not in str(error.value) and "example.com/hook" not in str(error.value).replace(
        "https://system.example.com/hook", ""
    )
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" https://Shop.Example.com/Hook/a-b ", "https://shop.example.com/Hook/a-b"),
        ("https://bücher.example/x", ""),
        ("https://shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com:8443/", "https://shop.example.com:8443/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
        ("https://192.0.43.8/", "https://192.0.43.8/"),
    ],
)
def test_an_address_is_kept_in_its_short_form(given: str, kept: str):
    if kept:
        assert reaching.clean_url(given) == kept
    else:
        with pytest.raises(ValidationError):
            reaching.clean_url(given)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/hook", "http://localhost/hook", "https://127.0.0.1/hook"])
def test_loopback_is_for_a_trial_alone(settings: Any, url: str):
    assert reaching.clean_url(url) == url

    settings.WEBHOOK_NETWORKS = []
    if url == "http://localhost/hook":
        with pytest.raises(ValidationError, match="begins with https"):
            reaching.clean_url(url)
    else:
        with pytest.raises(ValidationError):
            reaching.clean_url(url)


def test_production_reaches_no_private_network_by_its_settings():
    asked = "from chicagocloud import settings; print(settings.WEBHOOK_NETWORKS)"
    for trial, expected in (("0", "[]"), ("1", "['127.0.0.0/8', '::1/128']")):
        environment = {**os.environ, "CHICAGOCLOUD_TRIAL": trial}
        environment.pop("WEBHOOK_NETWORKS", None)
        said = subprocess.run(
            [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == expected


def test_in_production_an_endpoint_of_a_trial_is_sent_nothing(
    endpoint: WebhookEndpoint, receiver: Receiver, settings: Any
):
    settings.WEBHOOK_NETWORKS = []
    publish()

    assert outbox.relay()["failed"] == 1
    assert not receiver.requests and again(endpoint).last_failure == "AddressRefused"


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("private", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_sent_to(
    settings: Any, monkeypatch: pytest.MonkeyPatch, private: str
):
    settings.WEBHOOK_NETWORKS = []
    resolve(monkeypatch, ["93.184.216.34", private])
    tried: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda where, **_: tried.append(where))

    with pytest.raises(reaching.AddressRefused):
        reaching.post("https://shop.example.com/hook", {}, b"{}")
    assert not tried


def test_the_connection_goes_to_the_address_that_was_looked_at(settings: Any, monkeypatch: pytest.MonkeyPatch):
    settings.WEBHOOK_NETWORKS = []
    asked = resolve(monkeypatch, ["93.184.216.34"])
    tried: list[Any] = []

    def refuse(where: Any, **_: Any) -> socket.socket:
        tried.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)

    with pytest.raises(ConnectionRefusedError):
        reaching.post("https://shop.example.com/hook", {}, b"{}")
    assert tried == [("93.184.216.34", 443)] and asked == ["shop.example.com"]


def test_a_private_network_is_reached_once_the_operator_names_it(settings: Any):
    url = "https://10.20.0.7/hook"
    with pytest.raises(ValidationError):
        reaching.clean_url(url)

    settings.WEBHOOK_NETWORKS = ["10.20.0.0/24"]

    assert reaching.clean_url(url) == url
    with pytest.raises(ValidationError):
        reaching.clean_url("http://10.20.0.7/hook")


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> list[str]:
    """Let every name lead to these addresses; return the list of the names that are asked for."""
    asked: list[str] = []

    def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_receiver_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaching, "WHOLE", 0.5)
    done = threading.Event()

    def drip(server: socket.socket) -> None:
        line, _ = server.accept()
        with line:
            while not done.wait(0.05):
                try:
                    line.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=[server])
        thread.start()
        began = timezone.now()
        with pytest.raises(reaching.TookTooLong):
            reaching.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
        done.set()
        thread.join()
    assert timezone.now() - began < 3 * SECOND


def certificate(folder: Path, *names: x509.GeneralName) -> Path:
    """Return the path of a key and a certificate of its own for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    path = folder / "shop.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("names", "is_trusted", "is_taken"),
    [
        ([x509.DNSName("localhost")], True, True),
        ([x509.DNSName("localhost")], False, False),
        # The certificate is that of the name, not of the address it leads to.
        ([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], True, False),
        ([x509.DNSName("other.example.com")], True, False),
    ],
)
def test_the_certificate_is_verified_against_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[x509.GeneralName], is_trusted: bool, is_taken: bool
):
    pem = certificate(tmp_path, *names)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = HTTPServer(("127.0.0.1", 0), Taking)
    server.timeout = 5
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    resolve(monkeypatch, ["127.0.0.1"])
    url = f"https://localhost:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        if is_taken:
            assert reaching.post(url, {}, b"{}") == 204
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                reaching.post(url, {}, b"{}")
    finally:
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_webhookendpoint SET url = 'http://shop.example.com/'",
        "UPDATE accounts_webhookendpoint SET url = 'http://127.0.0.1.example.com/'",
        "UPDATE accounts_webhookendpoint SET url = 'https://u:p@shop.example.com/'",
        "UPDATE accounts_webhookendpoint SET url = 'https://shop.example.com/?token=1'",
        "UPDATE accounts_webhookendpoint SET events = '{}'",
        "UPDATE accounts_webhookendpoint SET state = 'paused'",
        "UPDATE accounts_webhookendpoint SET state = 'other'",
        "UPDATE accounts_webhookendpoint SET paused_at = now()",
        "UPDATE accounts_webhookendpoint SET lost = 3",
        "UPDATE accounts_webhookendpoint SET previous_secret = secret",
    ],
)
def test_the_database_refuses_what_must_never_be(endpoint: WebhookEndpoint, runtime: Connection, sql: str):
    with pytest.raises(psycopg.errors.CheckViolation):
        runtime.execute(sql)


# ---------------------------------------------------------------------------------------------- silence, logs, ledger


def test_an_event_of_a_sealed_matter_is_seen_by_those_who_may_and_leaves_no_trace(
    paula: User, ada: User, receiver: Receiver, runtime: Connection
):
    def stored() -> Any:
        return runtime.execute("SELECT t::text FROM accounts_webhookendpoint t").fetchall()

    made, secret = subscribing.add("counsel", receiver.url, [EVENT, SEALED], by=paula)
    receiver.secrets, receiver.answers = [secret], [410]
    before = stored()
    seen = page_of(ada, made), front(ada)

    assert publish(SEALED) == 1
    assert row().event.startswith(outbox.SEALED)
    outbox.relay()
    assert stored() == before
    assert (page_of(ada, made), front(ada)) == seen
    assert "test.secret" in page_of(paula, made)
    assert outbox.relay(at=timezone.now() + HOUR)["sent"] == 1
    assert receiver.taken[str(row().pk)]["type"] == "test.secret"

    publish(SEALED, key="two")
    outbox.relay(at=timezone.now() + outbox.KEPT_FOR + HOUR)
    assert (page_of(ada, made), front(ada)) == seen
    assert "test.secret" not in page_of(ada, made)
    # What everybody may know of leaves its trace: the comparison can fail.
    publish(key="open")
    outbox.relay()
    assert page_of(ada, made) != seen[0]


def test_a_sealed_event_is_chosen_by_those_who_may_know_of_it(ada: User, paula: User, endpoint: WebhookEndpoint):
    with pytest.raises(PermissionDenied):
        subscribing.add("other", endpoint.url, [SEALED], by=ada)
    with pytest.raises(PermissionDenied):
        subscribing.choose(endpoint.pk, [EVENT, SEALED], by=ada)
    assert SEALED not in [event.name for event in subscribing.choosable(ada)]
    assert SEALED in [event.name for event in subscribing.choosable(paula)]

    subscribing.choose(endpoint.pk, [EVENT, SEALED], by=paula)
    subscribing.choose(endpoint.pk, [webhooks.TEST], by=ada)

    assert again(endpoint).events == sorted([SEALED, webhooks.TEST])


def test_logs_carry_no_address_no_secret_and_no_body(
    endpoint: WebhookEndpoint, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    receiver.answers = [500]
    with caplog.at_level(logging.DEBUG):
        publish(data={"case": "REF-IN-BODY"})
        webhooks.send_due()
        WebhookEndpoint.objects.update(url="http://127.0.0.1:1/path-of-a-hook")
        webhooks.send_due(at=timezone.now() + HOUR)
        tasks.send_webhooks()

    said = caplog.text + str([record.__dict__ for record in caplog.records if record.name != "django.db.backends"])
    assert "outbox message failed" in said and "ConnectionRefusedError" in said
    assert not [word for word in ("REF-IN-BODY", "/hook", "path-of-a-hook", "whsec_", "127.0.0.1") if word in said]


def test_every_act_is_in_the_ledger_by_ids_alone(endpoint: WebhookEndpoint, ada: User):
    subscribing.choose(endpoint.pk, [EVENT, webhooks.TEST], by=ada)
    subscribing.rotate(endpoint.pk, by=ada)
    subscribing.send_test(endpoint.pk, by=ada)
    subscribing.pause(endpoint.pk, by=ada)
    subscribing.resume(endpoint.pk, by=ada)
    WebhookEndpoint.objects.update(lost=1, lost_at=timezone.now())
    subscribing.settle(endpoint.pk, by=ada)

    entries = LedgerEntry.objects.filter(action__startswith="webhook.").order_by("id")
    acts = ["added", "events_chosen", "rotated", "tested", "paused", "resumed", "settled"]
    assert [entry.action for entry in entries] == [f"webhook.{act}" for act in acts]
    assert {entry.actor for entry in entries} == {ada.actor}
    assert all(json.loads(entry.body)["endpoint"] == str(endpoint.pk) for entry in entries)
    assert "127.0.0.1" not in "".join(entry.body for entry in entries)


def test_only_administrators_keep_endpoints(endpoint: WebhookEndpoint, lex: User, sam: User, alice: User):
    for user in (lex, sam, alice):
        with pytest.raises(PermissionDenied):
            subscribing.add("other", endpoint.url, [EVENT], by=user)
        for act in (subscribing.rotate, subscribing.pause, subscribing.resume, subscribing.settle):
            with pytest.raises(PermissionDenied):
                act(endpoint.pk, by=user)
        with pytest.raises(PermissionDenied):
            subscribing.send_test(endpoint.pk, by=user)
        with pytest.raises(PermissionDenied):
            subscribing.choose(endpoint.pk, [EVENT], by=user)


def test_what_cannot_be_done_says_why(endpoint: WebhookEndpoint, ada: User):
    with pytest.raises(NotActionable, match="shop is active"):
        subscribing.resume(endpoint.pk, by=ada)
    with pytest.raises(NotActionable, match="shop has lost no event"):
        subscribing.settle(endpoint.pk, by=ada)
    with pytest.raises(NotActionable, match="Another endpoint has this name"):
        subscribing.add("shop", endpoint.url, [EVENT], by=ada)
    with pytest.raises(NotActionable, match="at least one event"):
        subscribing.choose(endpoint.pk, [], by=ada)
    with pytest.raises(NotActionable, match="at least one event"):
        subscribing.add("other", endpoint.url, ["test.unknown"], by=ada)
    for name in ("bob@example.com", "4242 4242 4242 4242", " "):
        with pytest.raises(ValidationError):
            subscribing.add(name, endpoint.url, [EVENT], by=ada)
    subscribing.pause(endpoint.pk, by=ada)
    with pytest.raises(NotActionable, match="shop is paused already"):
        subscribing.pause(endpoint.pk, by=ada)
    with pytest.raises(NotActionable, match="shop is paused"):
        subscribing.send_test(endpoint.pk, by=ada)


# ---------------------------------------------------------------------------------------------- the admin


def client_of(user: User) -> Client:
    client = Client()
    entered(client, user)
    return client


def front(user: User) -> str:
    """Return the front page of the admin as this member of staff sees it, without what differs at each visit."""
    return _same(client_of(user).get("/admin/").content.decode())


def page_of(user: User, endpoint: WebhookEndpoint) -> str:
    return _same(client_of(user).get(act_of(endpoint, "change")).content.decode())


def _same(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)


def act_of(endpoint: WebhookEndpoint | None, act: str) -> str:
    name = f"admin:accounts_webhookendpoint_{act}"
    return reverse(name, args=[endpoint.pk]) if endpoint else reverse(name)


def test_an_endpoint_is_added_tried_and_rotated_in_the_admin(ada: User, receiver: Receiver):
    client = client_of(ada)
    given = {"name": "shop", "url": receiver.url, "events": [EVENT]}

    page = client.post(act_of(None, "add-endpoint"), given).content.decode()
    endpoint = WebhookEndpoint.objects.get()
    [secret] = endpoint.secrets(timezone.now())
    assert secret in page and "not shown again" in page
    receiver.secrets = [secret]
    assert secret not in client.get(act_of(endpoint, "change")).content.decode()

    client.post(act_of(endpoint, "test"))
    assert webhooks.send_due()["sent"] == 1
    [event] = receiver.taken.values()
    assert (event["type"], event["data"]) == (webhooks.TEST, {})
    shown = page_of(ada, endpoint)
    assert webhooks.TEST in shown and "sent" in shown and "identifiers only" in shown

    seen = client.get(act_of(endpoint, "rotate")).context["form"]["seen"].value()
    page = client.post(act_of(endpoint, "rotate"), {"seen": seen}).content.decode()
    new, old = again(endpoint).secrets(timezone.now())
    assert new in page and old == secret
    assert client.post(act_of(endpoint, "rotate"), {"seen": seen}).status_code == 409


def test_a_secret_is_made_only_soon_after_a_second_factor(ada: User, endpoint: WebhookEndpoint):
    client = client_of(ada)
    session = client.session
    stale = [{**one, "at": one["at"] - 601} for one in session[AUTHENTICATION_METHODS_SESSION_KEY]]
    session[AUTHENTICATION_METHODS_SESSION_KEY] = stale
    session.save()

    for address in (act_of(endpoint, "rotate"), act_of(None, "add-endpoint")):
        for answer in (client.get(address), client.post(address, {"seen": endpoint.rotation})):
            assert answer.status_code == 302 and answer["Location"].startswith(reverse("mfa_reauthenticate"))
    assert again(endpoint).rotation == "first"
    assert client.get(act_of(endpoint, "pause")).status_code == 200


def test_a_wrong_address_is_an_error_on_the_form(ada: User):
    given = {"name": "shop", "url": "https://shop.example.com/?token=1", "events": [EVENT]}

    answer = client_of(ada).post(act_of(None, "add-endpoint"), given)

    assert answer.status_code == 422 and "Leave out what follows" in answer.content.decode()


# ---------------------------------------------------------------------------------------------- the sample receiver


def test_the_sample_receiver_runs_by_itself_and_takes_what_is_rightly_signed():
    secret = subscribing._new_secret()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(__file__).with_name("webhook_receiver.py")
    command = [sys.executable, str(script), "--port", str(port), "--secret", secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        now = timezone.now()
        name, body = str(uuid7()), '{"type":"webhook.test","timestamp":"2026-11-27T00:00:00.000Z","data":{}}'
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(name, now, body),
        }
        url = f"http://127.0.0.1:{port}/hook"
        assert reaching.post(url, headers, body.encode()) == 204
        assert reaching.post(url, headers, b"{}") == 401
        assert process.stdout.readline().startswith(f"204 {name}")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
