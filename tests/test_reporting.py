"""Reports of abuse coming in: each kept, each in a case, nothing dropped (P17)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import mailbox
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import Error, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import assigning
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import concluding, judging, reporting
from disclosures.models import AbuseCase, AbuseReport, CaseFinding, CaseKind, CaseOutcome, Finding
from disclosures.models.cases import ELEMENTS
from retention.sight import ledger_for
from tests.abuse import ADDRESS, holder
from tests.cast import DAY, make_customer, make_staff, run_service
from tests.test_browser_axe import room
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def alice(alice: User) -> User:
    return holder(alice)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


def mail(
    text: str = "", *, number: int = 1, sender: str = "desk@reporter.example", subject: str = "Abuse", **headers: str
) -> bytes:
    """Return a mail in plain words about the address."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "abuse@portal.example", subject
    message["Message-ID"], message["Date"] = f"<{number}@reporter.example>", "Thu, 26 Nov 2026 10:00:00 +0000"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text or f"Your host {ADDRESS} sent spam, report {number}.")
    return message.as_bytes()


def take(raw: bytes) -> reporting.Taken:
    [taken] = reporting.take_in(raw, channel="mail")
    return taken


# ------------------------------------------------------------------------------------------------------- coming in


def test_an_answer_that_names_our_reference_goes_to_its_case(alice: User, dora: User):
    case = take(mail()).case
    above = {"subject": f"Re: We need more facts: {case.reference}"}
    answer = take(mail("We were wrong, and take the report back.", number=2, **above))
    assert (answer.case, answer.is_new) == (case, False) and not answer.report.is_retraction
    assert take(mail(f"About {case.reference}: here is the log.", number=3)).case == case
    # The reference alone opens no case to somebody else, nor one that ended, nor one of another customer.
    assert take(mail("It was us.", number=4, sender="mallory@elsewhere.example", **above)).case != case
    other = run_service(make_customer("bob"), at=timezone.now() - 9 * DAY)
    assigning.assign(other.pk, "203.0.113.77", by="system", at=timezone.now() - 8 * DAY)
    assert take(mail("Your host 203.0.113.77 sent spam.", number=5, **above)).case != case
    concluding.close(case.pk, CaseOutcome.WITHDRAWN, by=dora, reason="They wrote so.")
    assert take(mail("Did you read it?", number=6, **above)).is_new


def test_a_report_is_kept_whole_and_opens_a_case_of_its_customer(alice: User):
    raw = mail()
    taken = take(raw)

    case, row = taken.case, AbuseReport.objects.get()
    assert taken.is_new and (case.account_id, case.found) == (alice.account_id, "one")
    with keyring():
        assert bytes(row.raw) == raw and case.source == ADDRESS
        assert row.read is not None and "report 1" in row.read["text"]
    assert row.raw_sha256 == hashlib.sha256(raw).hexdigest() and row.raw_size == len(raw)
    actions = list(LedgerEntry.objects.filter(subject=case.pk).order_by("at", "pk").values_list("action", flat=True))
    assert actions == ["case.opened", "case.reported"]
    entries = LedgerEntry.objects.filter(subject=case.pk)
    assert not any(ADDRESS in entry.body or "reporter.example" in entry.body for entry in entries)


def test_nobody_found_waits_for_a_person(dora: User, alice: User):
    taken = take(mail("Something at 198.51.100.200 is wrong."))
    assert (taken.case.found, taken.case.account_id) == ("none", None)
    assert list(AbuseCase.objects.undecided()) == [taken.case]
    with pytest.raises(NotActionable, match="No account has this number"):
        judging.decide_whom(taken.case.pk, by=dora, number="123456789")
    assert alice.account is not None
    done = judging.decide_whom(taken.case.pk, by=dora, number=alice.account.number)
    assert (done.found, done.account_id) == ("one", alice.account_id)


