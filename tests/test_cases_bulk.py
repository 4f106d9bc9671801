"""Several cases at once, for storms: each by the act of one, and each named with what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from disclosures import concluding, judging
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


def test_a_case_of_children_is_not_reached_by_selecting_it(dora: User):
    [case] = cases(1)
    judging.change_kind(case.pk, CaseKind.CSAM, by=dora)

    shown = words(assign(signed_in(dora), [case]))

    assert case.reference not in shown and AbuseCase.objects.get().assigned_to is None


def test_who_only_reads_cases_assigns_none():
    [case] = cases(1)

    assign(signed_in(make_staff("tess", "auditor")), [case])

    assert AbuseCase.objects.get().assigned_to is None
