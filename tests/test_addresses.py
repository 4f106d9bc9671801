"""Addresses over time: assigning, ending, who held what when, and that no two hold one address at one moment."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import assigning
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import IpAssignment, Service, User
from accounts.safeguards.models import LedgerEntry
from retention import cancelling, closing, placing, purge, tasks
from tests.cast import DAY, make_customer, run_service

pytestmark = pytest.mark.usefixtures("committed")

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TICK = dt.timedelta(microseconds=1)
BY = "token:test"


@pytest.fixture
def service(alice: User) -> Service:
    return run_service(alice, at=NOON - DAY)


@pytest.fixture
def other(bob: User) -> Service:
    return run_service(bob, at=NOON - DAY)


def holders(address: str, at: dt.datetime) -> list[UUID]:
    return [holding.service for holding in assigning.who_held(address, at)]


def test_an_assignment_counts_from_its_first_moment_and_no_longer_at_its_last(service: Service):
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    assigning.end(row.pk, by=BY, at=NOON + HOUR)

    assert holders("192.0.2.7", NOON - TICK) == []
    assert holders("192.0.2.7", NOON) == holders("192.0.2.7", NOON + HOUR - TICK) == [service.pk]
    assert holders("192.0.2.7", NOON + HOUR) == []


def test_who_held_names_assignment_account_and_service(service: Service, alice: User):
    row = assigning.assign(service.pk, "2001:DB8::/64", by=BY, at=NOON)

    [found] = assigning.who_held("2001:db8::1234", NOON)
    assert (found.assignment, found.account, found.service) == (row.pk, alice.account_id, service.pk)
    assert (found.address, found.account_number) == ("2001:db8::/64", alice.account.number)


def test_an_address_goes_to_the_next_one_at_the_very_moment_it_ends(service: Service, other: Service):
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    assigning.end(row.pk, by=BY, at=NOON + HOUR)
    assigning.assign(other.pk, "192.0.2.7", by=BY, at=NOON + HOUR)

    assert holders("192.0.2.7", NOON + HOUR - TICK) == [service.pk]
    assert holders("192.0.2.7", NOON + HOUR) == [other.pk]


def test_a_network_finds_what_is_inside_and_what_is_around(service: Service, other: Service):
    assigning.assign(service.pk, "192.0.2.0/26", by=BY, at=NOON)
    assigning.assign(other.pk, "192.0.2.200", by=BY, at=NOON)

    assert holders("192.0.2.0/24", NOON) == [service.pk, other.pk]
    assert holders("192.0.2.16/28", NOON) == [service.pk]
    assert holders("192.0.2.128/26", NOON) == []
    assert len(assigning.who_held("192.0.2.0/24", NOON, most=1)) == 1


@pytest.mark.parametrize("wanted", ["192.0.2.7", "192.0.2.0/28", "192.0.0.0/16"])
def test_an_address_held_by_another_is_refused_and_the_refusal_names_nobody(
    wanted: str, service: Service, other: Service, bob: User
):
    assigning.assign(other.pk, "192.0.2.7", by=BY, at=NOON)

    with pytest.raises(NotActionable) as refusal:
        assigning.assign(service.pk, wanted, by=BY, at=NOON + HOUR)
    told = str(refusal.value)
    assert not {bob.account.number, str(other.pk), str(bob.account_id), "192.0.2.7"} & set(told.split()), told
    assert refusal.value.__cause__ is None and bob.account.number not in told


def test_a_repeat_is_the_same_assignment(service: Service):
    first = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)

    assert assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON + HOUR) == first
    assert IpAssignment.objects.count() == LedgerEntry.objects.filter(action="address.assigned").count() == 1
    ended = assigning.end(first.pk, by=BY, at=NOON + HOUR)
    assert assigning.end(first.pk, by=BY, at=NOON + HOUR) == ended
    with pytest.raises(NotActionable, match="has ended already"):
        assigning.end(first.pk, by=BY, at=NOON + 2 * HOUR)
    assert LedgerEntry.objects.filter(action="address.ended").count() == 1


def test_the_ledger_never_holds_the_address(service: Service):
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    assigning.end(row.pk, by=BY, at=NOON + HOUR)

    assert "192.0.2" not in "".join(LedgerEntry.objects.values_list("body", flat=True))


# What is no address, and what is none for a customer.
WRONG = {
    "": "no IP address",
    "nonsense": "no IP address",
    "192.0.2": "no IP address",
    "192.0.2.256": "no IP address",
    "192.0.2.07": "no IP address",
    "\uff11\uff19\uff12.0.2.7": "no IP address",
    "192.0.2.7/33": "no IP address",
    "192.0.2.7/255.0.255.0": "no IP address",
    "192.0.2.7 192.0.2.8": "no IP address",
    "2001:db8::" + "0" * 60: "no IP address",
    "192.0.2.7/24": "bits set after its prefix",
    "2001:db8::1/64": "bits set after its prefix",
    "fe80::1%eth0": "Leave out the zone",
    "::ffff:192.0.2.7": "Write it as IPv4",
    "::ffff:192.0.2.0/120": "Write it as IPv4",
    "0.0.0.0/0": "too wide",
    "::/0": "too wide",
    "192.0.0.0/15": "too wide",
    "2001::/16": "too wide",
    "0.0.0.0": "no host",  # noqa: S104 - nothing binds to it
    "127.0.0.1": "no host",
    "224.0.0.1": "no host",
    "255.255.255.255": "no host",
    "169.254.1.1": "no host",
    "ff02::1": "no host",
    "fe80::1": "no host",
    "::1": "no host",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_nobody_can_be_assigned_is_refused_with_the_way_to_write_it(text: str, service: Service):
    with pytest.raises(ValidationError, match=WRONG[text]) as refusal:
        assigning.assign(service.pk, text, by=BY, at=NOON)
    assert not text or text not in str(refusal.value)
    assert not IpAssignment.objects.exists()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (" 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
    ],
)
def test_an_address_has_one_spelling(text: str, stored: str, service: Service):
    assigning.assign(service.pk, text, by=BY, at=NOON)

    assert IpAssignment.objects.get().address == stored


@pytest.mark.parametrize("at", [timezone.now() + DAY, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)])
def test_a_moment_that_cannot_be_is_refused(at: dt.datetime, service: Service):
    with pytest.raises(ValidationError, match="has passed"):
        assigning.assign(service.pk, "192.0.2.7", by=BY, at=at)
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    with pytest.raises(ValidationError, match="has passed"):
        assigning.end(row.pk, by=BY, at=at)
    with pytest.raises(ValidationError, match="ends after it began"):
        assigning.end(row.pk, by=BY, at=NOON)


def test_a_closed_account_and_a_stopped_service_are_given_no_addresses(service: Service, alice: User):
    stopped = run_service(alice)
    Service.objects.filter(pk=stopped.pk).update(stops_at=timezone.now() - HOUR)
    with pytest.raises(NotActionable, match="has stopped"):
        assigning.assign(stopped.pk, "192.0.2.7", by=BY)
    closing.close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="closed"):
        assigning.assign(service.pk, "192.0.2.7", by=BY)


def test_an_erased_customer_holds_nothing_and_the_address_is_free(service: Service, other: Service, alice: User):
    assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()

    assert holders("192.0.2.7", NOON + HOUR) == []
    assigning.assign(other.pk, "192.0.2.7", by=BY, at=NOON)


# What outlived its service.


def test_a_stopped_service_gives_its_address_back_and_who_held_knows_it_still(service: Service, other: Service):
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    Service.objects.filter(pk=service.pk).update(stops_at=NOON + HOUR)
    with pytest.raises(NotActionable, match="assigned already"):
        assigning.assign(other.pk, "192.0.2.7", by=BY, at=NOON + HOUR)

    tasks.sweep()

    assert holders("192.0.2.7", NOON + HOUR - TICK) == [service.pk]
    assigning.assign(other.pk, "192.0.2.7", by=BY, at=NOON + HOUR)
    assert holders("192.0.2.7", NOON + HOUR) == [other.pk]
    [entry] = LedgerEntry.objects.filter(action="address.ended")
    assert (entry.actor, entry.subject) == ("system", service.account_id) and str(row.pk) in entry.body
    assert assigning.end_outlived() == 0


def test_a_service_that_runs_keeps_its_address(service: Service):
    """Negative control of the others: it is the end of the service that ends it."""
    assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    Service.objects.filter(pk=service.pk).update(stops_at=timezone.now() + HOUR)

    assert assigning.end_outlived() == 0
    assert holders("192.0.2.7", timezone.now()) == [service.pk]


def test_until_the_due_date_who_cancels_has_the_addresses_back(service: Service, alice: User):
    assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    request = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    service.refresh_from_db()
    assert service.closing_stops_at <= timezone.now()

    assert assigning.end_outlived() == 0
    assert assigning.end_outlived(request.due_at - TICK) == 0
    cancelling.cancel(request.pk, by=alice)
    assert holders("192.0.2.7", timezone.now()) == [service.pk]
    assert assigning.end_outlived(request.due_at) == 0


def test_a_hold_keeps_the_history_and_gives_the_address_free(service: Service, other: Service, alice: User):
    row = assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    placing.place(alice.account_id, "legal", by="staff:test", matter="a sealed matter")
    request = closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 40 * DAY).request

    purge.ring()

    row.refresh_from_db()
    assert row.ended_at == request.due_at
    assert holders("192.0.2.7", NOON) == [service.pk], "what a hold covers is there to be found"
    assigning.assign(other.pk, "192.0.2.7", by=BY, at=request.due_at)


@pytest.mark.parametrize("sealed", [False, True], ids=["free", "held"])
def test_each_deletion_that_is_due_leaves_the_same_trace_of_its_addresses(sealed: bool, service: Service, alice: User):
    assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
    if sealed:
        placing.place(alice.account_id, "legal", by="staff:test", matter="a sealed matter")
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 40 * DAY)
    purge.ring()

    assert LedgerEntry.objects.filter(action="address.ended", subject=alice.account_id).count() == 1
    assert IpAssignment.objects.exists() == sealed


# Around the Python.

INSERT = """
    INSERT INTO accounts_ipassignment (id, account_id, service, address, assigned_at, ended_at)
    VALUES (gen_random_uuid(), %s, %s, %s, %s, %s)
