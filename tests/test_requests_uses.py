"""Restriction and objection stop the uses they name, and no other; the table of uses says who looks and who grants."""

from __future__ import annotations

import pytest
from django.core import mail
from django.db import connection

from accounts import restricting
from accounts.datamap import Purpose
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Restriction, User
from accounts.restricting import NEVER, USES
from retention import deciding, requesting
from retention.models.privacy import Status
from retention.requesting import Wish
from tests.cast import make_staff
from tests.pairing import relay
from tests.visiting import sql

pytestmark = pytest.mark.usefixtures("committed")


def test_every_purpose_is_in_the_table_or_can_never_be_stopped() -> None:
    assert set(USES) | set(NEVER) == set(Purpose)
    assert not set(USES) & set(NEVER)
    # What may end a service is never granted without a person.
    assert not [use for use in USES.values() if use.is_automatic and use.may_end_services]


@pytest.mark.parametrize("purpose", USES)
@pytest.mark.parametrize("right", ["objection", "restriction"])
def test_a_fulfilled_request_stops_its_use_and_no_other(alice: User, bob: User, purpose: Purpose, right: str) -> None:
    wish = Wish(right, purposes=(purpose.value,))
    request = requesting.ask(alice.account_id, wish, by=alice, submission=uuid7())

    if USES[purpose].is_automatic:
        assert (request.status, request.decided_by) == (Status.FULFILLED, "system")
    else:
        # Nothing stops before staff decided: the customer might lose a service by it.
        assert not restricting.is_restricted(alice.account_id, purpose)
        deciding.fulfil(request.pk, by=make_staff("olga", "privacy_officer"), answer="Stopped.")

    assert {each for each in Purpose if restricting.is_restricted(alice.account_id, each)} == {purpose}
    assert not any(restricting.is_restricted(bob.account_id, each) for each in Purpose)
    placed = Restriction.objects.get()
    assert (placed.ground, placed.request) == (right, request.pk)

    assert restricting.lift(alice.account_id, purpose, by=alice.actor)
    assert not restricting.is_restricted(alice.account_id, purpose)
    assert not restricting.lift(alice.account_id, purpose, by=alice.actor)


def test_several_uses_of_which_one_needs_staff_wait_together(alice: User) -> None:
    request = requesting.ask(
        alice.account_id, Wish("objection", purposes=("layout", "services")), by=alice, submission=uuid7()
    )

    assert request.status == Status.IN_PROGRESS
    assert not Restriction.objects.exists()


def test_an_opt_out_is_granted_at_once_and_can_be_read_later(alice: User) -> None:
    request = requesting.ask(alice.account_id, Wish("opt_out"), by=alice, submission=uuid7())

    assert request.status == Status.FULFILLED
    placed = Restriction.objects.filter(ground=Restriction.Ground.OPT_OUT)
    assert {one.purpose for one in placed} == {Purpose.LAYOUT, Purpose.SHARING}
    relay()
    assert [letter.subject for letter in mail.outbox if request.reference in letter.subject] == [
        f"Your request {request.reference} is done"
    ]


def test_stopping_twice_is_one_stop(alice: User) -> None:
    for details in ("once", "twice"):
        requesting.ask(
            alice.account_id, Wish("objection", purposes=("layout",), details=details), by=alice, submission=uuid7()
        )

    assert Restriction.objects.count() == 1


def test_a_denied_objection_stops_nothing(alice: User) -> None:
    request = requesting.ask(alice.account_id, Wish("objection", purposes=("fraud",)), by=alice, submission=uuid7())

    deciding.deny(request.pk, by=make_staff("olga", "privacy_officer"), reason="other", answer="No.")

    assert not Restriction.objects.exists()


def test_asking_whether_a_use_is_stopped_is_one_query_or_none_of_its_own(alice: User, bob: User) -> None:
    restricting.place(alice.account_id, ["layout"], ground=Restriction.Ground.OBJECTION, by=alice.actor)
    with sql() as asked:
        assert restricting.is_restricted(alice.account_id, Purpose.LAYOUT)
    assert len(asked) == 1

    with sql() as asked:
        free = list(Account.objects.filter(~restricting.stopped(Purpose.LAYOUT)).values_list("pk", flat=True))
    assert len(asked) == 1
    assert free == [bob.account_id]


def test_two_stops_of_one_use_cannot_stand_whoever_writes(alice: User) -> None:
    restricting.place(alice.account_id, ["layout"], ground=Restriction.Ground.OBJECTION, by=alice.actor)

    with pytest.raises(Exception, match="restriction_once_per_purpose"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_restriction (id, account_id, purpose, ground, since) "
            "SELECT gen_random_uuid(), account_id, purpose, ground, since FROM accounts_restriction"
        )
