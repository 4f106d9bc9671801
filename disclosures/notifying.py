"""Telling a customer of an abuse case, and when their time to answer begins (P17; law-and-timers.md).

Who may: the abuse desk, legal and the privacy officer. The clock begins when the mail was accepted; one that was not
accepted within a day, or came back, goes to a second contact, and where that fails too, staff reach the customer and
write down how. While an answer is due, a hold keeps contact, services, network and the notice, at most 30 days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import webhooks
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, User
from accounts.roles import may
from accounts.safeguards import ledger, outbox
from accounts.safeguards.cards import refuse_card_number
from disclosures import abuse_clocks, judging, notice_mails, replying
from disclosures.models import AbuseCase, AbuseNotice, AbuseNoticeItem, CaseCopy, CaseKind
from disclosures.reporting import action
from retention import obligations, placing, releasing, schedule
from retention.models import Hold

NOTIFY = "disclosures.notify_abusenotice"
MOST_ITEMS = 100
LONGEST_LOCATION = 2_000
# A mail that nobody accepted in this time is one that came back.
ACCEPTED_WITHIN = dt.timedelta(hours=24)
# Staff look at who has not answered for so long (pages.md).
NO_ANSWER = dt.timedelta(hours=24)


MATERIAL = ("notice", "account", "service", "items")
DISABLED = webhooks.declare_event(
    "material.disabled", MATERIAL, about="Places of a copyright notice are disabled."
).name
RESTORED = webhooks.declare_event("material.restored", MATERIAL, about="Places that were disabled are back.").name
# An id and a few numbers tell two acts on one notice apart.
MOST_KEY = 56


@dataclass(frozen=True)
class Claim:
    """What the customer is told: the claim in words, the places, who reported it as far as it may be named."""

    words: str
    locations: Sequence[str]
    reporter: str = ""
    original: str = ""


def notify(case_id: UUID, claim: Claim, *, by: User, at: dt.datetime | None = None) -> AbuseNotice:
    """Tell the customer of a case, by mail and in the portal, and return the notice.

    Raises NotActionable where nobody is found to tell, for a case whose customer was told, for cases of children, and
    for an account nobody can sign in to any more.
    """
    refuse_without(by)
    places = _checked(claim)
    with keyring(), transaction.atomic(durable=True):
        case = judging.open_case(case_id, by)
        at = at or timezone.now()
        account = _concerned(case, at)
        if AbuseNotice.objects.filter(case=case.pk, account=account).exists():
            raise NotActionable(f"Case {case.reference}: its customer was told already.")
        notice = AbuseNotice.objects.create(
            account=account,
            case=case.pk,
            kind=case.kind,
            service=case.service,
            claim=claim.words.strip(),
            reporter=claim.reporter.strip() or None,
            original=claim.original.strip() or None,
            sent_at=at,
        )
        for number, place in enumerate(places, start=1):
            AbuseNoticeItem.objects.create(account=account, notice=notice, number=number, location=place, told_at=at)
        notice.letter = notice_mails.send(notice, account, at)
        notice.save(update_fields=["letter"])
        place_hold(notice, at)
        copy(case, CaseCopy.Kind.NOTICE, "\n".join([claim.words.strip(), *places]), by.actor, at)
        record(by.actor, "notified", case, notice, at)
        replying.tell_reporter(case, replying.Step.PASSED_ON, at)
    return notice


@outbox.when_sent
def delivered(letter: UUID, at: dt.datetime) -> None:
    """Begin the clock of the notice whose mail was accepted, in that transaction."""
    notices = AbuseNotice.objects.filter(letter=letter, delivered_at=None, ended_at=None)
    if (account_id := notices.values_list("account_id", flat=True).first()) is None:
        return
    with transaction.atomic(savepoint=False):
        # The account first, as in every act: a customer may be answering it at this moment.
        list(Account.objects.locked([account_id]))
        if (notice := notices.first()) is not None:
            begin(notice, at)


def begin(notice: AbuseNotice, at: dt.datetime) -> None:
    """Note a delivery and from it by when the customer must answer, in the caller's transaction."""
    case = AbuseCase.objects.only("kind", "severity", "opened_at").get(pk=notice.case)
    until = abuse_clocks.act_by(notice.kind, case.severity, at)
    begun = AbuseNotice.objects.filter(pk=notice.pk, delivered_at=None).update(
        delivered_at=at,
        act_by=until,
        remind_at=abuse_clocks.remind_at(at, until),
        material_by=abuse_clocks.material_by(notice.kind, at, case.opened_at),
    )
    if begun:
        record(ledger.SYSTEM, "delivered", case, notice, at)


