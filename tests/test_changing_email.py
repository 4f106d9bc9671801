"""Changing an e-mail address: confirmed at both, silent about others, stopped by either, told to the old one."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import threading
from uuid import uuid4

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import changing_email, credentials, members
from accounts.changing_email import MOST_TRIES, WrongCode
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import AccessEvent, Contact, EmailChange, SignInIdentifier, User
from accounts.registering import NameTaken
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.signing_in import find
from retention import closing, schedule
from tests.cast import PASSWORD, open_session
from tests.visiting import confirmed, long_signed_in, signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

DAY = dt.timedelta(days=1)
NEW = "alice@new.example"


def asked(user: User, email: str = NEW, **given) -> EmailChange:
    lasts = given.pop("lasts", DAY)
    return changing_email.ask(user.account_id, by=user, email=email, lasts=lasts, submission=uuid7(), **given)


def code_in(change: EmailChange, side: str) -> str:
    body = OutboxMessage.objects.get(event=f"email:{change.pk}:{side}").content["body"]
    return body.partition("Code: ")[2].split()[0]


def both(change: EmailChange) -> dict[str, str]:
    return {"old_code": code_in(change, "old"), "new_code": code_in(change, "new")}


def events() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("event", flat=True))


def contact_of(user: User) -> Contact:
    return Contact.objects.get(account=user.account_id, role="owner")


# The change.


def test_both_codes_change_sign_in_and_contact_together(alice):
    change = asked(alice)
    assert find(NEW) is None and contact_of(alice).email == "alice@alice.example"

    changing_email.confirm(change.pk, by=alice, **both(change))

    assert find(NEW) == alice and find("alice@alice.example") is None
    assert contact_of(alice).email == NEW
    assert members.addresses([alice.pk]) == {alice.pk: NEW}
    alice.refresh_from_db()
    assert alice.secured_at == EmailChange.objects.get().done_at
    assert [entry.action for entry in LedgerEntry.objects.filter(action__startswith="email.").order_by("at")] == [
        "email.change_asked", "email.changed",
    ]  # fmt: skip
    assert not [entry for entry in LedgerEntry.objects.all() if "example" in entry.body]


def test_the_codes_come_one_after_the_other_in_any_order(alice):
    change = asked(alice)
    codes = both(change)

    changing_email.confirm(change.pk, by=alice, new_code=codes["new_code"].lower().replace("-", " "))
    assert find(NEW) is None
    changing_email.confirm(change.pk, by=alice, old_code=codes["old_code"])

    assert find(NEW) == alice


def test_one_code_for_both_addresses_is_not_enough(alice):
    change = asked(alice)
    new = code_in(change, "new")

    with pytest.raises(WrongCode):
        changing_email.confirm(change.pk, by=alice, old_code=new, new_code=new)

    change.refresh_from_db()
    assert (change.old_confirmed_at, change.done_at, change.tries) == (None, None, 1)


def test_other_sessions_end_and_the_old_address_is_told_afterwards(alice):
    other, visitor = signed_in(alice), confirmed(alice)
    open_session(alice)
    change = asked(alice)

    visitor.post(reverse("accounts:email_codes", args=[change.pk]), both(change))

    assert other.get("/").status_code == 302 and visitor.get("/").status_code == 200
    assert AccessEvent.objects.filter(kind="email", user=alice.pk).count() == 1
    [told] = OutboxMessage.objects.filter(event=f"email:{change.pk}:done")
    assert told.content["to"] == "alice@alice.example"
    assert "was changed" in told.content["subject"]


def test_a_reset_link_sent_to_the_old_address_opens_nothing_any_more(alice):
    credentials.send_reset_link(alice)
    body = OutboxMessage.objects.get(event__endswith=":reset").content["body"]
    link = re.search(r"https?://[^/\s]+(/password/reset/\S+)", body)[1]
    assert "used already" not in words(Client().get(link, follow=True))
    change = asked(alice)

    changing_email.confirm(change.pk, by=alice, **both(change))

    assert "used already" in words(Client().get(link, follow=True))


def test_a_member_changes_the_own_address_and_no_contact(alice):
    bert = User.objects.create_user(alice.account, PASSWORD)
    SignInIdentifier.of(bert, "email", "bert@bert.example").save()
    change = asked(bert, "bert@new.example")

    changing_email.confirm(change.pk, by=bert, **both(change))

    assert find("bert@new.example") == bert
    assert contact_of(alice).email == "alice@alice.example"
    with pytest.raises(PermissionDenied):
        asked(bert, "x@x.example", contact=contact_of(alice).pk)


def test_an_owner_contact_with_an_address_of_its_own_changes_alone(alice):
    contact = contact_of(alice)
    contact.email = "office@alice.example"
    contact.save(update_fields=["email"])
    change = asked(alice, "desk@alice.example", contact=contact.pk)

    changing_email.confirm(change.pk, by=alice, **both(change))

    assert contact_of(alice).email == "desk@alice.example"
    assert find("alice@alice.example") == alice and find("desk@alice.example") is None


# What is refused.


LOOK_ALIKES = [
    "alıce@alice.example",  # noqa: RUF001 - a dotless i
    "аlice@alice.example",  # noqa: RUF001 - a Cyrillic a
    "ＡＬＩＣＥ@alice.example",  # noqa: RUF001 - full-width
    "al\u200bice@alice.example",
    "alice@[127.0.0.1]",
]


@pytest.mark.parametrize("email", LOOK_ALIKES)
def test_a_look_alike_is_refused_and_takes_nothing_over(alice, bob, email):
    with pytest.raises(ValidationError):
        asked(bob, email)
    assert find("alice@alice.example") == alice


@pytest.mark.parametrize("domain", ["аlice.example", "alıce.example"])  # noqa: RUF001
def test_a_look_alike_domain_is_another_address(alice, bob, domain):
    change = asked(bob, f"alice@{domain}")

    changing_email.confirm(change.pk, by=bob, **both(change))

    assert find("alice@alice.example") == alice
    assert find(f"alice@{domain}") == bob


@pytest.mark.parametrize("email", ["alice@alice.example", "ALICE@Alice.Example"])
def test_the_present_address_is_no_change(alice, email):
    with pytest.raises(ValidationError, match="present address"):
        asked(alice, email)


def test_wrong_codes_are_counted_and_the_last_one_ends_the_change(alice):
    change = asked(alice)
    right = both(change)

    for number in range(MOST_TRIES):
        with pytest.raises(WrongCode):
            changing_email.confirm(change.pk, by=alice, old_code="AAAA-AAAA")
        change.refresh_from_db()
        assert change.tries == number + 1

    with pytest.raises(NotActionable, match="has ended"):
        changing_email.confirm(change.pk, by=alice, **right)
    assert find(NEW) is None and change.withdrawn_at is not None


def test_tries_at_the_same_time_are_each_counted(alice):
    change = asked(alice)
    start, answers = threading.Barrier(8), []

    def guess() -> None:
        start.wait()
        try:
            changing_email.confirm(change.pk, by=alice, old_code="AAAA-AAAA")
        except NotActionable as refusal:
            answers.append(type(refusal))
        connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    change.refresh_from_db()
    assert answers.count(WrongCode) == change.tries == MOST_TRIES


def test_codes_end_with_their_time_and_with_a_newer_change(alice):
    late = asked(alice)
    with pytest.raises(NotActionable, match="has ended"):
        changing_email.confirm(late.pk, by=alice, **both(late), at=timezone.now() + DAY)
    older, newer = asked(alice), asked(alice, "third@new.example")

    with pytest.raises(NotActionable, match="has ended"):
        changing_email.confirm(older.pk, by=alice, **both(older))
    changing_email.confirm(newer.pk, by=alice, **both(newer))
    assert find("third@new.example") == alice


def test_only_who_asked_confirms_and_a_code_is_good_for_its_change_alone(alice, bob):
    mine, theirs = asked(alice), asked(bob, "bob@new.example")

    with pytest.raises(PermissionDenied):
        changing_email.confirm(mine.pk, by=bob, **both(mine))
    with pytest.raises(WrongCode):
        changing_email.confirm(theirs.pk, by=bob, **both(mine))


def test_a_form_sent_twice_asks_once(alice):
    submission = uuid7()
    for _ in range(2):
        changing_email.ask(alice.account_id, by=alice, email=NEW, lasts=DAY, submission=submission)

    assert EmailChange.objects.count() == 1 and len(events()) == 2


def test_a_closed_account_changes_no_address(alice):
    change = asked(alice)
    codes = both(change)
    closing.close(alice.account_id, by=alice, submission=uuid7())

    with pytest.raises(NotActionable, match="is closed"):
        changing_email.confirm(change.pk, by=alice, **codes)
    with pytest.raises(NotActionable, match="is closed"):
        asked(alice)


# An address that somebody else signs in with.


def seen_by_asker(user: User, email: str) -> tuple[str, list[str]]:
    """Return what an asker gets, and the statements it took."""
    visitor = confirmed(user)
    with sql() as statements:
        answer = visitor.post("/email/change/", {"email": email, "submission": str(uuid7())}, follow=True)
    shown = re.sub(r"[0-9a-f-]{36}|\d\d:\d\d", "", words(answer)).replace(email, "NEW")
    return shown, [re.sub(r"'[^']*'", "''", one)[:60] for one in statements]


def test_an_address_in_use_reads_like_a_free_one_to_the_asker(alice, bob):
    free = seen_by_asker(alice, "nobody@else.example")
    taken = seen_by_asker(alice, "bob@bob.example")

    assert free == taken
    assert "We have sent codes to" in taken[0]


def test_only_its_holder_is_told_that_it_is_in_use_and_gets_no_code(alice, bob):
    change = asked(alice, "bob@bob.example")

    [letter] = OutboxMessage.objects.filter(event=f"email:{change.pk}:new")
    assert letter.content["to"] == "bob@bob.example"
    assert "in use already" in letter.content["subject"] and "Code:" not in letter.content["body"]
    with pytest.raises(WrongCode):
        changing_email.confirm(change.pk, by=alice, old_code=code_in(change, "old"), new_code="AAAA-AAAA")
    assert find("bob@bob.example") == bob


def test_an_address_taken_meanwhile_changes_nothing(alice, bob):
    change = asked(alice)
    SignInIdentifier.of(bob, "email", NEW).save()

    with pytest.raises(NameTaken):
        changing_email.confirm(change.pk, by=alice, **both(change))

    assert find(NEW) == bob and contact_of(alice).email == "alice@alice.example"
    assert find("alice@alice.example") == alice


# "This was not me".


@pytest.mark.parametrize("side", ["old", "new"])
def test_either_address_stops_it_without_sign_in(alice, side):
    change = asked(alice)
    page, right = reverse("accounts:email_stop", args=[change.pk]), both(change)

    Client().get(page)
    assert EmailChange.objects.get().withdrawn_at is None
    answer = Client().post(page, {"code": code_in(change, side)})

    assert "The change is stopped." in words(answer)
    with pytest.raises(NotActionable, match="has ended"):
        changing_email.confirm(change.pk, by=alice, **right)


def test_an_unknown_change_and_a_wrong_code_read_alike(alice):
    change = asked(alice)
    pages = [reverse("accounts:email_stop", args=[pk]) for pk in (change.pk, uuid4())]

    wrong, unknown = (words(Client().post(page, {"code": "AAAA-AAAA"})) for page in pages)

    assert wrong == unknown and "This code stops no change" in wrong
    assert EmailChange.objects.get().tries == 1


def test_what_is_done_already_says_what_to_do(alice):
    change = asked(alice)
    codes = both(change)
    changing_email.confirm(change.pk, by=alice, **codes)

    answer = Client().post(reverse("accounts:email_stop", args=[change.pk]), {"code": codes["old_code"]})

    assert answer.status_code == 409 and "Set a new password" in words(answer)


def test_who_asked_withdraws_on_the_page(alice):
    change, visitor = asked(alice), signed_in(alice)

    visitor.get(reverse("accounts:email_withdraw", args=[change.pk]))
    assert EmailChange.objects.get().withdrawn_at is None
    visitor.post(reverse("accounts:email_withdraw", args=[change.pk]))

    assert "nothing was changed" in words(visitor.get(reverse("accounts:email_codes", args=[change.pk])))


# The pages and mails.


def test_asking_takes_the_password_again(alice):
    visitor = long_signed_in(alice)

    assert visitor.get("/email/change/")["Location"] == "/sign-in/confirm/?next=%2Femail%2Fchange%2F"
    visitor.post("/sign-in/confirm/?next=/email/change/", {"password": PASSWORD})
    assert "alice@alice.example" in words(visitor.get("/email/change/"))


def test_from_the_page_to_the_new_address(alice):
    visitor = confirmed(alice)
    answer = visitor.post("/email/change/", {"email": NEW, "submission": str(uuid7())})
    change = EmailChange.objects.get()
    page = reverse("accounts:email_codes", args=[change.pk])
    assert answer["Location"] == page and NEW not in page
    assert change.ends_at - change.asked_at == schedule.span("email_change")
    assert "waits for its codes" in words(visitor.get("/email/"))

    assert "Enter the code from one of the mails." in words(visitor.post(page, {"old_code": " "}))
    assert "4 tries are left." in words(visitor.post(page, {"old_code": "AAAA-AAAA"}))
    codes = both(change)
    assert visitor.post(page, {"old_code": codes["old_code"]})["Location"] == page
    assert "Old address confirmed" in words(visitor.get(page))
    visitor.post(page, {"new_code": codes["new_code"]})

    assert f"{NEW} counts since" in words(visitor.get(page))
    assert f"You sign in with {NEW}" in words(visitor.get("/email/"))


def test_the_page_of_a_change_is_there_for_who_asked_only(alice, bob):
    page = reverse("accounts:email_codes", args=[asked(alice).pk])

    assert signed_in(bob).get(page).status_code == 404
    assert signed_in(alice).get(page).status_code == 200


def test_asking_is_limited(alice):
    visitor = confirmed(alice)
    answers = [
        visitor.post("/email/change/", {"email": f"n{number}@new.example", "submission": str(uuid7())}).status_code
        for number in range(6)
    ]

    assert answers == [302] * 5 + [429]


def test_the_links_of_both_mails_open_pages_and_do_nothing(alice):
    change = asked(alice)
    outbox.relay()

    assert sorted(one.to for one in mail.outbox) == [["alice@alice.example"], [NEW]]
    for letter in mail.outbox:
        for link in re.findall(r"https?://[^/\s]+(/\S*)", letter.body):
            assert signed_in(alice).get(link).status_code == 200
    change.refresh_from_db()
    assert (change.old_confirmed_at, change.new_confirmed_at, change.withdrawn_at, change.tries) == (
        None,
        None,
        None,
        0,
    )


def test_nothing_of_a_code_is_stored_but_a_keyed_hash(alice):
    change = asked(alice)
    code = code_in(change, "old").replace("-", "")

    assert bytes(change.old_digest) != hashlib.sha256(code.encode()).digest()
    assert len({bytes(change.old_digest), bytes(change.new_digest)}) == 2
