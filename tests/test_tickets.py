"""Tickets: customers write, staff answer and the customer is told; no card number, no stranger, nothing
twice.
"""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts import supporting
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Correspondence, Ticket, TicketMessage, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from retention.closing import close
from tests.cast import make_staff

pytestmark = pytest.mark.usefixtures("committed")

CARD = "Take my card: 4242 4242 4242 4242"


@pytest.fixture
def ticket(alice: User) -> Ticket:
    return supporting.open_ticket(alice.account, by=alice, subject="A question", body="How?")


def test_a_ticket_begins_with_its_first_message_and_waits_for_staff(alice: User, ticket: Ticket):
    message = TicketMessage.objects.get(ticket=ticket)
    assert (message.body, message.author, message.is_from_staff) == ("How?", alice.pk, False)
    assert ticket.state == Ticket.State.WAITING_FOR_STAFF and ticket.reference.startswith("TIC-")
    entry = LedgerEntry.objects.get(action="ticket.opened")
    assert entry.subject == alice.account_id and "How" not in entry.body


def test_staff_answer_and_the_customer_is_told_without_the_words(sam: User, alice: User, ticket: Ticket):
    supporting.reply(ticket.pk, by=sam, body="A canary answer")
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.ANSWERED
    mail = OutboxMessage.objects.get()
    assert mail.content["to"] == "alice@alice.example" and ticket.reference in mail.content["subject"]
    assert "canary" not in mail.content["body"]
    assert Correspondence.objects.get(account=alice.account_id).event == mail.event


def test_the_customers_answer_waits_for_staff_again_and_mails_nobody(sam: User, alice: User, ticket: Ticket):
    supporting.reply(ticket.pk, by=sam, body="Like this.")
    before = OutboxMessage.objects.count()
    supporting.reply(ticket.pk, by=alice, body="Thanks.")
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.WAITING_FOR_STAFF
    assert OutboxMessage.objects.count() == before


def test_strangers_and_staff_without_the_role_write_nothing(bob: User, ticket: Ticket):
    for stranger in (bob, make_staff("bill", "billing"), make_staff("nora")):
        with pytest.raises(PermissionDenied):
            supporting.reply(ticket.pk, by=stranger, body="Me too")
    assert TicketMessage.objects.count() == 1


def test_nobody_opens_a_ticket_for_another_account(alice: User, bob: User, sam: User):
    for stranger in (bob, sam):
        with pytest.raises(PermissionDenied):
            supporting.open_ticket(alice.account, by=stranger, subject="Hers", body="x")


def test_a_card_number_is_refused_before_anything_is_kept(alice: User, ticket: Ticket):
    with pytest.raises(ValidationError, match="card number"):
        supporting.open_ticket(alice.account, by=alice, subject="Card", body=CARD)
    with pytest.raises(ValidationError, match="card number"):
        supporting.open_ticket(alice.account, by=alice, subject=CARD, body="x")
    with pytest.raises(ValidationError, match="card number"):
        supporting.reply(ticket.pk, by=alice, body=CARD)
    assert Ticket.objects.count() == TicketMessage.objects.count() == 1


def test_a_form_sent_twice_makes_one_message(alice: User, ticket: Ticket):
    submission = uuid7()
    first = supporting.reply(ticket.pk, by=alice, body="Again?", submission=submission)
    assert supporting.reply(ticket.pk, by=alice, body="Again?", submission=submission) == first
    twice = uuid4()
    one = supporting.open_ticket(alice.account, by=alice, subject="New", body="x", submission=twice)
    assert supporting.open_ticket(alice.account, by=alice, subject="New", body="x", submission=twice) == one
    assert (Ticket.objects.count(), TicketMessage.objects.count()) == (2, 3)


def test_without_the_forms_id_it_would_be_two(alice: User, ticket: Ticket):
    """Negative control: it is the id of the form that makes the second send the same."""
    for _ in range(2):
        supporting.reply(ticket.pk, by=alice, body="Again?")
    assert TicketMessage.objects.filter(ticket=ticket).count() == 3


def test_a_form_of_somebody_else_opens_nothing(alice: User, bob: User, ticket: Ticket):
    hers = TicketMessage.objects.get(ticket=ticket)
    with pytest.raises(NotActionable, match="used already"):
        supporting.open_ticket(bob.account, by=bob, subject="x", body="y", submission=hers.pk)


def test_a_closed_account_writes_in_its_tickets_and_opens_none(alice: User, ticket: Ticket):
    closed = close(alice.account_id, by=alice, submission=uuid4())
    with pytest.raises(NotActionable, match="is closed"):
        supporting.open_ticket(alice.account, by=alice, subject="New", body="x")
    supporting.reply(ticket.pk, by=alice, body="One more thing")
    supporting.reply(closed.request.ticket, by=alice, body="Are you sure?")


def test_after_the_due_date_nobody_writes(alice: User, sam: User, ticket: Ticket):
    close(alice.account_id, by=alice, submission=uuid4())
    later = timezone.now() + dt.timedelta(days=31)
    for author in (alice, sam):
        with pytest.raises(NotActionable, match="sign-in has ended"):
            supporting.reply(ticket.pk, by=author, body="Too late", at=later)


@pytest.mark.parametrize("who", ["alice", "sam"])
def test_a_ticket_is_ended_by_its_people_or_staff_and_nobody_writes_in_it_then(
    request: pytest.FixtureRequest, alice: User, ticket: Ticket, who: str
):
    by = request.getfixturevalue(who)
    supporting.close_ticket(ticket.pk, by=by)
    supporting.close_ticket(ticket.pk, by=by)
    assert LedgerEntry.objects.get(action="ticket.closed").actor == by.actor
    with pytest.raises(NotActionable, match=f"{ticket.reference} is closed"):
        supporting.reply(ticket.pk, by=alice, body="But")


def test_nobody_else_ends_a_ticket(bob: User, ticket: Ticket):
    for stranger in (bob, make_staff("bill", "billing"), make_staff("nora")):
        with pytest.raises(PermissionDenied):
            supporting.close_ticket(ticket.pk, by=stranger)
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.WAITING_FOR_STAFF


def test_the_ticket_of_a_deletion_stays_open_until_sign_in_ends(alice: User, sam: User):
    closed = close(alice.account_id, by=alice, submission=uuid4())
    for by in (sam, alice):
        with pytest.raises(NotActionable, match="stays open"):
            supporting.close_ticket(closed.request.ticket, by=by)
    ended = supporting.close_ticket(closed.request.ticket, by=sam, at=closed.request.due_at)
    assert ended.state == Ticket.State.CLOSED


def test_what_nobody_would_read_waits_for_nobody(alice: User, bob: User, ticket: Ticket):
    closed = close(alice.account_id, by=alice, submission=uuid4())
    other = supporting.open_ticket(bob.account, by=bob, subject="x", body="y")
    before = Ticket.objects.waiting_for_staff(closed.request.due_at - dt.timedelta(seconds=1))
    assert {found.pk for found in before} == {ticket.pk, closed.request.ticket, other.pk}
    assert list(Ticket.objects.waiting_for_staff(closed.request.due_at)) == [other]
