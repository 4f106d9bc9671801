"""Requests that ended are cleaned up however they ended: of a stranger no word, no file and no key is left."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.keys.models import KeyWrap
from accounts.models import Account, State, User
from accounts.safeguards.models import DestructionOrder, LedgerEntry, OutboxMessage
from retention import (
    asking,
    cleaning,
    closing,
    conversing,
    deciding,
    extending,
    placing,
    proving,
    purge,
    request_clocks,
    requesting,
)
from retention.models import Hold, PrivacyRequest, RequestMessage
from retention.models.privacy import OWN_KEY, Status
from retention.refusals import GOVERNED
from retention.requesting import Wish
from retention.tasks import sweep
from tests.cast import DAY, ask_something, furnish, make_customer, make_staff
from tests.pairing import relay
from tests.searching import dumps, found_in, in_redis, server_logs
from tests.servers import current_stage
from tests.test_canaries import boxes_in, opened_by_any_key
from tests.test_held_in_part import end_holds
from tests.test_requests_strangers import ask, code_in_mail, proved

pytestmark = pytest.mark.usefixtures("committed")

NAME = "quixotina"
WORDS = (NAME, f"{NAME}@{NAME}.example", "QX-70415", "permission-of-quixotina")


@pytest.fixture
def officer() -> User:
    return make_staff("olga", "privacy_officer")


def later(request: PrivacyRequest, *, days: int = 0) -> dt.datetime:
    """Return the moment at which a request's words go, or so many days after it."""
    request.refresh_from_db()
    assert request.decided_at is not None
    return request_clocks.cleaned_at(request.status, request.decided_at) + dt.timedelta(days=days, seconds=1)


def ended(how: str, officer: User) -> PrivacyRequest:
    """Return a request without an account that ended so."""
    if how == "expired":
        request = ask()
        deciding.expire(timezone.now() + 15 * DAY)
        return request
    request = proved(facts={"postcode": "60601", "account_number": "1"})
    if how == "revoked":
        return deciding.withdraw(request.pk, by=None)
    if how == "denied":
        return deciding.deny(request.pk, by=officer, reason="no_match", answer="We hold nothing.")
    proving.compare(request.pk, by=officer, matched=2)
    return deciding.fulfil(request.pk, by=officer, answer="Corrected.")


@pytest.mark.parametrize("how", ["fulfilled", "denied", "revoked", "expired"])
def test_however_it_ended_its_words_and_its_key_go(how: str, officer: User) -> None:
    request = ended(how, officer)
    request.refresh_from_db()
    assert request.status == how
    at = later(request)
    assert cleaning.clean(at - 2 * dt.timedelta(seconds=1)) == 0

    assert cleaning.clean(at) == 1
    request.refresh_from_db()
    with keyring():
        assert [name for name in cleaning.WORDS if getattr(request, name) is not None] == []
    assert request.cleaned_at == at and (request.status, request.reference) == (how, request.reference)
    assert KeyWrap.objects.filter(key__subject=request.pk, key__category=OWN_KEY).exists()
    purge.ring()
    assert not KeyWrap.objects.filter(key__subject=request.pk).exists()
    assert cleaning.clean(at) == 0


def test_the_record_itself_goes_after_the_months_the_law_asks(officer: User) -> None:
    request = ended("denied", officer)
    cleaning.clean(later(request))
    assert request.decided_at is not None
    end = request_clocks.deleted_at(request.decided_at)

    # Its key is still to be destroyed: the order needs the record.
    assert cleaning.clean(end + DAY) == 0
    purge.ring()
    assert cleaning.clean(end - DAY) == 0
    assert cleaning.clean(end + DAY) == 1
    assert not PrivacyRequest.objects.exists()


