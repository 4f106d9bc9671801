"""Messages: every mail we sent, to be read, searched and printed by the owners, and none with a secret in it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import credentials, supporting
from accounts.keys.identifiers import uuid7
from accounts.models import Correspondence, User
from accounts.pages import letters
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from retention import closing
from tests.cast import DAY
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")


def write(user: User, subject: str, body: str = "Hello", at: dt.datetime | None = None) -> Correspondence:
    at = at or timezone.now()
    return Correspondence.objects.create(
        account=user.account, event=f"test:{uuid4()}", subject=subject, body=body, created_at=at, sent_at=at
    )


def test_without_mails_the_page_says_what_would_be_here(alice: User):
    assert "Nothing sent yet. Every e-mail we send you appears here." in words(signed_in(alice).get("/messages/"))


def test_a_mail_that_was_sent_is_read_here_with_when(alice: User, sam: User):
    ticket = supporting.open_ticket(alice.account, by=alice, subject="x", body="y")
    supporting.reply(ticket.pk, by=sam, body="So.")
    visitor = signed_in(alice)
    assert "On its way" in words(visitor.get("/messages/"))

    outbox.relay()

    letter = Correspondence.objects.get()
    assert letter.sent_at is not None
    listed = visitor.get("/messages/")
    assert f"We answered you in {ticket.reference}" in words(listed) and "On its way" not in words(listed)
    page = visitor.get(reverse("accounts:message", args=[letter.pk]))
    assert "Read it and answer in the portal:" in words(page)
    assert "alice@alice.example" not in page.content.decode()


def test_a_mail_belongs_to_the_owners_of_its_account(alice: User, bob: User):
    letter = write(alice, "Hers")
    page = reverse("accounts:message", args=[letter.pk])
    member = User.objects.create_user(alice.account, "correct horse battery staple")

    assert signed_in(alice).get(page).status_code == 200
    assert signed_in(bob).get(page).status_code == 404
    assert signed_in(member).get(page).status_code == signed_in(member).get("/messages/").status_code == 403
    assert Client().get(page)["Location"] == f"/sign-in/?next={page}"
    assert "Hers" not in words(signed_in(bob).get("/messages/"))


def test_a_mail_with_a_way_into_the_account_is_nowhere(alice: User):
    """The control: the mail was sent."""
    credentials.ask_for_reset(alice)
    outbox.relay()
    outbox.relay()

    assert not Correspondence.objects.exists()
    assert "Nothing sent yet." in words(signed_in(alice).get("/messages/"))


def test_mails_come_newest_first_in_pages(alice: User):
    for number in range(30):
        write(alice, f"Mail {number}.", at=timezone.now() - number * DAY)
    visitor = signed_in(alice)

    with sql() as statements:
        first = words(visitor.get("/messages/"))
    assert len(statements) <= 12
    assert first.index("Mail 0.") < first.index("Mail 24.") and "Mail 25." not in first
    assert "Mail 29." in words(visitor.get("/messages/", {"page": 2}))
    for odd in ("0", "-1", "99", "x", "９"):
        assert visitor.get("/messages/", {"page": odd}).status_code == 200


def search(visitor: Client, wanted: str, **more: Any) -> Any:
    return visitor.post("/messages/", {"words": wanted, **more})


def test_words_are_looked_for_in_subject_and_text_whatever_their_case(alice: User, bob: User):
    write(alice, "Invoice for May", "Thank you")
    write(alice, "Straße", "We moved to a STREET")
    write(bob, "Invoice for June")
    visitor = signed_in(alice)

    assert "1 message found. We looked through 2." in words(search(visitor, "invoice"))
    assert "Invoice for May" in words(search(visitor, " MAY  thank "))
    assert "Straße" in words(search(visitor, "STRASSE street"))
    assert "0 messages found." in words(search(visitor, "invoice street"))
    assert "0 messages found." in words(search(visitor, "June"))
    assert "<b>" not in search(visitor, "<b>").content.decode()


@pytest.mark.parametrize("wanted", ["", " ", "x" * 101, "a\x00b"])
def test_what_cannot_be_looked_for_is_said(alice: User, wanted: str):
    answer = search(signed_in(alice), wanted)

    assert answer.status_code == 422 and "There is a problem" in words(answer)


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30, "1e3"])
def test_a_place_that_is_none_is_an_error_of_the_form(alice: User, after: str):
    assert search(signed_in(alice), "x", after=after).status_code == 422


def test_a_search_is_bounded_says_how_far_it_came_and_goes_on(alice: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(letters, "SEARCHED", 10)
    for number in range(25):
        write(alice, f"Mail {number}.", "needle" if number in (3, 12, 24) else "hay", at=timezone.now() - number * DAY)
    visitor, found, after = signed_in(alice), [], "0"

    for _ in range(3):
        with sql() as statements:
            answer = search(visitor, "needle", after=after)
        assert len(statements) <= 12
        assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []
        result = answer.context["found"]
        found.append([letter.subject for letter in result.letters])
        after = str(result.after)
        more = "Search older messages" in words(answer)

    assert found == [["Mail 3."], ["Mail 12."], ["Mail 24."]] and not more
    assert "We looked through 5." in words(answer)


def test_searching_many_mails_takes_few_statements_and_a_small_page(alice: User):
    for _ in range(letters.SEARCHED + 5):
        write(alice, "One of many", "needle " * 50)
    visitor = signed_in(alice)

    with sql() as statements:
        answer = search(visitor, "needle")

    assert len(statements) <= 12
    assert f"{letters.SEARCHED} messages found." in words(answer) and "Search older messages" in words(answer)


def test_what_is_looked_for_leaves_no_trace(alice: User, caplog: pytest.LogCaptureFixture):
    write(alice, "Hello")
    visitor = signed_in(alice)
    before = LedgerEntry.objects.count()
    answer = search(visitor, "Quetzalcoatl")

    assert answer.status_code == 200 and "Location" not in answer
    assert "Quetzalcoatl" not in caplog.text and LedgerEntry.objects.count() == before


def test_a_closed_account_reads_its_mails_until_its_due_date(alice: User):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    visitor = signed_in(alice)
    letter = Correspondence.objects.earliest("created_at")

    listed = visitor.get("/messages/")
    assert listed.status_code == 200 and letter.subject in words(listed)
    assert visitor.get(reverse("accounts:message", args=[letter.pk])).status_code == 200
    assert "Every e-mail we sent you" in words(visitor.get("/business/"))
