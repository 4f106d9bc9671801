"""Answers to ACNS senders: in the words of the schema, escaped, and read again by the reader of this house."""

from __future__ import annotations

import datetime as dt

import pytest

from disclosures.reports import acns_replies as replies
from disclosures.reports.acns_replies import CaseStatus, RejectReason, Step
from disclosures.reports.reading import read

AT = dt.datetime(2026, 3, 2, 10, 15, tzinfo=dt.timezone(dt.timedelta(hours=1)))
NASTY = "A<&>\"'1\x00 ]]> </Case> \ud800 é"


def test_acknowledgement_says_accepted_with_case_and_time() -> None:
    written = replies.notice_ack("EX-1", AT).decode()

    assert written.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<NoticeAck xmlns="http://www.acns.net/ACNS"')
    assert 'Accepted="true"' in written and "RejectReason" not in written
    assert "<Case><ID>EX-1</ID></Case><TimeStamp>2026-03-02T09:15:00Z</TimeStamp>" in written


@pytest.mark.parametrize("reason", RejectReason)
def test_acknowledgement_says_why_not(reason: RejectReason) -> None:
    report = read(replies.notice_ack("EX-1", AT, reason))

    assert (report.document, report.status, report.case_ids) == ("NoticeAck", "rejected", ("EX-1",))
    assert report.fields["NoticeAck"]["@RejectReason"] == reason.value


def test_status_of_several_cases_is_read_again() -> None:
    written = replies.notice_status([("EX-1", CaseStatus.OPEN), ("EX-2", CaseStatus.COUNTERNOTICE)], AT)

    cases = read(written).fields["NoticeStatus"]["Case"]

    assert cases == [{"ID": "EX-1", "Status": "OPEN"}, {"ID": "EX-2", "Status": "COUNTERNOTICE"}]


@pytest.mark.parametrize("status", CaseStatus)
@pytest.mark.parametrize("step", Step)
def test_update_is_read_again(status: CaseStatus, step: Step) -> None:
    report = read(replies.status_update("EX-1", status, step, AT, comments="Done & checked"))

    assert (report.document, report.status, report.notice_type) == ("StatusUpdate", status.lower(), step.value)
    assert report.fields["StatusUpdate"]["Comments"] == "Done & checked"


def test_what_a_sender_chose_is_escaped() -> None:
    report = read(replies.status_update(NASTY, CaseStatus.OPEN, Step.INFO, AT, comments=NASTY))

    assert report.case_ids == ("A<&>\"'1 ]]> </Case> \ufffd é",)
    assert report.problems == ()


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time with a zone"):
        replies.notice_ack("EX-1", AT.replace(tzinfo=None))
