"""Overview, invoices and paying, conversations, help: their states, and nothing of anybody else's."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import legal_texts, paying, supporting
from accounts.keys.identifiers import uuid7
from accounts.models import Invoice, Payment, PaymentMethod, Ticket, TicketMessage, User
from retention import closing
from tests.cast import furnish, make_customer, make_invoice, owe, sign_in_from
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

DAY = dt.timedelta(days=1)


def pages_of(user: User) -> list[str]:
    """Return every page of the user's own things."""
    account = user.account_id
    invoices = Invoice.objects.filter(account=account)
    tickets = Ticket.objects.filter(account=account)
    return [
        *(reverse("accounts:invoice", args=[invoice.number]) for invoice in invoices),
        *(reverse("accounts:invoice_pay", args=[invoice.number]) for invoice in invoices),
        *(reverse("accounts:ticket", args=[ticket.reference]) for ticket in tickets),
    ]


# The overview.


def test_an_empty_overview_says_so(alice):
    legal_texts.accept(alice, legal_texts.current())
    shown = words(signed_in(alice).get("/"))

    assert "Nothing needs you. We will e-mail you if that changes." in shown
    assert "No earlier sign-in on record." in shown
    assert alice.account.number in shown


def test_what_needs_the_customer_comes_nearest_deadline_first(charlie, sam):
    later, sooner = make_invoice(charlie), make_invoice(charlie, at=timezone.now() - 5 * DAY)
    ticket = Ticket.objects.get()
    supporting.reply(ticket.pk, by=sam, body="Have a look.")

    answer = signed_in(charlie).get("/")

    named = [task.get("number") or task.get("reference") or task["kind"] for task in answer.context["tasks"]]
    assert named == [sooner.number, later.number, "legal", ticket.reference]
    assert f"Pay invoice {sooner.number} : $12.90" in words(answer)
    assert f"Read our answer in {ticket.reference}" in words(answer)


def test_a_part_that_is_paid_is_not_asked_for_again(alice):
    invoice = owe(alice)
    Payment.objects.create(
        account=alice.account, invoice=invoice, amount_cents=290, method="Cheque", paid_at=timezone.now()
    )

    assert "$10.00" in words(signed_in(alice).get("/"))


def test_the_sign_in_before_this_one_is_shown_while_the_schedule_keeps_it(alice):
    visitor = signed_in(alice)
    sign_in_from(alice, at=timezone.now() - 120 * DAY)
    # Older than 90 days: past its schedule, whether or not the sweep has run (silence.md, S7).
    assert visitor.get("/").context["last_sign_in"] is None

    sign_in_from(alice, at=timezone.now() - 80 * DAY)
    assert visitor.get("/").context["last_sign_in"].at < timezone.now() - 79 * DAY


def test_old_sign_ins_are_counted_on_no_page(alice):
    visitor = signed_in(alice)
    sign_in_from(alice, at=timezone.now() - 120 * DAY)

    def counted() -> int:
        rows = visitor.get("/delete/").context["plan"]
        return next(row["count"] for row in rows if str(row["label"]) == "Sign-in history")

    before = counted()
    sign_in_from(alice, at=timezone.now() - 89 * DAY)
    assert counted() == before + 1


def test_staff_are_sent_to_their_work(sam):
    visitor = signed_in(sam)

    assert visitor.get("/")["Location"] == reverse("admin:index")
    assert visitor.get("/invoices/").status_code == 403


def test_whoever_is_not_signed_in_is_sent_to_sign_in():
    for page in ("/", "/invoices/", "/tickets/", "/delete/", "/delete/check/", "/tickets/TIC-2222-2222/"):
        assert Client().get(page)["Location"] == f"/sign-in/?next={page}"
    for page in ("/help/", "/delete/find/"):
        assert Client().get(page).status_code == 200


# Invoices.


def test_without_invoices_the_page_says_what_would_be_here(alice):
    assert "No invoices yet." in words(signed_in(alice).get("/invoices/"))


def test_an_invoice_shows_lines_payments_and_to_whom(charlie):
    invoice = Invoice.objects.get()

    shown = words(signed_in(charlie).get(f"/invoices/{invoice.number}/"))

    assert "To Charlie Canary Charlie Canary Street" in shown
    assert "Hosting for Charlie Canary $12.90" in shown
    assert "Paid" in shown
    assert "Pay this invoice" not in shown


