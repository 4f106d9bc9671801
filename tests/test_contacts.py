"""Contacts, addresses and billing: changed by who may, at once, with ids in the ledger; removed means marked (P2)."""

from __future__ import annotations

import datetime as dt
from uuid import UUID, uuid4

import pytest
import time_machine
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from accounts import contacts, page_forms
from accounts.contacts import Billing, Facts, Place
from accounts.errors import NotActionable
from accounts.keys.identifiers import made_at, uuid7
from accounts.models import Address, BillingProfile, BusinessItem, ConfidentialItem, Contact, User
from accounts.people_forms import AddressForm, BillingForm, ContactForm, InviteForm, JoinForm, NewEmailForm
from accounts.phones import clean_phone, shown_phone
from accounts.registering import PostalAddress
from accounts.safeguards.models import LedgerEntry
from retention import closing, placing, schedule, sweeping
from tests.cast import DAY, PASSWORD, furnish, make_customer
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

ANNA = Facts("Anna Accountant", "Books Ltd", "anna@books.example", "312 555 0100", "billing")
HOME = Place("postal", "1 Main Street\nRear", "Chicago", "us", "IL", "60601")


def owner_contact(user: User) -> Contact:
    return Contact.objects.get(account=user.account_id, role="owner")


def added(user: User, facts: Facts = ANNA) -> Contact:
    return contacts.add(user.account_id, by=user, facts=facts, submission=uuid7())


def member(user: User, role: str) -> User:
    return User.objects.create_user(user.account, PASSWORD, member_role=role)


def typed(**changed: str) -> dict[str, str]:
    facts = {"role": "technical", "name": "Tom", "email": "tom@tech.example", "phone": "", "company": ""}
    return {**facts, "submission": str(uuid7()), **changed}


# Telephone numbers.


@pytest.mark.parametrize(
    ("text", "country", "stored"),
    [
        ("+1 312 555 0142", None, "+13125550142"),
        ("(312) 555-0142", "US", "+13125550142"),
        ("030 1234567", "DE", "+49301234567"),
        ("020 7946 0958", "gb", "+442079460958"),
        ("+49 30 1234567", "US", "+49301234567"),
        ("  ", "US", None),
        (None, None, None),
    ],
)
def test_a_number_is_stored_as_e164(text, country, stored):
    assert clean_phone(text, country) == stored


@pytest.mark.parametrize(
    "text", ["call me", "12", "+999 1234567890", "+1 312 555 0142 ext. 5", "4242 4242 4242 4242", "1" * 39, "\x00312"]
)
def test_what_is_no_telephone_number_is_refused(text):
    with pytest.raises(ValidationError):
        clean_phone(text)


def test_a_stored_number_is_shown_with_its_country_code():
    assert shown_phone("+13125550142") == "+1 312-555-0142"
    assert (shown_phone(None), shown_phone("old text")) == ("", "old text")


def test_registering_stores_e164_by_the_country_of_the_address():
    german = make_customer("german", phone="030 1234567", address=PostalAddress("1 Street", "City", "DE"))

    assert owner_contact(make_customer("american", phone="+1 312 555 0142")).phone == "+13125550142"
    assert owner_contact(german).phone == "+49301234567"
    with pytest.raises(ValidationError, match="telephone"):
        make_customer("wrong", phone="nobody home")


# The acts.


def test_a_contact_is_added_once_and_its_number_normalised(alice):
    submission = uuid7()
    first, second = (contacts.add(alice.account_id, by=alice, facts=ANNA, submission=submission) for _ in range(2))

    assert first.pk == second.pk
    stored = Contact.objects.get(pk=first.pk)
    assert (stored.name, stored.phone, stored.role) == ("Anna Accountant", "+13125550100", "billing")
    entry = LedgerEntry.objects.get(action="contact.added")
    assert str(first.pk) in entry.body and "Anna" not in entry.body and "books" not in entry.body


def test_a_submission_of_another_account_is_refused(alice, bob):
    theirs = added(bob)

    with pytest.raises(PermissionDenied):
        contacts.add(alice.account_id, by=alice, facts=ANNA, submission=theirs.pk)


