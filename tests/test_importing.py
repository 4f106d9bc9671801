"""Importing a billing panel's clients: what becomes of a row, of a fault, of a repeat, of who left or was deleted."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import datamap, importing
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import (
    AccessEvent,
    Account,
    Address,
    BillingProfile,
    BusinessItem,
    Contact,
    ImportedClient,
    Person,
    SignInIdentifier,
    State,
    Suspension,
    User,
)
from accounts.models.contacts import address_digest
from accounts.safeguards import finding
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from retention import cancelling, closing, purge, schedule
from retention import importing as acts
from retention.management.commands.import_clients import safe_cell
from retention.management.commands.purge import DONE, PARTLY, USAGE
from retention.models import DeletionRequest, Erasure
from tests.cast import PASSWORD, make_customer, make_staff
from tests.panel import HEADER, export, refusals, row, run, text_of
from tests.visiting import entered, signed_in, words

pytestmark = pytest.mark.usefixtures("committed")


def counts(said: dict[str, Any]) -> list[int]:
    return [said[name] for name in ("imported", "unchanged", "refused", "fields refused")]


def only_account() -> Account:
    return Account.objects.get()


# What a client becomes.


def test_a_client_becomes_a_whole_customer(tmp_path: Path):
    code, said = run(export(tmp_path / "c.csv", [row(7)]))

    assert (code, counts(said)) == (DONE, [1, 0, 0, 0])
    account = only_account()
    assert (account.state, account.created_at) == (State.ACTIVE, dt.datetime(2020, 2, 3, 4, 5, 6, tzinfo=dt.UTC))
    user = User.objects.get(account=account)
    assert user.is_owner and not user.has_usable_password() and user.time_zone == "America/Chicago"
    assert Person.objects.get(user=user).name == "Firstname7 Lastname7"
    names = {name.kind: name.value for name in SignInIdentifier.objects.filter(user=user, signs_in=True)}
    assert names == {"email": "client7@panel7.example", "number": account.number}
    owner = Contact.objects.get(account=account, role="owner")
    assert (owner.email, owner.phone, owner.company) == ("client7@panel7.example", "+13125550123", "Company7 Ltd")
    assert Contact.objects.get(account=account, role="billing").email == "books7@panel7.example"
    address = Address.objects.get(account=account)
    assert (address.street, address.city, address.region) == ("7 Panel Street, Suite 7", "Panelville7", "IL")
    assert (address.postcode, address.country, address.contact_id) == ("60601", "US", owner.pk)
    profile = BillingProfile.objects.get(account=account)
    assert (profile.kind, profile.currency, profile.tax_number) == ("company", "EUR", "VAT-7")
    assert (profile.company_number, profile.referred_by) == ("HRB-7", "Partner7")
    note = BusinessItem.objects.get(account=account)
    assert (note.text, note.source) == ("Note7 about them", "import")


def test_nobody_is_written_to_and_nobody_can_sign_in_without_asking(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7), row(8, status="canceled")]))

    assert not OutboxMessage.objects.exists()
    answer = Client().post(reverse("account_login"), {"login": "client7@panel7.example", "password": ""})
    assert answer.status_code == 200
    assert not User.objects.get(account__state=State.ACTIVE).has_usable_password()
    Client().post(reverse("account_reset_password"), {"email": "client7@panel7.example"})
    assert OutboxMessage.objects.count() == 1, "who asks for a password gets the mail"


def test_staff_find_an_imported_customer_by_address(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7)]))

    assert Contact.objects.get(role="owner").email_digest == address_digest("client7@panel7.example")


def test_the_ledger_names_the_account_and_the_run_and_nothing_personal(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7)]))

    entry = LedgerEntry.objects.get(action="account.imported")
    assert entry.subject == only_account().pk
    assert LedgerEntry.objects.filter(action="clients.imported", subject=None).count() == 1
    assert not re.search("panel7|Firstname7|Note7", "".join(LedgerEntry.objects.values_list("body", flat=True)))


def test_nothing_personal_stands_in_clear(tmp_path: Path, owner: Any):
    run(export(tmp_path / "c.csv", [row(7, created_at=f"{timezone.now() - dt.timedelta(days=1):%Y-%m-%d %H:%M:%S}")]))

    for model in datamap.entries():
        table = model._meta.db_table
        content = owner.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t").fetchone()[0]
        plain = content + bytes.fromhex("".join(re.findall(r"\\x((?:[0-9a-f]{2})+)", content))).decode("latin-1")
        assert not re.search("panel7|Firstname7|Lastname7|Company7|Note7|VAT-7|203.0.113.7", plain, re.I), table


def test_the_address_of_a_recent_sign_up_is_kept_and_an_old_one_is_left_out_and_said(tmp_path: Path):
    recent = timezone.now() - schedule.span("access") + dt.timedelta(days=1)
    rows = [row(1, created_at=f"{recent:%Y-%m-%d %H:%M:%S}"), row(2)]
    _code, said = run(export(tmp_path / "c.csv", rows))

    event = AccessEvent.objects.get()
    assert (event.ip, event.at) == ("203.0.113.7", recent.replace(microsecond=0))
    assert said["addresses left out"] == 1


def test_a_suspended_client_is_suspended_for_billing(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7, status="suspended")]))

    found = Suspension.objects.standing().get()
    assert (found.account_id, found.ground, found.service) == (only_account().pk, "billing", None)
    assert LedgerEntry.objects.filter(action="suspension.placed", subject=found.account_id).count() == 1


def test_a_canceled_client_is_closed_and_due_as_closing_does_it(tmp_path: Path):
    other = make_customer("bob")
    request = closing.close(other.account_id, by=other, submission=uuid7()).request
    before = timezone.now()
    run(export(tmp_path / "c.csv", [row(7, status="canceled")]))

    account = Account.objects.exclude(pk=other.account_id).get()
    assert account.state == State.CLOSED and account.closed_at >= before
    assert account.due_at == account.closed_at + schedule.span("grace")
    planned = {erasure.category: erasure.kept_for for erasure in Erasure.objects.filter(account=account)}
    assert planned == {
        erasure.category: erasure.kept_for for erasure in Erasure.objects.filter(account=other.account_id)
    }
    assert DeletionRequest.objects.get() == request, "no request of somebody who did not ask"
    assert not OutboxMessage.objects.filter(subject=account.pk).exists()


def test_a_canceled_client_who_signs_in_reads_why_it_is_closed_and_can_keep_the_account(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7, status="canceled")]))
    user = User.objects.get(account=only_account())
    visitor = entered(Client(), user)

    blocked = visitor.get(reverse("overview"))
    assert blocked.status_code == 409
    assert "had ended before" in blocked.content.decode() and "You asked us" not in blocked.content.decode()
    path = reverse("retention:delete_reopen")
    assert path in blocked.content.decode()
    assert visitor.get(path).status_code == 200 and only_account().state == State.CLOSED, "a GET changes nothing"

    assert visitor.post(path)["Location"] == reverse("overview")
    assert only_account().state == State.ACTIVE and only_account().due_at is None
    assert not Erasure.objects.live().filter(account=user.account_id).exists()
    assert LedgerEntry.objects.filter(action="account.reopened", subject=user.account_id).count() == 1
    assert OutboxMessage.objects.filter(subject=user.account_id).count() == 1
    assert visitor.get(path)["Location"] == reverse("overview"), "what is open stays open"
    cancelling.reopen(user.account_id, by=user)
    assert LedgerEntry.objects.filter(action="account.reopened").count() == 1


def test_a_member_of_a_canceled_client_reads_until_when_and_whom_to_ask_and_opens_nothing(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7, status="canceled")]))
    account = only_account()
    member = entered(Client(), User.objects.create_user(account, PASSWORD, member_role="billing"))
    path = reverse("retention:delete_reopen")

    blocked = member.get(reverse("overview"))
    assert blocked.status_code == 409
    assert f'href="{path}"' in blocked.content.decode().partition("<main")[2]
    said = words(member.get(path))
    due = timezone.localtime(account.due_at)
    assert "had ended before it came to this portal" in said and f"From {due.day} {due:%B %Y}" in said
    assert "Firstname7 Lastname7" in said
    assert "Open my account again" not in said and "opens again at once" not in said
    assert member.post(path).status_code == 403
    assert only_account().state == State.CLOSED


def test_a_member_is_led_from_reopening_to_the_status_of_a_request(alice: User):
    request = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    member = entered(Client(), User.objects.create_user(alice.account, PASSWORD, member_role="billing"))

    answer = member.get(reverse("retention:delete_reopen"))
    assert answer["Location"] == reverse("retention:delete_status", args=[request.reference])


def test_nothing_is_opened_again_after_the_due_date_or_over_a_request(tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(7, status="canceled")]))
    account = only_account()
    user = User.objects.get(account=account)
    with pytest.raises(NotActionable, match="has ended"):
        cancelling.reopen(account.pk, by=user, at=account.due_at)
    bob = make_customer("bob")
    request = closing.close(bob.account_id, by=bob, submission=uuid7()).request
    with pytest.raises(NotActionable, match=request.reference):
        cancelling.reopen(bob.account_id, by=bob)
    with pytest.raises(PermissionDenied):
        cancelling.reopen(account.pk, by=bob)
    assert set(Account.objects.values_list("state", flat=True)) == {State.CLOSED}


# Repeats.


def test_a_repeated_file_changes_nothing(tmp_path: Path):
    path = export(tmp_path / "c.csv", [row(1), row(2, status="suspended"), row(3, status="canceled", ip="nonsense")])
    run(path)
    there = {model: model._base_manager.count() for model in datamap.governed()}
    code, said = run(path)

    assert (code, counts(said)) == (DONE, [0, 3, 0, 1])
    assert {model: model._base_manager.count() for model in datamap.governed()} == there


def test_a_row_reads_the_same_whatever_the_line_ends_and_the_columns_not_taken(tmp_path: Path):
    run(export(tmp_path / "a.csv", [row(1)]))
    again = text_of([row(1, updated_at="2026-01-01 00:00:00", lang="de_DE")]).replace("\n", "\r\n")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + again.encode())

    assert counts(run(tmp_path / "b.csv")[1]) == [0, 1, 0, 0]


def test_other_data_under_a_known_id_is_refused_in_the_file_and_later(tmp_path: Path):
    path = export(tmp_path / "c.csv", [row(1), row(1, city="Elsewhere"), row(1)])
    assert counts(run(path)[1]) == [1, 1, 1, 0]
    assert refusals(path) == [("3", "id", importing.OTHER_DATA.reason)]

    later = export(tmp_path / "d.csv", [row(1, city="Elsewhere")])
    assert counts(run(later)[1]) == [0, 0, 1, 0]
    assert Address.objects.get().city == "Panelville1"


def test_a_deleted_customer_is_not_revived(tmp_path: Path):
    path = export(tmp_path / "c.csv", [row(7)])
    run(path)
    user = User.objects.get()
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - dt.timedelta(days=40))
    purge.ring()
    purge.ring(at=timezone.now() + dt.timedelta(minutes=5))
    account = only_account()
    assert account.state == State.ERASED

    code, said = run(path)
    assert (code, counts(said)) == (PARTLY, [0, 0, 1, 0])
    assert refusals(path) == [("2", "id", f"deleted on {account.erased_at:%Y-%m-%d}")]
    assert Account.objects.count() == 1


def test_a_customer_whose_deletion_is_under_way_is_not_revived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = export(tmp_path / "c.csv", [row(7)])
    run(path)
    user = User.objects.get()
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - dt.timedelta(days=40))
    purge.ring()
    assert only_account().state != State.ERASED

    run(path)
    assert refusals(path) == [("2", "id", importing.UNDER_WAY.reason)]


def test_without_the_register_a_deleted_customer_would_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Negative control of the two above."""
    path = export(tmp_path / "c.csv", [row(7)])
    run(path)
    user = User.objects.get()
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - dt.timedelta(days=40))
    purge.ring()
    monkeypatch.setattr(importing, "client_digest", lambda panel_id: os.urandom(32))

    assert counts(run(path)[1]) == [1, 0, 0, 0]


