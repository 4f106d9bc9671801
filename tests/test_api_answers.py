"""What every answer of the API has: problems as problems, limits, no cache, endings, and no belief in foreign hosts."""

from __future__ import annotations

import datetime as dt
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from django.core.exceptions import DisallowedHost
from django.utils import timezone

from accounts import api_answers, api_limits
from accounts.models import User
from tests.calling import call, calm, own_token, system_token
from tests.servers import Portal

pytestmark = pytest.mark.usefixtures("committed")

ME = "/api/v1/me/"
PROBLEM = "application/problem+json"


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
    found: dict[str, Any] = answer.json()
    assert found["status"] == status and found["title"] and found["type"] == "about:blank"
    assert "no-store" in answer["Cache-Control"]
    return found


# Problems.


def test_every_refusal_is_a_problem(alice: User):
    own, system = own_token(alice), system_token("accounts:write")
    problem(call(ME), 401)
    problem(call(ME, system), 403)
    problem(call("/api/v1/nothing/", own), 404)
    problem(call("/api/v1/data/nothing/", own), 404)
    assert problem(call(ME, own, "POST", {}), 405) and call(ME, own, "DELETE")["Allow"] == "GET, HEAD, OPTIONS"
    problem(call(ME, own, headers={"Accept": "text/html"}), 406)
    problem(call("/api/v1/accounts/", system, "POST", "x=1", content_type="text/plain"), 415)
    problem(call("/api/v1/accounts/", system, "POST", '"' + "x" * 70_000 + '"'), 413)
    problem(call("/api/v1/accounts/", system, "POST", "{"), 400)
    problem(call("/api/v1/accounts/", system, "POST", {"name": ""}), 422)
    problem(call(ME, own, HTTP_HOST="evil.example"), 400)


def test_what_nobody_foresaw_is_a_problem_that_names_no_cause(alice: User, monkeypatch: pytest.MonkeyPatch):
    token = own_token(alice)

    def breaks(*args: Any) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr("accounts.api_me.ReadMe.get", breaks)
    answer = call(ME, token)

    assert "canary" not in str(problem(answer, 500))


def test_there_is_no_page_to_click_on(alice: User):
    answer = call(ME, own_token(alice), headers={"Accept": "text/html,*/*;q=0.1"})

    assert answer["Content-Type"] == "application/json"


# Methods.


def test_head_is_get_without_its_body(alice: User):
    token = own_token(alice)
    head, get = call(ME, token, "HEAD"), call(ME, token)

    assert (head.status_code, head.content) == (200, b"") and get.content
    assert {name for name, _ in head.items()} == {name for name, _ in get.items()}


def test_options_says_the_methods_and_nothing_else(alice: User):
    answer = call(ME, own_token(alice), "OPTIONS")

    assert (answer.status_code, answer.content, answer["Allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    assert call(ME, None, "OPTIONS").status_code == 401


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "X" * 200])
def test_another_method_is_405_and_names_those_there_are(alice: User, method: str):
    assert problem(call(ME, own_token(alice), method), 405)


# Limits.


def limit(settings: Any, **rates: str) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"anon": "30/min", "token": "600/min", **rates},
    }


