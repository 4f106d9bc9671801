"""The disputes API: scoped tokens, strict JSON, one effect per key, and a hold that comes and goes with it
(P25).
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
import time_machine
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.response import Response

from accounts import idempotency
from accounts.issuing import issue, revoke
from accounts.keys.identifiers import uuid7
from accounts.models import ApiToken, User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry
from retention import api, purge
from retention.closing import close
from retention.models import Dispute, Hold
from tests.cast import make_staff
from tests.servers import Portal
from tests.visiting import entered

pytestmark = pytest.mark.usefixtures("committed")

OPEN = "/api/v1/disputes/"
CLOSE = "/api/v1/disputes/close/"
REFERENCE = "du_canary_77"


@pytest.fixture
def ada() -> User:
    return make_staff("ada", "administrator")


@pytest.fixture
def secret(ada: User) -> str:
    return issue("billing", ["disputes:write"], by=ada, days=90)[1]


@pytest.fixture
def post(secret: str) -> Callable[..., Any]:
    def send(path: str, body: Any, key: str | None = "", token: str | None = secret, **more: Any) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key or str(uuid4())
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return Client().post(path, data, content_type="application/json", headers=headers, **more)

    return send


def dispute(account: Any, /, **changes: Any) -> dict[str, Any]:
    body = {
        "account": account.number,
        "processor": "stripe",
        "reference": REFERENCE,
        "amount_cents": 1290,
        "currency": "USD",
        "reason": "fraudulent",
    }
    return {**body, **changes}


def ending(**changes: Any) -> dict[str, Any]:
    return {"processor": "stripe", "reference": REFERENCE, "outcome": "won", **changes}


# What it does.


def test_opening_records_the_dispute_and_places_a_told_hold(alice: User, post: Callable[..., Any]):
    answer = post(OPEN, dispute(alice.account, evidence_due_at=(timezone.now() + dt.timedelta(days=7)).isoformat()))
    assert answer.status_code == 201, answer.content
    stored = Dispute.objects.get()
    assert answer.json() == {
        "id": str(stored.pk),
        "account": alice.account.number,
        "state": "open",
        "opened_at": mock.ANY,
        "closed_at": None,
    }
    assert (stored.reference, stored.amount_cents, stored.reason) == (REFERENCE, 1290, "fraudulent")
    assert stored.opened_by.startswith("token:")
    hold = Hold.objects.get()
    assert (hold.kind, hold.cause, hold.released_at) == ("dispute", stored.pk, None) and hold.told_at


def test_closing_ends_the_dispute_and_its_hold(alice: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account))
    answer = post(CLOSE, ending(outcome="lost"))
    assert (answer.status_code, answer.json()["state"]) == (200, "lost")
    assert Hold.objects.get().released_at is not None
    assert post(CLOSE, ending(outcome="lost")).status_code == 200
    assert post(CLOSE, ending(outcome="won")).status_code == 409


def test_a_closed_account_can_still_be_disputed(alice: User, post: Callable[..., Any]):
    close(alice.account_id, by=alice, submission=uuid7())
    assert post(OPEN, dispute(alice.account)).status_code == 201


def test_nothing_of_an_erased_account_can_be_disputed(bob: User, post: Callable[..., Any]):
    close(bob.account_id, by=bob, submission=uuid7(), at=timezone.now() - dt.timedelta(days=40))
    purge.ring()
    answer = post(OPEN, dispute(bob.account))
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert f"Account {bob.account.number}" in answer.json()["detail"] and "was deleted on" in answer.json()["detail"]
    assert not Dispute.objects.exists() and not IdempotencyRecord.objects.exists()
    clerk = Client()
    entered(clerk, make_staff("bill", "billing"))
    form = {"processor": "stripe", "reference": REFERENCE, "amount": "12.90", "currency": "USD", "reason": "general"}
    page = clerk.post(reverse("admin:accounts_account_open-dispute", args=[bob.account_id]), form)
    assert page.status_code == 409 and "was deleted on" in page.content.decode()


def test_an_unknown_account_or_dispute_is_404(post: Callable[..., Any], alice: User):
    assert post(OPEN, dispute(alice.account, account="999999998")).status_code == 404
    assert post(CLOSE, ending()).status_code == 404
    assert not IdempotencyRecord.objects.exists()


def test_the_same_reference_for_something_else_is_409(alice: User, bob: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account))
    for body in (dispute(bob.account), dispute(alice.account, amount_cents=1)):
        answer = post(OPEN, body)
        assert answer.status_code == 409
        assert answer["Content-Type"] == "application/problem+json"
        assert REFERENCE not in answer.content.decode()
    assert Dispute.objects.count() == 1


def test_nothing_personal_stands_in_what_is_kept_about_the_call(alice: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account), key=REFERENCE)
    kept = IdempotencyRecord.objects.get()
    left = json.dumps(kept.answer) + bytes(kept.body_hash).hex() + kept.key
    left += "".join(LedgerEntry.objects.values_list("body", flat=True))
    assert REFERENCE not in left


# Who may.


def refused(post: Callable[..., Any], alice: User, token: str | None) -> int:
    cache.clear()
    status: int = post(OPEN, dispute(alice.account), token=token).status_code
    return status


def test_only_a_live_token_with_the_scope_opens_it(alice: User, ada: User, secret: str, post: Callable[..., Any]):
    token, ended = issue("old", ["disputes:write"], by=ada, days=1)
    revoke(token.pk, by=ada)
    other, narrow = issue("narrow", ["disputes:write"], by=ada, days=1)
    ApiToken.objects.filter(pk=other.pk).update(scopes=[])
    assert refused(post, alice, None) == 401
    assert refused(post, alice, "ccp_nothing") == 401
    assert refused(post, alice, "") == 401
    assert refused(post, alice, ended) == 401
    assert refused(post, alice, narrow) == 403
    with time_machine.travel(timezone.now() + dt.timedelta(days=91), tick=False):
        assert refused(post, alice, secret) == 401
    assert not Dispute.objects.exists()
    assert refused(post, alice, secret) == 201


def test_a_401_names_the_way_in(alice: User, post: Callable[..., Any]):
    answer = post(OPEN, dispute(alice.account), token=None)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_signed_in_person_has_no_key_to_the_api(alice: User):
    visitor = Client()
    entered(visitor, alice)
    answer = visitor.post(OPEN, dispute(alice.account), content_type="application/json")
    assert answer.status_code == 401


def test_a_view_without_a_scope_lets_nobody_in(alice: User, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """Negative control: it is the view's scope that lets the token in."""
    monkeypatch.setattr(api.DisputeView, "required_scope", None)
    assert post(OPEN, dispute(alice.account)).status_code == 403


