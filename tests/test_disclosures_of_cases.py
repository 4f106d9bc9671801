"""What an abuse case lets leave: the contact after silence, to that complainant; a counter-notice as signed (P17)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import OutboxMessage
from disclosures import approving, concluding, delivering, judging, packing, preparing, releasing, responding
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    Basis,
    CounterNotice,
    Delivery,
    Disclosure,
    Finding,
    Recipient,
    Stage,
)
from disclosures.preparing import Choice, Ground
from disclosures.refusing import Unsupported
from retention import closing, purge
from tests.abuse import complain, sign_counter, silent, told
from tests.cast import DAY, make_staff
from tests.legal import make_recipient
from tests.test_delivering import link_in_mail
from tests.test_guards_of_disclosures import refused

pytestmark = pytest.mark.usefixtures("committed")
CONTACT, NOTICES = Choice(("contact",)), Choice(("notices",))


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


def prepare(
    case: AbuseCase, by: User, to: Recipient, *, basis: str = Basis.ABUSE_CASE, choice: Choice = CONTACT
) -> Any:
    return preparing.make(
        case.account_id,
        Ground(basis, case=case.pk),
        choice,
        recipient=to.pk,
        purpose="The complainant asks.",
        by=by,
        submission=uuid7(),
    )


def approve(made: Disclosure, by: User) -> None:
    now = timezone.now()
    made.refresh_from_db()
    approving.approve(
        made.pk, by=by, packet_hash=made.packet_hash, reference=made.reference, factor_at=now, note="as asked"
    )


def records(made: Disclosure) -> dict[str, Any]:
    with keyring():
        found = packing.contents(made.packets.latest("number"))
    loaded: dict[str, Any] = json.loads(found["records.json"])["records"]
    return loaded


def case_of(notice: AbuseNotice) -> AbuseCase:
    return AbuseCase.objects.get(pk=notice.case)


def test_after_silence_the_contact_goes_to_that_complainant_and_nothing_else(
    alice: User, dora: User, lena: User, paul: User
):
    case = case_of(silent(alice, dora))
    made = prepare(case, lena, complain(case, dora))
    preparing.submit(made.pk, by=lena)
    assert set(records(made)) == {"accounts.contact", "accounts.address"}
    approve(made, paul)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


@pytest.mark.parametrize("why", ["time", "answered", "receipt", "invalid", "stranger", "unnamed", "closed"])
def test_the_door_is_shut_in_every_other_case(alice: User, dora: User, lena: User, why: str):
    notice = told(alice, dora) if why == "time" else silent(alice, dora)
    case = case_of(notice)
    to = make_recipient("complainant") if why in {"stranger", "unnamed"} else complain(case, dora)
    if why == "stranger":
        complain(case, dora)
    if why == "answered":
        responding.disagree(notice.pk, by=alice, text="It is mine.")
    if why == "receipt":
        responding.acknowledge(notice.pk, by=alice)
    if why == "invalid":
        judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=False, note="The sender denies it.")
    made = prepare(case, lena, to)
    if why == "closed":
        concluding.close(case.pk, "withdrawn", by=dora, reason="Withdrawn.")
    said = {
        "time": "still has time",
        "answered": "answered",
        "receipt": "answered",
        "invalid": "not valid",
        "stranger": "another complainant",
        "unnamed": "another complainant",
        "closed": "closed",
    }[why]
    with pytest.raises(Unsupported, match=said):
        preparing.submit(made.pk, by=lena)


def test_the_door_that_silence_opened_stays_open_while_the_hold_for_the_answer_stands(
    alice: User, dora: User, lena: User
):
    """The account had closed before it was told: at the due date its notice was lost, and the hold held for nothing."""
    case = case_of(silent(alice, dora))
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    purge.ring()
    made = prepare(case, lena, complain(case, dora))
    preparing.submit(made.pk, by=lena)
    assert "accounts.contact" in records(made)


def test_an_answer_after_the_approval_stops_the_release(alice: User, dora: User, lena: User, paul: User):
    notice = silent(alice, dora)
    case = case_of(notice)
    made = prepare(case, lena, complain(case, dora))
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    responding.acknowledge(notice.pk, by=alice)
    with pytest.raises(Unsupported):
        releasing.release(made.pk, by=lena)
    made.refresh_from_db()
    assert made.state == Stage.EXPIRED


def test_nothing_but_the_contact_can_be_chosen(alice: User, dora: User, lena: User):
    case = case_of(silent(alice, dora))
    to = complain(case, dora)
    for choice in (Choice(("contact", "identity")), Choice(("services",)), NOTICES):
        with pytest.raises(NotActionable, match="opens the contact"):
            prepare(case, lena, to, choice=choice)


def test_a_counter_notice_goes_as_it_was_signed_and_both_sides_learn_the_day(
    alice: User, dora: User, lena: User, paul: User
):
    counter = sign_counter(alice, dora)
    case = case_of(counter.notice)
    to = complain(case, dora)
    made = prepare(case, lena, to, basis=Basis.COUNTER_NOTICE, choice=NOTICES)
    preparing.submit(made.pk, by=lena)
    found = records(made)
    assert set(found) == {"disclosures.counternotice", "disclosures.abusenoticeitem"}
    assert found["disclosures.counternotice"][0]["name"] == "Alice Canary"
    assert len(found["disclosures.abusenoticeitem"]) == 2
    with keyring():
        sworn = packing.contents(made.packets.latest("number"))["statements.txt"].decode()
    assert "under penalty of perjury" in sworn and "Alice Canary".casefold() in " ".join(sworn.split()).casefold()
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    counter.refresh_from_db()
    assert counter.forwarded_at is not None
    assert OutboxMessage.objects.filter(event=f"counter:{counter.pk}:forwarded", subject=to.pk).exists()

    again = prepare(case, lena, to, basis=Basis.COUNTER_NOTICE, choice=NOTICES)
    with pytest.raises(Unsupported, match="forwarded already"):
        preparing.submit(again.pk, by=lena)


def test_a_draft_is_forwarded_to_nobody(alice: User, dora: User, lena: User):
    notice = silent(alice, dora)
    from disclosures import countering  # noqa: PLC0415
    from tests.abuse import NAMES  # noqa: PLC0415

    words = countering.Words("own", "Mine.", email="alice@alice.example", **NAMES)
    countering.draft(notice.pk, notice.items.values_list("pk", flat=True), words, by=alice)
    case = case_of(notice)
    made = prepare(case, lena, complain(case, dora), basis=Basis.COUNTER_NOTICE, choice=NOTICES)
    with pytest.raises(NotActionable, match="no signed counter-notice"):
        preparing.submit(made.pk, by=lena)
    assert CounterNotice.objects.get().forwarded_at is None


# ------------------------------------------------------------------------------------------------------- after it


def answers(user: User, dora: User, notice: AbuseNotice) -> None:
    responding.acknowledge(notice.pk, by=user)


def fixes_one_place(user: User, dora: User, notice: AbuseNotice) -> None:
    responding.fix(notice.pk, {notice.items.get(number=1).pk: "It is gone."}, by=user)


def falls(user: User, dora: User, notice: AbuseNotice) -> None:
    concluding.close(notice.case, "withdrawn", by=dora, reason="They wrote so.")


def is_found_untrue(user: User, dora: User, notice: AbuseNotice) -> None:
    judging.find(notice.case, Finding.ACCURATE, by=dora, is_met=False, note="It is another film.")


def leave_open(user: User, dora: User, notice: AbuseNotice) -> None:
    """The control: nothing ends."""


@pytest.mark.parametrize("ends", [answers, fixes_one_place, falls, is_found_untrue, leave_open])
def test_what_ended_after_the_release_gives_no_contact_any_more(
    alice: User, dora: User, lena: User, paul: User, ends: Any
):
    notice = silent(alice, dora)
    case = case_of(notice)
    made = prepare(case, lena, complain(case, dora))
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    sent = delivering.send(made.pk, by=lena, method="passphrase")
    path = link_in_mail(sent.delivery, "complainant")
    assert Client().get(path).status_code == 200, "control: before it, the link gives the file"
    ends(alice, dora, notice)
    row = Delivery.objects.filter(pk=sent.delivery.pk)
    if ends is leave_open:
        assert Client().post(path).status_code == 200
        return
    assert Client().get(path).status_code == 409 and Client().post(path).status_code == 409
    # Around the Python.
    refused(lambda: row.update(opened_at=timezone.now()), "ended since its release")
    assert row.get().opened_at is None


def test_a_forwarded_counter_notice_is_fetched_though_its_signer_answered(
    alice: User, dora: User, lena: User, paul: User
):
    counter = sign_counter(alice, dora)
    case = case_of(counter.notice)
    made = prepare(case, lena, complain(case, dora), basis=Basis.COUNTER_NOTICE, choice=NOTICES)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    path = link_in_mail(delivering.send(made.pk, by=lena, method="passphrase").delivery, "complainant")
    responding.acknowledge(counter.notice_id, by=alice)
    assert Client().get(path).status_code == 200
    falls(alice, dora, counter.notice)
    assert Client().post(path).status_code == 409
