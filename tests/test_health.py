"""GET /health/: well when every part is, 503 when one is not, never hanging, and silent about what is held."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.safeguards.models import Heartbeat
from chicagocloud import health
from retention import closing, placing, purge
from retention.models import Hold, PurgeSwitch
from tests.cast import owe
from tests.visiting import entered

pytestmark = pytest.mark.usefixtures("committed")

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(health, "doctor", health.Doctor())
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)


@pytest.fixture
def alive() -> None:
    """A worker that beats and a purge that rings."""
    Heartbeat.beat("worker")
    Heartbeat.beat("purge")


def ask(token: str = settings.HEALTH_TOKEN):
    return Client(headers={"Authorization": f"Bearer {token}"} if token else {}).get("/health/")


def unwell() -> dict[str, str]:
    answer = ask()
    parts = {name: part["what"] for name, part in answer.json()["parts"].items() if not part["ok"]}
    assert (answer.status_code, answer.json()["status"]) == ((503, "not well") if parts else (200, "ok"))
    return parts


def test_all_is_well(alive):
    assert unwell() == {}
    assert set(ask().json()["parts"]) == {"database", "key store", "redis", "worker", "purge", "guards"}


@pytest.mark.parametrize("token", ["", "wrong", pytest.param(settings.HEALTH_TOKEN[:-1], id="one short"), "é"])
def test_without_the_token_there_are_no_details(alive, token):
    answer = ask(token)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]
    Heartbeat.objects.all().delete()
    assert (ask(token).status_code, ask(token).json()) == (503, {"status": "not well"})


def test_a_post_is_refused():
    assert Client().post("/health/").status_code == 405


@pytest.mark.parametrize("name", ["worker", "purge"])
def test_a_worker_that_fell_silent_is_not_well(alive, name):
    now = timezone.now()
    Heartbeat.beat(name, now - dt.timedelta(minutes=10))
    with time_machine.travel(now, tick=False):
        assert unwell() == {"worker": unwell()["worker"]}
        assert unwell()["worker"].startswith(f"{name}: last heartbeat 600 s ago")

    Heartbeat.objects.filter(name=name).delete()
    assert unwell() == {"worker": f"{name}: no heartbeat yet"}


def test_an_erasure_that_waits_too_long_is_not_well_unless_something_holds_it(alive, alice, bob, rita):
    for user in (alice, bob):
        closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 31 * DAY)
    placing.place(bob.account_id, Hold.Kind.LEGAL, by=rita.actor)
    purge.end_sign_in(timezone.now())

    assert unwell() == {"purge": unwell()["purge"]}
    assert "waits for 864" in unwell()["purge"]
    purge.ring()
    # What is held, told or not, is no trouble and no word of it (silence.md, S9).
    assert unwell() == {}
    assert ask().json()["parts"]["purge"]["what"] == "nothing waits"


def test_a_sealed_hold_and_an_unpaid_invoice_look_alike(alive, alice, bob, rita):
    owe(alice)
    for user in (alice, bob):
        closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 31 * DAY)
    placing.place(bob.account_id, Hold.Kind.LEGAL, by=rita.actor)
    purge.ring()

    assert ask().json()["parts"]["purge"] == {"ok": True, "what": "nothing waits"}


def test_a_purge_that_was_stopped_shows_once_something_waits(alive, alice):
    PurgeSwitch.objects.create(is_stopped=True, set_by="staff:x", set_at=timezone.now())
    assert unwell() == {}

    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    purge.ring()
    assert set(unwell()) == {"purge"}


def test_a_guard_that_was_switched_off_is_not_well(alive, owner, keys_owner):
    owner.execute("ALTER TABLE accounts_contact DISABLE TRIGGER z_guard_delete")
    assert set(unwell()) == {"guards"}

    owner.execute("ALTER TABLE accounts_contact ENABLE ALWAYS TRIGGER z_guard_delete")
    assert unwell() == {}
    keys_owner.execute("GRANT DELETE ON keys_datakey TO portal_runtime")
    assert set(unwell()) == {"guards"}


def test_redis_that_is_away_is_not_well(alive, settings):
    settings.REDIS_URL = "redis+socket:///nowhere/redis.sock?virtual_host=0"

    assert unwell() == {"redis": "ConnectionError"}


def test_a_key_file_that_is_away_is_not_well(alive, monkeypatch):
    def away(*args):
        raise OSError("no such file")

    monkeypatch.setattr(health, "provider", away)

    assert unwell() == {"key store": "OSError"}


def test_a_part_that_hangs_is_not_waited_for_and_not_asked_again(alive, monkeypatch):
    let_go, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        let_go.wait(30)
        return "late"

    monkeypatch.setitem(health.LOOKS, "redis", hang)
    monkeypatch.setattr(health, "DEADLINE", 0.5)
    began = time.monotonic()

    assert unwell() == {"redis": "no answer in time"}
    assert unwell() == {"redis": "no answer in time"}
    assert time.monotonic() - began < 10
    assert len(asked) == 1
    let_go.set()
    monkeypatch.setitem(health.LOOKS, "redis", lambda: "answers")
    time.sleep(0.1)
    assert unwell() == {}


def test_an_answer_serves_for_a_moment(alive, monkeypatch):
    monkeypatch.setattr(health, "FRESH_SECONDS", 60.0)
    assert unwell() == {}

    Heartbeat.objects.all().delete()
    assert unwell() == {}
    health.doctor.forget()
    assert set(unwell()) == {"worker"}


@pytest.mark.crash
@pytest.mark.parametrize("server", ["data", "keys"])
def test_a_database_that_is_down_is_not_well_and_a_session_does_not_matter(crash_servers, alice, server):
    Heartbeat.beat("worker")
    Heartbeat.beat("purge")
    visitor = Client()
    entered(visitor, alice)
    assert visitor.get("/health/").status_code == 200

    getattr(crash_servers.servers, server).stop_immediately()

    began = time.monotonic()
    answer = visitor.get("/health/")
    assert (answer.status_code, answer.json()) == (503, {"status": "not well"})
    assert time.monotonic() - began < 8
    broken = {name for name, part in ask().json()["parts"].items() if not part["ok"]}
    assert broken == ({"database", "worker", "purge", "guards"} if server == "data" else {"key store", "guards"})
