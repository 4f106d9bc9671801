"""Counter-notices (17 USC 512(g)): drafted, signed by the typed name, forwarded, put back by the clock.

Who may: an owner of the account drafts and signs. Name, address and telephone go to the complainant, which the signer
is told before signing; that forwarding is a disclosure like every other, by two people, within two business days.
Put-back runs by the clock on business day 11; staff advance it to day 10 or stop it with a notice of court action,
nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import members
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email
from disclosures import abuse_clocks, concluding, lifting, notice_mails, notifying, replying, sworn, turns
from disclosures.models import AbuseCase, AbuseNotice, Basis, CaseCopy, CaseKind, CaseOutcome, CounterNotice
from disclosures.notice_mails import Step


@dataclass(frozen=True)
class Words:
    """What a counter-notice says: why, and who says it."""

    reason: str
    statement: str
    name: str
    address: str
    phone: str
    email: str
    is_outside_us: bool = False


def hindrance(notice: AbuseNotice) -> str:
    """Return why no counter-notice can be sent for a notice, as a code; "" where one can."""
    if notice.kind != CaseKind.DMCA:
        return "kind"
    if notice.ended_at is not None:
        return "ended"
    if not notice.items.filter(disabled_at__isnull=False, restored_at=None).exists():
        return "nothing"
    return ""


def basis_of(case_id: UUID) -> str:
    """Return on what something of a case can be disclosed: a signed counter-notice that waits, else silence (P17)."""
    waits = CounterNotice.objects.filter(notice__case=case_id, signed_at__isnull=False, forwarded_at=None)
    return Basis.COUNTER_NOTICE if waits.exists() else Basis.ABUSE_CASE


def draft(
    notice_id: UUID, items: Iterable[UUID], words: Words, *, by: User, at: dt.datetime | None = None
) -> CounterNotice:
    """Keep a draft and return it; nobody else sees it, and it can be changed until it is signed.

    Raises NotActionable where none can be sent, for a place that was not disabled, and after signing.
    """
    refuse_card_number("\n".join([words.statement, words.name, words.address, words.phone, words.email]))
    with keyring(), transaction.atomic(durable=True):
        notice, account, _case = notifying.locked(notice_id)
        members.refuse_unless(by, account, Part.COUNTER)
        at = at or timezone.now()
        if hindrance(notice):
            raise NotActionable(f"Notice {notice.reference}: there is nothing that a counter-notice could bring back.")
        disabled = set(notice.items.filter(disabled_at__isnull=False, restored_at=None).values_list("pk", flat=True))
        chosen = [pk for pk in dict.fromkeys(items) if pk in disabled]
        if not chosen:
            raise NotActionable("Choose at least one place that we disabled.")
        if words.reason not in CounterNotice.Reason.values:
            raise NotActionable("Choose why it should come back.")
        found = CounterNotice.objects.filter(notice=notice).first()
        if found is not None and found.signed_at is not None:
            raise NotActionable(f"The counter-notice to {notice.reference} is signed; it stays as it is.")
        row = found or CounterNotice(account=account, notice=notice)
        row.items, row.reason, row.statement = chosen, words.reason, words.statement.strip()
        row.name, row.address, row.phone = words.name.strip(), words.address.strip(), words.phone.strip()
        row.email, row.is_outside_us = _address(words.email), words.is_outside_us
        row.drafted_at, row.drafted_by = at, by.pk
        row.save()
    return row


def sign(counter_id: UUID, *, by: User, signature: str, at: dt.datetime | None = None) -> CounterNotice:
    """Sign a draft by the typed name and return it: from now on it stays, and its days are counted.

    Raises NotActionable for a name that is not that of the draft.
    """
    refuse_card_number(signature)
    with keyring(), transaction.atomic(durable=True):
        counter, notice, account, case = _locked(counter_id)
        members.refuse_unless(by, account, Part.COUNTER)
        at = at or timezone.now()
        if counter.signed_at is not None:
            return counter
        if hindrance(notice):
            raise NotActionable(f"Notice {notice.reference}: there is nothing that a counter-notice could bring back.")
        if _plain(signature) != _plain(str(counter.name)):
            raise NotActionable("Type the name as it stands in the counter-notice.")
        days = abuse_clocks.put_back(at)
        counter.signature, counter.sworn = signature.strip(), sworn.CURRENT
        counter.signed_at, counter.signed_by = at, by.pk
        counter.put_back_from, counter.put_back_on, counter.put_back_latest = days.first, days.usual, days.latest
        counter.save()
        notice.countered_at = at
        notice.save(update_fields=["countered_at"])
        notifying.copy(case, CaseCopy.Kind.COUNTER, _whole(counter), by.actor, at)
        notifying.record(by.actor, "countered", case, notice, at, counter=counter.pk)
        notice_mails.tell(notice, account, Step.COUNTERED, at, put_back_on=days.usual)
        replying.tell_reporter(case, replying.Step.ANSWERED, at)
        notifying.settle_hold(notice, at)
    return counter


def forwarded(case_id: UUID, account: Account, at: dt.datetime) -> None:
    """Note that the disclosure of a counter-notice was released, in that transaction; both sides are told the day."""
    counter = CounterNotice.objects.filter(notice__case=case_id, account=account, forwarded_at=None).first()
    if counter is None or counter.signed_at is None:
        return
    counter.forwarded_at = at
    counter.save(update_fields=["forwarded_at"])
    notice, case = counter.notice, AbuseCase.objects.select_related("complainant").get(pk=case_id)
    notifying.record(ledger.SYSTEM, "forwarded", case, notice, at, counter=counter.pk)
    notice_mails.tell(notice, account, Step.FORWARDED, at, put_back_on=counter.put_back_on)
    _tell_complainant(case, counter, Step.FORWARDED, at)


def advance(counter_id: UUID, *, by: User, at: dt.datetime | None = None) -> CounterNotice:
    """Move the put-back to the first day the law allows, and return the counter-notice."""
    notifying.refuse_without(by)
    with keyring(), transaction.atomic(durable=True):
        counter, notice, account, case = _locked(counter_id)
        at = at or timezone.now()
        _running(counter, notice)
        if counter.put_back_on == counter.put_back_from:
            raise NotActionable(f"The put-back of {notice.reference} is on its first day already.")
        counter.put_back_on = counter.put_back_from
        counter.save(update_fields=["put_back_on"])
        notifying.record(by.actor, "advanced", case, notice, at, counter=counter.pk)
        notice_mails.tell(notice, account, Step.ADVANCED, at, put_back_on=counter.put_back_on)
        _tell_complainant(case, counter, Step.ADVANCED, at)
    return counter


def stop(counter_id: UUID, *, by: User, court_action: str, at: dt.datetime | None = None) -> CounterNotice:
    """Stop the put-back with a notice of court action, and return the counter-notice; the material stays disabled."""
    notifying.refuse_without(by)
    refuse_card_number(court_action)
    if not court_action.strip():
        raise NotActionable("Name the court, the number of the case and who told us.")
    with keyring(), transaction.atomic(durable=True):
        counter, notice, account, case = _locked(counter_id)
        at = at or timezone.now()
        _running(counter, notice)
        counter.stopped_at, counter.stopped_by, counter.court_action = at, by.pk, court_action.strip()
        counter.save(update_fields=["stopped_at", "stopped_by", "court_action"])
        notifying.copy(case, CaseCopy.Kind.COURT, court_action.strip(), by.actor, at)
        notifying.record(by.actor, "stopped", case, notice, at, counter=counter.pk)
        notice_mails.tell(notice, account, Step.STOPPED, at)
        _tell_complainant(case, counter, Step.STOPPED, at)
    return counter


def pending() -> QuerySet[CounterNotice]:
    """Return the signed counter-notices whose material is not back, and whose put-back nobody stopped."""
    return CounterNotice.objects.waiting().filter(notice__ended_at=None)


def put_back_due(at: dt.datetime | None = None) -> int:
    """Put back what is due today and nobody stopped; return how many counter-notices there were."""
    at = at or timezone.now()
    due = pending().filter(put_back_on__lte=abuse_clocks.today(at), notice__in=AbuseNotice.objects.answerable(at))
    return turns.take(list(due.order_by("put_back_on", "pk").values_list("pk", flat=True)), _put_back, at)


def _put_back(counter_id: UUID, at: dt.datetime) -> bool:
    with keyring(), transaction.atomic(durable=True):
        counter, notice, account, case = _locked(counter_id)
        on = counter.put_back_on
        if counter.put_back_at or counter.stopped_at or on is None or on > abuse_clocks.today(at):
            return False
        counter.put_back_at, counter.put_back_by = at, ledger.SYSTEM
        counter.save(update_fields=["put_back_at", "put_back_by"])
        # What nobody swore about stays disabled (17 USC 512(g)(3)(B)).
        lifting.restore(notice, account, case, by=ledger.SYSTEM, at=at, only=counter.items)
        notifying.record(ledger.SYSTEM, "put_back", case, notice, at, counter=counter.pk)
        left = [item.number for item in notice.items.all() if item.is_left]
        notice_mails.tell(notice, account, Step.PUT_BACK, at, left=left)
        _tell_complainant(case, counter, Step.PUT_BACK, at)
        # For places nobody swore about the notice goes on: they are fixed, or the complaint falls.
        if not left:
            _end(notice, account, case, at)
    return True


def _end(notice: AbuseNotice, account: Account, case: AbuseCase, at: dt.datetime) -> None:
    if notice.is_suspended:
        lifting.lift(notice, account, case, AbuseNotice.Lifted.PUT_BACK, by=ledger.SYSTEM, at=at)
    lifting.overrule(notice, account, by=ledger.SYSTEM, at=at, why="Put back after a counter-notice.")
    lifting.end(notice, account, case, AbuseNotice.Ended.PUT_BACK, by=ledger.SYSTEM, at=at)
    concluding.close_within(case, CaseOutcome.PUT_BACK, by=ledger.SYSTEM, at=at, reason="Put back by the clock.")


def _locked(counter_id: UUID) -> tuple[CounterNotice, AbuseNotice, Account, AbuseCase]:
    notice_id = CounterNotice.objects.filter(pk=counter_id).values_list("notice_id", flat=True).first()
    if notice_id is None:
        raise NotActionable("This counter-notice was deleted with its account.")
    notice, account, case = notifying.locked(notice_id)
    counter = CounterNotice.objects.select_for_update(of=("self",)).get(pk=counter_id)
    counter.notice = notice
    return counter, notice, account, case


def _running(counter: CounterNotice, notice: AbuseNotice) -> None:
    if counter.signed_at is None:
        raise NotActionable(f"The counter-notice to {notice.reference} is not signed yet.")
    if counter.stopped_at is not None:
        raise NotActionable(f"The put-back of {notice.reference} was stopped by a notice of court action.")
    if counter.put_back_at is not None:
        raise NotActionable(f"The material of {notice.reference} was put back already.")


def _tell_complainant(case: AbuseCase, counter: CounterNotice, step: Step, at: dt.datetime) -> None:
    if case.complainant is not None and counter.forwarded_at is not None:
        notice_mails.tell_complainant(
            case.complainant,
            case.reference,
            step,
            at,
            event=f"counter:{counter.pk}:{step.value}",
            put_back_on=counter.put_back_on,
        )


def _whole(counter: CounterNotice) -> str:
    said = [counter.get_reason_display(), counter.statement, counter.name, counter.address, counter.phone]
    return "\n".join(
        [*(str(one) for one in said), str(counter.email), f"Signed: {counter.signature} ({counter.sworn})"]
    )


def _address(email: str) -> str:
    try:
        return clean_email(email)
    except ValidationError:
        raise NotActionable("Write the e-mail address as name@example.com.") from None


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
