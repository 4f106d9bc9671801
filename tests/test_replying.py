"""Answers to reporters: a NoticeAck, a mail for each step, the letters of staff (P17)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import OutboxMessage
from disclosures import concluding, replying, reporting, responding
from disclosures.models import AbuseCase, CaseKind, CaseOutcome
from disclosures.reports.shape import Format, Kind, Mail, Party, Report
from tests.abuse import find_true, make_case, tell
from tests.cast import DAY, make_staff

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
        read = {"mail": {"reply_address": mail.reply_address}, "case_ids": list(report.case_ids), "text": "A film."}
        twin.pk = replying.AbuseReport().pk
        twin._state.adding = True
        twin.format, twin.read, twin.is_automatic = str(format_), read, mail.is_automatic
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
    take(NOTICE, now + DAY)
    assert len(posted("acns-ack:")) == 2


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