def test_a_change_writes_what_differs_and_names_the_fields_only(alice):
    anna = added(alice)

    changed = Facts("Anna Novak", "Books Ltd", "anna@books.example", "312 555 0100", "technical")
    contacts.change(anna.pk, by=alice, facts=changed)
    contacts.change(anna.pk, by=alice, facts=changed)

    [entry] = LedgerEntry.objects.filter(action="contact.changed")
    assert '"fields":["name","role"]' in entry.body and "Novak" not in entry.body
    assert Contact.objects.get(pk=anna.pk).name == "Anna Novak"


def test_the_owner_contact_keeps_role_and_address_and_cannot_be_removed(alice):
    own = owner_contact(alice)

    contacts.change(own.pk, by=alice, facts=Facts("Alice New", None, "thief@evil.example", None, "billing"))
    with pytest.raises(NotActionable, match="cannot be removed"):
        contacts.remove(own.pk, by=alice)

    own.refresh_from_db()
    assert (own.name, own.email, own.role, own.removed_at) == ("Alice New", "alice@alice.example", "owner", None)


def test_there_is_no_second_owner_contact(alice):
    with pytest.raises(NotActionable, match="owner contact already"):
        added(alice, Facts("X", None, "x@x.example", None, "owner"))
    with pytest.raises(NotActionable, match="one owner contact"):
        contacts.change(added(alice).pk, by=alice, facts=Facts("X", None, "x@x.example", None, "owner"))


def test_removing_marks_contact_and_addresses_and_the_sweep_deletes_them(alice):
    anna = added(alice)
    home = contacts.add_address(anna.pk, by=alice, place=HOME, submission=uuid7())
    with sql() as statements:
        contacts.remove(anna.pk, by=alice)
        contacts.remove(anna.pk, by=alice)

    assert [one for one in statements if one.startswith("DELETE")] == []
    anna.refresh_from_db()
    assert anna.removed_at is not None
    assert Address.objects.get(pk=home.pk).removed_at == anna.removed_at
    assert LedgerEntry.objects.filter(action="contact.removed").count() == 1
    sweeping.sweep(anna.removed_at + 2 * DAY)
    sweeping.sweep(anna.removed_at + 2 * DAY)
    assert not Contact.objects.filter(pk=anna.pk).exists()


def test_addresses_are_added_changed_and_removed(alice):
    own, submission = owner_contact(alice), uuid7()
    home, again = (contacts.add_address(own.pk, by=alice, place=HOME, submission=submission) for _ in range(2))
    assert (home.pk, home.country) == (again.pk, "US")

    contacts.change_address(home.pk, by=alice, place=Place("billing", "2 Main Street", "Berlin", "DE"))
    home.refresh_from_db()
    assert (home.kind, home.city, home.country, home.region, home.postcode) == ("billing", "Berlin", "DE", None, None)

    contacts.remove_address(home.pk, by=alice)
    contacts.remove_address(home.pk, by=alice)
    with pytest.raises(ObjectDoesNotExist):
        contacts.change_address(home.pk, by=alice, place=HOME)
    with pytest.raises(ValidationError, match="country"):
        contacts.add_address(own.pk, by=alice, place=Place("postal", "1", "X", "XX"), submission=uuid7())


def test_a_number_is_read_by_the_country_of_the_contacts_address(alice):
    anna = added(alice)
    contacts.add_address(anna.pk, by=alice, place=Place("postal", "1", "Berlin", "DE"), submission=uuid7())

    contacts.change(anna.pk, by=alice, facts=Facts("Anna", None, "anna@books.example", "030 1234567", "billing"))

    assert Contact.objects.get(pk=anna.pk).phone == "+49301234567"


def test_how_the_account_is_billed_is_set_once_and_changed(alice):
    contacts.set_billing(alice.account_id, by=alice, billing=Billing("company", "EUR", "DE 123", "HRB 1"))
    contacts.set_billing(alice.account_id, by=alice, billing=Billing("company", "EUR", "", "HRB 1"))

    profile = BillingProfile.objects.get(account=alice.account_id)
    assert (profile.kind, profile.currency, profile.tax_number, profile.company_number) == (
        "company", "EUR", None, "HRB 1",
    )  # fmt: skip
    assert LedgerEntry.objects.filter(action="billing.changed").count() == 2


