"""Holds that cover a part: rows of a period, some categories. What stays, what goes, and what nobody can tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.models import AccessEvent, Contact, PaymentMethod, State
from retention import closing, placing, purge, queue, reminding, schedule, sweeping, verifying
from retention.covering import covers
from retention.models import Erasure, Hold
from retention.refusals import GOVERNED, AlreadyErased, code_of
from tests.cast import DAY, make_customer, sign_in_from
from tests.pairing import Side, letters_to, normalised, pair, relay
from tests.servers import Connection

pytestmark = pytest.mark.usefixtures("committed")
LONG_AGO = 40 * DAY


def seal(side: Side, **scope: Any) -> Hold:
    return placing.place(side.account_id, Hold.Kind.LEGAL, by="system", matter="m", **scope)


def period_before(days: int) -> tuple[dt.datetime, dt.datetime]:
    """Return a period that ended that many days ago: nothing the cast has lies in it."""
    return timezone.now() - (days + 100) * DAY, timezone.now() - days * DAY


def finish(*sides: Side) -> None:
    purge.erase([side.account_id for side in sides])
    purge.shred()
    verifying.verify(timezone.now() + DAY)


def end_holds(owner: Connection) -> None:
    """Let every hold end without moving a clock."""
    owner.execute("ALTER TABLE retention_hold DISABLE TRIGGER z_guard_hold")
    owner.execute("UPDATE retention_hold SET released_at = now(), released_by = 'staff:1', covers_until = now()")
    owner.execute("ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold")


def test_a_hold_of_a_period_keeps_the_customer_reachable_like_any_other() -> None:
    one, other = pair(closed_ago=LONG_AGO)
    seal(one, period=period_before(800))
    seal(other, categories=["access"])

    purge.ring()
    reminding.remind()
    relay()

    assert Contact.objects.filter(account_id=one.account_id).exists()
    found = [[text for text in letters_to(side) if "not finished" in text] for side in (one, other)]
    assert len(found[0]) == 1 and found[0] == found[1]


def test_health_counts_nothing_that_a_period_holds() -> None:
    one, other = pair(closed_ago=LONG_AGO)
    seal(one, period=period_before(800))
    purge.erase([one.account_id])
    later = timezone.now() + schedule.span("removed") + DAY

    assert queue.oldest_due(later) is not None, "the control: the other one is due and free"
    purge.erase([other.account_id])

    assert queue.oldest_due(later) is None


def test_a_sweep_takes_what_a_hold_of_another_period_does_not_cover() -> None:
    customer = make_customer("alice")
    for days in (300, 200, 5):
        sign_in_from(customer, at=timezone.now() - days * DAY)
    covered = timezone.now() - 250 * DAY, timezone.now() - 150 * DAY
    placing.place(customer.account_id, "legal", by="system", matter="m", period=covered)

    sweeping.sweep()

    left = AccessEvent.objects.filter(account_id=customer.account_id).values_list("at", flat=True)
    assert sorted((timezone.now() - at).days for at in left) == [5, 200]


def test_the_last_mail_is_alike_whether_or_not_a_hold_kept_what_had_expired(owner: Connection) -> None:
    one, other = pair()
    for side in (one, other):
        for days in range(120, 170):
            sign_in_from(side.user, at=timezone.now() - days * DAY)
    seal(one)
    sweeping.sweep()
    for side in (one, other):
        closing.close(side.account_id, by=side.user, submission=uuid7(), at=timezone.now() - LONG_AGO)
    end_holds(owner)

    finish(one, other)
    mail.outbox.clear()
    relay()

    last = [normalised(sent.body) for sent in mail.outbox if "is deleted" in sent.subject]
    counted = Erasure.objects.filter(category="access").values_list("counts", flat=True)
    assert len(last) == 2 and last[0] == last[1]
    assert len({str(counts) for counts in counted}) == 2, "the control: more rows of one went"


def test_kept_versions_go_with_the_category_they_belong_to(owner: Connection) -> None:
    one, _ = pair(closed_ago=LONG_AGO)
    seal(one)
    PaymentMethod.objects.filter(account_id=one.account_id).update(provider="edited")
    kept = "SELECT count(*) FROM retention_keptversion WHERE account_id = %s"
    assert owner.execute(kept, [one.account_id]).fetchone() == (1,)
    end_holds(owner)

    finish(one)

    one.user.account.refresh_from_db()  # type: ignore[union-attr]
    assert one.user.account.state == State.ERASED  # type: ignore[union-attr]
    assert owner.execute(kept, [one.account_id]).fetchone() == (0,)


@pytest.mark.parametrize("scope", [("access",), ("network",), ("access", "network"), ("contact", "orders")])
def test_no_hold_is_confirmed_on_what_an_erased_account_no_longer_has(scope: tuple[str, ...]) -> None:
    one, _ = pair(closed_ago=LONG_AGO)
    finish(one)

    with pytest.raises(AlreadyErased):
        seal(one, categories=scope)
    assert seal(one, categories=["invoices", "access"]).already_gone, "the control: invoices are kept and can be held"


# ------------------------------------------------------------------------------------------------ the two conditions

SCOPES: dict[str, Callable[[], dict[str, Any]]] = {
    "everything": dict,
    "its category": lambda: {"categories": ["access"]},
    "another category": lambda: {"categories": ["support"]},
    "its period": lambda: {"period": (timezone.now() - 60 * DAY, timezone.now() - 20 * DAY)},
    "another period": lambda: {"period": period_before(800)},
    "from a time on": lambda: {"period": (timezone.now() - 45 * DAY, None)},
    "until a time": lambda: {"period": (None, timezone.now() - 45 * DAY), "categories": ["access", "billing"]},
}


@pytest.mark.parametrize("scope", SCOPES)
def test_the_purge_and_the_guards_agree_on_every_row(scope: str) -> None:
    one, _ = pair(closed_ago=LONG_AGO)
    for days in (100, 50, 44, 30, 10):
        AccessEvent.objects.create(account_id=one.account_id, kind="sign_in", at=timezone.now() - days * DAY)
    seal(one, **SCOPES[scope]())

    rows = [(model, row) for model in datamap.governed() for row in datamap.rows(model, [one.account_id])]

    assert len(rows) > 15
    assert [is_covered(*each) for each in rows] == [is_refused(*each) for each in rows]


def is_covered(model: type, row: Any) -> bool:
    entry, moment = datamap.entries()[model], f"t.{datamap.time_column(model)}"
    condition = covers(f"'{entry.category.value}'", moment=moment)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {model._meta.db_table} t JOIN retention_hold h USING (account_id) "  # type: ignore[attr-defined]
            f"WHERE t.id = %s AND {condition})",
            [row.pk],
        )
        return bool(cursor.fetchone()[0])


def is_refused(model: type, row: Any) -> bool:
    """Try to delete one row; the references to it are of no interest here, they are checked at the commit."""
    with transaction.atomic():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id = %s", [row.pk])  # type: ignore[attr-defined]
        except Exception as error:
            assert code_of(error) == GOVERNED
            transaction.set_rollback(True)
            return True
        transaction.set_rollback(True)
        return False
