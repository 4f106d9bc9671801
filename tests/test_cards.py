"""Card numbers are refused in every text field (P4); what merely has many digits is not."""

from __future__ import annotations

import re
import secrets
from uuid import uuid4

import pytest
from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from accounts.admin_base import Identifiers
from accounts.datamap import entries
from accounts.keys.identifiers import code, reference, uuid7
from accounts.models import Contact, Invoice, Order, User
from accounts.safeguards.cards import holds_card_number, refuse_card_number
from accounts.safeguards.fields import SealedJSON, SealedText
from retention import cancelling, placing
from retention.models import Hold
from tests.admin_walk import ROLES, World, a_record, acts, make_world
from tests.cast import order_in_review

NUMBERS = {
    "Visa": "4242424242424242",
    "Visa, 13 digits": "4222222222222",
    "Mastercard": "5555555555554444",
    "American Express": "378282246310005",
    "Diners": "30569309025904",
    "Maestro, 19 digits": "6304000000000000000",
    "UnionPay": "6200000000000005",
}
SPELLINGS = {
    "bare": "{0}",
    "in a sentence": "My card is {0}, thank you.",
    "after a colon": "card:{0}",
    "in brackets": "({0})",
    "quoted": '"{0}"',
    "on a line of its own": "Hello\n{0}\nBye",
}


def luhn_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_card_number_is_found(number: str, spelling: str):
    assert holds_card_number(spelling.format(number))


@pytest.mark.parametrize("gap", [" ", "-", "–", "\u00a0"])
def test_a_card_number_in_groups_is_found(gap: str):
    assert holds_card_number(gap.join(["4242", "4242", "4242", "4242"]))


def test_digits_of_other_scripts_count_as_digits():
    assert holds_card_number("４２４２ ４２４２ ４２４２ ４２４２")
    assert holds_card_number("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢")


@given(st.text("0123456789", min_size=12, max_size=18).filter(lambda digits: len(set(digits)) > 1))
def test_any_run_with_the_right_check_digit_is_found(digits: str):
    assert holds_card_number(digits + luhn_digit(digits))


@given(st.text("0123456789", min_size=12, max_size=18), st.integers(1, 9))
def test_a_run_with_a_wrong_check_digit_is_not(digits: str, off: int):
    wrong = str((int(luhn_digit(digits)) + off) % 10)
    assert not holds_card_number(digits + wrong)


@pytest.mark.parametrize(
    "text",
    ["+1 312 555 0100", "+4915112345678901", "123456789", "2026-11-23 10:00:00", "0000000000000000", "", "x"],
)
def test_other_digits_pass(text: str):
    assert not holds_card_number(text)


def test_the_portals_own_identifiers_pass():
    texts = [f"/password/reset/{uuid4().hex}-d0abc-{secrets.token_hex(16)}/" for _ in range(20_000)]
    assert sum(map(holds_card_number, texts)) == 0


def test_a_reference_or_code_never_reads_like_a_card_number(monkeypatch: pytest.MonkeyPatch):
    """Not even when chance gives digits wherever it may: groups of digits alone would, once in ten thousand codes."""
    monkeypatch.setattr(secrets, "choice", lambda letters: letters[0])

    mail = f"Reference: {reference('DEL')}\nCode: {code()}"

    assert re.findall(r"\d{3}", mail), "digits were given"
    assert not re.search(r"\d\W?\d\W?\d\W?\d", mail)
    assert holds_card_number("5678-9012-3456-7898"), "the control: groups of digits alone"


def test_the_refusal_repeats_nothing_of_it():
    with pytest.raises(ValidationError) as refusal:
        refuse_card_number("4242 4242 4242 4242")
    assert "4242" not in str(refusal.value)


def sealed_fields() -> list[tuple[type, str]]:
    return [
        (model, field.name)
        for model in entries()
        for field in model._meta.fields
        if isinstance(field, SealedText | SealedJSON)
    ]


@pytest.mark.parametrize(
    ("model", "name"), sealed_fields(), ids=lambda part: part if isinstance(part, str) else part.__name__
)
@pytest.mark.django_db
def test_no_personal_field_takes_one(model: type, name: str, alice: User):
    field = model._meta.get_field(name)  # type: ignore[attr-defined]
    row = model()
    if isinstance(field, SealedText) and (field.max_length or 0) < 16:
        pytest.skip("too short for a card number")
    value = {"note": "4242424242424242"} if isinstance(field, SealedJSON) else "4242424242424242"
    setattr(row, name, value)
    with pytest.raises(ValidationError, match="card number"):
        field.pre_save(row, True)


