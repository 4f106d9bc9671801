"""The pages for what went wrong: each says whether something happened, and none needs what may be broken."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisAway

from accounts import supporting
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from chicagocloud import views
from retention import plans
from tests.visiting import close_in, entered, signed_in, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def calm() -> Client:
    """A browser that shows the error page instead of the error."""
    return Client(raise_request_exception=False)


def failing(error: Exception):
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (RuntimeError("x"), 500, "Sorry, there is a problem with the service"),
        (OperationalError("x"), 503, "The service is closed for the moment"),
        (RedisAway("x"), 503, "The service is closed for the moment"),
        (NotActionable("Account 1 is closed."), 409, "Account 1 is closed."),
        (PermissionDenied("x"), 403, "You cannot open this page"),
    ],
)
def test_what_breaks_is_told_without_its_cause(alice, monkeypatch, error, status, sentence):
    visitor = signed_in(alice)
    visitor.raise_request_exception = False
    monkeypatch.setattr(plans, "plan", failing(error))

    answer = visitor.get("/delete/")

    assert answer.status_code == status
    assert sentence in words(answer)
    assert "Traceback" not in answer.content.decode()


def test_the_last_page_needs_no_request_and_no_database():
    try:
        raise OperationalError("secret")
    except OperationalError:
        answer = views.server_error(RequestFactory().get("/"))

    assert answer.status_code == 503
    assert "secret" not in answer.content.decode()


def test_an_unknown_address_says_that_nothing_was_changed(calm):
    answer = calm.get("/nowhere/")

    assert answer.status_code == 404
    assert "Nothing was changed." in words(answer)


def test_a_form_without_its_token_is_refused_and_does_nothing(alice):
    visitor = Client(enforce_csrf_checks=True)
    entered(visitor, alice)

    answer = close_in(visitor)

    assert answer.status_code == 403
    assert "This form is too old to send" in words(answer)
    alice.account.refresh_from_db()
    assert alice.account.state == "active"


def test_an_act_that_is_refused_between_page_and_form_is_a_conflict(alice, monkeypatch):
    monkeypatch.setattr(supporting, "open_ticket", failing(NotActionable("Account 1 is closed: write elsewhere.")))
    form = {"subject": "S", "body": "B", "submission": str(uuid7())}

    answer = signed_in(alice).post("/tickets/", form)

    assert answer.status_code == 409
    assert "Account 1 is closed: write elsewhere." in words(answer)
    assert "nothing was changed" in words(answer)


@pytest.mark.parametrize("path", ["/delete/%00/", "/invoices/%00/", "/tickets/a b/", "/delete/DEL-2222-2222%27/"])
def test_odd_addresses_are_no_error(alice, path):
    assert signed_in(alice).get(path).status_code == 404


@pytest.mark.parametrize("query", ["kind__exact=%00", "page=1%00", "%00=1", "next=/a&next=%00"])
@pytest.mark.parametrize("path", ["/", "/tickets/", "/accounts/login/", "/admin/retention/hold/", "/nowhere/"])
def test_a_nul_in_a_query_is_refused_everywhere(alice, path, query):
    answer = signed_in(alice).get(f"{path}?{query}")

    assert answer.status_code == 400
    assert "We could not read that request" in words(answer)
    assert "default-src" in answer["Content-Security-Policy"]


@pytest.mark.parametrize(("address", "status"), [("/api/v1/disputes/?x=%00", 400), ("/api/v1/nothing/", 404)])
def test_another_system_gets_problem_details(calm, address, status):
    answer = calm.post(address)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("secret"), 500), (OperationalError("secret"), 503)])
def test_another_system_gets_problem_details_of_what_nobody_foresaw(error, status):
    try:
        raise error
    except Exception:  # noqa: BLE001
        answer = views.server_error(RequestFactory().post("/api/v1/disputes/"))

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert "secret" not in answer.content.decode()


def test_every_page_is_reached_by_its_name():
    assert [reverse(name) for name in ("overview", "health", "retention:delete_start", "accounts:help")] == [
        "/",
        "/health/",
        "/delete/",
        "/help/",
    ]
