"""Members: invited by a link that works once, one table of what each opens, and an owner who always stays."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import changing_email, granting, inviting, members, membership
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.members import OPENS, Part
from accounts.models import (
    AccountToken,
    Contact,
    Correspondence,
    EmailChange,
    Invitation,
    Invoice,
    MemberRole,
    Person,
    Session,
    SignInIdentifier,
    State,
    Ticket,
    User,
)
from accounts.registering import NameTaken
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.signing_in import find
from retention import cancelling, closing, conversing, guards, purge, requesting, schedule, sweeping
from retention.models import DeletionRequest
from tests.cast import DAY, PASSWORD, open_session
from tests.servers import Connection
from tests.visiting import cancel_of, confirmed, long_signed_in, signed_in, sql, status_of, words

pytestmark = pytest.mark.usefixtures("committed")

FRIEND = "friend@friend.example"
NEW_PASSWORD = "quite another good password"


def invited(user: User, role: str = "technical", email: str = FRIEND, **given) -> Invitation:
    lasts = given.pop("lasts", 7 * DAY)
    return inviting.invite(user.account_id, by=user, email=email, role=role, lasts=lasts, submission=uuid7(), **given)


def token_in(invitation: Invitation) -> str:
    body = OutboxMessage.objects.get(event=f"invitation:{invitation.pk}:mail").content["body"]
    return re.search(r"/join/([\w-]+)/", body)[1]


def joined(user: User, role: str = "technical", name: str = "friend") -> User:
    """Return a member who joined the user's account by an invitation."""
    invitation = invited(user, role, f"{name}@{name}.example")
    return inviting.accept(token_in(invitation), name=f"{name.title()} Canary", password=PASSWORD)


def told(event: str) -> set[str]:
    return {one.content["to"] for one in OutboxMessage.objects.filter(event__startswith=event)}


# Inviting and joining.


def test_the_link_of_the_mail_makes_a_member_once(alice):
    invitation = invited(alice, "billing")
    token = token_in(invitation)

    friend = inviting.accept(token, name="Fred Friend", password=NEW_PASSWORD, username="fred")

    assert (friend.account_id, friend.is_owner, friend.member_role) == (alice.account_id, False, "billing")
    assert find(FRIEND) == find("fred") == friend and friend.check_password(NEW_PASSWORD)
    assert Person.objects.get(user=friend).name == "Fred Friend"
    with pytest.raises(NotActionable, match="used already"):
        inviting.accept(token, name="Fred Friend", password=NEW_PASSWORD)
    assert User.objects.filter(account=alice.account_id).count() == 2


def test_a_link_used_twice_at_once_makes_one_member(alice):
    token, start, made = token_in(invited(alice)), threading.Barrier(4), []

    def use() -> None:
        start.wait()
        with contextlib.suppress(NotActionable):
            made.append(inviting.accept(token, name="Fred", password=NEW_PASSWORD))
        connections.close_all()

    run_together([use] * 4)

    assert len(made) == 1 and User.objects.filter(account=alice.account_id).count() == 2


