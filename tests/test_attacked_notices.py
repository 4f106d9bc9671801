"""Attacks on notices of abuse, each once a hole: partial counter-notices, clocks that starve, reporters unnamed."""

from __future__ import annotations

import datetime as dt
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from psycopg import Connection

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import OutboxMessage
from disclosures import concluding, countering, enforcing, judging, reporting, responding, striking, turns
from disclosures.admin import case_notices
from disclosures.models import AbuseCase, AbuseNotice, AbuseNoticeItem, AbuseReport, CaseKind, CounterNotice, Finding
from disclosures.reports.shape import Format, Kind, Party, Report, Source
from retention import placing
from tests.abuse import NAMES, PLACES, TRUE, days_pass, find_true, make_case, read, sign_counter, silent, tell, told
from tests.cast import DAY, make_staff
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
WORDS = countering.Words("fair_use", "It is a review.", email="alice@alice.example", **NAMES)


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def countered_in_part(notice: AbuseNotice, user: User, owner: Connection) -> tuple[AbuseNoticeItem, AbuseNoticeItem]:
    """Let a counter-notice about the first place come to its day; return both places after it."""
    one, other = notice.items.order_by("number")
    counter = countering.draft(notice.pk, [one.pk], WORDS, by=user)
    countering.sign(counter.pk, by=user, signature="Alice Canary")
    day_comes(owner, counter)
    assert countering.put_back_due() == 1 and countering.put_back_due() == 0
    one.refresh_from_db()
    other.refresh_from_db()
    return one, other


def day_comes(owner: Connection, counter: CounterNotice) -> None:
    days_pass(owner, "counternotice", counter.pk, put_back_from="current_date - 3", put_back_on="current_date - 2")


def test_a_put_back_brings_back_only_what_the_counter_notice_asks_for(alice: User, dora: User, owner: Connection):
    notice = told(alice, dora, ago=2 * DAY)
    enforcing.watch()
    one, other = countered_in_part(notice, alice, owner)
    assert one.restored_at is not None
    assert other.restored_at is None, "nobody swore about this place"


def test_for_the_other_places_the_notice_goes_on_until_they_are_fixed(alice: User, dora: User, owner: Connection):
    """The strike and the suspension stand for them, too: nobody answered for them (P19)."""
    notice = silent(alice, dora)
    strike = striking.strike(notice.pk, by=dora)
    one, other = countered_in_part(notice, alice, owner)
    for row in (notice, strike):
        row.refresh_from_db()
    assert notice.ended_at is None and notice.is_suspended and strike.overruled_at is None
    assert AbuseCase.objects.get(pk=notice.case).closed_at is None
    page = words(signed_in(alice).get(f"/notices/{notice.reference}/"))
    assert "The notice goes on for the places you did not name" in page and "also runs again" not in page
    assert [item.pk for item in notice.items.all() if item.is_left] == [other.pk]

    with pytest.raises(NotActionable, match="fixed already, or back"):
        responding.fix(notice.pk, {one.pk: "Removed."}, by=alice)
    responding.fix(notice.pk, {other.pk: "Removed."}, by=alice)
    responding.acknowledge(notice.pk, by=alice)
    notice.refresh_from_db()
    assert notice.remedied_at is not None and notice.lifted_how == "remedied"
    enforcing.watch(timezone.now() + 15 * DAY)
    notice.refresh_from_db()
    assert notice.ended_how == "remedied"
    assert AbuseCase.objects.get(pk=notice.case).outcome == "remedied"


def test_what_is_fixed_and_countered_waits_for_the_day_and_ends_no_earlier(alice: User, dora: User, owner: Connection):
    """A remedy settles after two weeks, a put-back takes longer: it would have been lost."""
    notice = told(alice, dora, ago=2 * DAY)
    enforcing.watch()
    fixed(notice, alice)
    counter = countering.draft(notice.pk, notice.items.values_list("pk", flat=True), WORDS, by=alice)
    countering.sign(counter.pk, by=alice, signature="Alice Canary")
    assert enforcing.watch(timezone.now() + 15 * DAY)["settled"] == 0
    with pytest.raises(NotActionable, match="waits for its day"):
        concluding.close(notice.case, "remedied", by=dora, reason="Fixed.")
    day_comes(owner, counter)
    assert countering.put_back_due() == 1
    notice.refresh_from_db()
    assert notice.ended_how == "put_back" and notice.items.filter(restored_at=None).count() == 0