@obligations.owes_answers
def due(account_id: UUID, at: dt.datetime) -> list[obligations.Answer]:
    """Return the answers to notices that an account owes at `at`, for as long as a hold stands for them."""
    owed = AbuseNotice.objects.unanswered().filter(account=account_id, sent_at__gt=at - schedule.span("answer_due"))
    return [
        obligations.Answer(
            notice.reference, notice.act_by, reverse("disclosures:abuse_notice", args=[notice.reference])
        )
        for notice in owed.order_by("sent_at", "pk").only("reference", "act_by")
    ]


def notice_of(case: AbuseCase) -> AbuseNotice | None:
    """Return what the customer of a case was told, with all that hangs on it, while their account is there.

    Each part of a page and each act asks for it, so it is asked for once a record, and read from `all()` afterwards.
    """
    told_of = AbuseNotice.objects.filter(case=case.pk).order_by("-sent_at")
    return case.once("told", told_of.prefetch_related("items", "counters", "strikes").first)


def undelivered() -> QuerySet[AbuseNotice]:
    """Return the open notices that reached nobody, after the second try: staff reach their customer."""
    return AbuseNotice.objects.open().filter(delivered_at=None, bounced_at__isnull=False)


def silent(since: dt.datetime) -> QuerySet[AbuseNotice]:
    """Return the notices, their clock running or over, that were delivered by `since` and are not answered.

    Whoever was asked anew, after a dispute, was asked then.
    """
    asked_anew = AbuseNoticeItem.objects.filter(notice=OuterRef("pk"), disputed_at__gt=since)
    return AbuseNotice.objects.unanswered().filter(~Exists(asked_anew), delivered_at__lte=since)


def came_back(notice_id: UUID, *, by: User | None = None, at: dt.datetime | None = None) -> AbuseNotice:
    """Note that a notice reached nobody, write to a second contact, and return the notice; its clock did not begin.

    Raises NotActionable for one that was answered, or that came back before.
    """
    if by is not None:
        refuse_without(by)
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = locked(notice_id)
        at = at or timezone.now()
        answered = notice.acknowledged_at or notice.remedied_at or notice.disagreed_at or notice.countered_at
        if answered or notice.extended_at or notice.lapsed_at or any(item.fixed_at for item in notice.items.all()):
            raise NotActionable(f"Notice {notice.reference} was answered or its time is over: it did reach somebody.")
        if notice.bounced_at is not None:
            raise NotActionable(
                f"Notice {notice.reference} came back before. Reach the customer another way and write down how."
            )
        notice.bounced_at = at
        notice.delivered_at = notice.act_by = notice.remind_at = notice.material_by = None
        notice.letter = notice_mails.send_again(notice, account, at)
        notice.second_at = at if notice.letter else None
        notice.save(
            update_fields=["bounced_at", "delivered_at", "act_by", "remind_at", "material_by", "letter", "second_at"]
        )
        record(by.actor if by else ledger.SYSTEM, "came_back", case, notice, at)
    return notice


def reached(notice_id: UUID, *, by: User, how: str, at: dt.datetime | None = None) -> AbuseNotice:
    """Write down how staff reached the customer of a notice no mail of which was accepted; its clock begins now."""
    refuse_without(by)
    refuse_card_number(how)
    if not how.strip():
        raise NotActionable("Say whom you reached, and how.")
    with keyring(), transaction.atomic(durable=True):
        notice, _account, case = locked(notice_id)
        at = at or timezone.now()
        if notice.delivered_at is not None:
            raise NotActionable(f"Notice {notice.reference} was delivered already.")
        begin(notice, at)
        copy(case, CaseCopy.Kind.NOTICE, how.strip(), by.actor, at)
        record(by.actor, "reached", case, notice, at)
    notice.refresh_from_db()
    return notice


