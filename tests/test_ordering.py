"""What has the same time reads in one order, wherever its rows lie: a page that reshuffles would tell of an edit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client

from accounts import datamap
from accounts.keys.identifiers import uuid7
from tests.admin_walk import World, make_world, pages, rooms
from tests.cast import add_billing_contact, furnish, make_customer, owe
from tests.pairing import Side, addresses

pytestmark = pytest.mark.django_db
SORT = models.QuerySet.order_by
# Made anew by each visit; references and ids stay, they tell the rows apart.
TOKENS = re.compile(r'name="(csrfmiddlewaretoken|submission)" value="[^"]*"|T?\d\d:\d\d(:\d\dZ?)?|\d+:\d\d [ap]\.m\.')


# What was given is never changed, its time neither.
STAYS = {
    "disclosures_consentgrant",
    "disclosures_noticechallenge",
    "disclosures_abusenotice",
    "disclosures_abusenoticeitem",
    "disclosures_strike",
    "disclosures_noticefile",
}


def at_one_moment() -> None:
    """Give all rows of each governed table the same time, but for what the database keeps as it was given."""
    with connection.cursor() as cursor:
        for model in [one for one in datamap.governed() if one._meta.db_table not in STAYS]:
            table, moment = model._meta.db_table, datamap.time_column(model)
            cursor.execute(f"UPDATE {table} SET {moment} = (SELECT min({moment}) FROM {table})")


def ties(monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """Let the database give what is equal in one order or in the other, as edits and vacuuming make it do."""

    def order_by(rows: models.QuerySet[Any], *names: str) -> models.QuerySet[Any]:
        return SORT(rows, *names, last) if names and rows._fields is None else SORT(rows, *names)  # type: ignore[attr-defined]

    monkeypatch.setattr(models.QuerySet, "order_by", order_by)


def reshuffled(monkeypatch: pytest.MonkeyPatch, visitor: Client, opened: Iterable[str]) -> list[str]:
    """Return the pages that read otherwise when ties fall otherwise."""
    opened = sorted(set(opened))
    found = []
    for last in ("pk", "-pk"):
        ties(monkeypatch, last)
        # Of a file the bytes count: the same invoice gives the same ones.
        found.append([TOKENS.sub("", visitor.get(page).content.decode(errors="backslashreplace")) for page in opened])
    return [page for page, one, other in zip(opened, *found, strict=True) if one != other]


def staff_pages(world: World) -> list[str]:
    """Return what an administrator may open of a customer with two of everything; Django itself orders its lists."""
    owe(world.customer)
    add_billing_contact(world.customer)
    at_one_moment()
    user = world.staff["administrator"]
    found = [page for room in rooms() for page in pages(room, user) if not page.startswith(f"{room.list_url()}?")]
    return ["/admin/", *(page for page in found if page not in {room.list_url() for room in rooms()})]


def customer_pages() -> tuple[Client, list[str]]:
    """Return a customer with two of everything, and what they may open."""
    side = Side("alice", furnish(furnish(make_customer("alice"))))
    at_one_moment()
    visitor = side.visitor()
    # Pages that count page visits would differ by the visit before.
    visitor.defaults["HTTP_DNT"] = "1"
    return visitor, [page for name, page in addresses(side).items() if name != "account_logout"]


def test_the_pages_of_staff_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()

    assert reshuffled(monkeypatch, world.client("administrator"), staff_pages(world)) == []


def test_the_pages_of_a_customer_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reshuffled(monkeypatch, *customer_pages()) == []


def test_lists_left_to_chance_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the last key of their order lists of both reshuffle."""
    sort = SORT
    monkeypatch.setattr(f"{__name__}.SORT", lambda rows, *names: sort(rows, *names[:1], *names[2:]))
    world = make_world()

    assert reshuffled(monkeypatch, *customer_pages())
    assert reshuffled(monkeypatch, world.client("administrator"), staff_pages(world))


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    made = [uuid7() for _ in range(2_000)]

    assert all((one.int >> 64) <= (other.int >> 64) for one, other in zip(made, made[1:], strict=False))
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
