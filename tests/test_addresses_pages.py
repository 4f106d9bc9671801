"""Services for customers, and for staff the question who held an address: right, private, recorded."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import assigning, suspending
from accounts.models import IpAssignment, Service, Suspension, User
from accounts.safeguards.models import LedgerEntry
from disclosures import responding
from disclosures.models import CaseKind
from tests import abuse
from tests.cast import DAY, give_address, make_staff, run_service
from tests.visiting import signed_in

pytestmark = pytest.mark.usefixtures("committed")
MOST_QUERIES = 12


def page_of(user: User, path: str) -> Any:
    client = signed_in(user)
    return client.get(path)


def words(response: Any) -> str:
    return " ".join(html.unescape(response.content.decode()).split())


def own(service: Service) -> str:
    return reverse("accounts:service", args=[service.pk])


def test_an_account_without_services_says_what_would_be_there(alice: User):
    assert "No services yet." in words(page_of(alice, reverse("accounts:services")))


def test_the_list_shows_what_runs_until_when_and_the_addresses_now(alice: User):
    service = run_service(alice, term=365 * DAY)
    for number in range(5):
        give_address(service, f"192.0.2.{number}", at=timezone.now() - number * DAY)
    IpAssignment.objects.filter(address="192.0.2.4").update(ended_at=timezone.now())
    shown = words(page_of(alice, reverse("accounts:services")))

    assert service.name in shown and "web-2" in shown and "Minimum term to" in shown and "Paid to" in shown
    assert [f"192.0.2.{number}<" in shown for number in range(5)] == [True, True, True, False, False]
    assert "and 1 more" in shown and "Running" in shown


def test_a_service_shows_its_addresses_over_time(alice: User):
    service = run_service(alice)
    row = give_address(service, "192.0.2.7", at=timezone.now() - 3 * DAY)
    assigning.end(row.pk, by="token:x", at=timezone.now() - DAY)
    give_address(service, "2001:db8::/64")
    shown = words(page_of(alice, own(service)))

    assert shown.index("2001:db8::/64") < shown.index("192.0.2.7")
    assert "Now" in shown and "Addresses over time" in shown


def test_a_suspension_is_shown_with_its_reason_and_the_way_out(alice: User):
    service, free = run_service(alice), run_service(alice)
    placed = suspending.place(alice.account_id, Suspension.Ground.BILLING, by="system", service_id=service.pk)

    shown = words(page_of(alice, own(service)))
    assert "a payment that is missing" in shown and "Suspended" not in words(page_of(alice, own(free)))
    assert words(page_of(alice, reverse("accounts:services"))).count("Suspended<") == 1
    suspending.lift(placed.pk, by="system")
    assert "Suspended" not in words(page_of(alice, own(service)))


def test_a_suspension_of_the_abuse_desk_is_shown_until_both_acts_are_done(alice: User):
    notice = abuse.silent(alice, make_staff("dora", "abuse_desk"), CaseKind.OTHER)
    service, free = Service.objects.get(pk=notice.service), run_service(alice)

    assert "a report about" in words(page_of(alice, own(service)))
    assert "Suspended" not in words(page_of(alice, own(free)))
    responding.acknowledge(notice.pk, by=alice)
    responding.fix(notice.pk, {item.pk: "Removed." for item in notice.items.all()}, by=alice)
    assert "Suspended" not in words(page_of(alice, own(service)))


def test_a_service_of_somebody_else_is_not_there(alice: User, bob: User):
    service = run_service(bob)
    give_address(service, "192.0.2.7")

    assert (
        page_of(alice, own(service)).status_code
        == page_of(alice, reverse("accounts:service", args=[uuid4()])).status_code
    )
    assert page_of(alice, own(service)).status_code == 404
    assert "192.0.2.7" not in words(page_of(alice, reverse("accounts:services")))


def test_many_services_and_addresses_cost_no_more_queries(alice: User):
    services = [run_service(alice, at=timezone.now() - DAY) for _ in range(40)]
    IpAssignment.objects.bulk_create(
        IpAssignment(
            account_id=alice.account_id,
            service=services[number % 40].pk,
            address=f"10.{number >> 8}.{number & 255}.0/24",
            assigned_at=timezone.now() - DAY,
        )
        for number in range(4000)
    )
    client = signed_in(alice)
    for path in (reverse("accounts:services"), own(services[0])):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            shown = client.get(path)
        assert shown.status_code == 200 and len(asked) <= MOST_QUERIES, [one["sql"] for one in asked]
        assert len(shown.content) < 60_000


# Staff.


WHO = "/admin/accounts/ipassignment/who-held/"


def ask(user: User, address: str, when: str) -> Any:
    client = signed_in(user)
    return client.post(WHO, {"address": address, "when": when})


@pytest.mark.parametrize("role", ["abuse_desk", "legal"])
def test_staff_find_who_held_an_address_and_the_ledger_says_so(role: str, alice: User, bob: User):
    noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    service = run_service(alice, at=noon - DAY)
    row = assigning.assign(service.pk, "192.0.2.0/28", by="token:x", at=noon)
    staff = make_staff("ann", role)

    answer = ask(staff, "192.0.2.7", "2026-03-01 07:00:00-05:00")
    assert answer.status_code == 200 and alice.account.number in words(answer)
    assert "Nobody held" in words(ask(staff, "192.0.2.7", "2026-03-01 11:59:59+00:00"))
    looks = LedgerEntry.objects.filter(action="address.looked_up", actor=staff.actor)
    assert looks.count() == 2
    [view] = LedgerEntry.objects.filter(action="viewed", actor=staff.actor)
    assert view.subject == alice.account_id and str(row.pk) in view.body and role in view.body
    assert "192.0.2" not in "".join(LedgerEntry.objects.values_list("body", flat=True))


@pytest.mark.parametrize(
    ("address", "when", "told"),
    [
        ("192.0.2.7/24", "2026-03-01 12:00", "bits set after its prefix"),
        ("nobody", "2026-03-01 12:00", "This is no IP address or network."),
        ("192.0.2.7", "yesterday", "Write day and time like"),
        ("192.0.2.7", "2026-03-08 02:30", "The clocks change on this day."),
        ("", "", "Enter this: address or network."),
    ],
)
def test_what_cannot_be_asked_is_said(address: str, when: str, told: str):
    answer = ask(make_staff("ann", "abuse_desk"), address, when)

    assert answer.status_code == 422 and told in words(answer)
    assert not LedgerEntry.objects.filter(action="address.looked_up").exists()


@pytest.mark.parametrize("role", ["support", "billing", "auditor", "administrator"])
def test_other_roles_may_not_ask(role: str):
    assert ask(make_staff("ann", role), "192.0.2.7", "2026-03-01 12:00").status_code == 403


def test_the_service_page_of_staff_shows_addresses_and_suspensions_by_role(alice: User):
    service = run_service(alice)
    give_address(service, "192.0.2.7")
    suspending.place(alice.account_id, Suspension.Ground.BILLING, by="system")
    path = reverse("admin:accounts_service_change", args=[service.pk])

    desk, billing = (
        words(page_of(make_staff(role.replace("_", "-"), role), path)) for role in ("abuse_desk", "billing")
    )
    assert "192.0.2.7" in desk and "the whole account" in desk
    assert "192.0.2.7" not in billing and "the whole account" in billing
