"""Lists of the admin answer their declared filters and nothing else: what may be asked for could be guessed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.test import Client

from accounts.admin_base import RecordAdmin
from accounts.models import Account, User
from accounts.roles import ACTS, Role
from tests.admin_walk import ROLES, World, filters, make_world, rooms

pytestmark = [pytest.mark.django_db, pytest.mark.beside]

ENDINGS = ("", "__startswith", "__gt")


@pytest.fixture
def world() -> World:
    return make_world()


def reader(world: World, room: RecordAdmin) -> Client:
    """Return a browser of some role that may open the room's list."""
    act = f"{room.opts.app_label}.view_{room.opts.model_name}"
    client = world.client(next(role for role in ROLES if act in ACTS[Role(role)]))
    client.raise_request_exception = False
    return client


def columns(model: type[models.Model], path: str = "") -> Iterator[str]:
    """Yield every column of a model, and those of the models it refers to."""
    for field in model._meta.get_fields():
        yield f"{path}{field.name}"
        if isinstance(field, models.ForeignKey) and not path:
            yield from columns(field.related_model, f"{field.name}__")


def answered(world: World, room: RecordAdmin) -> list[str]:
    """Return the parameters, none of the room's own, that its list does not refuse."""
    client, own = reader(world, room), room.declared_lookups()
    asked = [f"{column}{ending}" for column in columns(room.model) for ending in ENDINGS]
    return [name for name in asked if name not in own and client.get(room.list_url(), {name: "1"}).status_code != 400]


@pytest.mark.parametrize("number", range(len(rooms())))
def test_no_list_is_asked_for_by_a_column(world: World, number: int) -> None:
    assert answered(world, rooms()[number]) == []


def test_the_walk_finds_a_list_that_can_be_asked_for_anything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordAdmin, "lookup_allowed", ModelAdmin.lookup_allowed)
    room = next(room for room in rooms() if room.model is Account)

    assert "hold_epoch__gt" in answered(world, room)


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (User, "password__startswith=argon2"),
        (Account, "hold_epoch__gt=0"),
        (User, "person__name=x"),
        (User, "_to_field=id"),
    ],
)
def test_the_refusal_is_a_page_that_repeats_nothing(
    world: World, caplog: pytest.LogCaptureFixture, model: Any, query: str
) -> None:
    room = next(room for room in rooms() if room.model is model)

    with caplog.at_level(logging.DEBUG):
        answer = reader(world, room).get(f"{room.list_url()}?{query}")

    page = answer.content.decode()
    assert answer.status_code == 400
    assert "We could not read that request" in page
    assert not [text for text in (page, caplog.text) if query.partition("=")[0] in text or "argon2" in text]


def test_every_declared_filter_is_answered(world: World) -> None:
    for room in rooms():
        client = reader(world, room)
        answers = {client.get(f"{room.list_url()}?{query}").status_code for query in filters(room, None)}
        assert answers <= {200}


@pytest.mark.parametrize("query", ["q=walker", "_facets=1", "_popup=1", "all=1", "p=9", "o=99.-1.x", "e=1"])
def test_what_every_list_reads_tells_nothing_more(world: World, query: str) -> None:
    for room in rooms():
        answer = reader(world, room).get(f"{room.list_url()}?{query}")
        assert answer.status_code in {200, 302}
        assert (room.search_fields, room.date_hierarchy) == ((), None)


def test_a_nul_in_a_filter_is_refused(world: World) -> None:
    answers = [
        reader(world, room).get(f"{room.list_url()}?{query}%00") for room in rooms() for query in filters(room, None)
    ]

    assert {answer.status_code for answer in answers} == {400}


def test_lists_are_ordered_by_what_they_show_only(world: World, rf: Any) -> None:
    for room in rooms():
        request = rf.get(room.list_url())
        request.user = next(
            user for user in map(world.staff.__getitem__, ROLES) if room.has_view_permission(_by(rf, user))
        )
        shown: ChangeList = room.get_changelist_instance(request)
        sorted_by = {shown.get_ordering_field(name) for name in shown.list_display}
        assert sorted_by - {None} <= {name for name in room.list_display if isinstance(name, str)}


def _by(rf: Any, user: User) -> Any:
    request = rf.get("/")
    request.user = user
    return request
