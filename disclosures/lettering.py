"""Letters of staff to whoever reported: what a notice lacks, what we need to know, what became of it (P17, P18).

Who may: the abuse desk, legal and the privacy officer. Each begins as a draft that staff change; it goes by mail to the
newest reporter who may be answered, and stands among the notes of the case. None says what is not so, names the
customer, or goes out about cases of children.
"""

from __future__ import annotations

import datetime as dt
import re
from uuid import UUID

from django.db import transaction
from django.db.models import TextChoices
from django.utils import timezone

from accounts import mailing
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger, outbox
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import digest
from disclosures import judging, notifying, replying
from disclosures.models import AbuseCase, CaseKind, CaseNote, Finding
from disclosures.models.cases import ELEMENTS
from disclosures.reporting import action

LONGEST = 4_500
# Without one of these a notice counts for nothing; with all of them we must ask for the rest (17 USC 512(c)(3)(B)(ii)).
CORE = frozenset({Finding.WORK, Finding.MATERIAL, Finding.CONTACT})
# What a draft leaves to be filled in stands in a line of its own, in brackets.
BLANK = re.compile(r"^\[.*\]$", re.MULTILINE)
NOBODY = "Nobody can be written to: the reports came from machines or gave no address to answer."


class Letter(TextChoices):
    """What a letter is about; each has its template."""

    DEFICIENCY = "deficiency", "what the notice lacks"
    MORE_FACTS = "more_facts", "more facts"
    NOT_OURS = "not_ours", "not ours"
    PASSED_ON = "passed_on", "passed on"
    CLOSED = "closed", "closed"


def hinders(case: AbuseCase, letter: Letter) -> str:
    """Return why a letter cannot go, as a sentence: what it would say is not so, or nobody can read it; else empty."""
    if case.kind == CaseKind.CSAM:
        return "Nobody is written to about these cases."
    return _untrue(case, letter) or ("" if _is_answerable(case) else NOBODY)


def _is_answerable(case: AbuseCase) -> bool:
    """Return whether somebody can be written to, asked once a record: a page asks for every letter."""
    with keyring():
        return case.once("reporter", lambda: replying.reporter_of(case)) is not None


def draft(case: AbuseCase, letter: Letter) -> str:
    """Return the text of a letter as its template makes it, for staff to change."""
    return _rendered(case, letter)[1]


def send(case_id: UUID, letter: Letter, text: str, *, by: User, at: dt.datetime | None = None) -> CaseNote:
    """Send a letter with the text that staff made of it, and return the note that keeps it.

    Raises NotActionable where the letter is hindered, empty or not filled in, and for the same text on the same day.
    """
    at = at or timezone.now()
    letter, text = Letter(letter), text.replace("\r\n", "\n").strip()
    refuse_card_number(text)
    if not text or len(text) > LONGEST:
        raise NotActionable(f"Write the letter, in at most {LONGEST} characters.")
    if BLANK.search(text):
        raise NotActionable("The draft has a line in brackets. Write there what you need, without the brackets.")
    with keyring(), transaction.atomic(durable=True):
        case = judging.any_case(case_id, by)
        hindrance = hinders(case, letter)
        reporter = replying.reporter_of(case)
        if hindrance or reporter is None:
            raise NotActionable(f"Case {case.reference}: {hindrance or NOBODY}")
        once = digest("letter to a reporter", text).hex()[:32]
        event = f"report-letter:{case.reference}:{letter.value}:{once}:{timezone.localtime(at):%Y%m%d}"
        content = {"to": reporter.address, "subject": _rendered(case, letter)[0], "body": f"{text}\n"}
        if outbox.post("mail", event, content, subject=case.pk, at=at) is None:
            raise NotActionable(f"Case {case.reference}: this very letter was sent today. Change it, or leave it.")
        kept = f"Letter to the reporter ({letter.label}):\n\n{text}"
        row = CaseNote.objects.create(case=case, text=kept, written_by=by.pk, written_at=at)
        ledger.record(by.actor, action(case, "wrote"), case.pk, at=at, note=row.pk, letter=letter.value)
    return row


def _untrue(case: AbuseCase, letter: Letter) -> str:
    if letter == Letter.CLOSED:
        return "" if case.closed_at else "The case is open."
    if letter == Letter.PASSED_ON:
        return "" if notifying.notice_of(case) is not None else "The customer was not told yet."
    if letter == Letter.NOT_OURS:
        return "" if case.found == AbuseCase.Found.NOT_OURS else "Nobody decided that it is no customer of ours."
    if case.closed_at:
        return "This case has ended; that stays."
    return _whole(case) if letter == Letter.DEFICIENCY else ""


def _whole(case: AbuseCase) -> str:
    if case.kind != CaseKind.DMCA:
        return "Only a copyright notice (DMCA) can lack elements."
    if set(ELEMENTS) - set(judging.findings(case)):
        return "Record first what you found of each of the six elements."
    return "" if judging.missing(case) else "The notice lacks nothing."


def _rendered(case: AbuseCase, letter: Letter) -> tuple[str, str]:
    lacks = judging.missing(case) if letter == Letter.DEFICIENCY else []
    context = {
        "reference": case.reference,
        "received_at": case.opened_at,
        "lacks": [item.value for item in lacks],
        "counts_not": bool(CORE & set(lacks)),
    }
    return mailing.render(f"disclosures/letters/abuse/{letter.value}.txt", context)