def test_the_token_is_stored_as_a_hash_and_its_use_is_noted(alice: User, secret: str, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account))
    token = ApiToken.objects.get()
    assert token.last_used_at is not None
    assert secret not in str(vars(token)) and secret.encode() not in bytes(token.digest)


def test_strangers_are_limited(alice: User, post: Callable[..., Any]):
    answers = [post(OPEN, dispute(alice.account), token=None) for _ in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {401}
    assert answers[30].status_code in {401, 429}


# What is read.

BROKEN = {
    "no JSON": "{",
    "a name twice": '{"processor": "a", "processor": "b"}',
    "NaN": '{"amount_cents": NaN}',
    "infinity": '{"amount_cents": -Infinity}',
    "a number too large": '{"amount_cents": 1e309}',
    "10,000 deep": "[" * 10_000 + "]" * 10_000,
    "17 deep": "[" * 17 + "]" * 17,
    "no UTF-8": b'{"processor": "\xff"}',
    "UTF-16": '{"processor": "a"}'.encode("utf-16"),
    "half a character": '{"processor": "\\ud800"}',
    "NUL": '{"reference": "a\\u0000b"}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_strict_json_is_400(post: Callable[..., Any], body: str | bytes):
    answer = post(OPEN, body)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["status"] == 400


@pytest.mark.parametrize("way", ["a name twice", "NaN", "a number too large", "NUL"])
def test_the_standard_reader_would_take_it(way: str):
    """Negative control: it is the strict reader that refuses these."""
    json.loads(BROKEN[way])


def test_a_large_body_is_413(post: Callable[..., Any]):
    assert post(OPEN, '"' + "x" * 70_000 + '"').status_code == 413


def test_an_unknown_field_is_400_and_its_name_is_not_repeated_when_it_is_no_name(alice: User, post: Callable[..., Any]):
    answer = post(OPEN, dispute(alice.account, note="x", **{"mike@example.com": 1}))
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"note", "(unreadable)"}


WRONG = {
    "account": ["12345678", "１２３４５６７８９", "123456789 OR 1=1", None, [], True],
    "processor": ["", "Stripe Inc", "x" * 21, "../x", "a-4242424242424242"],
    "reference": ["", "x" * 121, "4242 4242 4242 4242", None],
    "amount_cents": [0, -1, 2**63, 12.5, "12", "１２", True, None],
    "currency": ["usd", "US", "EURO", 1],
    "reason": ["because", ""],
    "evidence_due_at": [
        "0001-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
        "2027-03-14T02:30:00",
        "yesterday",
        "2026-06-30T23:59:60Z",
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=str
)
def test_a_wrong_value_is_422_and_is_not_repeated(alice: User, post: Callable[..., Any], name: str, value: Any):
    answer = post(OPEN, dispute(alice.account, **{name: value}))
    assert answer.status_code == 422, answer.content
    assert name in answer.json()["errors"]
    if isinstance(value, str) and len(value) > 4:
        assert value not in answer.content.decode()
    assert not Dispute.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", '"x"', "1", "null", "{}"])
def test_a_body_that_is_no_object_or_empty_is_422(post: Callable[..., Any], body: str):
    assert post(OPEN, body).status_code == 422


def test_other_methods_and_other_formats_are_refused(post: Callable[..., Any], secret: str):
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get(OPEN, headers=headers).status_code == 405
    assert Client().post(OPEN, {"a": "b"}, headers=headers).status_code == 415


# Idempotency.


def test_a_key_is_needed(alice: User, post: Callable[..., Any]):
    assert post(OPEN, dispute(alice.account), key=None).status_code == 400
    assert post(OPEN, dispute(alice.account), key="x" * 256).status_code == 400


def test_a_repeat_gets_the_same_answer_and_does_nothing(alice: User, post: Callable[..., Any]):
    first = post(OPEN, dispute(alice.account), key="one")
    again = post(OPEN, dispute(alice.account), key="one")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first
    assert Dispute.objects.count() == Hold.objects.count() == 1


def test_without_the_stored_answer_a_repeat_would_read_otherwise(
    alice: User, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    """Negative control: it is the key that makes the second answer the first one again."""

    def every_time(request: Any, caller: Any, act: Callable[[], idempotency.Answer]) -> Response:
        status, answer = act()
        return Response(answer, status=status)

    monkeypatch.setattr(api, "once", every_time)
    statuses = [post(OPEN, dispute(alice.account), key="one").status_code for _ in range(2)]
    assert statuses != [201, 201]


def test_the_same_key_with_another_body_is_422(alice: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account), key="one")
    assert post(OPEN, dispute(alice.account, amount_cents=2), key="one").status_code == 422
    assert post(CLOSE, ending(), key="one").status_code == 422


def test_the_order_of_the_names_makes_no_other_body(alice: User, post: Callable[..., Any]):
    body = dispute(alice.account)
    post(OPEN, body, key="one")
    assert post(OPEN, dict(reversed(body.items())), key="one").status_code == 201


def test_another_caller_may_use_the_same_key(alice: User, bob: User, ada: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account), key="one")
    _token, other = issue("other", ["disputes:write"], by=ada, days=1)
    answer = post(OPEN, dispute(bob.account, reference="du_2"), key="one", token=other)
    assert answer.status_code == 201


def test_an_error_frees_the_key(alice: User, post: Callable[..., Any]):
    assert post(OPEN, dispute(alice.account, account="999999998"), key="one").status_code == 404
    assert post(OPEN, dispute(alice.account), key="one").status_code == 201


def test_a_crash_after_the_effect_is_made_good_by_the_repeat(alice: User, post: Callable[..., Any]):
    def effect_then_death(caller: Any, fields: Any) -> Any:
        api_open(caller, fields)
        raise KeyboardInterrupt

    api_open = api._open
    with mock.patch.object(api, "_open", effect_then_death), pytest.raises(KeyboardInterrupt):
        post(OPEN, dispute(alice.account), key="one")
    assert Dispute.objects.count() == 1
    assert post(OPEN, dispute(alice.account), key="one").status_code == 409
    with time_machine.travel(timezone.now() + idempotency.ABANDONED_AFTER * 2, tick=False):
        answer = post(OPEN, dispute(alice.account), key="one")
    assert (answer.status_code, Dispute.objects.count()) == (200, 1)


def test_two_at_once_make_one_dispute(alice: User, post: Callable[..., Any]):
    body = dispute(alice.account)

    def send(_turn: int) -> int:
        try:
            status: int = post(OPEN, body, key="one").status_code
            return status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send, range(4)))
    assert set(statuses) <= {201, 409} and 201 in statuses
    assert Dispute.objects.count() == 1