def test_an_unproved_request_expires_and_a_proved_one_does_not() -> None:
    stale, kept = ask(), proved(details="another")
    assert deciding.expire(timezone.now() + 13 * DAY) == 0

    assert deciding.expire(timezone.now() + 15 * DAY) == 1
    stale.refresh_from_db()
    kept.refresh_from_db()
    assert (stale.status, stale.decided_by, kept.status) == (Status.EXPIRED, "system", Status.OPEN)
    assert proving.enter(stale.reference, "AAAA-AAAA-AAAA-AAAA-AAAA") is None


def test_the_daily_task_does_both(monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask()
    long_ago = timezone.now() - 40 * DAY
    PrivacyRequest.objects.filter(pk=request.pk).update(code_ends_at=long_ago)
    monkeypatch.setattr(deciding, "schedule", Rushed())
    sweep()
    request.refresh_from_db()
    assert request.status == Status.EXPIRED


class Rushed:
    """A schedule in which nothing lasts."""

    def span(self, name: str) -> dt.timedelta:
        return dt.timedelta(0)


def test_a_message_of_staff_and_a_note_go_too(alice: User, officer: User) -> None:
    request = ask_something(alice)
    conversing.write(request.pk, by=alice, body="Mine")
    conversing.note(request.pk, by=officer, body="Theirs")
    extending.extend(request.pk, by=officer, reason="An archive.")
    deciding.withdraw(request.pk, by=alice)

    assert cleaning.clean(later(request)) == 1
    assert not RequestMessage.objects.exists()
    # The account's own key stays: its tickets are under it.
    assert not DestructionOrder.objects.filter(subject=request.pk).exists()


def test_a_hold_keeps_the_words_and_no_page_shows_them(alice: User, rita: User) -> None:
    request = ask_something(alice)
    deciding.withdraw(request.pk, by=alice)
    placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["support"], matter="sealed")
    at = later(request)

    assert cleaning.clean(at) == 0
    request.refresh_from_db()
    assert request.details is not None
    assert cleaning.is_past(request, at)
    # The control: a hold of something else keeps nothing of it.
    other = make_customer("otto")
    free = ask_something(other)
    deciding.withdraw(free.pk, by=other)
    placing.place(other.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["invoices"], matter="sealed")
    assert cleaning.clean(later(free)) == 1


def test_what_an_erased_account_asked_for_ends_with_it(officer: User) -> None:
    long_ago = timezone.now() - 3650 * DAY
    owner = furnish(make_customer("zora"), at=long_ago)
    running = ask_something(owner)
    conversing.write(running.pk, by=owner, body="Mine")
    done = ask_something(owner, "complaint")
    deciding.fulfil(done.pk, by=officer, answer="Sorry.")
    closing.close(owner.account_id, by=owner, submission=uuid7(), at=timezone.now() - 31 * DAY)
    for _ in range(3):
        purge.ring(timezone.now() + DAY)
    assert Account.objects.get(pk=owner.account_id).state == State.ERASED

    sweep()
    for request in (running, done):
        request.refresh_from_db()
        assert request.cleaned_at is not None and request.email_digest is None and request.details is None
    assert (running.status, done.status) == (Status.EXPIRED, Status.FULFILLED)
    assert not RequestMessage.objects.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE retention_privacyrequest SET cleaned_at = now()",
        "UPDATE retention_privacyrequest SET cleaned_at = now(), details = NULL, name = NULL, email = NULL",
    ],
)
def test_sql_cannot_call_clean_what_is_not(sql: str, officer: User, runtime: Any) -> None:
    ended("denied", officer)
    with pytest.raises(Exception, match="still holds words"):
        runtime.execute(sql)


def test_no_key_goes_before_the_cleaning_is_committed(officer: User) -> None:
    request = ended("denied", officer)
    from accounts.safeguards import shredding

    shredding.order({request.pk: [OWN_KEY]})
    purge.ring()

    assert KeyWrap.objects.filter(key__subject=request.pk).exists()


