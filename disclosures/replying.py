"""Answers to whoever reported: a NoticeAck to ACNS senders, and a short mail for each step of a case (P17).

Nobody asks for them; the acts on cases post them in their own transaction. They say that a report was passed on, that
an answer came, that the case is closed: never who the customer is, nor what was done. Nothing goes out about cases of
children, and nothing to a machine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.urls import reverse
from django.utils import timezone

from accounts import mailing
from accounts.keys.keyring import keyring
from accounts.safeguards import outbox
from accounts.safeguards.finding import clean_email
from disclosures.models import AbuseCase, AbuseReport, CaseKind
from disclosures.reports import acns_replies
from disclosures.reports.acns_replies import CaseStatus
from disclosures.reports.shape import Format, Report

STEP = "disclosures/mail/report_step.txt"
# The message of ACNS that is a notice; the others are answers themselves, and an answer to one would never end.
NOTICE = "Infringement"


class Step(TextChoices):
    """What a reporter is told; words for each stand in the template."""

    PASSED_ON = "passed_on"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True)
class Reporter:
    """Whom an answer goes to: their reply address, and the case id they use in ACNS, empty where they do not."""

    address: str
    case_id: str = ""


def reporter_of(case: AbuseCase) -> Reporter | None:
    """Return the newest reporter of a case who may be answered; None where all are machines or gave no address.

    Anybody can add a report to a case by naming its address: once the matter was found accurate, answers go to whoever
    reported until then.
    """
    if case.kind == CaseKind.CSAM or case.forgotten_at is not None:
        return None
    rows = case.reports.filter(is_automatic=False).defer("raw", "reporter").order_by("-received_at", "-pk")
    found_at = case.accurate_at()
    row = (rows.filter(received_at__lte=found_at) if found_at is not None else rows).first()
    read: Mapping[str, Any] = (row.read if row is not None else None) or {}
    # Where the mail came from, not what stands in it: a report cannot make us write to a third person.
    to = _clean(str((read.get("mail") or {}).get("reply_address") or ""))
    if to is None:
        return None
    ids = read.get("case_ids") or []
    is_acns = row is not None and row.format == Format.ACNS and ids
    return Reporter(to, str(ids[0])) if is_acns else Reporter(to)


def acknowledge(case: AbuseCase, row: AbuseReport, report: Report, mail: Report, at: dt.datetime) -> bool:
    """Post a NoticeAck for an ACNS notice in the caller's transaction: one for a case, reporter and day.

    Return whether the report is one that is answered so. `report` is the notice, `mail` the message it came in. The XML
    is the text of the mail.
    """
    if report.format != Format.ACNS or report.document != NOTICE or case.kind == CaseKind.CSAM:
        return False
    to = reply_to(row, mail)
    if to is None:
        return False
    event = f"acns-ack:{case.reference}:{of_sender(row, at)}"
    theirs = report.case_ids[0] if report.case_ids else case.reference
    body = acns_replies.notice_ack(theirs, at, comments=f"Our reference: {case.reference}").decode()
    content = {"to": to, "subject": f"NoticeAck {case.reference}", "body": body}
    outbox.post("mail", event, content, subject=case.pk, at=at)
    return True


def reply_to(row: AbuseReport, mail: Report) -> str | None:
    """Return where whoever wrote is answered; None for a machine, and for whoever gave no address."""
    if row.reporter_digest is None or not mail.may_be_answered:
        return None
    return _clean(mail.mail.reply_address)


def _clean(address: str) -> str | None:
    try:
        return clean_email(address)
    except ValidationError:
        return None


def of_sender(row: AbuseReport, at: dt.datetime) -> str:
    """Return what tells a sender and a day in an event, without the address."""
    return f"{bytes(row.reporter_digest or b'').hex()[:32]}:{timezone.localtime(at):%Y%m%d}"


def tell_reporter(case: AbuseCase, step: Step, at: dt.datetime) -> None:
    """Post to the newest reporter of a locked case what happened, once a case and step, in the caller's transaction.

    Whoever writes in ACNS gets a StatusUpdate with their own case id. Nobody is told where nobody may be answered.
    """
    with keyring():
        reporter = reporter_of(case)
        if reporter is None:
            return
        if reporter.case_id:
            status = CaseStatus.CLOSED if step == Step.CLOSED else CaseStatus.OPEN
            comments = f"Our reference: {case.reference}"
            written = acns_replies.status_update(reporter.case_id, status, acns_replies.Step.INFO, at, comments)
            subject, body = f"StatusUpdate {case.reference}", written.decode()
        else:
            context = {
                "reference": case.reference,
                "step": Step(step).value,
                "at": at,
                "page_path": reverse("disclosures:report"),
            }
            subject, body = mailing.render(STEP, context)
        content = {"to": reporter.address, "subject": subject, "body": body}
        outbox.post("mail", f"report-step:{case.reference}:{Step(step).value}", content, subject=case.pk, at=at)
