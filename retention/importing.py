"""Importing a billing panel's clients: a batch is one transaction, and a batch that is refused is tried row by row.

Afterwards each new client is a whole customer or nothing at all. Who had left the panel (status canceled) is closed as
closing does it, due at the time of the import plus the grace period, without a request and without a mail. Safe to
stop anywhere, to repeat and to run twice at once: what is there already reads "unchanged".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import importing
from accounts.datamap import Category
from accounts.importing import Fate, Outcome, Seen
from accounts.keys.keyring import keyring
from accounts.panel_rows import Client, Fault
from accounts.safeguards import ledger
from retention import closing, schedule

REFUSED = Fault("", "was refused by the database; nothing of it was stored")
# What the database or a sealed field says to a row it does not take.
REFUSALS = (DatabaseError, ValidationError, ValueError)
# How often a single row is tried: the second time it meets what somebody else wrote meanwhile.
TRIES = 2


def import_batch(clients: Sequence[Client], *, at: dt.datetime | None = None) -> list[Outcome]:
    """Import these clients and return what became of each, in their order.

    Raises KeyUnavailable and the errors of a lost connection; then nothing of this batch was stored.
    """
    at = at or timezone.now()
    try:
        return _batch(clients, at)
    except REFUSALS:
        # A database that is away says nothing about a row.
        if not connection.is_usable():
            raise
    return [_single(client, at) for client in clients]


def preview(clients: Sequence[Client], seen: Seen, *, at: dt.datetime | None = None) -> list[Outcome]:
    """Return what would become of these clients; `seen` carries what earlier batches of the file would have stored."""
    with keyring():
        _fresh, outcomes = importing.sort_out(clients, seen, _rolling(at or timezone.now()))
    return outcomes


def note_run(began: dt.datetime, counts: dict[str, int], *, file_hash: str) -> None:
    """Write the ledger entry of a run: counts, and the hash of the file it read."""
    facts = {"began_at": began, "file": file_hash, **counts}
    with transaction.atomic(durable=True):
        ledger.record_many([ledger.Fact(ledger.SYSTEM, "clients.imported", None, facts)])


def _batch(clients: Sequence[Client], at: dt.datetime) -> list[Outcome]:
    rolling = _rolling(at)
    with keyring(), transaction.atomic(durable=True):
        importing.one_at_a_time()
        fresh, outcomes = importing.sort_out(clients, Seen(), rolling)
        if fresh:
            made = importing.make(fresh, at=at, rolling=rolling)
            closing.shut([one.account for one in made if importing.is_closed(one)], at)
    return outcomes


def _single(client: Client, at: dt.datetime) -> Outcome:
    for _ in range(TRIES):
        try:
            return _batch([client], at)[0]
        except REFUSALS:
            if not connection.is_usable():
                raise
    return Outcome(client.line, Fate.REFUSED, (REFUSED,))


def _rolling(at: dt.datetime) -> dt.datetime:
    return schedule.cutoffs(at)[Category.ACCESS.value]
