"""Tickets: customers write, staff answer and the customer is told; no card number, no stranger, nothing
twice.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import supporting, uploading
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Attachment, Correspondence, MediaType, Ticket, TicketMessage, TicketNote, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.uploads import Upload
from retention import cancelling
from retention.closing import close
from tests.admin_walk import BLIND, ROLES, make_world
from tests.cast import furnish, make_customer, make_staff
from tests.files import pdf, png
from tests.pairing import Side, addresses, normalised
from tests.visiting import signed_in, sql, words

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
    closed = close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="is closed"):
        supporting.open_ticket(alice.account, by=alice, subject="New", body="x")
    supporting.reply(ticket.pk, by=alice, body="One more thing")
    supporting.reply(closed.request.ticket, by=alice, body="Are you sure?")


def test_after_the_due_date_nobody_writes(alice: User, sam: User, ticket: Ticket):
    close(alice.account_id, by=alice, submission=uuid7())
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
    closed = close(alice.account_id, by=alice, submission=uuid7())
    for by in (sam, alice):
        with pytest.raises(NotActionable, match="stays open"):
            supporting.close_ticket(closed.request.ticket, by=by)
    ended = supporting.close_ticket(closed.request.ticket, by=sam, at=closed.request.due_at)
    assert ended.state == Ticket.State.CLOSED


def test_what_nobody_would_read_waits_for_nobody(alice: User, bob: User, ticket: Ticket):
    closed = close(alice.account_id, by=alice, submission=uuid7())
    other = supporting.open_ticket(bob.account, by=bob, subject="x", body="y")
    before = Ticket.objects.waiting_for_staff(closed.request.due_at - dt.timedelta(seconds=1))
    assert {found.pk for found in before} == {ticket.pk, closed.request.ticket, other.pk}
    assert list(Ticket.objects.waiting_for_staff(closed.request.due_at)) == [other]


# Files.


def sent(*files: tuple[str, bytes], **changed: Any) -> dict[str, Any]:
    """Return the form of a message as a browser sends it."""
    given = [SimpleUploadedFile(name, content) for name, content in files]
    return {"subject": "A file", "body": "See there.", "submission": str(uuid7()), "attached": given, **changed}


def link(ticket: Ticket, file: Attachment) -> str:
    return reverse("accounts:ticket_file", args=[ticket.reference, file.pk])


def test_files_come_with_their_message_and_go_to_its_people_only(alice: User, bob: User):
    visitor, form = signed_in(alice), sent(("../plan.pdf", pdf()), ("Übersicht.txt", b"hello"))

    for _ in range(2):
        assert (
            visitor.post("/tickets/", {**form, "attached": [file.open() for file in form["attached"]]}).status_code
            == 302
        )

    ticket, files = Ticket.objects.get(), list(Attachment.objects.order_by("pk"))
    assert [(file.name, file.media_type, file.content) for file in files] == [
        ("plan.pdf", MediaType.PDF, pdf()),
        ("Übersicht.txt", MediaType.TEXT, b"hello"),
    ]
    assert {file.message_id for file in files} == {TicketMessage.objects.get().pk}
    shown = words(visitor.get(reverse("accounts:ticket", args=[ticket.reference])))
    assert "Download plan.pdf" in shown and "Download Übersicht.txt" in shown
    answer = visitor.get(link(ticket, files[0]))
    assert answer.content == pdf() and answer["Content-Disposition"] == 'attachment; filename="plan.pdf"'
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff" and "no-store" in answer["Cache-Control"]
    assert signed_in(bob).get(link(ticket, files[0])).status_code == 404
    assert Client().get(link(ticket, files[0])).status_code == 302
    other = supporting.open_ticket(alice.account, by=alice, subject="x", body="y")
    assert visitor.get(link(other, files[0])).status_code == 404


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("page.pdf", b"<html>")], "Choose a PDF, PNG, JPEG or plain text file."),
        ([("fine.png", png()), ("bad.png", png() + b"x")], "This file is damaged or holds more than one thing."),
        ([(f"{n}.txt", b"x") for n in range(6)], "Send at most 5 files at once."),
        ([("card.txt", CARD.encode())], "This looks like a card number."),
        ([("large.txt", b"x" * (10 * 1024 * 1024 + 1))], "This file is larger than 10 MB."),
        ([(f"{n}.txt", b"x" * 9 * 1024 * 1024) for n in range(3)], None),
    ],
)
def test_a_file_that_is_refused_leaves_nothing_of_its_message(alice: User, files: list[Any], sentence: str | None):
    answer = signed_in(alice).post("/tickets/", sent(*files))

    assert answer.status_code == (422 if sentence else 413)
    assert (sentence or "This page takes at most 26 MB in one go. Nothing was saved.") in words(answer)
    assert not Ticket.objects.exists() and not Attachment.objects.exists()


def test_files_together_have_a_limit_of_their_own(alice: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploading, "MOST_BYTES_TOGETHER", 1024 * 1024)
    answer = signed_in(alice).post("/tickets/", sent(("a.txt", b"x" * 700_000), ("b.txt", b"x" * 700_000)))

    assert answer.status_code == 422 and "larger than 1 MB together" in words(answer)


def test_a_page_without_files_takes_no_large_form(alice: User):
    """The control: the same form is let through where files are expected."""
    form = sent(("a.txt", b"x" * 2 * 1024 * 1024))
    for page in ("/sign-in/", "/password/change/", "/delete/check/"):
        answer = signed_in(alice).post(page, {**form, "attached": [file.open() for file in form["attached"]]})
        assert answer.status_code == 413 and "at most 1 MB in one go" in words(answer)
    assert signed_in(alice).post("/tickets/", {**form, "attached": [form["attached"][0].open()]}).status_code == 302


def test_a_file_never_touches_the_disk(alice: User, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    monkeypatch.setattr("django.core.files.uploadedfile.TemporaryUploadedFile.__init__", refuse)

    assert signed_in(alice).post("/tickets/", sent(("a.txt", b"x" * 9 * 1024 * 1024))).status_code == 302


def test_files_are_not_sent_without_end(alice: User):
    visitor = signed_in(alice)
    codes = [visitor.post("/tickets/", sent(("a.exe", b"MZ"))).status_code for _ in range(31)]

    assert codes == [422] * 30 + [429]


def test_a_file_goes_with_its_message_or_not_at_all(alice: User, ticket: Ticket, monkeypatch: pytest.MonkeyPatch):
    def broken(**fields: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Attachment.objects, "create", broken)
    with pytest.raises(RuntimeError):
        supporting.reply(ticket.pk, by=alice, body="x", files=[Upload("a.txt", MediaType.TEXT, b"x")])

    assert TicketMessage.objects.count() == 1


def test_staff_send_files_and_a_look_at_one_stands_in_the_ledger(alice: User, sam: User, ticket: Ticket):
    reply = reverse("admin:accounts_ticket_reply", args=[ticket.pk])
    visitor = signed_in(sam)
    assert 'enctype="multipart/form-data"' in visitor.get(reply).content.decode()

    refused = visitor.post(reply, {"text": "Here", "attached": [SimpleUploadedFile("a.pdf", b"MZ")]})
    taken = visitor.post(reply, {"text": "Here", "attached": [SimpleUploadedFile("a.pdf", pdf())]})

    assert (refused.status_code, taken.status_code) == (422, 302)
    file = Attachment.objects.get()
    page = visitor.get(reverse("admin:accounts_ticket_change", args=[ticket.pk])).content.decode()
    where = reverse("admin:accounts_ticket_file", args=[ticket.pk, file.pk])
    assert f'<a href="{where}">a.pdf</a>' in page
    before = LedgerEntry.objects.filter(action="viewed").count()
    given = visitor.get(where)
    assert given.content == pdf() and given["Content-Disposition"].startswith("attachment")
    entry = LedgerEntry.objects.filter(action="viewed").latest("at", "pk")
    assert LedgerEntry.objects.filter(action="viewed").count() == before + 1
    facts = json.loads(entry.body)
    assert (facts["object"], facts["kind"], entry.subject) == (str(file.pk), "accounts.attachment", alice.account_id)
    assert visitor.post(where).status_code == 405
    assert signed_in(alice).get(link(ticket, file)).content == pdf()


@pytest.mark.parametrize("role", ["none", *BLIND])
def test_staff_who_read_no_tickets_get_no_file(role: str):
    world = make_world()
    file = Attachment.objects.get(account=world.account)
    answer = world.client(role).get(reverse("admin:accounts_ticket_file", args=[file.ticket_id, file.pk]))

    assert answer.status_code == (200 if role == "support" else 403)
    looks = LedgerEntry.objects.filter(action="viewed", subject=world.account.pk).count()
    assert looks == (1 if role == "support" else 0)


def test_a_long_conversation_comes_in_pages(alice: User, ticket: Ticket):
    for number in range(30):
        supporting.reply(ticket.pk, by=alice, body=f"Message {number}.", files=[Upload("a.txt", MediaType.TEXT, b"x")])
    visitor, page = signed_in(alice), reverse("accounts:ticket", args=[ticket.reference])

    with sql() as statements:
        latest = words(visitor.get(page))
    assert len(statements) <= 12
    assert "Message 29." in latest and "Message 4." not in latest and "Page 1 of 2" in latest
    assert latest.index("Message 28.") < latest.index("Message 29.")
    assert "Message 4." in words(visitor.get(page, {"page": 2}))


# Notes among staff.


def test_a_note_stands_apart_and_reaches_no_customer(alice: User, sam: User, ticket: Ticket):
    address, submission = reverse("admin:accounts_ticket_note-ticket", args=[ticket.pk]), str(uuid7())
    visitor = signed_in(sam)
    for _ in range(2):
        form = {"text": "Planted among staff", "submission": submission}
        assert visitor.post(address, form).status_code == 302

    note = TicketNote.objects.get()
    assert (note.body, note.author, TicketMessage.objects.count()) == ("Planted among staff", sam.pk, 1)
    assert not OutboxMessage.objects.exists() and not Correspondence.objects.exists()
    entry = LedgerEntry.objects.get(action="ticket.noted")
    assert entry.subject == alice.account_id and "Planted" not in entry.body
    page = visitor.get(reverse("admin:accounts_ticket_change", args=[ticket.pk])).content.decode()
    messages, apart = page.split("Internal notes, not shown to the customer</h2>")
    assert "Planted among staff" in apart and "Planted among staff" not in messages
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.WAITING_FOR_STAFF


def test_nobody_else_notes_anything(alice: User, ticket: Ticket):
    for stranger in (alice, make_staff("bill", "billing"), make_staff("rita", "legal"), make_staff("nora")):
        with pytest.raises(PermissionDenied):
            supporting.note(ticket.pk, by=stranger, body="Me too")
    assert not TicketNote.objects.exists()


def test_a_note_takes_no_card_number_and_nothing_after_the_due_date(alice: User, sam: User, ticket: Ticket):
    with pytest.raises(ValidationError, match="card number"):
        supporting.note(ticket.pk, by=sam, body=CARD)
    supporting.close_ticket(ticket.pk, by=sam)
    supporting.note(ticket.pk, by=sam, body="Ended, noted all the same")
    closed = close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="sign-in has ended"):
        supporting.note(ticket.pk, by=sam, body="Too late", at=closed.request.due_at)


@pytest.mark.parametrize("role", ["none", *ROLES])
def test_only_staff_who_read_tickets_read_their_notes(role: str):
    world = make_world()
    noted = TicketNote.objects.get(account=world.account)
    page = world.client(role).get(reverse("admin:accounts_ticket_change", args=[noted.ticket_id]))

    assert (noted.body in page.content.decode()) == (role in {"support", "legal", "privacy_officer"})


def test_no_page_of_a_customer_shows_or_counts_a_note(alice: User, sam: User, ticket: Ticket):
    furnish(alice)
    visitor = signed_in(alice)
    pages = {name: page for name, page in addresses(Side("alice", alice)).items() if name != "account_logout"}
    before = {name: words_of(visitor, page) for name, page in pages.items()}
    for number in range(3):
        supporting.note(ticket.pk, by=sam, body=f"Planted note {number}")

    after = {name: words_of(visitor, page) for name, page in pages.items()}
    assert [name for name in pages if "Planted note" in after[name]] == []
    assert [name for name in pages if before[name] != after[name]] == []
    supporting.reply(ticket.pk, by=sam, body="A message is seen")
    assert "A message is seen" in visitor.get(reverse("accounts:ticket", args=[ticket.reference])).content.decode()


def words_of(visitor: Client, page: str) -> str:
    """Return what a page says, without what is new in every one."""
    answer = visitor.get(page)
    is_text = answer.headers.get("Content-Type", "").startswith("text/")
    return normalised(answer.content.decode()) if is_text else ""


# A deletion and its conversation.


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_deletion_and_its_ticket_lead_to_each_other(cancelled: bool):
    customer, sam, bill = make_customer("dora"), make_staff("sam", "support"), make_staff("bill", "billing")
    asked = close(customer.account_id, by=customer, submission=uuid7()).request
    ticket = Ticket.objects.get(pk=asked.ticket)
    if cancelled:
        cancelling.cancel(asked.pk, by=customer)
    status = reverse("retention:delete_status", args=[asked.reference])
    talk = reverse("accounts:ticket", args=[ticket.reference])
    visitor = signed_in(customer)

    assert f'href="{status}"' in visitor.get(talk).content.decode()
    assert f'href="{talk}"' in visitor.get(status).content.decode()
    in_admin = [
        reverse("admin:accounts_ticket_change", args=[ticket.pk]),
        reverse("admin:retention_deletionrequest_change", args=[asked.pk]),
    ]
    for one, other in (in_admin, in_admin[::-1]):
        assert f'<a href="{other}">' in signed_in(sam).get(one).content.decode()
    without = signed_in(bill).get(in_admin[1]).content.decode()
    assert in_admin[0] not in without and ticket.reference in without


def test_another_ticket_leads_to_no_deletion(alice: User, ticket: Ticket):
    close(alice.account_id, by=alice, submission=uuid7())
    page = signed_in(alice).get(reverse("accounts:ticket", args=[ticket.reference]))
    assert "See how far the deletion is" not in words(page)
