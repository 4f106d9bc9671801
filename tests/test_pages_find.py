"""Following a deletion by reference and code: to read only, alike for every wrong pair, and limited."""

from __future__ import annotations

import datetime as dt
import statistics
import time

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import Account, Session, State, User
from accounts.safeguards.calendar import add_months
from retention import cancelling, closing, following
from retention.models import DeletionRequest
from tests.cast import owe
from tests.visiting import cancel_of, find_in, signed_in, sql, status_of, text, words

pytestmark = pytest.mark.usefixtures("committed")

DAY = dt.timedelta(days=1)
WRONG = "0000-0000-0000-0000-0000"
UNKNOWN = "DEL-2222-2222"


@pytest.fixture
def closed(alice: User) -> closing.Closed:
    return closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - DAY)


def test_a_right_pair_opens_the_status_to_read_only(closed):
    visitor = Client()

    answer = find_in(visitor, closed.request.reference, closed.code)

    assert (answer.status_code, answer["Location"]) == (302, status_of(closed.request))
    page = visitor.get(answer["Location"])
    shown = words(page)
    assert "Waiting period: 29 days left" in shown
    assert "Sign in to cancel" in shown
    assert "messages about this request" not in shown
    assert f'href="/sign-in/?next=%2Fdelete%2F{closed.request.reference}%2Fcancel%2F"' in page.content.decode()
    # To read only: cancelling asks for sign-in.
    assert visitor.post(cancel_of(closed.request))["Location"].startswith("/sign-in/")
    assert Account.objects.get().state == State.CLOSED


@pytest.mark.parametrize("typed", ["{0}", " {0} ", "{1}", "{2}"])
def test_reference_and_code_may_be_typed_loosely(closed, typed):
    reference, code = closed.request.reference, closed.code
    loose = [typed.format(value, value.lower(), value.replace("-", " ")) for value in (reference, code)]

    assert find_in(Client(), *loose).status_code == 302


def test_the_code_is_in_no_address_and_no_session_in_clear(closed):
    visitor = Client()
    answer = find_in(visitor, closed.request.reference, closed.code, follow=True)

    assert closed.code not in str(answer.redirect_chain)
    assert closed.code not in str(dict(visitor.session.items()))
    assert closed.code not in answer.content.decode()


def test_unknown_reference_wrong_code_and_mistyped_read_alike(closed):
    wrong = find_in(Client(), closed.request.reference, WRONG)
    unknown = find_in(Client(), UNKNOWN, closed.code)
    mistyped = find_in(Client(), "what", "ever")

    pages = [text(answer) for answer in (wrong, unknown, mistyped)]
    # What was typed stands in the form again.
    typed = [
        (closed.request.reference, WRONG),
        (UNKNOWN, closed.code),
        ("what", "ever"),
    ]
    bare = []
    for page, (reference, code) in zip(pages, typed, strict=True):
        page = page.replace("DEL-REFERENCE", "R").replace(f'value="{reference}"', 'value="R"')
        bare.append(page.replace(f'value="{code}"', 'value="C"'))
    assert bare[0] == bare[1] == bare[2]
    assert [answer.status_code for answer in (wrong, unknown, mistyped)] == [200, 200, 200]
    assert "This reference and this code do not match." in words(wrong)
    assert [set(answer.cookies) for answer in (wrong, unknown)] == [set(wrong.cookies)] * 2
    assert not Session.objects.exists()
    # Negative control: the right pair reads otherwise.
    assert find_in(Client(), closed.request.reference, closed.code).status_code == 302


def test_unknown_and_wrong_cost_the_same_statements_and_about_the_same_time(closed):
    took: dict[str, list[float]] = {"wrong": [], "unknown": []}
    asked: dict[str, list[str]] = {}
    for number in range(40):
        for kind, reference in (("wrong", closed.request.reference), ("unknown", f"DEL-2222-{number:04}")):
            with sql() as asked[kind]:
                began = time.perf_counter()
                following.find(reference, WRONG)
                took[kind].append(time.perf_counter() - began)

    assert len(asked["wrong"]) == len(asked["unknown"]) == 1
    medians = {kind: statistics.median(times) for kind, times in took.items()}
    assert abs(medians["wrong"] - medians["unknown"]) < 0.002


def test_a_reference_is_tried_ten_times_at_most_whoever_asks(closed):
    for number in range(10):
        assert find_in(Client(REMOTE_ADDR=f"203.0.113.{number}"), closed.request.reference, WRONG).status_code == 200

    late = find_in(Client(REMOTE_ADDR="203.0.113.99"), closed.request.reference, closed.code)
    assert late.status_code == 429
    assert "You tried too often" in words(late)
    # An unknown reference is limited alike, and another one is not.
    codes = [find_in(Client(), UNKNOWN, WRONG).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]


def test_one_address_is_limited_over_all_references(closed):
    answers = [find_in(Client(), f"DEL-2222-{number:04}", WRONG).status_code for number in range(31)]

    assert answers == [200] * 30 + [429]


def test_one_browser_reads_for_an_hour_and_another_never(closed):
    visitor = Client()
    find_in(visitor, closed.request.reference, closed.code)

    assert visitor.get(status_of(closed.request)).status_code == 200
    assert Client().get(status_of(closed.request)).status_code == 302
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=61), tick=False):
        assert visitor.get(status_of(closed.request)).status_code == 302


def test_somebody_else_who_is_signed_in_may_follow_by_code(closed, bob):
    visitor = signed_in(bob)
    assert visitor.get(status_of(closed.request)).status_code == 404

    page = find_in(visitor, closed.request.reference, closed.code, follow=True)

    shown = words(page)
    assert "Waiting period: 29 days left" in shown
    assert "Keep my account" not in shown
    assert "Sign in to cancel" not in shown


def test_the_code_ends_24_months_after_the_request(closed, alice):
    request = cancelling.cancel(closed.request.pk, by=alice)
    end = add_months(request.cancelled_at, 24)

    assert following.find(request.reference, closed.code, at=end - DAY) == request
    assert following.find(request.reference, closed.code, at=end) is None
    # What has not ended stays open.
    DeletionRequest.objects.update(cancelled_at=None)
    assert following.find(request.reference, closed.code, at=end) == request


def test_by_code_there_are_no_links_to_pages_that_need_sign_in(alice):
    owe(alice)
    closed = closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - DAY)

    page = find_in(Client(), closed.request.reference, closed.code, follow=True)

    assert "is unpaid" in words(page)
    assert "/pay/" not in page.content.decode()
    assert "Contact the support team to settle this" in words(page)


def test_nul_and_length_are_no_error(closed):
    assert find_in(Client(), "DEL\x00", "\x00").status_code == 200
    assert find_in(Client(), "x" * 5_000, "y" * 5_000).status_code == 200
    assert Client().get("/delete/" + "A" * 5_000 + "/").status_code == 302