def test_who_may_is_asked_in_the_act(alice, bob):
    anna, tom = added(alice), added(alice, Facts("Tom", None, "tom@tech.example", None, "technical"))
    biller, technician = member(alice, "billing"), member(alice, "technical")

    contacts.change(anna.pk, by=biller, facts=ANNA)
    for act in (
        lambda: contacts.change(tom.pk, by=biller, facts=ANNA),
        lambda: contacts.change(anna.pk, by=biller, facts=Facts("X", None, "x@x.example", None, "technical")),
        lambda: contacts.change(owner_contact(alice).pk, by=biller, facts=ANNA),
        lambda: added(technician),
        lambda: contacts.change(anna.pk, by=technician, facts=ANNA),
        lambda: contacts.change(anna.pk, by=bob, facts=ANNA),
        lambda: contacts.remove(anna.pk, by=bob),
        lambda: contacts.set_billing(alice.account_id, by=technician, billing=Billing("company", "EUR")),
    ):
        with pytest.raises(PermissionDenied):
            act()
    User.objects.filter(pk=biller.pk).update(is_active=False)
    with pytest.raises(PermissionDenied):
        contacts.change(anna.pk, by=biller, facts=ANNA)


def test_a_closed_account_changes_no_contact(alice):
    anna = added(alice)
    closing.close(alice.account_id, by=alice, submission=uuid7())

    with pytest.raises(NotActionable, match="is closed"):
        contacts.change(anna.pk, by=alice, facts=ANNA)


# The pages.


def test_the_list_shows_contacts_with_numbers_and_addresses_as_people_write_them(alice):
    shown = words(signed_in(alice).get("/contacts/"))

    assert "Owner: we write to this contact" in shown
    assert "alice@alice.example" in shown
    assert "Billing address 7 Alice Street 60601 Aliceville, IL United States" in shown
    assert "How we bill you Who is billed A person Currency USD" in shown


