"""The same act twice at once, and acts that exclude each other: exactly one effect, and the other one is told why.

Each act runs in a thread with connections of its own; a barrier starts them together, several rounds each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.utils import timezone

from accounts import paying, supporting
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Invoice, Payment, State, Ticket, TicketMessage, User
from accounts.models.account import AccountQuerySet
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from retention import cancelling, closing, disputing, placing, purge, releasing, verifying
from retention.models import DeletionRequest, Dispute, Erasure, Hold, Stage
from tests.cast import DAY, furnish, make_customer, make_staff, owe
from tests.crowd import make_crowd, rows_left
from tests.servers import Connection

pytestmark = pytest.mark.usefixtures("committed")

ROUNDS = 3
Act = Callable[[], Any]


def together(*acts: Act) -> list[Any]:
    """Run the acts at once; return their results, or the errors by which they say no."""
    barrier = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(number: int) -> None:
        try:
            for alias in connections:
                connections[alias].ensure_connection()
            barrier.wait(20)
            results[number] = acts[number]()
        except (NotActionable, PermissionDenied) as refusal:
            results[number] = refusal
        except Exception as error:  # noqa: BLE001 - told apart from a refusal by the test
            results[number] = RuntimeError(f"{type(error).__name__}: {error}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    broken = [result for result in results if isinstance(result, RuntimeError)]
    assert not broken, broken
    return results


def refusals(results: list[Any]) -> list[NotActionable]:
    return [result for result in results if isinstance(result, NotActionable)]


def entries(action: str) -> int:
    return LedgerEntry.objects.filter(action=action).count()


def test_a_release_approved_twice_at_once_happens_once(rita: User, lex: User) -> None:
    third = make_staff("max", "legal")
    for number, account in enumerate(make_crowd(ROUNDS), start=1):
        hold = placing.place(account, "legal", by=rita.actor)
        releasing.ask(hold.pk, by=rita, reason="settled")
        results = together(
            lambda hold=hold: releasing.approve(hold.pk, by=lex), lambda hold=hold: releasing.approve(hold.pk, by=third)
        )
        assert len(refusals(results)) == 1
        assert entries("hold.released") == number
        hold.refresh_from_db()
        assert hold.released_by in {lex.actor, third.actor}


def test_a_release_asked_for_twice_at_once_is_asked_for_once(rita: User, lex: User) -> None:
    for number, account in enumerate(make_crowd(ROUNDS), start=1):
        hold = placing.place(account, "legal", by=rita.actor)
        results = together(
            lambda hold=hold: releasing.ask(hold.pk, by=rita, reason="settled"),
            lambda hold=hold: releasing.ask(hold.pk, by=lex, reason="settled too"),
        )
        assert len(refusals(results)) == 1
        assert entries("hold.release_asked") == number


def test_a_dispute_opened_twice_at_once_is_one_with_one_hold(rita: User) -> None:
    for number, account in enumerate(make_crowd(ROUNDS), start=1):

        def opened(account: Any = account, number: int = number) -> Dispute:
            return disputing.open_dispute(
                account, processor="trial", reference=f"dp_{number}", amount_cents=100, by="token:x"
            )

        results = together(opened, opened)
        assert len(refusals(results)) == 1
        assert (Dispute.objects.count(), Hold.objects.count(), entries("dispute.opened")) == (number, number, number)


def test_one_reference_disputed_for_two_accounts_at_once_is_one_dispute() -> None:
    accounts = make_crowd(2 * ROUNDS)
    for number in range(ROUNDS):

        def opened(which: int, number: int = number) -> Dispute:
            return disputing.open_dispute(
                accounts[2 * number + which],
                processor="trial",
                reference=f"dp_{number}",
                amount_cents=100,
                by="token:x",
            )

        results = together(lambda opened=opened: opened(0), lambda opened=opened: opened(1))
        assert len(refusals(results)) == 1
        assert Dispute.objects.count() == Hold.objects.count() == number + 1


def test_a_dispute_closed_twice_at_once_ends_once(rita: User) -> None:
    for number, account in enumerate(make_crowd(ROUNDS), start=1):
        dispute = disputing.open_dispute(
            account, processor="trial", reference=f"dp_{number}", amount_cents=100, by=rita.actor
        )
        results = together(
            lambda dispute=dispute: disputing.close_dispute(dispute.pk, outcome="won", by=rita.actor),
            lambda dispute=dispute: disputing.close_dispute(dispute.pk, outcome="lost", by=rita.actor),
        )
        assert len(refusals(results)) == 1
        assert entries("dispute.closed") == entries("hold.released") == number


def test_an_account_closed_twice_at_once_has_one_request_one_ticket_and_one_mail() -> None:
    for number in range(1, ROUNDS + 1):
        alice = furnish(make_customer(f"alice{number}"))
        submission = uuid7()

        def closed(alice: User = alice, submission: Any = submission) -> closing.Closed:
            return closing.close(alice.account_id, by=alice, submission=submission)

        first, second = together(closed, closed)
        # A double click gets the same request; only one of both carries the code.
        assert first.request.pk == second.request.pk
        assert sorted(bool(result.code) for result in (first, second)) == [False, True]
        assert DeletionRequest.objects.count() == entries("deletion.requested") == number
        assert Ticket.objects.filter(kind=Ticket.Kind.DELETION).count() == number
        assert (
            OutboxMessage.objects.filter(event__startswith="deletion:", event__endswith=":received").count() == number
        )


def test_two_forms_that_close_one_account_at_once_make_one_request() -> None:
    for number in range(1, ROUNDS + 1):
        alice = make_customer(f"alice{number}")

        def closed(alice: User = alice) -> closing.Closed:
            return closing.close(alice.account_id, by=alice, submission=uuid7())

        assert len(refusals(together(closed, closed))) == 1
        assert DeletionRequest.objects.count() == number


def test_a_request_cancelled_twice_at_once_is_cancelled_once() -> None:
    for number in range(1, ROUNDS + 1):
        alice = make_customer(f"alice{number}")
        request = closing.close(alice.account_id, by=alice, submission=uuid7()).request
        cancel = lambda alice=alice, request=request: cancelling.cancel(request.pk, by=alice)  # noqa: E731
        assert refusals(together(cancel, cancel)) == []
        assert entries("deletion.cancelled") == number
        assert OutboxMessage.objects.filter(event__endswith=":cancelled").count() == number


def test_control_without_the_accounts_lock_a_request_is_cancelled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = make_customer("alice")
    request = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    both_have_looked = threading.Barrier(2)

    def unlocked(self: AccountQuerySet, ids: Any, *, skip: bool = False) -> AccountQuerySet:
        return self.filter(pk__in=list(ids))

    def cancel() -> DeletionRequest:
        return cancelling.cancel(request.pk, by=alice)

    monkeypatch.setattr(AccountQuerySet, "locked", unlocked)
    original = DeletionRequest.refresh_from_db
    looked = threading.local()

    def look(self: DeletionRequest, *args: Any, **given: Any) -> None:
        original(self, *args, **given)
        if not getattr(looked, "once", False):
            looked.once = True
            both_have_looked.wait(10)

    monkeypatch.setattr(DeletionRequest, "refresh_from_db", look)
    together(cancel, cancel)
    assert entries("deletion.cancelled") == 2


def behind_one_lock(account_id: Any, watch: Connection, *acts: Act) -> list[Any]:
    """Run the acts at once, each past whatever it asks before the account's lock before any gets that."""
    waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"

    def let_go() -> None:
        with watch.transaction():
            watch.execute("SELECT 1 FROM accounts_account WHERE id = %s FOR UPDATE", [account_id])
            held.set()
            deadline = time.monotonic() + 20
            while watch.execute(waiting).fetchone() != (len(acts),) and time.monotonic() < deadline:
                time.sleep(0.02)

    def after_it(act: Act) -> Act:
        return lambda: held.wait(20) and act()

    held = threading.Event()
    return together(*map(after_it, acts), let_go)[:-1]


