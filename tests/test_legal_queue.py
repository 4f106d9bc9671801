"""The register of a hundred thousand legal requests opens at once (pages.md, gate 6)."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg
import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from disclosures.models import LegalRequest
from tests.cast import make_staff
from tests.many_requests import make_requests
from tests.test_legal_admin import MOST_QUERIES
from tests.visiting import signed_in, sql

# Alone on the machine, like everything that is timed.
pytestmark = [pytest.mark.race, pytest.mark.usefixtures("committed")]
MANY = 100_000
MOST_SECONDS = 0.3
ROUNDS = 5
LIST = "admin:disclosures_legalrequest_changelist"
QUERIES = ("", "?p=1000", "?standing=overdue", "?standing=sealed", "?standing=all", "?whose=mine", "?place=abroad")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


def took(client: Client, address: str) -> tuple[float, int]:
    """Return the median time of some visits, and the queries of one."""
    with sql() as found:
        assert client.get(address).status_code == 200
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(address)
        times.append(time.perf_counter() - began)
    return statistics.median(times), len(found)


def test_a_hundred_thousand_requests_open_at_once(
    owner: psycopg.Connection[Any], alice: User, bob: User, lena: User
) -> None:
    assert alice.account is not None
    staff = [lena, *(make_staff(f"staff-{number}", "legal") for number in range(30))]
    model = make_requests(owner, MANY, [alice.account], [user.pk for user in staff])
    assert LegalRequest.objects.count() == MANY + 1
    client = signed_in(lena)

    pages = {query or "open": f"{reverse(LIST)}{query}" for query in QUERIES}
    pages |= {"record": reverse("admin:disclosures_legalrequest_change", args=[model.pk]), "front page": "/admin/"}
    found = {name: took(client, address) for name, address in pages.items()}
    print({name: f"{seconds * 1000:.0f} ms, {queries} queries" for name, (seconds, queries) in found.items()})
    lists = {name: found[name] for name in found if name not in {"record", "front page"}}
    assert max(seconds for seconds, _ in lists.values()) < MOST_SECONDS, found
    assert 5 < max(queries for _, queries in lists.values()) <= MOST_QUERIES, found
