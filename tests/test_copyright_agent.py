"""The page of the designated agent: who it is, until when, and plainly that there is none (17 USC 512(c)(2))."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.cast import make_staff
from tests.visiting import signed_in, words

pytestmark = pytest.mark.django_db
GIVEN = {
    "name": "Ada Agent",
    "organisation": "Example Hosting LLC",
    "address": "1 Main Street\nSpringfield",
    "phone": "+1 312 555 0100",
    "email": "agent@portal.example",
    "registration": "DMCA-1234567",
}


def page(settings: Any, days: int) -> str:
    renew_by = timezone.localdate() + dt.timedelta(days=days)
    settings.COPYRIGHT_AGENT = {**GIVEN, "renew_by": renew_by.isoformat()}
    return words(Client().get("/copyright-agent/"))


def test_the_page_names_the_agent_and_the_date_of_renewal(settings: Any):
    shown = page(settings, 0)

    assert all(line in shown for value in GIVEN.values() for line in value.splitlines())
    assert str(timezone.localdate().year) in shown and "No agent" not in shown


def test_an_agent_whose_registration_ended_is_not_shown_as_one(settings: Any):
    shown = page(settings, -1)

    assert "has ended" in shown and GIVEN["name"] not in shown


def test_without_an_agent_the_page_says_so_and_leads_to_the_form(settings: Any):
    settings.COPYRIGHT_AGENT = {}

    answer = Client().get("/copyright-agent/")
    assert "No agent is named yet" in words(answer) and "/report/copyright/" in answer.content.decode()


@pytest.mark.parametrize("address", ["/report/", "/sign-in/"])
def test_public_pages_lead_to_the_agent_named_or_not(address: str):
    footer = Client().get(address).content.decode().split("<footer", 1)[1]

    assert 'href="/copyright-agent/"' in footer


def work(settings: Any, visitor: Client, days: int | None) -> str:
    """Return the front page of staff with so many days left until the renewal; None where nobody is named."""
    renew_by = timezone.localdate() + dt.timedelta(days=days or 0)
    settings.COPYRIGHT_AGENT = {} if days is None else {**GIVEN, "renew_by": renew_by.isoformat()}
    return re.sub(r"<[^>]+>", " ", visitor.get("/admin/").content.decode())


def test_staff_are_told_of_the_renewal_from_sixty_days_before_until_it_is_done(settings: Any):
    desk, title = signed_in(make_staff("dora", "abuse_desk")), "Copyright agent: "

    assert title not in work(settings, desk, None) and title not in work(settings, desk, 61)
    assert "renew the registration (1)" in work(settings, desk, 60) and "60 days left" in work(settings, desk, 60)
    assert "1 day left" in work(settings, desk, 1) and "today is the last day" in work(settings, desk, 0)
    assert "the registration has ended" in work(settings, desk, -1)
    assert title not in work(settings, desk, 3 * 365)


def test_who_does_no_copyright_is_not_told_of_the_renewal(settings: Any):
    for role in ("support", "billing", "auditor", "administrator"):
        assert "Copyright agent: " not in work(settings, signed_in(make_staff(role, role)), 0), role
