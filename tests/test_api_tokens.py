"""Tokens of both kinds: what they open, from where, until when; every refusal reads alike."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from accounts import api_tokens, granting, issuing, networks
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import AccessEvent, AccountToken, ApiToken, Contact, Correspondence, MemberRole, User
from accounts.safeguards.models import LedgerEntry
from retention import cancelling, purge
from retention.closing import close
from retention.models import DeletionRequest
from tests.calling import call, calm, own_token, system_token
from tests.cast import DAY, make_staff
from tests.visiting import sql

pytestmark = pytest.mark.usefixtures("committed")

ME = "/api/v1/me/"
THERE, ELSEWHERE = "203.0.113.7", "198.51.100.7"


def grant(user: User, **given: Any) -> tuple[AccountToken, str]:
    facts: dict[str, Any] = {
        "name": "script",
        "scopes": ["data:read"],
        "days": 30,
        "networks": (),
        "submission": uuid7(),
    }
    return granting.grant(user, **{**facts, **given})


def standing(number: str, token: str | None, **more: Any) -> int:
    calm()
    status: int = call(f"/api/v1/accounts/{number}/", token, **more).status_code
    return status


def me(token: str | None, **more: Any) -> int:
    calm()
    status: int = call(ME, token, **more).status_code
    return status


# Networks.


def test_a_systems_token_works_from_its_networks_only(alice: User):
    token = system_token("accounts:read", networks=["203.0.113.0/24", "2001:db8::/32"])

    assert standing(alice.account.number, token, REMOTE_ADDR=THERE) == 200
    assert standing(alice.account.number, token, REMOTE_ADDR="2001:db8::7") == 200
    assert standing(alice.account.number, token, REMOTE_ADDR=f"::ffff:{THERE}") == 200
    assert standing(alice.account.number, token, REMOTE_ADDR=ELSEWHERE) == 401


def test_a_made_up_forwarded_address_opens_nothing(alice: User):
    token = system_token("accounts:read", networks=["203.0.113.0/24"])

    assert standing(alice.account.number, token, REMOTE_ADDR=ELSEWHERE, HTTP_X_FORWARDED_FOR=THERE) == 401


def test_behind_a_proxy_the_address_is_the_one_it_saw(alice: User, settings: Any):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    token = system_token("accounts:read", networks=["203.0.113.0/24"])

    assert standing(alice.account.number, token, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=THERE) == 200
    made_up = f"{THERE}, {ELSEWHERE}"
    assert standing(alice.account.number, token, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=made_up) == 401


def test_without_the_look_at_networks_it_would_work_from_anywhere(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: it is the token's networks that refuse."""
    token = system_token("accounts:read", networks=["203.0.113.0/24"])
    monkeypatch.setattr(api_tokens, "reaches", lambda wanted, address: True)

    assert standing(alice.account.number, token, REMOTE_ADDR=ELSEWHERE) == 200


def test_a_customers_token_works_from_its_networks_only(alice: User):
    token = own_token(alice, networks=["203.0.113.0/24"])

    assert me(token, REMOTE_ADDR=THERE) == 200
    assert me(token, REMOTE_ADDR=ELSEWHERE) == 401


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7/24",
        "203.0.113",
        "10.0.0.0/33",
        "everywhere",
        "２０３.0.113.0/24",
        "::/129",
        "1" * 60,
        "\x00",
        "fe80::1%eth0/64",
    ],
)
def test_what_is_no_network_is_refused(text: str):
    with pytest.raises(ValidationError):
        networks.clean_networks([text])


def test_networks_are_kept_in_their_short_form_once():
    assert networks.clean_networks([" 203.0.113.7 ", "203.0.113.7/32", "", "2001:DB8:0::/32"]) == [
        "203.0.113.7/32",
        "2001:db8::/32",
    ]
    with pytest.raises(ValidationError):
        networks.clean_networks([f"10.0.0.{last}" for last in range(networks.MOST + 1)])


def test_the_command_takes_networks(capsys: pytest.CaptureFixture[str]):
    make_staff("ada", "administrator")
    call_command("make_api_token", "shop", "--scope", "accounts:write", "--by", "ada", "--network", "203.0.113.0/24")

    assert ApiToken.objects.get().networks == ["203.0.113.0/24"]


# Who may.


