"""A reporter takes a report back: the desk sees it, the customer is left alone, and a person ends it (P17-P19)."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from accounts import assigning
from accounts.errors import NotActionable
from accounts.models import Suspension, User
from accounts.safeguards.models import OutboxMessage
from chicagocloud import work
from disclosures import concluding, enforcing, judging, preparing, releasing, reporting, responding, striking
from disclosures.models import AbuseCase, AbuseNotice, CaseOutcome, Finding, Stage
from disclosures.refusing import Unsupported
from disclosures.reports.shape import Format, Kind, Party, Report, Source
from tests.abuse import complain, find_true, mails, read, silent, take_back, tell, told
from tests.cast import DAY, make_staff, run_service
from tests.reading_reports import OWN
from tests.test_browser_axe import room
from tests.test_disclosures_of_cases import approve, prepare
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
TAKEN_BACK = (OWN / "acns_attached_retraction.eml").read_bytes()


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def of(notice: AbuseNotice) -> AbuseCase:
    return AbuseCase.objects.get(pk=notice.case)


def pile(user: User) -> list[str]:
    [found] = [pile for pile in work.piles(user) if pile.title == "Reports taken back"]
    return [name for name, _url, _when in found.entries]


def test_a_mail_takes_a_notice_back_and_the_customer_runs_again(alice: User, dora: User):
    seen = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assigning.assign(run_service(alice, at=seen - DAY).pk, "192.0.2.50", by="system", at=seen - DAY)
    before = timezone.now() - 20 * DAY
    notice_mail = TAKEN_BACK.replace(b'Retraction=3D"true"', b'Retraction=3D"false"').replace(b"acns-1@", b"acns-0@")
    assert notice_mail.count(b"false") == TAKEN_BACK.count(b"false") + 1
    [first] = reporting.take_in(notice_mail, channel="mail", at=before)
    find_true(first.case, dora)
    tell(first.case, dora, at=before)
    enforcing.watch()
    assert Suspension.objects.standing().count() == 1 and pile(dora) == []

    [second] = reporting.take_in(TAKEN_BACK, channel="mail")
    assert second.case == first.case and second.report.is_retraction
    assert pile(dora) == [f"{first.case.reference}: copyright notice (DMCA)"]
    # What was reported is still what the page and the notice to the customer begin with.
    worded = first.case.worded_report()
    assert worded is not None and worded.pk == first.report.pk

    concluding.close(first.case.pk, CaseOutcome.WITHDRAWN, by=dora, reason="The sender took it back by mail.")
    notice = AbuseNotice.objects.get()
    assert Suspension.objects.standing().count() == 0 and notice.lifted_how == AbuseNotice.Lifted.REFUTED
    assert not notice.items.filter(restored_at=None, disabled_at__isnull=False).exists()
    assert pile(dora) == []
    said = [row.content for row in OutboxMessage.objects.filter(event__startswith="abuse-step:")]
    assert any("The report was taken back. Nothing of it counts against you." in one["body"] for one in said)
    assert f"StatusUpdate {first.case.reference}" in mails()


def test_nothing_more_happens_to_the_customer_until_somebody_looked(alice: User, dora: User):
    notice = told(alice, dora, ago=20 * DAY)
    case = of(notice)
    assert take_back(case) == case and judging.is_taken_back(case) and not judging.is_valid(case)
    enforcing.watch()
    notice.refresh_from_db()
    assert notice.lapsed_at is None and notice.reminded_at is None
    assert Suspension.objects.standing().count() == 0 and not notice.items.exclude(disabled_at=None).exists()
    responding.fix(notice.pk, {notice.items.all()[0].pk: "I removed it."}, by=alice)
    with pytest.raises(NotActionable, match="took it back"):
        enforcing.dispute(notice.items.all()[0].pk, by=dora, seen="It is there.")
    with pytest.raises(NotActionable, match="took it back"):
        enforcing.disable(notice.pk, notice.items.values_list("pk", flat=True), by=dora)
    with pytest.raises(NotActionable, match="took it back"):
        striking.strike(notice.pk, by=dora)

    # Somebody asked the sender: the mail that took it back was not theirs.
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=True, note="They never took it back.")
    assert pile(dora) == [] and judging.is_valid(case)
    enforcing.watch()
    assert Suspension.objects.standing().count() == 1 and notice.items.exclude(disabled_at=None).count() == 1


def test_what_somebody_else_takes_back_stops_nothing_and_is_for_a_person_to_read(alice: User, dora: User):
    """The customer can report their own address, and take that back: any stranger's mail would have saved them."""
    notice = told(alice, dora, ago=20 * DAY)
    case = of(notice)
    who = Party(email="alice@alice.example")
    source = Source(address=read(case, "source"))
    report = Report(
        Format.FREE_TEXT, Kind.COPYRIGHT, reporter=who, sources=(source,), text="Me too.", content_hash="me"
    )
    [mine] = reporting.take_in(b"me", channel="mail", report=report)
    assert mine.case == take_back(case, sender="alice@alice.example") == case
    assert not judging.is_taken_back(case) and judging.is_valid(case)
    enforcing.watch()
    assert Suspension.objects.standing().count() == 1 and notice.items.exclude(disabled_at=None).count() == 2
    assert pile(dora) == [f"{case.reference}: copyright notice (DMCA)"]
    page = words(signed_in(dora).get(room(AbuseCase).url_of(case)))
    assert "Said to be taken back, by another sender" in page


@pytest.mark.parametrize("when", ["before it is submitted", "after the approval"])
def test_nothing_of_the_customer_leaves_for_what_was_taken_back(alice: User, dora: User, when: str):
    lena, paul = make_staff("lena", "legal"), make_staff("paul", "privacy_officer")
    case = of(silent(alice, dora))
    made = prepare(case, lena, complain(case, dora))
    if when == "after the approval":
        preparing.submit(made.pk, by=lena)
        approve(made, paul)
    take_back(case)
    act = releasing.release if when == "after the approval" else preparing.submit
    with pytest.raises(Unsupported, match="took the report back"):
        act(made.pk, by=lena)
    made.refresh_from_db()
    assert made.state == (Stage.EXPIRED if when == "after the approval" else Stage.DRAFT)
