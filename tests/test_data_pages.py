"""What we hold: derived from the data map alone, true for this customer, as quick for a million rows as for none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import datamap
from accounts.datamap import Audience, Category, reading
from accounts.datamap.records import records, shown_fields
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Contact, Device, EmailChange, Invoice, TicketMessage, User
from accounts.templatetags.portal_tags import day_text, moment_text
from retention import closing, holdings, processing, schedule
from tests.cast import DAY, PASSWORD, furnish, make_customer, sign_in_from
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

LAW = "The law can require us to keep or hand over more than this page shows, and can forbid us to say so."


def page(user: User, name: str = "data", *args: str) -> str:
    return words(signed_in(user).get(reverse(f"retention:{name}", args=args))).replace(" .", ".").replace(" ,", ",")


def test_every_kind_of_data_is_listed_with_why_how_long_and_who(charlie):
    text = page(charlie)

    for category in dict.fromkeys(entry.category for entry in datamap.visible().values()):
        assert str(category.label) in text
    for purpose in dict.fromkeys(p for entry in datamap.visible().values() for p in entry.purposes):
        assert str(purpose.label) in text
    assert "We need it to keep our contract with you." in text
    assert text.count("Our payment provider (to take payments)") == 2
    assert text.count("Our mail provider (to deliver our mails to you)") == 2
    assert "Nobody else" in text
    assert LAW in text


def test_a_kind_without_records_says_none(alice):
    assert "Orders Records None" in page(alice)


def test_until_when_is_a_date_of_this_customer(charlie):
    first = timezone.now() - 80 * DAY
    sign_in_from(charlie, at=first)
    newest = Invoice.objects.filter(account=charlie.account_id).latest("issued_at").issued_at

    text = page(charlie)

    days = schedule.number("access")
    assert f"Each for {days} days. The oldest goes on {day_text(first + schedule.span('access'))}." in text
    kept = schedule.kept_until(Category.INVOICES, newest, newest)
    assert f"Scheduled until {day_text(kept)}, so that we can answer tax authorities." in text
    assert "As long as your account is open." in text
    # What an order was placed with goes earlier than the order.
    assert "Order check: Each for" in text


def test_a_closed_account_reads_its_due_date():
    user = furnish(make_customer("dora"))
    visitor = signed_in(user)
    keep = visitor.session.session_key
    closed = closing.close(user.account_id, by=user, submission=uuid7(), keep_session=keep)

    text = words(visitor.get(reverse("retention:data"))).replace(" .", ".")

    assert f"Scheduled until {day_text(closed.request.due_at)}." in text
    assert "As long as your account is open." not in text


def test_rows_past_the_schedule_or_removed_are_in_no_count_and_on_no_page(charlie):
    sign_in_from(charlie, ip="198.51.100.9", at=timezone.now() - 120 * DAY)
    Contact.objects.filter(account=charlie.account_id, role="billing").update(removed_at=timezone.now())
    counts = {one.category: one.records for one in holdings.holdings(charlie.account)}

    assert counts[Category.ACCESS] == 2  # a sign-in and a known browser
    assert counts[Category.CONTACT] == datamap.counts([charlie.account_id], schedule.cutoffs(timezone.now()))["contact"]
    assert "198.51.100.9" not in page(charlie, "data_category", "access")
    assert "Accountant" not in page(charlie, "data_category", "contact")


def test_the_counts_are_those_of_the_delete_page(charlie):
    exact = datamap.counts([charlie.account_id], schedule.cutoffs(timezone.now()))

    # The library's second factors go with their user and are in no count of the purge.
    for one in holdings.holdings(charlie.account):
        assert one.records == exact[one.category]


@pytest.mark.parametrize("category", list(dict.fromkeys(entry.category for entry in datamap.visible().values())))
def test_the_page_of_a_kind_shows_its_records_and_nothing_that_is_not_shown(charlie, category):
    text = page(charlie, "data_category", category)

    for model, entry in datamap.visible().items():
        if entry.category == category and "account" in {field.name for field in model._meta.fields}:
            for name, held in entry.fields.items():
                row = reading.rows(model, [charlie.account_id]).first()
                value = getattr(row, name, None)
                if not isinstance(value, str) or len(value) < 6:
                    continue
                is_shown = Audience.CUSTOMER in held.shown
                assert (" ".join(value.split())[:40] in text) == is_shown or (not is_shown and model is User), (
                    model,
                    name,
                )
    assert "Correct this" in text
    assert "Object to this use" in text
    assert LAW in text


def test_an_internal_note_is_on_no_page_of_the_customer(charlie):
    everything = "".join(page(charlie, "data_category", c) for c in ("support", "credentials"))

    assert "A note about" not in everything
    assert "argon2" not in everything


def test_members_who_are_no_owner_read_nothing_of_it(charlie):
    member = signed_in(User.objects.create_user(charlie.account, PASSWORD))

    for address in (reverse("retention:data"), reverse("retention:data_category", args=["access"])):
        answer = member.get(address)
        assert answer.status_code == 403
        assert "203.0.113.77" not in answer.content.decode()


def test_unknown_kinds_are_not_there(charlie):
    visitor = signed_in(charlie)

    assert visitor.get("/data/nothing/").status_code == 404
    # Never shown to a customer, and so no page.
    assert visitor.get("/data/legal/").status_code == 404


def test_rights_are_asked_for_with_fixed_words_only(charlie):
    answer = signed_in(charlie).get(reverse("retention:data_category", args=["access"]))

    assert charlie.account.number not in answer.content.decode().partition("<main")[2]


def test_a_page_counts_so_far_and_no_further(charlie, monkeypatch):
    monkeypatch.setattr(reading, "MOST_COUNTED", 3)
    monkeypatch.setattr(holdings, "MOST_COUNTED", 3)
    for _ in range(5):
        sign_in_from(charlie)

    text = page(charlie)

    assert "Sign-in history Records More than 3" in text
    # The counts that a deletion stores stay exact.
    assert (
        datamap.counts([charlie.account_id], schedule.cutoffs(timezone.now()))["access"]
        == AccessEvent.objects.count() + Device.objects.count()
    )


def test_the_first_rows_stand_on_the_page_and_the_rest_in_an_export(charlie):
    now = timezone.now()
    for number in range(60):
        sign_in_from(charlie, ip=f"198.51.100.{number}", at=now - dt.timedelta(minutes=number))

    text = page(charlie, "data_category", "access")

    assert "198.51.100.0 " in text
    assert "198.51.100.59 " not in text
    assert "These are the newest records." in text


def test_pages_ask_a_dozen_statements_at_most(charlie):
    visitor = signed_in(charlie)
    pages = [reverse("retention:data"), reverse("retention:data_public")]
    pages += [reverse("retention:data_category", args=[entry.category]) for entry in datamap.visible().values()]
    for address in dict.fromkeys(pages):
        with sql() as asked:
            assert visitor.get(address).status_code == 200
        assert len(asked) <= 12, (address, len(asked))


# The walk over the records.


def test_records_come_newest_first_and_go_on_from_a_place(charlie):
    now = timezone.now()
    for number in range(7):
        sign_in_from(charlie, ip=f"198.51.100.{number}", at=now + dt.timedelta(minutes=number // 2))
    cutoffs = schedule.cutoffs(now)

    everything = list(records(AccessEvent, charlie.account_id, cutoffs))
    some = list(records(AccessEvent, charlie.account_id, cutoffs, limit=3))
    rest = list(records(AccessEvent, charlie.account_id, cutoffs, after=some[-1].place))
    back = list(records(AccessEvent, charlie.account_id, cutoffs, before=rest[0].place))

    assert [one.place for one in everything] == sorted((one.place for one in everything), reverse=True)
    assert some + rest == everything
    assert back == some[::-1]
    assert {one.fields["ip"] for one in everything} == {f"198.51.100.{n}" for n in range(7)} | {"203.0.113.77"}
    assert everything[0].fields["kind"] == "sign_in"


def test_records_agree_with_what_the_models_say(charlie):
    """The walk reads plain columns; the models read the same."""
    cutoffs = schedule.cutoffs(timezone.now())
    with keyring():
        for model in datamap.visible():
            rows = {row.pk: row for row in datamap.shown(model, charlie.account_id, cutoffs)}
            for record in records(model, charlie.account_id, cutoffs):
                row = rows.pop(record.id)
                assert {name: getattr(row, name) for name in record.fields} == {
                    name: str(value) if name == "address" else value for name, value in record.fields.items()
                }
            assert not rows


def test_a_record_of_a_destroyed_key_is_not_there(charlie, keys_owner):
    keys_owner.execute("UPDATE keys_datakey SET destroyed_at = now() WHERE category = 'support'")
    keys_owner.execute("DELETE FROM keys_keywrap")

    assert list(records(TicketMessage, charlie.account_id, {})) == []


def test_no_shown_field_is_a_secret_or_an_id_of_staff():
    names = {f"{model.__name__}.{field.name}" for model in datamap.visible() for field in shown_fields(model)}

    assert not [
        name
        for name in names
        if any(word in name for word in ("password", "digest", "token", "author", "decided_by", "placed_by"))
    ]
    assert "Authenticator.type" in names
    assert "Authenticator.data" not in names


# A name of a column as its label: what a person would have to guess.
RAW = re.compile(
    r"^(Is|Has) |^(Tries|Done|Ended by|Secured|Score|Withdrawn)$|superuser|confirmed$|(?<!in) cents$", re.I
)


def raw_labels() -> list[str]:
    labels = [(model.__name__, field.label) for model in datamap.visible() for field in shown_fields(model)]
    return [f"{name}: {label}" for name, label in labels if RAW.search(label)]


def test_labels_are_plain_words(monkeypatch):
    assert raw_labels() == []

    # The control: by the names of its columns alone a change of an address reads as before.
    monkeypatch.setattr(EmailChange, "personal", dataclasses.replace(EmailChange.personal, facts={}))
    assert {"EmailChange: Tries", "EmailChange: Old confirmed"} <= set(raw_labels())


def test_a_change_of_an_address_reads_in_words(charlie):
    now = timezone.now()
    EmailChange.objects.update(tries=2, done_at=None, withdrawn_at=now, old_confirmed_at=now, new_confirmed_at=None)
    change = EmailChange.objects.get(account=charlie.account_id)
    text = page(charlie, "data_category", "contact")

    for said in ("Times wrong codes were typed 2", "Confirmed at the new address None", f"Stopped {moment_text(now)}"):
        assert said in text
    for internal in (change.pk, change.user, change.asked_by):
        assert str(internal) not in text


# The record of processing.


def test_the_record_of_processing_names_every_table_and_field(capsys):
    call_command("data_map", "--format", "json")
    found = json.loads(capsys.readouterr().out)
    call_command("data_map")
    paper = capsys.readouterr().out

    tables = {table["table"]: table for one in found for table in one["tables"]}
    assert set(tables) == {model._meta.db_table for model in {**datamap.governed(), **datamap.visible()}}
    for model, entry in datamap.governed().items():
        assert {field["name"] for field in tables[model._meta.db_table]["fields"]} == set(entry.fields)
        assert f"`{model._meta.db_table}`" in paper
    access = next(one for one in found if one["category"] == "access")
    assert access["rolling_days"] == schedule.number("access")
    assert access["basis_codes"] == ["GDPR Art. 6(1)(f)"]


def test_the_numbers_are_the_schedules(settings, capsys):
    settings.SCHEDULE_OVERRIDES = {"access": [61, "counsel says so"]}

    call_command("data_map")

    assert "each record 61 days" in capsys.readouterr().out
    assert "Each record 61 days." in words(Client().get(reverse("retention:data_public")))


def test_anybody_reads_the_public_page():
    text = words(Client().get(reverse("retention:data_public")))

    for activity in processing.activities():
        assert activity.label in text
    assert LAW in text