def test_every_refusal_reads_alike(alice: User):
    ended = own_token(alice)
    granting.withdraw(AccountToken.objects.latest("created_at").pk, by=alice)
    wrong = [
        "ccu_nothing",
        "ccp_nothing",
        "nothing",
        ended,
        own_token(alice, networks=["203.0.113.0/24"]),
        system_token("accounts:read", networks=["203.0.113.0/24"]),
    ]
    calm()
    answers = [call(ME, token, REMOTE_ADDR=ELSEWHERE) for token in wrong]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer["WWW-Authenticate"] for answer in answers} == {"Bearer"}


def test_a_customers_token_opens_no_door_of_systems_and_the_other_way_round(alice: User):
    own, system = own_token(alice), system_token("accounts:read", "accounts:write")

    assert standing(alice.account.number, own) == 403
    assert me(system) == 403
    calm()
    assert call("/api/v1/accounts/", own, "POST", {}).status_code == 403


def test_a_scope_of_the_other_kind_opens_nothing_even_when_the_row_has_it(alice: User):
    """Whoever writes a row by hand gives no customer a system's door."""
    secret = own_token(alice)
    AccountToken.objects.update(scopes=["data:read", "accounts:read"])

    assert standing(alice.account.number, secret) == 403


@pytest.mark.parametrize("scopes", [[], ["everything"], ["accounts:read"], ["data:read", "disputes:write"]])
def test_a_customers_token_carries_customers_scopes_only(alice: User, scopes: list[str]):
    with pytest.raises(NotActionable):
        grant(alice, scopes=scopes)
    assert not AccountToken.objects.exists()


@pytest.mark.parametrize("days", [0, -1, 367, 10**9])
def test_a_token_lasts_a_year_at_most(alice: User, days: int):
    with pytest.raises(NotActionable):
        grant(alice, days=days)
    with pytest.raises(NotActionable):
        issuing.issue("billing", ["accounts:read"], by=make_staff("ada", "administrator"), days=days)


def test_only_owners_make_and_end_tokens(alice: User, bob: User):
    member = User.objects.create_user(alice.account, member_role=MemberRole.TECHNICAL)
    token, _secret = grant(alice)

    with pytest.raises(PermissionDenied):
        grant(member)
    with pytest.raises(PermissionDenied):
        granting.withdraw(token.pk, by=member)
    with pytest.raises(AccountToken.DoesNotExist):
        granting.withdraw(token.pk, by=bob)
    with pytest.raises(PermissionDenied):
        grant(make_staff("sam", "support"))


# Until when.


def test_a_token_ends_with_its_time(alice: User):
    token = own_token(alice, days=1)

    assert me(token) == 200
    with time_machine.travel(timezone.now() + DAY + dt.timedelta(seconds=1), tick=False):
        assert me(token) == 401


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_owner": False, "member_role": "technical"}])
def test_a_token_ends_with_its_makers_ownership(alice: User, change: dict[str, Any]):
    token = own_token(alice)
    User.objects.create_user(alice.account, None, is_owner=True)
    User.objects.filter(pk=alice.pk).update(**change)

    assert me(token) == 401


def test_a_token_ends_when_its_maker_is_removed(alice: User):
    token = own_token(alice)
    User.objects.create_user(alice.account, None, is_owner=True)
    User.objects.filter(pk=alice.pk).update(is_active=False, removed_at=timezone.now())
    assert me(token) == 401
    assert granting.end_tokens(user=alice.pk) == 1


def test_an_ended_token_stays_ended(alice: User):
    token, secret = grant(alice)
    first = granting.withdraw(token.pk, by=alice)

    assert me(secret) == 401
    assert granting.withdraw(token.pk, by=alice).removed_at == first.removed_at
    assert LedgerEntry.objects.filter(action="account_token.ended").count() == 1


def test_a_closed_accounts_token_reads_what_its_pages_show(charlie: User):
    token = own_token(charlie)
    close(charlie.account_id, by=charlie, submission=uuid7())

    statuses = {path: call(f"/api/v1/{path}", token).status_code for path in (
        "me/", "data/invoices/", "data/support/", "data/correspondence/", "data/", "data/identity/", "data/access/",
    )}  # fmt: skip

    assert list(statuses.values()) == [200, 200, 200, 200, 409, 409, 409]
    assert "Cancel the deletion" in call("/api/v1/data/", token).json()["detail"]
    with pytest.raises(NotActionable):
        grant(charlie)