def test_each_token_has_a_limit_of_its_own(alice: User, settings: Any):
    limit(settings, token="3/min")
    one, other = own_token(alice), own_token(alice)

    answers = [call(ME, one) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert problem(answers[3], 429) and 1 <= int(answers[3]["Retry-After"]) <= 60
    assert [answer["RateLimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0]["RateLimit-Policy"] == '"token";q=3;w=60'
    assert call(ME, other).status_code == 200


def test_the_limit_ends_with_its_minute(alice: User, settings: Any):
    limit(settings, token="1/min")
    token = own_token(alice)
    assert [call(ME, token).status_code for _ in range(2)] == [200, 429]
    calm()
    assert call(ME, token).status_code == 200


def test_an_act_over_the_limit_is_not_carried_out(settings: Any):
    from accounts.models import Account

    limit(settings, token="1/min")
    token = system_token("accounts:write", "accounts:read")
    call("/api/v1/accounts/999999999/", token)

    problem(call("/api/v1/accounts/", token, "POST", {"name": "Z", "email": "z@z.example"}), 429)
    assert not Account.objects.exists()


@pytest.mark.parametrize("token", [None, "ccp_wrong", "ccu_wrong"])
def test_strangers_are_limited_by_address_whatever_they_try(settings: Any, token: str | None):
    limit(settings, anon="2/min")

    assert [call(ME, token, REMOTE_ADDR="203.0.113.7").status_code for _ in range(4)] == [401, 401, 429, 429]
    assert call(ME, token, REMOTE_ADDR="203.0.113.8").status_code == 401
    assert call("/api/schema/", None, REMOTE_ADDR="203.0.113.7").status_code == 429


def test_one_machines_whole_network_of_ipv6_is_one_address(settings: Any):
    limit(settings, anon="1/min")

    assert call(ME, REMOTE_ADDR="2001:db8:1:1::1").status_code == 401
    assert call(ME, REMOTE_ADDR="2001:db8:1:1:ffff::2").status_code == 429
    assert call(ME, REMOTE_ADDR="2001:db8:1:2::1").status_code == 401


def test_no_address_stands_in_the_cache(settings: Any):
    call(ME, REMOTE_ADDR="203.0.113.7")
    keys = [key.decode() for key in cache._cache.get_client().keys("*")]  # type: ignore[attr-defined]

    assert keys and not any("203.0.113" in key for key in keys)


def test_a_window_that_ends_between_the_steps_is_begun_anew(monkeypatch: pytest.MonkeyPatch, rf: Any):
    monkeypatch.setattr(cache, "add", lambda *args: False)
    found = api_limits.count(api_limits.ADDRESS, "somebody", rf.get("/"))

    assert (found.made, found.is_over) == (1, False)


# Caches.


@pytest.mark.parametrize("path", [ME, "/api/v1/data/", "/api/v1/data/contact/", "/api/v1/nothing/"])
def test_nothing_personal_is_cached(alice: User, path: str):
    answer = call(path, own_token(alice))

    assert "no-store" in answer["Cache-Control"] and "private" in answer["Cache-Control"]
    assert "Authorization" in answer["Vary"] and "ETag" not in answer
    assert "Set-Cookie" not in answer


# Endings.


def test_an_operation_that_will_end_says_so(alice: User, monkeypatch: pytest.MonkeyPatch):
    token = own_token(alice)
    assert "Deprecation" not in call(ME, token) and "Sunset" not in call(ME, token)
    since, ends_at = dt.datetime(2027, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 7, 1, 12, tzinfo=dt.UTC)
    monkeypatch.setitem(api_answers.DEPRECATED, ("GET", "api:read_me"), api_answers.Ending(since, ends_at))  # type: ignore[arg-type]

    for answer in (call(ME, token), call(ME, token, "HEAD"), call(ME)):
        assert answer["Deprecation"] == f"@{int(since.timestamp())}"
        assert answer["Sunset"] == "Thu, 01 Jul 2027 12:00:00 GMT"
        assert 'rel="deprecation"' in answer["Link"] and 'rel="sunset"' in answer["Link"]
    assert "Deprecation" not in call("/api/v1/data/", token)


# Hosts.


@pytest.mark.parametrize("path", [ME, "/", "/api/schema/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost@evil.example", "localhost, evil.example", "loc\talhost", "a" * 300]
)
def test_a_foreign_host_is_400(path: str, host: str):
    assert call(path, HTTP_HOST=host).status_code == 400
    assert call(path, HTTP_X_FORWARDED_HOST=host).status_code == 400


def test_our_own_forwarded_host_is_fine_and_changes_nothing(alice: User):
    token = own_token(alice)

    assert call(ME, token, HTTP_X_FORWARDED_HOST="testserver").content == call(ME, token).content


def test_django_alone_would_let_the_forwarded_host_pass(rf: Any):
    """Negative control: the framework looks at one of the two headers."""
    request = rf.get("/", HTTP_X_FORWARDED_HOST="evil.example")
    assert request.get_host() == "testserver"
    with pytest.raises(DisallowedHost):
        rf.get("/", HTTP_HOST="evil.example").get_host()


def test_a_real_server_refuses_two_hosts_and_a_foreign_address_in_the_first_line(live_portal: Portal):
    where = urlsplit(live_portal.url)
    assert where.hostname and where.port

    def send(*lines: str) -> bytes:
        with socket.create_connection((where.hostname, where.port), timeout=20) as line:
            line.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            return line.makefile("rb").readline()

    mine = f"Host: {where.netloc}"
    assert b" 401 " in send(f"GET {ME} HTTP/1.1", mine)
    assert b" 400 " in send(f"GET {ME} HTTP/1.1", mine, "Host: evil.example")
    assert b" 400 " in send(f"GET {ME} HTTP/1.1", "Host: evil.example")
    assert b" 400 " in send(f"GET http://evil.example{ME} HTTP/1.1", "Host: evil.example")
    foreign = send(f"GET http://evil.example{ME} HTTP/1.1", mine)
    # The first line names the host (RFC 9112 3.2.2): whether it is read or refused, it opens nothing.
    assert b" 400 " in foreign or b" 401 " in foreign or b" 404 " in foreign


def test_time_is_no_way_around_the_limit(alice: User, settings: Any):
    limit(settings, token="1/min")
    token = own_token(alice)
    call(ME, token)
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=30), tick=False):
        answer = call(ME, token)
    assert answer.status_code == 429 and 1 <= int(answer["Retry-After"]) <= 31
