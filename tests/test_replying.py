"""Answers to reporters: a NoticeAck, a mail for each step, the letters of staff (P17)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.admin_base import Eyes
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import concluding, judging, lettering, replying, reporting, responding
from disclosures.admin import case_letters
from disclosures.lettering import Letter
from disclosures.models import AbuseCase, CaseKind, CaseOutcome, Finding
from disclosures.models.cases import ELEMENTS
from disclosures.reports.shape import Format, Kind, Mail, Party, Report
from tests.abuse import find_true, make_case, read, tell
from tests.cast import DAY, make_staff
from tests.test_browser_axe import room
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
TO = "rhea@film.example"
NOTICE = Report(
    Format.ACNS,
    Kind.COPYRIGHT,
    document="Infringement",
    case_ids=("EX-1<&>",),
    reporter=Party(email="named-in-the-xml@victim.example"),
    mail=Mail(reply_address=TO, sent_from=Party(email=TO)),
    text="A film.",
    content_hash="one",
)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def posted(prefix: str) -> list[dict[str, Any]]:
    with keyring():
        rows = OutboxMessage.objects.filter(event__startswith=prefix).order_by("created_at", "pk")
        return [dict(row.content) for row in rows]


def take(report: Report, at: dt.datetime | None = None) -> AbuseCase:
    [taken] = reporting.take_in(report.content_hash.encode(), channel="mail", report=report, at=at)
    return taken.case


def reported(case: AbuseCase, report: Report = NOTICE, *, is_acns: bool = False, at: dt.datetime | None = None) -> None:
    """Add to a case a report of somebody who may be answered."""
    mail, format_ = report.mail, Format.ACNS if is_acns else Format.FREE_TEXT
    twin = case.reports.order_by("received_at").first()
    assert twin is not None
    with keyring():
        said = {"mail": {"reply_address": mail.reply_address}, "case_ids": list(report.case_ids), "text": "A film."}
        twin.pk = replying.AbuseReport().pk
        twin._state.adding = True
        twin.format, twin.read, twin.is_automatic = str(format_), said, mail.is_automatic
        twin.received_at = at or timezone.now()
        twin.raw = b"mail"
        twin.reporter = TO
        twin.save(force_insert=True)


# ------------------------------------------------------------------------------------------------- notices in ACNS


def test_an_acns_notice_is_acknowledged_once_a_case_reporter_and_day():
    now = timezone.now()
    case = take(NOTICE, now)
    take(NOTICE, now)

    [ack] = posted("acns-ack:")
    assert ack["to"] == TO
    assert "<NoticeAck" in ack["body"] and 'Accepted="true"' in ack["body"]
    assert "EX-1&lt;&amp;&gt;" in ack["body"] and case.reference in ack["body"]
    assert posted("report-receipt:") == [], "one answer to one report"
    take(NOTICE, now + DAY)
    assert len(posted("acns-ack:")) == 2
    # Control: what is no notice in ACNS gets the receipt.
    take(replace(NOTICE, document="StatusUpdate", content_hash="two"), now)
    assert len(posted("report-receipt:")) == 1 and len(posted("acns-ack:")) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"mail": replace(NOTICE.mail, is_automatic=True)},
        {"mail": Mail()},
        {"mail": Mail(reply_address="no address")},
        {"format": Format.FREE_TEXT},
        {"document": "NoticeAck"},
        {"document": "StatusUpdate"},
        {"kind": Kind.CSAM},
    ],
)
def test_a_machine_another_format_and_an_answer_get_no_acknowledgement(changes: dict[str, Any]):
    take(replace(NOTICE, **changes))
    assert posted("acns-ack:") == []


# ----------------------------------------------------------------------------------------------------------- steps


def test_the_reporter_hears_each_step_once_and_nothing_of_the_customer(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    find_true(case, dora)
    notice = tell(case, dora)
    responding.disagree(notice.pk, by=alice, text="It is ours.")
    responding.fix(notice.pk, {item.pk: "Gone." for item in notice.items.all()}, by=alice)
    concluding.close(case.pk, CaseOutcome.REMEDIED, by=dora, reason="All gone.")

    mails = posted("report-step:")
    assert [one["to"] for one in mails] == [TO] * 3
    for one, said in zip(mails, ("passed your report on", "An answer to your report came", "is closed"), strict=True):
        assert said in one["body"]
        text = one["subject"] + one["body"]
        told = (alice.account.number, "alice", "Alice", notice.reference, "ours.", "Gone", "gone", "emedied")
        assert not [secret for secret in told if secret in text]
        assert case.reference in text


def test_an_acns_reporter_gets_a_status_update_with_their_case_id(alice: User, dora: User):
    case = make_case(alice)
    reported(case, is_acns=True)
    tell(case, dora)
    concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="Nothing to do.")

    passed, closed = posted("report-step:")
    assert "<StatusUpdate" in passed["body"] and "<Status>OPEN</Status>" in passed["body"]
    assert "EX-1&lt;&amp;&gt;" in closed["body"] and "<Status>CLOSED</Status>" in closed["body"]
    assert "<Type>INFO</Type>" in closed["body"]


def test_the_newest_human_is_told_and_a_machine_never(alice: User, dora: User):
    case = make_case(alice)
    now = timezone.now()
    machine = Mail(reply_address="robot@film.example", is_automatic=True)
    reported(case, replace(NOTICE, mail=machine), at=now + DAY)
    tell(case, dora)
    assert posted("report-step:") == []

    other = make_case(alice)
    reported(other, at=now + dt.timedelta(hours=1))
    reported(other, replace(NOTICE, mail=machine), at=now + DAY)
    tell(other, dora)
    [one] = posted("report-step:")
    assert one["to"] == TO


def test_whoever_adds_a_report_after_the_findings_takes_no_answer(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    find_true(case, dora)
    stranger = Mail(reply_address="alice-herself@alice.example")
    reported(case, replace(NOTICE, mail=stranger))
    tell(case, dora)
    concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="Nothing to do.")
    assert {one["to"] for one in posted("report-step:")} == {TO}
    # Before anybody looked, the newest is the one to ask.
    other = make_case(alice)
    reported(other)
    reported(other, replace(NOTICE, mail=stranger))
    found = replying.reporter_of(other)
    assert found is not None and found.address == "alice-herself@alice.example"


def test_the_address_named_in_a_report_is_never_written_to(alice: User, dora: User):
    case = make_case(alice)
    reported(case, replace(NOTICE, mail=Mail()))
    tell(case, dora)
    assert posted("report-step:") == []


def test_nothing_goes_out_about_cases_of_children(alice: User):
    case = make_case(alice)
    reported(case)
    AbuseCase.objects.filter(pk=case.pk).update(kind=CaseKind.CSAM)
    case.refresh_from_db()
    replying.tell_reporter(case, replying.Step.CLOSED, timezone.now())
    assert posted("report-step:") == []
    case.kind = CaseKind.OTHER
    replying.tell_reporter(case, replying.Step.CLOSED, timezone.now())
    assert len(posted("report-step:")) == 1


# --------------------------------------------------------------------------------------------------------- letters


def found(case: AbuseCase, by: User, *lacks: str) -> None:
    """Record what was found of each element."""
    for item in ELEMENTS:
        judging.find(case.pk, item, by=by, is_met=item not in lacks, note="It is not there.")


@pytest.mark.parametrize(
    ("lacks", "counts"),
    [
        ([Finding.SIGNATURE], True),
        ([Finding.GOOD_FAITH, Finding.ACCURACY], True),
        ([Finding.WORK], False),
        ([Finding.MATERIAL, Finding.SIGNATURE], False),
        ([Finding.CONTACT], False),
    ],
)
def test_the_deficiency_reply_asks_for_the_rest_or_says_it_is_no_notice(
    alice: User, dora: User, lacks: list[str], counts: bool
):
    case = make_case(alice)
    found(case, dora, *lacks)
    text = lettering.draft(case, Letter.DEFICIENCY)

    assert ("Send us the rest promptly" in text) is counts
    assert ("does not count as a notice" in text) is not counts
    assert text.count("\n- ") == len(lacks)


def test_the_deficiency_reply_waits_for_all_findings_and_for_something_to_lack(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    assert "Record first" in lettering.hinders(case, Letter.DEFICIENCY)
    with pytest.raises(NotActionable, match="Record first"):
        lettering.send(case.pk, Letter.DEFICIENCY, "It lacks.", by=dora)
    found(case, dora)
    assert "lacks nothing" in lettering.hinders(case, Letter.DEFICIENCY)
    found(case, dora, Finding.WORK)
    assert lettering.hinders(case, Letter.DEFICIENCY) == ""
    other = make_case(alice, CaseKind.SPAM)
    assert "Only a copyright notice" in lettering.hinders(other, Letter.DEFICIENCY)


def test_a_letter_goes_as_staff_changed_it_and_is_kept(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    row = lettering.send(case.pk, Letter.MORE_FACTS, "Which file,\r\nand when?", by=dora)

    [mail] = posted("report-letter:")
    assert mail["to"] == TO and mail["body"] == "Which file,\nand when?\n" and case.reference in mail["subject"]
    assert "Which file,\nand when?" in read(row, "text") and row.written_by == dora.pk
    entry = LedgerEntry.objects.get(subject=case.pk, action="case.wrote")
    assert entry.actor == dora.actor and "Which" not in entry.body
    with pytest.raises(NotActionable, match="was sent today"):
        lettering.send(case.pk, Letter.MORE_FACTS, "Which file,\nand when?", by=dora)
    assert case.notes.count() == 1
    with pytest.raises(NotActionable, match="in brackets"):
        lettering.send(case.pk, Letter.MORE_FACTS, lettering.draft(case, Letter.MORE_FACTS), by=dora)
    lettering.send(case.pk, Letter.MORE_FACTS, "Which other file?", by=dora)
    assert len(posted("report-letter:")) == 2


def test_no_letter_says_what_is_not_so(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    for letter in (Letter.NOT_OURS, Letter.PASSED_ON, Letter.CLOSED):
        with pytest.raises(NotActionable):
            lettering.send(case.pk, letter, "So it is.", by=dora)
    tell(case, dora)
    lettering.send(case.pk, Letter.PASSED_ON, "So it is.", by=dora)
    concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="Nothing to do.")
    lettering.send(case.pk, Letter.CLOSED, "So it is.", by=dora)
    with pytest.raises(NotActionable, match="has ended"):
        lettering.send(case.pk, Letter.MORE_FACTS, "Which file?", by=dora)
    other = make_case(alice)
    reported(other)
    judging.decide_whom(other.pk, by=dora)
    lettering.send(other.pk, Letter.NOT_OURS, "So it is.", by=dora)


def test_no_letter_without_somebody_to_read_it_nor_by_somebody_else(alice: User, dora: User):
    case = make_case(alice)
    reported(case, replace(NOTICE, mail=Mail(reply_address=TO, is_automatic=True)))
    with pytest.raises(NotActionable, match="Nobody can be written to"):
        lettering.send(case.pk, Letter.MORE_FACTS, "Which file?", by=dora)
    reported(case)
    with pytest.raises(PermissionDenied):
        lettering.send(case.pk, Letter.MORE_FACTS, "Which file?", by=make_staff("sara", "support"))
    AbuseCase.objects.filter(pk=case.pk).update(kind=CaseKind.CSAM)
    with pytest.raises(NotActionable, match="Nobody is written to"):
        lettering.send(case.pk, Letter.MORE_FACTS, "Which file?", by=make_staff("lena", "legal"))
    assert posted("report-letter:") == []


@pytest.mark.parametrize("letter", list(Letter))
def test_every_letter_has_its_reference_and_a_place_to_write_to(alice: User, dora: User, letter: Letter, settings: Any):
    case = make_case(alice)
    found(case, dora, Finding.WORK)
    text = lettering.draft(case, letter)
    assert case.reference in text and settings.DEFAULT_FROM_EMAIL in text
    assert "(Chicago)" in text and "alice" not in text.lower() and "{" not in text


def test_staff_send_a_letter_from_the_page_of_the_case(alice: User, dora: User):
    case = make_case(alice)
    reported(case)
    found(case, dora, Finding.WORK)
    desk, cases = signed_in(dora), room(AbuseCase)
    page = desk.get(cases.url_of(case, "deficiency"))
    assert "does not count as a notice" in words(page)
    assert "The case is open." in words(desk.get(cases.url_of(case, "write-closed")))

    assert desk.post(cases.url_of(case, "deficiency"), {"text": "Name the work."}).status_code == 302
    [mail] = posted("report-letter:")
    assert mail["body"] == "Name the work.\n"
    assert "Name the work." in words(desk.get(cases.url_of(case)))


# ------------------------------------------------------------------------------------------------------ reputation


def counted(case: AbuseCase, by: User) -> list[str]:
    return [str(value) for _name, value in case_letters.reputation(Eyes(by), case).facts]


def test_the_page_counts_what_became_of_the_reporters_reports(alice: User, dora: User):
    true, fell, gone = (make_case(alice) for _number in range(3))
    find_true(true, dora)
    concluding.close(fell.pk, CaseOutcome.NOT_VALID, by=dora, reason="Not so.")
    judging.find(gone.pk, Finding.AUTHENTIC, by=dora, is_met=True)
    judging.find(gone.pk, Finding.ACCURATE, by=dora, is_met=True)
    assert counted(true, dora) == ["3", "3", "2", "1"]

    # The newest finding counts.
    judging.find(gone.pk, Finding.ACCURATE, by=dora, is_met=False, note="Not theirs then.")
    make_case(alice, at=timezone.now() - 366 * DAY)
    child = make_case(alice)
    AbuseCase.objects.filter(pk=child.pk).update(kind=CaseKind.CSAM)
    assert counted(true, dora) == ["3", "3", "1", "1"]
    assert counted(true, make_staff("lena", "legal")) == ["4", "4", "1", "1"]
    assert "The reporter in the last year" in words(signed_in(dora).get(room(AbuseCase).url_of(true)))


def test_the_reputation_is_two_queries_however_many_reports(
    alice: User, dora: User, django_assert_max_num_queries: Any
):
    case = make_case(alice)
    for _number in range(5):
        reported(case)
    judging.visible(dora, AbuseCase.objects.all())
    with django_assert_max_num_queries(2):
        assert counted(case, dora)[:2] == ["6", "1"]


def test_the_reputation_counts_the_newest_reports_only(alice: User, dora: User, monkeypatch: pytest.MonkeyPatch):
    case = make_case(alice)
    for _number in range(3):
        reported(case)
    monkeypatch.setattr(case_letters, "MOST_COUNTED", 2)
    assert counted(case, dora)[0] == "2 or more; the newest 2 are counted"