def run_together(acts: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_link_is_stored_as_a_hash_and_kept_with_no_mail(alice, owner):
    invitation = invited(alice)
    token = token_in(invitation)

    assert bytes(invitation.token_digest) == inviting.token_digest(token)
    rows = owner.execute("SELECT row_to_json(i)::text FROM accounts_invitation i").fetchall()
    assert token not in str(rows) and FRIEND not in str(rows)
    copies = owner.execute("SELECT event FROM accounts_correspondence").fetchall()
    assert f"invitation:{invitation.pk}:mail" not in {event for (event,) in copies}


def test_a_link_ends_with_its_time_by_withdrawing_and_by_a_newer_one(alice):
    for end in (
        lambda one: one.expires_at,
        lambda one: inviting.withdraw(one.pk, by=alice) and timezone.now(),
        lambda one: invited(alice) and timezone.now(),
        lambda one: closing.close(alice.account_id, by=alice, submission=uuid7()) and timezone.now(),
    ):
        one = invited(alice)
        token = token_in(one)
        at = end(one)
        assert inviting.find(token, at) is None
        with pytest.raises(NotActionable, match="its time is over"):
            inviting.accept(token, name="Fred", password=NEW_PASSWORD, at=at)


def test_an_invitation_is_sent_once_by_one_form(alice):
    submission = uuid7()
    for _ in range(2):
        given = {"email": FRIEND, "role": "technical", "lasts": DAY, "submission": submission}
        inviting.invite(alice.account_id, by=alice, **given)

    assert Invitation.objects.count() == 1
    assert OutboxMessage.objects.filter(event__endswith=":mail").count() == 1


def test_an_address_in_use_reads_alike_to_the_inviter_and_is_told_to_its_holder_alone(alice, bob):
    answers = []
    # The first mail that is kept makes the account's key for it.
    inviting.withdraw(invited(alice).pk, by=alice)
    for email in ("nobody@else.example", "bob@bob.example"):
        visitor = confirmed(alice)
        given = {"email": email, "role": "technical", "submission": str(uuid7())}
        with sql() as statements:
            answer = visitor.post("/members/invite/", given, follow=True)
        asked = [re.sub(r"'[^']*'", "''", one)[:60] for one in statements]
        answers.append((words(answer).replace(email, "").replace("nobody@else.example", ""), len(asked)))
        Invitation.objects.update(removed_at=timezone.now())

    assert answers[0] == answers[1] and "on its way" in answers[0][0]
    letters = [one.content for one in OutboxMessage.objects.filter(event__endswith=":mail").order_by("created_at")]
    assert ["/join/" in one["body"] for one in letters[1:]] == [True, False]
    assert letters[2]["to"] == "bob@bob.example" and "signs in already" in letters[2]["body"]


def test_an_address_taken_meanwhile_and_a_user_name_in_use_make_nobody(alice, bob):
    token = token_in(invited(alice))
    with pytest.raises(NameTaken):
        inviting.accept(token, name="Fred", password=NEW_PASSWORD, username="bob")
    SignInIdentifier.of(bob, "email", FRIEND).save()

    with pytest.raises(NameTaken):
        inviting.accept(token, name="Fred", password=NEW_PASSWORD)

    assert User.objects.filter(account=alice.account_id).count() == 1
    assert inviting.find(token) is not None


@pytest.mark.parametrize("email", ["frıend@friend.example", "ｆriend@friend.example", "fri\u200bend@friend.example"])
def test_a_look_alike_is_not_invited(alice, email):
    with pytest.raises(ValidationError):
        invited(alice, email=email)


# Roles, removing, leaving.


def test_a_role_is_changed_and_all_owners_and_the_member_are_told(alice):
    second, friend = joined(alice, "owner", "second"), joined(alice)

    membership.change_role(friend.pk, "billing", by=second)
    membership.change_role(friend.pk, "billing", by=second)

    friend.refresh_from_db()
    assert (friend.is_owner, friend.member_role) == (False, "billing")
    [entry] = LedgerEntry.objects.filter(action="member.role_changed")
    assert told(f"member:{entry.id}") == {"alice@alice.example", "second@second.example", FRIEND}
    assert "example" not in entry.body and "Canary" not in entry.body


def test_every_change_is_told_to_all_owners_and_kept_once(alice):
    second = joined(alice, "owner", "second")
    friend = joined(alice)
    membership.remove(friend.pk, by=alice)

    event = f"member:{friend.pk}:removed"
    assert told(event) == {"alice@alice.example", "second@second.example", FRIEND}
    assert Correspondence.objects.filter(event__startswith=event).count() == 1
    assert told("invitation:") >= {"alice@alice.example", "second@second.example"}
    assert members.role_of(second) == "owner"


def test_who_is_removed_is_out_at_once(alice):
    friend = joined(alice)
    browser = signed_in(friend)
    open_session(friend)
    AccountToken.objects.create(
        account=alice.account, user=friend.pk, name="t", digest=b"1" * 32, created_at=timezone.now(),
        expires_at=timezone.now() + DAY,
    )  # fmt: skip

    membership.remove(friend.pk, by=alice)
    membership.remove(friend.pk, by=alice)

    friend.refresh_from_db()
    assert not friend.is_active and friend.removed_at is not None
    assert find(FRIEND) is None
    assert browser.get("/").status_code == 302
    assert not Session.objects.filter(user=friend.pk).exists()
    assert not AccountToken.objects.filter(user=friend.pk, removed_at=None).exists()
    assert not Person.objects.filter(user=friend, removed_at=None).exists()
    assert LedgerEntry.objects.filter(action="member.removed").count() == 1
    # The address is free: it can be invited again.
    assert joined(alice).pk != friend.pk


def test_what_a_removed_member_began_ends(alice):
    second = joined(alice, "owner", "second")
    invitation = invited(second, email="third@third.example")
    token = token_in(invitation)
    given = {"email": "x@new.example", "lasts": DAY, "submission": uuid7()}
    change = changing_email.ask(alice.account_id, by=second, **given)

    membership.remove(second.pk, by=alice)

    assert inviting.find(token) is None
    assert EmailChange.objects.get(pk=change.pk).withdrawn_at is not None


def test_what_an_owner_began_ends_when_they_are_one_no_more(alice):
    second, third = joined(alice, "owner", "second"), joined(alice, "owner", "third")
    token = token_in(invited(second, "owner", email="fourth@fourth.example"))
    key, _secret = granting.grant(
        second, name="script", scopes=["export:read"], days=30, networks=[], submission=uuid7()
    )
    of_contact = changing_email.ask(
        alice.account_id, by=second, email="new@new.example", lasts=DAY, submission=uuid7(),
        contact=Contact.objects.get(account=alice.account_id, role="owner").pk,
    )  # fmt: skip
    # Alice signs in with the address of the owner contact: one change is of both.
    own = changing_email.ask(alice.account_id, by=alice, email="a@new.example", lasts=DAY, submission=uuid7())
    assert own.user is not None and own.contact is not None

    for demoted in (second, alice):
        membership.change_role(demoted.pk, "technical", by=third)

    assert inviting.find(token) is None
    assert EmailChange.objects.get(pk=of_contact.pk).withdrawn_at is not None
    going_on = EmailChange.objects.get(pk=own.pk)
    assert going_on.withdrawn_at is None and going_on.contact is None and going_on.user == alice.pk
    assert AccountToken.objects.get(pk=key.pk).removed_at is not None
    # What ended does not come back with the role.
    membership.change_role(second.pk, "owner", by=third)
    assert AccountToken.objects.get(pk=key.pk).removed_at is not None
    assert inviting.find(token) is None


def test_an_owner_who_is_one_no_more_asks_and_writes_nothing(alice):
    second = joined(alice, "owner", "second")
    wish = requesting.Wish("rectification", details="The floor is wrong", categories=("contact",))
    request = requesting.ask(alice.account_id, wish, by=second, submission=uuid7())
    conversing.write(request.pk, by=second, body="The second floor")
    membership.change_role(second.pk, "technical", by=alice)

    # The user object is the one the page loaded before.
    assert second.is_owner
    with pytest.raises(PermissionDenied):
        requesting.ask(alice.account_id, requesting.Wish("complaint", details="No"), by=second, submission=uuid7())
    with pytest.raises(PermissionDenied):
        conversing.write(request.pk, by=second, body="Once more")
    conversing.write(request.pk, by=alice, body="The second floor, as they said")


def test_the_id_of_a_form_that_somebody_else_sent_is_refused_in_words(alice, bob):
    second, submission = joined(alice, "owner", "second"), uuid7()
    invite = {"email": "x@x.example", "role": "technical", "lasts": DAY}
    inviting.invite(alice.account_id, by=alice, submission=submission, **invite)
    change = {"email": "y@y.example", "lasts": DAY, "submission": uuid7()}
    changing_email.ask(alice.account_id, by=alice, **change)

    with pytest.raises(NotActionable, match="This form was used already"):
        inviting.invite(bob.account_id, by=bob, submission=submission, **invite)
    for other in (second, bob):
        with pytest.raises(NotActionable, match="This form was used already"):
            changing_email.ask(other.account_id, by=other, **change)
    # Control: the same person with the same form gets the first one.
    assert inviting.invite(alice.account_id, by=alice, submission=submission, **invite).pk == submission
    assert Invitation.objects.filter(email_digest__isnull=False, pk=submission).count() == 1
    page = confirmed(bob).post(
        "/members/invite/", {"submission": str(submission), "email": "z@z.example", "role": "technical"}
    )
    assert page.status_code == 409
    assert "This form was used already" in words(page)


def test_the_sweep_deletes_who_was_removed(alice):
    friend = joined(alice)
    membership.remove(friend.pk, by=alice)

    for _ in range(3):
        sweeping.sweep(timezone.now() + 2 * DAY)

    assert not User.objects.filter(pk=friend.pk).exists()
    assert not Person.objects.filter(user_id=friend.pk).exists()
    assert User.objects.get(account=alice.account_id) == alice


def test_only_owners_manage_members(alice, bob):
    friend, biller = joined(alice), joined(alice, "billing", "biller")

    for by in (friend, biller, bob):
        for act in (
            lambda by: invited_into(alice, by),
            lambda by: membership.change_role(biller.pk, "owner", by=by),
            lambda by: membership.remove(alice.pk, by=by),
        ):
            with pytest.raises(PermissionDenied):
                act(by)


def invited_into(user: User, by: User) -> Invitation:
    given = {"email": "x@x.example", "role": "owner", "lasts": DAY, "submission": uuid7()}
    return inviting.invite(user.account_id, by=by, **given)


def test_a_member_leaves_by_oneself(alice):
    friend = joined(alice)
    visitor = confirmed(friend)

    assert "Stay a member" in words(visitor.get("/members/leave/"))
    assert User.objects.get(pk=friend.pk).is_active
    assert visitor.post("/members/leave/")["Location"] == "/sign-in/"

    assert not User.objects.get(pk=friend.pk).is_active
    assert told(f"member:{friend.pk}:left") == {"alice@alice.example", FRIEND}


# The last owner, and the primary one.


def test_the_last_owner_cannot_leave_be_removed_or_be_demoted(alice):
    joined(alice)
    for act in (
        lambda: membership.leave(by=alice),
        lambda: membership.remove(alice.pk, by=alice),
        lambda: membership.change_role(alice.pk, "billing", by=alice),
    ):
        with pytest.raises(NotActionable, match="last owner"):
            act()
    assert User.objects.get(pk=alice.pk).is_owner
    page = words(confirmed(alice).get("/members/leave/"))
    assert "You are the last owner" in page and "End my membership" not in page


@pytest.mark.parametrize("change", ["leave", "remove", "demote"])
def test_number_and_owner_contact_move_to_the_longest_standing_owner(alice, change):
    number = alice.account.number
    second, _third = joined(alice, "owner", "second"), joined(alice, "owner", "third")

    {
        "leave": lambda: membership.leave(by=alice),
        "remove": lambda: membership.remove(alice.pk, by=second),
        "demote": lambda: membership.change_role(alice.pk, "technical", by=second),
    }[change]()

    assert find(number) == second
    contact = Contact.objects.get(account=alice.account_id, role="owner")
    assert (contact.email, contact.name, contact.phone) == ("second@second.example", "Second Canary", None)


def test_an_owner_contact_of_its_own_stays_with_the_account(alice):
    contact = Contact.objects.get(account=alice.account_id, role="owner")
    contact.email = "office@alice.example"
    contact.save(update_fields=["email"])
    joined(alice, "owner", "second")

    membership.leave(by=alice)

    assert Contact.objects.get(pk=contact.pk).email == "office@alice.example"


@pytest.mark.parametrize("round_", range(4))
def test_two_owners_who_leave_at_once_leave_one(alice, round_):
    second, start, left = joined(alice, "owner", "second"), threading.Barrier(2), []

    def go(user: User) -> Callable[[], None]:
        def act() -> None:
            start.wait()
            with contextlib.suppress(NotActionable):
                left.append(membership.leave(by=user))
            connections.close_all()

        return act

    run_together([go(alice), go(second)])

    assert len(left) == 1
    assert members.owners(alice.account_id).count() == 1


# The wall: whoever writes.


WAYS = {
    "demoted": "UPDATE accounts_user SET is_owner = false, member_role = 'billing' WHERE id = ANY(%s)",
    "inactive": "UPDATE accounts_user SET is_active = false WHERE id = ANY(%s)",
    "removed": "UPDATE accounts_user SET is_active = false, removed_at = now() WHERE id = ANY(%s)",
}


@pytest.mark.parametrize("way", WAYS)
def test_raw_sql_cannot_take_the_last_owner(alice, runtime, way):
    second = joined(alice, "owner", "second")
    with pytest.raises(psycopg.Error) as refusal:
        runtime.execute(WAYS[way], [[alice.pk, second.pk]])
    assert refusal.value.sqlstate == "PH003" and "keeps an owner" in str(refusal.value)

    runtime.execute(WAYS[way], [[alice.pk]])
    with pytest.raises(psycopg.Error, match="keeps an owner"):
        runtime.execute(WAYS[way], [[second.pk]])


def test_raw_sql_cannot_delete_the_last_owner(alice, runtime):
    runtime.execute("DELETE FROM accounts_session")
    runtime.execute("DELETE FROM accounts_signinidentifier")
    with pytest.raises(psycopg.Error, match="keeps an owner"):
        runtime.execute("DELETE FROM accounts_user WHERE id = %s", [alice.pk])


def test_a_closed_account_keeps_an_owner_until_it_is_due(alice, bob, runtime):
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - DAY)
    closing.close(bob.account_id, by=bob, submission=uuid7(), at=timezone.now() - 31 * DAY)

    with pytest.raises(psycopg.Error, match="keeps an owner"):
        runtime.execute(WAYS["inactive"], [[alice.pk]])
    purge.ring()
    assert not User.objects.filter(pk=bob.pk).exists()


