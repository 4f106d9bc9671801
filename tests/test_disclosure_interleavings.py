"""Pairs of acts on one disclosure, in every order in which their steps can follow each other.

Each act is stopped before it begins and before it commits, beside a release before it writes too: six orders a pair,
beside a release twenty; the stress run stops all of them there. After each a release is tried, and what was released is
measured. The control takes the database's own check away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import approving, consenting, informing, packing, preparing, releasing
from disclosures.models import ConsentGrant, Disclosure, LegalNotice, Recipient, Stage
from disclosures.preparing import Choice, Ground
from retention import closing, placing, purge
from retention import releasing as ending_holds
from retention.models import Hold
from tests import legal
from tests.cast import DAY, make_customer, make_staff
from tests.servers import Connection, connect
from tests.stepping import Stepped, interleave
from tests.test_disclosures import approve, preparing_end
from tests.weakening import without_triggers

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.beside]


def orders(steps: int) -> list[tuple[int, ...]]:
    """Return the orders in which two acts of so many steps can take them: 0 the first, 1 the second."""
    places = range(2 * steps)
    return [tuple(int(place not in first) for place in places) for first in combinations(places, steps)]


STATE = r'UPDATE "disclosures_disclosure"'


@dataclass
class World:
    """One disclosure on consent, and everybody who acts on it."""

    made: Disclosure
    grant: ConsentGrant
    customer: User
    lena: User
    paul: User
    hold: Hold | None = None

    @property
    def account_id(self) -> Any:
        return self.customer.account_id

    @property
    def disclosure(self) -> Disclosure:
        return Disclosure.objects.get(pk=self.made.pk)


def erase(world: World) -> None:
    if not purge.erase([world.account_id]).accounts:
        raise NotActionable("Something keeps it.")


def release_hold(world: World) -> None:
    assert world.hold is not None
    ending_holds.approve(world.hold.pk, by=world.paul)


# What each does, and the statement before which it is stopped.
ACTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "edit": (lambda w: preparing.edit(w.made.pk, Choice(("contact",)), version=w.disclosure.version, by=w.lena), STATE),
    "submit": (lambda w: preparing.submit(w.made.pk, by=w.lena), STATE),
    "approve": (lambda w: approve(w.disclosure, w.paul), r'INSERT INTO "disclosures_approval"'),
    "self-approve": (lambda w: approve(w.disclosure, w.lena), r'INSERT INTO "disclosures_approval"'),
    "send back": (lambda w: approving.send_back(w.made.pk, by=w.paul, reason="again"), STATE),
    "refuse": (lambda w: approving.refuse(w.made.pk, by=w.paul, reason="too much"), STATE),
    "withdraw": (lambda w: preparing.withdraw(w.made.pk, by=w.lena, reason="done"), STATE),
    "lapse": (lambda w: releasing.lapse(), STATE),
    "withdraw consent": (
        lambda w: consenting.withdraw(w.grant.pk, by=w.customer),
        r'UPDATE "disclosures_consentgrant"',
    ),
    "hold": (lambda w: placing.place(w.account_id, "legal", by="system"), r'INSERT INTO "retention_hold"'),
    "release the hold": (release_hold, r'UPDATE "retention_hold"'),
    "close": (
        lambda w: closing.close(w.account_id, by=w.customer, submission=uuid7()),
        r'INSERT INTO "retention_deletionrequest"',
    ),
    "purge": (erase, r"DELETE FROM"),
    "release": (lambda w: releasing.release(w.made.pk, by=w.lena), STATE),
}
# The states in which an act does something; the others do in any.
DOES = {
    "edit": {"returned"},
    "submit": {"returned"},
    "approve": {"submitted"},
    "self-approve": {"submitted"},
    "send back": {"submitted", "approved"},
    "refuse": {"submitted", "approved"},
    "release": {"approved"},
}
# Where one act makes the other possible, the pair begins before it.
LEADS = {
    **{frozenset({"submit", other}): "returned" for other in ("approve", "self-approve", "send back", "refuse")},
    frozenset({"approve", "release"}): "submitted",
}
TWICE = ("submit", "approve", "withdraw consent", "release")
PAIRS = [*combinations(ACTS, 2), *((name, name) for name in TWICE)]
# What takes away what a packet was made and approved on.
SPOILS = {"withdraw consent", "hold", "release the hold", "close", "purge", "send back", "refuse", "withdraw", "edit"}
# These end the account, or what stands for it: each time another one.
ONE_EACH = {"hold", "release the hold", "close", "purge"}


def stage_of(pair: tuple[str, str]) -> str:
    """Return the state in which a pair begins."""
    everywhere = {"returned", "submitted", "approved"}
    both = DOES.get(pair[0], everywhere) & DOES.get(pair[1], everywhere)
    led = LEADS.get(frozenset(pair))
    return led or next((stage for stage in ("approved", "submitted", "returned") if stage in both), "approved")


def make_world(pair: tuple[str, str], stage: str, customer: User, partner: Recipient, lena: User, paul: User) -> World:
    """Return a world in which the disclosure stands at `stage`, with what the pair needs besides."""
    agreement = consenting.Agreement("sharing", ("contact",), partner.pk)
    grant = consenting.give(customer.account_id, agreement, by=customer, submission=uuid7())
    hold = None
    if "release the hold" in pair:
        assert customer.account_id is not None
        hold = placing.place(customer.account_id, "legal", by="system")
        ending_holds.ask(hold.pk, by=lena, reason="settled")
    if "purge" in pair:
        assert customer.account_id is not None
        closing.close(customer.account_id, by=customer, submission=uuid7(), at=timezone.now() - 60 * DAY)
    made = preparing.make(
        customer.account_id,
        Ground("consent", consent=grant.pk),
        Choice(("contact",)),
        recipient=partner.pk,
        purpose="to back up",
        by=lena,
        submission=uuid7(),
    )
    preparing.submit(made.pk, by=lena)
    if stage != "submitted":
        approve(made, paul)
    if stage == "returned":
        approving.send_back(made.pk, by=paul, reason="once more")
    return World(made, grant, customer, lena, paul, hold)


def stepped(name: str, world: World, steps: int) -> Stepped:
    act, pattern = ACTS[name]

    def attempt() -> str:
        try:
            act(world)
        except (NotActionable, PermissionDenied):
            return "refused"
        return "done"

    return Stepped(attempt, (pattern,) if steps == 3 else ())


def faults(world: World, before: dict[str, float], released: float) -> list[str]:
    """Return what is wrong with what was released; nothing where nothing was.

    `before`: when what takes its ground away was committed; `released`: when the release was.
    """
    found, disclosure = [], world.disclosure
    releases = list(LedgerEntry.objects.filter(action="disclosure.released", subject=disclosure.pk))
    if disclosure.state != Stage.RELEASED:
        return ["a release is recorded and none happened"] if releases else []
    assert disclosure.released_at is not None and disclosure.submitted_at is not None
    if len(releases) != 1:
        found.append(f"{len(releases)} releases")
    standing = disclosure.approvals.filter(packet_hash=disclosure.packet_hash, voided_at=None)
    if not standing.filter(approved_at__lte=disclosure.released_at).exclude(approved_by=disclosure.made_by).exists():
        found.append("no approval of that packet by another person")
    found += [f"{name} came before it" for name, when in before.items() if when < released]
    return found


def wrong_orders(
    pair: tuple[str, str], lena: User, paul: User, partner: Recipient, steps: int = 3
) -> tuple[list[str], set[tuple[str, str]], int]:
    """Take every order of a pair; return what was wrong, the outcomes seen, and how many released."""
    stage, wrong, seen, released = stage_of(pair), list[str](), set[tuple[str, str]](), 0
    customer = make_customer(f"carla{uuid7().hex[-8:]}")
    with connect() as watch:
        for number, order in enumerate(orders(steps)):
            if ONE_EACH & set(pair) and number:
                customer = make_customer(f"carla{uuid7().hex[-8:]}")
            world = make_world(pair, stage, customer, partner, lena, paul)
            acts = stepped(pair[0], world, steps), stepped(pair[1], world, steps)
            outcome = interleave(*acts, order, watch)
            if any(one.startswith("error") for one in outcome):
                wrong.append(f"{order}: {outcome}")
            seen.add(outcome)
            done = [
                (name, act.committed) for name, act, said in zip(pair, acts, outcome, strict=True) if said == "done"
            ]
            when = [committed for name, committed in done if name == "release"] or [time.monotonic()]
            with suppress(NotActionable):
                releasing.release(world.made.pk, by=lena)
            before = {name: committed for name, committed in done if name in SPOILS}
            wrong += [f"{order}: {outcome}: {fault}" for fault in faults(world, before, min(when))]
            released += world.disclosure.state == Stage.RELEASED
            if not ONE_EACH & set(pair):
                preparing_end(world.made, lena)
                with suppress(NotActionable):
                    consenting.withdraw(world.grant.pk, by=customer)
    return wrong, seen, released


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


@pytest.fixture
def partner() -> Recipient:
    return legal.make_recipient("partner")


@pytest.fixture(autouse=True)
def plain_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let covers be short: setting them in type takes longer than the acts, and is no matter here."""
    monkeypatch.setattr(packing, "_cover", lambda *given: packing.Part("cover.pdf", "application/pdf", b"%PDF-1.7"))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " x ".join(pair))