@pytest.mark.django_db
def test_without_the_check_a_field_would_take_it(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: the refusal above comes from the check and from nothing else."""
    monkeypatch.setattr("accounts.safeguards.fields.refuse_card_number", lambda text: None)
    contact = Contact.objects.get(account=alice.account_id)
    contact.company = "4242424242424242"
    contact.save()
    assert Contact.objects.get(pk=contact.pk).company == "4242424242424242"


def test_every_text_column_of_a_person_is_sealed_or_said_to_be_plain():
    assert len(sealed_fields()) > 20
    assert apps.get_model("accounts", "Contact") in {model for model, _name in sealed_fields()}


# What an act's form must hold besides, so that only the text is at fault.
BESIDES = {
    "place-hold": {"kind": "legal"},
    "pause": {"days": "1"},
    "deny": {"reason": "other"},
    "make": {"name": "Billing", "scopes": "disputes:write", "days": "30"},
    "record-payment": {"method": "bank transfer", "submission": str(uuid7())},
    "note-ticket": {"submission": str(uuid7())},
    "note-business": {"title": "Plans", "text": "A shop", "submission": str(uuid7())},
    "open-confidential": {"reason": "support", "text": "They asked us to look at it"},
    "open-dispute": {"processor": "stripe", "amount": "5", "currency": "USD", "reason": "general"},
}
BESIDES["issue-invoice"] = {
    **{"currency": "USD", "due_days": "14", "submission": str(uuid7())},
    **{f"{field}_{line}": words for line in range(1, 5) for field, words in (("text", "x"), ("price", "1"))},
    "quantity_1": "1",
}
# Acts on what only an account that is not closed has.
OF_AN_OPEN_ACCOUNT = {"issue-invoice", "decline"}
# A name of few letters, with a rule of its own.
NAMES = {("open-dispute", "processor")}


def texts() -> list[tuple[str, str]]:
    """Return the fields of staff's forms that take free text and are sent here, as (slug of the act, field).

    Those of disclosures need a room of papers to be sent; `test_every_form_of_staff_refuses_one` asks all forms.
    """
    sent = [act for room, act in acts() if room.opts.app_label != "disclosures"]
    fields = [(act.slug, *item) for act in sent for item in act.form_class.base_fields.items()]
    return [
        (slug, name) for slug, name, field in fields if type(field) is forms.CharField and (slug, name) not in NAMES
    ]


def typed(world: World, slug: str, name: str, text: str) -> str:
    """Type a text into one field of an act's form; return the page, or "done" where it was taken."""
    named = [(room, act) for room, act in acts() if act.slug == slug and room.opts.app_label != "disclosures"]
    [(room, act)] = [(room, act) for room, act in named if name in act.form_class.base_fields]
    role = next(role for role in ROLES if act.is_open_to(world.staff[role]))
    if slug in OF_AN_OPEN_ACCOUNT and not Order.objects.in_review().exists():
        cancelling.cancel(world.request.pk, by=world.customer)
        order_in_review(world.customer)
        world.customer.refresh_from_db()
    # One on which the act can be done.
    fit = {
        Hold: Hold.objects.filter(kind="legal"),
        Invoice: Invoice.objects.unpaid(),
        Order: Order.objects.in_review(),
    }.get(room.model)
    record = a_record(room, world) if fit is None else fit.get()
    address = room.url_of(record, slug) if act.needs_record else room.list_url(slug)
    answer = world.client(role).post(address, {**BESIDES.get(slug, {}), name: text})
    return "done" if answer.status_code == 302 else answer.content.decode()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("slug", "name"), texts())
def test_no_free_text_of_staff_takes_one(slug: str, name: str):
    world = make_world()
    placing.place(world.account.pk, "legal", by=world.staff["legal"].actor, matter="m")

    assert "This looks like a card number." in typed(world, slug, name, "Card 4242 4242 4242 4242")
    # The control: with other words the same form is taken, or its secret shown.
    done = typed(world, slug, name, "203.0.113.0/24" if name == "networks" else "Ordinary words")
    assert done == "done" or "Copy the secret now" in done or "Shown once" in done


def test_the_walk_over_staffs_forms_finds_them():
    assert {("make", "name"), ("reply", "text"), ("place-hold", "matter"), ("pause", "reason")} <= set(texts())


def words_of(form: forms.Form) -> list[str]:
    """Return the fields of a form into which somebody types words."""
    return [
        name
        for name, field in form.fields.items()
        if isinstance(field, forms.CharField) and not isinstance(field, Identifiers) and not field.widget.is_hidden
    ]


def refusing(world: World, text: str) -> dict[str, bool]:
    """Type a text into every field of words of every form of staff; return which call it a card number."""
    found = {}
    for room, act in acts():
        record = a_record(room, world) if act.needs_record else None
        view = act(room=room)
        view.request = RequestFactory().post("/")
        view.request.user = world.staff["legal"]
        for name in words_of(view.form(record)):
            errors = view.form(record, QueryDict(mutable=True) | {name: text}).errors.get(name, [])
            found[f"{room.opts.label}.{act.slug}.{name}"] = any("card number" in str(error) for error in errors)
    return found


@pytest.mark.usefixtures("committed")
def test_every_form_of_staff_refuses_one(monkeypatch: pytest.MonkeyPatch):
    world = make_world()
    card = "4242424242424242"

    refused = refusing(world, card)
    assert len(refused) > 60
    assert [name for name, is_refused in refused.items() if not is_refused] == []
    # The controls: other words are taken, and without the check so would the number be.
    assert not any(refusing(world, "Ordinary words").values())
    monkeypatch.setattr("accounts.admin_base.refuse_card_number", lambda text: None)
    taken = [name for name, is_refused in refusing(world, card).items() if not is_refused]
    assert {"disclosures.LegalRequest.add-note.text", "accounts.Ticket.reply.text"} <= set(taken)
