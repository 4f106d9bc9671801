"""Other systems register customers and ask how an account stands; nobody is named who should not be."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.utils import timezone

from accounts import api_accounts, idempotency
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Address, Contact, Person, User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry, OutboxMessage
from retention import placing, purge
from retention.closing import close
from retention.models import Hold
from tests.calling import call, calm, system_token
from tests.cast import DAY, make_customer

pytestmark = pytest.mark.usefixtures("committed")

ACCOUNTS = "/api/v1/accounts/"
NEW = {
    "name": "Zora Zanzibara",
    "email": "zora@zanzibara.example",
    "username": "zora",
    "company": "Zanzibara Ltd",
    "phone": "+1 312 5551234",
    "address": {
        "street": "7 Zanzibara Street",
        "city": "Chicago",
        "region": "IL",
        "postcode": "60601",
        "country": "US",
    },
}


@pytest.fixture
def token() -> str:
    return system_token("accounts:write", "accounts:read")


def register(token: str, body: Any = NEW, **more: Any) -> Any:
    calm()
    return call(ACCOUNTS, token, "POST", body, **more)


def test_registering_makes_the_customer_who_is_mailed_a_link(token: str):
    answer = register(token)

    assert answer.status_code == 201, answer.content
    account = Account.objects.get()
    assert answer.json() == {
        "number": account.number,
        "state": "active",
        "created_at": mock.ANY,
        "closed_at": None,
        "due_at": None,
    }
    user = User.objects.get(account=account)
    assert user.is_owner and not user.has_usable_password()
    assert Person.objects.get(user=user).name == NEW["name"]
    assert Contact.objects.get(account=account).company == NEW["company"]
    assert Address.objects.get(account=account).country == "US"
    (wish,) = OutboxMessage.objects.filter(kind="reset")
    assert wish.content == {"user": str(user.pk)}
    entry = LedgerEntry.objects.get(action=api_accounts.REGISTERED)
    assert entry.actor.startswith("token:") and entry.subject == account.pk


def test_the_least_is_a_name_and_an_address(token: str):
    assert register(token, {"name": "Z", "email": "z@z.example"}).status_code == 201


def test_a_password_is_never_taken(token: str):
    answer = register(token, {**NEW, "password": "correct horse battery staple"})

    assert answer.status_code == 400 and set(answer.json()["errors"]) == {"password"}
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    "taken", [{"email": "alice@alice.example"}, {"email": "ALICE@alice.example"}, {"username": "alice"}]
)
def test_a_name_in_use_is_409_and_names_nobody(token: str, alice: User, taken: dict[str, str]):
    answer = register(token, {**NEW, **taken})

    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    for word in ("alice", "Alice", alice.account.number, str(alice.pk), "zora"):
        assert word not in answer.content.decode()
    assert Account.objects.count() == 1 and not OutboxMessage.objects.filter(kind="reset").exists()


LOOK_ALIKES = [
    "al\u0131ce@alice.example",
    "\u0430lice@alice.example",
    "ａlice@alice.example",
    "ali\u200bce@alice.example",
]
WRONG = {
    "name": ["", None, "x" * 201, "4242 4242 4242 4242", [], {}],
    "email": ["", "zora", "@", "a@[127.0.0.1]", "a@b@c", "x" * 300 + "@z.example", "a\r\n@z.example", *LOOK_ALIKES],
    "username": ["1", "a@b", "123456789", "ız", "x" * 61],
    "phone": ["4242424242424242", "1" * 41],
    "company": ["x" * 201, "card 4242-4242-4242-4242"],
    "address": [[], "x", {"street": "x"}, {**NEW["address"], "country": "us"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=str
)
def test_a_wrong_value_is_422_and_is_not_repeated(token: str, name: str, value: Any):
    answer = register(token, {**NEW, name: value})

    assert answer.status_code == 422, answer.content
    assert name in answer.json()["errors"] or answer.json()["errors"]
    if isinstance(value, str) and len(value) > 4:
        assert value not in answer.json()["errors"].__repr__()
    assert not Account.objects.exists() and not IdempotencyRecord.objects.exists()


def test_an_unknown_field_inside_the_address_is_400(token: str):
    answer = register(token, {**NEW, "address": {**NEW["address"], "planet": "Mars"}})

    assert answer.status_code == 400


# Once.


def test_a_repeat_gets_the_same_answer(token: str):
    first, again = register(token, key="one"), register(token, key="one")

    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Account.objects.count() == 1 and OutboxMessage.objects.filter(kind="reset").count() == 1
    assert register(token, {**NEW, "company": "Other"}, key="one").status_code == 422


def test_a_crash_after_the_effect_is_made_good_by_the_repeat(token: str):
    registering = api_accounts._register

    def effect_then_death(caller: Any, fields: Any) -> Any:
        registering(caller, fields)
        raise KeyboardInterrupt

    with mock.patch.object(api_accounts, "_register", effect_then_death), pytest.raises(KeyboardInterrupt):
        register(token, key="one")
    assert Account.objects.count() == 1
    with time_machine.travel(timezone.now() + idempotency.ABANDONED_AFTER * 2, tick=False):
        answer = register(token, key="one")
    assert (answer.status_code, answer.json()["number"]) == (200, Account.objects.get().number)


def test_only_the_same_system_with_the_same_customer_learns_that_it_was_there(token: str):
    register(token)

    assert register(token).status_code == 200
    assert register(token, {**NEW, "name": "Somebody Else"}).status_code == 409
    assert register(token, {**NEW, "address": None}).status_code == 409
    assert register(system_token("accounts:write")).status_code == 409
    with time_machine.travel(timezone.now() + idempotency.KEPT_FOR + DAY, tick=False):
        assert register(token).status_code == 409
    assert Account.objects.count() == 1


def test_nothing_personal_is_kept_about_the_call(token: str):
    register(token, key="zora@zanzibara.example")

    kept = IdempotencyRecord.objects.get()
    left = json.dumps(kept.answer) + bytes(kept.body_hash).hex() + kept.key
    left += "".join(LedgerEntry.objects.values_list("body", flat=True))
    assert "anzibara" not in left


# How it stands.


def standing(number: str, token: str) -> Any:
    calm()
    return call(f"{ACCOUNTS}{number}/", token)


def test_an_account_tells_state_and_dates_and_nothing_personal(token: str, alice: User):
    answer = standing(alice.account.number, token)

    assert answer.status_code == 200
    assert set(answer.json()) == {"number", "state", "created_at", "closed_at", "due_at"}
    close(alice.account_id, by=alice, submission=uuid7())
    assert standing(alice.account.number, token).json()["state"] == "closed"


@pytest.mark.parametrize(
    "number", ["999999999", "1", "000000000", "-1", "9" * 40, "１２３４５６７８９", "x", str(2**63)]
)
def test_an_unknown_number_is_404(token: str, alice: User, number: str):
    answer = standing(number, token)

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_after_the_due_date_a_held_account_reads_like_an_erased_one(token: str):
    at = timezone.now() - 31 * DAY
    free, held = make_customer("fay"), make_customer("gil")
    for user in (free, held):
        close(user.account_id, by=user, submission=uuid7(), at=at)
    placing.place(held.account_id, Hold.Kind.LEGAL, by="system", matter="sealed 4711")
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    assert {Account.objects.get(pk=user.account_id).state for user in (free, held)} == {"erased", "closed"}

    answers = [standing(user.account.number, token).json() for user in (free, held)]

    assert [answer["state"] for answer in answers] == ["ended", "ended"]
    assert answers[0]["due_at"] == answers[1]["due_at"] and answers[0].keys() == answers[1].keys()


def test_reading_needs_its_scope(alice: User):
    assert standing(alice.account.number, system_token("accounts:write")).status_code == 403
    assert register(system_token("accounts:read")).status_code == 403
    assert Account.objects.count() == 1
