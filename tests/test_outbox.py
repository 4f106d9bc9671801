"""The outbox: one event, one row, one Message-ID; a failing world is tried again, an address is gone in a week."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from accounts import mailing
from accounts.keys.models import DataKey, KeyWrap
from accounts.keys.routing import ALIAS as KEYS
from accounts.models import Contact, Correspondence, User
from accounts.safeguards import outbox, shredding
from accounts.safeguards.models import Delivery, DestructionOrder, OutboxMessage
from retention import purge
from tests.cast import make_customer
from tests.servers import Connection

pytestmark = pytest.mark.usefixtures("committed")
DAY = dt.timedelta(days=1)


def post(event: str = "test:1", **options: Any) -> OutboxMessage:
    content = {"to": "someone@example.com", "subject": "Subject", "body": "Text\n"}
    message = outbox.post("mail", event, content, **options)
    assert message is not None
    return OutboxMessage.objects.get(pk=message.pk)


@pytest.fixture
def broken_mail(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The outside world fails as often as the list is long."""
    failures: list[int] = [0, 0, 0]
    real = EmailMessage.send

    def send(self: EmailMessage, *args: Any, **kwargs: Any) -> int:
        if failures:
            failures.pop()
            raise ConnectionRefusedError("someone@example.com cannot be written to")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(EmailMessage, "send", send)
    return failures


def test_a_mail_goes_out_once_and_leaves_nothing_readable_behind():
    message = post()
    assert outbox.relay() == {"sent": 1, "failed": 0, "expired": 0}
    assert outbox.relay() == {"sent": 0, "failed": 0, "expired": 0}
    [sent] = mail.outbox
    assert sent.to == ["someone@example.com"] and sent.extra_headers["Message-ID"].startswith(f"<{message.pk}@")
    row = OutboxMessage.objects.get()
    assert row.state == Delivery.SENT and row.content is None and row.ended_at is not None
    assert DestructionOrder.objects.get(subject=row.pk, categories=["mail"]).done_at is None


def test_the_key_of_a_sent_mail_is_destroyed_by_the_next_shredding():
    message = post()
    outbox.relay()
    shredding.destroy(shredding.pending(), lambda orders: None)
    assert DataKey.objects.get(subject=message.pk).destroyed_at is not None
    assert not KeyWrap.objects.exists()


def test_the_next_ring_of_the_purge_obeys_the_order_of_a_sent_mail_with_nothing_else_to_do():
    post()
    outbox.relay()
    assert purge.ring().keys == 1
    assert not DestructionOrder.objects.filter(done_at=None).exists()
    assert purge.ring().keys == 0


def test_one_event_makes_one_row():
    post()
    assert outbox.post("mail", "test:1", {"to": "x@example.com"}) is None
    assert OutboxMessage.objects.count() == 1