def locked(notice_id: UUID) -> tuple[AbuseNotice, Account, AbuseCase]:
    """Return an open notice with its account and case, locked in that order and read anew.

    Raises NotActionable for one that ended, and for one that was deleted with its account.
    """
    account_id = AbuseNotice.objects.filter(pk=notice_id).values_list("account_id", flat=True).first()
    account = Account.objects.locked([account_id]).first() if account_id else None
    notice = AbuseNotice.objects.select_for_update(of=("self",)).filter(pk=notice_id).first()
    if account is None or notice is None:
        raise NotActionable("This notice was deleted with its account.")
    if notice.ended_at is not None:
        raise NotActionable(f"Notice {notice.reference} has ended: {notice.get_ended_how_display()}.")
    case = AbuseCase.objects.select_for_update(of=("self",)).get(pk=notice.case)
    notice.account = account
    return notice, account, case


def place_hold(notice: AbuseNotice, at: dt.datetime) -> None:
    """Hold what is needed while an answer is due, in the transaction that has the account's lock; 30 days in all."""
    ends_at = notice.sent_at + schedule.span("answer_due")
    if ends_at > at:
        placing.place_within(
            notice.account_id,
            Hold.Kind.AGREEMENT,
            by=ledger.SYSTEM,
            categories=schedule.ANSWER_COVERS,
            cause=notice.pk,
            ends_at=ends_at,
            told=True,
            at=at,
        )


def settle_hold(notice: AbuseNotice, at: dt.datetime) -> None:
    """Release the hold of an answer that is due no more, in the transaction that has the account's lock."""
    hold = Hold.objects.unreleased().filter(kind=Hold.Kind.AGREEMENT, cause=notice.pk).first()
    if hold is not None:
        releasing.release_within(hold, ledger.SYSTEM, at)


def copy(case: AbuseCase, kind: str, text: str, by: str, at: dt.datetime) -> None:
    """Keep the case's own copy of what passed between us and the customer."""
    CaseCopy.objects.create(case=case, kind=kind, text=text, written_by=by, written_at=at)


def record(actor: str, word: str, case: AbuseCase, notice: AbuseNotice, at: dt.datetime, **facts: object) -> None:
    """Write a step into the ledger of the case."""
    ledger.record(actor, action(case, word), notice.case, at=at, notice=notice.pk, **facts)


def publish(event: str, notice: AbuseNotice, account: Account, items: Sequence[int], at: dt.datetime) -> None:
    """Tell provisioning which places of a notice to disable or to restore, by their numbers; where, the desk says."""
    webhooks.publish(
        event,
        key=f"{notice.pk}.{'.'.join(map(str, items))}"[:MOST_KEY],
        data={
            "notice": notice.reference,
            "account": account.number,
            "service": str(notice.service) if notice.service else None,
            "items": [str(number) for number in items],
        },
        subject=account.pk,
        at=at,
    )


def refuse_without(by: User) -> None:
    """Raise PermissionDenied for whoever does not work on notices."""
    if not may(by, NOTIFY):
        raise PermissionDenied("Notices are sent by the abuse desk, legal and the privacy officer.")


def _checked(claim: Claim) -> list[str]:
    refuse_card_number("\n".join([claim.words, claim.reporter, claim.original, *claim.locations]))
    if not claim.words.strip():
        raise NotActionable("Say in plain words what is claimed.")
    places = list(dict.fromkeys(place.strip() for place in claim.locations if place.strip()))
    if not places:
        raise NotActionable("Name at least one place the notice is about.")
    if len(places) > MOST_ITEMS or any(len(place) > LONGEST_LOCATION for place in places):
        raise NotActionable(f"A notice names at most {MOST_ITEMS} places of {LONGEST_LOCATION} characters.")
    return places


def _concerned(case: AbuseCase, at: dt.datetime) -> Account:
    if case.kind == CaseKind.CSAM:
        raise NotActionable(f"Case {case.reference}: nobody is told of these cases (18 USC 2258A).")
    if case.found != AbuseCase.Found.ONE or case.account is None:
        raise NotActionable(f"Case {case.reference}: decide first whom it concerns.")
    if not case.account.may_sign_in(at):
        raise NotActionable(f"Account {case.account.number} is closed for good: nobody could answer there.")
    return case.account
