"""A disclosure takes two people, a live ground and that very packet, whatever is tried (P12, P15, P16, P20)."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import answering, approving, consenting, delivering, packing, preparing, registering, releasing
from disclosures.models import Approval, ConsentGrant, Disclosure, LegalRequest, Recipient, Stage
from disclosures.preparing import Choice, Ground
from disclosures.refusing import Unsupported, Waits
from retention import closing, placing
from retention.sight import ledger_for
from tests import legal
from tests.cast import DAY, furnish, make_customer, make_staff, sign_in_from

pytestmark = pytest.mark.usefixtures("committed")
IDENTITY = Choice(categories=("identity",))


@pytest.fixture
def alice() -> User:
    return make_customer("alice")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


def told_request(user: User, **given: Any) -> LegalRequest:
    request = legal.make_request(user.account, **given)
    legal.tell(request, user.account)
    return request


def draft(user: User, by: User, choice: Choice = IDENTITY, request: LegalRequest | None = None) -> Disclosure:
    request = request or told_request(user)
    ground = Ground("legal_request", legal_request=request.pk)
    facts: dict[str, Any] = {"recipient": request.recipient_id, "purpose": "as asked"}
    return preparing.make(user.account_id, ground, choice, by=by, submission=uuid7(), **facts)


def by_consent(user: User, by: User, partner: Recipient | None = None) -> tuple[Disclosure, ConsentGrant]:
    partner = partner or legal.make_recipient("partner")
    agreement = consenting.Agreement("sharing", ("contact",), partner.pk)
    grant = consenting.give(user.account_id, agreement, by=user, submission=uuid7())
    facts: dict[str, Any] = {"recipient": partner.pk, "purpose": "to back up"}
    made = preparing.make(
        user.account_id, Ground("consent", consent=grant.pk), Choice(("contact",)), by=by, submission=uuid7(), **facts
    )
    return made, grant


def approve(disclosure: Disclosure, by: User, **given: Any) -> Approval:
    disclosure.refresh_from_db()
    facts: dict[str, Any] = {
        "packet_hash": disclosure.packet_hash,
        "reference": disclosure.reference,
        "factor_at": timezone.now(),
        "note": "looked at each field",
    }
    return approving.approve(disclosure.pk, by=by, **(facts | given))


def state_of(disclosure: Disclosure) -> str:
    disclosure.refresh_from_db()
    return disclosure.state


# ------------------------------------------------------------------------------------------------- the way


def test_from_the_draft_to_the_release(alice: User, lena: User, paul: User):
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    released = releasing.release(made.pk, by=lena)

    assert (released.state, released.released_by) == (Stage.RELEASED, lena.pk)
    with keyring():
        assert b"Alice Canary" in packing.contents(released.packets.get())["records.json"]
    actions = list(
        LedgerEntry.objects.filter(action__startswith="disclosure.")
        .order_by("at", "pk")
        .values_list("action", flat=True)
    )
    assert actions == ["disclosure.made", "disclosure.submitted", "disclosure.approved", "disclosure.released"]
    assert not any("Alice" in entry.body or "Testville" in entry.body for entry in LedgerEntry.objects.all())


def test_staff_who_may_not_know_read_nothing_of_it_in_the_ledger(alice: User, lena: User, paul: User):
    auditor = make_staff("otto", "auditor")
    draft(alice, lena)
    assert ledger_for(paul).filter(action="disclosure.made").exists()
    assert not ledger_for(auditor).filter(action__startswith="disclosure.").exists()


def test_who_prepares_does_not_approve_and_nobody_else_edits(alice: User, lena: User, paul: User, sam: User):
    made = draft(alice, lena)
    for other in (paul, sam, alice):
        with pytest.raises(PermissionDenied):
            preparing.submit(made.pk, by=other)
        with pytest.raises(PermissionDenied):
            preparing.edit(made.pk, IDENTITY, version=1, by=other)
    preparing.submit(made.pk, by=lena)
    for other in (lena, sam):
        with pytest.raises(PermissionDenied):
            approve(made, other)
    assert not Approval.objects.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"packet_hash": "0" * 64}, "another packet"),
        ({"reference": "DIS-2222-2222"}, "not that of this disclosure"),
        ({"factor_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "second factor"),
    ],
)
def test_an_approval_binds_to_what_was_looked_at(alice: User, lena: User, paul: User, given: dict[str, Any], said: str):
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    with pytest.raises(NotActionable, match=said):
        approve(made, paul, **given)
    assert state_of(made) == Stage.SUBMITTED


def test_what_came_back_is_changed_and_needs_a_new_approval(alice: User, lena: User, paul: User):
    with keyring():
        sign_in_from(alice)
    made = draft(alice, lena, Choice(("identity", "access")))
    preparing.submit(made.pk, by=lena)
    old = approve(made, paul)
    with pytest.raises(NotActionable, match="Say why"):
        approving.send_back(made.pk, by=paul, reason=" ")
    approving.send_back(made.pk, by=paul, reason="Leave out the sign-ins.")
    with pytest.raises(NotActionable, match="changed meanwhile"):
        preparing.edit(made.pk, IDENTITY, version=7, by=lena)
    preparing.edit(made.pk, IDENTITY, version=1, by=lena)
    preparing.submit(made.pk, by=lena)

    old.refresh_from_db()
    assert (old.voided_why, state_of(made)) == ("returned", Stage.SUBMITTED)
    first, second = made.packets.order_by("number")
    assert "accounts.accessevent.ip: left out now, 1 rows before" in packing.compare(first, second)
    with pytest.raises(NotActionable, match="another packet"):
        approve(made, paul, packet_hash=first.sha256)
    approve(made, paul)
    assert releasing.release(made.pk, by=paul).packet_hash == second.sha256


def test_an_approval_is_good_for_a_day(alice: User, lena: User, paul: User, owner: Any):
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    approval = approve(made, paul)
    assert releasing.lapse() == 0
    assert releasing.lapse(approval.ends_at) == 1
    assert state_of(made) == Stage.EXPIRED
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


def test_refused_and_withdrawn_are_for_good(alice: User, lena: User, paul: User):
    refused, withdrawn = draft(alice, lena), draft(alice, lena)
    preparing.submit(refused.pk, by=lena)
    approving.refuse(refused.pk, by=paul, reason="Too much.")
    preparing.withdraw(withdrawn.pk, by=lena, reason="Not needed.")
    for made in (refused, withdrawn):
        for act in (preparing.submit, releasing.release):
            with pytest.raises(NotActionable):
                act(made.pk, by=lena)


def test_a_choice_that_cannot_be_is_refused_in_words(alice: User, bob: User, lena: User):
    request = told_request(alice)
    facts: dict[str, Any] = {"recipient": request.recipient_id, "purpose": "x", "by": lena}
    ground = Ground("legal_request", legal_request=request.pk)
    for choice, said in (
        (Choice(()), "at least one kind"),
        (Choice(("credentials",)), "on no ground"),
        (Choice(("identity",), (timezone.now(), timezone.now() - DAY)), "ends before"),
    ):
        with pytest.raises(NotActionable, match=said):
            preparing.make(alice.account_id, ground, choice, submission=uuid7(), **facts)
    with pytest.raises(NotActionable, match="opens the contact and nothing else"):
        preparing.make(alice.account_id, Ground("abuse_case", case=uuid7()), IDENTITY, submission=uuid7(), **facts)
    with pytest.raises(NotActionable, match="concerns one account"):
        preparing.make(None, ground, IDENTITY, submission=uuid7(), **facts)
    submission = uuid7()
    first = preparing.make(alice.account_id, ground, IDENTITY, submission=submission, **facts)
    assert preparing.make(alice.account_id, ground, IDENTITY, submission=submission, **facts).pk == first.pk
    # A request that seeks somebody else carries nothing of this account.
    other = draft(bob, lena, request=request)
    with pytest.raises(Unsupported, match="does not seek this account"):
        preparing.submit(other.pk, by=lena)
    assert state_of(other) == Stage.DRAFT and not other.packets.exists()


# ------------------------------------------------------------------------------------------------- what ends it


def close_recipient(request: LegalRequest) -> None:
    Recipient.objects.filter(pk=request.recipient_id).update(closed_at=timezone.now(), closed_by=uuid7())


def quash(request: LegalRequest) -> None:
    LegalRequest.objects.filter(pk=request.pk).update(closed_at=timezone.now(), closed_by=uuid7(), outcome="quashed")


def hold(request: LegalRequest) -> None:
    placing.place(request.sought.get().account_id, "legal", by="system")


@pytest.mark.parametrize("spoil", [close_recipient, quash, hold])
def test_what_ended_in_between_expires_it_in_words(
    alice: User, lena: User, paul: User, spoil: Callable[[LegalRequest], None]
):
    request = told_request(alice)
    made = draft(alice, lena, request=request)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    spoil(request)
    with pytest.raises(Unsupported, match=made.reference):
        releasing.release(made.pk, by=lena)
    assert state_of(made) == Stage.EXPIRED
    assert not Approval.objects.filter(voided_at=None).exists()


@pytest.mark.parametrize("is_approved", [True, False], ids=["approved", "submitted"])
@pytest.mark.parametrize("spoil", [close_recipient, quash, hold])
def test_what_stands_on_nothing_any_more_expires_by_itself(
    alice: User, lena: User, paul: User, spoil: Callable[[LegalRequest], None], is_approved: bool
):
    request = told_request(alice)
    made = draft(alice, lena, request=request)
    preparing.submit(made.pk, by=lena)
    if is_approved:
        approve(made, paul)
    assert releasing.lapse() == 0
    spoil(request)
    assert releasing.lapse() == 1
    assert state_of(made) == Stage.EXPIRED
    with keyring():
        assert "Nothing left the company" in str(made.ended_reason)
    assert releasing.lapse() == 0


def redirect(recipient: Recipient, by: User) -> None:
    """Let one person alone change the address on file."""
    with keyring():
        entry = registering.Entry(recipient.name, "US-IL", "elsewhere@authority.example", "a call", contract="C-1")
    registering.change(recipient.pk, entry, by=by)


@pytest.mark.parametrize("when", ["submitted", "approved"])
def test_another_address_on_file_takes_another_approval(alice: User, lena: User, paul: User, when: str):
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    if when == "approved":
        approve(made, paul)
    redirect(made.recipient, lena)
    with pytest.raises(Unsupported, match="its recipient was changed"):
        releasing.release(made.pk, by=lena) if when == "approved" else approve(made, paul)
    releasing.lapse()
    assert state_of(made) == Stage.EXPIRED
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


def test_what_was_released_goes_to_no_other_address(alice: User, lena: User, paul: User):
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    redirect(made.recipient, lena)
    with pytest.raises(Unsupported, match="its recipient was changed"):
        delivering.send(made.pk, by=lena, method="passphrase")
    assert not OutboxMessage.objects.filter(event__startswith="sealed:delivery").exists()
    delivering.hand_over(made.pk, by=lena, to="The clerk, at the counter")
    assert state_of(made) == Stage.DELIVERED


def test_an_objection_keeps_a_release_back_and_nothing_else(alice: User, lena: User, paul: User):
    request = told_request(alice)
    made = draft(alice, lena, request=request)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    answering.object_to(request.pk, by=lena, reason="Overbroad.")
    with pytest.raises(Waits, match="an objection stands"):
        releasing.release(made.pk, by=lena)
    assert releasing.lapse() == 0
    answering.end_objection(request.pk, by=lena, reason="The court decided.")
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


def test_what_passes_by_waiting_keeps_its_approval(alice: User, lena: User, paul: User):
    request = legal.make_request(alice.account)
    made = draft(alice, lena, request=request)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    with pytest.raises(Unsupported, match="no order of silence"):
        releasing.release(made.pk, by=lena)
    legal.tell(request, alice.account)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


def test_consent_taken_back_ends_it(alice: User, lena: User, paul: User):
    made, grant = by_consent(alice, lena)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    consenting.withdraw(grant.pk, by=alice)
    with pytest.raises(Unsupported, match="no consent stands"):
        releasing.release(made.pk, by=lena)
    assert state_of(made) == Stage.EXPIRED


def test_business_information_leaves_by_consent(lena: User, paul: User):
    user = furnish(make_customer("carla"))
    partner = legal.make_recipient("partner")
    agreement = consenting.Agreement("sharing", ("business",), partner.pk)
    grant = consenting.give(user.account_id, agreement, by=user, submission=uuid7())
    facts: dict[str, Any] = {"recipient": partner.pk, "purpose": "x", "by": lena, "submission": uuid7()}
    made = preparing.make(user.account_id, Ground("consent", consent=grant.pk), Choice(("business",)), **facts)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED
    # A subpoena gets the objection letter, and nothing of it.
    request = told_request(user, categories=["business", "identity"])
    wanted = draft(user, lena, Choice(("business",)), request)
    with pytest.raises(NotActionable, match="reaches nothing"):
        preparing.submit(wanted.pk, by=lena)


# ------------------------------------------------------------------------------------------------- orders and races

ACTS: dict[str, Callable[[Disclosure, User, User, User, ConsentGrant], Any]] = {
    "edit": lambda d, lena, paul, alice, grant: preparing.edit(d.pk, Choice(("contact",)), version=d.version, by=lena),
    "submit": lambda d, lena, paul, alice, grant: preparing.submit(d.pk, by=lena),
    "approve": lambda d, lena, paul, alice, grant: approve(d, paul),
    "self-approve": lambda d, lena, paul, alice, grant: approve(d, lena),
    "send back": lambda d, lena, paul, alice, grant: approving.send_back(d.pk, by=paul, reason="again"),
    "withdraw consent": lambda d, lena, paul, alice, grant: consenting.withdraw(grant.pk, by=alice),
    "hold": lambda d, lena, paul, alice, grant: placing.place(alice.account_id, "legal", by="system"),
    "close": lambda d, lena, paul, alice, grant: closing.close(alice.account_id, by=alice, submission=uuid7()),
    "release": lambda d, lena, paul, alice, grant: releasing.release(d.pk, by=lena),
}


def attempt(name: str, *world: Any) -> str:
    disclosure = Disclosure.objects.get(pk=world[0].pk)
    try:
        ACTS[name](disclosure, *world[1:])
    except (NotActionable, PermissionDenied):
        return "refused"
    return "done"


def wrong_with(disclosure: Disclosure) -> list[str]:
    """Return what is wrong with a disclosure that was released."""
    disclosure.refresh_from_db()
    releases = LedgerEntry.objects.filter(action="disclosure.released", subject=disclosure.pk)
    if disclosure.state != Stage.RELEASED:
        return ["a release is recorded and none happened"] if releases.exists() else []
    assert disclosure.released_at is not None
    found = [] if releases.count() == 1 else [f"{releases.count()} releases"]
    of_packet = disclosure.approvals.filter(packet_hash=disclosure.packet_hash, voided_at=None)
    if not of_packet.exclude(approved_by=disclosure.made_by).exists():
        found.append("no approval of that packet by another person")
    grant = ConsentGrant.objects.get(pk=disclosure.consent)
    if grant.withdrawn_at is not None and grant.withdrawn_at < disclosure.released_at:
        found.append("the consent had been taken back")
    return found


@pytest.mark.parametrize("first", ACTS)
def test_every_order_of_three_acts_before_a_release(first: str, lena: User, paul: User):
    """After a submission: each act, then each pair of the others, then the release; every fourth of them here."""
    released = in_orders(first, lena, paul, every=4)
    if first == "approve":
        assert released, "the control: some order does release"


@pytest.mark.stress
@pytest.mark.parametrize("first", ACTS)
def test_all_orders_of_three_acts_before_a_release(first: str, lena: User, paul: User):
    in_orders(first, lena, paul, every=1)


def in_orders(first: str, lena: User, paul: User, *, every: int) -> int:
    """Take the acts in their orders, fail at the first wrong one, and return how many released."""
    user = make_customer("carla")
    released = 0
    rest = [name for name in ACTS if name not in {first, "close"}]
    for number, (second, third) in enumerate(permutations(rest, 2)):
        if number % every != sum(map(ord, first)) % every:
            continue
        if first == "close":
            user = make_customer(f"carla{number}")
        made, grant = by_consent(user, lena)
        world = (made, lena, paul, user, grant)
        for name in ("submit", first, second, third, "release"):
            attempt(name, *world)
        assert wrong_with(made) == [], (first, second, third)
        released += state_of(made) == Stage.RELEASED
        preparing_end(made, lena)
    return released


@pytest.mark.stress
def test_ten_thousand_random_triples_at_once(lena: User, paul: User, monkeypatch: pytest.MonkeyPatch):
    """Three acts begun at one moment, on a disclosure in any state, and a release after them."""
    # Setting covers in type takes longer than the acts, and is no matter here.
    monkeypatch.setattr(packing, "_cover", lambda *given: packing.Part("cover.pdf", "application/pdf", b"%PDF-1.7"))
    partner = legal.make_recipient("partner")
    chosen = random.Random(20261126)  # noqa: S311 - the same triples each time
    user, released, wrong = make_customer("carla"), 0, list[str]()
    names = sorted(set(ACTS) - {"close"})
    for number in range(10_000):
        if number % 200 == 0:
            user = make_customer(f"carla{number}")
        made, grant = by_consent(user, lena, partner)
        world = (made, lena, paul, user, grant)
        for name in chosen.choice([(), ("submit",), ("submit", "approve")]):
            attempt(name, *world)
        three = tuple(chosen.choice(names) for _ in range(3))
        answers = at_once(three, world)
        attempt("release", *world)
        wrong += [f"{answers}: {what}" for what in wrong_with(made)]
        released += state_of(made) == Stage.RELEASED
        preparing_end(made, lena)
    print(f"10,000 triples: {released} released, {len(wrong)} wrong")
    assert wrong == []
    assert released > 500


def at_once(names: tuple[str, ...], world: tuple[Any, ...]) -> list[tuple[str, str]]:
    """Return what came of acts that were begun at one moment."""
    start, answers = threading.Barrier(len(names)), list[tuple[str, str]]()

    def run(name: str) -> None:
        try:
            start.wait(10)
            answers.append((name, attempt(name, *world)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == len(names)
    return answers


def preparing_end(disclosure: Disclosure, by: User) -> None:
    disclosure.refresh_from_db()
    if disclosure.state in {*preparing.EDITABLE, Stage.SUBMITTED, Stage.APPROVED}:
        preparing.withdraw(disclosure.pk, by=by, reason="done")


@pytest.mark.parametrize(
    "other", ["withdraw consent", "hold", "send back", "release", "edit", "submit", "approve", "close"]
)
def test_a_release_and_another_act_at_once(other: str, lena: User, paul: User):
    user = make_customer("carla")
    for _ in range(4):
        if other == "close":
            user = make_customer(f"carla{uuid7().hex[-6:]}")
        made, grant = by_consent(user, lena)
        preparing.submit(made.pk, by=lena)
        approve(made, paul)
        world = (made, lena, paul, user, grant)
        answers = at_once(("release", other), world)
        assert wrong_with(made) == [], answers
        if other == "release":
            assert sorted(answer for _, answer in answers) == ["done", "refused"]
        preparing_end(made, lena)
