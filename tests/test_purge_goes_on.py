"""The purge goes on: beside an account it cannot finish, through one too large for a transaction, past kept versions.

A hold placed halfway through a large account saves what is left, and says what is gone.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import AccessEvent, Account, State, User
from accounts.safeguards.models import OutboxMessage
from retention import closing, placing, purge, sweeping, verifying
from retention.models import Erasure, Stage
from tests.cast import DAY, furnish, make_customer
from tests.crowd import make_crowd, rows_left
from tests.servers import Connection
from tests.weakening import without_triggers

pytestmark = pytest.mark.usefixtures("committed")


def close_long_ago(user: User) -> None:
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 31 * DAY)


def test_an_address_that_does_not_open_stops_nobody(runtime: Connection) -> None:
    alice, bob = furnish(make_customer("alice")), furnish(make_customer("bob"))
    for user in (alice, bob):
        close_long_ago(user)
    runtime.execute("UPDATE accounts_contact SET email = '\\x00' WHERE account_id = %s", [alice.account_id])
    purge.ring()
    verifying.verify(timezone.now() + DAY)
    assert Account.objects.filter(state=State.ERASED).count() == 2
    # Control: whose address opens is told.
    assert OutboxMessage.objects.filter(event__endswith=":done").count() == 1


def test_a_hold_placed_halfway_through_a_large_account_saves_the_rest(owner: Connection, rita: User) -> None:
    [account] = make_crowd(1)
    at = timezone.now() - 40 * DAY
    AccessEvent.objects.bulk_create([AccessEvent(account_id=account, kind="sign_in", at=at) for _ in range(50)])
    done = purge.erase([account], chunk=20)
    assert done.rows == 20
    left = rows_left([account])
    hold = placing.place(account, "legal", by=rita.actor)
    gone = {category for (_, category), _ in left.items()} ^ {"contact", "billing", "access", "services", "support"}
    assert hold.already_gone == []
    assert "access" in hold.partly_gone and gone <= set(hold.partly_gone)
    for chunk in (20, None):
        assert purge.erase([account], chunk=chunk).rows == 0
    assert rows_left([account]) == left
    assert not Erasure.objects.filter(account_id=account, state=Stage.GONE).exclude(category="credentials").exists()


def test_chunks_and_the_last_whole_statement_erase_everything() -> None:
    [account] = make_crowd(1)
    at = timezone.now() - 40 * DAY
    AccessEvent.objects.bulk_create([AccessEvent(account_id=account, kind="sign_in", at=at) for _ in range(50)])
    for _ in range(4):
        purge.erase([account], chunk=20)
    purge.erase([account])
    assert rows_left([account]) == {}
    erasure = Erasure.objects.get(account_id=account, category="access")
    # Counted over all transactions.
    assert (erasure.state, erasure.counts) == (Stage.GONE, {"accounts_accessevent": 52})


def test_kept_versions_that_a_hold_still_covers_do_not_keep_others_from_being_swept(
    owner: Connection, runtime: Connection, rita: User
) -> None:
    held, released = make_crowd(2)
    for account in (held, released):
        placing.place(account, "legal", by=rita.actor)
        runtime.execute("UPDATE accounts_paymentmethod SET provider = 'x' WHERE account_id = %s", [account])
    without_triggers(owner, "z_guard_hold")
    owner.execute(
        "UPDATE retention_hold SET released_at = now(), released_by = 'x', covers_until = now() WHERE account_id = %s",
        [released],
    )
    # Two at a time: the two oldest are covered.
    swept = runtime.execute("SELECT sweep_kept_versions(2)").fetchone()
    assert swept == (2,)
    sweeping.sweep()
    left = owner.execute("SELECT DISTINCT account_id FROM retention_keptversion").fetchall()
    assert left == [(held,)]