def leave_at_once(first: Connection, second: Connection, users: tuple[UUID, UUID]) -> list[str]:
    """Let two transactions each take one of two owners, the second while the first is open; return what they got."""
    outcomes: list[str] = []
    first.execute("BEGIN")
    first.execute(WAYS["inactive"], [[users[0]]])

    def other() -> None:
        try:
            second.execute(WAYS["inactive"], [[users[1]]])
            outcomes.append("taken")
        except psycopg.Error as error:
            outcomes.append(error.sqlstate or "")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.3)
    first.execute("COMMIT")
    thread.join()
    return outcomes


def test_two_transactions_cannot_take_one_owner_each(alice, runtime, owner):
    second = joined(alice, "owner", "second")

    assert leave_at_once(runtime, owner, (alice.pk, second.pk)) == ["PH003"]
    assert members.owners(alice.account_id).count() == 1


def test_without_the_wall_raw_sql_takes_them_and_the_guards_say_so(alice, runtime, owner):
    """Negative control: the refusals above come from this trigger, and its absence is reported."""
    assert guards.differences() == []
    owner.execute("ALTER TABLE accounts_user DISABLE TRIGGER z_guard_last_owner")

    runtime.execute(WAYS["inactive"], [[alice.pk]])

    assert not members.owners(alice.account_id).exists()
    assert ["switched off" in one.what for one in guards.differences()] == [True]


