"""Provisioning's API: services, their addresses, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts import idempotency, suspending
from accounts.errors import NotActionable
from accounts.issuing import issue
from accounts.keys.identifiers import uuid7
from accounts.models import IpAssignment, Service, Suspension, User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry
from retention import closing, placing, purge
from retention.models import Hold
from tests.cast import DAY, give_address, make_customer, make_staff, run_service

pytestmark = pytest.mark.usefixtures("committed")

SERVICES = "/api/v1/services/"
Send = Callable[..., Any]


@pytest.fixture
def ada() -> User:
    return make_staff("ada", "administrator")


@pytest.fixture
def secret(ada: User) -> str:
    return issue("provisioning", ["services:read", "services:write"], by=ada, days=90)[1]


@pytest.fixture
def post(secret: str) -> Send:
    def send(path: str, body: Any, key: str | None = None, token: str = secret) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key or str(uuid4())}
        return Client().post(path, json.dumps(body), content_type="application/json", headers=headers)

    return send


@pytest.fixture
def get(secret: str) -> Send:
    def ask(path: str, token: str = secret, **query: Any) -> Any:
        return Client().get(path, query, headers={"Authorization": f"Bearer {token}"})

    return ask


def new(user: User, **given: Any) -> dict[str, Any]:
    return {"account": user.account.number, "name": "www.canary.example", "plan": "vps-2", **given}


def addresses_of(service: Any) -> str:
    return f"{SERVICES}{service if isinstance(service, str | UUID) else service.pk}/addresses/"


def test_a_service_is_made_given_an_address_and_loses_it(alice: User, post: Send, get: Send):
    answer = post(SERVICES, new(alice, monthly_cents=1290, paid_until="2027-01-01T00:00:00Z"))
    assert answer.status_code == 201, answer.content
    service = Service.objects.get()
    assert answer.json()["id"] == str(service.pk) and service.name == "www.canary.example"
    assert LedgerEntry.objects.get(action="service.provisioned").subject == alice.account_id

    answer = post(addresses_of(service), {"address": "192.0.2.0/28"})
    assert answer.status_code == 201, answer.content
    row = IpAssignment.objects.get()
    read = get(SERVICES, account=alice.account.number).json()["results"]
    assert [one["address"] for one in read[0]["addresses"]] == ["192.0.2.0/28"] and read[0]["name"] == service.name

    answer = post(f"/api/v1/addresses/{row.pk}/end/", {})
    assert (answer.status_code, answer.json()["id"]) == (200, str(row.pk))
    assert get(SERVICES, account=alice.account.number).json()["results"][0]["addresses"] == []
    assert LedgerEntry.objects.filter(action="api.read", subject=alice.account_id).count() == 2


def test_the_same_key_makes_one_service_even_when_the_answer_was_lost(alice: User, post: Send):
    first = post(SERVICES, new(alice), key="one")
    again = post(SERVICES, new(alice), key="one")
    assert (first.json(), again.headers["Idempotency-Replayed"]) == (again.json(), "true")
    # The process died after the act and before its answer was stored.
    IdempotencyRecord.objects.update(status=None, created_at=timezone.now() - DAY)
    assert post(SERVICES, new(alice), key="one").json() == first.json()
    assert Service.objects.count() == 1
    assert post(SERVICES, new(alice, plan="vps-3"), key="one").status_code == 422
    assert post(SERVICES, new(alice), key="two").status_code == 201
    assert Service.objects.count() == 2


def test_an_address_of_another_customer_is_a_409_that_names_nobody(alice: User, bob: User, post: Send):
    give_address(run_service(bob), "192.0.2.7")
    answer = post(addresses_of(run_service(alice)), {"address": "192.0.2.7"})

    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert bob.account.number not in answer.content.decode() and "192.0.2" not in answer.content.decode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"address": "192.0.2.7/24"}, "bits set after its prefix"),
        ({"address": "fe80::1%eth0"}, "zone"),
        ({"address": "::ffff:192.0.2.7"}, "IPv4"),
        ({"address": "0.0.0.0/0"}, "too wide"),
        ({"address": ""}, "blank"),
        ({"address": "192.0.2.7", "at": "2999-01-01T00:00:00Z"}, "date"),
        ({"address": "192.0.2.7", "at": "0001-01-01T00:00:00Z"}, "out of range"),
        ({}, "required"),
    ],
)
def test_what_cannot_be_assigned_is_422_with_the_way_to_write_it(
    body: dict[str, str], words: str, alice: User, post: Send
):
    answer = post(addresses_of(run_service(alice)), body)

    assert answer.status_code == 422 and words in answer.content.decode()
    assert not IpAssignment.objects.exists()


@pytest.mark.parametrize(
    "given",
    [
        {"account": "12"},
        {"name": ""},
        {"name": "n" * 254},
        {"name": "card 4242 4242 4242 4242"},
        {"plan": "A plan"},
        {"monthly_cents": -1},
        {"monthly_cents": 10**12},
        {"term_ends_at": "2000-01-01T00:00:00Z"},
        {"order": "x"},
    ],
)
def test_a_service_that_cannot_be_is_422(given: dict[str, Any], alice: User, post: Send):
    answer = post(SERVICES, new(alice, **given))

    assert answer.status_code == 422, answer.content
    assert "4242" not in answer.content.decode() and not Service.objects.exists()


def test_what_is_not_there_is_404_and_unknown_fields_are_400(alice: User, post: Send, get: Send):
    assert post(SERVICES, new(alice, account="999999999")).status_code == 404
    assert post(addresses_of(uuid4()), {"address": "192.0.2.7"}).status_code == 404
    assert post(f"/api/v1/addresses/{uuid4()}/end/", {}).status_code == 404
    assert get(SERVICES, account="999999999").status_code == 404
    assert get(SERVICES).status_code == 400
    assert post(SERVICES, new(alice, owner="me")).status_code == 400


def test_reading_and_writing_are_two_scopes(alice: User, ada: User, post: Send, get: Send):
    reads = issue("reader", ["services:read"], by=ada, days=1)[1]
    writes = issue("writer", ["services:write"], by=ada, days=1)[1]

    assert post(SERVICES, new(alice), token=reads).status_code == 403
    assert get(SERVICES, token=writes, account=alice.account.number).status_code == 403
    assert post(SERVICES, new(alice), token=writes).status_code == 201
    assert get(SERVICES, token=reads, account=alice.account.number).status_code == 200
    assert Client().get(SERVICES).status_code == 401


def test_pages_go_on_by_cursor(alice: User, get: Send):
    made = [run_service(alice, at=timezone.now() - DAY * number).pk for number in range(60)]

    page = get(SERVICES, account=alice.account.number, limit=50).json()
    rest = get(page["next"].removeprefix(settings.PORTAL_ORIGIN)).json()
    assert (len(page["results"]), len(rest["results"]), rest["next"]) == (50, 10, None)
    assert [one["id"] for one in page["results"] + rest["results"]] == [str(pk) for pk in made]


def test_a_closed_account_is_given_nothing_and_an_ended_one_shows_nothing(
    alice: User, bob: User, post: Send, get: Send
):
    service = run_service(alice)
    closing.close(alice.account_id, by=alice, submission=uuid7())
    assert post(SERVICES, new(alice)).status_code == 409
    assert post(addresses_of(service), {"address": "192.0.2.7"}).status_code == 409

    run_service(bob)
    closing.close(bob.account_id, by=bob, submission=uuid7(), at=timezone.now() - 40 * DAY)
    assert get(SERVICES, account=bob.account.number).json()["results"] == []
    purge.ring()
    assert post(SERVICES, new(bob)).status_code == 409
    assert get(SERVICES, account=bob.account.number).json()["results"] == []


# Suspending.


def test_suspensions_add_up_and_each_is_lifted_once(alice: User, bob: User):
    service = run_service(alice)
    whole = suspending.place(alice.account_id, Suspension.Ground.BILLING, by="system")
    one = suspending.place(alice.account_id, Suspension.Ground.BILLING, by="staff:x", service_id=service.pk)
    suspending.lift(whole.pk, by="staff:y")

    assert list(Suspension.objects.standing()) == [one]
    whole.refresh_from_db()
    assert whole.lifted_by == "staff:y" and whole.lifted_at
    with pytest.raises(NotActionable, match="lifted already"):
        suspending.lift(whole.pk, by="staff:y")
    with pytest.raises(NotActionable, match="no such service"):
        suspending.place(bob.account_id, Suspension.Ground.BILLING, by="staff:x", service_id=service.pk)
    actions = LedgerEntry.objects.filter(subject=alice.account_id, action__startswith="suspension")
    assert sorted(actions.values_list("action", flat=True)) == [
        "suspension.lifted",
        "suspension.placed",
        "suspension.placed",
    ]


def test_nothing_of_an_erased_account_is_suspended():
    user = make_customer("gone")
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()

    with pytest.raises(NotActionable, match="are deleted"):
        suspending.place(user.account_id, Suspension.Ground.BILLING, by="system")


def test_once_a_key_is_forgotten_no_repeat_tells_what_an_untold_hold_keeps(alice: User, bob: User, post: Send):
    """Both deletions are unfinished for a reason that was not told; only of one the services are still there."""
    bodies = {user.account_id: new(user) for user in (alice, bob)}
    for user, covered in ((alice, "services"), (bob, "access")):
        assert post(SERVICES, bodies[user.account_id], key=covered).status_code == 201
        placing.place(user.account_id, Hold.Kind.LEGAL, by="system", matter="M-77", categories=[covered])
        closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()
    idempotency.forget(timezone.now() + idempotency.KEPT_FOR + DAY)
    kept = Service.objects.filter(account__in=bodies).values_list("account", flat=True)
    assert set(kept) == {alice.account_id}, "the control: what was made is there for one of them"

    answers = [post(SERVICES, bodies[user.account_id], key=key) for user, key in ((alice, "services"), (bob, "access"))]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert all("is closed; only an active one" in answer.json()["detail"] for answer in answers)