def test_every_interleaving_of_two_acts(pair: tuple[str, str], lena: User, paul: User, partner: Recipient):
    steps = 3 if "release" in pair else 2
    wrong, seen, released = wrong_orders(pair, lena, paul, partner, steps)

    assert wrong == []
    assert seen, "nothing was tried"
    if pair == ("release", "release"):
        assert seen == {("done", "refused"), ("refused", "done")}
        assert released == len(orders(steps))
    if pair == ("withdraw consent", "release"):
        assert {("done", "refused"), ("done", "done")} <= seen, "each came first once"
        assert 0 < released < len(orders(steps))


@pytest.mark.stress
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if "release" not in pair], ids=lambda pair: " x ".join(pair))
def test_every_interleaving_of_two_acts_in_three_steps(
    pair: tuple[str, str], lena: User, paul: User, partner: Recipient
):
    assert wrong_orders(pair, lena, paul, partner)[0] == []


@pytest.mark.parametrize("other", ["withdraw consent", "hold", "close"])
def test_without_the_databases_check_some_order_releases_wrongly(
    other: str, lena: User, paul: User, partner: Recipient, owner: Connection
):
    """Negative control: the measure finds what the guard keeps from happening."""
    without_triggers(owner, "z_guard_disclosure")

    wrong, _seen, _released = wrong_orders((other, "release"), lena, paul, partner)

    assert wrong


def test_of_two_rounds_at_once_one_tells_the_customer(alice: User, bob: User):
    """Exactly one notice, and one mail, in every order."""
    outcomes = set()
    with connect() as watch:
        for order in orders(3):
            request = legal.make_request(alice.account)
            notice = legal.owe_notice(request, alice.account)

            def tell(notice: LegalNotice = notice) -> str:
                return str(informing.send(notice.pk).sent_at)

            rounds = [Stepped(tell, (r'UPDATE "disclosures_legalnotice"',)) for _ in range(2)]
            first, second = interleave(*rounds, order, watch)
            outcomes.add(first == second)
            assert not first.startswith("error"), first
            assert OutboxMessage.objects.filter(event__startswith=f"legal-notice:{notice.pk}").count() == 1
            assert LedgerEntry.objects.filter(action="legal.told", subject=request.pk).count() == 1
    assert outcomes == {True}


def test_the_states_of_the_pairs_are_those_of_the_portal():
    assert {stage_of(pair) for pair in PAIRS} == {Stage.RETURNED, Stage.SUBMITTED, Stage.APPROVED}
    assert (len(orders(2)), len(orders(3)), len(PAIRS)) == (6, 20, 95)