def test_invoices_come_in_pages(alice):
    for number in range(27):
        make_invoice(alice, at=timezone.now() - number * DAY)
    visitor = signed_in(alice)

    assert "Page 1 of 2" in words(visitor.get("/invoices/"))
    assert len(visitor.get("/invoices/?page=2").context["page"].object_list) == 2
    for odd in ("0", "-1", "99", "x", "９"):
        assert visitor.get("/invoices/", {"page": odd}).status_code == 200


def test_paying_pays_once(charlie):
    invoice, visitor = owe(charlie), signed_in(charlie)
    page = reverse("accounts:invoice_pay", args=[invoice.number])
    method = str(PaymentMethod.objects.get().pk)
    assert "Visa ending in 4242, expires 04/2031" in words(visitor.get(page))
    assert "Pay $12.90" in words(visitor.get(page))
    form = {"method": method, "submission": str(uuid7())}

    answers = [visitor.post(page, form), visitor.post(page, form)]

    shown = reverse("accounts:invoice", args=[invoice.number])
    assert [answer["Location"] for answer in answers] == [shown, shown]
    assert f"Invoice {invoice.number} is paid." in words(visitor.get(shown))
    assert Payment.objects.filter(invoice=invoice).count() == 1
    assert visitor.get(page)["Location"] == shown


def test_a_payment_without_a_choice_or_with_somebody_elses_method_stays(charlie):
    invoice, visitor = owe(charlie), signed_in(charlie)
    other = furnish(make_customer("oscar"))
    page = reverse("accounts:invoice_pay", args=[invoice.number])
    method = PaymentMethod.objects.get(account=other.account_id)

    assert "Choose how you want to pay." in words(visitor.post(page, {"submission": str(uuid7())}))
    answer = visitor.post(page, {"method": str(method.pk), "submission": str(uuid7())})
    assert "This payment method is not on file any more." in words(answer)
    assert not Payment.objects.filter(invoice=invoice).exists()


def test_without_a_method_or_a_provider_the_page_names_the_way(alice, charlie, settings):
    mine, theirs = owe(alice), owe(charlie)
    page = reverse("accounts:invoice_pay", args=[mine.number])
    assert "There is no payment method on file" in words(signed_in(alice).get(page))

    settings.PAYMENT_PROVIDER = "accounts.paying.NoProvider"
    page = reverse("accounts:invoice_pay", args=[theirs.number])
    assert "Write to support" in words(signed_in(charlie).get(page))
    assert paying.balance_cents(theirs) == 1290


# Conversations.


