"""Half-yearly figures: only what may be reported, frozen, issued anew with the change marked (silence.md, S11)."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any
from uuid import uuid4

import pytest
import rfc8785
from django.db import Error, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from disclosures import concluding, transparency
from disclosures.models import CaseKind, Instrument, LegalRequest, TransparencyTable
from tests import abuse, legal
from tests.cast import DAY, make_customer, make_staff
from tests.visiting import words

pytestmark = pytest.mark.usefixtures("committed")
IN_MAY = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
IN_AUGUST = dt.datetime(2026, 8, 15, 12, tzinfo=dt.UTC)
FIRST_HALF = "2026-H1"


@pytest.fixture
def alice() -> User:
    return make_customer("alice")


def came_in_may(*users: User, **given: Any) -> LegalRequest:
    return legal.make_request(*(user.account for user in users), received_at=IN_MAY, **given)


def figures(name: str = Instrument.GRAND_JURY_SUBPOENA, at: dt.datetime | None = None) -> dict[str, int]:
    found: dict[str, int] = transparency.compute(FIRST_HALF, at or dt.datetime.now(dt.UTC))["requests"][name]
    return found


def end(request: LegalRequest, outcome: str) -> None:
    LegalRequest.objects.filter(pk=request.pk).update(
        closed_at=dt.datetime.now(dt.UTC), closed_by=uuid4(), outcome=outcome
    )


def test_a_request_that_was_told_is_counted(alice: User) -> None:
    request = came_in_may(alice)
    legal.tell(request, alice.account)

    assert figures() == {
        "requests": 1,
        "accounts_named": 1,
        "accounts_disclosed": 0,
        "in_full": 0,
        "in_part": 0,
        "nothing": 0,
        "open": 1,
        "notices": 1,
    }
    end(request, "rejected")
    assert (figures()["nothing"], figures()["open"]) == (1, 0)


def test_what_is_untold_is_not_counted(alice: User) -> None:
    silent = came_in_may(alice)
    order = legal.silence(silent)
    owed = came_in_may(alice)
    legal.owe_notice(owed, alice.account)
    came_in_may(alice, verified=False)
    end(silent, "fulfilled")

    assert figures()["requests"] == 0
    # Control: the order ends, and the request enters its half-year.
    type(order).objects.filter(pk=order.pk).update(lifted_at=dt.datetime.now(dt.UTC), lifted_by=uuid4())
    assert (figures()["requests"], figures()["in_full"]) == (1, 1)


def test_national_security_letters_are_given_in_a_band(alice: User) -> None:
    request = came_in_may(alice, instrument=Instrument.NATIONAL_SECURITY_LETTER)
    legal.tell(request, alice.account)

    found = transparency.compute(FIRST_HALF, dt.datetime.now(dt.UTC))
    assert found["national_security_letters"] == "0-499"
    assert Instrument.NATIONAL_SECURITY_LETTER not in found["requests"]


def test_it_is_frozen_and_issued_anew_when_it_changed(alice: User) -> None:
    silent = came_in_may(alice)
    order = legal.silence(silent)
    first = transparency.freeze(FIRST_HALF, by="system")
    assert transparency.freeze(FIRST_HALF, by="system").pk == first.pk
    with pytest.raises(Error), transaction.atomic():
        TransparencyTable.objects.filter(pk=first.pk).update(figures={})

    type(order).objects.filter(pk=order.pk).update(lifted_at=dt.datetime.now(dt.UTC), lifted_by=uuid4())
    legal.tell(silent, alice.account)
    second = transparency.freeze(FIRST_HALF, by="system")
    assert second.issue == 2
    assert LedgerEntry.objects.filter(action="transparency.issued").count() == 2
    [line] = [line for line in transparency.lines(second, "requests") if line.label == "grand jury subpoena"]
    assert line.before == {"requests": 0, "accounts_named": 0, "open": 0, "notices": 0}
    assert "1 (was 0)" in words(Client().get(reverse("disclosures:transparency")))


def test_a_half_year_that_runs_is_refused() -> None:
    now = dt.datetime.now(dt.UTC)
    for name, said in ((transparency.name_of(now), "has not ended"), ("2026-H3", "Name a half-year"), ("x", "Name a")):
        with pytest.raises(NotActionable, match=said):
            transparency.freeze(name, by="system")


def test_the_clock_issues_thirty_days_after_the_half_year(alice: User) -> None:
    request = came_in_may(alice)
    legal.tell(request, alice.account)
    assert transparency.issue_due(dt.datetime(2026, 7, 20, tzinfo=dt.UTC)) == 0
    assert transparency.issue_due(IN_AUGUST) == 1
    assert transparency.issue_due(IN_AUGUST + DAY) == 0


# ------------------------------------------------------------------------------------------------- the page


def test_the_page_reads_issued_tables_only(alice: User) -> None:
    legal.tell(came_in_may(alice), alice.account)
    transparency.freeze(FIRST_HALF, by="system")
    with CaptureQueriesContext(connection) as captured:
        page = Client().get(reverse("disclosures:transparency"))
    read = " ".join(query["sql"] for query in captured.captured_queries)
    assert "disclosures_transparencytable" in read
    for table in ("legalrequest", "legalnotice", "silence", "sought", "retention_hold", "disclosures_disclosure"):
        assert table not in read
    text = words(page)
    assert "January to June 2026" in text
    assert "National security letters: 0-499." in text
    assert page.content.count(b"<rect") == len(Instrument) - 1


def test_without_an_issue_the_page_says_so() -> None:
    assert "No half-year has been published yet." in words(Client().get(reverse("disclosures:transparency")))


def test_the_file_has_the_figures_of_the_newest_issue(alice: User) -> None:
    legal.tell(came_in_may(alice), alice.account)
    transparency.freeze(FIRST_HALF, by="system")
    answer = Client().get(reverse("disclosures:transparency_file", args=[FIRST_HALF]))
    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert any(line.endswith("requests,grand_jury_subpoena,requests,1") for line in lines)
    assert lines[-1].endswith("national_security_letter,band,0-499")
    assert Client().get(reverse("disclosures:transparency_file", args=["2020-H1"])).status_code == 404


def test_cases_of_abuse_are_counted_from_what_outlives_the_account(alice: User):
    dora = make_staff("dora", "abuse_desk")
    abuse.silent(alice, dora)
    abuse.told(alice, dora, CaseKind.SPAM)
    counter = abuse.sign_counter(alice, dora)
    concluding.close(counter.notice.case, "withdrawn", by=dora, reason="Withdrawn.")
    abuse.make_case(alice, CaseKind.CSAM)
    name = transparency.name_of(timezone.now())
    found = transparency.compute(name, timezone.now())["cases"]
    assert CaseKind.CSAM not in found
    assert found["dmca"] == {
        "cases": 2, "told": 2, "counter_notices": 1, "suspended": 1, "put_back": 0, "fell": 1, "contact_given": 0,
    }  # fmt: skip
    assert (found["spam"]["cases"], found["spam"]["told"], found["malware"]["cases"]) == (1, 1, 0)


def test_a_table_from_before_cases_were_counted_is_shown_without_them(client: Client):
    figures = transparency.compute("2025-H1", timezone.now())
    del figures["cases"]
    digest = hashlib.sha256(rfc8785.dumps(figures)).hexdigest()
    TransparencyTable.objects.create(
        half_year="2025-H1", issue=1, figures=figures, sha256=digest, frozen_by="system", frozen_at=timezone.now()
    )
    page = client.get("/transparency/").content.decode()
    assert "Requests of people about their own data" in page and "Reports of copyright and abuse" not in page
    assert client.get("/transparency/2025-H1.csv").status_code == 200
    transparency.freeze("2025-H1", by="system")
    assert "Reports of copyright and abuse" in client.get("/transparency/").content.decode()
