"""The database refuses a disclosure that must not be, whoever writes (P12-P16, P20, P29, P30)."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import Error, transaction
from django.utils import timezone

from accounts.datamap import Purpose
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Correspondence, Restriction, User
from disclosures.models import (
    AggregateTable,
    Approval,
    Compulsion,
    ConsentGrant,
    Delivery,
    Disclosure,
    LegalNotice,
    LegalRequest,
    NoticeChallenge,
    Packet,
    PacketPart,
    Recipient,
    Silence,
)
from retention import placing
from tests import legal
from tests.cast import make_customer, make_staff

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def alice() -> User:
    return make_customer("alice")


@pytest.fixture
def maker() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def checker() -> User:
    return make_staff("paul", "privacy_officer")


def drafted(user: User, maker: User, **given: Any) -> Disclosure:
    """Return a draft about the user's account, by a subpoena that was told and waited for unless given otherwise."""
    facts: dict[str, Any] = {
        "account": user.account,
        "basis": "legal_request",
        "categories": ["identity"],
        "purpose": "to answer",
        "submission": uuid7(),
        "made_by": maker.pk,
        "made_at": timezone.now(),
    } | given
    if "recipient" not in facts:
        request = facts.get("legal_request") or legal.make_request(user.account)
        legal.tell(request, user.account)
        facts |= {"legal_request": request, "recipient": request.recipient}
    with keyring():
        return Disclosure.objects.create(**facts)


def packed(disclosure: Disclosure) -> Packet:
    """Give a draft its next packet, of one part."""
    number = disclosure.packets.count() + 1
    content = json.dumps({"n": number}).encode()
    disclosure.refresh_from_db()
    manifest: dict[str, Any] = {
        "disclosure": disclosure.reference,
        "version": disclosure.version,
        "parts": [{"name": "records.json", "sha256": hashlib.sha256(content).hexdigest()}],
        "n": number,
    }
    with keyring():
        packet = Packet.objects.create(
            disclosure=disclosure,
            account_id=disclosure.account_id,
            number=number,
            sha256=hashlib.sha256(json.dumps(manifest).encode()).hexdigest(),
            manifest=manifest,
            rows=1,
            made_by=disclosure.made_by,
            made_at=timezone.now(),
        )
        PacketPart.objects.create(
            packet=packet,
            name="records.json",
            media_type="application/json",
            size=len(content),
            sha256=manifest["parts"][0]["sha256"],
            content=content,
        )
    return packet


def submit(disclosure: Disclosure, packet: Packet | None = None, **given: Any) -> None:
    """Submit a draft by SQL."""
    packet = packet or packed(disclosure)
    facts: dict[str, Any] = {"state": "submitted", "packet_hash": packet.sha256, "submitted_at": timezone.now()}
    facts |= {"assumed_recipient": Recipient.objects.values_list("version", flat=True).get(pk=disclosure.recipient_id)}
    if disclosure.account is not None:
        disclosure.account.refresh_from_db()
        facts |= {"assumed_state": disclosure.account.state, "assumed_epoch": disclosure.account.hold_epoch}
    Disclosure.objects.filter(pk=disclosure.pk).update(**(facts | given))
    disclosure.refresh_from_db()


def approve(disclosure: Disclosure, checker: User, **given: Any) -> Approval:
    """Approve a submitted disclosure by SQL."""
    now = timezone.now()
    facts: dict[str, Any] = {
        "packet_hash": disclosure.packet_hash,
        "prepared_by": disclosure.made_by,
        "approved_by": checker.pk,
        "approved_at": now,
        "factor_at": now,
        "ends_at": now + 24 * HOUR,
        "note": "as asked",
    }
    with keyring():
        approval = Approval.objects.create(disclosure=disclosure, **(facts | given))
    Disclosure.objects.filter(pk=disclosure.pk).update(state="approved")
    return approval


