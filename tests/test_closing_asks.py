"""What closing asks: all owners are told, any of them cancels, and it waits after a change of password or address."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts import changing_email, inviting, membership
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Contact, Correspondence, Service, State, User
from accounts.safeguards.models import OutboxMessage
from accounts.templatetags.portal_tags import moment_text
from retention import cancelling, closing, guards, placing, plans, purge, reminding, schedule, waiting
from retention.models import DeletionRequest, Erasure, Hold
from tests.cast import DAY, PASSWORD, furnish, make_customer, run_service
from tests.visiting import close_in, confirmed, signed_in, sql, status_of, text, words

pytestmark = pytest.mark.usefixtures("committed")

HOUR = dt.timedelta(hours=1)
SECOND = "second@second.example"


def second_owner(user: User, name: str = "second", role: str = "owner") -> User:
    given = {"email": f"{name}@{name}.example", "role": role, "lasts": DAY, "submission": uuid7()}
    invitation = inviting.invite(user.account_id, by=user, **given)
    body = OutboxMessage.objects.get(event=f"invitation:{invitation.pk}:mail").content["body"]
    token = body.partition("/join/")[2].partition("/")[0]
    return inviting.accept(token, name=f"{name.title()} Canary", password=PASSWORD)


def close(user: User, at: dt.datetime | None = None) -> DeletionRequest:
    return closing.close(user.account_id, by=user, submission=uuid7(), at=at).request


def secured(user: User, ago: dt.timedelta) -> dt.datetime:
    """Note that the user's password changed so long ago; return when."""
    at = timezone.now() - ago
    User.objects.filter(pk=user.pk).update(secured_at=at)
    return at


def told(request: DeletionRequest, what: str) -> list[str]:
    """Return the addresses that were mailed about an event of a deletion."""
    rows = OutboxMessage.objects.filter(event__startswith=f"deletion:{request.pk}:{what}").order_by("created_at", "pk")
    return [row.content["to"] for row in rows]


# All owners.


def test_all_owners_are_told_of_request_reminders_and_cancelling(alice):
    second, _biller = second_owner(alice), second_owner(alice, "biller", "billing")
    request = close(second)
    both = ["alice@alice.example", SECOND]

    assert told(request, "received") == both
    assert reminding.remind(request.due_at - 7 * DAY) == 2
    assert reminding.remind(request.due_at - 7 * DAY) == 0
    assert told(request, "due:7") == both
    cancelling.cancel(request.pk, by=alice)
    assert told(request, "cancelled") == both


def test_each_of_these_mails_is_kept_once(alice):
    second_owner(alice)
    Correspondence.objects.all().delete()
    request = close(alice)

    assert [copy.event for copy in Correspondence.objects.all()] == [f"deletion:{request.pk}:received"]


def test_one_address_gets_one_mail(alice):
    assert told(close(alice), "received") == ["alice@alice.example"]


def test_an_owner_contact_of_its_own_is_told_too(alice):
    contact = Contact.objects.get(account=alice.account_id, role="owner")
    contact.email = "office@alice.example"
    contact.save(update_fields=["email"])

    assert told(close(alice), "received") == ["office@alice.example", "alice@alice.example"]


def test_after_the_due_date_the_owner_contact_alone_is_told_whatever_holds(alice, bob):
    requests = []
    for user in (alice, bob):
        second_owner(user, f"second-{user.pk.hex[-4:]}")
        requests.append(close(user, at=timezone.now() - 32 * DAY))
    placing.place(bob.account_id, Hold.Kind.LEGAL, by="staff:test")

    # Before the purge has run, and after it has.
    assert reminding.remind() == 2
    purge.ring()
    reminding.remind(timezone.now() + 90 * DAY)

    assert told(requests[0], "not-finished")[:1] == ["alice@alice.example"]
    assert set(told(requests[1], "not-finished")) == {"bob@bob.example"}


def test_the_mails_do_not_say_who_asked(alice):
    second = second_owner(alice)
    request = close(second)
    bodies = [
        row.content["body"] for row in OutboxMessage.objects.filter(event__startswith=f"deletion:{request.pk}:received")
    ]

    assert len(bodies) == 2 and bodies[0] == bodies[1]
    assert "an owner asked us to delete your account" in bodies[0]


def test_whoever_lost_the_role_meanwhile_neither_closes_nor_cancels(alice):
    second = second_owner(alice)
    membership.change_role(second.pk, "billing", by=alice)
    with pytest.raises(PermissionDenied):
        close(second)
    request = close(alice)
    with pytest.raises(PermissionDenied):
        cancelling.cancel(request.pk, by=second)
    # The object in hand still says owner: what counts is the row under the lock.
    assert second.is_owner


# The wait.


def test_a_request_soon_after_a_change_begins_its_grace_period_later(charlie):
    changed = secured(charlie, HOUR)

    request = close(charlie)

    begins = changed + schedule.span("secured")
    assert request.due_at == begins + schedule.span("grace")
    account = Account.objects.get(pk=charlie.account_id)
    assert (account.state, account.due_at) == (State.CLOSED, request.due_at)
    assert waiting.began_at(request) == begins
    at_closure = Erasure.objects.filter(account=account).exclude(category="invoices")
    assert set(at_closure.values_list("due_at", flat=True)) == {request.due_at}
    assert guards.differences() == []


def test_after_the_wait_it_begins_at_once(charlie):
    secured(charlie, schedule.span("secured") + HOUR)

    request = close(charlie)

    assert request.due_at == request.requested_at + schedule.span("grace")
    assert waiting.began_at(request) == request.requested_at


