"""Files that show what a customer did about a notice: theirs, and the case's own copy (P18, P19; pages.md, 17)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from accounts.uploads import Upload
from disclosures import responding
from disclosures.models import AbuseNotice, CaseFile, NoticeFile
from retention import closing, placing, purge
from tests.abuse import told
from tests.cast import DAY, make_staff
from tests.files import pdf, png
from tests.test_guards_of_disclosures import refused
from tests.visiting import signed_in

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def notice(alice: User, dora: User) -> AbuseNotice:
    return told(alice, dora)


def send(visitor: Client, notice: AbuseNotice, *files: tuple[str, bytes], numbers: tuple[int, ...] = (1,)) -> Any:
    """Send the form "Say what you fixed" as a browser does."""
    items = [str(pk) for pk in notice.items.filter(number__in=numbers).values_list("pk", flat=True)]
    given = {"items": items, "done": "I removed it.", "attached": [SimpleUploadedFile(*one) for one in files]}
    return visitor.post(reverse("disclosures:abuse_fixed", args=[notice.reference]), given)


def keep(notice: AbuseNotice, by: User, name: str = "proof.png") -> tuple[NoticeFile, CaseFile]:
    """Let the customer fix the first place with one file; return both copies of it."""
    upload = Upload(name, "image/png", png())  # type: ignore[arg-type]
    responding.fix(notice.pk, {notice.items.get(number=1).pk: "I removed it."}, by=by, files=[upload])
    return NoticeFile.objects.get(notice=notice), CaseFile.objects.get(case=notice.case)


def test_a_customer_sends_files_and_gets_them_back(alice: User, notice: AbuseNotice):
    visitor = signed_in(alice)
    assert send(visitor, notice, ("before.pdf", pdf()), ("after.png", png())).status_code == 302
    page = visitor.get(reverse("disclosures:abuse_notice", args=[notice.reference])).content.decode()
    assert "before.pdf" in page and "after.png" in page
    row = NoticeFile.objects.get(media_type="image/png")
    given = visitor.get(reverse("disclosures:abuse_notice_file", args=[notice.reference, row.pk]))
    assert given.content == png() and given["Content-Disposition"] == 'attachment; filename="after.png"'
    copies = CaseFile.objects.filter(case=notice.case)
    assert {one.sha256 for one in copies} == {hashlib.sha256(one).hexdigest() for one in (pdf(), png())}
    fixed = LedgerEntry.objects.get(action="case.fixed")
    assert all(str(one.pk) in fixed.body for one in copies) and "png" not in fixed.body


@pytest.mark.parametrize("file", [("page.html", b"<html></html>"), ("empty.pdf", b""), ("wrong.pdf", png())])
def test_a_file_that_is_not_taken_keeps_the_words_and_records_nothing(
    alice: User, notice: AbuseNotice, file: tuple[str, bytes]
):
    answer = send(signed_in(alice), notice, file)
    assert answer.status_code == 422 and "I removed it." in answer.content.decode()
    assert not NoticeFile.objects.exists() and notice.items.get(number=1).fixed_at is None


def test_without_a_file_the_words_are_enough(alice: User, notice: AbuseNotice):
    assert send(signed_in(alice), notice, numbers=(1, 2)).status_code == 302
    notice.refresh_from_db()
    assert notice.remedied_at is not None and not CaseFile.objects.exists()


def test_other_people_get_no_file(alice: User, bob: User, notice: AbuseNotice):
    row, copy = keep(notice, alice)
    where = reverse("disclosures:abuse_notice_file", args=[notice.reference, row.pk])
    assert signed_in(bob).get(where).status_code == 404
    assert Client().get(where).status_code == 302
    desk = reverse("admin:disclosures_abusecase_file", args=[notice.case, copy.pk])
    assert signed_in(make_staff("sara", "support")).get(desk).status_code == 403
    # Nor by the address of another case.
    other = told(bob, make_staff("dina", "abuse_desk"))
    wrong = reverse("admin:disclosures_abusecase_file", args=[other.case, copy.pk])
    assert signed_in(make_staff("doro", "abuse_desk")).get(wrong).status_code == 404


def test_the_desk_reads_a_file_and_the_ledger_says_so(alice: User, dora: User, notice: AbuseNotice):
    _, copy = keep(notice, alice)
    desk = signed_in(dora)
    page = desk.get(reverse("admin:disclosures_abusecase_change", args=[notice.case])).content.decode()
    where = reverse("admin:disclosures_abusecase_file", args=[notice.case, copy.pk])
    assert where in page and "proof.png" in page
    assert desk.post(where).status_code in {403, 405}
    given = desk.get(where)
    assert given.content == png() and given["Content-Disposition"].startswith("attachment")
    opened = LedgerEntry.objects.get(action="case.opened_file")
    assert opened.actor == dora.actor and str(copy.pk) in opened.body


def test_the_cases_copy_outlives_the_account_and_the_accounts_goes_with_it(alice: User, notice: AbuseNotice):
    row, copy = keep(notice, alice)
    responding.acknowledge(notice.pk, by=alice)
    responding.fix(notice.pk, {notice.items.get(number=2).pk: "I removed it."}, by=alice)
    closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    purge.ring()
    assert not NoticeFile.objects.filter(pk=row.pk).exists()
    kept = CaseFile.objects.get(pk=copy.pk)
    assert bytes(kept.content) == png() and str(kept.name) == "proof.png"


def test_raw_sql_changes_and_takes_no_file(alice: User, bob: User, dora: User, notice: AbuseNotice):
    row, copy = keep(notice, alice)
    rows, copies = NoticeFile.objects.filter(pk=row.pk), CaseFile.objects.filter(pk=copy.pk)
    refused(lambda: rows.update(size=1), "stays as it was sent")
    refused(lambda: rows.update(sent_by=uuid7()), "stays as it was sent")
    refused(lambda: copies.update(size=1))
    refused(lambda: copies._raw_delete("default"))
    theirs = told(bob, dora)
    about = {"name": "x.png", "media_type": "image/png", "size": 1, "content": b"x"}
    about |= {"sent_at": row.sent_at, "sent_by": alice.pk}
    refused(lambda: NoticeFile.objects.create(account_id=alice.account_id, notice=theirs, **about), "open notice")
    placing.place(alice.account_id, "legal", by="system")
    refused(lambda: rows._raw_delete("default"))