def release(disclosure: Disclosure) -> None:
    """Release an approved disclosure by SQL."""
    Disclosure.objects.filter(pk=disclosure.pk).update(
        state="released", released_at=timezone.now(), released_by=uuid4()
    )
    disclosure.refresh_from_db()


def refused(act: Callable[[], Any], match: str = "") -> None:
    """Assert that the database refuses `act`, and undo what it did before."""
    with pytest.raises(Error, match=match or None) as refusal, transaction.atomic():
        act()
    # By a guard, a constraint or a missing right: a mistake in the SQL of a guard refuses too.
    cause = refusal.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert (cause.sqlstate or "")[:2] in {"PH", "23"} or cause.sqlstate == "42501", refusal.value


def test_the_whole_way_passes(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    submit(disclosure)
    approve(disclosure, checker)
    release(disclosure)
    Delivery.objects.create(
        disclosure=disclosure, method="hand", made_by=maker.pk, made_at=timezone.now(), handed_to="clerk"
    )
    Disclosure.objects.filter(pk=disclosure.pk).update(state="delivered", delivered_at=timezone.now())
    refused(lambda: Disclosure.objects.filter(pk=disclosure.pk).update(categories=["contact"]))
    refused(lambda: Disclosure.objects.filter(pk=disclosure.pk)._raw_delete("default"))


def test_no_release_without_two_people_and_that_packet(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    submit(disclosure)
    refused(lambda: release(disclosure), "cannot go from submitted")
    refused(lambda: Disclosure.objects.filter(pk=disclosure.pk).update(state="approved"), "another person")
    refused(lambda: approve(disclosure, maker))
    refused(lambda: approve(disclosure, checker, prepared_by=uuid4()), "did not prepare it")
    refused(lambda: approve(disclosure, checker, packet_hash="0" * 64), "submitted packet")
    refused(lambda: approve(disclosure, checker, approved_by=alice.pk), "member of staff")
    refused(lambda: approve(disclosure, checker, factor_at=timezone.now() - HOUR), "second factor")
    refused(lambda: approve(disclosure, checker, ends_at=timezone.now() + 25 * HOUR))

    approval = approve(disclosure, checker)
    approval_row = Approval.objects.filter(pk=approval.pk)
    refused(lambda: approval_row.update(ends_at=timezone.now() + 23 * HOUR), "stays as it was given")
    approval_row.update(voided_at=timezone.now(), voided_why="edited")
    refused(lambda: release(disclosure), "no approval")


def test_an_edit_is_another_version_of_a_draft_only(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    row = Disclosure.objects.filter(pk=disclosure.pk)
    refused(lambda: row.update(categories=["contact"]), "one version up")
    row.update(categories=["contact"], version=2)
    submit(disclosure)
    refused(lambda: row.update(categories=["identity"], version=3), "stays as it is")
    row.update(state="returned", ended_at=timezone.now())
    refused(lambda: submit(disclosure, packet=None, packet_hash="0" * 64), "no such packet")
    refused(lambda: row.update(state="released", released_at=timezone.now(), released_by=uuid4()), "cannot go from")


def test_what_changed_on_the_account_voids_it(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    submit(disclosure)
    approve(disclosure, checker)
    with transaction.atomic():
        placing.place_within(alice.account_id, "legal", by="system")
    refused(lambda: release(disclosure), "not as it was")


BASES: dict[str, tuple[dict[str, Any], str]] = {
    "category not asked": ({"categories": ["tickets"]}, ""),
    "beyond the request": ({"categories": ["orders"]}, "beyond the request"),
    "business by subpoena": ({"categories": ["business"]}, "only a court compels"),
    "confidence by subpoena": ({"categories": ["confidential"]}, "only a court compels"),
    "credentials": ({"categories": ["credentials"]}, ""),
    "a sale": ({"consideration": "paid"}, ""),
    "two bases": ({"consent": uuid4()}, ""),
    "an aggregate of one account": ({"basis": "aggregate"}, ""),
    "a case that is in no register": ({"basis": "abuse_case"}, ""),
}


@pytest.mark.parametrize("case", BASES)
def test_no_disclosure_beyond_its_basis(case: str, alice: User, maker: User) -> None:
    given, match = BASES[case]
    every = ["identity", "business", "confidential"]
    request = legal.make_request(alice.account, categories=every)

    def try_it() -> None:
        submit(drafted(alice, maker, legal_request=request, **given))

    refused(try_it, match)
    submit(drafted(alice, maker, legal_request=request))


def spoil_verified(request: LegalRequest) -> None:
    LegalRequest.objects.filter(pk=request.pk).update(closed_at=timezone.now(), closed_by=uuid4(), outcome="quashed")


def spoil_objected(request: LegalRequest) -> None:
    LegalRequest.objects.filter(pk=request.pk).update(objected_at=timezone.now(), objected_by=uuid4())


def spoil_challenged(request: LegalRequest) -> None:
    notice = request.notices.get()
    with keyring():
        NoticeChallenge.objects.create(
            account=notice.account, notice=notice.pk, text="No", made_by=uuid4(), made_at=timezone.now()
        )


def spoil_recipient(request: LegalRequest) -> None:
    Recipient.objects.filter(pk=request.recipient_id).update(closed_at=timezone.now(), closed_by=uuid4())


@pytest.mark.parametrize("spoil", [spoil_verified, spoil_objected, spoil_challenged, spoil_recipient])
def test_a_basis_that_ended_releases_nothing(
    spoil: Callable[[LegalRequest], None], alice: User, maker: User, checker: User
) -> None:
    request = legal.make_request(alice.account)
    disclosure = drafted(alice, maker, legal_request=request)
    submit(disclosure)
    approve(disclosure, checker)
    spoil(request)
    refused(lambda: release(disclosure), str(disclosure.pk))


def test_the_customer_is_told_first_or_silence_stands(alice: User, maker: User, checker: User) -> None:
    request = legal.make_request(alice.account)
    disclosure = drafted(alice, maker, legal_request=request, recipient=request.recipient, basis="legal_request")
    submit(disclosure)
    approve(disclosure, checker)
    refused(lambda: release(disclosure), "no order of silence")
    legal.silence(request, starts_at=timezone.now() - 40 * legal.DAY, ends_at=timezone.now() - legal.DAY)
    refused(lambda: release(disclosure), "no order of silence")
    legal.owe_notice(request, alice.account)
    legal.tell(request, alice.account, waited=False)
    refused(lambda: release(disclosure), "has time until then")


def test_silence_that_stands_needs_no_notice(alice: User, maker: User, checker: User) -> None:
    request = legal.make_request(alice.account)
    disclosure = drafted(alice, maker, legal_request=request, recipient=request.recipient)
    legal.silence(request)
    submit(disclosure)
    approve(disclosure, checker)
    release(disclosure)


def test_silence_by_our_own_choice_lets_nothing_leave(alice: User, maker: User, checker: User) -> None:
    request = legal.make_request(alice.account)
    disclosure = drafted(alice, maker, legal_request=request, recipient=request.recipient)
    legal.silence(request, ground="choice", ends_at=timezone.now() + 40 * legal.DAY)
    submit(disclosure)
    approve(disclosure, checker)
    refused(lambda: release(disclosure), "no order of silence stands")


@pytest.fixture
def shared(alice: User, maker: User) -> tuple[ConsentGrant, Disclosure]:
    partner = legal.make_recipient("partner")
    grant = legal.consent(alice.account, partner, categories=["contact", "business"])
    given = {"basis": "consent", "consent": grant.pk, "recipient": partner, "categories": ["contact", "business"]}
    return grant, drafted(alice, maker, **given)


def test_consent_carries_what_it_names(shared: tuple[ConsentGrant, Disclosure], checker: User) -> None:
    _, disclosure = shared
    submit(disclosure)
    approve(disclosure, checker)
    release(disclosure)


def test_consent_taken_back_carries_nothing(
    shared: tuple[ConsentGrant, Disclosure], checker: User, alice: User
) -> None:
    grant, disclosure = shared
    submit(disclosure)
    approve(disclosure, checker)
    ConsentGrant.objects.filter(pk=grant.pk).update(
        withdrawn_at=timezone.now(), withdrawn_by="user:x", withdrawn_how="portal"
    )
    refused(lambda: release(disclosure), "no consent stands")
    refused(lambda: ConsentGrant.objects.filter(pk=grant.pk).update(withdrawn_at=None), "")


def test_an_opt_out_of_sharing_ends_what_was_agreed_before(
    shared: tuple[ConsentGrant, Disclosure], checker: User, alice: User
) -> None:
    _, disclosure = shared
    submit(disclosure)
    approve(disclosure, checker)
    Restriction.objects.create(
        account=alice.account, purpose=Purpose.SHARING, ground=Restriction.Ground.OPT_OUT, since=timezone.now()
    )
    refused(lambda: release(disclosure), "opted out")


def test_a_court_compels_item_by_item_with_two_people(alice: User, maker: User, checker: User) -> None:
    items = [uuid4(), uuid4()]
    request = legal.make_request(alice.account, instrument="search_warrant", categories=["confidential", "business"])
    with keyring():
        compulsion = Compulsion.objects.create(
            legal_request=request,
            account=alice.account,
            category="confidential",
            items=items,
            reason="the warrant names them",
            recorded_by=maker.pk,
            recorded_at=timezone.now(),
        )
    given: dict[str, Any] = {"legal_request": request, "categories": ["confidential"]}
    refused(lambda: submit(drafted(alice, maker, **given, items=items)), "no compulsion")
    row = Compulsion.objects.filter(pk=compulsion.pk)
    refused(lambda: row.update(confirmed_by=maker.pk, confirmed_at=timezone.now()))
    row.update(confirmed_by=checker.pk, confirmed_at=timezone.now())
    refused(lambda: submit(drafted(alice, maker, **given, items=[*items, uuid4()])), "no compulsion")
    refused(lambda: submit(drafted(alice, maker, **given)), "no compulsion")
    submit(drafted(alice, maker, **given, items=items[:1]))


def test_a_subpoena_compels_nothing_of_the_kind(alice: User, maker: User) -> None:
    request = legal.make_request(alice.account, categories=["business"])
    facts: dict[str, Any] = {"reason": "it says so", "recorded_by": maker.pk, "recorded_at": timezone.now()}

    def record() -> None:
        with keyring():
            Compulsion.objects.create(legal_request=request, account=alice.account, category="business", **facts)

    refused(record, "only a court compels")


def test_a_government_body_gets_nothing_without_its_process(alice: User, maker: User) -> None:
    table = AggregateTable.objects.create(
        query="services", period="2026-Q3", rows=[], sha256="0" * 64, made_by=uuid4(), made_at=timezone.now()
    )
    given: dict[str, Any] = {"basis": "aggregate", "aggregate": table, "account": None, "categories": []}
    refused(
        lambda: submit(drafted(alice, maker, **given, recipient=legal.make_recipient("authority"))), "government body"
    )
    submit(drafted(alice, maker, **given, recipient=legal.make_recipient("partner")))


def test_a_packet_goes_by_its_order_only(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    packet = packed(disclosure)
    submit(disclosure, packet)
    parts, row = PacketPart.objects.filter(packet=packet), Packet.objects.filter(pk=packet.pk)
    refused(lambda: parts.update(content=None), "still needed")
    refused(lambda: row.update(destroyed_at=timezone.now()), "still has its bytes")
    refused(lambda: row.update(manifest={}), "stays as it was made")
    refused(lambda: parts._raw_delete("default"))
    Disclosure.objects.filter(pk=disclosure.pk).update(state="withdrawn", ended_at=timezone.now())
    with transaction.atomic():
        hold = placing.place_within(alice.account_id, "provisional", by="system")
    refused(lambda: parts.update(content=None), "governed")
    assert hold.pk


# ------------------------------------------------------------------------------------- what one person tried by SQL


@pytest.fixture
def figures() -> Callable[[str], AggregateTable]:
    def made(query: str) -> AggregateTable:
        return AggregateTable.objects.create(
            query=query, period="2026-Q3", rows=[], sha256="0" * 64, made_by=uuid4(), made_at=timezone.now()
        )

    return made


def approved_figures(
    maker: User, checker: User, table: AggregateTable, recipient: Recipient
) -> tuple[Disclosure, Packet]:
    """Return an approved disclosure of figures with its packet."""
    given: dict[str, Any] = {"basis": "aggregate", "aggregate": table, "account": None, "categories": []}
    with keyring():
        disclosure = Disclosure.objects.create(
            **given, recipient=recipient, purpose="x", submission=uuid7(), made_by=maker.pk, made_at=timezone.now()
        )
    packet = packed(disclosure)
    submit(disclosure, packet)
    approve(disclosure, checker)
    return disclosure, packet


def test_an_approval_ends_with_the_way_it_was_given_on(
    maker: User, checker: User, figures: Callable[[str], AggregateTable]
) -> None:
    one, other = legal.make_recipient("partner"), legal.make_recipient("partner")
    disclosure, packet = approved_figures(maker, checker, figures("services"), one)
    row = Disclosure.objects.filter(pk=disclosure.pk)
    row.update(state="returned", ended_at=timezone.now())
    approval = Approval.objects.get(disclosure=disclosure)
    assert approval.voided_at is not None and approval.voided_why == "returned"
    row.update(recipient=other, aggregate=figures("services2"), version=2)
    again = {"state": "submitted", "submitted_at": timezone.now(), "assumed_recipient": other.version}
    refused(lambda: row.update(**again), "packet of its own")
    newer = packed(disclosure)
    row.update(**again, packet_hash=newer.sha256)
    refused(lambda: row.update(state="approved"), "no approval of this packet")
    refused(lambda: row.update(**again, packet_hash=packet.sha256))


def test_no_two_packets_have_one_hash(maker: User, checker: User, figures: Callable[[str], AggregateTable]) -> None:
    disclosure, packet = approved_figures(maker, checker, figures("services"), legal.make_recipient("partner"))
    Disclosure.objects.filter(pk=disclosure.pk).update(state="returned", ended_at=timezone.now())

    def copy() -> None:
        with keyring():
            Packet.objects.create(
                disclosure=disclosure,
                account_id=None,
                number=2,
                sha256=packet.sha256,
                manifest={"x": 1},
                rows=9,
                made_by=disclosure.made_by,
                made_at=timezone.now(),
            )

    refused(copy, "packet_hash_once")


def test_a_packet_is_of_what_stands_there_when_it_is_submitted(alice: User, maker: User) -> None:
    disclosure = drafted(alice, maker, categories=["identity", "contact"])
    packet = packed(disclosure)
    Disclosure.objects.filter(pk=disclosure.pk).update(categories=["identity"], version=2)
    refused(lambda: submit(disclosure, packet), "changed since its packet")
    submit(disclosure, packed(disclosure))


@pytest.mark.parametrize("hours", [20, 1])
def test_an_approval_and_a_release_are_of_now(alice: User, maker: User, checker: User, hours: int) -> None:
    disclosure = drafted(alice, maker)
    submit(disclosure)
    before = timezone.now() - hours * HOUR
    refused(
        lambda: approve(disclosure, checker, approved_at=before, factor_at=before, ends_at=before + 23 * HOUR),
        "begins now",
    )
    approve(disclosure, checker)
    row = Disclosure.objects.filter(pk=disclosure.pk)
    refused(lambda: row.update(state="released", released_at=before, released_by=uuid4()), "released now")
    release(disclosure)


def sent(notice: LegalNotice, **given: Any) -> None:
    """Mark a notice as sent by SQL."""
    now = timezone.now()
    LegalNotice.objects.filter(pk=notice.pk).update(**({"sent_at": now, "release_from": now + 7 * 24 * HOUR} | given))


def test_told_takes_a_letter_a_week_or_a_reason_and_no_silence(alice: User) -> None:
    request = legal.make_request(alice.account)
    now = timezone.now()
    refused(
        lambda: LegalNotice.objects.create(
            request=request, account=alice.account, owed_since=now, sent_at=now, release_from=now
        ),
        "owed first",
    )
    notice = legal.owe_notice(request, alice.account)
    letter = Correspondence.objects.filter(account=alice.account).first()
    if letter is None:
        with keyring():
            letter = Correspondence.objects.create(
                account=alice.account, event="x", subject="x", body="x", created_at=now
            )
    refused(lambda: sent(notice), "no letter")
    refused(lambda: sent(notice, letter=uuid4()), "no letter")
    refused(lambda: sent(notice, letter=letter.pk, release_from=now + HOUR), "no time and no reason")
    refused(lambda: sent(notice, letter=letter.pk, sent_at=now - 8 * 24 * HOUR), "sent now")
    order = legal.silence(request)
    refused(lambda: sent(notice, letter=letter.pk), "silence stands")
    Silence.objects.filter(pk=order.pk).update(lifted_at=now, lifted_by=uuid4())
    sent(notice, letter=letter.pk)
    refused(lambda: sent(notice, letter=letter.pk, release_from=now), "stays|recorded")


def test_silence_stands_on_a_paper_of_its_own_request(alice: User) -> None:
    request, other = legal.make_request(alice.account), legal.make_request(alice.account)
    refused(lambda: legal.silence(request, document=legal.attach(other)), "paper of another")
    legal.silence(request, document=legal.attach(request))


def test_no_consent_begins_in_the_future(alice: User) -> None:
    later = timezone.now() + 900 * HOUR
    partner = legal.make_recipient("partner")
    refused(
        lambda: legal.consent(alice.account, partner, given_at=later, expires_at=later + HOUR), "not later than now"
    )


def test_a_challenge_that_runs_or_was_granted_is_not_deleted(alice: User, maker: User, checker: User) -> None:
    request = legal.make_request(alice.account)
    drafted(alice, maker, legal_request=request)
    spoil_challenged(request)
    rows = NoticeChallenge.objects.filter(account=alice.account)
    refused(lambda: rows._raw_delete("default"), "runs, or was granted")
    rows.update(ended_at=timezone.now(), ended_by=uuid4(), ended_how="upheld")
    rows._raw_delete("default")


def test_a_link_that_is_over_is_not_opened_earlier(alice: User, maker: User, checker: User) -> None:
    disclosure = drafted(alice, maker)
    submit(disclosure)
    approve(disclosure, checker)
    release(disclosure)
    now = timezone.now()
    made = Delivery.objects.create(
        disclosure=disclosure,
        method="age",
        made_by=maker.pk,
        made_at=now - 90 * 24 * HOUR,
        link_digest=b"x" * 32,
        link_ends_at=now - HOUR,
    )
    refused(lambda: Delivery.objects.filter(pk=made.pk).update(opened_at=now - 2 * HOUR), "happened once")


def test_when_it_was_served_and_due_stands_once_verified(alice: User) -> None:
    request = legal.make_request(alice.account)
    row = LegalRequest.objects.filter(pk=request.pk)
    refused(lambda: row.update(served_at=timezone.now() - 9000 * HOUR), "only be narrowed")
    refused(lambda: row.update(due_at=timezone.now()), "only be narrowed")
    row.update(agreed_due_at=timezone.now() + 40 * 24 * HOUR)
