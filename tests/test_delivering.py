"""What happens after a release: the file reaches its recipient once, mistakes are recorded, the bytes end (P12)."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from typing import Any

import pyrage
import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.keys.models import KeyWrap
from accounts.models import ConfidentialItem, User
from accounts.safeguards import ledger, shredding
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import (
    approving,
    compelling,
    consenting,
    delivering,
    destroying,
    incidents,
    informing,
    packing,
    preparing,
    releasing,
)
from disclosures.models import (
    Compulsion,
    Delivery,
    Disclosure,
    LegalNotice,
    LegalRequest,
    NoticeChallenge,
    Packet,
    PacketPart,
    Stage,
)
from disclosures.preparing import Choice, Ground
from disclosures.refusing import Unsupported
from retention import closing, placing, purge, verifying
from tests import legal
from tests.cast import DAY, furnish, make_customer, make_staff
from tests.test_disclosures import approve, by_consent, draft, state_of, told_request
from tests.test_guards_of_disclosures import refused
from tests.test_held_in_part import end_holds
from tests.visiting import words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def alice() -> User:
    return make_customer("alice")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


def released(user: User, lena: User, paul: User, **given: Any) -> Disclosure:
    request = told_request(user, **given)
    made = draft(user, lena, request=request)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    return releasing.release(made.pk, by=lena)


def link_in_mail(delivery: Delivery, whom: str = "authority") -> str:
    mail = OutboxMessage.objects.get(event=f"sealed:delivery:{delivery.pk}")
    assert mail.content["to"].endswith(f"@{whom}.example")
    assert "Alice" not in mail.content["body"]
    found = re.search(r"/delivery/([\w-]+)/", mail.content["body"])
    assert found
    return found[0]


def names_in(archive: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(archive)).namelist())


def test_a_file_for_the_recipients_own_key_by_a_link_that_works_once(alice: User, lena: User, paul: User):
    identity = pyrage.x25519.Identity.generate()
    recipient = legal.make_recipient("authority", age_key=str(identity.to_public()))
    made = released(alice, lena, paul, recipient=recipient)
    delivery = delivering.send(made.pk, by=lena, method="age").delivery
    path, stranger = link_in_mail(delivery), Client()

    assert "Download the file" in words(stranger.get(path))
    assert state_of(made) == Stage.RELEASED, "looking uses nothing up"
    answer = stranger.post(path)
    assert answer["Content-Disposition"].startswith("attachment") and answer.status_code == 200
    archive = pyrage.decrypt(answer.content, [identity])
    assert {"cover.pdf", "records.json", "accounts.person.csv", "manifest.json"} <= names_in(archive)
    manifest = zipfile.ZipFile(io.BytesIO(archive)).read("manifest.json")
    assert hashlib.sha256(manifest).hexdigest() == made.packet_hash, "what was approved names every file"
    assert b"Alice Canary" not in answer.content

    delivery.refresh_from_db()
    assert state_of(made) == Stage.DELIVERED and delivery.opened_at is not None
    assert delivery.opened_ip == "127.0.0.1"
    for again in (stranger.get(path), stranger.post(path), stranger.get("/delivery/unknown/")):
        assert again.status_code == 409
        assert delivering.ENDED.partition(".")[0] in words(again)
    with pytest.raises(NotActionable, match="is delivered"):
        delivering.send(made.pk, by=lena, method="age")


def test_a_passphrase_is_shown_once_and_opens_the_file(alice: User, lena: User, paul: User):
    made = released(alice, lena, paul)
    with pytest.raises(NotActionable, match="no key on file"):
        delivering.send(made.pk, by=lena, method="age")
    sent = delivering.send(made.pk, by=lena, method="passphrase")
    assert sent.passphrase not in OutboxMessage.objects.get(event=f"sealed:delivery:{sent.delivery.pk}").content["body"]
    content = Client().post(link_in_mail(sent.delivery)).content
    assert "records.json" in names_in(pyrage.passphrase.decrypt(content, sent.passphrase))
    with pytest.raises(pyrage.DecryptError):
        pyrage.passphrase.decrypt(content, "another")


def test_a_link_opened_by_many_at_once_gives_the_file_once(alice: User, lena: User, paul: User):
    made = released(alice, lena, paul)
    path = link_in_mail(delivering.send(made.pk, by=lena, method="passphrase").delivery)
    answers: list[int] = []

    def press() -> None:
        try:
            answers.append(Client().post(path).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 409, 409, 409, 409]
    assert LedgerEntry.objects.filter(action="disclosure.opened").count() == 1


def test_a_link_ends_with_its_time(alice: User, lena: User, paul: User):
    made = released(alice, lena, paul)
    delivery = delivering.send(made.pk, by=lena, method="passphrase").delivery
    token = link_in_mail(delivery).split("/")[2]
    assert delivery.link_ends_at is not None
    assert delivering.find(token) is not None
    with pytest.raises(NotActionable, match="gives no file"):
        delivering.open_link(token, ip="", agent="", at=delivery.link_ends_at)


def takes_consent_back(user: User, lena: User, made: Disclosure) -> None:
    assert made.consent is not None
    consenting.withdraw(made.consent, by=user)


def opts_out(user: User, lena: User, made: Disclosure) -> None:
    assert user.account_id is not None
    consenting.note_signal(user.account_id, by=user)


def challenges(user: User, lena: User, made: Disclosure) -> None:
    informing.challenge(LegalNotice.objects.get().pk, text="In the court of Testville.", by=user)


def has_it_quashed(user: User, lena: User, made: Disclosure) -> None:
    challenges(user, lena, made)
    legal.end_challenge(NoticeChallenge.objects.get().pk, NoticeChallenge.Ending.QUASHED)


def sees_it_end(user: User, lena: User, made: Disclosure) -> None:
    LegalRequest.objects.update(closed_at=timezone.now(), closed_by=lena.pk, outcome="withdrawn")


def is_a_mistake(user: User, lena: User, made: Disclosure) -> None:
    incidents.record(made.pk, what="It was for another authority.", by=lena)


ENDS = [(True, takes_consent_back), (True, opts_out), (True, is_a_mistake)]
ENDS += [(False, challenges), (False, has_it_quashed), (False, sees_it_end), (False, is_a_mistake)]


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
@pytest.mark.parametrize(("by_grant", "ends"), ENDS)
def test_what_ended_after_the_release_gives_no_file_any_more(
    alice: User, lena: User, paul: User, by_grant: bool, ends: Any, is_sent: bool
):
    """The customer was told that nothing is given from then on, and staff that it was a mistake: both must be true."""
    if by_grant:
        made, _grant = by_consent(alice, lena)
        preparing.submit(made.pk, by=lena)
        approve(made, paul)
        releasing.release(made.pk, by=lena)
    else:
        made = released(alice, lena, paul)
    made.refresh_from_db()
    if not is_sent:
        ends(alice, lena, made)
        with pytest.raises(NotActionable, match="Nothing was sent"):
            delivering.send(made.pk, by=lena, method="passphrase")
        assert not Delivery.objects.exists() and not PacketPart.objects.filter(name="delivery").exists()
        return
    sent = delivering.send(made.pk, by=lena, method="passphrase")
    path = link_in_mail(sent.delivery, "partner" if by_grant else "authority")
    assert Client().get(path).status_code == 200, "control: before it, the link gives the file"
    ends(alice, lena, made)
    assert Client().get(path).status_code == 409
    assert Client().post(path).status_code == 409
    # Around the Python.
    refused(lambda: Delivery.objects.update(opened_at=timezone.now()), "ended since its release")
    assert state_of(made) == Stage.RELEASED and Delivery.objects.get().opened_at is None


def test_a_challenge_pauses_a_link_and_a_fulfilled_request_does_not(alice: User, lena: User, paul: User):
    made = released(alice, lena, paul)
    path = link_in_mail(delivering.send(made.pk, by=lena, method="passphrase").delivery)
    challenges(alice, lena, made)
    assert Client().get(path).status_code == 409
    informing.end_challenge(NoticeChallenge.objects.get().pk, NoticeChallenge.Ending.GIVEN_UP, by=alice)
    LegalRequest.objects.update(closed_at=timezone.now(), closed_by=lena.pk, outcome="fulfilled")
    assert Client().post(path).status_code == 200


def test_handed_over_is_recorded(alice: User, lena: User, paul: User, sam: User):
    made = released(alice, lena, paul)
    with pytest.raises(PermissionDenied):
        delivering.hand_over(made.pk, by=sam, to="The clerk")
    with pytest.raises(NotActionable, match="to whom"):
        delivering.hand_over(made.pk, by=lena, to=" ")
    delivering.hand_over(made.pk, by=lena, to="The clerk of the court")
    assert state_of(made) == Stage.DELIVERED


# ------------------------------------------------------------------------------------------------- mistakes


def test_a_mistaken_release_becomes_an_incident_with_its_clock(alice: User, lena: User, paul: User):
    made = draft(alice, lena)
    with pytest.raises(NotActionable, match="withdraw it instead"):
        incidents.record(made.pk, what="To the wrong one.", by=lena)
    made = released(alice, lena, paul)
    incident = incidents.record(made.pk, what="It went to the wrong authority.", by=lena)
    assert incident.act_by - incident.found_at == 3 * DAY
    with pytest.raises(NotActionable, match="It is not recorded that the recipient was asked"):
        incidents.close(incident.pk, closing_note="", by=paul)
    incidents.note(incident.pk, "recall", by=lena)
    incidents.note(incident.pk, "customer", by=lena)
    closed = incidents.close(incident.pk, closing_note="They destroyed it.", by=paul)
    assert closed.closed_at is not None
    with pytest.raises(NotActionable, match="is closed"):
        incidents.note(incident.pk, "authority", by=lena)
    with pytest.raises(NotActionable, match="these steps"):
        incidents.note(incident.pk, "nothing", by=lena)


# ------------------------------------------------------------------------------------------------- compelled


def test_a_court_compels_item_by_item_with_two_people(lena: User, paul: User):
    user = furnish(make_customer("carla"))
    items = tuple(ConfidentialItem.objects.values_list("pk", flat=True))
    subpoena = told_request(user, categories=["confidential"])
    with pytest.raises(NotActionable, match="objection letter"):
        compelling.record(subpoena.pk, user.account_id, "confidential", reason="It says so.", by=lena, items=items)
    warrant = told_request(user, instrument="search_warrant", categories=["confidential"])
    with pytest.raises(NotActionable, match="Name each"):
        compelling.record(warrant.pk, user.account_id, "confidential", reason="Page 3.", by=lena, items=[uuid7()])
    with pytest.raises(PermissionDenied):
        compelling.record(warrant.pk, user.account_id, "confidential", reason="Page 3.", by=paul, items=items)
    row = compelling.record(warrant.pk, user.account_id, "confidential", reason="Page 3.", by=lena, items=items)

    made = draft(user, lena, Choice(("confidential",), items=items), warrant)
    with pytest.raises(Unsupported, match="no compulsion"):
        preparing.submit(made.pk, by=lena)
    with pytest.raises(PermissionDenied):
        compelling.confirm(row.pk, by=lena)
    compelling.confirm(row.pk, by=paul)
    assert Compulsion.objects.get().confirmed_by == paul.pk
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    assert releasing.release(made.pk, by=lena).state == Stage.RELEASED


# ------------------------------------------------------------------------------------------------- the end of the bytes


def test_the_bytes_go_after_their_time_and_the_key_in_a_later_transaction(alice: User, lena: User, paul: User):
    made = released(alice, lena, paul)
    delivering.hand_over(made.pk, by=lena, to="The clerk")
    packet = Packet.objects.get()
    later = timezone.now() + 31 * DAY
    assert destroying.destroy_due() == 0
    assert destroying.destroy_due(later) == 1
    assert destroying.destroy_due(later) == 0

    packet.refresh_from_db()
    assert packet.destroyed_at is not None and packet.manifest["rows"] == packet.rows > 0
    assert not packet.parts.exclude(content=None).exists()
    with keyring(), pytest.raises(NotActionable, match="destroyed"):
        packing.contents(packet)
    assert KeyWrap.objects.filter(key__subject=packet.pk).exists()
    assert shredding.destroy(shredding.pending(), lambda orders: None) == 1
    assert not KeyWrap.objects.filter(key__subject=packet.pk).exists()


def test_a_hold_keeps_the_bytes(alice: User, lena: User, paul: User, owner: Any):
    made = released(alice, lena, paul)
    delivering.hand_over(made.pk, by=lena, to="The clerk")
    placing.place(alice.account_id, "legal", by="system")
    later = timezone.now() + 31 * DAY
    assert destroying.destroy_due(later) == 0
    assert Packet.objects.get().parts.exclude(content=None).exists()
    # Control: the hold ends, and they go.
    end_holds(owner)
    assert destroying.destroy_due(later) == 1


def test_what_is_still_needed_stays_and_what_was_given_up_goes(alice: User, lena: User, paul: User):
    waits, given_up = draft(alice, lena), draft(alice, lena)
    for made in (waits, given_up):
        preparing.submit(made.pk, by=lena)
    approving.refuse(given_up.pk, by=paul, reason="Too much.")
    later = timezone.now() + 31 * DAY
    assert destroying.destroy_due(later) == 1
    assert Packet.objects.get(disclosure=waits).destroyed_at is None
    assert Packet.objects.get(disclosure=given_up).destroyed_at is not None


def test_the_time_of_the_bytes_runs_from_the_end_of_their_disclosure(alice: User, lena: User, paul: User):
    """Not from when they were made: what came back and was submitted again needs its newest packet only."""
    made = draft(alice, lena)
    preparing.submit(made.pk, by=lena)
    begun = timezone.now()
    approving.send_back(made.pk, by=paul, reason="Less.", at=begun + 20 * DAY)
    assert destroying.due(begun + 31 * DAY) == []
    assert destroying.due(begun + 51 * DAY) == [made.packets.get().pk]
    preparing.submit(made.pk, by=lena, at=begun + 25 * DAY)
    first, second = made.packets.order_by("number")
    assert destroying.due(begun + 54 * DAY) == []
    assert destroying.due(begun + 56 * DAY) == [first.pk]
    assert destroying.due(begun + 400 * DAY) == [first.pk], "the newest waits for its approval"
    preparing.withdraw(made.pk, by=lena, reason="Settled.", at=begun + 60 * DAY)
    assert second.pk not in destroying.due(begun + 89 * DAY)
    assert second.pk in destroying.due(begun + 91 * DAY)


def test_what_nobody_fetched_ends_some_time_after_its_link(alice: User, lena: User, paul: User, owner: Any):
    made = released(alice, lena, paul)
    assert destroying.due(timezone.now() + 400 * DAY) == [], "released, and not sent yet: somebody has it to do"
    delivery = delivering.send(made.pk, by=lena, method="passphrase").delivery
    assert delivery.link_ends_at is not None
    assert destroying.due(delivery.link_ends_at + 29 * DAY) == []
    later = delivery.link_ends_at + 31 * DAY
    assert destroying.due(later) == [Packet.objects.get().pk]
    assert destroying.destroy_due(later) == 0, "by the clock of the database the link still works"
    owner.execute("ALTER TABLE disclosures_delivery DISABLE TRIGGER z_guard_delivery")
    owner.execute("UPDATE disclosures_delivery SET link_ends_at = now() - interval '31 days'")
    owner.execute("ALTER TABLE disclosures_delivery ENABLE ALWAYS TRIGGER z_guard_delivery")
    assert destroying.destroy_due() == 1
    assert not PacketPart.objects.exclude(content=None).exists()


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
def test_with_the_account_go_the_bytes_nobody_fetched(lena: User, paul: User, is_sent: bool):
    user = make_customer("carla")
    made, _grant = by_consent(user, lena)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    if is_sent:
        path = link_in_mail(delivering.send(made.pk, by=lena, method="passphrase").delivery, "partner")
    assert user.account_id is not None
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 60 * DAY)
    assert destroying.destroy_due() == 0
    purge.erase([user.account_id])
    purge.shred()
    verifying.verify(timezone.now() + DAY)
    assert destroying.destroy_due() == 1
    assert not PacketPart.objects.exclude(content=None).exists()
    if is_sent:
        assert Client().post(path).status_code == 409, "no empty file is given"
        assert state_of(made) == Stage.RELEASED


@pytest.mark.parametrize("step", ["parts", "packet", "key", "ledger"])
def test_a_crash_between_the_steps_of_the_end_leaves_all_or_nothing(
    alice: User, lena: User, paul: User, step: str, monkeypatch: pytest.MonkeyPatch
):
    made = released(alice, lena, paul)
    delivering.hand_over(made.pk, by=lena, to="The clerk")
    later = timezone.now() + 31 * DAY
    where, name = {
        "parts": (PacketPart.objects.none().__class__, "update"),
        "packet": (Packet.objects.none().__class__, "update"),
        "key": (shredding, "order"),
        "ledger": (ledger, "record"),
    }[step]
    whole = getattr(where, name)

    def dies(*given: Any, **facts: Any) -> Any:
        if step in {"parts", "packet"}:
            whole(*given, **facts)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(where, name, dies)
        with pytest.raises(KeyboardInterrupt):
            destroying.destroy_due(later)
    packet = Packet.objects.get()
    assert packet.destroyed_at is None
    with keyring():
        assert packing.contents(packet)["records.json"]
    assert shredding.pending() == []

    assert destroying.destroy_due(later) == 1
    assert len(shredding.pending()) == 1
    assert LedgerEntry.objects.filter(action="packet.destroyed").count() == 1


def test_a_counter_notice_goes_as_it_was_signed_or_not_at_all(alice: User, lena: User):
    with pytest.raises(NotActionable, match="goes as it was signed"):
        preparing.make(
            alice.account_id, Ground("counter_notice", case=uuid7()), Choice(("contact",)),
            recipient=legal.make_recipient("complainant").pk, purpose="x", by=lena, submission=uuid7(),
        )  # fmt: skip