def test_the_register_holds_a_hash_that_only_the_secret_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(export(tmp_path / "c.csv", [row(7)]))
    stored = bytes(ImportedClient.objects.get().digest)

    assert stored == importing.client_digest("7")
    monkeypatch.setattr(importing, "derived_key", lambda purpose: finding.derived_key("another purpose"))
    assert stored != importing.client_digest("7")


# Faults that refuse a row: column and what was sent.

ROWS: dict[str, tuple[dict[str, str], str]] = {
    "no e-mail": ({"email": ""}, "email"),
    "wrong e-mail": ({"email": "not-an-address"}, "email"),
    "look-alike e-mail": ({"email": "cl\u0131ent@panel.example"}, "email"),
    "Cyrillic e-mail": ({"email": "\u0430lice@panel.example"}, "email"),
    "full-width e-mail": ({"email": "\uff2d\uff29\uff2b\uff25@panel.example"}, "email"),
    "zero-width e-mail": ({"email": "cli\u200bent@panel.example"}, "email"),
    "literal e-mail": ({"email": "client@[127.0.0.1]"}, "email"),
    "unknown status": ({"status": "deleted"}, "status"),
    "empty status": ({"status": ""}, "status"),
    "NUL in the name": ({"first_name": "An\x00na"}, "first_name"),
    "NUL in the notes": ({"notes": "a\x00b"}, "notes"),
    "over-long name": ({"last_name": "A" * 300}, "last_name"),
    "card number as name": ({"last_name": "4242 4242 4242 4242"}, "last_name"),
    "no name at all": ({"first_name": "", "last_name": " ", "company": ""}, "first_name"),
    "no id": ({"id": ""}, "id"),
    "id of other signs": ({"id": "7; DROP"}, "id"),
    "over-long id": ({"id": "7" * 65}, "id"),
}


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_with_a_fault_of_its_own_is_refused_and_its_neighbours_are_not(fault: str, tmp_path: Path):
    given, column = ROWS[fault]
    path = export(tmp_path / "c.csv", [row(1), row(2, **given), row(3)])
    code, said = run(path)

    assert (code, counts(said)) == (PARTLY, [2, 0, 1, 0])
    [(line, where, reason)] = refusals(path)
    assert (line, where) == ("3", column)
    assert not [value for value in given.values() if value.strip() and value in reason]
    assert Account.objects.count() == Person.objects.count() == ImportedClient.objects.count() == 2