@pytest.mark.parametrize("court", [False, True])
def test_an_appeal_after_the_end_brings_back_what_is_disabled_but_for_what_a_court_has(
    alice: User, dora: User, *, court: bool
):
    notice = told(alice, dora, ago=2 * DAY)
    enforcing.watch()
    strike = striking.strike(notice.pk, by=dora)
    if court:
        one = notice.items.earliest("number")
        counter = countering.draft(notice.pk, [one.pk], WORDS, by=alice)
        countering.sign(counter.pk, by=alice, signature="Alice Canary")
        countering.stop(counter.pk, by=dora, court_action="N.D. Ill., 1:26-cv-1")
    concluding.close(notice.case, "court" if court else "unanswered", by=dora, reason="It ends.")
    assert notice.items.filter(restored_at=None).count() == 2
    striking.appeal(strike.pk, by=alice, text="The film is mine.")
    omar = make_staff("omar", "abuse_desk")
    striking.decide(strike.pk, by=omar, in_favour=True, decision="Theirs.")
    assert notice.items.filter(restored_at=None).count() == court
    assert OutboxMessage.objects.filter(event__contains="overruled").count() == 1
    with keyring():
        [mail] = OutboxMessage.objects.filter(event__contains="overruled")
        assert "What we disabled is back" in mail.content["body"]


def test_the_words_of_a_reporter_who_may_not_be_named_are_not_proposed(alice: User, dora: User, owner: Connection):
    case = told(alice, dora).case
    named = case_notices._proposed(AbuseCase.objects.get(pk=case))
    assert named["original"] and named["reporter"]
    owner.execute("UPDATE disclosures_abusereport SET may_be_named = false WHERE case_id = %s", [case])
    assert not AbuseReport.objects.get(case=case).may_be_named
    proposed = case_notices._proposed(AbuseCase.objects.get(pk=case))
    assert proposed["reporter"] == proposed["original"] == ""
    assert proposed["locations"] == named["locations"]


def test_a_report_that_came_after_the_finding_is_not_proposed(alice: User, dora: User):
    """Whoever names the same address adds to the case: the findings would have covered a forged report as well."""
    case = make_case(alice)
    find_true(case, dora)
    twin = Report(
        Format.FREE_TEXT,
        Kind.COPYRIGHT,
        reporter=Party(organisation="Forged Ltd", email="forged@film.example"),
        sources=(Source(address=read(case, "source"), urls=("https://www.alice.example/all",)),),
        text="All of it.",
        content_hash="forged",
    )
    [taken] = reporting.take_in(b"forged", channel="mail", report=twin)
    proposed = case_notices._proposed(AbuseCase.objects.get(pk=case.pk))
    assert taken.case == case and proposed["reporter"] == "Film Rights Ltd"
    assert proposed["locations"].splitlines() == list(PLACES)
    assert "Another report came since you looked" in case_notices.Notify().consequences(case)[0]
    # Control: somebody looked again.
    judging.find(case.pk, Finding.ACCURATE, by=dora, is_met=True)
    assert case_notices._proposed(AbuseCase.objects.get(pk=case.pk))["reporter"] == "Forged Ltd"


def fixed(notice: AbuseNotice, user: User, *, first: int = 99) -> None:
    items = [item for item in notice.items.order_by("number") if not item.is_fixed]
    responding.fix(notice.pk, {item.pk: "Removed." for item in items[:first]}, by=user)


def test_a_remedied_notice_that_stays_suspended_keeps_no_other_from_settling(
    alice: User, bob: User, dora: User, owner: Connection
):
    stuck = silent(alice, dora, CaseKind.SPAM)
    fixed(stuck, alice)
    free = told(bob, dora, CaseKind.SPAM)
    fixed(free, bob)
    for notice in (stuck, free):
        days_pass(owner, "abusenotice", notice.pk, remedied_at="now() - interval '15 days'")
    with mock.patch.object(turns, "AT_ONCE", 1):
        assert enforcing.watch()["settled"] == 1
    free.refresh_from_db()
    assert free.ended_how == "remedied"