def test_two_who_post_one_event_at_once_make_one_row():
    message = post()
    clash = OutboxMessage(kind="mail", event=message.event, content={}, created_at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        clash.save(force_insert=True)
    assert OutboxMessage.objects.count() == 1


def test_a_rolled_back_business_transaction_takes_its_mail_with_it():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        post()
        raise ZeroDivisionError
    assert outbox.relay() == {"sent": 0, "failed": 0, "expired": 0} and not mail.outbox


def test_what_fails_is_tried_again_later_with_the_same_message_id(broken_mail: list[int]):
    message = post()
    at = timezone.now()
    waits = []
    for _ in range(3):
        assert outbox.relay(at=at)["failed"] == 1
        row = OutboxMessage.objects.get()
        assert row.state == Delivery.QUEUED and row.last_error == "ConnectionRefusedError"
        assert outbox.relay(at=at)["failed"] == 0, "a failed row waits before it is tried again"
        waits.append(row.retry_at - at)
        at = row.retry_at
    assert waits == [dt.timedelta(seconds=seconds) for seconds in (30, 60, 120)]
    assert outbox.relay(at=at)["sent"] == 1
    [sent] = mail.outbox
    assert str(message.pk) in sent.extra_headers["Message-ID"]


def test_the_wait_between_tries_grows_to_an_hour_and_no_further(broken_mail: list[int]):
    broken_mail.extend([0] * 20)
    post()
    at = timezone.now()
    for _ in range(12):
        outbox.relay(at=at)
        row = OutboxMessage.objects.get()
        wait, at = row.retry_at - at, row.retry_at
    assert wait == dt.timedelta(hours=1) and row.attempts == 12


def test_an_error_keeps_its_name_and_no_address(broken_mail: list[int]):
    post()
    outbox.relay()
    assert "example" not in OutboxMessage.objects.get().last_error


def test_a_mail_that_fails_does_not_hold_up_the_others(broken_mail: list[int]):
    broken_mail[:] = [0]
    post("test:1", at=timezone.now() - DAY)
    post("test:2")
    assert outbox.relay() == {"sent": 1, "failed": 1, "expired": 0}


def test_after_seven_days_an_address_is_gone_even_if_its_mail_could_not_be_delivered(broken_mail: list[int]):
    broken_mail.extend([0] * 50)
    message = post()
    late = timezone.now() + 7 * DAY
    outbox.relay(at=late - dt.timedelta(minutes=5))
    assert OutboxMessage.objects.get().content["to"] == "someone@example.com"
    counts = outbox.relay(at=late + dt.timedelta(minutes=5))
    assert counts == {"sent": 0, "failed": 0, "expired": 1}
    row = OutboxMessage.objects.get()
    assert row.state == Delivery.EXPIRED and row.content is None
    shredding.destroy(shredding.pending(), lambda orders: None)
    assert DataKey.objects.get(subject=message.pk).destroyed_at is not None


def test_a_withheld_mail_waits_for_its_release_and_its_week_counts_from_there():
    post()
    # As the purge makes it, with the deletion that its mail tells of.
    OutboxMessage.objects.update(due_at=None)
    assert outbox.relay(at=timezone.now() + 30 * DAY) == {"sent": 0, "failed": 0, "expired": 0}
    assert outbox.release(["test:1"]) == 1
    assert outbox.release(["test:1"]) == 0
    assert outbox.relay()["sent"] == 1


def test_a_mail_whose_key_is_destroyed_expires(keys_owner: Connection):
    message = post()
    keys_owner.execute("UPDATE keys_datakey SET destroyed_at = now() WHERE subject = %s", [message.pk])
    keys_owner.execute("DELETE FROM keys_keywrap")
    assert outbox.relay() == {"sent": 0, "failed": 0, "expired": 1} and not mail.outbox


def test_a_claim_whose_process_died_is_taken_up_again():
    message = post()
    at = timezone.now()
    claimed = outbox._claim(at)
    assert claimed is not None and claimed.pk == message.pk
    assert outbox.relay(at=at)["sent"] == 0
    assert outbox.relay(at=at + dt.timedelta(seconds=31))["sent"] == 1


def test_relays_side_by_side_send_each_mail_once():
    for number in range(30):
        post(f"test:{number}")
    counts = []

    def work() -> None:
        try:
            counts.append(outbox.relay())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sum(count["sent"] for count in counts) == 30
    assert len({sent.extra_headers["Message-ID"] for sent in mail.outbox}) == 30


def test_a_relay_without_row_locks_is_caught_sending_twice(monkeypatch: pytest.MonkeyPatch):
    post()
    stale = [outbox._claim(timezone.now())]
    OutboxMessage.objects.update(retry_at=None)
    stale.append(outbox._claim(timezone.now()))
    for message in stale:
        outbox._handlers["mail"](message)
    assert len(mail.outbox) == 2
    assert len({sent.extra_headers["Message-ID"] for sent in mail.outbox}) == 1


def test_a_mail_to_a_customer_is_kept_for_reading_and_says_when_it_was_sent(alice: User):
    account = alice.account
    with transaction.atomic():
        message = mailing.mail(
            account,
            "test:1",
            "accounts/mail/ticket_answered.txt",
            {"reference": "TIC-1", "answered_at": timezone.now()},
        )
    assert message is not None
    copy = Correspondence.objects.get(event="test:1")
    assert copy.sent_at is None
    outbox.relay()
    copy.refresh_from_db()
    assert copy.sent_at is not None and mail.outbox[-1].body.strip() == copy.body.strip()
    assert mail.outbox[-1].to == ["alice@alice.example"]
    assert "alice@alice.example" not in copy.body + copy.subject


def test_nobody_to_write_to_is_no_error(alice: User):
    Contact.objects.filter(account=alice.account_id).update(removed_at=timezone.now())
    assert mailing.mail(alice.account, "test:1", "accounts/mail/ticket_answered.txt", {}) is None


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM safeguards_outboxmessage",
        "UPDATE safeguards_outboxmessage SET event = 'other'",
        "UPDATE safeguards_outboxmessage SET id = gen_random_uuid()",
        "UPDATE safeguards_outboxmessage SET kind = 'other'",
        "TRUNCATE safeguards_outboxmessage",
    ],
)
def test_a_message_keeps_its_id_and_event(runtime: Connection, sql: str):
    post()
    with pytest.raises(psycopg.Error):
        runtime.execute(sql)
    assert OutboxMessage.objects.get().event == "test:1"


def test_an_ended_message_does_not_come_back(runtime: Connection):
    post()
    outbox.relay()
    with pytest.raises(psycopg.Error, match="has ended"):
        runtime.execute("UPDATE safeguards_outboxmessage SET state = 'queued', ended_at = NULL")


def test_no_address_stands_in_clear_while_a_mail_waits(owner: Connection):
    post()
    rows = owner.execute("SELECT row_to_json(m)::text, encode(content, 'escape') FROM safeguards_outboxmessage m")
    assert "someone" not in str(rows.fetchall())


def test_each_mail_has_a_key_of_its_own():
    first, second = post("test:1"), post("test:2")
    assert KeyWrap.objects.count() == 2
    assert set(DataKey.objects.using(KEYS).values_list("subject", flat=True)) == {first.pk, second.pk}


def test_events_of_two_customers_do_not_meet():
    for name in ("dora", "emil"):
        user = make_customer(name)
        mailing.mail(
            user.account,
            f"test:{uuid4()}",
            "accounts/mail/ticket_answered.txt",
            {"reference": "TIC-1", "answered_at": timezone.now()},
        )
    outbox.relay()
    assert sorted(sent.to[0] for sent in mail.outbox) == ["dora@dora.example", "emil@emil.example"]