def test_signing_in_locks_no_account(alice, runtime, owner):
    """The usual write to a user waits for nobody: it takes nobody's ownership."""
    with owner.transaction():
        owner.execute("SELECT 1 FROM accounts_account WHERE id = %s FOR UPDATE", [alice.account_id])
        runtime.execute("SET lock_timeout = '500ms'")
        runtime.execute("UPDATE accounts_user SET last_login = now() WHERE id = %s", [alice.pk])


# What each role opens.


def as_role(user: User, role: str) -> User:
    return user if role == "owner" else User.objects.create_user(user.account, PASSWORD, member_role=role)


def parts_and_pages(user: User) -> dict[str, Part | None]:
    """Return every page of members and accounts with the part it belongs to; None is everybody's own."""
    invoice = Invoice.objects.filter(account=user.account_id).first()
    ticket = Ticket.objects.filter(account=user.account_id).first()
    invitation = Invitation.objects.filter(account=user.account_id).first()
    contact = Contact.objects.get(account=user.account_id, role="billing")
    own = reverse("accounts:contact", args=[contact.pk])
    assert invoice and ticket and invitation
    return {
        "/": None,
        "/help/": None,
        "/email/": None,
        "/email/change/": None,
        "/members/leave/": None,
        "/password/change/": None,
        "/invoices/": Part.INVOICES,
        f"/invoices/{invoice.number}/": Part.INVOICES,
        f"/invoices/{invoice.number}/pay/": Part.INVOICES,
        "/tickets/": Part.TICKETS,
        f"/tickets/{ticket.reference}/": Part.TICKETS,
        f"/tickets/{ticket.reference}/settle/": Part.TICKETS,
        "/contacts/": Part.BILLING_CONTACTS,
        "/contacts/add/": Part.BILLING_CONTACTS,
        "/contacts/billing/": Part.BILLING_CONTACTS,
        own: Part.BILLING_CONTACTS,
        f"{own}remove/": Part.BILLING_CONTACTS,
        f"{own}addresses/add/": Part.BILLING_CONTACTS,
        f"{own}email/": Part.CONTACTS,
        "/members/": Part.MEMBERS,
        "/members/invite/": Part.MEMBERS,
        f"/members/{user.pk}/": Part.MEMBERS,
        f"/members/{user.pk}/remove/": Part.MEMBERS,
        f"/members/invitations/{invitation.pk}/withdraw/": Part.MEMBERS,
        "/delete/": Part.DELETION,
        "/delete/check/": Part.DELETION,
    }