@pytest.mark.parametrize("way", ["message", "ticket"])
def test_a_form_sent_twice_at_once_makes_one_message_and_answers_alike(
    alice: User, owner: Connection, way: str
) -> None:
    assert alice.account is not None
    first = supporting.open_ticket(alice.account, by=alice, subject="A question", body="How?")
    submission = uuid7()

    def send() -> Any:
        if way == "message":
            return supporting.reply(first.pk, by=alice, body="Again?", submission=submission)
        return supporting.open_ticket(alice.account, by=alice, subject="New", body="x", submission=submission)

    one, other = behind_one_lock(alice.account_id, owner, send, send)
    assert one == other
    assert TicketMessage.objects.filter(pk=submission).count() == 1
    assert Ticket.objects.count() == (1 if way == "message" else 2)


def test_an_invoice_paid_twice_at_once_is_paid_once() -> None:
    for number in range(1, ROUNDS + 1):
        alice = make_customer(f"alice{number}")
        invoice = owe(alice)
        pay = lambda alice=alice, invoice=invoice: paying.pay(invoice.pk, by=alice)  # noqa: E731
        assert refusals(together(pay, pay, pay)) == []
        assert Payment.objects.filter(invoice=invoice).count() == 1
        assert entries("invoice.paid") == number


def test_at_the_due_moment_either_the_cancelling_or_the_purge_wins(owner: Connection) -> None:
    """The purge's clock is past the due date, the customer's is not: the lock decides, and nothing is half done."""
    seen = set()
    for number in range(2 * ROUNDS):
        alice = furnish(make_customer(f"alice{number}"))
        closed_at = timezone.now() - 31 * DAY
        request = closing.close(alice.account_id, by=alice, submission=uuid7(), at=closed_at).request
        before = rows_left([alice.account_id])
        just_before = request.due_at - DAY / 86_400
        cancelled, tally = together(
            lambda alice=alice, request=request, at=just_before: cancelling.cancel(request.pk, by=alice, at=at),
            lambda alice=alice: purge.erase([alice.account_id]),
        )
        account = Account.objects.get(pk=alice.account_id)
        left = rows_left([alice.account_id])
        if isinstance(cancelled, NotActionable):
            assert account.state == State.CLOSED
            assert (alice.account_id, "billing") not in left
            assert tally.accounts == 1
            seen.add("purged")
        else:
            assert isinstance(cancelled, DeletionRequest), cancelled
            assert account.state == State.ACTIVE
            assert {pair: left.get(pair) for pair in before if pair[1] != "correspondence"} == {
                pair: rows for pair, rows in before.items() if pair[1] != "correspondence"
            }
            assert not Erasure.objects.filter(account=account).exclude(state=Stage.CANCELLED).exists()
            seen.add("cancelled")
    assert seen


