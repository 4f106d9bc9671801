"""Where an edit and the purge wait for each other, the server ends one of them; the purge goes on by itself.

An edit that touched a row of its own before it needs the account's lock can meet the purge crosswise. Steps are forced
here, so that it happens every time.
"""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from django.db import Error, transaction

from accounts.models import Contact, User
from retention import placing, purge
from retention.models import Erasure, Stage
from retention.refusals import DEADLOCK, code_of
from tests.crowd import make_crowd, rows_left
from tests.servers import Connection, connect
from tests.stepping import Stepped, interleave

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.race]

EDIT = (r'UPDATE "accounts_contact"',)
PURGE = (r"LEFT JOIN retention_hold", r"WITH d0 AS")


def with_user(account: UUID) -> User:
    user: User = User.objects.create(account_id=account, is_owner=True, password="!", created_at="2026-01-01T00:00Z")
    return user


def edit(user: User) -> str:
    """Save the user, then change a contact: the first locks a row, the second asks for the account."""
    try:
        with transaction.atomic():
            user.save(update_fields=["is_active"])
            Contact.objects.filter(account_id=user.account_id).update(role=Contact.Role.BILLING)
        return "edited"
    except Error as error:
        return code_of(error)


def ring(account: UUID) -> str:
    """A round of the purge for one account, which tries again what passes."""
    tally = purge.ring(only=[account])
    return f"{tally.accounts} erased, {tally.failed} failed{tally.stopped}"


@pytest.mark.parametrize("order", [(0, 1, 1, 1, 0, 1, 0), (1, 1, 0, 1, 0, 0, 1), (0, 1, 1, 0, 1, 0, 1)])
def test_a_crosswise_wait_ends_and_the_purge_is_tried_again(owner: Connection, order: tuple[int, ...]) -> None:
    # The trigger of the row's own category locks nothing; the contact's asks for the account.
    [account] = make_crowd(1)
    user = with_user(account)
    began = time.monotonic()
    with connect() as watch:
        edited, rung = interleave(
            Stepped(lambda: edit(user), EDIT), Stepped(lambda: ring(account), PURGE), order, watch
        )
    assert time.monotonic() - began < 10
    # Edited before the rows went, a victim of the deadlock, or too late and without rows: never a half of each.
    assert edited in {"edited", DEADLOCK}
    assert rung in {"1 erased, 0 failed", "0 erased, 0 failed"}
    purge.ring(only=[account])
    assert not Erasure.objects.filter(account_id=account, state=Stage.DUE).exists()
    assert rows_left([account]) == {}


def test_the_deadlock_is_real(owner: Connection) -> None:
    """Control: without its second try the purge, or else the edit, is what the server ended."""
    seen = set()
    for account in make_crowd(3):
        user = with_user(account)

        def once(account: UUID = account) -> str:
            try:
                return f"{purge.erase([account]).accounts} erased"
            except Error as error:
                return code_of(error)

        one = Stepped(lambda user=user: edit(user), EDIT)  # type: ignore[misc]
        with connect() as watch:
            seen.update(interleave(one, Stepped(once, PURGE), (0, 1, 1, 1, 0, 1, 0), watch))
    assert DEADLOCK in seen


def test_a_hold_placed_beside_an_edit_of_the_same_account_waits_and_is_placed(owner: Connection) -> None:
    [account] = make_crowd(1)
    user = with_user(account)

    def place() -> str:
        return "placed" if placing.place(account, "legal", by="system") else ""

    with connect() as watch:
        order = (0, 0, 1, 1, 0, 1)
        edited, placed = interleave(
            Stepped(lambda: edit(user), EDIT), Stepped(place, (r'INSERT INTO "retention_hold"',)), order, watch
        )
    assert (edited, placed) == ("edited", "placed")
