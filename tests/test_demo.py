"""The demo data: made by the portal's own acts, one customer for each thing that can stop a deletion."""

from __future__ import annotations

import datetime as dt
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts import factors, roles
from accounts.datamap import governed
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Session, State, User
from accounts.signing_in import find
from chicagocloud import demo
from retention import closing, plans, purge
from retention.models import Hold

pytestmark = pytest.mark.usefixtures("committed")


def loaded(*options: str) -> str:
    output = StringIO()
    call_command("load_demo", *options, stdout=output)
    return output.getvalue()


def test_everybody_in_the_table_signs_in_and_a_second_call_adds_nothing():
    first = loaded()
    people, accounts = User.objects.count(), Account.objects.count()
    assert loaded() == first
    assert (User.objects.count(), Account.objects.count()) == (people, accounts)

    lines = [line.split("|") for line in first.splitlines() if "|" in line]
    assert [cell.strip() for cell in lines[0]] == ["who", "sign-in", "password"]
    assert len(lines) == 1 + 5 + 1 + len(roles.Role)
    # The limit of sign-ins from one address has nothing to do with it.
    for number, (_who, name, password) in enumerate(lines[1:]):
        visitor = Client(REMOTE_ADDR=f"203.0.113.{number + 1}")
        typed = {"login": name.strip(), "password": password.strip()}
        assert visitor.post(reverse("account_login"), typed).status_code == 302
        user = find(name.strip())
        if user.is_staff:
            given = visitor.post(reverse("mfa_authenticate"), {"code": factors.present_code(user)})
            assert given.status_code == 302
            assert visitor.get(reverse("admin:index")).status_code == 200
        assert Session.objects.filter(user=user.pk).exists()


def test_one_member_of_staff_has_each_role():
    loaded()

    for role in roles.Role:
        assert roles.roles_of(find(role.value.replace("_", "-"))) == {role}


def test_each_customer_has_every_kind_of_data():
    loaded()

    for customer in demo.CUSTOMERS:
        account = find(customer.username).account
        plan = plans.plan(account)
        empty = [line.category for line in plan.lines if not line.records]
        assert empty == []
        assert len(plan.stops) == 3
    assert len(governed()) > 10


def test_what_stands_in_the_way_is_what_the_table_says():
    loaded()

    told = {c.username: [b.kind for b in plans.plan(find(c.username).account).blockers] for c in demo.CUSTOMERS}
    assert told == {"dana": [], "tomas": ["hold"] * 2, "una": [], "wei": ["notice", "dispute"], "ivo": ["invoice"]}


def test_only_the_free_customer_is_erased():
    loaded()
    month_ago = timezone.now() - dt.timedelta(days=31)
    owners = [find(customer.username) for customer in demo.CUSTOMERS]
    for user in owners:
        closing.close(user.account_id, by=user, submission=uuid7(), at=month_ago)

    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))

    states = [Account.objects.get(pk=user.account_id).state for user in owners]
    assert states == [State.ERASED] + [State.CLOSED] * 4
    assert Hold.objects.filter(told_at=None).count() == 1


def test_a_later_start_tells_whose_sign_in_has_ended_and_makes_nobody():
    before = loaded()
    assert loaded("--kept") == before
    dana = find("dana")
    closing.close(dana.account_id, by=dana, submission=uuid7(), at=timezone.now() - dt.timedelta(days=31))
    purge.ring()

    people = User.objects.count()
    rows = [line.split(" | ") for line in loaded("--kept").splitlines() if " | " in line]
    assert [row[1].strip() for row in rows if row[2] == "(sign-in has ended)"] == ["dana", "milo"]
    assert User.objects.count() == people


def test_outside_a_trial_nothing_is_loaded():
    for options in ([], ["--kept"]):
        with override_settings(TRIAL=False), pytest.raises(CommandError, match="trial only"):
            loaded(*options)

    assert not User.objects.exists()
