"""Reports come in a thousand a minute, and a case of a hundred thousand opens at once (P17)."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg
import pytest
from django.contrib import admin
from django.utils import timezone

from accounts import assigning
from accounts.models import User
from disclosures.models import AbuseCase, AbuseReport
from tests.cast import DAY, make_staff, run_service
from tests.test_reporting import ADDRESS, mail, take
from tests.visiting import signed_in, sql

# Alone on the machine, like everything that is timed.
pytestmark = [pytest.mark.race, pytest.mark.usefixtures("committed")]
MANY = 100_000
MOST_SECONDS, MOST_QUERIES, ROUNDS = 0.3, 25, 5
COPIES = """
    INSERT INTO disclosures_abusereport
    SELECT (jsonb_populate_record(r, jsonb_build_object(
        'id', gen_random_uuid(), 'received_at', r.received_at - n * interval '1 second', 'is_repeat', n %% 2 = 0))).*
      FROM disclosures_abusereport r, generate_series(1, %s) n WHERE r.id = %s
"""


def hold_address(user: User) -> None:
    service = run_service(user, at=timezone.now() - 9 * DAY)
    assigning.assign(service.pk, ADDRESS, by="system", at=timezone.now() - 8 * DAY)


def times_of(count: int) -> list[float]:
    """Take so many mails in, one after the other; return how long each took."""
    found = []
    for number in range(count):
        raw = mail(number=number, sender=f"desk{number % 50}@reporter.example")
        began = time.perf_counter()
        take(raw)
        found.append(time.perf_counter() - began)
    return found


def judged(found: list[float], count: int) -> None:
    a_minute, p99 = 60 * count / sum(found), statistics.quantiles(found, n=100)[98]
    print(
        f"{count} mails: {a_minute:.0f} a minute, p50 {statistics.median(found) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )
    assert AbuseReport.objects.count() == count and AbuseCase.objects.count() == 1
    assert a_minute > 1_000 and p99 < 1, (a_minute, p99)


def test_reports_come_in_fast_enough(alice: User) -> None:
    hold_address(alice)
    judged(times_of(200), 200)


@pytest.mark.stress
def test_a_thousand_reports_come_in_fast_enough(alice: User) -> None:
    hold_address(alice)
    judged(times_of(1_000), 1_000)


def test_a_case_of_a_hundred_thousand_reports_opens_at_once(owner: psycopg.Connection[Any], alice: User) -> None:
    hold_address(alice)
    taken = take(mail())
    owner.execute(COPIES, [MANY, taken.report.pk])
    owner.execute("VACUUM ANALYZE disclosures_abusereport")
    room: Any = admin.site.get_model_admin(AbuseCase)
    desk = signed_in(make_staff("dora", "abuse_desk"))

    for page in (room.url_of(taken.case), room.list_url()):
        with sql() as asked:
            assert desk.get(page).status_code == 200
        found = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            desk.get(page)
            found.append(time.perf_counter() - began)
        print(f"{page}: {statistics.median(found) * 1000:.0f} ms, {len(asked)} queries")
        assert statistics.median(found) < MOST_SECONDS, found
        assert 3 < len(asked) <= MOST_QUERIES, asked