@pytest.mark.parametrize("again", ["client1@panel1.example", "CLIENT1@Panel1.Example", " client1@panel1.example "])
def test_an_address_in_use_is_refused_by_case_too(again: str, tmp_path: Path):
    path = export(tmp_path / "c.csv", [row(1), row(2, email=again)])
    assert counts(run(path)[1]) == [1, 0, 1, 0]
    assert refusals(path) == [("3", "email", importing.IN_USE.reason)]

    later = export(tmp_path / "d.csv", [row(3, email=again)])
    assert counts(run(later)[1]) == [0, 0, 1, 0]


def test_an_address_of_a_customer_of_the_portal_is_refused(tmp_path: Path):
    make_customer("alice")
    path = export(tmp_path / "c.csv", [row(1, email="Alice@alice.example")])

    assert counts(run(path)[1]) == [0, 0, 1, 0]


# Faults that refuse a field: what was sent, the column, and what shows that the rest is there.

FIELDS: dict[str, tuple[dict[str, str], str]] = {
    "card number in a note": ({"notes": "card 4111 1111 1111 1111 exp 12/29"}, "notes"),
    "card number as company": ({"company": "4242424242424242"}, "company"),
    "card number in the street": ({"address_2": "4242-4242-4242-4242"}, "address_2"),
    "over-long company": ({"company": "C" * 201}, "company"),
    "over-long note": ({"notes": "n" * 10_001}, "notes"),
    "over-long street": ({"address_1": "s" * 301}, "address_1"),
    "bad address": ({"ip": "300.1.2.3"}, "ip"),
    "address with a zone": ({"ip": "fe80::1%eth0"}, "ip"),
    "country name": ({"country": "Germany"}, "country"),
    "small country code": ({"country": "us"}, "country"),
    "zero date": ({"created_at": "0000-00-00 00:00:00"}, "created_at"),
    "date to come": ({"created_at": "2999-01-01 00:00:00"}, "created_at"),
    "date of the year 1": ({"created_at": "0001-01-01 00:00:00"}, "created_at"),
    "impossible phone": ({"phone": "12"}, "phone"),
    "phone of letters": ({"phone": "call me"}, "phone"),
    "card number as phone": ({"phone": "4242424242424242"}, "phone"),
    "unknown type": ({"type": "robot"}, "type"),
    "unknown currency": ({"currency": "dollars"}, "currency"),
    "unknown time zone": ({"timezone": "Mars/Olympus"}, "timezone"),
    "wrong billing e-mail": ({"billing_email": "books"}, "billing_email"),
}