def test_a_conversation_is_opened_read_and_continued(alice, sam):
    visitor = signed_in(alice)
    assert "No conversations yet." in words(visitor.get("/tickets/"))
    form = {"subject": "A question", "body": "How?\nWhy? <b>", "submission": str(uuid7())}

    answers = [visitor.post("/tickets/", form), visitor.post("/tickets/", form)]

    ticket = Ticket.objects.get()
    page = reverse("accounts:ticket", args=[ticket.reference])
    assert [answer["Location"] for answer in answers] == [page, page]
    supporting.reply(ticket.pk, by=sam, body="So.")
    assert "We answered" in words(visitor.get("/tickets/"))
    shown = visitor.get(page)
    assert "ChicagoCloud wrote on" in words(shown)
    assert "Why? &lt;b&gt;" in shown.content.decode()
    reply = {"body": "Thanks", "submission": str(uuid7())}
    assert [visitor.post(page, reply)["Location"] for _ in range(2)] == [page, page]
    assert TicketMessage.objects.count() == 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"body": ""}, "Write your message."),
        ({"subject": " "}, "Write in a few words what it is about."),
        ({"body": "My card is 4111 1111 1111 1111"}, "This looks like a card number."),
        ({"subject": "5555-5555-5555-4444"}, "This looks like a card number."),
        ({"body": "x" * 10_001}, "at most 10000 characters"),
        ({"body": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_a_message_that_cannot_be_kept_stays_in_its_form(alice, changed, sentence):
    form = {"subject": "A question", "body": "How?", "submission": str(uuid7()), **changed}

    answer = signed_in(alice).post("/tickets/", form)

    assert answer.status_code == 200
    assert sentence in words(answer)
    assert not Ticket.objects.exists()


def test_a_closed_conversation_takes_no_message(alice):
    ticket = supporting.open_ticket(alice.account, by=alice, subject="Old", body="Old")
    Ticket.objects.update(state=Ticket.State.CLOSED)
    visitor, page = signed_in(alice), reverse("accounts:ticket", args=[ticket.reference])

    assert "This conversation is closed." in words(visitor.get(page))
    assert visitor.post(page, {"body": "More", "submission": str(uuid7())}).status_code == 200
    assert TicketMessage.objects.count() == 1


def test_messages_are_not_taken_without_end(alice):
    visitor = signed_in(alice)
    ticket = supporting.open_ticket(alice.account, by=alice, subject="One", body="One")
    page = reverse("accounts:ticket", args=[ticket.reference])
    codes = [visitor.post(page, {"body": "More", "submission": str(uuid7())}).status_code for _ in range(31)]

    assert codes == [302] * 30 + [429]


def test_a_closed_account_writes_in_its_deletion_and_opens_nothing_new(charlie):
    closed = closing.close(charlie.account_id, by=charlie, submission=uuid7(), at=timezone.now() - DAY)
    visitor = signed_in(charlie)
    ticket = Ticket.objects.get(pk=closed.request.ticket)
    page = reverse("accounts:ticket", args=[ticket.reference])

    assert "See how far the deletion is" in words(visitor.get(page))
    assert visitor.post(page, {"body": "Quickly", "submission": str(uuid7())}).status_code == 302
    assert "Write to us" not in words(visitor.get("/tickets/"))
    form = {"subject": "New", "body": "New", "submission": str(uuid7())}
    assert visitor.post("/tickets/", form).status_code == 200
    assert Ticket.objects.count() == 2
    assert "Your deletion" in visitor.get("/invoices/").content.decode()


# Everybody's own.


def test_what_belongs_to_somebody_else_is_not_there(charlie, alice):
    owe(charlie)
    visitor, stranger = signed_in(charlie), signed_in(alice)

    for page in pages_of(charlie):
        assert visitor.get(page).status_code in {200, 302}
        assert stranger.get(page).status_code == stranger.post(page, {}).status_code == 404
    unknown = stranger.get("/invoices/INV-2222-2222/")
    known = stranger.get(f"/invoices/{Invoice.objects.first().number}/")
    assert words(known) == words(unknown)


def test_pages_cause_few_statements_and_get_writes_nothing(charlie, sam):
    for number in range(30):
        make_invoice(charlie, at=timezone.now() - number * DAY)
        supporting.open_ticket(charlie.account, by=charlie, subject=f"No {number}", body="?")
    supporting.reply(Ticket.objects.first().pk, by=sam, body="!")
    visitor, found = signed_in(charlie), {}

    for page in ["/", "/invoices/", "/tickets/", "/help/", *pages_of(charlie)[:3], pages_of(charlie)[-1]]:
        with sql() as statements:
            assert visitor.get(page).status_code in {200, 302}
        found[page] = len(statements)
        assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []

    assert {page: n for page, n in found.items() if n > 12} == {}


def test_help_names_a_person_to_write_to(alice):
    assert "mailto:" in Client().get("/help/").content.decode()
    assert "Start or continue a conversation" in words(signed_in(alice).get("/help/"))
    assert "Start or continue a conversation" not in words(Client().get("/help/"))


def test_a_customer_settles_a_conversation_and_is_reminded_no_more(alice, bob, sam):
    legal_texts.accept(alice, legal_texts.current())
    ticket = supporting.open_ticket(alice.account, by=alice, subject="One", body="One")
    supporting.reply(ticket.pk, by=sam, body="So.")
    visitor, page = signed_in(alice), reverse("accounts:ticket", args=[ticket.reference])
    settle = reverse("accounts:ticket_settle", args=[ticket.reference])

    looked, stranger = visitor.get(settle), signed_in(bob).post(settle)
    before = words(visitor.get("/"))
    answer = visitor.post(settle, follow=True)

    assert (looked.status_code, looked["Location"], stranger.status_code) == (302, page, 404)
    assert f"Read our answer in {ticket.reference}" in before
    assert answer.redirect_chain == [(page, 302)]
    assert "This conversation is settled." in words(answer)
    assert "Mark this as settled" not in words(answer)
    assert "Nothing needs you." in words(visitor.get("/"))


def test_the_ticket_of_a_deletion_is_not_for_settling(alice):
    closed = closing.close(alice.account_id, by=alice, submission=uuid7())
    reference = Ticket.objects.get(pk=closed.request.ticket).reference
    visitor = signed_in(alice)

    page = visitor.get(reverse("accounts:ticket", args=[reference]))
    answer = visitor.post(reverse("accounts:ticket_settle", args=[reference]))

    assert "Mark this as settled" not in words(page)
    assert answer.status_code == 409
    assert "can still be cancelled" in words(answer)
