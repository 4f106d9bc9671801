"""Receiving, checking, preserving and answering legal requests: the acts, and what they leave behind (P15, P16)."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import Error, transaction
from django.utils import timezone

from accounts import assigning
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import (
    answering,
    checking,
    documenting,
    legal_reminding,
    lookalikes,
    preserving,
    receiving,
)
from disclosures.models import (
    Instrument,
    LegalCheck,
    LegalDocument,
    LegalLetter,
    LegalNote,
    LegalNotice,
    LegalRequest,
    Recipient,
    Sought,
)
from disclosures.receiving import Person
from retention import placing, releasing
from retention.models import Hold
from tests import files, legal
from tests.cast import make_customer, make_staff, run_service
from tests.legal import DAY, make_recipient

pytestmark = pytest.mark.usefixtures("committed")
Kind = Sought.Kind


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


def pdf(name: str = "order.pdf", content: bytes | None = None) -> Any:
    return SimpleUploadedFile(name, files.pdf() if content is None else content)


def enter(by: User, *persons: Person, **given: Any) -> LegalRequest:
    """Enter a subpoena of a registered authority, complete."""
    facts: dict[str, Any] = {
        "submission": uuid7(),
        "instrument": Instrument.GRAND_JURY_SUBPOENA,
        "is_governmental": True,
        "authority": "Grand jury of Testville",
        "jurisdiction": "US-IL",
        "served_how": "mail",
        "served_at": timezone.now() - DAY,
        "due_at": timezone.now() + 20 * DAY,
        "categories": ["identity", "billing"],
        "docket": "24-GJ 0117",
        "wording": "All subscriber records",
    } | given
    if "recipient_id" not in facts:
        facts["recipient_id"] = make_recipient("authority" if facts["is_governmental"] else "party").pk
    return receiving.receive(by=by, persons=persons, **facts)


def number_of(user: User) -> Person:
    assert user.account is not None
    return Person(Kind.ACCOUNT, user.account.number)


def check_all(request: LegalRequest, by: User) -> None:
    """Meet every check the request needs."""
    for item in checking.needed(request):
        with keyring():
            at_file = str(Recipient.objects.get(pk=request.recipient_id).email)
        checking.check(request.pk, by=by, item=item, is_met=True, confirmed_at=at_file)


def verified(by: User, *persons: Person, **given: Any) -> LegalRequest:
    request = enter(by, *persons, **given)
    check_all(request, by)
    return checking.verify(request.pk, by=by)


def holds(request: LegalRequest) -> list[tuple[str, bool]]:
    rows = Hold.objects.filter(cause=request.pk).order_by("placed_at", "pk")
    return [(hold.kind, hold.released_at is None) for hold in rows]


# ------------------------------------------------------------------------------------------------------- receiving


def test_receiving_holds_at_once_and_untold(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice))

    hold = Hold.objects.get(cause=request.pk)
    assert (hold.kind, hold.account_id, hold.told_at, hold.categories) == ("provisional", alice.account_id, None, [])
    assert hold.ends_at is not None and 13 * DAY < hold.ends_at - request.received_at < 18 * DAY
    assert Sought.objects.get(request=request).found == Sought.Found.ONE
    assert not LegalNotice.objects.exists()


def test_a_hold_that_cannot_be_placed_enters_nothing(alice: User, lena: User, monkeypatch: Any) -> None:
    def busy(*_args: Any, **_given: Any) -> Hold:
        raise NotActionable("busy")

    monkeypatch.setattr(placing, "place_within", busy)
    with pytest.raises(NotActionable):
        enter(lena, number_of(alice))
    assert not LegalRequest.objects.exists() and not Sought.objects.exists()


def test_the_same_form_enters_one(alice: User, lena: User) -> None:
    submission = uuid7()
    first = enter(lena, number_of(alice), submission=submission)
    assert enter(lena, number_of(alice), submission=submission).pk == first.pk
    assert LegalRequest.objects.count() == Hold.objects.count() == 1


def test_people_are_found_by_number_mail_and_address_at_a_time(alice: User, lena: User) -> None:
    now = timezone.now()
    service = run_service(alice, at=now - 9 * DAY)
    assigning.assign(service.pk, "203.0.113.9", by="system", at=now - 8 * DAY)
    at_the_time = Person(Kind.ADDRESS, "203.0.113.9", now - 2 * DAY)
    before = Person(Kind.ADDRESS, "203.0.113.9", now - 30 * DAY)
    assert alice.account is not None
    number = alice.account.number

    for person in (Person(Kind.ACCOUNT, f" {number[:3]} {number[3:]}"), Person(Kind.EMAIL, "Alice@ALICE.example")):
        assert receiving.accounts_of(person) == [alice.account_id]
    assert receiving.accounts_of(at_the_time) == [alice.account_id]
    for nobody in (before, Person(Kind.EMAIL, "no mail"), Person(Kind.ADDRESS, "x", now), Person(Kind.DOMAIN, "a.b")):
        assert receiving.accounts_of(nobody) == []
    request = enter(lena, at_the_time, before)
    assert [row.found for row in request.sought.order_by("pk")] == ["one", "none"]
    with pytest.raises(ValidationError, match="moment"):
        enter(lena, Person(Kind.ADDRESS, "203.0.113.9"))


def test_several_are_held_until_a_person_decided(alice: User, bob: User, lena: User) -> None:
    now = timezone.now()
    for user, address in ((alice, "203.0.113.9"), (make_customer("carl"), "203.0.113.10")):
        assigning.assign(run_service(user, at=now - 9 * DAY).pk, address, by="system", at=now - 8 * DAY)
    request = enter(lena, Person(Kind.ADDRESS, "203.0.113.0/24", now - DAY))
    sought = request.sought.get()
    assert (sought.found, sought.account_id, Hold.objects.filter(cause=request.pk).count()) == ("several", None, 2)

    with pytest.raises(ValidationError, match="number"):
        receiving.decide_sought(sought.pk, by=lena, number="000000000")
    assert alice.account is not None
    receiving.decide_sought(sought.pk, by=lena, number=alice.account.number)
    assert request.sought.get().account_id == alice.account_id
    with pytest.raises(NotActionable, match="decided already"):
        receiving.decide_sought(sought.pk, by=lena)
    assert Hold.objects.filter(cause=request.pk).count() == 2


def test_whom_a_person_decides_on_is_held(alice: User, lena: User) -> None:
    request = enter(lena, Person(Kind.DOMAIN, "alice.example"))
    assert holds(request) == []
    assert alice.account is not None
    receiving.decide_sought(request.sought.get().pk, by=lena, number=alice.account.number)
    assert holds(request) == [("provisional", True)]
    receiving.seek_more(request.pk, by=lena, person=number_of(make_customer("carl")))
    assert holds(request) == [("provisional", True)] * 2


def test_what_cannot_be_is_refused_before_anything_is_kept(lena: User, alice: User) -> None:
    now = timezone.now()
    wrong: list[dict[str, Any]] = [
        {"is_governmental": False},
        {"instrument": Instrument.CIVIL_SUBPOENA},
        {"served_at": now + DAY},
        {"served_at": now - 40_000 * DAY},
        {"categories": ["credentials"]},
        {"categories": ["nonsense"]},
        {"period": (now, now - DAY)},
        {"wording": "Card 4111 1111 1111 1111"},
    ]
    for given in wrong:
        with pytest.raises(ValidationError):
            enter(lena, number_of(alice), **given)
    for stranger in (make_staff("sue", "support"), make_staff("ada", "auditor"), alice):
        with pytest.raises(PermissionDenied):
            enter(stranger, number_of(alice))
    assert not LegalRequest.objects.exists() and not Hold.objects.exists()


def test_the_docket_finds_the_request_however_it_is_written(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice))
    assert bytes(request.docket_digest or b"") == receiving.docket_digest("24 gj-0117")
    assert bytes(request.docket_digest or b"") != receiving.docket_digest("24-GJ 0118")


def test_the_ledger_holds_no_word_of_a_request(alice: User, lena: User) -> None:
    verified(lena, Person(Kind.EMAIL, "alice@alice.example"), official="Olive Official")
    for entry in LedgerEntry.objects.all():
        # Ids and hashes hold any digits.
        said = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{64}\b", "", entry.body)
        for word in ("alice", "Grand jury", "0117", "Olive", "subscriber", "desk@"):
            assert word not in said


# ------------------------------------------------------------------------------------------------------- documents


class Away:
    def is_clean(self, content: bytes) -> bool:
        raise OSError("away")


class Finds:
    def is_clean(self, content: bytes) -> bool:
        return False


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("order.pdf", b"<!doctype html><script>alert(1)</script>"),
        ("order.pdf", b"#!/bin/sh\nrm -rf /\n"),
        ("order.pdf", b"PK\x03\x04" + bytes(60) + b"PK\x05\x06" + bytes(18)),
        ("order.pdf", b"MZ\x90\x00"),
        ("order.pdf", b""),
        ("order.pdf", b"\x89PNG\r\n\x1a\n"),
        ("order.exe", None),
        ("order.pdf", "zip behind"),
        ("order.pdf", "html before"),
    ],
)
def test_what_is_no_pdf_is_refused_and_nothing_is_stored(name: str, content: Any, lena: User, alice: User) -> None:
    made = files.pdf()
    whole = {"zip behind": made + b"PK\x05\x06" + bytes(18), "html before": b"%PDF-1.7\n<html>" + made}
    request = enter(lena, number_of(alice))
    with pytest.raises(ValidationError):
        documenting.add(request.pk, by=lena, file=pdf(name, whole.get(content, content)))
    with pytest.raises(ValidationError):
        enter(lena, number_of(alice), files=[pdf(name, whole.get(content, content))])
    assert not LegalDocument.objects.exists() and LegalRequest.objects.count() == 1


def test_a_file_that_is_too_large_is_refused(lena: User, alice: User) -> None:
    request = enter(lena, number_of(alice))
    large = pdf(content=files.pdf() + bytes(25 * 1024 * 1024))
    with pytest.raises(ValidationError, match="25 MB"):
        documenting.add(request.pk, by=lena, file=large)


def encrypted() -> bytes:
    import pikepdf

    made, content = pikepdf.new(), io.BytesIO()
    made.add_blank_page()
    made.save(content, encryption=pikepdf.Encryption(owner="o", user="u"))
    return content.getvalue()


def active() -> bytes:
    import pikepdf

    made, content = pikepdf.new(), io.BytesIO()
    made.add_blank_page()
    made.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
    made.save(content)
    return content.getvalue()


@pytest.mark.parametrize("why", ["encrypted", "active", "damaged", "infected"])
def test_what_is_dangerous_is_kept_in_quarantine(why: str, lena: User, alice: User, settings: Any) -> None:
    content = {"encrypted": encrypted, "active": active, "damaged": lambda: legal.PDF[:40], "infected": files.pdf}[
        why
    ]()
    if why == "infected":
        settings.VIRUS_SCANNER = f"{__name__}.Finds"
    request = enter(lena, number_of(alice), files=[pdf(content=content)])
    document = request.documents.get()
    assert (document.state, document.why) == ("quarantined", why)
    with keyring():
        given = documenting.handed_out(document.pk, by=lena, request_ids=[request.pk])
    assert given.content == content and given.name == f"QUARANTINED-{why}-order.pdf.quarantined"
    for change in ({"state": "clean"}, {"why": "other"}, {"sha256": "0" * 64}):
        with pytest.raises(Error), transaction.atomic():
            LegalDocument.objects.filter(pk=document.pk).update(**change)


def test_without_the_scanner_a_document_waits_and_nobody_has_it(lena: User, alice: User, settings: Any) -> None:
    clean = settings.VIRUS_SCANNER
    settings.VIRUS_SCANNER = f"{__name__}.Away"
    request = enter(lena, number_of(alice), files=[pdf()])
    document = request.documents.get()
    assert document.state == "unscanned"
    with pytest.raises(NotActionable, match="virus scanner"):
        documenting.handed_out(document.pk, by=lena, request_ids=[request.pk])
    assert documenting.rescan() == 0

    settings.VIRUS_SCANNER = clean
    assert documenting.rescan() == 1
    with keyring():
        assert documenting.handed_out(document.pk, by=lena, request_ids=[request.pk]).content == files.pdf()


def test_names_are_cleaned_and_a_document_is_sealed_and_kept_once(lena: User, alice: User) -> None:
    request = enter(lena, number_of(alice), files=[pdf("C:\\..\\../\u202eoprder\r\n.pdf")])
    document = request.documents.get()
    with keyring():
        assert str(document.name) == "oprder.pdf"
    again = documenting.add(request.pk, by=lena, file=pdf("other.pdf"))
    assert again.document.pk == document.pk and again.also_with == []
    other = documenting.add(enter(lena, number_of(alice)).pk, by=lena, file=pdf())
    assert other.also_with == [request.reference] and LegalDocument.objects.count() == 2
    raw = LegalDocument.objects.raw("SELECT id, content::bytea AS box FROM disclosures_legaldocument")
    assert all(b"%PDF" not in bytes(row.box) for row in raw)  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------------- checking


def test_a_request_is_verified_only_when_complete_and_checked(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice), recipient_id=None, jurisdiction="", due_at=None, categories=[])
    with pytest.raises(NotActionable) as refusal:
        checking.verify(request.pk, by=lena)
    for lack in ("registered authority", "jurisdiction", "due date", "categories", "address on file", "signed"):
        assert lack in str(refusal.value)
    with pytest.raises(NotActionable, match="no registered authority"):
        checking.check(request.pk, by=lena, item="authentic", is_met=True, confirmed_at="desk@authority.example")

    recipient = make_recipient()
    due = timezone.now() + 9 * DAY
    facts = {"jurisdiction": "us-il", "due_at": due, "categories": ["identity"]}
    request = checking.complete(request.pk, by=lena, recipient_id=recipient.pk, **facts)
    check_all(request, lena)
    for item in checking.needed(request):
        checking.check(request.pk, by=lena, item=item, is_met=False, note="not this one")
        with pytest.raises(NotActionable, match=re.escape(item.label)):
            checking.verify(request.pk, by=lena)
        checking.check(request.pk, by=lena, item=item, is_met=True, confirmed_at="desk@authority.example")
    request = checking.verify(request.pk, by=lena)
    assert request.verified_by == lena.pk
    with pytest.raises(NotActionable, match="only be narrowed"):
        checking.verify(request.pk, by=lena)
    with pytest.raises(NotActionable, match="only be narrowed"):
        checking.complete(request.pk, by=lena, recipient_id=recipient.pk, **facts)


def test_each_instrument_has_its_checks(alice: User, lena: User) -> None:
    def items(**given: Any) -> set[str]:
        return {str(item) for item in checking.needed(legal.make_request(verified=False, **given))}

    always = {"authentic", "valid", "signed"}
    assert items(instrument=Instrument.PRESERVATION) == always
    assert items() == always | {"in_scope", "not_overbroad"}
    assert "domesticated" in items(instrument=Instrument.CIVIL_SUBPOENA, jurisdiction="US-CA")
    assert "domesticated" not in items(instrument=Instrument.CIVIL_SUBPOENA, jurisdiction="US-IL")
    assert "declared" in items(instrument=Instrument.EMERGENCY)
    assert "declared" in items(instrument=Instrument.SUBPOENA_512H)


def test_the_authority_is_confirmed_at_the_address_on_file_alone(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice), recipient_id=make_recipient(phone="+1 312 555 0100").pk)
    for wrong in ("", "desk@authority.example.evil", "desk@authorlty.example", "other@authority.example", "+1 312"):
        with pytest.raises(NotActionable, match="on file"):
            checking.check(request.pk, by=lena, item="authentic", is_met=True, confirmed_at=wrong)
    for right in ("Desk@Authority.example", "+1 (312) 555-0100"):
        checking.check(request.pk, by=lena, item="authentic", is_met=True, confirmed_at=right)
    assert LegalCheck.objects.filter(request=request, is_met=True).count() == 2


def test_another_authority_takes_the_confirmation_back(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice))
    check_all(request, lena)
    facts: dict[str, Any] = {"jurisdiction": "US-IL", "due_at": request.due_at, "categories": ["identity"]}
    checking.complete(request.pk, by=lena, recipient_id=make_recipient("court").pk, **facts)
    with pytest.raises(NotActionable, match="address on file"):
        checking.verify(request.pk, by=lena)


@pytest.mark.parametrize(
    ("sender", "verdict"),
    [
        ("desk@police.testville.gov", "same"),
        ("x@mail.police.testville.gov", "same"),
        ("Desk@POLICE.testville.GOV", "same"),
        ("desk@police.testvi11e.gov", "lookalike"),
        ("desk@p\u043elice.testville.gov", "lookalike"),
        ("desk@police-testville.gov", "lookalike"),
        ("desk@police.testville.com", "lookalike"),
        ("desk@poIice.testville.gov", "lookalike"),
        ("desk@police.testvile.gov", "lookalike"),
        ("desk@police.testville.gov.evil.example", "lookalike"),
        ("someone@bigmail.example", "other"),
        ("", "other"),
    ],
)
def test_lookalike_senders_are_told_apart(sender: str, verdict: str) -> None:
    assert lookalikes.compared(sender, "desk@police.testville.gov") == verdict


def test_a_lookalike_sender_is_flagged_on_the_timeline(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice), sender="desk@auth0rity.example")
    with keyring():
        assert "LOOK-ALIKE" in str(LegalNote.objects.get(request=request).text)
    assert LedgerEntry.objects.filter(action="legal.lookalike", subject=request.pk).count() == 1


def test_verifying_places_the_lasting_hold_and_owes_the_notice(alice: User, lena: User) -> None:
    request = verified(lena, number_of(alice))
    assert holds(request) == [("provisional", True), ("legal", True)]
    lasting = Hold.objects.get(cause=request.pk, kind="legal")
    assert (lasting.ends_at, lasting.told_at) == (None, None)
    # What the customer is written to by stays while a notice is owed.
    assert {"identity", "contact", "billing"} == set(lasting.categories)
    assert LegalNotice.objects.get(request=request).account_id == alice.account_id


def test_a_period_leaves_the_contact_held(alice: User, lena: User) -> None:
    now = timezone.now()
    request = verified(lena, number_of(alice), period=(now - 90 * DAY, now - 30 * DAY))
    lasting = Hold.objects.filter(cause=request.pk, kind="legal")
    assert {(tuple(hold.categories), hold.period_from is None) for hold in lasting} == {
        (("billing", "contact", "identity"), False),
        (("identity", "contact"), True),
    }


def test_a_request_that_is_due_already_or_of_another_kind_is_not_verified(alice: User, lena: User) -> None:
    late = enter(lena, number_of(alice), due_at=timezone.now() - DAY)
    check_all(late, lena)
    with pytest.raises(NotActionable, match="has passed"):
        checking.verify(late.pk, by=lena)
    answering.agree_time(late.pk, by=lena, due_at=timezone.now() + 5 * DAY)
    checking.verify(late.pk, by=lena)
    private = enter(lena, number_of(alice), recipient_id=make_recipient("party").pk)
    check_all(private, lena)
    with pytest.raises(NotActionable, match="government body"):
        checking.verify(private.pk, by=lena)


def test_nobody_is_verified_whom_nobody_decided_on(alice: User, lena: User) -> None:
    request = enter(lena, Person(Kind.DOMAIN, "alice.example"))
    check_all(request, lena)
    with pytest.raises(NotActionable, match="not decided whom"):
        checking.verify(request.pk, by=lena)
    receiving.decide_sought(request.sought.get().pk, by=lena)
    checking.verify(request.pk, by=lena)
    assert not LegalNotice.objects.exists() and holds(request) == []


def test_a_request_only_becomes_narrower(alice: User, lena: User) -> None:
    now = timezone.now()
    request = verified(lena, number_of(alice), period=(now - 90 * DAY, now))
    inside = (now - 60 * DAY, now - DAY)
    wider: list[tuple[list[str], Any]] = [
        (["identity", "orders"], inside),
        ([], inside),
        (["identity"], (None, now)),
        (["identity"], (now - 91 * DAY, now)),
        (["identity"], (now - DAY, now + DAY)),
        (["identity"], (now - DAY, now - 2 * DAY)),
    ]
    for categories, period in wider:
        with pytest.raises(NotActionable, match="narrower"):
            checking.narrow(request.pk, by=lena, categories=categories, period=period, reason="agreed")
    checking.narrow(request.pk, by=lena, categories=["identity"], period=inside, reason="agreed by letter")
    request.refresh_from_db()
    assert (request.categories, request.period_from) == (["identity"], inside[0])
    with pytest.raises(Error), transaction.atomic():
        LegalRequest.objects.filter(pk=request.pk).update(categories=["identity", "billing"])


# ------------------------------------------------------------------------------------------------------ preserving


def letter_of(by: User, person: Person, **given: Any) -> LegalRequest:
    facts = {"instrument": Instrument.PRESERVATION, "categories": [], "due_at": None} | given
    return verified(by, person, **facts)


def long_ago(by: User, person: Person, days: int, **given: Any) -> LegalRequest:
    """Return a verified preservation letter that was received so many days ago, and told of, so that it can end."""
    then = timezone.now() - days * DAY
    facts = {"instrument": Instrument.PRESERVATION, "categories": [], "due_at": None, "served_at": then - DAY} | given
    request = enter(by, person, at=then, **facts)
    check_all(request, by)
    checking.verify(request.pk, by=by, at=then)
    for account in preserving.sought_ids(request):
        legal.tell(request, Account.objects.get(pk=account))
    return request


def preserved(request: LegalRequest) -> list[tuple[int, bool]]:
    """Return per preservation hold the days from its letter to its end, and whether it is unreleased."""
    rows = Hold.objects.filter(cause=request.pk, kind="preservation").order_by("ends_at")
    found = []
    for hold in rows:
        assert hold.ends_at is not None
        found.append(((hold.ends_at - request.received_at).days, hold.released_at is None))
    return found


def test_a_preservation_renews_once_by_the_clock(alice: User, lena: User) -> None:
    request = long_ago(lena, number_of(alice), 91)
    releasing.end_passed()
    assert preserved(request) == [(90, False), (180, True)]
    releasing.end_passed()
    assert preserved(request) == [(90, False), (180, True)]
    first, second = Hold.objects.filter(cause=request.pk, kind="preservation").order_by("ends_at")
    assert (second.categories, second.period_to) == (first.categories, first.period_to)
    # Nothing between the two is uncovered.
    assert first.released_at is not None and second.released_at is None

    gone = long_ago(lena, number_of(make_customer("carl")), 181)
    releasing.end_passed(gone.received_at + 91 * DAY)
    releasing.end_passed()
    assert preserved(gone) == [(90, False), (180, False)]


def test_a_preservation_that_is_withdrawn_is_not_renewed(alice: User, lena: User) -> None:
    request = long_ago(lena, number_of(alice), 91)
    answering.close(request.pk, by=lena, outcome="withdrawn", reason="no more needed")
    releasing.end_passed()
    assert preserved(request) == [(90, False)]


def test_a_preservation_never_ends_while_what_it_prepared_is_open(alice: User, lena: User, paul: User) -> None:
    letter = long_ago(lena, number_of(alice), 200)
    warrant = enter(lena, number_of(alice), instrument=Instrument.SEARCH_WARRANT, preserved_by_id=letter.pk)
    for _ in range(3):
        releasing.end_passed()
    assert preserved(letter) == [(90, False), (290, True)]
    hold = Hold.objects.get(cause=letter.pk, kind="preservation", released_at=None)
    releasing.ask(hold.pk, by=lena, reason="by mistake")
    with pytest.raises(NotActionable, match="open request"):
        releasing.approve(hold.pk, by=paul)

    answering.reject(warrant.pk, by=lena, reason="not valid")
    releasing.approve(hold.pk, by=paul)
    assert preserved(letter)[-1] == (290, False)


def test_further_renewals_take_two_people(alice: User, lena: User, paul: User) -> None:
    request = long_ago(lena, number_of(alice), 91)
    with pytest.raises(NotActionable, match="once by itself"):
        preserving.ask_renewal(request.pk, by=lena, reason="they asked")
    releasing.end_passed()
    with pytest.raises(NotActionable, match="Nobody has asked"):
        preserving.approve_renewal(request.pk, by=paul)
    preserving.ask_renewal(request.pk, by=lena, reason="they asked")
    with pytest.raises(NotActionable, match="waits already"):
        preserving.ask_renewal(request.pk, by=paul, reason="me too")
    with pytest.raises(PermissionDenied, match="colleague"):
        preserving.approve_renewal(request.pk, by=lena)
    preserving.approve_renewal(request.pk, by=paul)
    assert preserved(request) == [(90, False), (180, True), (270, True)]
    with pytest.raises(NotActionable, match="Nobody has asked"):
        preserving.approve_renewal(request.pk, by=paul)


def test_a_provisional_hold_ends_by_the_clock_and_leaves_a_task(alice: User, lena: User) -> None:
    request = enter(lena, number_of(alice), at=timezone.now() - 20 * DAY, served_at=timezone.now() - 21 * DAY)
    releasing.end_passed()
    assert holds(request) == [("provisional", False)]
    assert LedgerEntry.objects.filter(action="legal.provisional-ended", subject=request.pk).count() == 1
    assert list(LegalRequest.objects.filter(preserving.held_by_nothing())) == [request]


def test_what_stands_behind_an_owed_notice_stays_and_stops_nobody_else(alice: User, lena: User) -> None:
    then = timezone.now() - 20 * DAY
    owed = enter(lena, number_of(alice), at=then, served_at=then - DAY)
    check_all(owed, lena)
    checking.verify(owed.pk, by=lena, at=then)
    other = enter(lena, number_of(make_customer("carl")), at=then, served_at=then - DAY)
    releasing.end_passed()
    assert holds(owed) == [("provisional", True), ("legal", True)]
    assert holds(other) == [("provisional", False)]
    assert alice.account is not None
    legal.tell(owed, alice.account)
    releasing.end_passed()
    assert holds(owed) == [("provisional", False), ("legal", True)]


def test_a_preservation_letter_binds_what_was_there_for_90_days(alice: User, lena: User) -> None:
    request = letter_of(lena, number_of(alice))
    hold = Hold.objects.get(cause=request.pk, kind="preservation")
    assert hold.ends_at is not None and hold.ends_at - hold.placed_at == 90 * DAY
    assert hold.period_to == request.received_at


def test_a_private_preservation_letter_is_an_ordinary_legal_hold(alice: User, lena: User) -> None:
    request = letter_of(lena, number_of(alice), is_governmental=False)
    hold = Hold.objects.get(cause=request.pk, kind="legal")
    assert (hold.ends_at, hold.period_to) == (None, None)


def test_a_letter_about_the_future_is_no_preservation(alice: User, lena: User) -> None:
    request = enter(
        lena,
        number_of(alice),
        instrument=Instrument.PRESERVATION,
        categories=[],
        due_at=None,
        period=(timezone.now() + DAY, None),
    )
    check_all(request, lena)
    with pytest.raises(NotActionable, match="what was there"):
        checking.verify(request.pk, by=lena)


def test_wrong_account_is_untouched(alice: User, lena: User) -> None:
    carl = make_customer("carl")
    verified(lena, number_of(alice))
    assert not Hold.objects.filter(account=carl.account_id).exists()
    assert not LegalNotice.objects.filter(account=carl.account_id).exists()


# ------------------------------------------------------------------------------------------------------- answering


def test_the_objection_is_in_time_until_the_earlier_of_both(lena: User, alice: User) -> None:
    now = timezone.now()
    civil = {"instrument": Instrument.CIVIL_SUBPOENA, "is_governmental": False, "served_at": now - DAY}
    long = enter(lena, number_of(alice), **civil, due_at=now + 30 * DAY)
    short = enter(lena, number_of(alice), **civil, due_at=now + 5 * DAY)
    clocks = [answering.objection_clock(each) for each in (long, short)]
    assert [clock.until if clock else None for clock in clocks] == [now + 13 * DAY, now + 5 * DAY]
    assert answering.objection_clock(enter(lena, number_of(alice))) is None


def test_an_objection_stands_until_it_ends_and_is_made_once(lena: User, alice: User) -> None:
    request = enter(lena, number_of(alice))
    with pytest.raises(NotActionable, match="no objection stands"):
        answering.end_objection(request.pk, by=lena, reason="agreed")
    answering.object_to(request.pk, by=lena, reason="overbroad")
    with pytest.raises(NotActionable, match="stands already"):
        answering.object_to(request.pk, by=lena, reason="again")
    answering.end_objection(request.pk, by=lena, reason="agreed")
    with pytest.raises(NotActionable, match="once"):
        answering.object_to(request.pk, by=lena, reason="again")


@pytest.mark.parametrize("kind", LegalLetter.Kind.values)
def test_every_letter_is_a_draft_that_is_edited_and_sent_once(kind: str, lena: User, alice: User) -> None:
    request = enter(lena, number_of(alice), official="Olive Official")
    letter = answering.draft(request.pk, by=lena, kind=kind)
    assert answering.draft(request.pk, by=lena, kind=kind).pk == letter.pk
    with keyring():
        letter.refresh_from_db()
        assert request.reference in str(letter.subject) and "Dear Olive Official" in str(letter.body)
        assert "{" not in str(letter.body)
    answering.edit(letter.pk, by=lena, subject="Other words", body="Dear clerk, other words.")
    answering.send(letter.pk, by=lena, how="mail")
    with keyring():
        posted = OutboxMessage.objects.get(event=f"sealed:legal-letter:{letter.pk}")
        assert posted.content["to"] == "desk@authority.example" and posted.content["subject"] == "Other words"
    for again in (
        lambda: answering.send(letter.pk, by=lena, how="mail"),
        lambda: answering.edit(letter.pk, by=lena, subject="x", body="y"),
    ):
        with pytest.raises(NotActionable, match="stays"):
            again()


def test_without_an_address_on_file_a_letter_goes_another_way(lena: User, alice: User) -> None:
    request = enter(lena, number_of(alice), recipient_id=None)
    letter = answering.draft(request.pk, by=lena, kind="receipt")
    with pytest.raises(NotActionable, match="no address on file"):
        answering.send(letter.pk, by=lena, how="mail")
    answering.send(letter.pk, by=lena, how="post")
    assert not OutboxMessage.objects.filter(event__startswith="sealed:legal-letter").exists()


def test_closing_needs_an_outcome_that_is_true_and_holds_stay(lena: User, alice: User) -> None:
    request = verified(lena, number_of(alice))
    for outcome in ("fulfilled", "partly", "preserved"):
        with pytest.raises(NotActionable, match="another outcome"):
            answering.close(request.pk, by=lena, outcome=outcome, reason="done")
    answering.reject(request.pk, by=lena, reason="not valid here")
    request.refresh_from_db()
    assert request.outcome == "rejected" and holds(request) == [("provisional", True), ("legal", True)]
    acts = (
        lambda: answering.close(request.pk, by=lena, outcome="quashed", reason="x"),
        lambda: answering.object_to(request.pk, by=lena, reason="x"),
        lambda: documenting.add(request.pk, by=lena, file=pdf()),
        lambda: receiving.seek_more(request.pk, by=lena, person=number_of(alice)),
        lambda: answering.draft(request.pk, by=lena, kind="receipt"),
    )
    for act in acts:
        with pytest.raises(NotActionable, match="has ended"):
            act()
    receiving.note(request.pk, by=lena, text="The file is closed.")
    with pytest.raises(Error), transaction.atomic():
        LegalRequest.objects.filter(pk=request.pk).update(outcome="quashed")


def test_reminders_go_once_a_step_to_whoever_takes_care(lena: User, paul: User, alice: User) -> None:
    request = enter(lena, number_of(alice), due_at=timezone.now() + 20 * DAY)
    due = request.due_at
    assert due is not None
    assert legal_reminding.remind(due - 8 * DAY) == 0
    assert legal_reminding.remind(due - 6 * DAY) == 1
    assert legal_reminding.remind(due - 6 * DAY) == 0
    receiving.assign(request.pk, by=paul)
    assert [legal_reminding.remind(due - left * DAY) for left in (2, 1)] == [1, 1]
    with keyring():
        mails = [row.content for row in OutboxMessage.objects.filter(event__startswith="sealed:legal:")]
    assert {mail["to"] for mail in mails} == {"lena@staff.example", "paul@staff.example"}
    for mail in mails:
        text = mail["subject"] + mail["body"]
        assert request.reference in text
        for word in ("legal request", "subpoena", "Grand", "alice", "0117", "Testville"):
            assert word.lower() not in text.lower()
    answering.reject(request.pk, by=lena, reason="x")
    assert legal_reminding.remind(due - DAY / 2) == 0
