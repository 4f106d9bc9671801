"""Behind a proxy the client's address is the one the proxy saw; in front of none, nobody is believed."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import AccessEvent, User
from tests.cast import PASSWORD
from tests.servers import ROOT

pytestmark = pytest.mark.django_db

PROXY, CUSTOMER = "10.0.0.1", "198.51.100.7"
GO_BY_IT = ("SECURE_PROXY_SSL_HEADER", "ALLAUTH_TRUSTED_PROXY_COUNT", "REST_FRAMEWORK")


@pytest.fixture
def behind(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what plays the settings that an environment gives."""

    def play(**environment: str) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made = runpy.run_path(str(ROOT / "chicagocloud" / "settings.py"))
        for name in GO_BY_IT:
            setattr(settings, name, made[name])

    return play


def sign_in(forwarded: str, login: str = "alice", password: str = PASSWORD) -> Any:
    """Sign in by way of the proxy."""
    visitor = Client(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=forwarded, HTTP_X_FORWARDED_PROTO="https")
    return visitor.post(reverse("account_login"), {"login": login, "password": password})


@pytest.mark.parametrize(
    ("environment", "forwarded", "address"),
    [
        ({"BEHIND_PROXY": "1"}, CUSTOMER, CUSTOMER),
        ({"BEHIND_PROXY": "1"}, f"203.0.113.66, {CUSTOMER}", CUSTOMER),
        ({"BEHIND_PROXY": "1", "TRUSTED_PROXIES": "2"}, f"203.0.113.66, {CUSTOMER}, 10.0.0.2", CUSTOMER),
        ({}, CUSTOMER, PROXY),
        ({"TRUSTED_PROXIES": "2"}, f"{CUSTOMER}, 10.0.0.2", PROXY),
    ],
    ids=["one proxy", "a made-up entry", "two proxies", "no proxy", "a number without a proxy"],
)
def test_the_sign_in_history_holds_the_address_that_can_be_believed(
    alice: User, behind: Any, environment: dict[str, str], forwarded: str, address: str
):
    behind(**environment)

    assert sign_in(forwarded).status_code == 302
    assert AccessEvent.objects.get(kind="sign_in").ip == address


def test_each_customer_behind_the_proxy_has_a_limit_of_their_own(alice: User, behind: Any):
    behind(BEHIND_PROXY="1")

    tries = [sign_in(CUSTOMER, f"nobody{n}", "wrong") for n in range(11)]
    assert "too many attempts" in tries[-1].content.decode()
    assert sign_in("198.51.100.8").status_code == 302


@pytest.mark.parametrize("environment", [{}, {"BEHIND_PROXY": "1"}], ids=["no proxy", "one proxy"])
def test_a_made_up_entry_does_not_get_around_the_limit_of_the_api(behind: Any, environment: dict[str, str]):
    behind(**environment)
    cache.clear()

    for number in range(31):
        visitor = Client(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, {CUSTOMER}")
        answer = visitor.get(reverse("api:schema"))
    assert answer.status_code == 429