def test_the_address_is_looked_up_at_its_time(alice: User):
    before = timezone.now() - 30 * DAY
    raw = mail(f"On {before:%Y-%m-%d %H:%M:%S} UTC the host {ADDRESS} attacked us.")
    long_ago = take(raw)
    assert long_ago.case.found == "none", "nobody held it then"
    held = take(mail(f"On {timezone.now() - DAY:%Y-%m-%d %H:%M:%S} UTC the host {ADDRESS} attacked us.", number=7))
    assert held.case.account_id == alice.account_id and held.case.pk != long_ago.case.pk


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        b"{" * 5000,
        b"x" * 11_000_000,
    ],
    ids=["nothing", "bytes", "entities", "nested", "too large"],
)
def test_what_cannot_be_read_is_a_case_for_staff(raw: bytes):
    taken = take(raw)
    assert taken.is_new and taken.case.kind == "other" and taken.case.found == "none"
    assert taken.report.problems
    assert AbuseReport.objects.get().raw_size == len(raw)


def test_a_repeat_is_counted_in_its_case(alice: User):
    first, again = take(mail()), take(mail())
    other_message_same_words = take(mail(f"Your host {ADDRESS} sent spam, report 1.", number=2))
    assert {again.case.pk, other_message_same_words.case.pk} == {first.case.pk}
    assert not again.is_new and again.report.is_repeat
    assert AbuseReport.objects.count() == 3 and AbuseCase.objects.count() == 1


def test_a_storm_about_one_address_is_one_case(alice: User):
    taken = [take(mail(number=number, sender=f"desk{number}@reporter.example")) for number in range(30)]
    assert len({one.case.pk for one in taken}) == 1
    assert AbuseReport.objects.count() == 30
    # Another kind of abuse from there is another matter, and so is what comes after the end of the first.
    assert take(mail(f"Phishing page at http://{ADDRESS}/login", number=99)).is_new
    concluding.close(taken[0].case.pk, CaseOutcome.NO_ACTION, by=make_staff("dora", "abuse_desk"), reason="Settled.")
    assert take(mail(number=100)).is_new


def test_workers_with_the_same_report_open_one_case(alice: User):
    taken: list[Any] = []

    def work() -> None:
        try:
            taken.append(take(mail()).case.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == 5 and len(set(taken)) == 1
    assert AbuseCase.objects.count() == 1


def test_a_number_like_that_of_a_card_stays_in_the_raw_message_alone(alice: User):
    row = take(mail("The page asks for cards, like 4242 4242 4242 4242.")).report
    with keyring():
        kept = AbuseReport.objects.get(pk=row.pk)
        assert "4242 4242" not in str(kept.read) and reporting.CARD in str(kept.read)
        assert b"4242 4242" in bytes(kept.raw)


# ------------------------------------------------------------------------------------------------------- receipts


def receipts() -> list[Any]:
    return list(OutboxMessage.objects.filter(event__startswith="report-receipt:"))


def test_one_sender_gets_one_receipt_a_day(alice: User):
    for number in range(3):
        take(mail(number=number))
    [receipt] = receipts()
    assert receipt.content["to"] == "desk@reporter.example"
    assert AbuseCase.objects.get().reference in receipt.content["body"]
    take(mail(number=9, sender="other@reporter.example"))
    assert len(receipts()) == 2


def test_two_reports_of_one_sender_at_once_are_both_taken_in_and_answered_once(
    alice: User, monkeypatch: pytest.MonkeyPatch
):
    """Neither sees the other's receipt: without the lock on the sender one of the two reports would be lost."""
    of_sender, both = reporting.replying.of_sender, threading.Barrier(2)

    def together(*given: Any) -> str:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)
        return of_sender(*given)

    monkeypatch.setattr(reporting.replying, "of_sender", together)
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            # About nothing known, in other words: neither waits for the other because of what it says.
            take(mail(("Somebody knocked.", "A page is blue.")[number], number=number))
        except Exception as error:  # noqa: BLE001 - what a worker would end with
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == [] and AbuseReport.objects.count() == 2
    assert len(receipts()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"X_Auto_Response_Suppress": "All"},
        {"Return_Path": "<>"},
        {"List_Id": "<x.example>"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_machine_is_answered(alice: User, headers: dict[str, str]):
    take(mail(**headers))
    assert receipts() == []


# ------------------------------------------------------------------------------------------------------- doors


def test_mail_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch, alice: User):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mail())))
    said = io.StringIO()
    call_command("ingest_mail", stdout=said)
    assert said.getvalue() == f"{AbuseCase.objects.get().reference}: opened\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(CommandError, match="Nothing came"):
        call_command("ingest_mail")


