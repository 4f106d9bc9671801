"""Notices of abuse: told, delivered, answered, and what follows where nobody answers (P17-P19)."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from psycopg import Connection

from accounts import suspending
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Contact, Suspension, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import concluding, enforcing, judging, notifying, responding
from disclosures.models import AbuseCase, AbuseNotice, CaseCopy, CaseKind, CaseOutcome, Finding
from retention import closing, plans, purge
from retention.models import Erasure, Hold
from tests.abuse import PLACES, days_pass, find_true, mails, make_case, read, silent, tell, told
from tests.cast import DAY, add_billing_contact, make_staff, run_service
from tests.test_guards_of_disclosures import refused
from tests.visiting import signed_in

pytestmark = pytest.mark.usefixtures("committed")
Lifted, Ended = AbuseNotice.Lifted, AbuseNotice.Ended


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def sara() -> User:
    return make_staff("sara", "support")


def fixed(notice: AbuseNotice, by: User, *numbers: int) -> AbuseNotice:
    """Fix the places of these numbers, all of them without numbers."""
    items = notice.items.filter(number__in=numbers) if numbers else notice.items.all()
    return responding.fix(notice.pk, {item.pk: "I removed the file." for item in items}, by=by)


def standing(user: User) -> int:
    return Suspension.objects.standing().filter(account=user.account_id).count()


def actions(case: object) -> list[str]:
    entries = LedgerEntry.objects.filter(subject=case).exclude(action="viewed").order_by("at", "pk")
    return [entry.action.removeprefix("case.") for entry in entries]


# ------------------------------------------------------------------------------------------------------- telling


def test_a_customer_is_told_once_by_mail_and_the_clock_begins_with_the_delivery(alice: User, dora: User):
    case = make_case(alice)
    notice = tell(case, dora, delivered=False)

    assert notice.act_by is None and notice.delivered_at is None
    with pytest.raises(NotActionable, match="told already"):
        tell(case, dora)
    [subject] = mails()
    assert notice.reference in subject and "copyright" in subject
    notice.refresh_from_db()
    assert notice.delivered_at is not None and notice.act_by is not None and notice.material_by is not None
    assert notice.act_by > notice.delivered_at + 4 * DAY
    assert notice.material_by == notice.delivered_at + dt.timedelta(hours=24)
    assert [item.location for item in notice.items.all()] == list(PLACES)
    assert read(case.copies.get(kind=CaseCopy.Kind.NOTICE), "text").startswith("Two files copy a film.")


def test_while_an_answer_is_due_contact_services_and_network_are_held_thirty_days_at_most(alice: User, dora: User):
    notice = told(alice, dora)
    hold = Hold.objects.get(cause=notice.pk)

    assert set(hold.categories) == {"contact", "services", "network", "notices"} and hold.told_at is not None
    assert hold.ends_at == notice.sent_at + 30 * DAY
    fixed(notice, alice)
    hold.refresh_from_db()
    assert hold.released_at is not None


def test_the_hold_of_an_answer_ends_though_an_invoice_is_unpaid_and_the_other_way_round(alice: User, dora: User):
    from retention import obligations  # noqa: PLC0415
    from tests.cast import owe  # noqa: PLC0415

    notice, _invoice = told(alice, dora), owe(alice)
    obligations.settle([alice.account_id], timezone.now())
    assert Hold.objects.unreleased().filter(cause=notice.pk).exists(), "what is owed does not end it"
    responding.disagree(notice.pk, by=alice, text="It is mine.")
    assert not Hold.objects.unreleased().filter(cause=notice.pk).exists()


def test_nobody_is_told_of_cases_of_children_nor_where_nobody_is_found(alice: User, dora: User):
    lena = make_staff("lena", "legal")
    case = make_case(alice, CaseKind.CSAM)
    with pytest.raises(NotActionable, match="nobody is told"):
        tell(case, lena)
    with pytest.raises(PermissionDenied):
        tell(make_case(alice), make_staff("sara", "support"))
    other = make_case(alice)
    AbuseCase.objects.filter(pk=other.pk).update(account=None, service=None, found="none")
    with pytest.raises(NotActionable, match="decide first"):
        tell(other, dora)


def test_a_mail_that_came_back_begins_no_clock_and_goes_to_a_second_contact(alice: User, dora: User):
    second = add_billing_contact(alice)
    Contact.objects.filter(pk=second.pk).update(role=Contact.Role.TECHNICAL)
    notice = told(alice, dora)
    back = notifying.came_back(notice.pk, by=dora)

    assert back.delivered_at is None and back.act_by is None and back.material_by is None
    assert back.second_at is not None and back.letter != notice.letter
    rows = OutboxMessage.objects.filter(event__endswith=":again")
    assert rows.count() == 1
    notifying.delivered(back.letter, timezone.now())
    back.refresh_from_db()
    assert back.act_by is not None
    with pytest.raises(NotActionable, match="came back before"):
        notifying.came_back(notice.pk, by=dora)


def test_a_mail_nobody_accepted_in_a_day_came_back_and_staff_reach_the_customer(alice: User, dora: User):
    notice = tell(make_case(alice), dora, at=timezone.now() - 2 * DAY, delivered=False)
    assert enforcing.watch()["came back"] == 1 and enforcing.watch()["came back"] == 0

    assert list(notifying.undelivered()) == [notice]
    done = notifying.reached(notice.pk, by=dora, how="Called the owner, spoke with her.")
    assert done.act_by is not None and not notifying.undelivered()
    with pytest.raises(NotActionable, match="delivered already"):
        notifying.reached(notice.pk, by=dora, how="Again.")


# ------------------------------------------------------------------------------------------------------- answering


def test_receipt_and_remedy_are_two_acts_with_person_and_time(alice: User, dora: User):
    notice = told(alice, dora)
    done = responding.acknowledge(notice.pk, by=alice)
    assert done.acknowledged_by == alice.pk and done.remedied_at is None
    assert responding.acknowledge(notice.pk, by=alice).acknowledged_at == done.acknowledged_at, "once"

    assert fixed(notice, alice, 1).remedied_at is None
    with pytest.raises(NotActionable, match="fixed already"):
        fixed(notice, alice, 1)
    done = fixed(notice, alice, 2)
    assert done.remedied_by == alice.pk and done.remedied_at is not None
    assert {"acknowledged", "fixed", "remedied"} <= set(actions(notice.case))
    assert read(CaseCopy.objects.filter(kind=CaseCopy.Kind.REMEDY).first(), "text").startswith("1: I removed")


def test_more_time_is_given_once_with_a_reason_and_not_when_it_is_over(alice: User, dora: User):
    notice = told(alice, dora)
    with pytest.raises(NotActionable, match="Say why"):
        responding.ask_for_time(notice.pk, by=alice, reason=" ")
    done = responding.ask_for_time(notice.pk, by=alice, reason="My developer is away.")
    assert notice.act_by is not None and done.act_by is not None and done.act_by > notice.act_by
    assert done.act_by <= notice.sent_at + 30 * DAY
    with pytest.raises(NotActionable, match="once"):
        responding.ask_for_time(notice.pk, by=alice, reason="Once more.")
    late = told(alice, dora, ago=20 * DAY)
    with pytest.raises(NotActionable, match="time is over"):
        responding.ask_for_time(late.pk, by=alice, reason="Late.")


def test_only_people_of_the_account_answer(alice: User, bob: User, dora: User):
    notice = told(alice, dora)
    for act in (
        lambda by: responding.acknowledge(notice.pk, by=by),
        lambda by: fixed(notice, by),
        lambda by: responding.disagree(notice.pk, by=by, text="No."),
        lambda by: responding.ask_for_time(notice.pk, by=by, reason="Why."),
    ):
        for stranger in (bob, dora):
            with pytest.raises(PermissionDenied):
                act(stranger)
    notice.refresh_from_db()
    assert notice.acknowledged_at is None and notice.remedied_at is None


def test_whoever_answers_before_the_mail_was_accepted_has_got_it(alice: User, dora: User):
    notice = tell(make_case(alice), dora, delivered=False)
    assert responding.acknowledge(notice.pk, by=alice).act_by is not None


# ------------------------------------------------------------------------------------------------------- clocks


def test_material_goes_first_then_the_service_and_both_come_back_with_both_acts(alice: User, dora: User):
    notice = told(alice, dora, ago=2 * DAY)
    assert enforcing.watch()["disabled"] == 1
    assert notice.items.filter(disabled_by="system").count() == 2 and standing(alice) == 0

    notice = silent(alice, dora, CaseKind.OTHER)
    assert notice.lapsed_at is not None and standing(alice) == 1
    assert enforcing.watch()["lapsed"] == 0, "silence is found once"
    responding.acknowledge(notice.pk, by=alice)
    assert standing(alice) == 1, "one of the two is not enough"
    done = fixed(notice, alice)
    assert standing(alice) == 0 and done.lifted_how == Lifted.REMEDIED and done.lifted_by == "system"


@pytest.mark.parametrize("order", ["acknowledge first", "fix first"])
def test_the_order_of_the_two_acts_does_not_matter(alice: User, dora: User, order: str):
    notice = silent(alice, dora)
    acts = [lambda: responding.acknowledge(notice.pk, by=alice), lambda: fixed(notice, alice)]
    for act in acts if order == "acknowledge first" else acts[::-1]:
        assert standing(alice) == 1
        act()
    assert standing(alice) == 0


def test_nobody_is_suspended_without_two_findings_and_as_soon_as_both_stand(alice: User, dora: User):
    notice = silent(alice, dora, CaseKind.OTHER, valid=False)
    assert notice.lapsed_at is not None and notice.suspension is None and standing(alice) == 0
    case = AbuseCase.objects.get(pk=notice.case)
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=True)
    enforcing.watch()
    assert standing(alice) == 0
    judging.find(case.pk, Finding.ACCURATE, by=dora, is_met=True)
    enforcing.watch()
    assert standing(alice) == 1


def test_a_copyright_notice_that_lacks_an_element_suspends_and_disables_nothing(alice: User, dora: User):
    case = make_case(alice, at=timezone.now() - 20 * DAY)
    find_true(case, dora)
    judging.find(case.pk, Finding.SIGNATURE, by=dora, is_met=False, note="Nobody signed.")
    notice = tell(case, dora, at=timezone.now() - 20 * DAY)
    enforcing.watch()
    assert standing(alice) == 0 and not notice.items.filter(disabled_at__isnull=False).exists()


@pytest.mark.parametrize("answer", ["fixed", "disagreed"])
def test_whoever_answers_in_time_is_not_suspended(alice: User, dora: User, answer: str):
    notice = told(alice, dora, CaseKind.OTHER, ago=20 * DAY)
    if answer == "fixed":
        fixed(notice, alice)
    else:
        responding.disagree(notice.pk, by=alice, text="That address is not mine.")
    enforcing.watch()
    notice.refresh_from_db()
    assert notice.lapsed_at is None and standing(alice) == 0


def test_a_receipt_alone_is_no_answer(alice: User, dora: User):
    notice = told(alice, dora, CaseKind.OTHER, ago=20 * DAY)
    responding.acknowledge(notice.pk, by=alice)
    enforcing.watch()
    assert standing(alice) == 1


def test_one_reminder_goes_out_when_a_quarter_of_the_time_is_left(alice: User, dora: User):
    notice = told(alice, dora)
    assert notice.act_by is not None and notice.delivered_at is not None
    soon = notice.act_by - (notice.act_by - notice.delivered_at) / 4
    assert enforcing.watch(soon - dt.timedelta(minutes=1))["reminded"] == 0
    assert enforcing.watch(soon)["reminded"] == 1 and enforcing.watch(soon)["reminded"] == 0
    assert OutboxMessage.objects.filter(event__startswith=f"abuse-reminder:{notice.reference}").count() == 1


def test_a_dispute_asks_once_more_with_what_was_seen(alice: User, dora: User):
    notice = told(alice, dora, CaseKind.OTHER)
    item = notice.items.get(number=1)
    with pytest.raises(NotActionable, match="not said to be fixed"):
        enforcing.dispute(item.pk, by=dora, seen="Still there.")
    fixed(notice, alice)
    with pytest.raises(NotActionable, match="Say what"):
        enforcing.dispute(item.pk, by=dora, seen=" ")
    again = enforcing.dispute(item.pk, by=dora, seen="The page still answers.", for_reporter=True)
    assert again.remedied_at is None and again.act_by is not None and again.act_by > timezone.now()
    item.refresh_from_db()
    assert item.disputed_by == "reporter" and not item.is_fixed and read(item, "seen") == "The page still answers."
    with pytest.raises(NotActionable, match="not said to be fixed"):
        enforcing.dispute(item.pk, by=dora, seen="Still there.")
    assert fixed(notice, alice, 1).remedied_at is not None


def test_silence_after_a_dispute_suspends_again(alice: User, dora: User, owner: Connection):
    notice = silent(alice, dora, CaseKind.OTHER)
    responding.acknowledge(notice.pk, by=alice)
    first = fixed(notice, alice)
    assert standing(alice) == 0
    enforcing.dispute(notice.items.get(number=1).pk, by=dora, seen="Still there.")
    days_pass(owner, "abusenotice", notice.pk, act_by="lapsed_at + interval '1 microsecond'")
    enforcing.watch()
    notice.refresh_from_db()
    assert standing(alice) == 1 and notice.suspension != first.suspension and notice.lifted_at is None
    assert fixed(notice, alice, 1).lifted_how == Lifted.REMEDIED and standing(alice) == 0


def test_what_was_remedied_and_not_disputed_closes_by_itself(alice: User, dora: User):
    notice = told(alice, dora)
    responding.acknowledge(notice.pk, by=alice)
    fixed(notice, alice)
    assert enforcing.watch(timezone.now() + 13 * DAY)["settled"] == 0
    assert enforcing.watch(timezone.now() + 15 * DAY)["settled"] == 1
    case = AbuseCase.objects.get(pk=notice.case)
    assert case.outcome == CaseOutcome.REMEDIED and case.closed_at is not None


# ------------------------------------------------------------------------------------------------------- ending


def test_a_complaint_that_fell_lifts_restores_and_is_told(alice: User, dora: User):
    notice = silent(alice, dora)
    assert standing(alice) == 1 and notice.items.filter(disabled_at__isnull=False).count() == 2
    concluding.close(notice.case, CaseOutcome.WITHDRAWN, by=dora, reason="The complainant wrote that it was a mistake.")
    notice.refresh_from_db()
    assert (notice.lifted_how, notice.ended_how) == (Lifted.REFUTED, Ended.WITHDRAWN)
    assert standing(alice) == 0 and notice.items.filter(restored_at__isnull=False).count() == 2
    assert "mistake" in read(notice, "lift_evidence")
    with pytest.raises(NotActionable, match="has ended"):
        responding.acknowledge(notice.pk, by=alice)


@pytest.mark.parametrize("outcome", [CaseOutcome.REMEDIED, CaseOutcome.PUT_BACK, CaseOutcome.COURT])
def test_a_case_does_not_end_as_it_did_not(alice: User, dora: User, outcome: str):
    notice = told(alice, dora)
    with pytest.raises(NotActionable):
        concluding.close(notice.case, outcome, by=dora, reason="Because.")
    assert AbuseCase.objects.get(pk=notice.case).closed_at is None


def test_a_case_behind_a_standing_suspension_is_not_closed(alice: User, dora: User):
    notice = silent(alice, dora)
    with pytest.raises(NotActionable, match="services are suspended"):
        concluding.close(notice.case, CaseOutcome.UNANSWERED, by=dora, reason="Nobody answered.")
    assert standing(alice) == 1 and AbuseNotice.objects.get(pk=notice.pk).is_suspended
    with pytest.raises(NotActionable, match="abuse desk"):
        suspending.lift(notice.suspension, by="staff:x")


def test_whom_it_concerns_stands_once_the_customer_was_told(alice: User, bob: User, dora: User):
    notice = told(alice, dora)
    with pytest.raises(NotActionable, match="was told"):
        judging.decide_whom(notice.case, by=dora, number=bob.account.number)
    with pytest.raises(NotActionable, match="was told"):
        judging.change_kind(notice.case, CaseKind.SPAM, by=dora)


# ------------------------------------------------------------------------------------------------------- deleting


def test_a_deletion_says_which_answer_it_waits_for(alice: User, dora: User):
    notice = told(alice, dora)
    closed = closing.close(alice.account_id, by=alice, submission=uuid7())
    plan = plans.plan(Account.objects.get(pk=alice.account_id))
    [blocker] = [one for one in plan.blockers if one.kind == "notice"]
    assert blocker.object.reference == notice.reference
    waits = {line.category for line in plan.lines if line.waits_for}
    assert {"contact", "services", "network"} <= waits and "support" not in waits
    page = signed_in(alice).get(f"/delete/{closed.request.reference}/").content.decode()
    assert f"/notices/{notice.reference}/" in page
    responding.disagree(notice.pk, by=alice, text="Mine.")
    assert not [one for one in plans.plan(Account.objects.get(pk=alice.account_id)).blockers if one.kind == "notice"]


def test_an_answer_that_is_due_keeps_its_part_and_nothing_else_and_thirty_days_at_most(
    alice: User, dora: User, owner: Connection
):
    run_service(alice, at=timezone.now() - 90 * DAY)
    case = make_case(alice, at=timezone.now() - 35 * DAY)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    notice = tell(case, dora, at=timezone.now() - 10 * DAY)
    purge.ring()
    held = {"contact", "services", "network", "notices"}
    assert {name for name, state in states(alice).items() if state == "due"} == held
    # Nobody can answer any more: the clock finds no silence, and tells nobody anything.
    posted = OutboxMessage.objects.count()
    assert set(enforcing.watch().values()) == {0} and OutboxMessage.objects.count() == posted
    refused(
        lambda: AbuseNotice.objects.filter(pk=notice.pk).update(lapsed_at=timezone.now()), "nobody of its account can"
    )
    owner.execute("ALTER TABLE retention_hold DISABLE TRIGGER z_guard_hold")
    owner.execute("UPDATE retention_hold SET ends_at = now() WHERE cause = %s", [notice.pk])
    owner.execute("ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold")
    # One ring ends the hold, the next finds what it covered.
    for _ring in range(2):
        purge.ring()
    assert "due" not in states(alice).values()
    # What is gone disturbs no clock, and the case keeps its own copy.
    assert not AbuseNotice.objects.filter(pk=notice.pk).exists()
    assert set(enforcing.watch(timezone.now() + 31 * DAY).values()) == {0}
    assert read(CaseCopy.objects.get(case=notice.case), "text").startswith("Two files")
    done = concluding.close(notice.case, CaseOutcome.NO_ACTION, by=dora, reason="The account is gone.")
    assert done.closed_at is not None


def states(user: User) -> dict[str, str]:
    found = Erasure.objects.live().filter(account=user.account_id, kept_for="")
    return dict(found.values_list("category", "state"))
