"""The page and the queue of abuse cases: all about one on one screen, in few queries, for whoever may see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import Account, User
from accounts.safeguards.models import LedgerEntry
from disclosures import concluding, countering, enforcing, judging, responding
from disclosures.models import AbuseCase, CaseOutcome
from tests.abuse import make_case, sign_counter, take_back, tell, told
from tests.cast import DAY, make_customer, make_staff, owe, run_service
from tests.test_reporting_speed import MOST_QUERIES
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


def room() -> Any:
    return admin.site.get_model_admin(AbuseCase)


def asked_for(visitor: Client, page: str) -> list[str]:
    """Return the statements of a page opened the second time: what the process learns once is not the page's."""
    visitor.get(page)
    with sql() as asked:
        assert visitor.get(page).status_code == 200
    return asked


def looks(account: Account | None) -> list[dict[str, Any]]:
    """Return the ledger's looks at an account, oldest first."""
    assert account is not None
    rows = LedgerEntry.objects.filter(action="viewed", subject=account.pk).order_by("at", "pk")
    return [json.loads(row.body) for row in rows]


def test_the_page_of_a_told_customer_keeps_to_its_budget(dora: User):
    """With all there can be: places, a counter-notice, a strike, another case, notes of colleagues, a retraction."""
    alice = make_customer("alice")
    owe(alice)
    sign_counter(alice, dora)
    counter = sign_counter(alice, dora, struck=True)
    colleagues = [make_staff("omar", "abuse_desk"), make_staff("lena", "legal")]
    for colleague in colleagues:
        judging.note(counter.notice.case, by=colleague, text="I looked at it.")
    take_back(case_of(counter.notice))
    page = room().url_of(AbuseCase(pk=counter.notice.case))

    for user in (dora, *colleagues):
        asked = asked_for(desk := signed_in(user), page)
        assert "Taken back by the reporter" in words(desk.get(page))
        print(f"{user.actor}: {len(asked)} queries")
        assert 3 < len(asked) <= MOST_QUERIES, asked


def test_the_page_says_who_the_customer_is_as_far_as_the_role_sees_it(dora: User):
    alice, lena = make_customer("alice"), make_staff("lena", "legal")
    owe(alice)
    other = run_service(alice)
    notice = told(alice, dora)
    page = room().url_of(AbuseCase(pk=notice.case))

    desk, legal = words(signed_in(dora).get(page)), words(signed_in(lena).get(page))

    assert all("Alice Canary" in shown and other.name in shown for shown in (desk, legal))
    assert "Still to pay" in legal and "Still to pay" not in desk
    assert "Strikes that count 0" in desk and "Open payment disputes 0" in legal and "disputes" not in desk


def test_a_look_at_the_customer_of_a_case_stands_with_the_account_and_names_no_case(dora: User):
    alice = make_customer("alice")
    case = make_case(alice)

    signed_in(dora).get(room().url_of(case))

    [look] = looks(alice.account)
    assert set(look["categories"]) == {"identity", "services"}
    assert (look["kind"], look["object"]) == ("accounts.account", str(alice.account_id))


def test_a_case_of_nobody_has_no_customer(dora: User):
    alice = make_customer("alice")
    case = make_case(alice)
    judging.decide_whom(case.pk, by=dora)

    shown = words(signed_in(dora).get(room().url_of(case)))

    assert "nobody decided yet whom it concerns" in shown and "Alice Canary" not in shown
    assert looks(alice.account) == []


def listed(visitor: Client, choice: str) -> set[str]:
    """Return the references of the cases that a choice of the filter shows."""
    shown = words(visitor.get(f"{room().list_url()}?customer={choice}"))
    return {case.reference for case in AbuseCase.objects.all() if case.reference in shown}


def case_of(notice: Any) -> AbuseCase:
    return AbuseCase.objects.get(pk=notice.case)


def test_the_queue_shows_who_gave_no_answer_for_a_day(dora: User):
    alice = make_customer("alice")
    running, lapsed, new = told(alice, dora, ago=2 * DAY), told(alice, dora, ago=20 * DAY), told(alice, dora)
    enforcing.watch()
    ended, asked_anew = told(alice, dora, "other", ago=3 * DAY), told(alice, dora, "other", ago=4 * DAY)
    concluding.close(ended.case, CaseOutcome.NO_ACTION, by=dora, reason="It is over.")
    undelivered = tell(make_case(alice), dora, delivered=False)
    places = list(asked_anew.items.all())
    responding.fix(asked_anew.pk, {item.pk: "Gone." for item in places}, by=alice)
    desk = signed_in(dora)
    silent = {case_of(running).reference, case_of(lapsed).reference}

    assert listed(desk, "silent") == silent
    enforcing.dispute(places[0].pk, by=dora, seen="It is still there.")
    assert listed(desk, "silent") == silent
    assert {case_of(one).reference for one in (new, undelivered)} <= listed(desk, "")
    few, all_of_them = (asked_for(desk, f"{room().list_url()}?customer={choice}") for choice in ("silent", ""))
    assert len(few) == len(all_of_them) <= MOST_QUERIES, "a query for each row"


def test_the_queue_shows_whose_counter_notice_is_pending(dora: User):
    alice = make_customer("alice")
    pending, stopped = sign_counter(alice, dora), sign_counter(alice, dora)
    told(alice, dora)
    countering.stop(stopped.pk, by=dora, court_action="A court, told today.")
    desk = signed_in(dora)

    assert listed(desk, "counter") == {case_of(pending.notice).reference}
    assert len(asked_for(desk, f"{room().list_url()}?customer=counter")) <= MOST_QUERIES
