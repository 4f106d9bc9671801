"""The page of the designated agent: who it is, until when, and plainly that there is none (17 USC 512(c)(2))."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.visiting import words

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
