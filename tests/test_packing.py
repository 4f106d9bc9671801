"""A packet holds what its ground reaches and nothing else: by a search of its bytes for words (P16, P29, P30)."""

from __future__ import annotations

import io
import json
import re
import resource
import time
from typing import Any
from uuid import UUID

import pikepdf
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import datamap
from accounts.datamap import Category
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Address, ConfidentialItem, Contact, Correspondence, User
from accounts.safeguards.fields import SealedBytes, SealedField, SealedJSON
from disclosures import packing, reach, registering
from disclosures.models import AggregateTable, Disclosure, NoticeChallenge, NoticeCopy, Packet, PacketPart, Recipient
from tests import legal
from tests.cast import DAY, furnish, make_customer, make_staff, sign_in_from

pytestmark = pytest.mark.django_db
ALL = [category.value for category in Category if category not in {Category.CREDENTIALS, Category.LEGAL}]
# Values whose form is fixed: they cannot carry a word.
FIXED = {"ip", "withdrawn_ip", "last_four", "expiry", "country", "phone", "postcode", "networks", "address", "network"}


@pytest.fixture
def maker() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def alice() -> User:
    """Return a customer with a word of its own in every personal field that can carry one."""
    user = furnish(make_customer("alice"))
    with keyring():
        for model in datamap.governed():
            for row in datamap.rows(model, [user.account_id]):
                plant(row)
    return user


def word_of(row: Any, name: str) -> str:
    return f"canary-{row._meta.model_name}-{name.replace('_', '-')}-end"


def plant(row: Any) -> None:
    for each in row._meta.fields:
        if not isinstance(each, SealedField) or each.name in FIXED:
            continue
        word = word_of(row, each.name)
        value: Any = word
        if isinstance(each, SealedBytes):
            value = word.encode()
        elif isinstance(each, SealedJSON):
            value = {"note": word}
        elif "email" in each.name or each.name == "value":
            value = f"{word}@canary.example"
        elif each.max_length is not None and each.max_length < len(word):
            continue
        setattr(row, each.name, value)
    row.save()


def planted() -> dict[str, str]:
    """Return the word of every field of the table of reach, by its key."""
    return {field.key: word_of(field.model(), field.name) for field in reach.fields()}


def packed(user: User, maker: User, **given: Any) -> Packet:
    """Return the packet of a new disclosure about the user's account."""
    facts: dict[str, Any] = {
        "account": user.account,
        "basis": "legal_request",
        "categories": ALL,
        "purpose": "as asked",
        "submission": uuid7(),
        "made_by": maker.pk,
        "made_at": timezone.now(),
    } | given
    if "recipient" not in facts:
        facts["recipient"] = facts["legal_request"].recipient
    if facts["basis"] in {"abuse_case", "counter_notice"}:
        facts["categories"] = ["contact"]
    if facts["basis"] not in {"legal_request"}:
        facts["categories"] = [name for name in facts["categories"] if name != "confidential"]
    with keyring(), transaction.atomic():
        disclosure = Disclosure.objects.create(**facts)
        return packing.build(disclosure, by=maker, at=timezone.now())


def text_of(packet: Packet) -> str:
    """Return everything the packet says, the text of its cover too."""
    with keyring():
        found = packing.contents(packet)
    cover = found.pop("cover.pdf")
    with pikepdf.open(io.BytesIO(cover)) as pdf:
        streams = [stream.read_bytes() for stream in pdf.objects if isinstance(stream, pikepdf.Stream)]
    shown = b"\n".join([*found.values(), *streams, b""]) + json.dumps(packet.manifest).encode()
    return shown.decode(errors="replace")


def words_in(packet: Packet) -> set[str]:
    """Return which planted words are in the packet."""
    return set(re.findall(r"canary-[a-z-]+-end", text_of(packet)))


def by_request(user: User, maker: User, instrument: str, **given: Any) -> Packet:
    request = legal.make_request(user.account, instrument=instrument, categories=ALL)
    return packed(user, maker, legal_request=request, **given)