def test_answers_are_forgotten_after_a_week(alice: User, post: Callable[..., Any]):
    post(OPEN, dispute(alice.account), key="one")
    assert idempotency.forget() == 0
    assert idempotency.forget(timezone.now() + idempotency.KEPT_FOR + dt.timedelta(minutes=1)) == 1


# Its papers.


def test_the_schema_describes_both_doors_and_the_token():
    schema = Client().get("/api/schema/?format=json").json()
    assert {OPEN, CLOSE} <= set(schema["paths"])
    for path in (OPEN, CLOSE):
        post = schema["paths"][path]["post"]
        assert post["security"] == [{"token": []}]
        assert [p["name"] for p in post["parameters"]] == ["Idempotency-Key"]
        assert {"400", "401", "403", "404", "409", "413", "422"} < set(post["responses"])
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_the_schema_is_made_without_a_warning(tmp_path: Any):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_documentation_page_runs_under_the_policy():
    answer = Client().get("/api/docs/")
    assert answer.status_code == 200
    text = answer.content.decode()
    for offender in ("<script>", "<style", "style=", "http://", "https://"):
        assert offender not in text
    policy = answer["Content-Security-Policy"]
    assert "'unsafe" not in policy and "img-src 'self' data:" in policy
    assert "data:" not in Client().get(reverse("account_login"))["Content-Security-Policy"]
    assert Client().get("/api/docs/?script=").status_code == 200


