"""What staff find of an abuse case (P18): whom it concerns, whether it is true and complete.

Who may: the abuse desk, legal and the privacy officer; cases of children only legal. Each finding is a row with who and
when, and the newest of an item counts. A closed case stays as it ended: what comes later opens another.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, Service, User
from accounts.roles import may
from accounts.safeguards import ledger
from accounts.safeguards.calendar import add_months
from accounts.safeguards.cards import refuse_card_number
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    CaseFinding,
    CaseKind,
    CaseNote,
    Finding,
    Recipient,
    TiplineReport,
)
from disclosures.models.cases import ELEMENTS, urgency
from disclosures.reporting import action
from retention import placing, schedule
from retention.models import Hold

DECIDE = "disclosures.decide_abusecase"
SEES_CSAM = "disclosures.view_csam"
TAKEN_BACK = "The reporter took it back. Close the case as withdrawn, or find once more that it is authentic."


def visible(user: User, rows: QuerySet[AbuseCase]) -> QuerySet[AbuseCase]:
    """Return those of the cases that this member of staff may know of."""
    return rows if may(user, SEES_CSAM) else rows.exclude(kind=CaseKind.CSAM)


def sees(user: User, case: AbuseCase) -> bool:
    """Return whether this member of staff may know of a case."""
    return case.kind != CaseKind.CSAM or may(user, SEES_CSAM)


def assign(case_id: UUID, *, by: User, at: dt.datetime | None = None) -> AbuseCase:
    """Let `by` take care of a case and return it."""
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        if case.assigned_to != by.pk:
            case.assigned_to = by.pk
            case.save(update_fields=["assigned_to"])
            ledger.record(by.actor, action(case, "assigned"), case.pk, at=at)
    return case


def decide_whom(
    case_id: UUID, *, by: User, number: str = "", service: UUID | None = None, at: dt.datetime | None = None
) -> AbuseCase:
    """Say whom a case concerns: an account by its number, or nobody of ours; return the case.

    Raises NotActionable for a number no account has, and a service of somebody else.
    """
    at = at or timezone.now()
    account = Account.objects.filter(number=number.strip()).first() if number.strip() else None
    if number.strip() and account is None:
        raise NotActionable("No account has this number. Check it for typing errors.")
    if service is not None and not Service.objects.filter(pk=service, account=account).exists():
        raise NotActionable("This service is another account's. Choose one of the account's own.")
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        _refuse_told(case)
        case.account, case.service = account, service
        case.found = AbuseCase.Found.ONE if account else AbuseCase.Found.NOT_OURS
        case.decided_by, case.decided_at = by.actor, at
        case.save(update_fields=["account", "service", "found", "decided_by", "decided_at"])
        facts = {"found": str(case.found), "account": case.account_id}
        ledger.record(by.actor, action(case, "decided"), case.pk, at=at, **facts)
    return case


def find(
    case_id: UUID, item: str, *, by: User, is_met: bool, note: str = "", at: dt.datetime | None = None
) -> CaseFinding:
    """Record a finding and return it. Raises NotActionable for an unknown item, and where "no" gives no reason."""
    at = at or timezone.now()
    refuse_card_number(note)
    if item not in Finding.values:
        raise NotActionable("Choose what you looked at.")
    if not is_met and not note.strip():
        raise NotActionable("Say what is missing or wrong, so that a colleague and the reporter can be told.")
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        row = CaseFinding.objects.create(
            case=case, item=item, is_met=is_met, note=note.strip() or None, found_by=by.pk, found_at=at
        )
        ledger.record(by.actor, action(case, "found"), case.pk, at=at, item=item, is_met=is_met, finding=row.pk)
    return row


def findings(case: AbuseCase) -> dict[str, CaseFinding]:
    """Return the finding that counts of each item; of a case whose findings were fetched with it, without asking."""
    return {row.item: row for row in sorted(case.findings.all(), key=lambda row: (row.found_at, row.pk))}


def missing(case: AbuseCase) -> list[Finding]:
    """Return what a copyright notice still lacks of its six elements (17 USC 512(c)(3)(A)); [] for other kinds."""
    if case.kind != CaseKind.DMCA:
        return []
    known = findings(case)
    return [item for item in ELEMENTS if item not in known or not known[item].is_met]


def is_found_true(case: AbuseCase) -> bool:
    """Return whether both findings of P18 stand: authentic and accurate."""
    known = findings(case)
    return all(item in known and known[item].is_met for item in (Finding.AUTHENTIC, Finding.ACCURATE))


def name_complainant(case_id: UUID, reference: str, *, by: User, at: dt.datetime | None = None) -> AbuseCase:
    """Say which registered recipient complains, by their reference: nobody else may be given anything for the case."""
    at = at or timezone.now()
    to = Recipient.objects.open(at).filter(reference=reference.strip().upper(), kind=Recipient.Kind.COMPLAINANT).first()
    if to is None:
        raise NotActionable("No open recipient of this reference is a complainant. Register them first.")
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        if case.kind == CaseKind.CSAM:
            raise NotActionable(f"Case {case.reference}: nothing of these cases goes to anybody but by law.")
        case.complainant = to
        case.save(update_fields=["complainant"])
        ledger.record(by.actor, action(case, "complainant"), case.pk, at=at, recipient=to.reference)
    return case


def report_to_tipline(case_id: UUID, *, by: User, number: str, at: dt.datetime | None = None) -> TiplineReport:
    """Record that a case of children was reported, and preserve the account for a year, untold (18 USC 2258A(h)).

    Raises NotActionable for another kind of case, without the number, and the second time.
    """
    at = at or timezone.now()
    refuse_card_number(number)
    if not number.strip():
        raise NotActionable("Enter the number that the CyberTipline gave.")
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        if case.kind != CaseKind.CSAM:
            raise NotActionable(f"Case {case.reference} is about something else: change what it is about first.")
        if TiplineReport.objects.filter(case=case).exists():
            raise NotActionable(f"Case {case.reference} was reported already.")
        hold = None
        if case.account is not None:
            ends_at = add_months(at, 12 * schedule.number("child_kept"))
            kind = Hold.Kind.PRESERVATION
            hold = placing.place_within(case.account.pk, kind, by=by.actor, cause=case.pk, ends_at=ends_at, at=at)
        row = TiplineReport.objects.create(
            case=case, number=number.strip(), reported_by=by.pk, reported_at=at, hold=hold.pk if hold else None
        )
        ledger.record(by.actor, action(case, "tipline"), case.pk, at=at, report=row.pk)
    return row


def is_taken_back(case: AbuseCase) -> bool:
    """Return whether the reporter took a report back and nobody looked since (CaseQuerySet.taken_back).

    Of a case whose page learned it before, as `was_taken_back`, without asking.
    """
    known: bool | None = vars(case).get("was_taken_back")
    return AbuseCase.objects.taken_back().filter(pk=case.pk).exists() if known is None else known


def refuse_taken_back(case: AbuseCase) -> None:
    """Raise NotActionable for a case whose report was taken back, and nobody looked since."""
    if is_taken_back(case):
        raise NotActionable(f"Case {case.reference}: {TAKEN_BACK}")


def is_valid(case: AbuseCase) -> bool:
    """Return whether anything may be done to anybody because of it: true, and of a copyright notice complete (P18)."""
    return case.kind != CaseKind.CSAM and is_found_true(case) and not missing(case) and not is_taken_back(case)


def change_kind(case_id: UUID, kind: str, *, by: User, at: dt.datetime | None = None) -> AbuseCase:
    """Say what a case is about and return it; its urgency follows, and by when somebody must look."""
    at = at or timezone.now()
    if kind not in CaseKind.values:
        raise NotActionable("Choose what the case is about.")
    with keyring(), transaction.atomic(durable=True):
        case = open_case(case_id, by)
        _refuse_told(case)
        was, case.kind = case.kind, CaseKind(kind)
        case.severity, within = urgency(kind)
        case.look_by = case.opened_at + within
        case.save(update_fields=["kind", "severity", "look_by"])
        ledger.record(by.actor, action(case, "kind"), case.pk, at=at, was=str(was), kind=kind)
    return case


def note(case_id: UUID, *, by: User, text: str, at: dt.datetime | None = None) -> CaseNote:
    """Write a note on the timeline of a case, of a closed one too, and return it."""
    at = at or timezone.now()
    refuse_card_number(text)
    if not text.strip():
        raise NotActionable("Write your note.")
    with keyring(), transaction.atomic(durable=True):
        case = any_case(case_id, by)
        row = CaseNote.objects.create(case=case, text=text.strip(), written_by=by.pk, written_at=at)
        ledger.record(by.actor, action(case, "noted"), case.pk, at=at, note=row.pk)
    return row


def _refuse_told(case: AbuseCase) -> None:
    if AbuseNotice.objects.open().filter(case=case.pk).exists():
        raise NotActionable(f"Case {case.reference}: its customer was told. Close it, and take the report in anew.")


def any_case(case_id: UUID, by: User) -> AbuseCase:
    """Return a case, an ended one too, locked in the caller's transaction: its account first, as in every act."""
    if not may(by, DECIDE):
        raise PermissionDenied("Abuse cases are worked on by the abuse desk, legal and the privacy officer.")
    concerned = AbuseCase.objects.filter(pk=case_id).values_list("account_id", flat=True).first()
    account = Account.objects.locked([concerned]).first() if concerned else None
    case = AbuseCase.objects.select_for_update(of=("self",)).filter(pk=case_id).first()
    if case is None or (case.kind == CaseKind.CSAM and not may(by, SEES_CSAM)):
        raise NotActionable("There is no such case. Look it up in the list.")
    if case.account_id != concerned:
        raise NotActionable(f"Case {case.reference} was changed meanwhile. Open it again.")
    case.account = account
    return case


def open_case(case_id: UUID, by: User) -> AbuseCase:
    """Return an open case that `by` may work on, locked with its account, in the caller's transaction."""
    case = any_case(case_id, by)
    if case.closed_at is not None:
        raise NotActionable(f"Case {case.reference} has ended: {case.get_outcome_display()}. A report opens another.")
    return case