"""


def test_raw_sql_gives_no_address_to_two_customers_at_one_moment(
    service: Service, other: Service, runtime: psycopg.Connection[Any], owner: psycopg.Connection[Any]
):
    runtime.execute(INSERT, [service.account_id, service.pk, "192.0.2.0/28", NOON, None])
    for connection in (runtime, owner):
        for address, start, stop in (
            ("192.0.2.7", NOON + HOUR, None),
            ("192.0.2.7", NOON - HOUR, NOON + TICK),
            ("192.0.0.0/16", NOON, NOON + HOUR),
        ):
            with pytest.raises(psycopg.errors.ExclusionViolation):
                connection.execute(INSERT, [other.account_id, other.pk, address, start, stop])
    # The control: side by side in time or in the address they may.
    runtime.execute(INSERT, [other.account_id, other.pk, "192.0.2.7", NOON - HOUR, NOON])
    runtime.execute(INSERT, [other.account_id, other.pk, "192.0.2.16", NOON, None])
    with pytest.raises(psycopg.errors.ExclusionViolation):
        runtime.execute("UPDATE accounts_ipassignment SET ended_at = NULL WHERE ended_at = %s", [NOON])
    with pytest.raises(psycopg.errors.CheckViolation):
        runtime.execute(INSERT, [other.account_id, other.pk, "192.0.2.99", NOON, NOON])


def test_without_the_constraint_two_would_hold_one(
    service: Service, other: Service, owner: psycopg.Connection[Any], runtime: psycopg.Connection[Any]
):
    """Negative control: nothing but the constraint refuses it."""
    owner.execute("ALTER TABLE accounts_ipassignment DROP CONSTRAINT ip_assignment_has_one_holder_at_a_time")
    for one in (service, other):
        runtime.execute(INSERT, [one.account_id, one.pk, "192.0.2.7", NOON, None])

    assert len(holders("192.0.2.7", NOON)) == 2


@pytest.mark.race
def test_of_many_who_want_one_address_at_once_one_gets_it():
    services = [run_service(make_customer(f"racer-{number}"), at=NOON - DAY) for number in range(8)]

    def attempt(service: Service) -> bool:
        try:
            assigning.assign(service.pk, "192.0.2.7", by=BY, at=NOON)
        except NotActionable:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, services)) == 1
    assert len(holders("192.0.2.7", NOON)) == 1


# Against a model that a child could check.


@dataclass
class Span:
    """One assignment in the model."""

    net: Any
    start: int
    stop: int | None
    service: int

    def covers(self, hour: int) -> bool:
        return self.start <= hour and (self.stop is None or hour < self.stop)

    def meets(self, net: Any, start: int, stop: int | None) -> bool:
        apart = (self.stop is not None and self.stop <= start) or (stop is not None and stop <= self.start)
        return self.net.overlaps(net) and not apart


BLOCKS: Iterator[int] = itertools.count(1)
HOURS = st.integers(0, 6)
STEPS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(29, 32), HOURS, st.none() | HOURS, st.integers(0, 1)),
    min_size=1,
    max_size=12,
)


def model_of(block: int, steps: list[Any], services: list[Service], six: bool) -> list[Span]:
    """Carry the steps out in the database and in the model; assert that both refuse the same."""
    spans: list[Span] = []
    for place, prefix, start, length, who in steps:
        text = (
            f"2001:db8:{block:x}::{place:x}/{prefix + 96}" if six else f"10.{block >> 8}.{block & 255}.{place}/{prefix}"
        )
        net = ip_network(text, strict=False)
        stop = None if length is None else start + 1 + length
        expected = not any(span.meets(net, start, stop) for span in spans)
        row = IpAssignment(
            account_id=services[who].account_id,
            service=services[who].pk,
            address=assigning.text_of(net),
            assigned_at=NOON + start * HOUR,
            ended_at=None if stop is None else NOON + stop * HOUR,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
            taken = True
        except IntegrityError:
            taken = False
        assert taken == expected, (text, start, stop)
        if taken:
            spans.append(Span(net, start, stop, who))
    return spans


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_who_held_answers_as_a_simple_model_does(six: bool, service: Service, other: Service):
    services = [service, other]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(STEPS)
    def check(steps: list[Any]) -> None:
        block = next(BLOCKS)
        spans = model_of(block, steps, services, six)
        for place, hour, off in itertools.product(range(8), (0, 1, 3, 6, 13), (-TICK, 0 * TICK, TICK)):
            address = f"2001:db8:{block:x}::{place:x}" if six else f"10.{block >> 8}.{block & 255}.{place}"
            before = off < 0 * TICK
            expected = [
                services[span.service].pk
                for span in spans
                if ip_network(address).overlaps(span.net) and span.covers(hour - 1 if before else hour)
            ]
            assert holders(address, NOON + hour * HOUR + off) == expected

    check()


def test_the_acts_refuse_as_the_model_does(service: Service, other: Service):
    services = [service, other]

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(st.integers(0, 3), HOURS, st.integers(0, 1), st.booleans()), max_size=10))
    def check(steps: list[Any]) -> None:
        block = next(BLOCKS)
        open_rows: dict[int, tuple[UUID, int, int]] = {}
        ended: list[Span] = []
        for place, hour, who, ends in steps:
            address = f"10.{block >> 8}.{block & 255}.{place}"
            net, held = ip_network(address), open_rows.get(place)
            if ends and held:
                pk, start, holder = held
                if hour > start:
                    assigning.end(pk, by=BY, at=NOON + hour * HOUR)
                    ended.append(Span(net, start, hour, holder))
                    del open_rows[place]
            else:
                same = held is not None and held[2] == who and held[1] <= hour
                free = held is None and not any(span.meets(net, hour, None) for span in ended)
                try:
                    row = assigning.assign(services[who].pk, address, by=BY, at=NOON + hour * HOUR)
                except NotActionable:
                    assert not (same or free)
                else:
                    assert same or free
                    open_rows.setdefault(place, (row.pk, hour, who))

    check()
