"""Several cases at once, for storms: each by the act of one, and each named with what came of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from disclosures import concluding, judging
from disclosures.admin import case_queue
from disclosures.models import AbuseCase, CaseKind, CaseOutcome
from tests.cast import make_staff
from tests.test_reporting import mail, take
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def cases(number: int) -> list[AbuseCase]:
    return [take(mail(f"The site of case {one} sends spam.", number=one)).case for one in range(number)]


def assign(client: Client, chosen: list[AbuseCase]) -> Any:
    fields = {"action": "assign_selected", "_selected_action": [str(case.pk) for case in chosen]}
    return client.post(reverse("admin:disclosures_abusecase_changelist"), fields, follow=True)


def test_several_cases_are_assigned_and_each_is_named(dora: User):
    first, second, ended = cases(3)
    concluding.close(ended.pk, CaseOutcome.DUPLICATE, by=dora, reason="the same")

    shown = words(assign(signed_in(dora), [first, second, ended]))

    assert f"Case {first.reference} is yours." in shown and f"Case {second.reference} is yours." in shown
    assert f"Case {ended.reference} has ended" in shown
    assert set(AbuseCase.objects.filter(assigned_to=dora.pk)) == {first, second}


def close(client: Client, chosen: list[AbuseCase], **given: str) -> Any:
    """Send the page that closes several; without more than the cases, open it."""
    fields = {"action": "close_selected", "_selected_action": [str(case.pk) for case in chosen]}
    return client.post(reverse("admin:disclosures_abusecase_changelist"), fields | given, follow=True)


def outcomes(chosen: list[AbuseCase]) -> list[str]:
    """Return how each case stands, in that order."""
    known = {case.pk: case.outcome for case in AbuseCase.objects.all()}
    return [known[case.pk] for case in chosen]


def test_several_cases_are_closed_for_one_reason_and_each_that_stays_says_why(dora: User):
    first, second, ended = several = cases(3)
    judging.decide_whom(first.pk, by=dora)
    concluding.close(ended.pk, CaseOutcome.DUPLICATE, by=dora, reason="the same")
    desk = signed_in(dora)

    asked = close(desk, several)
    assert all(case.reference in words(asked) for case in several) and "Close 3 cases" in words(asked)
    assert close(desk, several, outcome="no_action", reason=" ").status_code == 422
    assert "card number" in words(close(desk, several, outcome="no_action", reason="4111 1111 1111 1111"))
    assert outcomes(several) == ["", "", "duplicate"]

    shown = words(close(desk, several, outcome="no_action", reason="A storm of nothing."))

    assert outcomes(several) == ["no_action", "", "duplicate"]
    assert f"Closed: {first.reference}." in shown
    assert f"Not closed. Case {second.reference}: say first whom it concerns" in shown
    assert f"Not closed. Case {ended.reference} has ended" in shown


def test_only_the_cases_that_the_page_named_are_closed(dora: User, monkeypatch: pytest.MonkeyPatch):
    """Whoever chooses all of a long list is shown the first, and what comes meanwhile is not closed unseen."""
    monkeypatch.setattr(case_queue, "MOST_CLOSED", 2)
    several = cases(3)
    desk = signed_in(dora)

    page = close(desk, several, select_across="1").content.decode()
    named = re.findall(r'name="_selected_action" value="([^"]+)"', page)
    close(desk, [AbuseCase(pk=pk) for pk in named], outcome="duplicate", reason="the same")

    assert named == [str(case.pk) for case in several[:2]] and "select_across" not in page
    assert outcomes(several) == ["duplicate", "duplicate", ""]


def test_a_case_of_children_is_closed_only_by_who_may_see_it(dora: User):
    [case] = cases(1)
    judging.change_kind(case.pk, CaseKind.CSAM, by=dora)

    shown = words(close(signed_in(dora), [case], outcome="not_valid", reason="no"))
    assert case.reference not in shown and outcomes([case]) == [""]
    close(signed_in(make_staff("lena", "legal")), [case], outcome="not_valid", reason="no")
    assert outcomes([case]) == ["not_valid"]


def test_who_only_reads_closes_none():
    [case] = cases(1)

    close(signed_in(make_staff("tess", "auditor")), [case], outcome="not_valid", reason="no")

    assert outcomes([case]) == [""]


def test_a_case_of_children_is_not_reached_by_selecting_it(dora: User):
    [case] = cases(1)
    judging.change_kind(case.pk, CaseKind.CSAM, by=dora)

    shown = words(assign(signed_in(dora), [case]))

    assert case.reference not in shown and AbuseCase.objects.get().assigned_to is None


def test_who_only_reads_cases_assigns_none():
    [case] = cases(1)

    assign(signed_in(make_staff("tess", "auditor")), [case])

    assert AbuseCase.objects.get().assigned_to is None
