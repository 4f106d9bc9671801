"""Privacy requests of people with a sign-in: one request however often it is sent, its clocks, its ends, its mails."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from django.utils import timezone

from accounts import restricting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Correspondence, Restriction, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from retention import (
    closing,
    conversing,
    deciding,
    extending,
    outward,
    placing,
    purge,
    request_clocks,
    requesting,
    telling,
)
from retention.models import Hold, PrivacyRequest, RequestMessage
from retention.models.privacy import FINAL, Status
from retention.requesting import Wish
from tests.cast import DAY, ask_something, make_staff
from tests.pairing import relay

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def officer() -> User:
    return make_staff("olga", "privacy_officer")


def ask(user: User, right: str = "rectification", submission: Any = None, **given: Any) -> PrivacyRequest:
    wish = Wish(right, **{"details": "My name is spelled wrong.", **given})
    assert user.account_id is not None
    return requesting.ask(user.account_id, wish, by=user, submission=submission or uuid4())


# ------------------------------------------------------------------------------------------------------- one request


def test_the_same_form_sent_three_times_is_one_request_and_one_mail(alice: User) -> None:
    form = uuid4()

    made = {ask(alice, submission=form).pk for _ in range(3)}

    assert len(made) == PrivacyRequest.objects.count() == 1
    assert OutboxMessage.objects.filter(event__startswith="request:").count() == 1


def test_the_same_words_from_three_forms_are_one_request_while_it_runs(alice: User) -> None:
    made = [ask(alice) for _ in range(3)]

    assert len({request.pk for request in made}) == 1
    # Negative control: other words, another right, and the same words once it ended, are new requests.
    ask(alice, details="Something else")
    ask(alice, right="complaint")
    deciding.withdraw(made[0].pk, by=alice)
    assert ask(alice).pk != made[0].pk
    assert PrivacyRequest.objects.count() == 4


def test_the_same_form_with_another_body_is_refused(alice: User, bob: User) -> None:
    form = uuid4()
    ask(alice, submission=form)

    with pytest.raises(NotActionable, match="used already"):
        ask(alice, submission=form, details="Another body")
    with pytest.raises(NotActionable, match="used already"):
        ask(bob, submission=form)
    assert PrivacyRequest.objects.count() == 1


def test_twenty_identical_forms_at_once_are_one_request(alice: User) -> None:
    def send(_: int) -> Any:
        try:
            return ask(alice).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(send, range(20)))

    assert len(made) == PrivacyRequest.objects.count() == 1


def test_a_signed_in_customer_is_verified_and_told_at_once(alice: User) -> None:
    request = ask(alice)

    assert (request.status, request.verified_by) == (Status.IN_PROGRESS, alice.actor)
    assert request.confirmed_at is not None and request.confirmed_at < request.confirm_by
    relay()
    (sent,) = [letter for letter in mail.outbox if request.reference in letter.subject]
    assert "My name is spelled wrong" not in sent.body
    assert sent.subject in {copy.subject for copy in Correspondence.objects.filter(account=alice.account_id)}


def test_what_cannot_be_asked_for(alice: User, bob: User) -> None:
    assert alice.account_id is not None
    with pytest.raises(NotActionable, match="Delete your account"):
        ask(alice, right="deletion")
    with pytest.raises(ValidationError, match="card number"):
        ask(alice, details="4242 4242 4242 4242")
    with pytest.raises(PermissionDenied):
        requesting.ask(alice.account_id, Wish("access"), by=bob, submission=uuid7())
    with pytest.raises(NotActionable, match="at least one use"):
        ask(alice, right="objection")
    for purpose in restricting.NEVER:
        with pytest.raises(NotActionable, match="cannot be stopped"):
            ask(alice, right="objection", purposes=(purpose.value,))
    closing.close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="closed"):
        ask(alice)
    assert not PrivacyRequest.objects.exists()


# ------------------------------------------------------------------------------------------------------------- clocks


@pytest.mark.parametrize(
    ("right", "regime", "expected", "extended"),
    [
        ("access", "ccpa", "2027-01-07 10:30", "2027-02-21 10:30"),
        ("access", "voluntary", "2027-01-07 10:30", "2027-02-21 10:30"),
        ("access", "gdpr", "2026-12-23 10:30", "2027-02-23 10:30"),
        # Fifteen business days, over Thanksgiving.
        ("opt_out", "ccpa", "2026-12-15 10:30", ""),
    ],
)
def test_the_clock_follows_the_law(right: str, regime: str, expected: str, extended: str) -> None:
    at = local("2026-11-23 10:30")

    due = request_clocks.expected_by(right, regime, at)

    assert due == local(expected)
    # Ten business days, over Thanksgiving (26 November).
    assert request_clocks.confirm_by(at) == local("2026-12-08 10:30")
    if extended:
        assert request_clocks.extended(regime, due) == local(extended)


def test_a_month_ends_with_its_last_day() -> None:
    assert request_clocks.expected_by("access", "gdpr", local("2027-01-31 09:00")) == local("2027-02-28 09:00")


def local(text: str) -> dt.datetime:
    return timezone.make_aware(dt.datetime.fromisoformat(text))


def test_more_time_is_taken_once_with_a_reason_that_is_told(alice: User, officer: User) -> None:
    request = ask(alice)
    was = request.expected_by
    with pytest.raises(ValidationError):
        extending.extend(request.pk, by=officer, reason="  ")

    extended = extending.extend(request.pk, by=officer, reason="We wait for an archive.")

    assert extended.expected_by - was == 45 * DAY
    relay()
    letter = mail.outbox[-1]
    assert letter.subject.startswith("We need until ") and request.reference in letter.subject
    assert "archive" not in letter.body
    with pytest.raises(NotActionable, match="once"):
        extending.extend(request.pk, by=officer, reason="Once more.")


def test_no_time_is_taken_after_it_is_over_nor_for_an_opt_out(alice: User, officer: User) -> None:
    request = ask(alice)
    late = request.expected_by + DAY
    with pytest.raises(NotActionable, match="overdue"):
        extending.extend(request.pk, by=officer, reason="Late.", at=late)
    with pytest.raises(PermissionDenied):
        extending.extend(request.pk, by=make_staff("sue", "support"), reason="Not mine.")


# --------------------------------------------------------------------------------------------------------------- ends


def test_a_denial_has_a_reason_an_explanation_and_says_how_to_complain(alice: User, officer: User) -> None:
    request = ask(alice)
    for reason, answer in (("", "No."), ("legal_hold", "No."), ("payment_dispute", "No."), ("no_match", " ")):
        with pytest.raises(ValidationError):
            deciding.deny(request.pk, by=officer, reason=reason, answer=answer)

    denied = deciding.deny(request.pk, by=officer, reason="claim_not_covered", answer="Your name is right.")

    assert (denied.status, denied.reason, denied.decision) == ("denied", "claim_not_covered", "Your name is right.")
    relay()
    letter = mail.outbox[-1]
    assert "appeal" in letter.body and "complain" in letter.body and "court" in letter.body
    assert "Your name is right" not in letter.body


def test_what_has_ended_stays_as_it_ended(alice: User, officer: User) -> None:
    request = ask(alice)
    deciding.withdraw(request.pk, by=alice)

    # The withdrawn request is not carried out.
    for attempt in (
        lambda: deciding.fulfil(request.pk, by=officer, answer="Done."),
        lambda: deciding.deny(request.pk, by=officer, reason="other", answer="No."),
        lambda: extending.extend(request.pk, by=officer, reason="More."),
        lambda: conversing.write(request.pk, by=officer, body="Hello?"),
    ):
        with pytest.raises(NotActionable):
            attempt()
    assert deciding.withdraw(request.pk, by=alice).status == Status.REVOKED
    assert LedgerEntry.objects.filter(action="request.revoked").count() == 1


def test_a_withdrawn_objection_stops_nothing(alice: User, officer: User) -> None:
    request = ask(alice, right="objection", purposes=("fraud",))
    deciding.withdraw(request.pk, by=alice)

    with pytest.raises(NotActionable):
        deciding.fulfil(request.pk, by=officer, answer="Done.")
    assert not Restriction.objects.exists()


def test_of_four_approvals_at_once_one_counts(alice: User, officer: User) -> None:
    request = ask(alice, right="restriction", purposes=("fraud",))

    outcomes = together([lambda: deciding.fulfil(request.pk, by=officer, answer="Done.")] * 4)

    assert sorted(outcomes) == ["done", "refused", "refused", "refused"]
    assert LedgerEntry.objects.filter(action="request.fulfilled").count() == 1
    assert Restriction.objects.count() == 1


def test_of_an_approval_and_a_denial_at_once_one_counts_and_only_that_is_carried_out(
    alice: User, officer: User
) -> None:
    for number in range(6):
        request = ask(alice, right="restriction", purposes=("fraud",), details=f"round {number}")
        together(
            [
                lambda pk=request.pk: deciding.fulfil(pk, by=officer, answer="Done."),
                lambda pk=request.pk: deciding.deny(pk, by=officer, reason="other", answer="No."),
            ]
        )
        request.refresh_from_db()
        stopped = restricting.is_restricted(request.account_id, Purpose.FRAUD)
        assert stopped is (request.status == Status.FULFILLED)
        ends = LedgerEntry.objects.filter(action__in=("request.fulfilled", "request.denied"), body__contains=request.pk)
        assert ends.count() == 1
        restricting.lift(request.account_id, Purpose.FRAUD, by=alice.actor)


def together(acts: list[Any]) -> list[str]:
    def run(act: Any) -> str:
        try:
            act()
            return "done"
        except NotActionable:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_who_may_decide(alice: User, bob: User, rita: User, sam: User) -> None:
    request = ask(alice)
    for by in (alice, bob, rita, sam):
        with pytest.raises(PermissionDenied):
            deciding.fulfil(request.pk, by=by, answer="Done.")
        with pytest.raises(PermissionDenied):
            deciding.deny(request.pk, by=by, reason="other", answer="No.")
    for by in (bob, rita):
        with pytest.raises(PermissionDenied):
            deciding.withdraw(request.pk, by=by)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE retention_privacyrequest SET status = 'fulfilled'",
        "UPDATE retention_privacyrequest SET status = 'denied', decided_at = now(), decided_by = 'x', reason = ''",
        "UPDATE retention_privacyrequest SET \"right\" = 'deletion'",
        "UPDATE retention_privacyrequest SET account_id = NULL",
        "UPDATE retention_privacyrequest SET cleaned_at = now()",
        "DELETE FROM retention_privacyrequest",
        "DELETE FROM retention_requestmessage",
        "UPDATE retention_requestmessage SET is_internal = false",
    ],
)
def test_sql_cannot_take_what_no_act_takes(alice: User, officer: User, runtime: Any, sql: str) -> None:
    request = ask(alice)
    conversing.note(request.pk, by=officer, body="Internal.")

    with pytest.raises(Exception, match=r"(?s)privacy|message|violates"):
        runtime.execute(sql)


# ----------------------------------------------------------------------------------------------------------- messages


def test_a_message_sent_twice_is_written_once_and_notes_stay_inside(alice: User, bob: User, officer: User) -> None:
    request, form = ask(alice), uuid4()
    for _ in range(2):
        conversing.write(request.pk, by=alice, body="Any news?", submission=form)
    conversing.note(request.pk, by=officer, body="Looks right.")
    conversing.write(request.pk, by=officer, body="We look into it.")

    assert RequestMessage.objects.count() == 3
    with pytest.raises(PermissionDenied):
        conversing.write(request.pk, by=bob, body="Not mine.")
    with pytest.raises(PermissionDenied):
        conversing.note(request.pk, by=alice, body="Not for me.")
    with pytest.raises(ValidationError):
        conversing.write(request.pk, by=alice, body="4242424242424242")
    relay()
    told = [letter for letter in mail.outbox if "We wrote to you" in letter.subject]
    assert len(told) == 1 and "We look into it" not in told[0].body


def test_assignment_is_noted_once(alice: User, officer: User, sam: User) -> None:
    request = ask(alice)

    for _ in range(2):
        assert conversing.assign(request.pk, by=officer).assigned_to == officer.pk
    assert LedgerEntry.objects.filter(action="request.assigned").count() == 1
    with pytest.raises(PermissionDenied):
        conversing.assign(request.pk, by=sam)


# ------------------------------------------------------------------------------------------------------------ outward


def test_a_request_reads_outside_in_the_words_of_the_protocol(alice: User, officer: User) -> None:
    request = ask(alice)
    read = outward.outward(request)

    assert set(read) == {
        "request_id", "exercise", "regime", "submitted_time", "received_at", "expected_by", "expires_at",
        "processing_details", "status", "reason", "results_url",
    }  # fmt: skip
    assert (read["request_id"], read["exercise"], read["status"]) == (str(request.pk), "rectification", "in_progress")
    fulfilled = outward.outward(deciding.fulfil(request.pk, by=officer, answer="Done."))
    assert (fulfilled["status"], fulfilled["reason"]) == ("fulfilled", "")
    assert fulfilled["results_url"].endswith(f"/requests/{request.reference}/")
    assert set(FINAL) == {"fulfilled", "denied", "revoked", "expired"}


def test_a_deletion_that_an_untold_hold_stops_is_in_progress_without_a_reason(
    alice: User, bob: User, rita: User
) -> None:
    waiting = closing.close(bob.account_id, by=bob, submission=uuid7()).request
    placing.place(bob.account_id, Hold.Kind.LEGAL, by=rita.actor, matter="sealed")
    before = outward.outward(waiting)
    assert (before["status"], before["reason"]) == ("in_progress", "")

    due = closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY).request
    hold = placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor, matter="sealed")
    for minutes in (0, 5):
        purge.ring(timezone.now() + dt.timedelta(minutes=minutes))
    untold = outward.outward(due)
    assert (untold["status"], untold["reason"], untold["processing_details"]) == ("in_progress", "", "")
    # The control: the same hold, told.
    telling.tell(hold.pk, by=rita, how="letter")
    assert outward.outward(due)["reason"] == "legal_hold"


def test_asking_writes_no_word_into_the_ledger(alice: User) -> None:
    ask_something(alice)

    assert not LedgerEntry.objects.filter(body__icontains="Canary").exists()
