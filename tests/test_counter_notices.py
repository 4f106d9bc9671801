"""Counter-notices, put-back by the clock, strikes and appeals (17 USC 512(g), (i))."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from psycopg import Connection

from accounts.errors import NotActionable
from accounts.models import Suspension, User
from disclosures import abuse_clocks, countering, enforcing, responding, striking, sworn
from disclosures.models import AbuseCase, AbuseNotice, CaseKind, CaseOutcome, CounterNotice, Strike
from tests.abuse import NAMES, complain, days_pass, read, sign_counter, silent, told
from tests.cast import DAY, make_staff

pytestmark = pytest.mark.usefixtures("committed")
WORDS = countering.Words("fair_use", "It is a review.", email="alice@alice.example", **NAMES)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def omar() -> User:
    return make_staff("omar", "abuse_desk")


def disabled(user: User, by: User) -> AbuseNotice:
    """Return a valid copyright notice whose material was disabled."""
    notice = told(user, by, ago=2 * DAY)
    enforcing.watch()
    return notice


def items(notice: AbuseNotice) -> list:
    return list(notice.items.values_list("pk", flat=True))


def due_now(owner: Connection, counter: CounterNotice) -> None:
    days_pass(owner, "counternotice", counter.pk, put_back_from="current_date - 3", put_back_on="current_date - 2")


# ------------------------------------------------------------------------------------------------------- signing


def test_a_draft_is_kept_until_it_is_signed_and_then_it_stays(alice: User, dora: User):
    notice = disabled(alice, dora)
    row = countering.draft(notice.pk, items(notice)[:1], WORDS, by=alice)
    row = countering.draft(notice.pk, items(notice), WORDS, by=alice)
    assert row.signed_at is None and len(row.items) == 2
    with pytest.raises(NotActionable, match="Type the name"):
        countering.sign(row.pk, by=alice, signature="Mallory")

    signed = countering.sign(row.pk, by=alice, signature=" alice   CANARY ")
    days = abuse_clocks.put_back(timezone.now())
    assert (signed.put_back_from, signed.put_back_on, signed.put_back_latest) == (days.first, days.usual, days.latest)
    assert signed.sworn == sworn.CURRENT and signed.signed_by == alice.pk
    assert countering.sign(row.pk, by=alice, signature="x").signed_at == signed.signed_at, "signed once"
    with pytest.raises(NotActionable, match="it stays as it is"):
        countering.draft(notice.pk, items(notice), WORDS, by=alice)
    notice.refresh_from_db()
    assert notice.countered_at is not None


def test_only_an_owner_and_only_about_what_was_disabled(alice: User, bob: User, dora: User):
    notice = told(alice, dora)
    with pytest.raises(NotActionable, match="nothing that a counter-notice"):
        countering.draft(notice.pk, items(notice), WORDS, by=alice)
    spam = silent(alice, dora, CaseKind.OTHER)
    assert countering.hindrance(spam) == "kind"
    notice = disabled(alice, dora)
    with pytest.raises(PermissionDenied):
        countering.draft(notice.pk, items(notice), WORDS, by=bob)
    with pytest.raises(NotActionable, match="at least one place"):
        countering.draft(notice.pk, [uuid4()], WORDS, by=alice)


def test_the_sworn_statements_are_those_of_the_law_inside_and_outside_the_country():
    inside = " ".join(sworn.statements(sworn.CURRENT, is_outside_us=False))
    outside = " ".join(sworn.statements(sworn.CURRENT, is_outside_us=True))
    for text in (inside, outside):
        assert "under penalty of perjury" in text and "good faith belief" in text and "service of process" in text
    assert "district in which my address is located" in inside
    assert "any judicial district in which the service provider may be found" in outside


# ------------------------------------------------------------------------------------------------------- put-back


def test_material_comes_back_by_the_clock_on_its_day_and_everything_with_it(alice: User, dora: User, owner: Connection):
    counter = sign_counter(alice, dora)
    strike_given = Strike.objects.filter(notice=counter.notice).exists()
    assert not strike_given and countering.put_back_due() == 0
    due_now(owner, counter)

    assert countering.put_back_due() == 1 and countering.put_back_due() == 0
    counter.refresh_from_db()
    notice, case = AbuseNotice.objects.get(pk=counter.notice_id), AbuseCase.objects.get(pk=counter.notice.case)
    assert counter.put_back_by == "system" and notice.ended_how == AbuseNotice.Ended.PUT_BACK
    assert case.outcome == CaseOutcome.PUT_BACK and notice.items.filter(restored_by="system").count() == 2


def test_a_put_back_lifts_the_suspension(alice: User, dora: User, owner: Connection):
    notice = silent(alice, dora)
    assert notice.is_suspended
    row = countering.draft(notice.pk, items(notice), WORDS, by=alice)
    countering.sign(row.pk, by=alice, signature="Alice Canary")
    assert Suspension.objects.standing().filter(account=alice.account_id).exists(), "signing alone lifts nothing"
    due_now(owner, row)
    countering.put_back_due()
    notice.refresh_from_db()
    assert notice.lifted_how == AbuseNotice.Lifted.PUT_BACK
    assert not Suspension.objects.standing().filter(account=alice.account_id).exists()


def test_staff_advance_to_the_first_day_or_stop_with_a_court_and_nothing_else(
    alice: User, dora: User, owner: Connection
):
    counter = sign_counter(alice, dora)
    done = countering.advance(counter.pk, by=dora)
    assert done.put_back_on == done.put_back_from
    with pytest.raises(NotActionable, match="first day already"):
        countering.advance(counter.pk, by=dora)
    with pytest.raises(NotActionable, match="Name the court"):
        countering.stop(counter.pk, by=dora, court_action=" ")
    countering.stop(counter.pk, by=dora, court_action="N.D. Ill., 1:26-cv-00123, told by the complainant today.")
    due_now(owner, counter)
    assert countering.put_back_due() == 0
    for act in (countering.advance, lambda pk, by: countering.stop(pk, by=by, court_action="again")):
        with pytest.raises(NotActionable, match="stopped by a notice"):
            act(counter.pk, by=dora)
    assert "1:26-cv-00123" in read(counter, "court_action")


def test_the_complainant_is_told_the_days_once_it_was_forwarded(alice: User, dora: User):
    from accounts.safeguards.models import OutboxMessage  # noqa: PLC0415

    counter = sign_counter(alice, dora)
    case = AbuseCase.objects.get(pk=counter.notice.case)
    recipient = complain(case, dora)
    countering.advance(counter.pk, by=dora)
    assert not OutboxMessage.objects.filter(subject=recipient.pk).exists(), "nothing before it was forwarded"


# ------------------------------------------------------------------------------------------------------- strikes


def test_a_strike_ages_out_and_is_given_once_for_a_valid_copyright_notice(alice: User, dora: User, owner: Connection):
    notice = told(alice, dora)
    row = striking.strike(notice.pk, by=dora)
    now = timezone.now()
    assert striking.policy(alice.account, now) == {"strikes": 1, "most_strikes": 3, "strike_days": 365}
    assert striking.standing(alice.account_id, now + 366 * DAY).count() == 0
    with pytest.raises(NotActionable, match="has its strike"):
        striking.strike(notice.pk, by=dora)
    for other in (told(alice, dora, CaseKind.OTHER), told(alice, dora, valid=False)):
        with pytest.raises(NotActionable, match="valid copyright notice"):
            striking.strike(other.pk, by=dora)
    striking.overrule(row.pk, by=dora, why="The notice was about another file.")
    assert striking.standing(alice.account_id, now).count() == 0


def test_three_strikes_make_a_repeat_infringer_and_close_nothing(alice: User, dora: User):
    for number in range(3):
        assert alice.account not in striking.repeat_infringers(timezone.now()), number
        striking.strike(told(alice, dora).pk, by=dora)
    assert alice.account in striking.repeat_infringers(timezone.now())
    alice.account.refresh_from_db()
    assert alice.account.state == "active"


def test_an_appeal_goes_to_another_person_and_in_favour_everything_falls(alice: User, dora: User, omar: User):
    notice = silent(alice, dora)
    row = striking.strike(notice.pk, by=dora)
    with pytest.raises(NotActionable, match="Nobody appealed"):
        striking.decide(row.pk, by=omar, in_favour=True, decision="x")
    striking.appeal(row.pk, by=alice, text="The film is mine.")
    with pytest.raises(PermissionDenied, match="a colleague decides"):
        striking.decide(row.pk, by=dora, in_favour=False, decision="No.")
    done = striking.decide(row.pk, by=omar, in_favour=True, decision="The film is theirs.")
    notice.refresh_from_db()
    assert done.overruled_at is not None and notice.lifted_how == AbuseNotice.Lifted.APPEAL
    assert notice.items.filter(restored_at__isnull=False).count() == 2
    assert not Suspension.objects.standing().filter(account=alice.account_id).exists()
    with pytest.raises(NotActionable, match="is decided"):
        striking.decide(row.pk, by=omar, in_favour=False, decision="No.")


def test_an_appeal_that_fails_leaves_the_strike(alice: User, bob: User, dora: User, omar: User, owner: Connection):
    notice = told(alice, dora)
    row = striking.strike(notice.pk, by=dora)
    with pytest.raises(PermissionDenied):
        striking.appeal(row.pk, by=bob, text="Not mine.")
    striking.appeal(row.pk, by=alice, text="The film is mine.")
    striking.decide(row.pk, by=omar, in_favour=False, decision="It is not.")
    assert striking.standing(alice.account_id, timezone.now()).count() == 1
    late = striking.strike(told(alice, dora).pk, by=dora)
    days_pass(owner, "strike", late.pk, given_at="given_at - interval '40 days'")
    with pytest.raises(NotActionable, match="time to appeal is over"):
        striking.appeal(late.pk, by=alice, text="Late.")


def test_nobody_strikes_while_a_counter_notice_disputes_it(alice: User, dora: User):
    counter = sign_counter(alice, dora)
    with pytest.raises(NotActionable, match="counter-notice disputes"):
        striking.strike(counter.notice_id, by=dora)


def test_who_counters_has_answered(alice: User, dora: User):
    counter = sign_counter(alice, dora)
    enforcing.watch(timezone.now() + 20 * DAY)
    notice = AbuseNotice.objects.get(pk=counter.notice_id)
    assert notice.lapsed_at is None and notice.suspension is None
    with pytest.raises(NotActionable, match="answer came"):
        responding.ask_for_time(notice.pk, by=alice, reason="More.")
