"""The pages of a customer's own API tokens: owners only, freshly confirmed, the secret once and nowhere else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import AccountToken, MemberRole, Session, User
from retention.closing import close
from tests.calling import call
from tests.cast import DAY, PASSWORD, furnish, make_customer
from tests.test_pages_silence import SEALED
from tests.visiting import long_signed_in, signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

LIST, NEW = "/settings/tokens/", "/settings/tokens/new/"
SECRET = re.compile(r"ccu_[\w-]{43}")


def fresh(login: str) -> Client:
    """Return a browser in which the customer has just typed the password."""
    visitor = Client()
    visitor.post(reverse("account_login"), {"login": login, "password": PASSWORD})
    answer = visitor.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": LIST})
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    return visitor


def form(**changes: Any) -> dict[str, Any]:
    return {
        "name": "My script",
        "scopes": ["data:read"],
        "days": "30",
        "networks": "",
        "submission": str(uuid7()),
        **changes,
    }


def end_of(token: AccountToken) -> str:
    return reverse("accounts:token_end", args=[token.pk])


def test_an_owner_makes_a_token_that_works_and_sees_its_secret_once(alice: User):
    visitor = fresh("alice")
    answer = visitor.post(NEW, form(networks="127.0.0.0/8\n\n::1"))

    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]
    (secret,) = SECRET.findall(answer.content.decode())
    assert call("/api/v1/me/", secret).json()["account"] == alice.account.number
    for page in (visitor.get(LIST), visitor.get(NEW), visitor.get("/")):
        assert not SECRET.search(page.content.decode())
    shown = words(visitor.get(LIST))
    assert "My script" in shown and "Read what we hold about you" in shown and "From 127.0.0.0/8, ::1/128 only" in shown
    assert secret.encode() not in b"".join(bytes(row.session_data, "utf-8") for row in Session.objects.all())


def test_sent_twice_makes_one_and_shows_no_secret_again(alice: User):
    visitor, sent = fresh("alice"), form()
    first, again = visitor.post(NEW, sent), visitor.post(NEW, sent)

    assert SECRET.search(first.content.decode()) and not SECRET.search(again.content.decode())
    assert "This form was sent before" in words(again)
    assert AccountToken.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": ""}, "Give the token a name."),
        ({"name": "4242 4242 4242 4242"}, "card"),
        ({"scopes": []}, "Choose what the token opens."),
        ({"scopes": ["disputes:write"]}, "Choose from the list what the token opens."),
        ({"days": ""}, "Enter after how many days it ends."),
        ({"days": "１x"}, "Enter the days as a whole number."),
        ({"days": "0"}, "1"),
        ({"days": "100000000000000000000"}, "366"),
        ({"networks": "everywhere"}, "Write each network like"),
        ({"networks": "203.0.113.7/24"}, "Write each network like"),
        ({"networks": "4242424242424242"}, "card"),
        ({"submission": "x"}, "Load the page again"),
    ],
)
def test_what_is_filled_in_wrongly_is_said(alice: User, changed: dict[str, Any], sentence: str):
    answer = fresh("alice").post(NEW, form(**changed))

    assert answer.status_code == 200 and "There is a problem" in words(answer)
    assert sentence in words(answer)
    assert not AccountToken.objects.exists()


def test_making_and_ending_one_asks_for_the_password_again(charlie: User):
    visitor = long_signed_in(charlie)
    token = AccountToken.objects.get(account=charlie.account_id)
    for path in (NEW, end_of(token)):
        for answer in (visitor.get(path), visitor.post(path, form())):
            assert answer.status_code == 302 and answer["Location"].startswith(reverse("account_reauthenticate"))
    token.refresh_from_db()
    assert AccountToken.objects.count() == 1 and token.removed_at is None
    assert visitor.get(LIST).status_code == 200


def test_an_owner_ends_a_token(charlie: User):
    visitor, token = fresh("charlie"), AccountToken.objects.get(account=charlie.account_id)
    assert visitor.get(end_of(token)).status_code == 200
    assert AccountToken.objects.get(pk=token.pk).removed_at is None

    answer = visitor.post(end_of(token))

    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert "The token is ended." in words(visitor.get(LIST)) or AccountToken.objects.get(pk=token.pk).removed_at
    assert visitor.post(end_of(token)).status_code == 404


def test_somebody_elses_token_is_not_there(alice: User, charlie: User):
    token = AccountToken.objects.get(account=charlie.account_id)
    visitor = fresh("alice")

    assert visitor.get(end_of(token)).status_code == visitor.post(end_of(token)).status_code == 404
    assert "Charlie" not in words(visitor.get(LIST))
    token.refresh_from_db()
    assert token.removed_at is None


def test_a_member_who_is_no_owner_sees_none_and_makes_none(charlie: User):
    member = User.objects.create_user(charlie.account, PASSWORD, member_role=MemberRole.TECHNICAL)
    visitor = signed_in(member)

    assert visitor.get(LIST).status_code == 403
    for path in (NEW, end_of(AccountToken.objects.get(account=charlie.account_id))):
        assert visitor.post(path, form()).status_code == 403
    assert AccountToken.objects.count() == 1


def test_an_empty_list_says_what_would_appear(alice: User):
    assert "No tokens yet." in words(signed_in(alice).get(LIST))


def test_a_token_past_its_time_is_marked(charlie: User):
    visitor = signed_in(charlie)
    assert "Ended" not in words(visitor.get(LIST))
    AccountToken.objects.update(expires_at=timezone.now() - DAY)

    assert "Ended" in words(visitor.get(LIST))


def test_of_a_closed_account_tokens_can_be_ended_and_not_made(charlie: User):
    visitor = fresh("charlie")
    close(charlie.account_id, by=charlie, submission=uuid7(), keep_session=visitor.session.session_key)

    assert "Get a new token" not in words(visitor.get(LIST))
    assert visitor.get(NEW).status_code == visitor.post(NEW, form()).status_code == 409
    token = AccountToken.objects.get(account=charlie.account_id)
    assert visitor.post(end_of(token)).status_code == 302
    token.refresh_from_db()
    assert token.removed_at is not None


def test_no_page_asks_for_holds(charlie: User):
    visitor, token = fresh("charlie"), AccountToken.objects.get(account=charlie.account_id)
    with sql() as statements:
        for page in (LIST, NEW, end_of(token)):
            assert visitor.get(page).status_code == 200
        visitor.post(NEW, form())
        visitor.post(end_of(token))

    assert [one for one in statements if SEALED.search(one)] == []


def test_the_list_is_as_quick_with_many():
    user = furnish(make_customer("dora"))
    visitor = signed_in(user)
    visitor.get(LIST)
    with sql() as few:
        visitor.get(LIST)
    one = AccountToken.objects.get()
    for number in range(60):
        AccountToken(
            account_id=one.account_id, user=one.user, name=f"script {number}", digest=bytes([number]) * 32,
            scopes=["data:read"], created_at=one.created_at, expires_at=one.expires_at,
        ).save()  # fmt: skip
    with sql() as many:
        page = visitor.get(LIST)

    assert len(few) <= 12 and len(many) <= 12
    assert "Page 1 of 3" in words(page)