def test_a_token_ends_at_the_due_date_whatever_holds_the_account(charlie: User):
    token = own_token(charlie)
    close(charlie.account_id, by=charlie, submission=uuid7())

    with time_machine.travel(timezone.now() + 31 * DAY, tick=False):
        assert me(token) == 401


def test_keys_of_before_do_not_come_back_with_the_account(charlie: User):
    token = own_token(charlie)
    close(charlie.account_id, by=charlie, submission=uuid7())
    assert me(token) == 200

    cancelling.cancel(DeletionRequest.objects.get().pk, by=charlie)

    assert me(token) == 401


# What is kept.


def test_only_a_hash_is_kept_and_name_and_networks_are_sealed(alice: User, owner: Any):
    _token, secret = grant(alice, name="zanzibara script", networks=["203.0.113.0/24"])

    with owner.cursor() as cursor:
        cursor.execute("SELECT t::text FROM accounts_accounttoken t")
        row = cursor.fetchone()[0]
    assert secret not in row and "203.0.113" not in row
    assert b"zanzibara".hex() not in row and "zanzibara" not in row
    assert AccountToken.objects.get().name == "zanzibara script"
    assert secret not in "".join(LedgerEntry.objects.values_list("body", flat=True))


def test_a_form_sent_twice_makes_one_token(alice: User):
    submission = uuid7()
    first, secret = grant(alice, submission=submission)
    again, nothing = grant(alice, submission=submission)

    assert (first.pk, nothing) == (again.pk, "") and secret
    assert AccountToken.objects.count() == 1
    assert LedgerEntry.objects.filter(action="account_token.made").count() == 1


def test_somebody_elses_submission_makes_a_token_of_ones_own(alice: User, bob: User):
    submission = uuid7()
    grant(alice, submission=submission)
    token, secret = grant(bob, submission=submission)

    assert secret and token.account_id == bob.account_id


def test_making_one_is_told_by_mail(alice: User):
    grant(alice)

    letter = Correspondence.objects.get(account=alice.account_id)
    assert letter.subject == "A new API token opens your account"
    assert "/settings/tokens/" in letter.body and "If this was not you" in letter.body


def test_the_use_is_noted_by_the_minute_and_in_the_history_by_the_hour(alice: User):
    token = own_token(alice)
    start = timezone.now().replace(minute=2, second=0) + 2 * dt.timedelta(hours=1)
    for minute in range(0, 125, 5):
        calm()
        with time_machine.travel(start + dt.timedelta(minutes=minute), tick=False):
            assert call(ME, token, headers={"User-Agent": "Script/1.0"}, REMOTE_ADDR=THERE).status_code == 200

    events = AccessEvent.objects.filter(account=alice.account_id, kind=AccessEvent.Kind.API).order_by("at")
    assert [event.at.replace(minute=0) - start.replace(minute=0) for event in events] == [
        dt.timedelta(hours=hour) for hour in range(3)
    ]
    assert {(event.ip, event.browser, event.user) for event in events} == {(THERE, "Script/1.0", alice.pk)}
    assert AccountToken.objects.get().last_used_at == start + dt.timedelta(minutes=120)


def test_calls_side_by_side_note_one_event(alice: User):
    token = own_token(alice)

    def send(_turn: int) -> int:
        try:
            return me(token)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(8))) == {200}
    assert AccessEvent.objects.filter(kind=AccessEvent.Kind.API).count() == 1


def test_too_many_tokens_are_refused(alice: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(granting, "MOST_LIVE", 2)
    grant(alice), grant(alice)

    with pytest.raises(NotActionable, match="has 2 tokens"):
        grant(alice)


def test_a_call_takes_few_statements(alice: User):
    token = own_token(alice, networks=["127.0.0.0/8"])
    call(ME, token)
    with sql() as statements:
        assert call(ME, token).status_code == 200
    assert len(statements) <= 6, statements


def test_erasing_the_account_takes_its_tokens(bob: User):
    own_token(bob)
    close(bob.account_id, by=bob, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()

    assert not AccountToken.objects.filter(account=bob.account_id).exists()
    assert not Contact.objects.filter(account=bob.account_id).exists()