@pytest.mark.parametrize("role", ["owner", *MemberRole.values])
def test_each_page_opens_for_the_roles_of_the_table_and_for_nobody_else(charlie, role):
    visitor = confirmed(as_role(charlie, role))

    for page, part in parts_and_pages(charlie).items():
        opens = part is None or role == "owner" or role in OPENS[part]
        # What is everybody's own is only looked at: leaving would end the walk.
        for ask in (visitor.get, visitor.post) if part else (visitor.get,):
            answer = ask(page)
            assert (answer.status_code == 403) is not opens, (page, role, answer.status_code)
            assert ("Your role does not open this page" in answer.content.decode()) is not opens


def test_the_refusal_says_who_can_and_whom_to_ask(charlie):
    shown = words(signed_in(as_role(charlie, "technical")).get("/invoices/"))

    assert "Who can open it Owner Billing" in shown
    assert "Charlie Canary" in shown


def test_the_table_names_every_part():
    assert set(OPENS) == set(Part)
    for part in (Part.DATA, Part.EXPORT, Part.REQUESTS, Part.MEMBERS, Part.DELETION, Part.CONFIDENTIAL):
        assert OPENS[part] == frozenset()


def test_a_page_without_its_roles_is_caught(charlie, monkeypatch):
    """Negative control: were the table wider, the walk would see it."""
    monkeypatch.setattr(members, "OPENS", {part: frozenset(MemberRole) for part in Part})

    assert signed_in(as_role(charlie, "technical")).get("/delete/").status_code == 200