@pytest.mark.parametrize(
    "instrument", ["grand_jury_subpoena", "civil_subpoena", "court_order", "search_warrant", "subpoena_512h",
                   "national_security_letter"],
)  # fmt: skip
def test_a_packet_holds_what_its_instrument_reaches_and_nothing_else(alice: User, maker: User, instrument: str) -> None:
    items = list(ConfidentialItem.objects.values_list("pk", flat=True))
    packet = by_request(alice, maker, instrument, items=items)

    reached = reach.of_instrument(instrument)
    carried = {field.key for field in reach.fields() if field.name not in FIXED}
    expected = {word for key, word in planted().items() if key in reached and key in carried and _can_carry(key)}
    assert words_in(packet) == expected
    assert {each["field"] for each in packet.manifest["fields"]} <= reached.keys()


def _can_carry(key: str) -> bool:
    """Return whether the field holds a planted word: sealed, of no fixed form, long enough."""
    [field] = [field for field in reach.fields() if field.key == key]
    column = field.model._meta.get_field(field.name)
    if not isinstance(column, SealedField):
        return False
    row = field.model._base_manager.order_by("pk").first()
    with keyring():
        value = getattr(row, field.name)
    return word_of(row, field.name) in (value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def test_a_subpoena_holds_the_six_items(alice: User, maker: User) -> None:
    text = text_of(by_request(alice, maker, "grand_jury_subpoena"))
    assert alice.account is not None
    assert alice.account.number in text
    assert "203.0.113.77" in text, "an address with its time is a connection record"
    for word in ("canary-contact-name", "canary-address-street", "canary-service-name", "canary-payment-method"):
        assert word in text
    for word in ("user-agent", "ticketmessage", "businessitem", "confidentialitem", "signinidentifier", "pagevisit"):
        assert f"canary-{word}" not in text


def test_control_a_field_too_many_is_found(alice: User, maker: User, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = reach.of_instrument("grand_jury_subpoena") | {"accounts.ticketmessage.body": "content"}
    monkeypatch.setattr(reach, "of_instrument", lambda instrument: wider)
    packet = by_request(alice, maker, "grand_jury_subpoena")
    assert "canary-ticketmessage-body-end" in words_in(packet)


def test_consent_and_a_complaint_hold_their_own(alice: User, maker: User) -> None:
    partner = legal.make_recipient("partner")
    grant = legal.consent(alice.account, partner, categories=["contact"])  # type: ignore[arg-type]
    facts: dict[str, Any] = {"basis": "consent", "consent": grant.pk, "recipient": partner, "categories": ["contact"]}
    kinds = {word.split("-")[1] for word in words_in(packed(alice, maker, **facts))}
    assert kinds == {"contact", "address", "emailchange"}
    complaint: dict[str, Any] = {
        "basis": "abuse_case",
        "case": uuid7(),
        "recipient": legal.make_recipient("complainant"),
        "categories": ["contact"],
    }
    kinds = {word.split("-")[1] for word in words_in(packed(alice, maker, **complaint))}
    assert kinds == {"contact", "address"}, "how somebody was reached before is no answer to a complaint"


def test_consent_to_share_mail_means_no_legal_notice(alice: User, maker: User) -> None:
    """The copy, the challenge and the letter that told of a request stay with the customer (silence.md)."""
    partner = legal.make_recipient("partner")
    grant = legal.consent(alice.account, partner, categories=["correspondence"])  # type: ignore[arg-type]
    facts: dict[str, Any] = {"basis": "consent", "consent": grant.pk, "recipient": partner}
    with keyring():
        Correspondence.objects.filter(event__startswith="legal-notice:").delete()
        letter = legal.letter(alice.account, f"legal-notice:{uuid7()}")  # type: ignore[arg-type]
        letter.body = "canary-of-the-notice-end"
        letter.save()
    packet = packed(alice, maker, **facts, categories=["correspondence"])
    assert NoticeCopy.objects.exists() and NoticeChallenge.objects.exists()
    assert {word.split("-")[1] for word in words_in(packet)} == {"correspondence"}
    Correspondence.objects.filter(pk=letter.pk).update(event="another")
    control = packed(alice, maker, **facts, categories=["correspondence"])
    assert "canary-of-the-notice-end" in words_in(control)


@pytest.mark.parametrize("name", ["北京株式会社", "สำนักงาน", "Bell\x07 & Co"])
def test_a_name_that_the_cover_cannot_show_is_refused_in_words(name: str, alice: User, maker: User) -> None:
    request = legal.make_request(alice.account, recipient=legal.make_recipient(name=name))  # type: ignore[arg-type]
    with pytest.raises(NotActionable, match="Latin letters") as refusal:
        packed(alice, maker, legal_request=request, categories=["contact"])
    assert request.recipient.reference in str(refusal.value)  # type: ignore[union-attr]
    assert not Packet.objects.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("北京株式会社", "Latin letters"),
        ("สำนักงาน", "Latin letters"),
        ("Bell\x07 & Co", "control character"),
        ("Bell\u202eoC", "control character"),
    ],
)
def test_such_a_name_comes_into_no_register(name: str, said: str) -> None:
    lena = make_staff("lena", "legal")
    entry = registering.Entry(name, "US-IL", "desk@court.example", "the directory")
    with pytest.raises(ValidationError) as refusal:
        registering.register("court", entry, by=lena)
    assert said in str(refusal.value.message_dict["name"])
    assert not Recipient.objects.exists()