TAKES = {
    "messages": "DELETE FROM retention_requestmessage",
    "details": "UPDATE retention_privacyrequest SET details = NULL",
    "details by others": "UPDATE retention_privacyrequest SET details = decision",
    "decision": "UPDATE retention_privacyrequest SET decision = NULL",
    "what it was about": "UPDATE retention_privacyrequest SET categories = '{}'",
    "all of it": "WITH gone AS (DELETE FROM retention_requestmessage RETURNING 1) UPDATE retention_privacyrequest SET "
    "details = NULL, decision = NULL",
    "cleaned": "UPDATE retention_privacyrequest SET cleaned_at = now(), details = NULL, extension_reason = NULL, "
    "decision = NULL, code_digest = NULL",
}
CLEANED = {"cleaned"}


def answered(officer: User, owner: User) -> PrivacyRequest:
    """Return a request of an account with words in every field that one has, that was answered."""
    wish = Wish("rectification", details="The floor is wrong", categories=("contact",))
    request = requesting.ask(owner.account_id, wish, by=owner, submission=uuid7())
    conversing.write(request.pk, by=owner, body="The second floor, please")
    conversing.note(request.pk, by=officer, body="Look at the invoice")
    return deciding.fulfil(request.pk, by=officer, answer="Corrected.")


@pytest.mark.parametrize(
    "scope", [{}, {"categories": ["support"]}, {"period": "long ago"}], ids=["all", "some", "period"]
)
@pytest.mark.parametrize("sql", sorted(TAKES))
def test_sql_takes_no_word_of_a_request_that_is_held(
    sql: str, scope: dict[str, Any], alice: User, officer: User, owner: Any, runtime: Any
) -> None:
    answered(officer, alice)
    if sql in CLEANED:
        # The messages went before the hold came: what is left is words of the request itself.
        runtime.execute("DELETE FROM retention_requestmessage")
    if "period" in scope:
        scope = {"period": (timezone.now() - 900 * DAY, timezone.now() - 800 * DAY)}
    placing.place(alice.account_id, Hold.Kind.LEGAL, by="system", matter="m", **scope)
    before = runtime.execute("SELECT md5(t::text) FROM retention_privacyrequest t").fetchall()

    with pytest.raises(psycopg.Error, match="are governed and stay") as refused:
        runtime.execute(TAKES[sql])
    assert refused.value.sqlstate == GOVERNED
    assert runtime.execute("SELECT md5(t::text) FROM retention_privacyrequest t").fetchall() == before
    assert RequestMessage.objects.count() == (0 if sql in CLEANED else 2)
    # The control: the same once the hold has ended.
    end_holds(owner)
    assert runtime.execute(TAKES[sql]).rowcount >= 1


def test_a_hold_of_something_else_keeps_no_request(alice: User, officer: User, runtime: Any) -> None:
    answered(officer, alice)
    placing.place(alice.account_id, Hold.Kind.LEGAL, by="system", matter="m", categories=["invoices"])

    assert runtime.execute(TAKES["messages"]).rowcount == 2
    assert runtime.execute(TAKES["details"]).rowcount == 1