@pytest.mark.parametrize("fault", FIELDS)
def test_a_field_with_a_fault_is_left_out_and_said(fault: str, tmp_path: Path):
    given, column = FIELDS[fault]
    path = export(tmp_path / "c.csv", [row(1, **given)])
    code, said = run(path)

    assert (code, counts(said)) == (DONE, [1, 0, 0, 1])
    [(line, where, reason)] = refusals(path)
    assert (line, where) == ("2", column)
    assert not [value for value in given.values() if value in reason]
    assert Person.objects.get().name == "Firstname1 Lastname1"


def test_what_was_left_out_is_not_there_and_the_rest_of_it_is(tmp_path: Path):
    given = {"country": "Germany", "notes": "4111 1111 1111 1111", "phone": "12", "created_at": "0000-00-00 00:00:00"}
    before = timezone.now()
    run(export(tmp_path / "c.csv", [row(1, **given)]))

    address = Address.objects.get()
    assert (address.street, address.country) == ("1 Panel Street, Suite 7", "")
    assert Contact.objects.get(role="owner").phone is None
    assert not BusinessItem.objects.exists()
    assert only_account().created_at >= before


@pytest.mark.parametrize("text", ['=HYPERLINK("http://evil.example","x")', "<script>alert(1)</script>", "@SUM(A1)"])
def test_formula_and_markup_are_kept_and_escaped_where_they_are_shown(text: str, tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(1, first_name=text)]))

    person = Person.objects.get()
    assert person.name == f"{text} Lastname1"
    staff = signed_in(make_staff("sam", "support"))
    page = staff.get(f"/admin/accounts/account/{person.account_id}/").content.decode()
    assert "Lastname1" in page and "<script>alert" not in page


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"phone_cc": "", "phone": "+44 20 7946 0958"}, "+442079460958"),
        ({"phone_cc": "44", "phone": "2079460958"}, "+442079460958"),
        ({"phone_cc": "+44", "phone": "020 7946 0958"}, "+442079460958"),
        ({"phone_cc": "", "phone": "(312) 555-0123"}, "+13125550123"),
        ({"phone_cc": "1", "phone": "2246634"}, "+12246634"),
        ({"phone_cc": "1", "phone": ""}, None),
    ],
)
def test_a_telephone_number_is_stored_in_one_form(given: dict[str, str], expected: str | None, tmp_path: Path):
    run(export(tmp_path / "c.csv", [row(1, **given)]))

    assert Contact.objects.get(role="owner").phone == expected