def test_a_copyright_notice_without_its_elements_keeps_no_other_from_being_disabled_or_suspended(
    alice: User, bob: User, dora: User
):
    """Both findings stand, the six elements do not: it waits for a person, for ever perhaps."""
    at = timezone.now() - 20 * DAY
    for user in (alice, bob):
        _wait_for(user, dora, at, elements=user == bob)
        at += DAY / 24
    with mock.patch.object(turns, "AT_ONCE", 1):
        assert enforcing.watch()["disabled"] == 1
        enforcing.watch()
        enforcing.watch()
    waits, goes = AbuseNotice.objects.order_by("sent_at")
    assert waits.suspension is None and goes.suspension is not None


def _wait_for(user: User, by: User, at: dt.datetime, *, elements: bool) -> AbuseNotice:
    case = make_case(user, at=at)
    if elements:
        find_true(case, by)
    else:
        for item in TRUE:
            judging.find(case.pk, item, by=by, is_met=True)
    return tell(case, by, at=at)


def test_intimate_images_go_though_the_customer_takes_no_mail(alice: User, dora: User):
    """48 hours after the report (PL 119-12): a mail server that refuses our mail kept them up for ever."""
    for kind, days in ((CaseKind.NCII, 3), (CaseKind.NCII, 1), (CaseKind.DMCA, 3)):
        case = make_case(alice, kind, at=timezone.now() - days * DAY)
        find_true(case, dora)
        tell(case, dora, at=timezone.now() - days * DAY, delivered=False)
    assert enforcing.watch()["disabled"] == 1
    images, fresh, other = AbuseNotice.objects.order_by("case")
    assert images.material_by is None and images.items.filter(disabled_at=None).count() == 0
    assert fresh.items.filter(disabled_at=None).count() == other.items.filter(disabled_at=None).count() == 2


def test_a_notice_fixed_in_part_and_disabled_in_the_rest_keeps_no_other_from_being_disabled(
    alice: User, bob: User, dora: User
):
    partly = told(alice, dora, ago=2 * DAY + DAY / 2)
    fixed(partly, alice, first=1)
    enforcing.watch()
    other = told(bob, dora, ago=2 * DAY)
    with mock.patch.object(turns, "AT_ONCE", 1):
        assert enforcing.watch()["disabled"] == 1
    assert other.items.filter(disabled_at=None).count() == 0


def test_a_turn_ends_after_what_was_done_and_not_after_what_was_tried():
    refused, failed, passed, *free = rows = [uuid4() for _ in range(6)]
    seen: list[UUID] = []

    def act(pk: UUID, at: dt.datetime) -> bool:
        seen.append(pk)
        if pk == refused:
            raise NotActionable("It has ended.")
        if pk == failed:
            raise RuntimeError
        return pk != passed

    with mock.patch.object(turns, "AT_ONCE", 2):
        assert turns.take(rows, act, timezone.now()) == 2
    assert seen == [refused, failed, passed, *free[:2]]


def test_cases_that_are_held_keep_no_other_from_being_forgotten(alice: User, bob: User, dora: User, owner: Connection):
    for days, user in ((1200, alice), (1100, bob)):
        case = make_case(user)
        concluding.close(case.pk, "no_action", by=dora, reason="Nothing.")
        days_pass(owner, "abusecase", case.pk, closed_at=f"now() - interval '{days} days'")
    placing.place(alice.account_id, "legal", by="system")
    with mock.patch.object(turns, "AT_ONCE", 1):
        assert concluding.forget() == 1
    assert AbuseCase.objects.get(forgotten_at__isnull=False).account_id == bob.account_id


def test_a_counter_notice_that_fails_keeps_no_other_from_its_day(alice: User, bob: User, dora: User, owner: Connection):
    first, second = sign_counter(alice, dora), sign_counter(bob, dora)
    for days, counter in ((3, first), (2, second)):
        on = f"current_date - {days}"
        days_pass(owner, "counternotice", counter.pk, put_back_from=on, put_back_on=on)
    whole = countering._put_back

    def broken(pk: UUID, at: dt.datetime) -> bool:
        if pk == first.pk:
            raise RuntimeError
        return whole(pk, at)

    with mock.patch.object(turns, "AT_ONCE", 1), mock.patch.object(countering, "_put_back", broken):
        assert countering.put_back_due() == 1
    second.refresh_from_db()
    assert second.put_back_at is not None
