"""Repeat infringers (17 USC 512(i)): strikes that age out, can be overruled, and are appealed to another person.

Who may: the abuse desk, legal and the privacy officer give and overrule; an owner appeals; whoever gave a strike never
decides its appeal. How many make a repeat infringer, and for how long each counts, stand in the schedule. What follows
then is a decision of people: no account is closed by a count.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet
from django.utils import timezone

from accounts import members
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, User
from accounts.roles import may
from accounts.safeguards.cards import refuse_card_number
from disclosures import concluding, judging, lifting, notice_mails, notifying
from disclosures.models import AbuseCase, AbuseNotice, CaseCopy, CaseKind, CaseOutcome, Strike
from disclosures.notice_mails import Step
from retention import schedule

STRIKE = "disclosures.strike_abusenotice"
KINDS = frozenset({CaseKind.DMCA})


def standing(account_id: UUID | OuterRef, at: dt.datetime) -> QuerySet[Strike]:
    """Return the strikes of an account that count at `at`: not aged out and not overruled."""
    return Strike.objects.filter(account=account_id, overruled_at=None, ends_at__gt=at)


def repeat_infringers(at: dt.datetime) -> QuerySet[Account]:
    """Return the accounts with as many strikes as the policy names; people decide what follows."""
    counted = Strike.objects.filter(overruled_at=None, ends_at__gt=at).values("account").annotate(n=Count("pk"))
    return Account.objects.filter(pk__in=counted.filter(n__gte=schedule.number("strikes")).values("account"))


def strike(notice_id: UUID, *, by: User, at: dt.datetime | None = None) -> Strike:
    """Give a strike for a valid copyright notice and return it; once a notice. Raises NotActionable for any other."""
    _refuse_without(by)
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        at = at or timezone.now()
        judging.refuse_taken_back(case)
        if notice.kind not in KINDS or not judging.is_valid(case):
            raise NotActionable(f"Case {case.reference}: a strike stands on a valid copyright notice.")
        if Strike.objects.filter(notice=notice).exists():
            raise NotActionable(f"Notice {notice.reference} has its strike.")
        if notice.countered_at is not None:
            raise NotActionable(
                f"Notice {notice.reference}: a counter-notice disputes it; no strike is given meanwhile."
            )
        row = Strike.objects.create(
            account=account, notice=notice, given_at=at, given_by=by.pk, ends_at=at + schedule.span("strike")
        )
        notifying.record(by.actor, "strike_given", case, notice, at, strike=row.pk)
        notice_mails.tell(notice, account, Step.STRIKE, at, **policy(account, at))
    return row


def overrule(strike_id: UUID, *, by: User, why: str, at: dt.datetime | None = None) -> Strike:
    """Overrule a strike, with the reason, and return it."""
    _refuse_without(by)
    refuse_card_number(why)
    if not why.strip():
        raise NotActionable("Say why the strike does not stand.")
    with keyring(), transaction.atomic(durable=True):
        row, notice, account = _locked(strike_id)
        at = at or timezone.now()
        if not lifting.overrule(notice, account, by=by.actor, at=at, why=why.strip()):
            raise NotActionable(f"The strike of notice {notice.reference} was overruled already.")
        row.refresh_from_db()
    return row


def appeal(strike_id: UUID, *, by: User, text: str, at: dt.datetime | None = None) -> Strike:
    """Record an owner's appeal and return the strike; once, while the strike counts."""
    refuse_card_number(text)
    with keyring(), transaction.atomic(durable=True):
        row, notice, account = _locked(strike_id)
        members.refuse_unless(by, account, Part.COUNTER)
        at = at or timezone.now()
        if row.appealed_at is not None:
            return row
        if row.overruled_at is not None or row.ends_at <= at:
            raise NotActionable("This strike does not count any more.")
        if at > row.given_at + schedule.span("appeal"):
            raise NotActionable("The time to appeal is over. Write to us if something new came up.")
        if not text.strip():
            raise NotActionable("Say why the strike does not stand.")
        row.appeal, row.appealed_at, row.appealed_by = text.strip(), at, by.pk
        row.save(update_fields=["appeal", "appealed_at", "appealed_by"])
        case = AbuseCase.objects.get(pk=notice.case)
        notifying.copy(case, CaseCopy.Kind.APPEAL, text.strip(), by.actor, at)
        notifying.record(by.actor, "appealed", case, notice, at, strike=row.pk)
    return row


def decide(strike_id: UUID, *, by: User, in_favour: bool, decision: str, at: dt.datetime | None = None) -> Strike:
    """Decide an appeal: in favour of the customer the strike falls, the suspension with it, and the material returns.

    The material returns after the end of the notice, too: an appeal says that the notice was wrong.

    Raises PermissionDenied for whoever gave the strike, NotActionable where nobody appealed and the second time.
    """
    _refuse_without(by)
    refuse_card_number(decision)
    if not decision.strip():
        raise NotActionable("Say why you decide like this: the customer reads it.")
    with keyring(), transaction.atomic(durable=True):
        row, notice, account = _locked(strike_id)
        at = at or timezone.now()
        if row.given_by == by.pk:
            raise PermissionDenied("You gave this strike, so a colleague decides the appeal.")
        if row.appealed_at is None:
            raise NotActionable("Nobody appealed this strike.")
        if row.decided_at is not None:
            raise NotActionable("This appeal is decided.")
        row.decided_at, row.decided_by, row.decision = at, by.pk, decision.strip()
        row.save(update_fields=["decided_at", "decided_by", "decision"])
        case = AbuseCase.objects.select_for_update(of=("self",)).get(pk=notice.case)
        notifying.copy(case, CaseCopy.Kind.DECISION, decision.strip(), by.actor, at)
        notifying.record(by.actor, "appeal_decided", case, notice, at, strike=row.pk, in_favour=in_favour)
        if not in_favour:
            notice_mails.tell(notice, account, Step.UPHELD, at)
            return row
        returns = lifting.restorable(notice).exists()
        lifting.overrule(notice, account, by=by.actor, at=at, why=decision.strip(), returns=returns)
        if notice.ended_at is not None:
            lifting.restore(notice, account, case, by=by.actor, at=at)
        else:
            if notice.is_suspended:
                how = AbuseNotice.Lifted.APPEAL
                lifting.lift(notice, account, case, how, by=by.actor, at=at, evidence=decision.strip())
            lifting.end(notice, account, case, AbuseNotice.Ended.REFUTED, by=by.actor, at=at, why=decision.strip())
            outcome, reason = CaseOutcome.NOT_VALID, decision.strip()
            concluding.close_within(case, outcome, by=by.actor, at=at, reason=reason)
    row.refresh_from_db()
    return row


def policy(account: Account, at: dt.datetime) -> dict[str, int]:
    """Return what the policy says of an account: its strikes, how many are too many, how many days each counts."""
    return {
        "strikes": standing(account.pk, at).count(),
        "most_strikes": schedule.number("strikes"),
        "strike_days": schedule.number("strike"),
    }


def _locked(strike_id: UUID) -> tuple[Strike, AbuseNotice, Account]:
    account_id = Strike.objects.filter(pk=strike_id).values_list("account_id", flat=True).first()
    account = Account.objects.locked([account_id]).first() if account_id else None
    row = Strike.objects.select_for_update(of=("self",)).select_related("notice").filter(pk=strike_id).first()
    if account is None or row is None:
        raise NotActionable("This strike was deleted with its account.")
    return row, row.notice, account


def _refuse_without(by: User) -> None:
    if not may(by, STRIKE):
        raise PermissionDenied("Strikes are given by the abuse desk, legal and the privacy officer.")