@pytest.mark.parametrize(
    "name", ["Müller & Søn, Łódź", "Μονάδα «Δ»", "Суд № 1", '#eval("1") *b* $x$ [y]', "O’Hare – 2"]
)
def test_other_names_are_shown(name: str, alice: User, maker: User) -> None:
    lena = make_staff("ina", "legal")
    made = registering.register("court", registering.Entry(name, "US-IL", "desk@court.example", "a call"), by=lena)
    request = legal.make_request(alice.account, recipient=made)  # type: ignore[arg-type]
    assert packed(alice, maker, legal_request=request, categories=["contact"]).rows


def test_what_was_left_out_or_not_chosen_is_not_in_it(alice: User, maker: User) -> None:
    packet = by_request(
        alice,
        maker,
        "grand_jury_subpoena",
        categories=["contact"],
        omitted=["accounts.contact.phone", "accounts.contact.email"],
    )
    fields = {each["field"] for each in packet.manifest["fields"]}
    assert "accounts.contact.name" in fields and "accounts.person.name" not in fields
    assert not fields & {"accounts.contact.phone", "accounts.contact.email"}
    assert "canary-contact-email-end" not in text_of(packet)


def test_the_period_cuts_what_happened_and_not_who_somebody_is(maker: User) -> None:
    now = timezone.now()
    user = make_customer("alice")
    with keyring():
        for days in (1, 40, 80):
            sign_in_from(user, at=now - days * DAY)
    span = {"period_from": now - 50 * DAY, "period_to": now - 30 * DAY}
    request = legal.make_request(user.account, categories=["identity", "access"], **span)
    packet = packed(user, maker, legal_request=request, categories=["identity", "access"], **span)
    with keyring():
        records = json.loads(packing.contents(packet)["records.json"])["records"]
    assert len(records["accounts.accessevent"]) == 1
    assert records["accounts.person"][0]["name"] == "Alice Canary"


def test_confidence_leaves_item_by_item(alice: User, maker: User) -> None:
    with keyring():
        second = ConfidentialItem.objects.create(
            account=alice.account, title="another", text="second-secret", source="customer", created_at=timezone.now()
        )
    packet = by_request(alice, maker, "search_warrant", items=[second.pk], categories=["confidential"])
    text = text_of(packet)
    assert "second-secret" in text and "canary-confidentialitem" not in text
    with pytest.raises(NotActionable, match="nothing is held"):
        by_request(alice, maker, "search_warrant", items=[UUID(int=7)], categories=["confidential"])


def test_nothing_reached_and_nothing_held_are_refused_in_words(alice: User, maker: User) -> None:
    with pytest.raises(NotActionable, match="reaches nothing"):
        by_request(alice, maker, "preservation")
    with pytest.raises(NotActionable, match="reaches nothing"):
        by_request(alice, maker, "grand_jury_subpoena", categories=["support"])
    assert not Packet.objects.exists()


def test_figures_hold_the_frozen_table(maker: User) -> None:
    rows = [{"row": "a", "column": "b", "count": 12}, {"row": "a", "column": "c", "count": None}]
    table = AggregateTable.objects.create(
        query="q", period="2026-Q3", rows=rows, sha256="0" * 64, made_by=maker.pk, made_at=timezone.now()
    )
    packet = packed(
        make_customer("alice"), maker, account=None, basis="aggregate", aggregate=table, categories=[],
        recipient=legal.make_recipient("partner"),
    )  # fmt: skip
    assert '"12"' in text_of(packet) and packet.account_id is None