def test_mail_comes_from_a_maildir_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alice: User):
    box = mailbox.Maildir(tmp_path / "box")
    for number in range(3):
        box.add(mail(number=number))
    said, real, calls = io.StringIO(), reporting.take_in, list[int]()

    def once_broken(*given: Any, **facts: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Error("away")
        return real(*given, **facts)

    monkeypatch.setattr(reporting, "take_in", once_broken)
    with pytest.raises(CommandError, match="Run it again"):
        call_command("ingest_mail", "--maildir", str(tmp_path / "box"), stdout=said, stderr=io.StringIO())
    assert "taken in: 2, left for another run: 1" in said.getvalue()
    call_command("ingest_mail", "--maildir", str(tmp_path / "box"), stdout=said)
    call_command("ingest_mail", "--maildir", str(tmp_path / "box"), stdout=said)
    assert AbuseReport.objects.count() == 3
    with pytest.raises(CommandError, match="no Maildir"):
        call_command("ingest_mail", "--maildir", str(tmp_path))


def copyright_fields(**changed: str) -> dict[str, str]:
    return {
        "submission": str(uuid7()),
        "work": "The Canary Songbook, 2024",
        "material": f"http://{ADDRESS}/songs.pdf\nhttps://www.alice.example/songs",
        "name": "Cora Composer",
        "email": "cora@label.example",
        "phone": "+1 312 5550177",
        "postal": "1 Label Street, Testville",
        "good_faith": "on",
        "accuracy": "on",
        "signature": "Cora Composer",
        **changed,
    }


def test_the_form_of_a_notice_asks_for_its_six_elements(alice: User, dora: User):
    visitor = Client()
    assert "512(f)" in words(visitor.get("/report/copyright/"))
    for name in ("work", "material", "name", "email", "phone", "postal", "good_faith", "accuracy", "signature"):
        answer = visitor.post("/report/copyright/", copyright_fields(**{name: ""}))
        assert answer.status_code == 200 and name in answer.context["form"].errors
    assert not AbuseCase.objects.exists()
    answer = visitor.post("/report/copyright/", copyright_fields(), follow=True)
    case = AbuseCase.objects.get()
    assert case.reference in words(answer)
    assert (case.kind, case.account_id) == (CaseKind.DMCA, alice.account_id)
    assert receipts()[0].content["to"] == "cora@label.example"
    # Filling a form makes no valid notice: a person finds each element.
    assert judging.missing(case) == list(ELEMENTS)
    for item in ELEMENTS:
        judging.find(case.pk, item, by=dora, is_met=True)
    assert judging.missing(case) == [] and not judging.is_found_true(case)


def test_the_form_of_other_abuse(alice: User):
    fields = {
        "submission": str(uuid7()),
        "kind": "phishing",
        "what": "A page that asks for passwords.",
        "material": f"http://{ADDRESS}/bank/",
        "seen_at": "",
        "name": "Nick Neighbour",
        "email": "nick@neighbour.example",
    }
    assert Client().post("/report/abuse/", {**fields, "material": "nonsense"}).status_code == 200
    assert Client().post("/report/abuse/", fields).status_code == 302
    case = AbuseCase.objects.get()
    assert (case.kind, case.severity, case.account_id) == ("phishing", 3, alice.account_id)


# ------------------------------------------------------------------------------------------------------- findings


def test_findings_stand_with_person_and_time_and_the_newest_counts(alice: User, dora: User, sam: User):
    case = take(mail()).case
    with pytest.raises(PermissionDenied):
        judging.find(case.pk, Finding.AUTHENTIC, by=sam, is_met=True)
    with pytest.raises(NotActionable, match="Say what is missing"):
        judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=False)
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=False, note="The domain is not theirs.")
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=True, note="Called back.")
    judging.find(case.pk, Finding.ACCURATE, by=dora, is_met=True)
    assert judging.is_found_true(case)
    assert CaseFinding.objects.filter(case=case, found_by=dora.pk).count() == 3


