"""Signed webhooks (Standard Webhooks) to other systems of the company, through the outbox.

An act publishes an event in its own transaction: one outbox row per active endpoint that takes it. The relay signs and
posts it, with the row's id as `webhook-id`, so that a receiver knows a repeat. What is sent holds identifiers only:
the declared fields of the event, each a reference, an id, a moment or a fixed word.

No event about a hold leaves the company (silence.md, S12). An event that begins with `outbox.SEALED` goes only where
somebody chose it who may know of sealed matters, and leaves no trace on the endpoint that others read.

A row that failed for the whole of `outbox.KEPT_FOR` expires unsent, like a mail; the endpoint says so and staff have a
task. Nothing is kept of what a receiver answers but whether it took the event.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts import reaching
from accounts.models import EndpointState, WebhookEndpoint
from accounts.safeguards import outbox
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import OutboxMessage

KIND = "webhook"
NAME = re.compile(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+")
# An id as key fits beside it into the event of an outbox row.
LONGEST_NAME = 31
FIELD = re.compile(r"[a-z]+(_[a-z]+)*")
# Ids, references, moments and fixed words, as the ledger takes them; never words of a person, never an address.
VALUE = re.compile(r"[A-Za-z0-9_.:+\-]{1,100}")
LONGEST_EVENT = 120
# Only one process at a time sends: a receiver that answers nothing keeps one worker busy, not all.
TURN = 0x57EB_400C
# Seconds after which no more are begun, and how many are carried out before the clock is looked at: slow receivers keep
# a turn far below what a task may take.
LONGEST_TURN, AT_ONCE = 120.0, 5

Value = str | list[str] | None


class NotDeclared(ValueError):
    """An event, a field or a value that no room has declared was offered."""


class EndpointWaits(Exception):
    """The endpoint is paused, or has just failed: what is for it waits."""


class ReceiverRedirects(Exception):
    """The receiver answered with a redirect, which is never followed."""


class ReceiverRefuses(Exception):
    """The receiver answered that it does not take the event (4xx)."""


class ReceiverFails(Exception):
    """The receiver answered that something is wrong with it (5xx), or with no status that means anything."""


class ReceiverIsGone(Exception):
    """The receiver answered 410: it wants no more events, and the endpoint is paused."""


@dataclass(frozen=True)
class Event:
    """An event that other systems can be told: its fields hold identifiers only."""

    name: str
    fields: tuple[str, ...] = ()
    about: str = ""

    @property
    def is_sealed(self) -> bool:
        """Return whether only those may choose it who may know of sealed matters."""
        return self.name.startswith(outbox.SEALED)

    @property
    def type(self) -> str:
        """Return the name as a receiver reads it."""
        return self.name.removeprefix(outbox.SEALED)


EVENTS: dict[str, Event] = {}


def declare_event(name: str, fields: Sequence[str] = (), about: str = "") -> Event:
    """Declare an event such as "service.suspended" with the names of its fields; `about` says when it happens.

    Raises NotDeclared for a name or field that is none, or a second declaration that says something else.
    """
    event = Event(name, tuple(fields), about)
    if not NAME.fullmatch(event.type) or len(event.type) > LONGEST_NAME:
        raise NotDeclared(f"An event is named like service.suspended, in {LONGEST_NAME} letters at most.")
    if not all(FIELD.fullmatch(field) for field in event.fields):
        raise NotDeclared(f"The fields of {name} are plain words in small letters.")
    if EVENTS.setdefault(name, event) != event:
        raise NotDeclared(f"The event {name} is declared already, with other fields or words.")
    return event


TEST = declare_event("webhook.test", about="Staff sent a test.").name


def publish(
    event: str,
    *,
    key: str,
    data: Mapping[str, Value],
    subject: UUID | None = None,
    at: dt.datetime | None = None,
) -> int:
    """Tell the endpoints that take `event`, in the caller's transaction; return to how many it goes.

    `key` names the act, e.g. the id of what it made: the same event with the same key goes to an endpoint once. `data`
    holds declared fields only, each an identifier, a list of them or None; a declared field that is left out is None.
    `subject` is whose event it is, for the outbox alone: it is not sent. Raises NotDeclared for anything else.
    """
    at = at or timezone.now()
    declared = EVENTS.get(event)
    if declared is None:
        raise NotDeclared(f"The event {event} is not declared: declare_event() says what it holds.")
    body = _body(declared, data, at)
    endpoints = WebhookEndpoint.objects.taking(event).order_by("pk").values_list("pk", flat=True)
    return sum(_post(declared, key, pk, body, subject, at) for pk in endpoints)


def post_test(endpoint: WebhookEndpoint, key: str, at: dt.datetime) -> bool:
    """Send one endpoint a test event, in the caller's transaction; return False when this key was sent before."""
    return _post(EVENTS[TEST], key, endpoint.pk, _body(EVENTS[TEST], {}, at), None, at)


