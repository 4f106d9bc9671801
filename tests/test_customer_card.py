"""The customer card by role: which staff role reads which of its sections, as one table people can review."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib import admin

from accounts.datamap import Category
from accounts.models import Account
from accounts.roles import View, category_view
from chicagocloud.admin import AccountAdmin
from tests.admin_walk import ROLES, World, make_world, seal

pytestmark = pytest.mark.usefixtures("committed")

# Section by role; a section that no role reads would have no mark.
#                                 support abuse billing legal privacy auditor administrator
CARD = """
What you can do                   x       -     x       x     x       -       -
Account                           x       x     x       x     x       x       x
People                            x       x     x       x     x       x       x
Sign-in names                     x       x     x       x     x       x       x
Members                           x       x     x       x     x       x       x
Invitations                       x       -     -       x     x       -       x
Contacts                          x       x     x       x     x       x       x
Addresses                         x       x     x       x     x       x       x
Billing profile                   -       -     x       x     x       -       -
Changes of an address that wait   x       x     x       x     x       -       -
Services                          x       x     x       x     x       -       -
Unpaid invoices                   x       -     x       x     x       -       -
Orders                            -       -     x       x     x       -       -
Payment disputes                  -       -     x       x     x       x       -
Holds                             x       x     x       x     x       x       x
Deletion                          x       x     x       x     x       x       x
Tickets                           x       -     -       x     x       -       -
Business information              x       -     -       x     x       -       -
Given in confidence               x       -     -       -     x       -       -
Consents                          x       -     -       x     x       -       -
Ledger                            -       -     -       -     x       x       -
"""
HEADING = re.compile(r'<section class="module"[^>]*>\s*<h2[^>]*>(.*?)</h2>(.*?)</section>', re.DOTALL)
# What stands behind a heading: how many there are, or how many of them are shown.
COUNTED = re.compile(r"(, the last \d+|: \d+)$")


def written() -> set[tuple[str, str]]:
    """Return (role, section) for each mark of the table."""
    lines = [line.rsplit(maxsplit=len(ROLES)) for line in CARD.strip().splitlines()]
    return {(role, name) for name, *marks in lines for role, mark in zip(ROLES, marks, strict=True) if mark == "x"}


def sections(world: World, role: str) -> dict[str, str]:
    """Return what the role's customer card shows, by heading."""
    room: Any = admin.site._registry[Account]
    page = world.client(role).get(room.url_of(world.account)).content.decode()
    return {COUNTED.sub("", unescape(title)): body for title, body in HEADING.findall(page)}


def shown(world: World) -> set[tuple[str, str]]:
    return {(role, name) for role in ROLES for name in sections(world, role)}


@pytest.fixture
def world() -> World:
    return make_world()


def test_each_role_reads_the_sections_of_the_table_and_no_other(world: World) -> None:
    seal(world)

    assert shown(world) == written()


def test_a_section_opened_to_everybody_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a planted offender shows the tickets to whoever opens the card."""
    honest = AccountAdmin.sections

    def careless(self: Any, eyes: Any, record: Any) -> Any:
        parts = honest(self, eyes, record)
        return parts if any(part.title == "Tickets" for part in parts) else [*parts, self._tickets(eyes, record)]

    monkeypatch.setattr(AccountAdmin, "sections", careless)

    wrong = {("abuse_desk", "Tickets"), ("billing", "Tickets"), ("auditor", "Tickets"), ("administrator", "Tickets")}
    assert shown(world) - written() == wrong


# Sections that every role opens and whose values the table of roles hides: the category each one shows.
HIDDEN_IN = {"People": Category.IDENTITY, "Contacts": Category.CONTACT, "Addresses": Category.CONTACT}


@pytest.mark.parametrize("role", ROLES)
def test_an_open_section_shows_no_more_than_the_category_allows(world: World, role: str) -> None:
    person = world.customer.person.name
    there = sections(world, role)

    for name, category in HIDDEN_IN.items():
        view = category_view(world.staff[role], category)
        assert ("hidden for your role" in there[name]) == (view == View.HIDDEN), name
    allowed = category_view(world.staff[role], Category.IDENTITY) == View.SHOWN
    assert [person in there[name] for name in ("People", "Members")] == [allowed, allowed]
