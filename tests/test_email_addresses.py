"""Addresses: an ordinary mailbox is taken, look-alikes and tricks are not, and no two spellings are two
people.
"""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.safeguards.finding import clean_email, digest, normalised
from accounts.signing_in import kind_of

TAKEN = [
    ("mike@example.com", "mike@example.com"),
    (" Mike.O'Neil+tag@Example.COM ", "Mike.O'Neil+tag@example.com"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
]
REFUSED = {
    "dotless i": "mıke@example.com",
    "dotted capital I": "mİke@example.com",
    "long s": "boſs@example.com",
    "Kelvin sign": "\u212aate@example.com",
    "Cyrillic a": "а@example.com",
    "Cyrillic in the domain's ASCII look-alike": "a@exаmple .com",
    "full-width": "ＭＩＫＥ@example.com",
    "full-width at": "mike＠example.com",
    "ligature": "oﬃce@example.com",
    "sharp s": "straße@example.com",
    "zero-width": "mi\u200bke@example.com",
    "zero-width in the domain": "mike@exa\u200bmple.com",
    "right-to-left override": "mike\u202e@example.com",
    "newline": "mike@example.com\nBcc: all@example.com",
    "carriage return": "mike\r@example.com",
    "NUL": "mike\x00@example.com",
    "address literal": "mike@[127.0.0.1]",
    "IPv6 literal": "mike@[IPv6:::1]",
    "bare IP": "mike@127.0.0.1",
    "no dot": "mike@localhost",
    "dot at the end": "mike.@example.com",
    "dot at the beginning": ".mike@example.com",
    "two dots": "mi..ke@example.com",
    "empty label": "mike@example..com",
    "hyphen first": "mike@-example.com",
    "underscore": "mike@exa_mple.com",
    "quoted": '"mike smith"@example.com',
    "comment": "mike(x)@example.com",
    "display name": "Mike <mike@example.com>",
    "two at": "a@b@example.com",
    "no local part": "@example.com",
    "nothing": "",
    "long local part": "m" * 65 + "@example.com",
    "long": "mike@" + ".".join(["x" * 60] * 5) + ".com",
}


@pytest.mark.parametrize(("given", "kept"), TAKEN)
def test_an_ordinary_mailbox_is_taken(given: str, kept: str):
    assert clean_email(given) == kept


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED.keys())
def test_a_look_alike_or_a_trick_is_refused(given: str):
    with pytest.raises(ValidationError) as refusal:
        clean_email(given)
    assert refusal.value.message == "Enter an e-mail address in the form name@example.com."


@pytest.mark.parametrize("way", ["dotless i", "long s", "address literal"])
def test_the_frameworks_validator_lets_these_through(way: str):
    """Negative control: with Django's validator alone the look-alikes would be customers."""
    validate_email(REFUSED[way])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mike@example.com", "MIKE@EXAMPLE.COM"),
        ("mike@example.com", " mike@example.com "),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@bücher.example"),
    ],
)
def test_spellings_of_one_address_are_one_person(one: str, other: str):
    assert digest("email", one) == digest("email", other)


@pytest.mark.parametrize("way", ["dotless i", "Cyrillic a", "zero-width", "sharp s"])
def test_a_look_alike_is_found_as_nobody_elses_address(way: str):
    ordinary = {"dotless i": "mike", "Cyrillic a": "a", "zero-width": "mike", "sharp s": "strase"}[way]
    assert digest("email", REFUSED[way]) != digest("email", f"{ordinary}@example.com")


def test_every_kind_of_name_has_an_index_of_its_own():
    assert len({digest(kind, "123456789") for kind in ("email", "username", "number")}) == 3


def test_normalising_folds_case_and_width():
    assert normalised("username", " ＡＬＩＣＥ ") == "alice"


@pytest.mark.parametrize(
    ("typed", "kind"),
    [("a@b.example", "email"), ("123456789", "number"), ("１２３４５６７８９", "number"), ("alice1", "username")],
)
def test_what_was_typed_is_of_one_kind(typed: str, kind: str):
    assert kind_of(typed) == kind
