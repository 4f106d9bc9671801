"""Signed webhooks: what a receiver can prove, what is tried again, where nothing is sent, and who may do what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from accounts import subscribing, webhooks
from accounts.models import User, WebhookEndpoint
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from tests.cast import make_staff
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.usefixtures("committed")
EVENT = "test.happened"


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    """Events of the tests alone, one of them sealed."""
    names = [EVENT, f"{outbox.SEALED}test.secret"]
    for name in names:
        webhooks.declare_event(name, fields=("case", "works"), about="Something happened.")
    yield
    for name in names:
        del webhooks.EVENTS[name]


@pytest.fixture
def ada() -> User:
    """Who administers the systems."""
    return make_staff("ada", "administrator")


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


def publish(key: str = "one", **given: Any) -> int:
    facts: dict[str, Any] = {"data": {"case": "AB-1", "works": ["w1", "w2"]}, **given}
    with transaction.atomic():
        return webhooks.publish(EVENT, key=key, **facts)


def test_a_receiver_can_prove_who_sent_an_event(endpoint: WebhookEndpoint, receiver: Receiver):
    at = dt.datetime(2026, 11, 27, 4, 5, 6, tzinfo=dt.UTC)

    assert publish(at=at) == 1
    assert outbox.relay()["sent"] == 1

    [(name, event)] = receiver.taken.items()
    assert event == {
        "type": EVENT,
        "timestamp": "2026-11-27T04:05:06.000Z",
        "data": {"case": "AB-1", "works": ["w1", "w2"]},
    }
    assert name == str(OutboxMessage.objects.get().pk)
    endpoint.refresh_from_db()
    assert endpoint.last_sent_at is not None and endpoint.last_failure == ""
