"""Unsatisfied agreements: unpaid invoices and running minimum terms (P26).

Looked at live by pages, and by the purge at each tick and under the lock: it writes or releases the one `agreement`
hold of an account for what is owed, so that there is no second mechanism. An agreement hold with an end is another: it
stands for an answer that is due, and ends with that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef

from accounts.models import Account, Invoice, Service
from accounts.safeguards.ledger import SYSTEM
from retention.models import Erasure, Hold, Stage
from retention.placing import place_within
from retention.releasing import release_within
from retention.schedule import AGREEMENT_COVERS


@dataclass(frozen=True)
class Answer:
    """An answer that an account owes: to what, until when (aware; None while its time has not begun), and where."""

    reference: str
    until: dt.datetime | None
    url: str


Answers = Callable[[UUID, dt.datetime], Iterable[Answer]]
_answers: list[Answers] = []


def owes_answers(asked: Answers) -> Answers:
    """Register what knows of answers that are due: a hold with an end stands for each."""
    _answers.append(asked)
    return asked


def answers(account_id: UUID, at: dt.datetime) -> list[Answer]:
    """Return the answers an account owes at `at`."""
    return [answer for asked in _answers for answer in asked(account_id, at)]


def bound(account_ids: Iterable[UUID], at: dt.datetime) -> dict[UUID, UUID]:
    """Return the accounts that owe something at `at`, each with the invoice or service behind it."""
    ids = list(account_ids)
    owing: dict[UUID, UUID] = dict(Service.objects.bound(at).filter(account_id__in=ids).values_list("account_id", "pk"))
    owing.update(Invoice.objects.unpaid().filter(account_id__in=ids).values_list("account_id", "pk"))
    return owing


def _concerned(account_ids: Iterable[UUID], at: dt.datetime) -> list[UUID]:
    """Return those that owe something or have an agreement hold: of a batch few do, and one statement finds them."""
    own = {"account_id": OuterRef("pk")}
    standing = Hold.objects.for_what_is_owed().filter(**own)
    unpaid, running = Invoice.objects.unpaid().filter(**own), Service.objects.bound(at).filter(**own)
    asked = Account.objects.filter(pk__in=list(account_ids))
    return list(asked.filter(Exists(standing) | Exists(unpaid) | Exists(running)).values_list("pk", flat=True))


def settle(account_ids: Iterable[UUID], at: dt.datetime) -> None:
    """Place agreement holds where something is owed and release those where nothing is; the caller holds the locks.

    Where everything an agreement would cover is gone, there is nothing left to hold.
    """
    ids = _concerned(account_ids, at)
    if not ids:
        return
    waiting = Erasure.objects.filter(account_id__in=ids, state=Stage.DUE, category__in=AGREEMENT_COVERS)
    owing = bound(waiting.values_list("account_id", flat=True).distinct(), at)
    standing = Hold.objects.for_what_is_owed().filter(account_id__in=ids)
    held = {hold.account_id: hold for hold in standing}
    for account_id in sorted(owing.keys() - held.keys()):
        place_within(
            account_id,
            Hold.Kind.AGREEMENT,
            by=SYSTEM,
            categories=AGREEMENT_COVERS,
            cause=owing[account_id],
            told=True,
            at=at,
        )
    for account_id in sorted(held.keys() - owing.keys()):
        release_within(held[account_id], SYSTEM, at)