# Files.


def test_lines_are_read_whatever_surrounds_them(tmp_path: Path):
    text = text_of([row(1, notes='He said "hi"\r\nand left, quickly'), row(2)]).replace("\n", "\r\n")
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")

    assert counts(run(tmp_path / "c.csv")[1]) == [2, 0, 0, 0]
    assert {note.text[:4] for note in BusinessItem.objects.all()} == {"He s", "Note"}


def test_a_short_row_a_long_row_and_an_unclosed_quote_cost_no_other_row(tmp_path: Path):
    lines = text_of([row(number) for number in range(1, 7)]).splitlines()
    lines[2] = "2,short.row@example.com,active"
    lines[3] += ",one,two"
    lines[4] = lines[4].replace("Firstname4", '"Firstname4')
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n")
    _code, said = run(path)

    assert counts(said) == [3, 0, 3, 0]
    assert [line for line, _, _ in refusals(path)] == ["3", "4", "5"]
    assert {person.name[:10] for person in Person.objects.all()} == {"Firstname1", "Firstname5", "Firstname6"}


def test_an_unclosed_quote_does_not_swallow_a_long_file(tmp_path: Path):
    lines = text_of([row(number, notes="") for number in range(1, 402)]).splitlines()
    lines[1] = lines[1].replace("Firstname1", '"Firstname1')
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n")

    assert counts(run(path, "--dry-run")[1]) == [400, 0, 1, 0]


