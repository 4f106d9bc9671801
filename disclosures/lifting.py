"""Ending what a notice led to: the suspension, the disabled material, the strike, the notice itself (P19).

A suspension ends on one of four grounds, each with its evidence: acknowledged and remedied; put back after a
counter-notice; complaint withdrawn or refuted; appeal. These work in the transaction that has the account's lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts import suspending
from accounts.errors import NotActionable
from accounts.models import Account
from accounts.safeguards import ledger
from disclosures import notice_mails, notifying
from disclosures.models import AbuseCase, AbuseNotice, AbuseNoticeItem, CaseOutcome, Strike
from disclosures.notice_mails import Step

Lifted, Ended = AbuseNotice.Lifted, AbuseNotice.Ended
# How a notice ends when staff close its case like this.
ENDS = {
    CaseOutcome.REMEDIED: Ended.REMEDIED,
    CaseOutcome.PUT_BACK: Ended.PUT_BACK,
    CaseOutcome.WITHDRAWN: Ended.WITHDRAWN,
    CaseOutcome.NOT_VALID: Ended.REFUTED,
    CaseOutcome.INCOMPLETE: Ended.REFUTED,
    CaseOutcome.DUPLICATE: Ended.REFUTED,
    CaseOutcome.NO_ACTION: Ended.REFUTED,
    CaseOutcome.NOT_OURS: Ended.REFUTED,
    CaseOutcome.COURT: Ended.COURT,
    CaseOutcome.UNANSWERED: Ended.CLOSED,
}
FELL = frozenset({Ended.WITHDRAWN, Ended.REFUTED})


def lift(
    notice: AbuseNotice,
    account: Account,
    case: AbuseCase,
    how: str,
    *,
    by: str,
    at: dt.datetime,
    evidence: str = "",
    ends: Mapping[str, Any] | None = None,
) -> None:
    """Lift the suspension of a notice on one of the four grounds, and tell the customer."""
    assert notice.suspension is not None  # noqa: S101 - asked before
    lifted = {"lifted_at": at, "lifted_by": by, "lifted_how": Lifted(how), "lift_evidence": evidence or None}
    _set(notice, {**lifted, **(ends or {})})
    suspending.lift_within(notice.suspension, by=by, at=at)
    notifying.record(by, "lifted", case, notice, at, how=str(how))
    notice_mails.tell(notice, account, Step.LIFTED, at, once=notice.suspension.hex[-12:])


def _set(notice: AbuseNotice, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        setattr(notice, name, value)
    notice.save(update_fields=list(facts))


def when_both_are_done(notice: AbuseNotice, account: Account, case: AbuseCase, at: dt.datetime) -> None:
    """Lift a suspension once receipt is acknowledged and the remedy performed (P19)."""
    if notice.is_suspended and notice.acknowledged_at is not None and notice.remedied_at is not None:
        lift(notice, account, case, Lifted.REMEDIED, by=ledger.SYSTEM, at=at)


def restore(
    notice: AbuseNotice,
    account: Account,
    case: AbuseCase,
    *,
    by: str,
    at: dt.datetime,
    only: Collection[UUID] | None = None,
) -> int:
    """Let what we disabled be seen again, or `only` some places by their ids; return how many places there were."""
    disabled = restorable(notice)
    if only is not None:
        disabled = disabled.filter(pk__in=only)
    numbers = sorted(disabled.values_list("number", flat=True))
    disabled.update(restored_at=at, restored_by=by)
    if numbers:
        notifying.record(by, "restored", case, notice, at, items=numbers)
        notifying.publish(notifying.RESTORED, notice, account, numbers, at)
    return len(numbers)


def restorable(notice: AbuseNotice) -> QuerySet[AbuseNoticeItem]:
    """Return the places that can come back; what a court was asked about stays disabled until it decides."""
    disabled = notice.items.filter(disabled_at__isnull=False, restored_at=None)
    for counter in notice.counters.exclude(stopped_at=None):
        disabled = disabled.exclude(pk__in=counter.items)
    return disabled


def end(
    notice: AbuseNotice, account: Account, case: AbuseCase, how: str, *, by: str, at: dt.datetime, why: str = ""
) -> None:
    """End a notice: what fell with the complaint comes back, nothing stays suspended, the customer is told.

    Raises NotActionable for an end that did not happen: not remedied, not put back, no court, still suspended.
    """
    _refuse_untrue(notice, how)
    if how not in FELL and notice.is_suspended:
        raise NotActionable(
            f"Case {case.reference}: services are suspended for it. They run again once both acts are recorded, "
            "after a put-back, when the complaint fell, or by an appeal."
        )
    ends = {"ended_at": at, "ended_by": by, "ended_how": Ended(how)}
    if notice.is_suspended:
        # The complaint fell: the suspension and the matter end as one.
        lift(notice, account, case, Lifted.REFUTED, by=by, at=at, evidence=why, ends=ends)
    else:
        _set(notice, ends)
    if how in FELL:
        restore(notice, account, case, by=by, at=at)
        overrule(notice, account, by=by, at=at, why=why)
    notifying.settle_hold(notice, at)
    notifying.record(by, "notice_ended", case, notice, at, how=str(how))
    notice_mails.tell(notice, account, Step.ENDED, at)


def overrule(
    notice: AbuseNotice, account: Account, *, by: str, at: dt.datetime, why: str, returns: bool = False
) -> bool:
    """Overrule the strike of a notice, if it has one that stands, and tell the customer, and whether places return."""
    strike = Strike.objects.filter(notice=notice, overruled_at=None).first()
    if strike is None:
        return False
    strike.overruled_at, strike.overruled_by, strike.overruled_why = at, by, why or "The complaint fell."
    strike.save(update_fields=["overruled_at", "overruled_by", "overruled_why"])
    ledger.record(by, "case.strike_overruled", notice.case, at=at, strike=strike.pk)
    notice_mails.tell(notice, account, Step.OVERRULED, at, returns=returns)
    return True


def _refuse_untrue(notice: AbuseNotice, how: str) -> None:
    counter = notice.counters.filter(signed_at__isnull=False).first()
    if how not in FELL and notice.counters.waiting().exists():
        raise NotActionable(f"Notice {notice.reference}: a counter-notice waits for its day.")
    if how == Ended.REMEDIED and notice.remedied_at is None:
        raise NotActionable(f"Notice {notice.reference} is not remedied everywhere.")
    if how == Ended.PUT_BACK and (counter is None or counter.put_back_at is None):
        raise NotActionable(f"Notice {notice.reference}: nothing was put back.")
    if how == Ended.COURT and (counter is None or counter.stopped_at is None):
        raise NotActionable(f"Notice {notice.reference}: no notice of court action is recorded.")
