"""The customers' API of exports: asked for once, read by their own, deleted, and never downloaded with a token."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts import exporting
from accounts.keys.identifiers import uuid7
from accounts.models import Export, User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry
from retention import closing, schedule
from tests.calling import call, calm, own_token, system_token
from tests.cast import DAY, make_customer
from tests.test_pages_silence import SEALED
from tests.visiting import sql

pytestmark = pytest.mark.usefixtures("committed")

EXPORTS = "/api/v1/exports/"


@pytest.fixture
def token(alice: User) -> str:
    return own_token(alice, "export:read", "export:write")


def ask(token: str, body: Any = None, **more: Any) -> Any:
    return call(EXPORTS, token, "POST", {} if body is None else body, **more)


def make(reference: str) -> Export:
    """Let a worker make it."""
    export = Export.objects.get(reference=reference)
    cutoffs = schedule.cutoffs(timezone.now())
    assert exporting.make(export.pk, cutoffs=cutoffs, kept_for=schedule.span("export")) == "ready"
    return Export.objects.get(pk=export.pk)


def test_a_copy_is_asked_for_made_and_fetched_in_the_portal(alice: User, token: str):
    asked = ask(token, {"categories": ["identity", "contact"], "formats": ["csv"]})

    assert asked.status_code == 201, asked.content
    found = asked.json()
    assert (found["state"], found["fetch_url"], found["size"]) == ("waiting", None, None)
    assert (set(found["categories"]), found["formats"]) == ({"identity", "contact"}, ["csv"])
    assert LedgerEntry.objects.get(action="export.asked").actor == alice.actor

    export = make(found["reference"])
    read = call(f"{EXPORTS}{export.reference}/", token).json()
    page = reverse("retention:export_download", args=[export.reference])
    assert (read["state"], read["percent"], read["fetch_url"]) == ("ready", 100, settings.PORTAL_ORIGIN + page)
    assert (read["size"], read["sha256"]) == (export.size, export.sha256)
    assert call(EXPORTS, token).json()["results"] == [read]
    # The page itself wants a sign-in: a token gets no file.
    answer = call(page, token)
    assert answer.status_code == 302 and reverse("account_login") in answer["Location"]


def test_without_a_word_it_is_everything_as_pages_to_read(token: str):
    found = ask(token).json()

    assert (found["formats"], len(found["categories"])) == (["json"], len(exporting.Category))


def test_the_same_key_asks_once_and_with_another_body_is_422(token: str):
    first, again = (ask(token, {"formats": ["csv"]}, key="one") for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201) and first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert ask(token, {"formats": ["json"]}, key="one").status_code == 422
    assert Export.objects.count() == 1


def test_a_repeat_after_a_crash_finds_the_first(token: str):
    first = ask(token, key="one").json()
    IdempotencyRecord.objects.update(status=None, answer=None, created_at=timezone.now() - DAY)

    assert ask(token, key="one").json() == first and Export.objects.count() == 1


def test_while_one_is_made_another_is_409_with_the_way_out(token: str):
    first = ask(token).json()["reference"]
    answer = ask(token)

    assert answer.status_code == 409 and first in answer.json()["detail"]


def test_a_copy_is_deleted_once_and_is_not_there_then(alice: User, token: str):
    export = make(ask(token).json()["reference"])
    here = f"{EXPORTS}{export.reference}/"
    first, again = (call(here, token, "DELETE") for _ in range(2))

    assert (first.status_code, first.json()["state"], again.json()) == (200, "ended", first.json())
    assert first.json()["fetch_url"] is None
    assert call(here, token).status_code == 404 and call(EXPORTS, token).json()["results"] == []
    assert LedgerEntry.objects.filter(action="export.removed").count() == 1


def test_a_copy_whose_time_is_over_has_ended(token: str):
    export = make(ask(token).json()["reference"])
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now() - dt.timedelta(minutes=1))

    read = call(f"{EXPORTS}{export.reference}/", token).json()
    assert (read["state"], read["fetch_url"], read["sha256"]) == ("ended", None, None)


def test_nobody_reaches_anybody_elses(bob: User, token: str):
    others = own_token(bob, "export:read", "export:write")
    reference = ask(others).json()["reference"]

    for method in ("GET", "DELETE"):
        answer = call(f"{EXPORTS}{reference}/", token, method)
        assert (answer.status_code, reference in answer.content.decode()) == (404, False)
    assert call(EXPORTS, token).json()["results"] == []
    assert Export.objects.get().removed_at is None


def test_each_scope_opens_its_own_and_a_system_none(alice: User, token: str):
    reference = ask(token).json()["reference"]
    reads, writes = own_token(alice, "export:read"), own_token(alice, "export:write")
    here = f"{EXPORTS}{reference}/"

    assert ask(reads).status_code == call(here, reads, "DELETE").status_code == 403
    assert call(EXPORTS, writes).status_code == call(here, writes).status_code == 403
    assert call(EXPORTS, system_token("accounts:read")).status_code == 403
    calm()
    assert call(EXPORTS).status_code == 401


def test_a_closed_account_asks_until_its_due_date_and_no_longer(alice: User, token: str):
    closing.close(alice.account_id, by=alice, submission=uuid7())
    asked = ask(token)
    assert asked.status_code == 201 and call(EXPORTS, token).status_code == 200

    dora = make_customer("dora")
    ended = own_token(dora, "export:read")
    closing.close(dora.account_id, by=dora, submission=uuid7(), at=timezone.now() - 40 * DAY)
    assert call(EXPORTS, ended).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"categories": []}, 422),
        ({"categories": ["nothing"]}, 422),
        ({"categories": "identity"}, 422),
        ({"formats": ["xml"]}, 422),
        ({"formats": None}, 422),
        ({"format": ["json"]}, 400),
        ([], 422),
    ],
)
def test_what_cannot_be_asked_for_is_refused_whole(token: str, body: Any, status: int):
    answer = ask(token, body)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert not Export.objects.exists() and not IdempotencyRecord.objects.exists()


def test_more_than_the_pages_allow_is_429_and_frees_its_key(token: str, settings: Any):
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "ask_export": "1/d/user"}
    first = ask(token).json()["reference"]
    call(f"{EXPORTS}{first}/", token, "DELETE")
    answer = ask(token, key="two")

    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
    assert Export.objects.count() == 1
    calm()
    assert ask(token, key="two").status_code == 201


def test_pages_go_on_by_cursor_and_another_parameter_is_400(token: str):
    made = []
    for _ in range(3):
        made.append(ask(token).json()["reference"])
        Export.objects.update(state=Export.State.FAILED)
    first = call(f"{EXPORTS}?limit=2", token).json()
    rest = call(first["next"].removeprefix(settings.PORTAL_ORIGIN), token).json()

    assert [each["reference"] for each in first["results"] + rest["results"]] == made[::-1]
    assert rest["next"] is None
    assert call(f"{EXPORTS}?state=ready", token).status_code == 400


def test_no_call_asks_for_holds_and_nothing_personal_is_kept(charlie: User):
    token = own_token(charlie, "export:read", "export:write")
    Export.objects.all().update(state=Export.State.ENDED)
    with sql() as statements:
        reference = ask(token).json()["reference"]
        call(EXPORTS, token)
        call(f"{EXPORTS}{reference}/", token)
        call(f"{EXPORTS}{reference}/", token, "DELETE")

    assert statements and [one for one in statements if SEALED.search(one)] == []
    assert "charlie" not in json.dumps(list(IdempotencyRecord.objects.values_list("answer", flat=True))).lower()