def test_bytes_that_are_no_utf8_refuse_their_row(tmp_path: Path):
    text = text_of([row(1), row(2, city="Zurich"), row(3)]).encode().replace(b"Zurich", "Zürich".encode("latin-1"))
    path = tmp_path / "c.csv"
    path.write_bytes(text)

    assert counts(run(path)[1]) == [2, 0, 1, 0]
    assert refusals(path) == [("3", "city", "is no UTF-8 text")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (text_of([row(1)], [name for name in HEADER if name != "phone"]).encode(), "lacks phone"),
        (text_of([row(1)]).encode("utf-16"), "lacks"),
        (b"", "lacks"),
        (text_of([row(1)]).replace("lang", "email", 1).encode(), "twice"),
    ],
    ids=["a column is missing", "UTF-16", "empty", "a column twice"],
)
def test_a_file_that_is_no_export_is_refused_whole(content: bytes, words: str, tmp_path: Path):
    (tmp_path / "c.csv").write_bytes(content)

    with pytest.raises(CommandError, match=words) as refusal:
        call_command("import_clients", str(tmp_path / "c.csv"))
    assert refusal.value.returncode == USAGE
    assert "Firstname1" not in str(refusal.value) and not Account.objects.exists()


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_clients", str(tmp_path / "c.csv"))


# The command.


def test_a_dry_run_says_the_same_and_stores_nothing(tmp_path: Path):
    rows = [
        row(1),
        row(2, email="CLIENT1@panel1.example"),
        row(3, country="Germany"),
        row(1),
        row(4, status="canceled"),
    ]
    rows += [row(number) for number in range(10, 250)]
    path = export(tmp_path / "c.csv", rows)
    _code, dry = run(path, "--dry-run")
    assert not Account.objects.exists() and not LedgerEntry.objects.exists()

    _code, done = run(path)
    assert (dry.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert dry == done and dry["imported"] == Account.objects.count() == 243


def test_the_last_line_is_a_table_and_no_address_is_printed(tmp_path: Path):
    out, err = io.StringIO(), io.StringIO()
    path = export(tmp_path / "c.csv", [row(1), row(2, email="wrong"), row(3, email="client1@panel1.example")])
    with pytest.raises(SystemExit):
        call_command("import_clients", str(path), stdout=out, stderr=err)

    assert out.getvalue().startswith("imported: 1  unchanged: 0  refused: 2  fields refused: 0  addresses left out: 1")
    said = out.getvalue() + err.getvalue() + (tmp_path / "c.refused.csv").read_text()
    assert not re.search("panel1|wrong|Firstname", said)
    assert "100 % of the file" in err.getvalue()


def test_the_list_of_refusals_of_an_earlier_run_goes_when_nothing_is_refused(tmp_path: Path):
    path = export(tmp_path / "c.csv", [row(1, ip="x")])
    run(path)
    assert refusals(path)
    export(path, [row(2)])
    run(path)
    assert not (tmp_path / "c.refused.csv").exists()
    assert safe_cell("=1+1") == "'=1+1" and safe_cell("\uff1d1") == "'\uff1d1" and safe_cell("notes") == "notes"


def test_a_batch_that_the_database_refuses_is_taken_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Somebody registers with an address between the look at it and the insert."""
    monkeypatch.setattr(importing, "_signing_in", lambda digests: set())
    make_customer("alice")
    path = export(tmp_path / "c.csv", [row(1), row(2, email="alice@alice.example"), row(3)])
    _code, said = run(path)

    assert counts(said) == [2, 0, 1, 0]
    assert [line for line, _, _ in refusals(path)] == ["3"]
    assert Account.objects.count() == 3 and Person.objects.count() == 3


def test_ctrl_c_stops_between_batches_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = export(tmp_path / "c.csv", [row(number) for number in range(1, 451)])
    real, calls = acts.import_batch, Counter[str]()

    def once(clients: Any, **given: Any) -> Any:
        calls["batch"] += 1
        if calls["batch"] == 1:
            os.kill(os.getpid(), 2)
        return real(clients, **given)

    monkeypatch.setattr(acts, "import_batch", once)
    code, said = run(path)
    assert (code, counts(said)) == (PARTLY, [200, 0, 0, 0])

    code, said = run(path)
    assert (code, counts(said)) == (DONE, [250, 200, 0, 0])
    assert Account.objects.count() == 450
