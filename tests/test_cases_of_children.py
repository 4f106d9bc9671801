"""Cases of children: one role, no notice, no forwarding, a CyberTipline record, a year's untold preservation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import User
from accounts.safeguards.ledger import SYSTEM
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import judging, reporting
from disclosures.models import AbuseCase, CaseKind, TiplineReport
from disclosures.reports.shape import Format, Kind, Party, Report
from retention.models import Hold, ToldHold
from retention.sight import holds_for, ledger_for
from tests.abuse import complain, make_case, read
from tests.cast import DAY, make_staff
from tests.test_browser_axe import room
from tests.test_guards_of_disclosures import refused
from tests.visiting import signed_in

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def case(alice: User) -> AbuseCase:
    return make_case(alice, CaseKind.CSAM)


def test_a_report_preserves_the_account_for_a_year_and_nobody_is_told(
    case: AbuseCase, alice: User, lena: User, dora: User
):
    before = OutboxMessage.objects.count()
    row = judging.report_to_tipline(case.pk, by=lena, number="CT-1234567")
    hold = Hold.objects.get(pk=row.hold)
    assert hold.kind == Hold.Kind.PRESERVATION and hold.categories == [] and hold.ends_at is not None
    assert 365 <= (hold.ends_at - timezone.now()).days + 1 <= 367
    assert hold.told_at is None and not ToldHold.objects.filter(account=alice.account_id).exists()
    assert OutboxMessage.objects.count() == before and read(row, "number") == "CT-1234567"
    assert not holds_for(dora).filter(pk=hold.pk).exists()
    assert not ledger_for(dora).filter(subject=case.pk).exists()
    assert ledger_for(lena).filter(subject=case.pk, action="legal.case.tipline").exists()
    with pytest.raises(NotActionable, match="reported already"):
        judging.report_to_tipline(case.pk, by=lena, number="CT-1234567")


def test_only_the_role_for_them_works_on_them(case: AbuseCase, dora: User, lena: User):
    with pytest.raises(NotActionable, match="no such case"):
        judging.report_to_tipline(case.pk, by=dora, number="CT-1")
    with pytest.raises(PermissionDenied):
        judging.report_to_tipline(case.pk, by=make_staff("sara", "support"), number="CT-1")
    assert signed_in(dora).get(room(AbuseCase).url_of(case)).status_code == 404
    page = signed_in(lena).get(room(AbuseCase).url_of(case)).content.decode()
    assert "Not reported yet" in page
    with pytest.raises(NotActionable, match="goes to anybody"):
        complain(case, lena)


def test_another_kind_of_case_is_not_reported_there(alice: User, lena: User):
    other = make_case(alice)
    with pytest.raises(NotActionable, match="about something else"):
        judging.report_to_tipline(other.pk, by=lena, number="CT-1")

    def report() -> None:
        from accounts.keys.keyring import keyring  # noqa: PLC0415

        with keyring():
            TiplineReport.objects.create(case=other, number="x", reported_by=lena.pk, reported_at=timezone.now())

    refused(report, "none that is reported there")


def test_a_report_stays(case: AbuseCase, lena: User):
    row = judging.report_to_tipline(case.pk, by=lena, number="CT-1")
    refused(lambda: TiplineReport.objects.filter(pk=row.pk).update(reported_at=timezone.now() - DAY))
    refused(lambda: TiplineReport.objects.filter(pk=row.pk)._raw_delete("default"))
    assert not LedgerEntry.objects.filter(subject=case.pk, actor=SYSTEM, action="legal.case.tipline").exists()


def test_a_report_of_a_child_goes_into_no_case_that_others_read(alice: User, dora: User):
    """A reporter may use one case number for everything: its report would lie where every colleague can open it."""
    sender = Party(email="desk@hotline.example")
    whole = Report(Format.XARF, Kind.OTHER, reporter=sender, case_ids=("17",), text="Look.", content_hash="one")
    [first] = reporting.take_in(b"one", channel="mail", report=whole)
    child = replace(whole, kind=Kind.CSAM, content_hash="two")
    [second] = reporting.take_in(b"two", channel="mail", report=child)
    assert second.case != first.case and second.case.kind == CaseKind.CSAM
    assert not judging.visible(dora, AbuseCase.objects.filter(pk=second.case.pk)).exists()
    # Control: what comes later of either kind goes where it belongs.
    for number, (kind, case) in enumerate([(Kind.CSAM, second.case), (Kind.OTHER, first.case)]):
        later = replace(whole, kind=kind, content_hash=f"later {number}")
        [taken] = reporting.take_in(str(number).encode(), channel="mail", report=later)
        assert taken.case == case
