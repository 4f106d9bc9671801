"""Issuing invoices: to whom it was then, once, told by mail; read and printed while they are kept (P8)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invoicing, paying
from accounts.errors import NotActionable
from accounts.invoicing import BilledLine, issue_invoice
from accounts.keys.identifiers import uuid7
from accounts.models import Address, BillingProfile, Contact, Correspondence, Invoice, User
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import day_text, moment_text
from retention import closing
from tests.cast import DAY, add_billing_contact, make_staff, owe
from tests.servers import Connection
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")

LINES = [BilledLine("Support by the hour", 9000, 2), BilledLine("Travel", 1550)]


def issue(user: User, **given: Any) -> Invoice:
    assert user.account_id is not None
    return issue_invoice(user.account_id, **{"lines": LINES, "by": "system", **given})


def letters(word: str) -> list[mail.EmailMessage]:
    outbox.relay()
    return [one for one in mail.outbox if word in one.subject]


# To whom.


def test_an_invoice_is_made_out_to_the_owner_as_they_are_now(alice: User):
    invoice = issue(alice)

    assert invoice.billed_to == {
        "name": "Alice Canary",
        "company": "Alice Hosting Ltd",
        "street": "7 Alice Street",
        "city": "Aliceville",
        "region": "IL",
        "postcode": "60601",
        "country": "US",
    }
    assert invoicing.bill_to_lines(invoice) == [
        "Alice Canary",
        "Alice Hosting Ltd",
        "7 Alice Street",
        "Aliceville, IL 60601",
        "United States of America",
    ]
    assert (invoice.state, invoice.total_cents, invoice.number[:4]) == ("issued", 19_550, "INV-")


def test_a_billing_contact_comes_first_with_the_tax_number(alice: User):
    add_billing_contact(alice)
    BillingProfile.objects.create(account_id=alice.account_id, tax_number="DE 123 456", created_at=timezone.now())

    to = issue(alice).billed_to

    assert (to["name"], to["street"], to["company"]) == (
        "Alice Canary Accountant",
        "Alice Canary Road 1",
        "Alice Hosting Ltd",
    )
    assert to["tax_number"] == "DE 123 456"


def test_a_billing_contact_without_an_address_takes_the_owners(alice: User):
    contact = add_billing_contact(alice)
    Address.objects.filter(contact=contact).update(removed_at=timezone.now())
    assert issue(alice).billed_to["street"] == "7 Alice Street"
    Contact.objects.filter(pk=contact.pk).update(removed_at=timezone.now())
    assert issue(alice).billed_to["name"] == "Alice Canary"


def test_an_invoice_keeps_name_and_address_when_they_change(alice: User):
    invoice = issue(alice)
    contact = Contact.objects.get(account_id=alice.account_id)
    contact.name = "Alice Otherwise"
    contact.save()
    assert Invoice.objects.get(pk=invoice.pk).billed_to["name"] == "Alice Canary"
    assert issue(alice).billed_to["name"] == "Alice Otherwise"


def test_without_an_address_the_name_alone_is_billed(alice: User):
    Address.objects.all().update(removed_at=timezone.now())
    Contact.objects.all().update(company=None)
    assert invoicing.bill_to_lines(issue(alice)) == ["Alice Canary"]


def test_an_unknown_country_is_written_as_it_was_given():
    invoice = Invoice(billed_to={"name": "A", "country": "Freedonia"})
    assert invoicing.bill_to_lines(invoice) == ["A", "Freedonia"]


def test_name_and_address_are_sealed_under_the_key_of_invoices(alice: User, runtime: Connection):
    invoice = issue(alice)
    box = runtime.execute("SELECT billed_to FROM accounts_invoice WHERE id = %s", [invoice.pk]).fetchone()[0]
    assert b"Alice" not in bytes(box)
    assert invoice.key_place() == (alice.account_id, "invoices")


# Once, and not for everybody.


def test_the_same_submission_issues_one_invoice(alice: User, bob: User):
    submission = uuid7()
    first, again = (issue(alice, submission=submission) for _ in range(2))

    assert first.pk == again.pk and Invoice.objects.count() == 1
    assert len(letters(first.number)) == 1
    for user, lines in ((bob, LINES), (alice, LINES[:1])):
        with pytest.raises(NotActionable, match="used already"):
            issue(user, lines=lines, submission=submission)


def test_a_closed_account_is_billed_no_more(alice: User):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="nothing is ordered or billed"):
        issue(alice)


@pytest.mark.parametrize(
    "changed",
    [
        {"lines": []},
        {"lines": [BilledLine("Nothing", 0)]},
        {"lines": [BilledLine("", 1)]},
        {"lines": [BilledLine("4242 4242 4242 4242", 1)]},
        {"lines": [BilledLine("Much", 10**11)]},
        {"lines": [BilledLine("Much", 10**9, 100)] * 2},
        {"lines": [BilledLine("Less", -1)]},
        {"due_days": -1},
        {"due_days": 366},
        {"due_days": 10**9},
        {"currency": "dollars"},
    ],
)
def test_what_cannot_be_billed_is_refused(alice: User, changed: dict[str, Any]):
    with pytest.raises(ValidationError) as refusal:
        issue(alice, **changed)
    assert "4242" not in str(refusal.value) and not Invoice.objects.exists()


def test_raw_sql_makes_no_negative_and_no_stateless_invoice(alice: User, runtime: Connection):
    invoice = issue(alice)
    for change in ("total_cents = -1", "state = 'gone'", "state = 'paid'", "settled_at = now()"):
        with pytest.raises(Exception, match="invoice_"):
            runtime.execute(f"UPDATE accounts_invoice SET {change} WHERE id = %s", [invoice.pk])


# What is told.


def test_issuing_and_paying_are_mailed_to_whoever_pays(alice: User):
    contact = add_billing_contact(alice)
    invoice = issue(alice, due_days=30)
    paying.pay(invoice.pk, by=alice)

    issued, paid = letters(invoice.number)

    assert issued.to == paid.to == [contact.email]
    assert (issued.subject, paid.subject) == (f"Your invoice {invoice.number}", f"Invoice {invoice.number} is paid")
    assert "over $195.50" in issued.body and f"Pay it by {day_text(invoice.issued_at + 30 * DAY)}" in issued.body
    settled = Invoice.objects.get().settled_at
    assert f"We received $195.50 on {moment_text(settled)}" in paid.body
    assert not issued.attachments and not paid.attachments
    assert Correspondence.objects.filter(account_id=alice.account_id).count() == 2
    assert LedgerEntry.objects.filter(action="invoice.issued", subject=alice.account_id).count() == 1


def test_paying_again_is_not_told_again(alice: User):
    invoice = issue(alice)
    for _ in range(2):
        paying.pay(invoice.pk, by=alice)
    assert len(letters("is paid")) == 1


def test_a_payment_that_came_another_way_is_told_until_sign_in_ends(alice: User, bob: User):
    bill = make_staff("bill", "billing")
    mine, theirs = owe(alice), owe(bob)
    for user, ago in ((alice, DAY), (bob, 31 * DAY)):
        closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - ago)
    for invoice in (mine, theirs):
        paying.record(invoice.pk, by=bill, method="bank transfer", reference="", submission=uuid7())

    assert [one.subject for one in letters("is paid")] == [f"Invoice {mine.number} is paid"]


# The page and staff's door.


def test_the_page_shows_whom_it_was_made_out_to_and_offers_the_file(alice: User):
    BillingProfile.objects.create(account_id=alice.account_id, tax_number="TAX 77", created_at=timezone.now())
    invoice = issue(alice)
    shown = words(signed_in(alice).get(f"/invoices/{invoice.number}/"))

    assert "To Alice Canary Alice Hosting Ltd 7 Alice Street Aliceville, IL 60601 United States of America" in shown
    assert "Tax number TAX 77" in shown and "2 × Support by the hour $180.00" in shown
    assert "Download this invoice (PDF)" in shown


def form(**changed: Any) -> dict[str, Any]:
    lines = {"text_1": "Moving a site", "quantity_1": "1", "price_1": "99.90"}
    return {"currency": "USD", "due_days": "14", "submission": str(uuid7()), **lines, **changed}


def door(user: User) -> tuple[Client, str]:
    return signed_in(make_staff("bill", "billing")), reverse(
        "admin:accounts_account_issue-invoice", args=[user.account_id]
    )


def test_billing_issues_an_invoice_on_the_customer_card(alice: User):
    visitor, address = door(alice)
    sent = form(text_2="Backup", quantity_2="3", price_2="1.5", due_days="7")

    shown = visitor.get(address).content.decode()
    done = visitor.post(address, sent, follow=True)
    again = visitor.post(address, sent, follow=True)

    invoice = Invoice.objects.get()
    assert "The customer is told by mail" in shown
    assert f"Invoice {invoice.number} over $104.40 is issued." in done.content.decode()
    assert f"Invoice {invoice.number} is issued." in again.content.decode()
    assert invoice.due_at - invoice.issued_at == dt.timedelta(days=7)
    assert LedgerEntry.objects.get(action="invoice.issued").actor.startswith("staff:")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"text_1": ""}, "Enter this: line 1: what is billed."),
        ({"text_1": "4242 4242 4242 4242"}, "This looks like a card number."),
        ({"text_2": "Half a line"}, "Give this line a text and a price, or none."),
        ({"price_2": "5"}, "Give this line a text and a price, or none."),
        ({"price_1": "0"}, "its total is above zero"),
        ({"price_1": "1e309"}, "1"),
        ({"price_1": "1.005"}, "2 decimal places"),
        ({"price_1": "-5"}, "greater than or equal to 0"),
        ({"quantity_1": "10001"}, "10000"),
        ({"due_days": "400"}, "365"),
        ({"currency": "usd"}, "Currency"),
    ],
)
def test_what_staff_mistype_stays_in_the_form(alice: User, changed: dict[str, Any], sentence: str):
    visitor, address = door(alice)
    answer = visitor.post(address, form(**changed))
    assert answer.status_code == 422 and sentence in answer.content.decode()
    assert not Invoice.objects.exists()


def test_a_closed_account_offers_no_invoice(alice: User):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    visitor, address = door(alice)
    assert "nothing is billed to it any more" in visitor.get(address).content.decode()
    assert visitor.post(address, form()).status_code == 409