def deliveries(endpoint_id: UUID, *, sealed: bool) -> Iterator[OutboxMessage]:
    """Yield the newest rows for an endpoint, twenty at most of the last thirty days; sealed ones when told to."""
    # Ids are made in the order of time: the primary key bounds the search.
    since = UUID(int=int((timezone.now() - dt.timedelta(days=30)).timestamp() * 1000) << 80)
    rows = OutboxMessage.objects.filter(kind=KIND, pk__gte=since, event__endswith=f":{endpoint_id}").defer("content")
    rows = rows if sealed else rows.exclude(event__startswith=outbox.SEALED)
    yield from rows.order_by("-pk")[:20]


def type_of(message: OutboxMessage) -> str:
    """Return the type of the event that a row tells, as its receiver reads it."""
    return message.event.removeprefix(outbox.SEALED).split(":")[1]


def send_due(at: dt.datetime | None = None) -> dict[str, int]:
    """Carry out the webhooks that are due; counts as `outbox.relay` gives them, none while another process sends.

    An endpoint that failed is left alone until the next call: a receiver that is away costs one attempt a call.
    """
    total: Counter[str] = Counter()
    with _turn() as has_turn, _forgetting():
        ends = time.monotonic() + LONGEST_TURN
        while has_turn and time.monotonic() < ends:
            counts = outbox.relay(AT_ONCE, at, only=[KIND])
            total.update(counts)
            if not counts["sent"] + counts["failed"]:
                break
    return dict(total)


@outbox.handles(KIND)
def send(message: OutboxMessage) -> None:
    """Sign one event and post it; whatever is not taken raises, and the outbox tries again."""
    endpoint = WebhookEndpoint.objects.get(pk=message.content["endpoint"])
    failed = _failed.get()
    if endpoint.state != EndpointState.ACTIVE or failed is not None and endpoint.pk in failed:
        raise EndpointWaits(f"Endpoint {endpoint.pk} is paused or has just failed.")
    now = timezone.now()
    body: str = message.content["body"]
    signatures = [Webhook(secret).sign(str(message.pk), now, body) for secret in endpoint.secrets(now)]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ChicagoCloud-Webhooks/1",
        "webhook-id": str(message.pk),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    try:
        _judge(reaching.post(endpoint.url, headers, body.encode()))
    except Exception as error:
        if failed is not None:
            failed.add(endpoint.pk)
        _note_failure(message, endpoint, error)
        # The error of a connection can name the address; its class is all that goes on.
        raise
    if not _is_sealed(message):
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(last_sent_at=timezone.now(), last_failure="")


@outbox.when_expired(KIND)
def note_lost(message: OutboxMessage, at: dt.datetime) -> None:
    """Tell the endpoint that an event for it expired unsent; staff have a task until they have looked."""
    if not _is_sealed(message):
        lost = WebhookEndpoint.objects.filter(pk=message.event.rpartition(":")[2])
        lost.update(lost=F("lost") + 1, lost_at=Coalesce("lost_at", at))


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise ReceiverIsGone("The receiver wants no more events.")
    if 300 <= status < 400:
        raise ReceiverRedirects("The receiver answered with a redirect.")
    raise (ReceiverRefuses if 400 <= status < 500 else ReceiverFails)("The receiver did not take the event.")


def _note_failure(message: OutboxMessage, endpoint: WebhookEndpoint, error: Exception) -> None:
    if _is_sealed(message):
        return
    now = timezone.now()
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    rows.update(last_failure=type(error).__name__, last_failed_at=now)
    if isinstance(error, ReceiverIsGone):
        rows.filter(state=EndpointState.ACTIVE).update(state=EndpointState.PAUSED, paused_at=now, gone_at=now)


def _is_sealed(message: OutboxMessage) -> bool:
    return message.event.startswith(outbox.SEALED)


def _body(event: Event, data: Mapping[str, Value], at: dt.datetime) -> str:
    unknown = sorted(set(data) - set(event.fields))
    if unknown:
        raise NotDeclared(f"The event {event.name} does not declare the field {unknown[0]!r}.")
    for name, value in data.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None and not _is_identifier(each):
                raise NotDeclared(f"The field {name} of {event.name} takes ids, references, moments and fixed words.")
    told = {name: data.get(name) for name in event.fields}
    moment = at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event.type, "timestamp": moment, "data": told}, separators=(",", ":"))


def _is_identifier(value: object) -> bool:
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        return False
    try:
        refuse_card_number(value)
        ipaddress.ip_address(value)
    except ValidationError:
        return False
    except ValueError:
        return True
    return False


def _post(event: Event, key: str, endpoint: UUID, body: str, subject: UUID | None, at: dt.datetime) -> bool:
    name = f"{outbox.SEALED if event.is_sealed else ''}{KIND}:{event.type}:{key}:{endpoint}"
    if not VALUE.fullmatch(key) or len(name) > LONGEST_EVENT:
        raise NotDeclared(f"The key of {event.name} is an id or reference; this one is too long or none.")
    content = {"endpoint": str(endpoint), "body": body}
    return outbox.post(KIND, name, content, subject=subject, at=at) is not None


_failed: ContextVar[set[UUID] | None] = ContextVar("failed endpoints", default=None)


@contextmanager
def _forgetting() -> Iterator[None]:
    token = _failed.set(set())
    try:
        yield
    finally:
        _failed.reset(token)


@contextmanager
def _turn() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [TURN])
        (has_turn,) = cursor.fetchone()
    try:
        yield has_turn
    finally:
        if has_turn:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [TURN])
