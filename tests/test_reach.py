"""What each instrument may reach: the hand-reviewed file and the code agree cell by cell (P16; 18 USC 2703)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accounts import datamap
from accounts.datamap import Category, Reach
from disclosures import reach
from disclosures.models import Basis, Instrument
from disclosures.models.disclosures import DISCLOSABLE

FILE = Path(__file__).with_name("reach.csv")
# The six items of 2703(c)(2) by their letters, and what lies beyond them.
LETTERS = {
    "A": Reach.NAME,
    "B": Reach.ADDRESS,
    "C": Reach.CONNECTIONS,
    "D": Reach.SERVICE,
    "E": Reach.NUMBER,
    "F": Reach.PAYMENT,
    "record": Reach.RECORD,
    "content": Reach.CONTENT,
}
WORDS = {kind.value: letter for letter, kind in LETTERS.items()} | {"compelled": "compelled"}


def written() -> dict[str, dict[str, str]]:
    """Return the reviewed cells by field and instrument."""
    with FILE.open(newline="") as file:
        return {row.pop("field"): row for row in csv.DictReader(file)}


def computed() -> dict[str, dict[str, str]]:
    by_instrument = {instrument.value: reach.of_instrument(instrument.value) for instrument in Instrument}
    return {
        field.key: {name: WORDS.get(found.get(field.key, ""), "-") for name, found in by_instrument.items()}
        for field in reach.fields()
    }


def differences(reviewed: dict[str, dict[str, str]]) -> list[str]:
    found = computed()
    wrong = [f"{key} is not reviewed" for key in found if key not in reviewed]
    wrong += [f"{key} is no field" for key in reviewed if key not in found]
    return wrong + [
        f"{key} by {name}: reviewed {reviewed[key][name]}, in code {cell}"
        for key, cells in found.items()
        if key in reviewed
        for name, cell in cells.items()
        if reviewed[key][name] != cell
    ]


def test_the_code_says_what_was_reviewed() -> None:
    assert differences(written()) == []


def test_control_a_wrong_cell_a_new_field_and_a_lost_one_are_found() -> None:
    reviewed = written()
    reviewed["accounts.ticketmessage.body"]["grand_jury_subpoena"] = "content"
    del reviewed["accounts.contact.email"]
    reviewed["accounts.contact.shoe_size"] = dict.fromkeys(Instrument.values, "-")
    assert differences(reviewed) == [
        "accounts.contact.email is not reviewed",
        "accounts.contact.shoe_size is no field",
        "accounts.ticketmessage.body by grand_jury_subpoena: reviewed content, in code -",
    ]


def test_every_instrument_and_basis_is_in_the_table() -> None:
    assert set(reach.INSTRUMENTS) == set(Instrument.values)
    assert set(written()["accounts.person.name"]) == set(Instrument.values)
    assert all(reach.law_of(Basis.LEGAL_REQUEST, instrument) for instrument in Instrument.values)


@pytest.mark.parametrize("instrument", ["grand_jury_subpoena", "administrative_subpoena", "government_subpoena"])
def test_a_subpoena_of_the_government_reaches_the_six_items_and_nothing_else(instrument: str) -> None:
    letters = {cells[instrument] for cells in written().values()}
    assert letters == {"A", "B", "C", "D", "E", "F", "-"}


def test_what_no_instrument_reaches() -> None:
    for name in ("preservation", "foreign"):
        assert not reach.of_instrument(name)
    for key, cells in written().items():
        if ".confidentialitem." in key or ".businessitem." in key:
            assert {cells[name] for name in cells} == {"-", "compelled"}
            assert cells["search_warrant"] == cells["court_order"] == "compelled"
    for instrument in Instrument.values:
        for field in reach.fields():
            if field.key in reach.of_instrument(instrument):
                assert field.category not in {Category.CREDENTIALS, Category.LEGAL}
                assert field.category.value in DISCLOSABLE


def test_no_field_of_sign_in_is_in_the_table_at_all() -> None:
    named = {field.key.rpartition(".")[0] for field in reach.fields()}
    secret = {model._meta.label_lower for model in datamap.in_category(Category.CREDENTIALS.value)}
    assert secret and not named & secret


def test_a_complaint_opens_the_contact_alone() -> None:
    found = reach.of_basis(Basis.ABUSE_CASE)
    assert "accounts.contact.email" in found and "accounts.address.street" in found
    assert {key.split(".")[1] for key in found} == {"contact", "address"}
    # No section of the law on records is why: the policy's own clause is.
    assert set(found.values()) == {"complaint"}


def test_a_counter_notice_goes_as_it_was_signed() -> None:
    found = reach.of_basis(Basis.COUNTER_NOTICE)
    assert {"disclosures.counternotice.address", "disclosures.counternotice.phone"} <= set(found)
    assert {key.split(".")[1] for key in found} == {"counternotice", "abusenoticeitem"}
    assert "disclosures.counternotice.court_action" not in found


def test_what_was_asked_about_a_customer_is_nothing_of_theirs_to_share() -> None:
    found = reach.of_basis(Basis.CONSENT)
    assert "accounts.correspondence.body" in found
    assert not any(key.startswith(("disclosures.noticecopy", "disclosures.noticechallenge")) for key in found)


def test_consent_reaches_what_the_customer_is_shown_and_no_secret() -> None:
    found = reach.of_basis(Basis.CONSENT)
    assert "accounts.businessitem.text" in found
    assert not any(key.startswith(("accounts.confidentialitem", "accounts.signinidentifier")) for key in found)
    assert "accounts.paymentmethod.token" not in found and "accounts.ticketnote.body" not in found
    assert reach.of_basis(Basis.AGGREGATE) == {}