def test_a_case_ends_once_and_says_why(alice: User, dora: User):
    case = take(mail("Nothing to find here at 198.51.100.200")).case
    with pytest.raises(NotActionable, match="say first whom it concerns"):
        concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="x")
    judging.decide_whom(case.pk, by=dora)
    concluding.close(case.pk, CaseOutcome.NOT_OURS, by=dora, reason="Another network.")
    with pytest.raises(NotActionable, match="has ended"):
        judging.assign(case.pk, by=dora)
    judging.note(case.pk, by=dora, text="They wrote again.")


def test_cases_of_children_are_for_legal_alone(alice: User, dora: User, lena: User):
    otto = make_staff("otto", "auditor")
    case = take(mail(f"Child sexual abuse material (CSAM) at http://{ADDRESS}/x")).case
    judging.change_kind(case.pk, CaseKind.CSAM, by=lena)
    with pytest.raises(NotActionable, match="There is no such case"):
        judging.assign(case.pk, by=dora)
    judging.assign(case.pk, by=lena)
    page = room(AbuseCase).url_of(case)
    assert signed_in(dora).get(page).status_code == 404 and signed_in(lena).get(page).status_code == 200
    assert case.reference not in words(signed_in(dora).get("/admin/disclosures/abusecase/"))
    assert not ledger_for(otto).filter(subject=case.pk, action__contains="assigned").exists()


# ------------------------------------------------------------------------------------------------------- staff's pages


def test_the_desk_reads_decides_and_closes_in_the_admin(alice: User, dora: User):
    case = take(mail()).case
    desk = signed_in(dora)
    queue = words(desk.get("/admin/disclosures/abusecase/"))
    assert case.reference in queue and "unwanted mail" in queue
    page = room(AbuseCase).url_of
    shown = words(desk.get(page(case)))
    assert "report 1" in shown and ADDRESS in shown
    report = AbuseReport.objects.get()
    raw = desk.get(reverse("admin:disclosures_abusecase_raw", args=[case.pk, report.pk]))
    assert raw["Content-Disposition"].startswith("attachment") and bytes(raw.content) == mail()
    assert LedgerEntry.objects.filter(action="case.opened_raw", subject=case.pk).exists()
    assert desk.post(page(case, "record-finding"), {"item": "authentic", "is_met": "yes"}).status_code == 302
    assert desk.post(page(case, "close"), {"outcome": "no_action", "reason": "Settled."}).status_code == 302
    assert "nothing to do" in words(desk.get(page(case)))
    assert AbuseCase.objects.get().outcome == "no_action"


# ------------------------------------------------------------------------------------------------------- around Python


def refused(statement: Any) -> None:
    with pytest.raises(Error), transaction.atomic():
        statement()


def test_sql_takes_nothing_back(alice: User, dora: User):
    case = take(mail()).case
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=True)
    cases, reports = AbuseCase.objects.filter(pk=case.pk), AbuseReport.objects.all()
    refused(lambda: cases._raw_delete("default"))
    refused(lambda: reports._raw_delete("default"))
    refused(lambda: reports.update(is_repeat=True))
    refused(lambda: CaseFinding.objects.update(is_met=False))
    refused(lambda: cases.update(source_digest=b"x" * 32))
    refused(lambda: cases.update(found="one", account=None))
    concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="Settled.")
    refused(lambda: cases.update(outcome="not_ours"))
    refused(lambda: cases.update(closed_at=None, closed_by="", outcome=""))
    # The control: what may move, moves.
    other = take(mail(number=5)).case
    assert AbuseCase.objects.filter(pk=other.pk).update(severity=4) == 1
