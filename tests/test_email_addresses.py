"""Addresses: an ordinary mailbox is taken, look-alikes and tricks are not, and no two spellings are two
people.
"""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.test import Client
from django.urls import reverse

from accounts import credentials
from accounts.safeguards import outbox
from accounts.safeguards.finding import clean_email, digest, normalised
from accounts.safeguards.models import OutboxMessage
from accounts.signing_in import find, kind_of
from tests.cast import PASSWORD, make_customer

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


# Nobody takes over an account by an address that only looks like its own.

LOOK_ALIKES = {
    "dotless i": "mıke@mike.example",
    "dotted capital I": "mİke@mike.example",
    "Kelvin sign": "mi\u212ae@mike.example",
    "Cyrillic e": "mikе@mike.example",
    "full-width": "ＭＩＫＥ@mike.example",
    "zero-width": "mi\u200bke@mike.example",
    "Cyrillic in the domain": "mike@mikе.example",
    "dotless i in the domain": "mike@mıke.example",
    "full-width domain": "mike@ｍｉｋｅ.example",
    "ideographic full stop": "mike@mike。example",
}


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("typed", LOOK_ALIKES.values(), ids=LOOK_ALIKES.keys())
def test_a_look_alike_gets_no_link_and_the_owner_neither(typed: str):
    make_customer("mike")

    Client().post(reverse("account_reset_password"), {"email": typed})
    outbox.relay()

    assert not OutboxMessage.objects.filter(kind="mail").exclude(event__startswith="welcome").exists()


@pytest.mark.usefixtures("committed")
def test_the_address_itself_gets_the_link_at_the_stored_spelling():
    """Negative control of the test above: the same steps mail when the address is the owner's."""
    make_customer("mike")

    Client().post(reverse("account_reset_password"), {"email": "MIKE@Mike.Example"})
    reset = OutboxMessage.objects.get(kind="reset")
    credentials.answer_wish(reset)

    assert OutboxMessage.objects.get(kind="mail", event__endswith=":reset").content["to"] == "mike@mike.example"


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("way", ["dotless i", "Cyrillic e", "zero-width", "Cyrillic in the domain"])
def test_a_look_alike_signs_nobody_in_though_the_password_is_right(way: str):
    make_customer("mike")
    visitor = Client()

    answer = visitor.post(reverse("account_login"), {"login": LOOK_ALIKES[way], "password": PASSWORD})

    assert answer.status_code == 200
    assert "_auth_user_id" not in visitor.session


@pytest.mark.usefixtures("committed")
def test_a_customer_with_a_look_alike_domain_has_an_account_of_their_own():
    mike, other = make_customer("mike"), make_customer("other", email="mike@mikе.example", username="mike2")

    Client().post(reverse("account_reset_password"), {"email": "mike@xn--mik-qdd.example"})

    named = {message.content["user"] for message in OutboxMessage.objects.filter(kind="reset")}
    assert str(mike.pk) not in named
    assert find("mike@mike.example") == mike and find("mike@mikе.example") == other
