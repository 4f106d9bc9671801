"""Who gets what from every address, against a file people review; holes that were planted are caught."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import get_resolver, path

from accounts.models import Invoice
from accounts.pages import invoices
from accounts.pages.help import help_page
from retention import middleware
from tests.admin_walk import acts
from tests.matrix import PEOPLE, Town, addresses, differences, make_town, without_a_row, written

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def town() -> Town:
    return make_town()


def names() -> list[str]:
    return [name for name, _ in addresses()]


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert without_a_row(names()) == []
    assert len(names()) > 50


def test_an_address_without_a_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = get_resolver()
    planted = path("planted/", help_page, name="planted")
    monkeypatch.setattr(resolver, "url_patterns", [*resolver.url_patterns, planted])

    assert without_a_row(names()) == ["planted"]


def test_every_row_is_filled_in() -> None:
    cells = [row[person] for row in written().values() for person in PEOPLE]

    assert all(cells)
    assert not [cell for cell in cells if cell.startswith("5")]


def test_every_address_answers_everybody_as_the_file_says(town: Town) -> None:
    assert differences(town) == []


def test_a_view_without_its_permission_check_is_caught(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    act = next(act for _, act in acts() if act.slug == "void")
    monkeypatch.setattr(act, "is_open_to", classmethod(lambda cls, user: True))

    assert differences(town, lambda name: name.endswith("_void"))


def test_an_object_view_without_its_owner_filter_is_caught(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def anybody_s(request: Any, number: str) -> Invoice:
        return Invoice.objects.get(number=number)

    monkeypatch.setattr(invoices, "_invoice", anybody_s)

    (found,) = differences(town, lambda name: name == "accounts:invoice")
    assert "other: 404 -> 200" in found


def test_a_way_around_the_closed_account_is_caught(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "OPEN_WHEN_CLOSED", middleware.OPEN_WHEN_CLOSED | {"overview"})

    (found,) = differences(town, lambda name: name == "overview")
    assert "closed: 409 -> 200" in found