def test_every_owner_cancels_a_deletion_and_no_other_member(charlie):
    second, friend = joined(charlie, "owner", "second"), joined(charlie)
    asked = closing.close(charlie.account_id, by=charlie, submission=uuid7()).request

    with pytest.raises(PermissionDenied):
        cancelling.cancel(asked.pk, by=friend)
    assert signed_in(friend).post(cancel_of(asked)).status_code == 403
    assert signed_in(friend).get(status_of(asked)).status_code == 200
    assert signed_in(second).post(cancel_of(asked)).status_code == 302

    charlie.account.refresh_from_db()
    assert charlie.account.state == State.ACTIVE
    assert DeletionRequest.objects.get().cancelled_at is not None


# The pages.


def test_the_list_shows_members_and_invitations(alice):
    joined(alice, "billing", "biller")
    invited(alice)

    shown = words(confirmed(alice).get("/members/"))

    assert "Alice Canary You alice@alice.example Owner" in shown
    assert "Biller Canary biller@biller.example Billing" in shown
    assert f"{FRIEND} as Technical, until" in shown


def test_inviting_asks_for_the_password_again_and_goes_by_the_schedule(alice):
    given = {"email": FRIEND, "role": "billing", "submission": str(uuid7())}
    assert long_signed_in(alice).post("/members/invite/", given)["Location"].startswith("/sign-in/confirm/")
    assert not Invitation.objects.exists()

    assert confirmed(alice).post("/members/invite/", given)["Location"] == "/members/"

    invitation = Invitation.objects.get()
    assert invitation.expires_at - invitation.created_at == schedule.span("invitation")