def test_sql_that_takes_words_waits_for_a_hold_that_is_being_placed(alice: User, officer: User, runtime: Any) -> None:
    answered(officer, alice)
    runtime.execute("SET lock_timeout = '300ms'")
    with transaction.atomic():
        Account.objects.locked([alice.account_id]).get()
        for sql in ("messages", "details"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                runtime.execute(TAKES[sql])

    assert RequestMessage.objects.count() == 2


def test_a_form_sent_again_long_afterwards_tells_nothing_of_a_hold(alice: User, bob: User, officer: User) -> None:
    made = {}
    for user in (alice, bob):
        wish = Wish("rectification", details="The floor is wrong", categories=("contact",))
        made[user.pk] = requesting.ask(user.account_id, wish, by=user, submission=uuid7())
        deciding.fulfil(made[user.pk].pk, by=officer, answer="Corrected.")
    placing.place(alice.account_id, Hold.Kind.LEGAL, by="system", matter="m")
    then = later(made[bob.pk], days=1)
    cleaning.clean(then)
    made[alice.pk].refresh_from_db()
    made[bob.pk].refresh_from_db()
    # One kept its words, the other did not: the pair is one.
    assert (made[alice.pk].cleaned_at is None, made[bob.pk].cleaned_at is None) == (True, False)

    for user in (alice, bob):
        other = Wish("complaint", details="Something else")
        again = requesting.ask(user.account_id, other, by=user, submission=made[user.pk].submission, at=then)
        assert again.pk == made[user.pk].pk
    # Control: before its time another wish under the same form is refused.
    with pytest.raises(NotActionable, match="used already"):
        requesting.ask(alice.account_id, other, by=alice, submission=made[alice.pk].submission)


def test_a_held_request_is_answered_and_assigned_as_any_other(alice: User, bob: User, officer: User) -> None:
    placing.place(alice.account_id, Hold.Kind.LEGAL, by="system", matter="m")
    ends = []
    for owner in (alice, bob):
        request = ask_something(owner)
        conversing.assign(request.pk, by=officer)
        conversing.write(request.pk, by=owner, body="Any news?")
        extending.extend(request.pk, by=officer, reason="An archive.")
        deciding.fulfil(request.pk, by=officer, answer="Corrected.")
        request.refresh_from_db()
        ends.append((request.status, request.assigned_to, request.decision, request.extension_reason))

    assert ends == [(Status.FULFILLED, officer.pk, "Corrected.", "An archive.")] * 2


# ------------------------------------------------------------------------------------------------------- the canary


def canary(officer: User) -> PrivacyRequest:
    """Return a request with canaries in every field, its upload included, that ended in a denial."""
    agent = asking.Agent(
        f"{NAME} agent", f"agent-{NAME}@{NAME}.example", f"permission-of-{NAME}.pdf", b"%PDF " + NAME.encode()
    )
    facts = {"postcode": "QX-70415", "service": f"www.{NAME}.example"}
    person = asking.Person(f"{NAME.title()} Canary", f"{NAME}@{NAME}.example", facts, agent)
    request = asking.ask(Wish("rectification", details=f"{NAME} asks"), person, submission=uuid7())
    proving.enter(request.reference, code_in_mail(request))
    conversing.write(request.pk, by=None, body=f"{NAME} writes")
    conversing.note(request.pk, by=officer, body=f"{NAME} noted")
    extending.extend(request.pk, by=officer, reason=f"{NAME} waits")
    return deciding.deny(request.pk, by=officer, reason="no_match", answer=f"Dear {NAME}")


def everywhere() -> list[str]:
    stage = current_stage()
    content = {**dumps(stage), **in_redis(stage), **server_logs(stage)}
    return [found for where, text in content.items() for found in found_in(text, WORDS, where)]


def test_somebody_without_an_account_is_nowhere_in_clear_before_and_nowhere_at_all_after(officer: User) -> None:
    request = canary(officer)
    assert everywhere() == []
    boxes = [box for row in (PrivacyRequest.objects.get(), *RequestMessage.objects.all()) for box in boxes_in(row)]
    assert len(boxes) >= 11
    assert len(opened_by_any_key(boxes)) == len(boxes)

    relay()
    assert cleaning.clean(later(request)) == 1
    purge.ring()

    assert opened_by_any_key(boxes) == []
    assert everywhere() == []
    assert not OutboxMessage.objects.filter(subject=request.pk).exclude(content=None).exists()
    assert not KeyWrap.objects.filter(key__category="mail").exists()
    assert not LedgerEntry.objects.filter(body__icontains=NAME).exists()
    letters = [letter for letter in mail.outbox if NAME in letter.subject + letter.body]
    assert letters == []


def test_a_planted_leak_of_the_canary_is_found(officer: User, owner: Any) -> None:
    """Negative control of the search."""
    canary(officer)
    owner.execute("UPDATE retention_privacyrequest SET verified_by = 'by quixotina', verified_at = now()")

    assert any(NAME in found for found in everywhere())
