"""The deletion pages: what goes and what stays, the last check, the status, cancelling."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Correspondence, PaymentMethod, Service, Session, State, Ticket, User
from accounts.safeguards.models import OutboxMessage
from retention import cancelling, closing, disputing, placing, plans, purge, schedule, telling
from retention.models import DeletionRequest, Erasure, Hold
from tests.cast import PASSWORD, bind, furnish, make_customer, owe, run_service
from tests.visiting import cancel_of, close_in, signed_in, sql, status_of, words

pytestmark = pytest.mark.usefixtures("committed")

START, CHECK = "/delete/", "/delete/check/"
DAY = dt.timedelta(days=1)
LONG_AGO = 31 * DAY


def closed(user: User, ago: dt.timedelta = DAY) -> closing.Closed:
    return closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - ago)


def dispute(user: User) -> None:
    disputing.open_dispute(
        user.account_id, processor="stripe", reference="dp_1", amount_cents=500, by="token:x", reason="general"
    )


# The start and the last check.


def test_the_start_says_what_goes_what_stays_and_until_when(charlie):
    answer = signed_in(charlie).get(START)

    shown = words(answer)
    due = timezone.localtime(timezone.now() + 30 * DAY)
    assert f"From {due.day} {due:%B %Y}" in shown
    assert "You can cancel until then." in shown
    assert "Nothing you need to do" in shown
    rows = {str(row["label"]): row for row in answer.context["plan"]}
    assert rows["Invoices and payments"]["fate"] == "keep"
    assert rows["Invoices and payments"]["until"].year == timezone.now().year + 8
    assert {row["fate"] for label, row in rows.items() if label != "Invoices and payments"} == {"delete"}
    assert [service["at_once"] for service in answer.context["services"]] == [False]


def test_a_service_that_ended_long_ago_is_not_listed_and_an_unpaid_one_stops_at_once(alice):
    now = timezone.now()
    for name, stops_at in (("over.example", now - DAY), ("on.example", None)):
        Service.objects.create(
            account=alice.account, name=name, plan="web-1", started_at=now - 90 * DAY, stops_at=stops_at
        )

    answer = signed_in(alice).get(START)

    assert [(s["name"], s["at_once"]) for s in answer.context["services"]] == [("on.example", True)]
    assert "Stops as soon as you close the account." in words(answer)


def test_a_term_paid_beyond_the_deletion_ends_with_it(alice):
    long, short = run_service(alice, paid=300 * DAY), run_service(alice, paid=10 * DAY)

    answer = signed_in(alice).get(START)
    asked = closed(alice, ago=dt.timedelta()).request

    shown = words(answer)
    assert [service["with_deletion"] for service in answer.context["services"]] == [True, False]
    assert "Runs until the deletion: " in shown
    assert "Runs to the end of the term you paid for: " in shown
    assert stop_of(long) == asked.due_at
    assert stop_of(short) == short.paid_until
    assert [stop.stops_at for stop in plans.plan(Account.objects.get()).stops] == [asked.due_at, short.paid_until]


def stop_of(service: Service) -> dt.datetime | None:
    return Service.objects.get(pk=service.pk).ends_at


def test_without_anything_the_page_says_none(alice):
    shown = words(signed_in(alice).get(START))

    assert "You have no running services." in shown
    assert "Invoices and payments None" in shown


def test_told_blockers_come_with_the_way_to_clear_them(charlie, rita):
    invoice, service = owe(charlie), bind(charlie)
    dispute(charlie)
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["support"])
    telling.tell(hold.pk, by=rita, how="letter")

    answer = signed_in(charlie).get(START)

    shown = words(answer)
    assert f"Invoice {invoice.number} over $12.90 is unpaid" in shown
    assert f'href="/invoices/{invoice.number}/pay/"' in answer.content.decode()
    assert f"{service.name} has a minimum term" in shown
    assert "You have a payment dispute open with your bank (dp_1)" in shown
    assert "A legal hold covers: Support tickets" in shown
    assert "You can close your account today." in shown
    assert "Nothing you need to do" not in shown


def fates(user: User) -> dict[str, str]:
    labels = {str(category.label): category.value for category in datamap.Category}
    page = signed_in(user).get(START)
    return {labels[str(row["label"])]: row["fate"] for row in page.context["plan"]}


def test_what_was_told_to_cover_a_row_makes_it_wait(charlie):
    invoice = owe(charlie)
    bind(charlie), bind(charlie)
    dispute(charlie)

    answer = signed_in(charlie).get(START)

    found, shown = fates(charlie), words(answer)
    waiting = {"identity", "contact", "billing", "services", "access"}
    assert {name for name, fate in found.items() if fate == "wait"} == waiting
    assert (found["invoices"], found["support"]) == ("keep", "delete")
    assert f"Waits until invoice {invoice.number} is paid" in shown
    assert shown.count("until the minimum term ends") == 4
    assert shown.count("until the payment dispute closes") == len(waiting)
    assert shown.count("Not before") == len(waiting)


def test_contact_data_waits_for_what_waits(charlie, rita):
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["support"])
    telling.tell(hold.pk, by=rita, how="letter")

    found, shown = fates(charlie), words(signed_in(charlie).get(START))

    assert {name for name, fate in found.items() if fate == "wait"} == {"support", "contact"}
    assert "Waits until the legal hold ends" in shown
    assert "so that we can write to you when the rest is deleted" in shown


def test_a_hold_on_what_is_kept_anyway_makes_nothing_wait(charlie, rita):
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["invoices"])
    telling.tell(hold.pk, by=rita, how="letter")

    assert set(fates(charlie).values()) == {"keep", "delete"}


def test_an_untold_hold_makes_nothing_wait(charlie, rita):
    visitor = signed_in(charlie)
    before = words(visitor.get(START))

    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor)
    untold = words(visitor.get(START))
    telling.tell(hold.pk, by=rita, how="letter")

    assert untold == before
    assert words(visitor.get(START)) != before


@pytest.mark.parametrize(("days", "shown"), [(5, True), (-5, False)])
def test_a_look_that_is_overdue_is_not_promised(charlie, rita, days, shown):
    by = timezone.now() + days * DAY
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor, review_by=by)
    telling.tell(hold.pk, by=rita, how="letter")

    assert ("Next look by" in words(signed_in(charlie).get(START))) is shown


def test_a_closed_account_asks_in_the_ticket_of_its_deletion(charlie):
    invoice = owe(charlie)
    dispute(charlie)
    request = closed(charlie).request
    ticket = reverse("accounts:ticket", args=[Ticket.objects.get(pk=request.ticket).reference])
    visitor = signed_in(charlie)
    PaymentMethod.objects.all().update(removed_at=timezone.now())

    status = visitor.get(status_of(request))
    pay = visitor.get(reverse("accounts:invoice_pay", args=[invoice.number]))

    assert {row["url"] for row in status.context["told"] if row["kind"] == "dispute"} == {ticket}
    assert pay.context["support_url"] == ticket
    assert "Your answer" in words(visitor.get(ticket))


def test_the_check_closes_the_account_and_leads_to_the_status(charlie, mailoutbox):
    other, visitor = signed_in(charlie), signed_in(charlie)

    answer = close_in(visitor)

    request = DeletionRequest.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, status_of(request))
    assert Account.objects.get(pk=charlie.account_id).state == State.CLOSED
    status = visitor.get(status_of(request))
    assert f"We have your request {request.reference}" in words(status)
    assert "Waiting period: 30 days left" in words(status)
    # Every other session has ended; the code stands in the mail and nowhere on the page.
    assert other.get("/invoices/").status_code == 302
    [mail] = OutboxMessage.objects.filter(event=f"deletion:{request.pk}:received")
    code = mail.content["body"].partition("Code: ")[2].split()[0]
    assert closing.code_digest(code) == bytes(request.code_digest)
    assert code not in status.content.decode()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"password": "wrong wrong wrong"}, "That password does not match this account. Try again."),
        ({"password": ""}, "Enter your password."),
        ({"kept": ""}, "Tick the box once you have what you want to keep."),
        ({"submission": "nonsense"}, "Load the page again, then send it once more."),
    ],
)
def test_what_is_missing_or_wrong_stays_on_the_check(alice, changed, sentence):
    visitor = signed_in(alice)

    answer = close_in(visitor, **changed)

    assert answer.status_code == 200
    assert sentence in words(answer)
    assert "There is a problem" in words(answer)
    assert answer.content.decode().count(PASSWORD) == 0
    assert not DeletionRequest.objects.exists()
    # Negative control: with nothing changed it closes.
    assert close_in(visitor).status_code == 302


def test_the_password_is_not_tried_without_end(alice):
    visitor = signed_in(alice)
    answers = [close_in(visitor, password="wrong wrong").status_code for _ in range(6)]

    assert answers == [200] * 5 + [429]
    assert close_in(visitor).status_code == 429
    assert not DeletionRequest.objects.exists()


def test_a_form_sent_twice_makes_one_request(alice):
    visitor, submission = signed_in(alice), str(uuid7())

    first, second = close_in(visitor, submission=submission), close_in(visitor, submission=submission)

    assert first["Location"] == second["Location"] == status_of(DeletionRequest.objects.get())
    # Another form of a closed account is told that it is closed.
    assert close_in(visitor).status_code == 409
    assert visitor.get(CHECK).status_code == 409
    assert OutboxMessage.objects.filter(event__endswith=":received").count() == 1


def test_the_form_of_another_account_closes_nothing(alice, bob):
    submission = str(uuid7())
    close_in(signed_in(alice), submission=submission)

    answer = close_in(signed_in(bob), submission=submission)

    assert answer.status_code == 409
    assert "This form was used already" in words(answer)
    bob.account.refresh_from_db()
    assert bob.account.state == "active"
    assert not DeletionRequest.objects.filter(account=bob.account).exists()
    # Control: a form of one's own closes.
    assert close_in(signed_in(bob)).status_code == 302


def test_a_form_sent_twice_at_once_makes_one_request(alice):
    submission, answers = str(uuid7()), []
    visitors = [signed_in(alice), signed_in(alice)]
    # Both are the same browser: closing ends every other session.
    visitors[1].cookies = visitors[0].cookies
    start = threading.Barrier(2)

    def send(visitor: Client) -> None:
        start.wait()
        answers.append(close_in(visitor, submission=submission))
        connections.close_all()

    threads = [threading.Thread(target=send, args=[visitor]) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer["Location"] for answer in answers} == {status_of(DeletionRequest.objects.get())}


def test_only_the_owner_sees_and_closes(alice):
    member = User.objects.create_user(alice.account, PASSWORD)
    visitor = signed_in(member)

    assert [visitor.get(START).status_code, visitor.get(CHECK).status_code] == [403, 403]
    assert close_in(visitor).status_code == 403
    assert not DeletionRequest.objects.exists()


def test_get_changes_nothing(charlie):
    visitor = signed_in(charlie)
    with sql() as statements:
        for page in (START, CHECK, "/delete/find/"):
            assert visitor.get(page).status_code == 200

    assert [one for one in statements if not one.lstrip("(\n ").startswith("SELECT")] == []
    # Negative control: closing does write.
    with sql() as statements:
        close_in(visitor)
    assert [one for one in statements if one.startswith(("UPDATE", "INSERT"))] != []


# The status.


def test_the_status_tells_steps_and_days_left(alice):
    request = closed(alice, ago=DAY).request

    shown = words(signed_in(alice).get(status_of(request)))

    assert "Your account is closed. From" in shown
    assert "Waiting period: 29 days left" in shown
    assert "Nothing you need to do" in shown
    assert "Keep my account" in shown
    assert "Read and write messages about this request" in shown


def test_the_last_day_is_less_than_a_day(alice):
    request = closed(alice, ago=30 * DAY - dt.timedelta(hours=3)).request

    assert "Waiting period: less than a day left" in words(signed_in(alice).get(status_of(request)))


def test_a_reference_is_there_for_its_account_only(alice, bob):
    request = closed(alice).request
    stranger = signed_in(bob)

    for page in (status_of(request), cancel_of(request)):
        unknown = page.replace(request.reference, "DEL-2222-2222")
        assert stranger.get(page).status_code == stranger.get(unknown).status_code == 404
        anonymous = Client().get(page)
        assert (anonymous.status_code, anonymous["Location"]) == (302, f"/sign-in/?next={page}")
        assert Client().get(unknown).status_code == 302
    assert stranger.post(cancel_of(request)).status_code == 404
    # Negative control: it is there for its own.
    assert signed_in(alice).get(status_of(request)).status_code == 200


# Cancelling.


def test_cancelling_shows_what_comes_back_and_opens_the_account_again(charlie):
    visitor = signed_in(charlie)
    close_in(visitor)
    request = DeletionRequest.objects.get()
    [service] = Service.objects.all()

    shown = words(visitor.get(cancel_of(request)))
    assert f"What comes back {service.name}" in shown
    assert "API keys: make new ones." in shown
    assert Account.objects.get().state == State.CLOSED

    answer = visitor.post(cancel_of(request))
    assert answer["Location"] == cancel_of(request)
    shown = words(visitor.get(cancel_of(request)))
    assert f"You cancelled request {request.reference}" in shown
    assert f"What is back {service.name}" in shown
    assert visitor.get("/").status_code == 200
    assert "You cancelled this request on" in words(visitor.get(status_of(request)))
    # Twice is once.
    assert visitor.post(cancel_of(request)).status_code == 302
    assert OutboxMessage.objects.filter(event__endswith=":cancelled").count() == 1


def test_an_older_cancelled_request_does_not_say_that_the_account_is_open(alice):
    first = closed(alice).request
    cancelling.cancel(first.pk, by=alice)
    closed(alice)
    visitor = signed_in(alice)

    assert "Your account is open again" not in words(visitor.get(status_of(first)))
    assert visitor.get(cancel_of(first))["Location"] == status_of(first)


def test_a_second_before_the_due_date_one_may_cancel_and_from_then_on_nobody(alice, bob):
    in_time = closed(alice, ago=schedule.span("grace") - dt.timedelta(seconds=30)).request
    late = closed(bob, ago=schedule.span("grace") + dt.timedelta(seconds=1)).request
    visitors = [signed_in(alice), signed_in(bob)]

    assert visitors[0].post(cancel_of(in_time)).status_code == 302
    assert Account.objects.get(pk=alice.account_id).state == State.ACTIVE
    # Sign-in has ended for everybody.
    assert visitors[1].post(cancel_of(late))["Location"] == "/delete/find/"
    assert Account.objects.get(pk=bob.account_id).state == State.CLOSED


def test_a_cancel_that_comes_too_late_says_when_the_time_ended(alice, monkeypatch):
    request = closed(alice).request
    visitor = signed_in(alice)
    visitor.get(cancel_of(request))
    # The due date passes while the form is on its way.
    passed = timezone.now() - dt.timedelta(seconds=1)
    real = cancelling.cancel
    monkeypatch.setattr(cancelling, "cancel", lambda pk, by: real(pk, by=by, at=request.due_at))

    answer = visitor.post(cancel_of(request))

    assert passed < request.due_at
    assert answer.status_code == 409
    assert "The time to cancel ended on" in words(answer)
    assert Account.objects.get().state == State.CLOSED


def test_only_the_owner_cancels(alice):
    request = closed(alice).request
    member = signed_in(User.objects.create_user(Account.objects.get(), PASSWORD))

    assert member.get(cancel_of(request)).status_code == member.post(cancel_of(request)).status_code == 403
    assert "Keep my account" not in words(member.get(status_of(request)))


# Truth.


def counts_on(answer) -> dict[str, int]:
    labels = {str(category.label): category.value for category in datamap.Category}
    return {labels[str(row["label"])]: row["count"] for row in answer.context["plan"] if row["count"]}


def erased(account_id) -> dict[str, int]:
    """Return per category how many of the rows that went the customer could see: internal notes are in no count."""
    found = Erasure.objects.filter(account=account_id).values_list("category", "rows_shown")
    return {category: shown for category, shown in found if shown}


def test_the_counts_on_the_page_are_the_rows_erased(charlie):
    answer = signed_in(charlie).get(START)
    page = counts_on(answer)
    kept = {"invoices": page.pop("invoices")}
    closed(charlie, ago=LONG_AGO)
    Session.objects.all().delete()
    # Closing itself writes a ticket with its message, and a mail.
    page["support"] += 2
    page["correspondence"] = page.get("correspondence", 0) + 1
    now = {line.category: line.records for line in plans.plan(Account.objects.get()).lines}

    purge.ring()

    assert erased(charlie.account_id) == page
    assert page | kept == {category: number for category, number in now.items() if number}


def test_a_count_that_forgets_a_table_is_caught(charlie, monkeypatch):
    """Negative control: a page that leaves a table out shows less than what goes."""
    shown = datamap.reading.shown

    def forgetful(model, *rest):
        return shown(model, *rest).none() if model is Ticket else shown(model, *rest)

    monkeypatch.setattr(datamap.reading, "shown", forgetful)
    now = plans.plan(charlie.account).lines
    monkeypatch.undo()
    closed(charlie, ago=LONG_AGO)

    purge.ring()

    seen = {line.category: line.records for line in now}
    assert erased(charlie.account_id)["support"] != seen["support"] + 2


def test_after_the_purge_the_status_says_done_and_what_is_kept(charlie):
    answer = closed(charlie, ago=LONG_AGO)
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    visitor = Client()
    visitor.post("/delete/find/", {"reference": answer.request.reference, "code": answer.code})

    page = visitor.get(status_of(answer.request))

    shown = words(page)
    assert "Your data is deleted. We checked this on" in shown
    assert "What we keep Invoices and payments so that we can answer tax authorities" in shown
    assert "We use them only for what the law requires." in shown


def test_a_kept_category_past_its_time_is_not_listed(charlie):
    answer = closed(charlie, ago=LONG_AGO)
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    request = DeletionRequest.objects.select_related("account").get(pk=answer.request.pk)
    until = Erasure.objects.get(category="invoices").due_at

    assert [line.category for line in plans.progress(request, until - DAY).lines] == ["invoices"]
    assert plans.progress(request, until).lines == []


def test_pages_cause_few_statements(charlie, rita):
    owe(charlie), bind(charlie), dispute(charlie)
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor)
    telling.tell(hold.pk, by=rita, how="letter")
    visitor = signed_in(charlie)
    before = counted(visitor, [START, CHECK, "/delete/find/"])
    close_in(visitor)
    request = DeletionRequest.objects.get()
    after = counted(visitor, [status_of(request), cancel_of(request), "/"])

    assert {page: n for page, n in (before | after).items() if n > 12} == {}
    assert max(before.values()) > 4


def counted(visitor: Client, pages: list[str]) -> dict[str, int]:
    found = {}
    for page in pages:
        with sql() as statements:
            visitor.get(page)
        found[page] = len(statements)
    return found


def test_what_is_stored_of_the_first_mail_goes_with_the_account(alice):
    closed(alice, ago=LONG_AGO)
    assert Correspondence.objects.count() == 1

    purge.ring()

    assert Correspondence.objects.count() == 0


def test_pages_of_the_signed_in_are_kept_in_no_cache(alice):
    visitor = signed_in(alice)

    for page in ("/", START, CHECK, "/delete/find/", "/invoices/", "/tickets/"):
        assert "no-store" in visitor.get(page)["Cache-Control"]


def test_furnished_accounts_hold_a_row_of_every_kind():
    """The tests above mean something only while the cast fills every table."""
    account = furnish(make_customer("every")).account

    empty = [model._meta.label for model in datamap.governed() if not datamap.rows(model, [account.pk]).exists()]
    assert empty == []


def test_other_methods_are_refused(alice):
    visitor = signed_in(alice)

    assert {visitor.delete(page).status_code for page in (START, CHECK, "/delete/find/", reverse("overview"))} == {405}
