"""The state machine of a notice as a table: every state, every act, every actor, each cell tried (P17-P19).

A cell says what the act does: "ok", or the way it refuses: "state" (in words, NotActionable), "person"
(PermissionDenied). Nothing else may come of any of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.transaction import Atomic
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import User
from disclosures import concluding, countering, enforcing, notifying, responding, striking
from disclosures.models import AbuseCase, AbuseNotice, CaseKind
from tests.abuse import NAMES, find_true, make_case, silent, tell, told
from tests.cast import DAY, PASSWORD, make_customer, make_staff

pytestmark = pytest.mark.usefixtures("committed")

WORDS = countering.Words("own", "Mine.", email="alice@alice.example", **NAMES)


@dataclass
class World:
    """The people of a case, and its notice."""

    alice: User
    dora: User
    people: dict[str, User]
    notice: AbuseNotice

    def items(self, *, fixed: bool = False, disabled: bool = False) -> list[Any]:
        found = list(self.notice.items.all())
        return [item.pk for item in found if item.is_fixed == fixed and (item.is_disabled or not disabled)]


def undelivered(alice: User, dora: User) -> AbuseNotice:
    case = make_case(alice)
    find_true(case, dora)
    return tell(case, dora, delivered=False)


def waiting(alice: User, dora: User) -> AbuseNotice:
    return told(alice, dora)


def came_back(alice: User, dora: User) -> AbuseNotice:
    return notifying.came_back(undelivered(alice, dora).pk, by=dora)


def acknowledged(alice: User, dora: User) -> AbuseNotice:
    return responding.acknowledge(told(alice, dora).pk, by=alice)


def remedied(alice: User, dora: User) -> AbuseNotice:
    notice = told(alice, dora)
    return responding.fix(notice.pk, {item.pk: "Removed." for item in notice.items.all()}, by=alice)


def disagreed(alice: User, dora: User) -> AbuseNotice:
    return responding.disagree(told(alice, dora).pk, by=alice, text="No.")


def material_disabled(alice: User, dora: User) -> AbuseNotice:
    notice = told(alice, dora, ago=2 * DAY)
    enforcing.watch()
    return notice


def lapsed(alice: User, dora: User) -> AbuseNotice:
    return silent(alice, dora, valid=False)


def suspended(alice: User, dora: User) -> AbuseNotice:
    return silent(alice, dora)


def countered(alice: User, dora: User) -> AbuseNotice:
    notice = material_disabled(alice, dora)
    row = countering.draft(notice.pk, notice.items.values_list("pk", flat=True), WORDS, by=alice)
    countering.sign(row.pk, by=alice, signature="Alice Canary")
    return notice


def ended(alice: User, dora: User) -> AbuseNotice:
    notice = told(alice, dora)
    concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    return notice


STATES: dict[str, Callable[[User, User], AbuseNotice]] = {
    made.__name__: made
    for made in (
        undelivered, waiting, came_back, acknowledged, remedied, disagreed, material_disabled, lapsed, suspended,
        countered, ended,
    )
}  # fmt: skip


def first(items: list[Any]) -> list[Any]:
    """Return one place, or none that is there."""
    return items[:1] or [AbuseNotice.objects.get().pk]


ACTS: dict[str, Callable[[World, User], Any]] = {
    "acknowledge": lambda w, by: responding.acknowledge(w.notice.pk, by=by),
    "fix": lambda w, by: responding.fix(w.notice.pk, dict.fromkeys(first(w.items()), "Removed."), by=by),
    "disagree": lambda w, by: responding.disagree(w.notice.pk, by=by, text="No."),
    "ask for time": lambda w, by: responding.ask_for_time(w.notice.pk, by=by, reason="Away."),
    "draft a counter-notice": lambda w, by: countering.draft(w.notice.pk, w.items(disabled=True), WORDS, by=by),
    "came back": lambda w, by: notifying.came_back(w.notice.pk, by=by),
    "reached": lambda w, by: notifying.reached(w.notice.pk, by=by, how="Called."),
    "disable": lambda w, by: enforcing.disable(w.notice.pk, w.items(), by=by),
    "dispute": lambda w, by: enforcing.dispute(first(w.items(fixed=True) or w.items())[0], by=by, seen="There."),
    "strike": lambda w, by: striking.strike(w.notice.pk, by=by),
    "close as remedied": lambda w, by: concluding.close(w.notice.case, "remedied", by=by, reason="Fixed."),
    "close as withdrawn": lambda w, by: concluding.close(w.notice.case, "withdrawn", by=by, reason="Withdrawn."),
    "close as unanswered": lambda w, by: concluding.close(w.notice.case, "unanswered", by=by, reason="Silence."),
}
CUSTOMERS = ("acknowledge", "fix", "disagree", "ask for time", "draft a counter-notice")
# What the act does in each state when whoever may do it does: "y" done, "n" refused in words.
TABLE = {
    #                         undel wait back ack rem dis mat lap sus cou end
    "acknowledge":            "y    y    y    y   y   y   y   y   y   y   n",
    "fix":                    "y    y    y    y   n   y   y   y   y   y   n",
    "disagree":               "y    y    y    y   y   y   y   y   y   y   n",
    "ask for time":           "n    y    n    y   n   n   y   n   n   n   n",
    "draft a counter-notice": "n    n    n    n   n   n   y   n   y   n   n",
    "came back":              "y    y    n    n   n   n   y   n   n   n   n",
    "reached":                "y    n    y    n   n   n   n   n   n   n   n",
    "disable":                "y    y    y    y   n   y   n   n   n   n   n",
    "dispute":                "n    n    n    n   y   n   n   n   n   n   n",
    "strike":                 "y    y    y    y   y   y   y   n   y   n   n",
    "close as remedied":      "n    n    n    n   y   n   n   n   n   n   n",
    "close as withdrawn":     "y    y    y    y   y   y   y   y   y   y   n",
    "close as unanswered":    "y    y    y    y   y   y   y   y   n   n   n",
}  # fmt: skip
CELLS = [(state, act, cell) for act, row in TABLE.items() for state, cell in zip(STATES, row.split(), strict=True)]
# Who is refused whatever the state is.
STRANGERS = {
    **dict.fromkeys(CUSTOMERS, ("bob", "billing member", "dora", "support")),
    **{act: ("alice", "support", "billing desk", "auditor") for act in ACTS if act not in CUSTOMERS},
}


def world(state: str) -> World:
    alice, dora = make_customer("alice"), make_staff("dora", "abuse_desk")
    notice = STATES[state](alice, dora)
    notice.refresh_from_db()
    people = {
        "alice": alice,
        "dora": dora,
        "bob": make_customer("bob"),
        "billing member": User.objects.create_user(alice.account, PASSWORD, member_role="billing"),
        "support": make_staff("sara", "support"),
        "billing desk": make_staff("bill", "billing"),
        "auditor": make_staff("aud", "auditor"),
    }
    return World(alice, dora, people, notice)


def outcome(act: Callable[[World, User], Any], scene: World, by: User) -> str:
    try:
        act(scene, by)
    except NotActionable as refusal:
        assert len(str(refusal)) > 20, "a refusal has words"
        return "n"
    except PermissionDenied:
        return "person"
    return "y"


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(ACTS) and len(CELLS) == len(ACTS) * len(STATES) == 143


@pytest.mark.parametrize("state", STATES)
def test_each_cell_of_a_state(state: str) -> None:
    scene = world(state)
    for act, names in STRANGERS.items():
        for name in names:
            assert outcome(ACTS[act], scene, scene.people[name]) != "y", (state, act, name)
    wrong = []
    for _state, act, cell in (one for one in CELLS if one[0] == state):
        found = tried(act, scene)
        if found != cell:
            wrong.append(f"{act} in {state}: {found} instead of {cell}")
    assert wrong == []


class Undone(Exception):
    """Rolls back what a cell did."""


def tried(act: str, scene: World) -> str:
    """Return what an act does, and undo it: the next cell begins in the same state."""
    by = scene.alice if act in CUSTOMERS else scene.dora
    found = ""
    with contextlib.suppress(Undone), transaction.atomic(), mock.patch.object(Atomic, "__enter__", within):
        found = outcome(ACTS[act], scene, by)
        raise Undone
    return found


ENTER = Atomic.__enter__


def within(self: Atomic) -> None:
    """Begin a transaction of an act inside that of a cell: durable ones would refuse to be undone."""
    self.durable = False  # type: ignore[attr-defined]
    ENTER(self)


def test_a_case_of_each_kind_has_its_time() -> None:
    alice, dora = make_customer("alice"), make_staff("dora", "abuse_desk")
    for kind in set(CaseKind) - {CaseKind.CSAM}:
        case = make_case(alice, kind)
        notice = tell(case, dora)
        assert notice.act_by is not None and notice.act_by > timezone.now(), kind
    assert AbuseCase.objects.count() == len(CaseKind) - 1