def test_two_purges_at_once_erase_once_and_write_one_entry_and_one_mail(owner: Connection) -> None:
    customers = [furnish(make_customer(f"alice{number}")) for number in range(ROUNDS)]
    for alice in customers:
        closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    ids = [alice.account_id for alice in customers]
    tallies = together(lambda: purge.ring(only=ids), lambda: purge.ring(only=ids), lambda: purge.ring(only=ids))
    assert sum(tally.failed for tally in tallies) == 0
    for account in ids:
        assert LedgerEntry.objects.filter(action="purge.erased", subject=account).count() == 1
        assert LedgerEntry.objects.filter(action="keys.destroyed", subject=account).count() == 1
    assert OutboxMessage.objects.filter(event__endswith=":done").count() == ROUNDS
    later = timezone.now() + DAY
    together(lambda: verifying.verify(later), lambda: verifying.verify(later))
    assert Account.objects.filter(pk__in=ids, state=State.ERASED).count() == ROUNDS
    assert entries("account.erased") == ROUNDS


def test_two_relays_at_once_send_each_mail_once(mailoutbox: list[Any]) -> None:
    for number in range(ROUNDS):
        alice = make_customer(f"alice{number}")
        closing.close(alice.account_id, by=alice, submission=uuid7())
    waiting = OutboxMessage.objects.filter(state="queued").count()
    results = together(outbox.relay, outbox.relay)
    assert sum(result["sent"] for result in results) == waiting
    assert len({mail.extra_headers.get("Message-ID") for mail in mailoutbox}) == len(mailoutbox) == waiting


def test_paying_and_the_purges_look_at_what_is_owed_do_not_cross() -> None:
    """Either the hold of the agreement is placed and falls at the next look, or it never comes to be."""
    for number in range(ROUNDS):
        alice = furnish(make_customer(f"alice{number}"))
        invoice = owe(alice)
        closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
        together(
            lambda alice=alice, invoice=invoice: paying.pay(invoice.pk, by=alice),
            lambda alice=alice: purge.erase([alice.account_id]),
        )
        assert Invoice.objects.get(pk=invoice.pk).state == Invoice.State.PAID
        # A hold that a round releases covers until that moment, so the next round goes on.
        purge.ring(only=[alice.account_id])
        purge.ring(only=[alice.account_id])
        assert not Hold.objects.unreleased().filter(account_id=alice.account_id).exists()
        assert Erasure.objects.filter(account_id=alice.account_id, state=Stage.DUE).exclude(kept_for="").exists()
        assert not Erasure.objects.filter(account_id=alice.account_id, state=Stage.DUE, kept_for="").exists()
