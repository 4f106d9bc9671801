"""Taking reports of abuse in (P17): each is kept as it came and belongs to a case; nothing is dropped.

Who may: whoever writes to us, by mail, form or API; doors limit how much. A repeat of the same message or content is
counted in its case; reports about one source, of one kind, make one case with many events. What cannot be read makes a
case for staff. A receipt goes out at most once a day to one sender, and never to a machine.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Case, Exists, OuterRef, Q, When
from django.urls import reverse
from django.utils import timezone

from accounts import mailing
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.safeguards import ledger, outbox
from accounts.safeguards.cards import holds_card_number
from accounts.safeguards.finding import digest
from disclosures import replying
from disclosures.locating import Concerned, whom
from disclosures.models import AbuseCase, AbuseReport, CaseKind
from disclosures.models.cases import MOST_RAW_BYTES, urgency
from disclosures.reports import reading
from disclosures.reports.shape import Kind, Report
from retention import schedule

log = structlog.get_logger(__name__)

Channel = AbuseReport.Channel
KINDS = {
    Kind.TRADEMARK: CaseKind.TRADEMARK,
    Kind.PHISHING: CaseKind.PHISHING,
    Kind.FRAUD: CaseKind.PHISHING,
    Kind.MALWARE: CaseKind.MALWARE,
    Kind.BOTNET: CaseKind.MALWARE,
    Kind.SPAM: CaseKind.SPAM,
    Kind.AUTH_FAILURE: CaseKind.SPAM,
    Kind.CSAM: CaseKind.CSAM,
    Kind.NCII: CaseKind.NCII,
    Kind.DDOS: CaseKind.ATTACK,
    Kind.ATTACK: CaseKind.ATTACK,
    Kind.VULNERABILITY: CaseKind.ATTACK,
}
# What stands in the place of a number that reads like a card (P4); the raw message is evidence and keeps it.
CARD = "[a number like that of a card]"
LONGEST_TEXT = 65_536
OUR_REFERENCE = re.compile(r"\bABU-[0-9A-Z]{4}-[0-9A-Z]{4}\b")


@dataclass(frozen=True)
class Taken:
    """A report that was taken in: its case, its row, and whether the case was opened for it."""

    case: AbuseCase
    report: AbuseReport
    is_new: bool


@dataclass(frozen=True)
class Door:
    """How a report came, and who handed it in, as the ledger names them."""

    channel: str
    by: str = ledger.SYSTEM


def take_in(
    raw: bytes,
    *,
    channel: str,
    report: Report | None = None,
    by: str = ledger.SYSTEM,
    number: UUID | None = None,
    at: dt.datetime | None = None,
) -> list[Taken]:
    """Keep a report and return where it belongs: one entry, or one for each notice that a mail holds.

    `report` is what a form already read; a mail or another system's message is read here. Whatever the bytes are, a
    case comes of them. `by` is who handed it in, as the ledger names it. With a `number` the report gets that id, and a
    second call finds what the first took in.
    """
    at = at or timezone.now()
    read = report or reading.read(raw)
    door = Door(channel, by)
    return [_take(raw, read, read, door, at, number), *(_take(raw, one, read, door, at) for one in read.others)]


def kind_of(report: Report) -> CaseKind:
    """Return what a report claims; ARF and X-ARF carry no notice, whatever they call themselves."""
    if report.kind == Kind.COPYRIGHT:
        return CaseKind.DMCA if report.claims_dmca else CaseKind.COPYRIGHT
    return KINDS.get(report.kind, CaseKind.OTHER)


def _take(raw: bytes, report: Report, mail: Report, door: Door, at: dt.datetime, number: UUID | None = None) -> Taken:
    kind, digests = kind_of(report), _digests(report, mail, door.by)
    with keyring(), transaction.atomic(durable=True):
        concerned = whom(report, at)
        # An address has other holders at other times: what concerns somebody else is another matter.
        about = f"{kind}|{concerned.source}|{concerned.account}"
        source_digest = digest("report source", about) if concerned.source else None
        # The sender is among them for the day's receipt, of which there is one; a sensor has no address, only its ids.
        same = ("content_digest", "message_digest", "reporter_digest")
        named = (bytes.fromhex(one) for one in digests["case_digests"])
        _one_after_the_other([*(digests[name] for name in same), *named, source_digest])
        if number is not None and (done := _numbered(number)) is not None:
            return Taken(done.case, done, not done.has_joined)
        known = _known(digests, kind)
        case = known.case if known is not None else _same_matter(source_digest, kind, at)
        case = case or _answered(report, mail, digests["reporter_digest"], concerned)
        is_new = case is None
        if case is None:
            case = _open(kind, concerned, source_digest, at)
        row = AbuseReport.objects.create(
            id=number or uuid7(),
            case=case,
            channel=door.channel,
            received_at=at,
            format=str(report.format),
            problems=sorted(report.codes | mail.codes),
            raw=raw[:MOST_RAW_BYTES],
            raw_sha256=hashlib.sha256(raw).hexdigest(),
            raw_size=len(raw),
            # A further notice of a mail is answered where the mail is.
            read=_plain(dataclasses.replace(report, mail=mail.mail)),
            reporter=_without_cards(_reporter(report))[:320] or None,
            may_be_named=report.may_forward_reporter,
            is_automatic=mail.mail.is_automatic,
            is_retraction=report.is_retraction,
            is_repeat=known is not None and known.content_digest == digests["content_digest"],
            **digests,
        )
        came = {"channel": str(door.channel), "format": row.format.replace(" ", "-")}
        facts = {"case": case.pk, "report": row.pk, **came}
        ledger.record(door.by, action(case, "reported"), case.pk, at=at, **facts)
        # One answer to one report: a program reads the NoticeAck, a person the receipt.
        if not replying.acknowledge(case, row, report, mail, at):
            _answer(case, row, mail, at)
    return Taken(case, row, is_new)


def _numbered(number: UUID) -> AbuseReport | None:
    return AbuseReport.objects.filter(pk=number).select_related("case").defer("raw", "read", "reporter").first()


def action(case: AbuseCase, word: str) -> str:
    """Return the name of an act in the ledger; cases of children are read by whoever may know of sealed matters."""
    return f"legal.case.{word}" if case.kind == CaseKind.CSAM else f"case.{word}"


def _digests(report: Report, mail: Report, by: str) -> dict[str, Any]:
    sender = _reporter(mail) or _reporter(report)
    # A case id is its reporter's own; of a reporter without an address it is that of the system that handed it in.
    ids = [digest("report case", f"{sender or by}|{one}").hex() for one in report.case_ids if one]
    message = mail.mail.message_id
    return {
        "message_digest": digest("report message", f"{message}|{report.report_id}") if message else None,
        "content_digest": digest("report content", report.content_hash),
        "case_digests": sorted(set(ids)),
        "reporter_digest": digest("email", sender) if sender else None,
    }


def _reporter(report: Report) -> str:
    return report.reporter.email or report.sender.email or report.mail.sent_from.email


def _one_after_the_other(digests: Iterable[bytes | None]) -> None:
    """Let two workers with the same report or sender come one after the other: one case is opened, one receipt sent."""
    numbers = sorted({int.from_bytes(one[:8], signed=True) for one in digests if one})
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def _known(digests: dict[str, Any], kind: CaseKind) -> AbuseReport | None:
    """Return the newest report that is the same content, or else the same message, or names its reporter's same case.

    What is about a child goes into no case that others may read, and nothing else into one of a child by a mere number.
    """
    same, of_child = Q(content_digest=digests["content_digest"]), Q(case__kind=CaseKind.CSAM)
    if digests["message_digest"]:
        same |= Q(message_digest=digests["message_digest"])
    if digests["case_digests"]:
        same |= Q(case_digests__overlap=digests["case_digests"]) & (of_child if kind == CaseKind.CSAM else ~of_child)
    found = AbuseReport.objects.filter(same, case__closed_at=None).defer("raw", "read", "reporter")
    if kind == CaseKind.CSAM:
        found = found.filter(of_child)
    # The same content first: a report of the same case that came between would hide that this one is a repeat.
    rank = Case(When(content_digest=digests["content_digest"], then=0), default=1)
    return found.select_related("case").order_by(rank, "-received_at", "-pk").first()


def _same_matter(source_digest: bytes | None, kind: CaseKind, at: dt.datetime) -> AbuseCase | None:
    if source_digest is None:
        return None
    recent = AbuseCase.objects.open().filter(source_digest=source_digest, opened_at__gt=at - schedule.span("storm"))
    if kind == CaseKind.CSAM:
        # Staff may have found that the one before is about something else.
        recent = recent.filter(kind=kind)
    return recent.order_by("-opened_at", "-pk").first()


def _answered(report: Report, mail: Report, sender: bytes | None, concerned: Concerned) -> AbuseCase | None:
    """Return the open case that its own reporter answers about by our reference, as our letters ask them to.

    What concerns another customer is another matter, whatever reference stands above it; and words after a report was
    taken back bring it to life for nobody.
    """
    named = set(OUR_REFERENCE.findall(f"{mail.mail.subject}\n{report.text}"))
    if sender is None or not named or kind_of(report) == CaseKind.CSAM:
        return None
    cases = AbuseCase.objects.open().exclude(kind=CaseKind.CSAM).filter(reference__in=named)
    if concerned.account is not None:
        cases = cases.filter(account=concerned.account)
    theirs = AbuseReport.objects.filter(case=OuterRef("pk"), reporter_digest=sender)
    gone = AbuseCase.objects.taken_back().filter(pk=OuterRef("pk"))
    return cases.filter(Exists(theirs), ~Exists(gone)).order_by("-opened_at", "-pk").first()


def _open(kind: CaseKind, concerned: Concerned, source_digest: bytes | None, at: dt.datetime) -> AbuseCase:
    severity, within = urgency(kind)
    case = AbuseCase.objects.create(
        kind=kind,
        severity=severity,
        opened_at=at,
        look_by=at + within,
        account_id=concerned.account,
        service=concerned.service,
        found=concerned.found,
        decided_by=ledger.SYSTEM,
        decided_at=at,
        source_digest=source_digest,
        source=_without_cards(concerned.source) or None,
        source_at=concerned.at,
    )
    facts = {"kind": str(kind), "found": str(concerned.found), "account": concerned.account}
    ledger.record(ledger.SYSTEM, action(case, "opened"), case.pk, at=at, **facts)
    return case


def _plain(report: Report) -> dict[str, Any]:
    """Return a report as JSON, without the bytes of evidence (the raw message has them) and its further notices."""
    facts = dataclasses.asdict(dataclasses.replace(report, others=(), problems=()))
    return {name: _json(value) for name, value in facts.items() if name not in {"others", "problems"}}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_without_cards(str(name)): _json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        return _without_cards(value)[:LONGEST_TEXT]
    return value


def _without_cards(text: str) -> str:
    if not holds_card_number(text):
        return text
    lines = [CARD if holds_card_number(line) else line for line in text.splitlines()]
    whole = "\n".join(lines)
    return CARD if holds_card_number(whole) else whole


def _answer(case: AbuseCase, row: AbuseReport, mail: Report, at: dt.datetime) -> None:
    """Post a receipt to whoever wrote, once a day, unless a machine did (RFC 3834).

    Another system has its receipt in the answer, and it names its reporters: none of them is mailed for handing in.
    """
    to = replying.reply_to(row, mail)
    if to is None or row.channel == Channel.API:
        return
    event = f"report-receipt:{replying.of_sender(row, at)}"
    context = {"reference": case.reference, "received_at": at, "page_path": reverse("disclosures:report")}
    subject, body = mailing.render("disclosures/mail/report_received.txt", context)
    outbox.post("mail", event, {"to": to, "subject": subject, "body": body}, subject=case.pk, at=at)
