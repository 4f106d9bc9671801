"""The mails of a deletion as they leave the outbox: what they say, when, and that each is true when it is sent."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import Correspondence, Invoice, User
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from accounts.templatetags.portal_tags import day_text, moment_text
from retention import cancelling, closing, placing, purge, releasing, reminding
from retention.models import DeletionRequest, Erasure, Hold
from tests.cast import furnish, make_customer
from tests.visiting import find_in, signed_in, words

pytestmark = pytest.mark.usefixtures("committed")

DAY = dt.timedelta(days=1)
MONTH = 31 * DAY
# What a mail to a customer whose data is deleted must never speak of (silence.md, S5).
UNSAID = re.compile(r"\b(hold|held|legal|pause|resum|court|certificate|release)", re.IGNORECASE)


def closed(user: User, ago: dt.timedelta = DAY) -> closing.Closed:
    return closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - ago)


def sent(event: str, at: dt.datetime | None = None) -> mail.EmailMessage:
    """Let the outbox deliver; return the one mail about an event."""
    outbox.relay(at=at)
    key = OutboxMessage.objects.get(event__endswith=event).pk
    [message] = [one for one in mail.outbox if str(key) in one.extra_headers["Message-ID"]]
    return message


def links(body: str) -> list[str]:
    return re.findall(r"https?://[^/\s]+(/\S*)", body)


def test_the_first_mail_has_reference_code_dates_and_links_that_open(alice):
    made = closed(alice)
    request = made.request

    letter = sent(":received")

    assert letter.to == ["alice@alice.example"]
    assert letter.subject == f"We have your request {request.reference}"
    assert f"Code: {made.code}\n" in letter.body
    assert moment_text(request.requested_at) in letter.body
    assert f"From {moment_text(request.due_at)}" in letter.body
    assert f"By {moment_text(request.due_at + DAY)} we write whether it is finished." in letter.body
    assert links(letter.body) == [f"/delete/{request.reference}/cancel/", "/delete/find/"]
    assert made.code not in "".join(links(letter.body))
    assert [signed_in(alice).get(link).status_code for link in links(letter.body)] == [200, 200]
    # Opening a link does nothing.
    request.refresh_from_db()
    assert request.cancelled_at is None
    assert find_in(Client(), request.reference, made.code).status_code == 302


@pytest.mark.parametrize(("left", "told"), [(7 * DAY, 7), (6.5 * DAY, 7), (3.2 * DAY, 4), (DAY, 1), (0.3 * DAY, 1)])
def test_the_reminders_tell_what_is_left(alice, left, told):
    request = closed(alice).request
    at = request.due_at - left

    reminding.remind(at)
    letter = sent(f":due:{7 if left > DAY else 1}", at)

    days = "1 day" if told == 1 else f"{told} days"
    assert letter.subject == f"Deletion {request.reference} is due in {days}"
    assert f"From {moment_text(request.due_at)}" in letter.body
    assert links(letter.body) == [f"/delete/{request.reference}/cancel/", f"/delete/{request.reference}/"]


def test_no_reminder_comes_before_its_time_or_twice(alice):
    request = closed(alice).request

    assert reminding.remind(request.due_at - 7 * DAY - dt.timedelta(seconds=1)) == 0
    assert [reminding.remind(request.due_at - 7 * DAY) for _ in range(2)] == [1, 0]
    assert [reminding.remind(request.due_at - DAY) for _ in range(2)] == [1, 0]


def test_one_address_that_does_not_open_stops_no_other_mail_and_is_tried_again(alice, bob, owner, caplog):
    broken, due = closed(alice).request, closed(bob).request
    at = due.due_at - DAY
    [sound] = owner.execute("SELECT email FROM accounts_contact WHERE account_id = %s", [alice.account_id]).fetchone()

    def set_address(box: bytes) -> None:
        owner.execute("UPDATE accounts_contact SET email = %s WHERE account_id = %s", [box, alice.account_id])

    set_address(b"\x01" + b"\xab" * 60)
    assert reminding.remind(at) == 1
    assert OutboxMessage.objects.get(event__contains=":due:").subject == bob.account_id
    assert str(broken.pk) in caplog.text and "alice" not in caplog.text

    set_address(sound)
    assert reminding.remind(at) == 1


def test_a_short_grace_has_no_reminders(alice, settings):
    request = closed(alice).request
    settings.GRACE_SECONDS = 120

    assert reminding.remind(request.due_at - dt.timedelta(seconds=1)) == 0


def test_cancelling_is_told(alice):
    request = closed(alice).request
    cancelling.cancel(request.pk, by=alice)

    letter = sent(":cancelled")

    assert letter.subject == f"Request {request.reference} is cancelled"
    assert "this request deleted nothing" in letter.body
    assert reminding.remind(request.due_at + 5 * DAY) == 0


def test_the_done_mail_waits_for_the_verification_and_counts_what_went(charlie):
    made = closed(charlie, ago=MONTH)
    purge.ring()

    outbox.relay()
    assert not any("deleted" in one.subject for one in mail.outbox)
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    letter = sent(":done")

    rows = sum(erasure.rows_shown for erasure in Erasure.objects.all())
    until = Erasure.objects.get(category="invoices").due_at
    assert letter.to == ["charlie@charlie.example"]
    assert letter.subject == f"Your data is deleted: {made.request.reference}"
    assert f"We deleted {rows} records, and a later count found nothing left." in letter.body
    assert f"- Invoices and payments, scheduled until {day_text(until)}" in letter.body
    assert links(letter.body) == ["/delete/find/"]
    assert UNSAID.findall(letter.body.replace("lets us", "")) == []
    # It is stored nowhere: the last mail must not outlive the account.
    assert not Correspondence.objects.exists()
    # The page it leads to says the same.
    shown = words(find_in(Client(), made.request.reference, made.code, follow=True))
    assert "Your data is deleted." in shown


def test_nothing_kept_is_not_listed(alice):
    closed(alice, ago=MONTH)
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))

    assert not Invoice.objects.exists()
    assert "We keep" not in sent(":done").body


def test_the_done_mail_reads_alike_whether_or_not_something_was_held(rita):
    texts = []
    for name in ("never", "paused"):
        user = furnish(make_customer(name))
        request = closed(user, ago=MONTH).request
        if name == "paused":
            pause = placing.place(user.account_id, Hold.Kind.OPERATIONS, by=rita.actor, categories=["support"])
            purge.ring()
            assert not OutboxMessage.objects.filter(event__endswith=":done").exclude(subject=texts[0][0]).exists()
            releasing.end_pause(pause.pk, by=rita)
        purge.ring()
        purge.ring(timezone.now() + dt.timedelta(minutes=5))
        outbox.relay()
        body = next(one.body for one in mail.outbox if "deleted" in one.subject and request.reference in one.body)
        # Moments of closing differ between the two; all else does not.
        body = body.replace(request.reference, "R").replace(moment_text(request.requested_at), "T")
        texts.append((user.account_id, body))

    assert texts[0][1] == texts[1][1]


def test_a_deletion_in_chunks_counts_the_same(charlie, monkeypatch):
    closed(charlie, ago=MONTH)
    purge.end_sign_in(timezone.now())
    while purge.erase([charlie.account_id], chunk=3).rows == 3:
        pass
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))

    rows = sum(erasure.rows_shown for erasure in Erasure.objects.all())
    assert rows > 10
    assert f"We deleted {rows} records" in sent(":done").body


def test_nobody_is_mailed_about_somebody_elses_deletion(alice, bob):
    closed(alice, ago=MONTH)
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    outbox.relay()

    assert {to for one in mail.outbox for to in one.to} == {"alice@alice.example"}
    assert DeletionRequest.objects.count() == 1