@pytest.mark.browser
def test_the_documentation_page_shows_both_doors_without_a_complaint(live_portal: Portal, page: Any):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{live_portal.url}/api/docs/")
    page.get_by_text("Close a payment dispute").wait_for()
    assert page.get_by_text("Open a payment dispute").is_visible()
    assert complaints == []


# The command.


def test_the_command_prints_a_token_once_that_works(alice: User, ada: User, post: Callable[..., Any]):
    out, err = io.StringIO(), io.StringIO()
    call_command("make_api_token", "billing", "--scope", "disputes:write", "--by", "ada", stdout=out, stderr=err)
    token = out.getvalue().strip()
    assert token.startswith("ccp_") and token not in err.getvalue()
    assert post(OPEN, dispute(alice.account), token=token).status_code == 201


@pytest.mark.parametrize("by", ["nobody", "alice", "sam"])
def test_the_command_makes_none_for_whoever_may_not(alice: User, sam: User, by: str):
    with pytest.raises(CommandError, match="may make tokens"):
        call_command("make_api_token", "billing", "--scope", "disputes:write", "--by", by)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("name", ["4242 4242 4242 4242", "mike@example.com"])
def test_a_token_is_named_after_a_system_only(ada: User, name: str):
    with pytest.raises(ValidationError):
        issue(name, ["disputes:write"], by=ada, days=1)
    with pytest.raises(CommandError) as refusal:
        call_command("make_api_token", name, "--scope", "disputes:write", "--by", "ada")
    assert name not in str(refusal.value)
    assert not ApiToken.objects.exists()
