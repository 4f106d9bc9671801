"""The customers' API of privacy requests: asked for once, in DRP's words, withdrawn, and silent of what is untold."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts import idempotency, restricting
from accounts.datamap import Purpose
from accounts.keys.identifiers import uuid7
from accounts.models import User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry
from retention import api_requests, cancelling, cleaning, closing, deciding, placing
from retention.models import DeletionRequest, Hold, PrivacyRequest
from retention.models.privacy import Reason, Right
from tests.calling import call, calm, own_token, system_token
from tests.cast import DAY, ask_something, make_staff
from tests.test_pages_silence import SEALED
from tests.visiting import sql

pytestmark = pytest.mark.usefixtures("committed")

REQUESTS = "/api/v1/requests/"
WRONG_NAME = {"exercise": "rectification", "details": "My name is spelled wrong."}


@pytest.fixture
def token(alice: User) -> str:
    return own_token(alice, "requests:read", "requests:write")


def ask(token: str, body: Any = None, **more: Any) -> Any:
    return call(REQUESTS, token, "POST", WRONG_NAME if body is None else body, **more)


def withdraw(token: str, reference: str, **more: Any) -> Any:
    return call(f"{REQUESTS}{reference}/withdraw/", token, "POST", **more)


def test_a_request_is_made_read_listed_and_withdrawn(alice: User, token: str):
    asked = ask(token)

    assert asked.status_code == 201, asked.content
    made, found = PrivacyRequest.objects.get(), asked.json()
    assert (found["request_id"], found["reference"]) == (str(made.pk), made.reference)
    assert (found["exercise"], found["regime"], found["status"]) == ("rectification", "ccpa", "in_progress")
    assert (found["reason"], found["results_url"], found["expires_at"]) == (None, None, None)
    assert (made.account_id, made.user) == (alice.account_id, alice.pk)
    assert LedgerEntry.objects.get(action="request.received").actor == alice.actor

    words = {"purposes": [], "categories": [], "details": WRONG_NAME["details"], "answer": ""}
    assert call(f"{REQUESTS}{made.reference}/", token).json() == {**found, **words}
    assert call(REQUESTS, token).json() == {"results": [found], "next": None, "previous": None}

    first, again = (withdraw(token, made.reference) for _ in range(2))
    assert (first.status_code, first.json()["status"], again.json()) == (200, "revoked", first.json())
    assert LedgerEntry.objects.filter(action="request.revoked").count() == 1


def test_the_answer_of_staff_is_read_with_the_result(token: str):
    reference = ask(token).json()["reference"]
    officer = make_staff("olga", "privacy_officer")
    deciding.fulfil(PrivacyRequest.objects.get().pk, by=officer, answer="We mended it.")

    found = call(f"{REQUESTS}{reference}/", token).json()
    page = settings.PORTAL_ORIGIN + reverse("retention:request", args=[reference])
    assert (found["status"], found["answer"], found["results_url"]) == ("fulfilled", "We mended it.", page)
    assert withdraw(token, reference).status_code == 409


def test_a_denial_names_its_reason_in_words_of_the_protocol(token: str):
    reference = ask(token).json()["reference"]
    officer = make_staff("olga", "privacy_officer")
    deciding.deny(PrivacyRequest.objects.get().pk, by=officer, reason=Reason.RETAINED_BY_LAW, answer="Tax law.")

    found = call(f"{REQUESTS}{reference}/", token).json()
    assert (found["status"], found["reason"], found["results_url"]) == ("denied", "retained_by_law", None)


def test_an_objection_that_the_portal_grants_by_itself_is_done_at_once(alice: User, token: str):
    found = ask(token, {"exercise": "objection", "purposes": ["layout"]}).json()

    assert found["status"] == "fulfilled"
    assert restricting.is_restricted(alice.account_id, Purpose.LAYOUT)


def test_the_same_key_asks_once_and_with_another_body_is_422(token: str):
    first, again = (ask(token, key="one") for _ in range(2))

    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert ask(token, {"exercise": "access"}, key="one").status_code == 422
    assert PrivacyRequest.objects.count() == 1


def test_a_repeat_after_a_crash_finds_the_first(token: str):
    first = ask(token, key="one").json()
    IdempotencyRecord.objects.update(status=None, answer=None, created_at=timezone.now() - DAY)
    again = ask(token, key="one")

    assert (again.status_code, again.json()) == (201, first) and PrivacyRequest.objects.count() == 1


def test_a_repeat_after_an_unforeseen_error_finds_the_first(token: str):
    asking = api_requests._ask

    def effect_then_error(*given: Any) -> Any:
        asking(*given)
        raise RuntimeError

    with mock.patch.object(api_requests, "_ask", effect_then_error):
        assert ask(token, key="one").status_code == 500
    with time_machine.travel(timezone.now() + 2 * idempotency.ABANDONED_AFTER, tick=False):
        assert ask(token, key="one").status_code == 201

    assert PrivacyRequest.objects.count() == 1


@pytest.mark.parametrize("body", [WRONG_NAME, {"exercise": "access"}])
def test_once_a_key_is_forgotten_no_answer_tells_whether_a_hold_kept_the_words(alice: User, bob: User, body: Any):
    tokens = [own_token(user, "requests:read", "requests:write") for user in (alice, bob)]
    placing.place(alice.account_id, Hold.Kind.LEGAL, by="system", matter="M-77")
    for token in tokens:
        withdraw(token, ask(token, key="one").json()["reference"])
    later = timezone.now() + 9 * DAY
    cleaning.clean(later)
    idempotency.forget(later)
    assert [request.account_id for request in PrivacyRequest.objects.filter(cleaned_at=None)] == [alice.account_id]

    with time_machine.travel(later, tick=False):
        answers = [ask(token, body, key="one") for token in tokens]

    assert [(answer.status_code, answer.json().get("status")) for answer in answers] == [(201, "in_progress")] * 2


def test_the_same_wish_under_another_key_is_the_request_that_runs(token: str):
    first, again = ask(token), ask(token)

    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    assert PrivacyRequest.objects.count() == 1


# A deletion.


def test_a_deletion_begins_in_the_portal_and_nothing_happens_here(alice: User, token: str):
    answer = ask(token, {"exercise": "deletion", "details": "All of it."})

    assert answer.status_code == 409
    assert f"{settings.PORTAL_ORIGIN}/delete/" in answer.json()["detail"]
    assert not PrivacyRequest.objects.exists() and not DeletionRequest.objects.exists()
    alice.account.refresh_from_db()
    assert alice.account.state == "active"


def test_a_deletion_that_waits_is_read_and_not_withdrawn_here(alice: User, token: str):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    deletion = DeletionRequest.objects.get()

    (found,) = call(f"{REQUESTS}?exercise=deletion", token).json()["results"]
    assert (found["reference"], found["exercise"]) == (deletion.reference, "deletion")
    assert (found["status"], found["reason"]) == ("in_progress", None)
    assert call(f"{REQUESTS}{deletion.reference}/", token).json()["status"] == "in_progress"
    answer = withdraw(token, deletion.reference)
    assert answer.status_code == 409
    assert reverse("retention:delete_cancel", args=[deletion.reference]) in answer.json()["detail"]
    deletion.refresh_from_db()
    assert deletion.cancelled_at is None

    cancelling.cancel(deletion.pk, by=alice)
    calm()
    again = own_token(alice, "requests:read")
    assert call(f"{REQUESTS}{deletion.reference}/", again).json()["status"] == "revoked"


# Who may, and when.


def test_nobody_reaches_anybody_elses(bob: User, token: str):
    others = ask_something(bob)
    closing.close(bob.account_id, by=bob, submission=uuid7())
    for reference in (others.reference, DeletionRequest.objects.get().reference):
        for answer in (call(f"{REQUESTS}{reference}/", token), withdraw(token, reference)):
            assert (answer.status_code, reference in answer.content.decode()) == (404, False)
    assert call(REQUESTS, token).json()["results"] == []
    assert call(f"{REQUESTS}?exercise=deletion", token).json()["results"] == []
    others.refresh_from_db()
    assert others.decided_at is None


def test_each_scope_opens_its_own_and_a_system_none(alice: User, token: str):
    reference = ask(token).json()["reference"]
    reads, writes = own_token(alice, "requests:read"), own_token(alice, "requests:write")

    assert ask(reads).status_code == withdraw(reads, reference).status_code == 403
    assert call(REQUESTS, writes).status_code == call(f"{REQUESTS}{reference}/", writes).status_code == 403
    assert call(REQUESTS, system_token("accounts:read")).status_code == 403
    calm()
    assert call(REQUESTS).status_code == 401


def test_a_closed_account_reads_and_withdraws_but_asks_nothing_new(alice: User, token: str):
    reference = ask(token).json()["reference"]
    closing.close(alice.account_id, by=alice, submission=uuid7())

    answer = ask(token, {"exercise": "access"})
    assert answer.status_code == 409 and "cancel its deletion" in answer.json()["detail"]
    assert call(REQUESTS, token).json()["results"][0]["reference"] == reference
    assert withdraw(token, reference).json()["status"] == "revoked"


# What cannot be asked for.


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 422, "exercise"),
        ({"exercise": "forgetting"}, 422, "exercise"),
        ({"exercise": "access", "regime": "mars"}, 422, "regime"),
        ({"exercise": "access", "name": "x"}, 400, "name"),
        ({"exercise": "rectification"}, 422, "details"),
        ({"exercise": "rectification", "details": "   "}, 422, "details"),
        ({"exercise": "complaint", "details": "x" * 5001}, 422, "details"),
        ({"exercise": "complaint", "details": "My card is 4242 4242 4242 4242"}, 422, "details"),
        ({"exercise": "objection"}, 422, "purposes"),
        ({"exercise": "objection", "purposes": ["law"]}, 422, "purposes"),
        ({"exercise": "objection", "purposes": "layout"}, 422, "purposes"),
        ({"exercise": "access", "purposes": ["layout"]}, 422, "purposes"),
        ({"exercise": "opt_out", "categories": ["identity"]}, 422, "categories"),
        ({"exercise": "access", "categories": ["nothing"]}, 422, "categories"),
    ],
)
def test_what_cannot_be_asked_for_names_the_field_and_never_the_value(token: str, body: Any, status: int, named: str):
    answer = ask(token, body)

    assert answer.status_code == status, answer.content
    assert set(answer.json()["errors"]) == {named} and "4242" not in answer.content.decode()
    assert not PrivacyRequest.objects.exists() and not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize("right", sorted(set(Right.values) - {"deletion"}))
def test_every_other_right_can_be_asked_for(token: str, right: str):
    body: dict[str, Any] = {"exercise": right, "details": "So that you know."}
    if right in {"objection", "restriction"}:
        body["purposes"] = ["services", "layout"]
    if right in {"access", "portability", "rectification"}:
        body["categories"] = ["contact"]
    found = ask(token, body)

    assert found.status_code == 201, found.content
    assert call(f"{REQUESTS}?exercise={right}", token).json()["results"] == [found.json()]
    shown = call(f"{REQUESTS}{found.json()['reference']}/", token).json()
    assert (shown["categories"], shown["details"]) == (body.get("categories", []), body["details"])


@pytest.mark.parametrize(
    "query", ["exercise=", "exercise=all", "status=open", "cursor=x", "exercise=access&exercise=x"]
)
def test_a_list_that_cannot_be_asked_for_is_400(token: str, query: str):
    assert call(f"{REQUESTS}?{query}", token).status_code == 400


def test_the_next_page_is_of_the_same_list(alice: User, token: str):
    for number in range(3):
        ask(token, {"exercise": "complaint", "details": f"No. {number}"})
    ask(token)
    first = call(f"{REQUESTS}?exercise=complaint&limit=2", token).json()
    rest = call(first["next"].removeprefix(settings.PORTAL_ORIGIN), token).json()

    assert (len(first["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)
    assert {each["exercise"] for each in first["results"] + rest["results"]} == {"complaint"}


# Silence.


def test_an_untold_hold_changes_no_answer_and_no_query_names_one(charlie: User):
    token = own_token(charlie, "requests:read", "requests:write")
    ask_something(charlie)
    closing.close(charlie.account_id, by=charlie, submission=uuid7())
    paths = [REQUESTS, f"{REQUESTS}?exercise=deletion", *(f"{REQUESTS}{each}/" for each in references(charlie))]
    assert len(paths) >= 4
    before = [call(path, token).json() for path in paths]
    placing.place(charlie.account_id, Hold.Kind.LEGAL, by="system", matter="sealed 4711")

    with sql() as statements:
        assert [call(path, token).json() for path in paths] == before
        for reference in references(charlie):
            withdraw(token, reference)
        ask(token)
    assert statements and [one for one in statements if SEALED.search(one)] == []
    assert "legal_hold" not in json.dumps(before)


def test_nothing_personal_is_kept_about_the_call(token: str):
    ask(token, {"exercise": "complaint", "details": "Regina Canary was rude."})
    kept = json.dumps(list(IdempotencyRecord.objects.values_list("answer", flat=True)))
    kept += "".join(LedgerEntry.objects.values_list("body", flat=True))

    assert "Regina" not in kept and "rude" not in kept


def references(user: User) -> list[str]:
    own = [model.objects.filter(account=user.account_id) for model in (PrivacyRequest, DeletionRequest)]
    return [each.reference for rows in own for each in rows]