def test_a_change_by_another_owner_counts_and_one_by_another_member_does_not(alice, bob):
    changed = secured(second_owner(alice), HOUR)
    secured(second_owner(bob, "biller", "billing"), HOUR)

    assert waiting.begins_at(alice.account_id, timezone.now()) == changed + schedule.span("secured")
    assert close(bob).due_at == DeletionRequest.objects.get().requested_at + schedule.span("grace")


def test_services_stop_no_earlier_than_the_wait_ends(alice):
    now = timezone.now()
    unpaid = Service.objects.create(account=alice.account, name="a.example", plan="web-1", started_at=now)
    short, long = run_service(alice, paid=DAY), run_service(alice, paid=20 * DAY)
    begins = secured(alice, HOUR) + schedule.span("secured")

    close(alice)

    ends = {row.pk: row.closing_stops_at for row in Service.objects.all()}
    assert ends == {unpaid.pk: begins, short.pk: begins, long.pk: long.paid_until}
    assert Service.objects.running(begins - HOUR).count() == 3


def test_page_and_status_say_so_with_the_date(charlie):
    unpaid = Service.objects.create(account=charlie.account, name="a.example", plan="web-1", started_at=timezone.now())
    begins = secured(charlie, HOUR) + schedule.span("secured")
    visitor = signed_in(charlie)
    said = f"So the waiting period begins on {moment_text(begins)}"

    for page in ("/delete/", "/delete/check/"):
        shown = words(visitor.get(page))
        assert said in shown and "changed within 72 hours before" in shown
        assert f"From {moment_text(begins + schedule.span('grace'))} we delete" in shown
        assert f"Stops when the waiting period begins: {moment_text(begins)}" in shown
        assert "as soon as you close" not in shown
    close_in(visitor)
    request = DeletionRequest.objects.get()
    assert said in words(visitor.get(status_of(request)))
    assert [stop.stops_at for stop in plans.plan(request.account).stops if stop.service == unpaid] == [begins]
    assert OutboxMessage.objects.get(event=f"deletion:{request.pk}:received").content["body"].count("begins on") == 1


def test_once_the_wait_is_over_the_status_speaks_of_it_no_more(charlie):
    at = timezone.now() - 5 * DAY
    User.objects.filter(pk=charlie.pk).update(secured_at=at - HOUR)
    request = close(charlie, at=at)

    shown = words(signed_in(charlie).get(status_of(request)))

    assert request.due_at > at + schedule.span("grace")
    assert "waiting period begins" not in shown and "Waiting period: 28 days left" in shown


def test_without_a_change_nothing_is_said_of_a_wait(charlie):
    visitor = signed_in(charlie)

    assert "waiting period begins" not in words(visitor.get("/delete/check/"))
    close_in(visitor)
    request = DeletionRequest.objects.get()
    assert "waiting period begins" not in words(visitor.get(status_of(request)))
    assert told(request, "old-address") == []


def test_the_old_address_is_told_what_to_do(alice):
    change = changing_email.ask(alice.account_id, by=alice, email="thief@evil.example", lasts=DAY, submission=uuid7())
    codes = {
        f"{side}_code": OutboxMessage.objects.get(event=f"email:{change.pk}:{side}")
        .content["body"]
        .partition("Code: ")[2]
        .split()[0]
        for side in ("old", "new")
    }
    changing_email.confirm(change.pk, by=alice, **codes)

    request = close(alice)

    assert told(request, "received") == ["thief@evil.example"]
    [letter] = OutboxMessage.objects.filter(event=f"deletion:{request.pk}:old-address")
    assert letter.content["to"] == "alice@alice.example"
    body = letter.content["body"]
    assert f"begins only on {moment_text(waiting.began_at(request))}" in body
    assert "write to a person before that date" in body
    assert "Code:" not in body and "/cancel/" not in body


def test_any_owner_cancels_during_the_wait(alice):
    second = second_owner(alice)
    secured(alice, HOUR)
    request = close(alice)

    cancelling.cancel(request.pk, by=second)

    assert Account.objects.get(pk=alice.account_id).state == State.ACTIVE


def test_the_wait_reads_alike_with_and_without_an_untold_hold(rita):
    pages = []
    now = timezone.now()
    for name in ("plain", "holds"):
        user = furnish(make_customer(name), at=now - DAY)
        User.objects.filter(pk=user.pk).update(secured_at=now - HOUR)
        if name == "holds":
            placing.place(user.account_id, Hold.Kind.LEGAL, by=rita.actor)
        visitor = signed_in(user)
        shown = [text(visitor.get(page)) for page in ("/delete/", "/delete/check/")]
        close_in(visitor)
        request = DeletionRequest.objects.get(account=user.account_id)
        pages.append([*(box(page) for page in shown), box(text(visitor.get(status_of(request)))), request.due_at])

    assert pages[0] == pages[1] and "waiting period begins" in pages[0][0]


def box(page: str) -> str:
    return page.partition('<div class="box warn">')[2].partition("</div>")[0]


def test_a_wait_that_is_forgotten_is_caught(charlie, monkeypatch):
    """Negative control: without the wait the due date above would be the usual one."""
    secured(charlie, HOUR)
    monkeypatch.setattr(waiting, "begins_at", lambda account_id, at: at)

    assert close(charlie).due_at == DeletionRequest.objects.get().requested_at + schedule.span("grace")


def test_the_pages_with_a_wait_stay_quick(charlie):
    secured(charlie, HOUR)
    second_owner(charlie)
    visitor = confirmed(charlie)

    for page in ("/delete/", "/delete/check/"):
        with sql() as statements:
            assert visitor.get(page).status_code == 200
        assert len(statements) <= 12, page
