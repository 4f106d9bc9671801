"""What the database refuses of notices, counter-notices, strikes and suspensions, around the Python (P17-P19)."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from psycopg import Connection

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Suspension, User
from accounts.safeguards import shredding
from disclosures import concluding, countering, enforcing, judging, notifying, responding, striking
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    AbuseNoticeItem,
    CaseCopy,
    CaseFinding,
    CaseKind,
    CounterNotice,
    Finding,
    Strike,
)
from retention import placing
from retention.models import Hold
from tests.abuse import days_pass, sign_counter, silent, told
from tests.cast import DAY, make_staff
from tests.test_guards_of_disclosures import refused
from tests.weakening import replace_in_function, source_of

pytestmark = pytest.mark.usefixtures("committed")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def change(notice: AbuseNotice, **given: object) -> None:
    AbuseNotice.objects.filter(pk=notice.pk).update(**given)


def suspend(user: User, service: object = None, ground: str = "abuse") -> Suspension:
    return Suspension.objects.create(
        account_id=user.account_id, service=service, ground=ground, placed_at=timezone.now(), placed_by="system"
    )


# ------------------------------------------------------------------------------------------------------- suspending


def test_the_runtime_role_is_asked() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("portal_runtime",)


def test_nobody_is_suspended_before_silence_nor_without_two_findings(alice: User, dora: User) -> None:
    notice = told(alice, dora, CaseKind.OTHER)
    refused(lambda: suspend(alice, notice.service), "no valid notice went unanswered")
    unproven = silent(alice, dora, CaseKind.SPAM, valid=False)
    refused(lambda: suspend(alice, unproven.service), "no valid notice went unanswered")
    refused(lambda: change(notice, lapsed_at=timezone.now()), "there is time, or an answer")
    judging.find(unproven.case, Finding.AUTHENTIC, by=dora, is_met=True)
    refused(lambda: suspend(alice, unproven.service), "no valid notice")
    judging.find(unproven.case, Finding.ACCURATE, by=dora, is_met=True)
    # Control: with silence and both findings it can be, once.
    assert suspend(alice, unproven.service).lifted_at is None
    responding.disagree(unproven.pk, by=alice, text="Late.")
    refused(lambda: suspend(alice, unproven.service), "no valid notice")


def test_a_suspension_of_billing_becomes_none_of_abuse(alice: User, dora: User) -> None:
    row = suspend(alice, ground="billing")
    refused(lambda: Suspension.objects.filter(pk=row.pk).update(ground="abuse"), "stays as it was placed")
    Suspension.objects.filter(pk=row.pk).update(lifted_at=timezone.now(), lifted_by="system")


def test_the_newest_finding_counts(alice: User, dora: User) -> None:
    notice = silent(alice, dora, CaseKind.OTHER, valid=False)
    for met in (True, False):
        for item in (Finding.AUTHENTIC, Finding.ACCURATE):
            judging.find(notice.case, item, by=dora, is_met=met, note="They deny it.")
    refused(lambda: suspend(alice, notice.service), "no valid notice")
    refused(lambda: CaseFinding.objects.filter(case=notice.case).update(is_met=True))


def test_a_suspension_ends_on_its_grounds_alone(alice: User, dora: User) -> None:
    notice = silent(alice, dora)
    row = Suspension.objects.filter(pk=notice.suspension)
    now = timezone.now()
    refused(lambda: row.update(lifted_at=now, lifted_by="staff:x"), "no ground for being lifted")
    lifted = {"lifted_at": now, "lifted_by": "staff:x"}
    refused(lambda: change(notice, **lifted, lifted_how="remedied"), "not acknowledged and remedied")
    refused(lambda: change(notice, **lifted, lifted_how="put_back"), "nothing was put back")
    refused(lambda: change(notice, **lifted, lifted_how="refuted"), "did not fall")
    refused(lambda: change(notice, **lifted, lifted_how="appeal"), "no appeal was decided")
    refused(lambda: change(notice, ended_at=now, ended_by="staff:x", ended_how="closed"), "ended_is_lifted")
    responding.acknowledge(notice.pk, by=alice)
    refused(lambda: change(notice, **lifted, lifted_how="remedied"), "not acknowledged and remedied")


# ------------------------------------------------------------------------------------------------------- facts stay


def test_what_was_answered_stays(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    responding.acknowledge(notice.pk, by=alice)
    refused(lambda: change(notice, acknowledged_at=None, acknowledged_by=None), "what was answered stays")
    refused(lambda: change(notice, acknowledged_by=uuid4()), "what was answered stays")
    refused(lambda: change(notice, remedied_at=timezone.now(), remedied_by=uuid4()), "not remedied everywhere")
    refused(lambda: change(notice, sent_at=timezone.now()), "stays as it was sent")
    refused(lambda: change(notice, case=uuid4()), "stays as it was sent")


def test_time_moves_by_delivery_one_extension_or_a_dispute(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    assert notice.act_by is not None
    refused(lambda: change(notice, act_by=timezone.now() - HOUR), "gives_time|time to answer moves")
    refused(lambda: change(notice, act_by=notice.act_by + DAY), "time to answer moves")
    given = {"extended_at": timezone.now(), "extended_by": alice.pk}
    refused(lambda: change(notice, act_by=notice.sent_at + 31 * DAY, **given), "time to answer moves")
    change(notice, act_by=notice.act_by + DAY, **given)
    refused(lambda: change(notice, delivered_at=None, act_by=None, material_by=None), "delivered once|time to answer")


def test_an_answer_and_a_finding_have_a_person_of_the_right_side(alice: User, bob: User, dora: User) -> None:
    notice, now = told(alice, dora), timezone.now()
    for stranger in (bob, dora):
        refused(
            lambda by=stranger: change(notice, acknowledged_at=now, acknowledged_by=by.pk), "somebody of its account"
        )
        refused(lambda by=stranger: change(notice, disagreed_at=now, disagreed_by=by.pk), "somebody of its account")

        def fix(by: User = stranger) -> None:
            with keyring():
                item = notice.items.all()[0]
                item.fixed_at, item.fixed_by, item.done = now, by.pk, "x"
                item.save()

        refused(fix, "somebody of its account")
    change(notice, acknowledged_at=now, acknowledged_by=alice.pk)

    def find(**given: object) -> None:
        facts = {"item": "authentic", "is_met": True, "found_by": dora.pk, "found_at": now} | given
        CaseFinding.objects.create(case_id=notice.case, **facts)

    refused(lambda: find(found_by=alice.pk), "a member of staff, and of now")
    refused(lambda: find(found_at=now + DAY), "a member of staff, and of now")
    find()
    concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    refused(find, "is closed; that stays")
    strike = Strike.objects.filter(pk=striking.strike(told(alice, dora).pk, by=dora).pk)
    with keyring():
        words = strike.get()
    words.appeal, words.appealed_at, words.appealed_by = "x", now, bob.pk
    refused(lambda: saved(words), "appealed by somebody of its account")
    words.appealed_by, words.decision, words.decided_at, words.decided_by = alice.pk, "x", now, bob.pk
    refused(lambda: saved(words), "decided by a member of staff")


def saved(row: Strike) -> None:
    with keyring():
        row.save()


def test_silence_takes_a_day_at_the_least(alice: User, dora: User) -> None:
    """A delivery made up afterwards would open the door to a disclosure at once (P17)."""
    notice, now = told(alice, dora), timezone.now()
    back = notifying.came_back(notice.pk, by=dora)
    refused(lambda: change(back, delivered_at=now - 9 * DAY, act_by=now - DAY), "time to answer moves")
    refused(lambda: change(back, delivered_at=timezone.now(), act_by=timezone.now() + HOUR), "time to answer moves")
    notifying.reached(back.pk, by=dora, how="Called.")


def test_an_ended_notice_and_a_closed_case_stay(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    refused(
        lambda: AbuseCase.objects.filter(pk=notice.case).update(
            closed_at=timezone.now(), closed_by="staff:x", outcome="no_action"
        ),
        "its notice has not ended",
    )
    concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    refused(lambda: change(notice, ended_at=None, ended_by="", ended_how=""), "has ended; that stays")

    def fix_late() -> None:
        with keyring():
            item = notice.items.all()[0]
            item.fixed_at, item.fixed_by, item.done = timezone.now(), alice.pk, "x"
            item.save()

    refused(fix_late, "belongs to an open notice")
    refused(lambda: AbuseCase.objects.filter(pk=notice.case).update(closed_at=None, closed_by="", outcome=""), "closed")


def test_nobody_is_told_of_children_nor_of_another_account(alice: User, bob: User, dora: User) -> None:
    notice = told(alice, dora)

    def make(**given: object) -> None:
        facts = {"account_id": alice.account_id, "case": notice.case, "kind": "dmca", "sent_at": timezone.now()} | given
        with keyring():
            AbuseNotice.objects.create(claim="x", **facts)

    refused(lambda: make(account_id=bob.account_id), "an open case")
    refused(lambda: make(case=uuid7()), "an open case")
    refused(lambda: make(), "once_per_case")
    AbuseCase.objects.filter(pk=told(alice, dora, CaseKind.OTHER).case)
    refused(lambda: change(notice, kind="csam"), "stays as it was sent|of_no_child")


def test_material_is_disabled_on_a_valid_notice_only(alice: User, dora: User) -> None:
    unproven, mail = told(alice, dora, valid=False), told(alice, dora, CaseKind.SPAM)
    for notice in (unproven, mail):
        refused(
            lambda one=notice: one.items.update(disabled_at=timezone.now(), disabled_by="system"), "valid notice only"
        )
    valid = told(alice, dora)
    valid.items.update(disabled_at=timezone.now(), disabled_by="system")
    refused(lambda: valid.items.update(disabled_at=timezone.now() - DAY), "what happened stays")


# ------------------------------------------------------------------------------------------------------- 512(g), (i)


def test_a_signed_counter_notice_stays_and_comes_back_on_its_day(alice: User, dora: User, owner: Connection) -> None:
    counter = sign_counter(alice, dora)
    row = CounterNotice.objects.filter(pk=counter.pk)
    today = timezone.now().date()
    refused(lambda: row.update(reason="own"), "stays as it was signed")
    refused(lambda: row.update(items=[]), "stays as it was signed")
    refused(lambda: row.update(put_back_on=today), "moves to the first one only|signed_is_whole")
    refused(lambda: row.update(put_back_at=timezone.now(), put_back_by="system"), "it is not the day")
    row.update(put_back_on=counter.put_back_from)
    countering.stop(counter.pk, by=dora, court_action="N.D. Ill.")
    days_pass(owner, "counternotice", counter.pk, put_back_from="current_date - 3", put_back_on="current_date - 2")
    refused(lambda: row.update(put_back_at=timezone.now(), put_back_by="system"), "put_back_unless_stopped")
    refused(lambda: row.update(stopped_at=None, stopped_by=None), "what happened stays")


def test_a_counter_notice_asks_back_what_was_disabled(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    counter = sign_counter(alice, dora)
    facts = {
        "account_id": alice.account_id, "notice": notice, "items": [notice.items.all()[0].pk], "reason": "own",
        "statement": "x", "name": "x", "address": "x", "phone": "x", "email": "x", "drafted_at": timezone.now(),
        "drafted_by": alice.pk,
    }  # fmt: skip
    with keyring():
        row = CounterNotice.objects.create(**facts)  # type: ignore[arg-type]

    def sign() -> None:
        with keyring():
            mine = CounterNotice.objects.get(pk=row.pk)
            mine.signature, mine.sworn, mine.signed_at, mine.signed_by = "x", "1", timezone.now(), alice.pk
            mine.put_back_from, mine.put_back_on = counter.put_back_from, counter.put_back_on
            mine.put_back_latest = counter.put_back_latest
            mine.save()

    refused(sign, "asks back what was disabled")
    enforcing.disable(notice.pk, [row.items[0]], by=dora)

    def backdate(**given: object) -> None:
        with keyring():
            mine = CounterNotice.objects.get(pk=row.pk)
            mine.signature, mine.sworn, mine.signed_by = "x", "1", alice.pk
            facts = {"signed_at": timezone.now(), "put_back_from": counter.put_back_from} | given
            days = {"put_back_on": facts["put_back_from"], "put_back_latest": counter.put_back_latest}
            for name, value in (days | facts).items():
                setattr(mine, name, value)
            mine.save()

    today = timezone.now().date()
    refused(lambda: backdate(put_back_from=today), "counted from now")
    assert counter.put_back_from is not None and counter.put_back_latest is not None
    # Ten business days have ten weekdays: one day less is too early on any day of the week.
    early = counter.put_back_from - DAY
    refused(lambda: backdate(put_back_from=early if early.weekday() < 5 else early - 2 * DAY), "counted from now")
    refused(lambda: backdate(put_back_latest=counter.put_back_latest + 14 * DAY), "counted from now")
    refused(lambda: backdate(signed_at=timezone.now() - 20 * DAY, put_back_from=today), "counted from now")
    refused(lambda: backdate(put_back_at=timezone.now(), put_back_by="system"), "counted from now")
    sign()


CLOCK = "(clock_timestamp() AT TIME ZONE 'America/Chicago')::date"


@pytest.mark.parametrize(("now", "is_due"), [("2027-01-05 23:59:59-06", False), ("2027-01-06 00:00:01-06", True)])
def test_the_day_of_a_put_back_begins_where_the_company_is(
    alice: User, dora: User, owner: Connection, now: str, *, is_due: bool
) -> None:
    """At 18:00 in Chicago the next day has begun in UTC: the material came back on the day before."""
    counter = sign_counter(alice, dora)
    day = "'2027-01-06'"
    days_pass(owner, "counternotice", counter.pk, put_back_from=day, put_back_on=day, put_back_latest=day)
    row, source = CounterNotice.objects.filter(pk=counter.pk), source_of(owner, "guard_counter_notice")
    replace_in_function(
        owner, "guard_counter_notice", CLOCK, CLOCK.replace("clock_timestamp()", f"timestamptz '{now}'")
    )
    try:
        if is_due:
            row.update(put_back_at=timezone.now(), put_back_by="system")
        else:
            refused(lambda: row.update(put_back_at=timezone.now(), put_back_by="system"), "it is not the day")
    finally:
        owner.execute(source)


def test_material_comes_back_on_its_grounds_alone(alice: User, dora: User, owner: Connection) -> None:
    counter = sign_counter(alice, dora)
    notice = counter.notice
    back = {"restored_at": timezone.now(), "restored_by": "system"}
    refused(lambda: notice.items.update(**back), "comes back by its put-back")
    refused(
        lambda: change(notice, ended_at=timezone.now(), ended_by="staff:x", ended_how="closed"), "waits for its day"
    )
    row = CounterNotice.objects.filter(pk=counter.pk)
    refused(lambda: row.update(forwarded_at=timezone.now()), "not released to anybody")
    countering.stop(counter.pk, by=dora, court_action="N.D. Ill.")
    refused(
        lambda: change(notice, ended_at=timezone.now(), ended_by="x", ended_how="remedied"), "not remedied everywhere"
    )
    concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    refused(lambda: notice.items.update(**back), "comes back by its put-back")
    # Control: what no court was asked about came back with the complaint.
    free = told(alice, dora)
    enforcing.disable(free.pk, free.items.values_list("pk", flat=True), by=dora)
    concluding.close(free.case, "withdrawn", by=dora, reason="Withdrawn.")
    assert free.items.filter(restored_at=None).count() == 0


def test_a_strike_stands_on_a_valid_notice_and_its_appeal_goes_to_another(alice: User, dora: User) -> None:
    unproven = told(alice, dora, valid=False)
    facts = {"account_id": alice.account_id, "given_at": timezone.now(), "ends_at": timezone.now() + DAY}
    refused(lambda: Strike.objects.create(**facts, notice=unproven, given_by=dora.pk), "valid notice")
    valid = told(alice, dora)
    refused(lambda: Strike.objects.create(**facts, notice=valid, given_by=alice.pk), "member of staff")
    row = striking.strike(told(alice, dora).pk, by=dora)
    striking.appeal(row.pk, by=alice, text="Mine.")

    def decide(by: User) -> None:
        with keyring():
            mine = Strike.objects.get(pk=row.pk)
            mine.decided_at, mine.decided_by, mine.decision = timezone.now(), by.pk, "x"
            mine.save()

    refused(lambda: decide(dora), "appeal_goes_to_another")
    decide(make_staff("omar", "abuse_desk"))
    refused(lambda: Strike.objects.filter(pk=row.pk).update(given_by=uuid4()), "stays as it was given")
    refused(lambda: Strike.objects.filter(pk=row.pk).update(decided_by=uuid4()), "what was said stays")


# ------------------------------------------------------------------------------------------------------- holds, ends


def test_a_hold_for_an_answer_is_thirty_days_at_most_and_ends_with_the_answer(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    hold = Hold.objects.get(cause=notice.pk)
    now = timezone.now()
    refused(
        lambda: Hold.objects.filter(pk=hold.pk).update(released_at=now, released_by="system"), "no ground for a release"
    )

    def longer() -> None:
        placing.place_within(alice.account_id, "agreement", by="system", cause=uuid7(), ends_at=now + 31 * DAY, at=now)

    refused(longer, "30 days at most")
    responding.disagree(notice.pk, by=alice, text="No.")
    hold.refresh_from_db()
    assert hold.released_at is not None


def test_a_case_is_forgotten_after_its_time_and_never_while_it_is_held(
    alice: User, dora: User, owner: Connection
) -> None:
    notice = told(alice, dora)
    refused(
        lambda: AbuseCase.objects.filter(pk=notice.case).update(forgotten_at=timezone.now()), "not closed|was_closed"
    )
    concluding.close(notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    row = AbuseCase.objects.filter(pk=notice.case)
    refused(lambda: row.update(forgotten_at=timezone.now()), "kept until its time is over")
    assert concluding.forget() == 0
    days_pass(owner, "abusecase", notice.case, closed_at="now() - interval '1096 days'")
    hold = placing.place(alice.account_id, "legal", by="system")
    refused(lambda: row.update(forgotten_at=timezone.now()), "governed")
    assert concluding.forget() == 0 and hold.pk
    Hold.objects.filter(pk=hold.pk)
    owner.execute("ALTER TABLE retention_hold DISABLE TRIGGER USER")
    owner.execute("UPDATE retention_hold SET released_at = now(), released_by = 'x', covers_until = now()")
    owner.execute("ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold")
    assert concluding.forget() == 1 and concluding.forget() == 0
    shredding.destroy(shredding.pending(), lambda orders: None)
    with keyring(), pytest.raises(Exception, match="destroyed|KeyDestroyed"):
        str(CaseCopy.objects.filter(case=notice.case).first().text)  # type: ignore[union-attr]


def test_no_copy_of_a_case_changes_or_goes(alice: User, dora: User) -> None:
    notice = told(alice, dora)
    refused(lambda: CaseCopy.objects.filter(case=notice.case).update(kind="appeal"))
    refused(lambda: CaseCopy.objects.filter(case=notice.case)._raw_delete("default"))
    assert AbuseNoticeItem.objects.filter(notice=notice).count() == 2
