"""Registering makes account, owner, names and contact in one transaction; names are unique while in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from accounts.errors import NotActionable
from accounts.models import Account, Address, Contact, Person, SignInIdentifier, User
from accounts.registering import NameTaken, register, register_staff
from accounts.safeguards.models import LedgerEntry
from accounts.signing_in import find
from tests.cast import PASSWORD, make_customer, make_staff

pytestmark = pytest.mark.usefixtures("committed")


def test_a_customer_has_an_account_with_owner_names_contact_and_address():
    alice = make_customer("alice")
    account = Account.objects.get(pk=alice.account_id)
    assert alice.is_owner and not alice.is_staff
    assert {row.kind: row.value for row in SignInIdentifier.objects.filter(user=alice)} == {
        "email": "alice@alice.example",
        "username": "alice",
        "number": account.number,
    }
    assert Person.objects.get(user=alice).name == "Alice Canary"
    assert Contact.objects.get(account=account).email == "alice@alice.example"
    assert Address.objects.get(account=account).city == "Aliceville"
    assert LedgerEntry.objects.filter(subject=account.pk, action="account.registered").count() == 1


def test_the_ledger_entry_names_ids_only():
    alice = make_customer("alice")
    body = LedgerEntry.objects.get(subject=alice.account_id).body
    assert "lice" not in body and str(alice.pk) in body


@pytest.mark.parametrize(
    "given",
    [{"email": "ALICE@Alice.example"}, {"username": "Alice"}, {"number": "same"}],
    ids=lambda given: next(iter(given)),
)
def test_a_name_somebody_signs_in_with_cannot_be_given_again(given: dict[str, str]):
    alice = make_customer("alice")
    if given.get("number"):
        given = {"number": alice.account.number}
        with pytest.raises(Exception, match="accounts_account_number"):
            make_customer("bob", **given)
        return
    with pytest.raises(NameTaken) as refusal:
        make_customer("bob", **given)
    assert "lice" not in str(refusal.value)


def test_a_refused_registration_leaves_nothing_behind():
    make_customer("alice")
    before = (Account.objects.count(), User.objects.count(), Contact.objects.count())
    with pytest.raises(NameTaken):
        make_customer("bob", email="alice@alice.example")
    assert (Account.objects.count(), User.objects.count(), Contact.objects.count()) == before


def test_a_name_that_no_longer_signs_in_is_free_again():
    alice = make_customer("alice")
    SignInIdentifier.objects.filter(user=alice).update(signs_in=False)
    again = make_customer("alice")
    assert find("alice@alice.example") == again


@pytest.mark.parametrize("username", ["al", "1alice", "alice@x", "a" * 61, "аlice", "alice.", "123456789", "a b"])
def test_a_user_name_cannot_be_mistaken_for_something_else(username: str):
    with pytest.raises(ValidationError):
        make_customer("alice", username=username)


@pytest.mark.parametrize("number", ["012345678", "12345678", "1234567890", "１２３４５６７８９", "12345678x"])
def test_an_account_number_is_nine_digits(number: str):
    with pytest.raises(ValidationError):
        make_customer("alice", number=number)


def test_without_a_password_nobody_signs_in():
    assert not make_customer("alice", password=None).has_usable_password()


def test_staff_belong_to_no_account_and_to_their_groups():
    rita = make_staff("rita", "legal", "auditor")
    assert rita.account_id is None and rita.is_staff and not rita.is_superuser
    assert set(rita.groups.values_list("name", flat=True)) == {"legal", "auditor"}
    assert Person.objects.get(user=rita).name == "Rita Staffer"
    assert find("rita@staff.example") == rita == find("rita")


def test_an_unknown_group_is_an_error_and_makes_nobody():
    with pytest.raises(NotActionable, match="No group wizards"):
        register_staff("rita", "Rita Staffer", "rita@staff.example", PASSWORD, ["legal", "wizards"])
    assert find("rita") is None


def register_in_a_thread(given: dict[str, Any]) -> bool:
    try:
        register(name="Alice Canary", password=PASSWORD, **given)
    except NameTaken:
        return False
    finally:
        connections.close_all()
    return True


@pytest.mark.race
def test_of_two_at_once_with_the_same_address_one_is_registered(committed: object):
    for turn in range(5):
        given = {"email": f"alice{turn}@alice.example"}
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(register_in_a_thread, [given, given])) == [False, True]