def test_the_hash_binds_every_byte(alice: User, maker: User) -> None:
    packet = by_request(alice, maker, "grand_jury_subpoena")
    assert packet.sha256 == packing.hash_of(Packet.objects.get(pk=packet.pk).manifest)
    changed = {**packet.manifest, "rows": packet.rows + 1}
    assert packing.hash_of(changed) != packet.sha256
    part = PacketPart.objects.get(packet=packet, name="records.json")
    with keyring():
        part.content = bytes(part.content).replace(b"canary", b"kanary")
        packet_parts = {one.name: one for one in packet.parts.all()} | {"records.json": part}
    with keyring(), pytest.raises(NotActionable, match="not the one that was made"):
        packing.contents(Forged(packet, packet_parts))  # type: ignore[arg-type]


class Forged:
    """A packet with other bytes in one part; the database refuses to store such a one."""

    def __init__(self, packet: Packet, parts: dict[str, PacketPart]) -> None:
        self.destroyed_at, self.manifest, self.sha256 = packet.destroyed_at, packet.manifest, packet.sha256
        self.parts = self
        self._parts = parts

    def exclude(self, name: str) -> list[PacketPart]:
        return [part for part in self._parts.values() if part.name != name]


def test_two_packets_are_compared_in_words(alice: User, maker: User) -> None:
    old = by_request(alice, maker, "grand_jury_subpoena", categories=["contact"])
    with keyring():
        Address.objects.filter(account=alice.account_id).delete()
        Contact.objects.filter(account=alice.account_id)[0].delete()
        sign_in_from(alice)
    new = by_request(alice, maker, "grand_jury_subpoena", categories=["contact", "access"])
    said = packing.compare(old, new)
    assert any(line.startswith("accounts.accessevent.ip: new") for line in said)
    assert any(line.startswith("accounts.contact.name: ") and "rows before" in line for line in said)
    assert packing.compare(new, new) == []


def test_a_cell_that_a_spreadsheet_would_run_is_text(alice: User, maker: User) -> None:
    with keyring():
        contact = Contact.objects.filter(account=alice.account_id).first()
        assert contact is not None
        contact.name = "=HYPERLINK(1)"
        contact.save()
    packet = by_request(alice, maker, "grand_jury_subpoena", categories=["contact"])
    with keyring():
        assert b"\"'=HYPERLINK" in packing.contents(packet)["accounts.contact.csv"]


@pytest.mark.stress
def test_a_packet_of_a_hundred_thousand_events(maker: User) -> None:
    """Built and sealed in bounded memory and time; what the account's lock is held for is said."""
    user = make_customer("carla")
    now, step = timezone.now(), 80 * DAY / 100_000
    with keyring():
        for start in range(0, 100_000, 5_000):
            AccessEvent.objects.bulk_create(
                AccessEvent(
                    account_id=user.account_id,
                    kind=AccessEvent.Kind.SIGN_IN,
                    ip=f"203.0.113.{number % 256}",
                    browser="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
                    at=now - step * number,
                )
                for number in range(start, start + 5_000)
            )
    request = legal.make_request(user.account, categories=["access"])
    began = time.perf_counter()
    packet = packed(user, maker, legal_request=request, categories=["access"])
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{packet.rows} rows in {seconds:.1f} s, {peak:.0f} MB at most in this process")
    assert packet.rows == 100_000
    assert seconds < 60
    assert peak < 1024


def test_what_is_past_its_schedule_is_in_possession_all_the_same(maker: User) -> None:
    user = make_customer("alice")
    with keyring():
        sign_in_from(user, at=timezone.now() - 200 * DAY)
    request = legal.make_request(user.account, categories=["access"])
    packet = packed(user, maker, legal_request=request, categories=["access"])
    assert packet.rows == AccessEvent.objects.count() == 1
    partner = legal.make_recipient("partner")
    grant = legal.consent(user.account, partner, categories=["access"])  # type: ignore[arg-type]
    facts: dict[str, Any] = {"basis": "consent", "consent": grant.pk, "recipient": partner, "categories": ["access"]}
    with pytest.raises(NotActionable, match="nothing is held"):
        packed(user, maker, **facts)