def test_from_the_mail_to_the_first_sign_in(alice):
    link = f"/join/{token_in(invited(alice, 'billing'))}/"
    stranger = Client()

    assert "Billing: invoices, orders" in words(stranger.get(link))
    assert User.objects.filter(account=alice.account_id).count() == 1
    given = {"name": "Fred Friend", "username": "", "password": "1234567890"}
    assert "entirely numeric" in words(stranger.post(link, given))
    given["password"] = NEW_PASSWORD
    assert "A user name has 3 to 60" in words(stranger.post(link, {**given, "username": "frıed"}))
    answer = stranger.post(link, given, follow=True)
    assert "You are a member now." in words(answer)
    stranger.post("/sign-in/", {"login": FRIEND, "password": NEW_PASSWORD})
    assert stranger.get("/invoices/").status_code == 200
    assert stranger.get(link).status_code == stranger.get("/join/unknown/").status_code == 410


def test_a_member_of_another_account_is_not_there(alice, bob):
    visitor = confirmed(alice)
    invitation = invited(bob)

    for name, pk in (("member", bob.pk), ("member_remove", bob.pk), ("invitation_withdraw", invitation.pk)):
        page = reverse(f"accounts:{name}", args=[pk])
        assert visitor.get(page).status_code == visitor.post(page).status_code == 404


def test_roles_are_changed_and_members_removed_on_the_pages(alice):
    friend, visitor = joined(alice), confirmed(alice)
    page = reverse("accounts:member", args=[friend.pk])

    assert "Choose what this member may do." in words(visitor.post(page, {"role": ""}))
    assert visitor.post(page, {"role": "billing"})["Location"] == "/members/"
    assert User.objects.get(pk=friend.pk).member_role == "billing"
    assert "can sign in no more" in words(visitor.get(f"{page}remove/"))
    assert visitor.post(f"{page}remove/").status_code == 302
    assert not User.objects.get(pk=friend.pk).is_active
    assert visitor.get(page).status_code == 404
    assert visitor.post(reverse("accounts:member", args=[alice.pk]), {"role": "billing"}).status_code == 409


def test_an_invitation_is_withdrawn_on_the_page_and_not_by_looking(alice):
    page = reverse("accounts:invitation_withdraw", args=[invited(alice).pk])
    visitor = signed_in(alice)

    visitor.get(page)
    assert Invitation.objects.get().removed_at is None
    visitor.post(page)
    assert "Nobody is invited now." in words(visitor.get("/members/"))


def test_the_pages_stay_small_with_many_members(charlie):
    for number in range(40):
        user = User.objects.create_user(charlie.account, None, member_role="technical")
        Person.objects.create(account=charlie.account, user=user, name=f"N {number}", created_at=timezone.now())
    visitor = confirmed(charlie)

    for page in ("/members/", "/members/?page=2", "/members/invite/", f"/members/{charlie.pk}/"):
        with sql() as statements:
            assert visitor.get(page).status_code == 200
        assert len(statements) <= 12, page
