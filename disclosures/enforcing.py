"""The clocks of notices: material first, then silence, suspension and what follows (P18, P19; law-and-timers.md).

Who may: the clock, and for what needs a person's eyes the abuse desk. Everything is asked again under the account's
lock, where an answer that came meanwhile counts: one outcome, one mail, one webhook.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts import suspending
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, Suspension, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from disclosures import abuse_clocks, concluding, judging, lifting, notice_mails, notifying, turns
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    AbuseNoticeItem,
    CaseCopy,
    CaseFinding,
    CaseKind,
    CaseOutcome,
    CounterNotice,
    Finding,
)
from disclosures.models.cases import ELEMENTS
from disclosures.notice_mails import Step
from retention import schedule
from retention.models import Hold

REPORTER = "reporter"
# What is suspended waits for a person, as long as it takes; the turns of the clock are for the others.
NOT_SUSPENDED = Q(suspension=None) | Q(lifted_at__isnull=False)


def watch(at: dt.datetime | None = None) -> dict[str, int]:
    """Do what is due, each notice in a transaction of its own; return how many of each kind there were."""
    at = at or timezone.now()
    open_now = AbuseNotice.objects.answerable(at)
    # Nobody is asked, or found silent, about what its reporter took back, until a person decided.
    unanswered = open_now.unanswered().filter(~_taken_back())
    due: tuple[tuple[str, Iterable[UUID], Callable[[UUID, dt.datetime], bool]], ...] = (
        (
            "came back",
            _ids(open_now.filter(delivered_at=None, bounced_at=None, sent_at__lte=at - notifying.ACCEPTED_WITHIN)),
            _came_back,
        ),
        (
            "reminded",
            _ids(unanswered.filter(remind_at__lte=at, reminded_at=None, lapsed_at=None)),
            _remind,
        ),
        (
            "disabled",
            _ids(open_now.filter(_valid(), Exists(_undisabled()), _material_due(at), remedied_at=None)),
            _disable_due,
        ),
        # Silence is noted once; services are suspended as soon as both findings stand, and again after a dispute.
        (
            "lapsed",
            _ids(unanswered.filter(NOT_SUSPENDED, Q(lapsed_at=None) | Q(lapsed_at__lt=F("act_by")), act_by__lte=at)),
            _lapse,
        ),
        (
            "suspended",
            _ids(unanswered.filter(_valid(), lapsed_at__isnull=False, suspension=None, act_by__lte=at)),
            _lapse,
        ),
        ("settled", _ids(_settled(open_now.filter(NOT_SUSPENDED), at)), _settle),
    )
    return {word: turns.take(pks, act, at) for word, pks, act in due}


def disable(notice_id: UUID, items: Iterable[UUID], *, by: User, at: dt.datetime | None = None) -> int:
    """Disable material of a valid notice; return how many places. Raises NotActionable where nothing can be."""
    notifying.refuse_without(by)
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        at = at or timezone.now()
        _refuse_no_material(notice, case)
        chosen = notice.items.filter(pk__in=list(items), disabled_at=None)
        if not chosen:
            raise NotActionable("Choose places that are not disabled yet.")
        return _disable(notice, account, case, list(chosen), by.actor, at)


def dispute(
    item_id: UUID, *, by: User, seen: str, for_reporter: bool = False, at: dt.datetime | None = None
) -> AbuseNotice:
    """Record that a place is not fixed, and what was seen; the customer is asked once more and has time again.

    Raises NotActionable for a place the customer has not said to be fixed, and without words.
    """
    notifying.refuse_without(by)
    refuse_card_number(seen)
    if not seen.strip():
        raise NotActionable("Say what is still there, and when it was seen.")
    with keyring(), transaction.atomic(durable=True):
        notice_id = AbuseNoticeItem.objects.filter(pk=item_id).values_list("notice_id", flat=True).first()
        if notice_id is None:
            raise NotActionable("This place was deleted with its account.")
        notice, account, case = notifying.locked(notice_id)
        at = at or timezone.now()
        item = notice.items.get(pk=item_id)
        judging.refuse_taken_back(case)
        if not item.is_fixed:
            raise NotActionable(f"Place {item.number} of notice {notice.reference} is not said to be fixed.")
        item.disputed_at, item.disputed_by, item.seen = at, REPORTER if for_reporter else by.actor, seen.strip()
        item.save(update_fields=["disputed_at", "disputed_by", "seen"])
        notice.remedied_at = notice.remedied_by = None
        later = abuse_clocks.act_by(notice.kind, case.severity, at)
        notice.act_by = max(later, notice.act_by) if notice.act_by else later
        notice.remind_at, notice.reminded_at = abuse_clocks.remind_at(at, notice.act_by), None
        notice.save(update_fields=["remedied_at", "remedied_by", "act_by", "remind_at", "reminded_at"])
        if not Hold.objects.unreleased().filter(kind=Hold.Kind.AGREEMENT, cause=notice.pk).exists():
            notifying.place_hold(notice, at)
        notifying.copy(case, CaseCopy.Kind.DISPUTE, f"{item.number}: {seen.strip()}", by.actor, at)
        notifying.record(by.actor, "disputed", case, notice, at, item=item.number, reporter=for_reporter)
        notice_mails.tell(notice, account, Step.DISPUTED, at, once=f"{at:%Y%m%d%H%M%S}")
    return notice


def _ids(notices: QuerySet[AbuseNotice]) -> list[UUID]:
    return list(notices.order_by("sent_at", "pk").values_list("pk", flat=True))


def _valid() -> Q:
    """Return the condition that a case is valid (judging.is_valid): what waits for a person keeps nothing else back."""
    true = Q(*(_met(item) for item in (Finding.AUTHENTIC, Finding.ACCURATE)))
    true &= ~Q(_taken_back())
    return true & (~Q(kind=CaseKind.DMCA) | Q(*(_met(item) for item in ELEMENTS)))


def _taken_back() -> Exists:
    return Exists(AbuseCase.objects.taken_back().filter(pk=OuterRef("case")))


def _met(item: str) -> Exists:
    """Return the condition that the newest finding of an item says it is met."""
    newest = CaseFinding.objects.filter(case=OuterRef(OuterRef("case")), item=item).order_by("-found_at", "-pk")
    return Exists(CaseFinding.objects.filter(pk=Subquery(newest.values("pk")[:1]), is_met=True))


def _material_due(at: dt.datetime) -> Q:
    """Return the condition that material is due (abuse_clocks.material_due)."""
    opened = AbuseCase.objects.filter(pk=OuterRef("case"), opened_at__lte=at - schedule.span("images"))
    return Q(material_by__lte=at) | Q(Exists(opened), kind=CaseKind.NCII)


def _undisabled() -> QuerySet[AbuseNoticeItem]:
    return AbuseNoticeItem.objects.filter(
        Q(fixed_at=None) | Q(disputed_at__gte=F("fixed_at")), notice=OuterRef("pk"), disabled_at=None
    )


def _came_back(notice_id: UUID, at: dt.datetime) -> bool:
    notifying.came_back(notice_id, at=at)
    return True


def _remind(notice_id: UUID, at: dt.datetime) -> bool:
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        if notice.is_answered or notice.lapsed_at:
            return False
        AbuseNotice.objects.filter(pk=notice.pk).update(reminded_at=at)
        notice_mails.remind(notice, account, at)
        notifying.record(ledger.SYSTEM, "reminded", case, notice, at)
    return True


def _disable_due(notice_id: UUID, at: dt.datetime) -> bool:
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        due = abuse_clocks.material_due(notice.kind, notice.material_by, case.opened_at)
        if due is None or due > at or not judging.is_valid(case):
            return False
        left = [item for item in notice.items.filter(disabled_at=None) if not item.is_fixed]
        return bool(left) and _disable(notice, account, case, left, ledger.SYSTEM, at) > 0


def _disable(
    notice: AbuseNotice, account: Account, case: AbuseCase, items: list[AbuseNoticeItem], by: str, at: dt.datetime
) -> int:
    notice.items.filter(pk__in=[item.pk for item in items], disabled_at=None).update(disabled_at=at, disabled_by=by)
    numbers = sorted(item.number for item in items)
    notifying.record(by, "disabled", case, notice, at, items=numbers)
    notifying.publish(notifying.DISABLED, notice, account, numbers, at)
    notice_mails.tell(notice, account, Step.DISABLED, at, once=f"{at:%Y%m%d%H%M%S}")
    return len(items)


def _lapse(notice_id: UUID, at: dt.datetime) -> bool:
    """Note the silence, and suspend the services concerned where the case is valid; else a person is asked."""
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        # Under the lock: whoever answered before has answered.
        if notice.is_answered or notice.is_suspended:
            return False
        if notice.act_by is None or notice.act_by > at or not account.may_sign_in(at):
            return False
        # After a dispute there was time once more, and silence is found once more.
        first = notice.lapsed_at is None or notice.lapsed_at < notice.act_by
        if first:
            notice.lapsed_at = at
            notice.save(update_fields=["lapsed_at"])
            notifying.record(ledger.SYSTEM, "lapsed", case, notice, at)
        if not judging.is_valid(case):
            if first:
                notice_mails.tell(notice, account, Step.LAPSED, at, once=f"{notice.act_by:%Y%m%d%H%M}")
            return first
        row = _suspended(notice, account, at)
        if row is None:
            if first:
                notice_mails.tell(notice, account, Step.LAPSED, at, once=f"{notice.act_by:%Y%m%d%H%M}")
            return first
        notice.suspension, notice.suspended_at = row.pk, at
        notice.lifted_at, notice.lifted_by, notice.lifted_how, notice.lift_evidence = None, "", "", None
        notice.save(
            update_fields=["suspension", "suspended_at", "lifted_at", "lifted_by", "lifted_how", "lift_evidence"]
        )
        notifying.record(ledger.SYSTEM, "suspended", case, notice, at, suspension=row.pk)
        notice_mails.tell(notice, account, Step.SUSPENDED, at, once=row.pk.hex[-12:])
    return True


def _suspended(notice: AbuseNotice, account: Account, at: dt.datetime) -> Suspension | None:
    """Suspend what a notice is about; None where that service is there no more, which hinders nothing else."""
    try:
        with transaction.atomic():
            return suspending.place_within(
                account, Suspension.Ground.ABUSE, by=ledger.SYSTEM, service_id=notice.service, at=at
            )
    except NotActionable:
        return None


def _settled(notices: QuerySet[AbuseNotice], at: dt.datetime) -> QuerySet[AbuseNotice]:
    """Return those that were remedied and not disputed for a while, but for what a counter-notice asks back."""
    waits = CounterNotice.objects.waiting().filter(notice=OuterRef("pk"))
    return notices.filter(~Exists(waits), remedied_at__lte=at - schedule.span("settled"))


def _settle(notice_id: UUID, at: dt.datetime) -> bool:
    """Close what was remedied and not disputed for a while, notice and case."""
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        if notice.remedied_at is None or notice.remedied_at > at - schedule.span("settled"):
            return False
        if notice.acknowledged_at is None and notice.is_suspended:
            return False
        lifting.end(notice, account, case, AbuseNotice.Ended.REMEDIED, by=ledger.SYSTEM, at=at)
        concluding.close_within(
            case, CaseOutcome.REMEDIED, by=ledger.SYSTEM, at=at, reason="Remedied, and nobody disputed it."
        )
    return True


def _refuse_no_material(notice: AbuseNotice, case: AbuseCase) -> None:
    if notice.kind not in abuse_clocks.MATERIAL_FIRST:
        raise NotActionable(f"Notice {notice.reference} is about no material: there is nothing to disable.")
    judging.refuse_taken_back(case)
    if not judging.is_valid(case):
        raise NotActionable(
            f"Case {case.reference}: record the findings first; material is disabled on a valid notice."
        )