def test_a_contact_is_added_edited_and_removed_on_the_pages(alice):
    visitor = signed_in(alice)

    assert visitor.post("/contacts/add/", typed(phone="312 555 0100"))["Location"] == "/contacts/"
    tom = Contact.objects.get(role="technical")
    page = visitor.get(reverse("accounts:contact", args=[tom.pk]))
    assert 'value="+1 312-555-0100"' in page.content.decode()
    assert visitor.post(reverse("accounts:contact", args=[tom.pk]), typed(name="Thomas")).status_code == 302
    assert "Thomas" in words(visitor.get("/contacts/"))
    assert visitor.get(reverse("accounts:contact_remove", args=[tom.pk])).status_code == 200
    assert Contact.objects.get(pk=tom.pk).removed_at is None
    visitor.post(reverse("accounts:contact_remove", args=[tom.pk]))
    assert "Thomas" not in words(visitor.get("/contacts/"))
    assert visitor.get(reverse("accounts:contact", args=[tom.pk])).status_code == 404


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": ""}, "Enter a name."),
        ({"email": "mıke@x.example"}, "Enter an e-mail address in the form name@example.com."),
        ({"phone": "none"}, "Enter a telephone number with its country code"),
        ({"company": "4242 4242 4242 4242"}, "This looks like a card number."),
        ({"role": "owner"}, "Choose one of these."),
        ({"name": "Anna\x00"}, "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_stays_on_the_form_and_keeps_nothing(alice, changed, sentence):
    answer = signed_in(alice).post("/contacts/add/", typed(**changed))

    assert answer.status_code == 200
    assert sentence in words(answer)
    assert Contact.objects.count() == 1


def test_an_address_is_kept_on_the_pages_with_a_country_of_the_list(alice):
    visitor, own = signed_in(alice), owner_contact(alice)
    add = reverse("accounts:address_add", args=[own.pk])
    given = {"kind": "postal", "street": "1 Main", "city": "Bern", "country": "CH", "submission": str(uuid7())}

    assert "Choose a country from the list." in words(visitor.post(add, {**given, "country": "Helvetia"}))
    assert visitor.post(add, given).status_code == 302
    place = Address.objects.get(pk=given["submission"])
    assert (place.country, place.city) == ("CH", "Bern")
    where = [own.pk, place.pk]
    assert visitor.post(reverse("accounts:address", args=where), {**given, "city": "Basel"}).status_code == 302
    assert "Basel" in words(visitor.get("/contacts/"))
    visitor.post(reverse("accounts:address_remove", args=where))
    assert "Basel" not in words(visitor.get("/contacts/"))


def test_what_belongs_to_others_is_not_there(alice, bob):
    theirs = owner_contact(bob)
    place = Address.objects.get(contact=theirs)
    visitor = signed_in(alice)

    for name, args in (
        ("contact", [theirs.pk]),
        ("contact_remove", [theirs.pk]),
        ("address_add", [theirs.pk]),
        ("address", [theirs.pk, place.pk]),
        ("address", [owner_contact(alice).pk, place.pk]),
        ("address_remove", [theirs.pk, place.pk]),
    ):
        for answer in (visitor.get, visitor.post):
            assert answer(reverse(f"accounts:{name}", args=args)).status_code == 404


def test_a_billing_member_sees_and_adds_billing_contacts_only(alice):
    anna, tom = added(alice), added(alice, Facts("Tom", None, "tom@tech.example", None, "technical"))
    visitor = signed_in(member(alice, "billing"))

    shown = words(visitor.get("/contacts/"))
    assert "Anna" in shown and "Tom" not in shown and "alice@alice.example" not in shown
    assert visitor.get(reverse("accounts:contact", args=[anna.pk])).status_code == 200
    assert visitor.get(reverse("accounts:contact", args=[tom.pk])).status_code == 404
    assert "Choose one of these." in words(visitor.post("/contacts/add/", typed()))
    assert visitor.post("/contacts/add/", typed(role="billing")).status_code == 302


def test_the_pages_stay_small_and_quick_with_many_contacts(charlie):
    for number in range(30):
        added(charlie, Facts(f"Name {number}", None, f"n{number}@n.example", None, "technical"))
    visitor = signed_in(charlie)
    own = owner_contact(charlie)

    for page in ("/contacts/", "/contacts/?page=3", "/contacts/billing/", f"/contacts/{own.pk}/"):
        with sql() as statements:
            assert visitor.get(page).status_code == 200
        assert len(statements) <= 12, page


# Every form that asks for somebody's own facts.


def test_identity_fields_name_what_they_ask_for():
    """WCAG 1.3.5: a browser can fill them in."""
    complete = {
        ContactForm: {"name": "name", "company": "organization", "email": "email", "phone": "tel"},
        AddressForm: {
            "street": "street-address",
            "postcode": "postal-code",
            "city": "address-level2",
            "region": "address-level1",
            "country": "country",
        },
        NewEmailForm: {"email": "email"},
        JoinForm: {"name": "name", "username": "username", "password": "new-password"},
        BillingForm: {"currency": "transaction-currency"},
    }
    for form, fields in complete.items():
        for name, value in fields.items():
            assert form.base_fields[name].widget.attrs["autocomplete"] == value, (form, name)
    assert InviteForm.base_fields["email"].widget.attrs["autocomplete"] == "off"


@pytest.mark.parametrize("form", [ContactForm, AddressForm, BillingForm, JoinForm])
def test_no_free_text_of_these_forms_takes_a_card_number(form):
    card = "Card 4242 4242 4242 4242"
    texts = [name for name, field in form.base_fields.items() if type(field).__name__ == "CharField"]

    faults = form(dict.fromkeys(texts, card)).errors

    free = set(texts) - {"email", "password"}
    assert free and all("card number" in str(faults[name]) for name in free)


def test_furnished_accounts_show_their_second_contact(charlie):
    assert "Accountant" in words(signed_in(furnish(make_customer("twice"))).get("/contacts/"))


# Forms sent again: their id is the id of the row.

TOO_OLD = "This page was open for too long. Look at what you typed and send it again."


def id_of(ago: dt.timedelta) -> UUID:
    """Return the id a form had that was shown so long ago."""
    with time_machine.travel(timezone.now() - ago):
        return uuid7()


def _contact(user: User) -> tuple[str, dict[str, str], type[Model]]:
    return "/contacts/add/", typed(), Contact


def _address(user: User) -> tuple[str, dict[str, str], type[Model]]:
    place = {"kind": "postal", "street": "1 Main", "city": "Bern", "country": "CH"}
    return reverse("accounts:address_add", args=[owner_contact(user).pk]), place, Address


def _business(user: User) -> tuple[str, dict[str, str], type[Model]]:
    return "/business/", {"title": "Plans", "text": "We move in May"}, BusinessItem


def _confidential(user: User) -> tuple[str, dict[str, str], type[Model]]:
    return "/confidential/", {"title": "Plans", "text": "We move in May"}, ConfidentialItem


def _note(user: User) -> tuple[str, dict[str, str], type[Model]]:
    page = reverse("admin:accounts_account_note-business", args=[user.account_id])
    return page, {"title": "Plans", "text": "We move in May"}, BusinessItem


@pytest.mark.parametrize("about", [_contact, _address, _business, _confidential, _note])
def test_an_old_form_tells_nothing_of_a_hold(about, alice, bob, sam):
    """A row was made by the form, removed and swept, or kept by a hold: the old form is answered alike."""
    ids, answers = {alice: id_of(2 * DAY), bob: id_of(2 * DAY)}, []
    for user in (alice, bob):
        page, facts, model = about(user)
        with time_machine.travel(timezone.now() - 2 * DAY, tick=True):
            visitor = signed_in(sam if about is _note else user)
            assert visitor.post(page, {**facts, "submission": str(ids[user])}).status_code == 302
        model.objects.filter(pk=ids[user]).update(removed_at=timezone.now() - 1.5 * DAY)
    placing.place(alice.account_id, "legal", by="system", matter="m")
    sweeping.sweep()
    assert [model.objects.filter(pk=ids[user]).exists() for user in (alice, bob)] == [True, False], "the control"

    for user in (alice, bob):
        page, facts, model = about(user)
        before = model.objects.filter(removed_at=None).count()
        visitor = signed_in(sam if about is _note else user)
        answer = visitor.post(page, {**facts, "submission": str(ids[user])})
        answers.append((answer.status_code, TOO_OLD in answer.content.decode()))
        assert model.objects.filter(removed_at=None).count() == before

    refused = 200 if about in {_contact, _address} else 422
    assert answers == [(refused, True)] * 2


@pytest.mark.parametrize("made", ["a day ago", "tomorrow", "never"])
def test_a_form_without_a_recent_id_adds_nothing_and_can_be_sent_at_once(alice, made):
    ids = {"a day ago": id_of(DAY), "tomorrow": id_of(-DAY), "never": uuid4()}
    visitor = signed_in(alice)

    answer = visitor.post("/contacts/add/", typed(name="Thomas", submission=str(ids[made])))

    assert answer.status_code == 200 and TOO_OLD in words(answer)
    assert Contact.objects.count() == 1
    form = answer.context["form"]
    again = {name: form[name].value() or "" for name in form.fields}
    assert again["name"] == "Thomas" and again["submission"] != str(ids[made])
    assert f'value="{again["submission"]}"' in answer.content.decode()
    assert visitor.post("/contacts/add/", again).status_code == 302
    assert [each.name for each in Contact.objects.filter(pk=again["submission"])] == ["Thomas"]


def test_a_form_is_good_no_longer_than_removed_rows_stay(alice):
    visitor = signed_in(alice)

    assert schedule.span("removed") >= page_forms.GOOD_FOR
    nearly = typed(submission=str(id_of(page_forms.GOOD_FOR - dt.timedelta(minutes=1))))
    assert visitor.post("/contacts/add/", nearly).status_code == 302, "the control: one of today counts"
    assert visitor.post("/contacts/add/", nearly).status_code == 302
    assert Contact.objects.count() == 2


def test_the_id_tells_when_it_was_made():
    at = timezone.now() - 400 * DAY
    with time_machine.travel(at, tick=False):
        made = uuid7()

    assert abs(made_at(made) - at) < dt.timedelta(milliseconds=2)
    assert made_at(uuid4()) is None
    assert made_at(UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None
