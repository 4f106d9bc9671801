"""What we hold about a customer, and until when: from the data map and the schedule alone, and in no way from a hold.

A page of it is as quick for a million rows as for none: rows are counted up to a limit, and the dates come from the
oldest row and the newest invoice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Max
from django.utils import timezone

from accounts import datamap
from accounts.datamap import Category, LegalBasis, Personal, Purpose, Recipient
from accounts.datamap.reading import MOST_COUNTED, Model
from accounts.datamap.records import shown_fields
from accounts.models import Account, Invoice
from retention import schedule


@dataclass(frozen=True)
class End:
    """When something goes, for this customer.

    `kind`: "rolling" (each record after `days`; the oldest goes on `until`), "open" (while the account is open),
    "due" (with the deletion, from `until` on), "kept" (`years` after the newest record, until `until`).
    """

    kind: str
    until: dt.datetime | None = None
    days: int = 0
    years: int = 0
    reason: Any = ""


@dataclass(frozen=True)
class Kind:
    """One kind of record of a category: its words, how many there are, and its end where it is an earlier one."""

    model: Model
    entry: Personal
    records: int
    end: End | None

    @property
    def label(self) -> str:
        """What one record is called."""
        return str(self.entry.label)

    @property
    def fields(self) -> list[str]:
        """The labels of what a record holds that is shown."""
        return [field.label for field in shown_fields(self.model)]


@dataclass(frozen=True)
class Holding:
    """One category: why it is held, from whom, who receives it, how many records there are, and until when."""

    category: Category
    kinds: tuple[Kind, ...]
    end: End

    @property
    def purposes(self) -> list[Any]:
        """What it is used for, in words."""
        used = {purpose for kind in self.kinds for purpose in kind.entry.purposes}
        return [purpose.label for purpose in Purpose if purpose in used]

    @property
    def bases(self) -> list[LegalBasis]:
        """Why that is allowed."""
        return datamap.bases(tuple(purpose for kind in self.kinds for purpose in kind.entry.purposes))

    @property
    def sources(self) -> list[str]:
        """Where it comes from."""
        return list(dict.fromkeys(str(kind.entry.source) for kind in self.kinds))

    @property
    def recipients(self) -> list[Recipient]:
        """Which companies work with it for us."""
        return datamap.recipients(self.category)

    @property
    def fields(self) -> list[str]:
        """The labels of all fields, each once."""
        return list(dict.fromkeys(label for kind in self.kinds for label in kind.fields))

    @property
    def records(self) -> int:
        """How many records there are, counted up to a limit."""
        return min(sum(kind.records for kind in self.kinds), MOST_COUNTED)

    @property
    def is_more(self) -> bool:
        """Whether there are more records than were counted."""
        return sum(kind.records for kind in self.kinds) > MOST_COUNTED


def holdings(account: Account, at: dt.datetime | None = None, *, only: Category | None = None) -> list[Holding]:
    """Return what is held of an account, category by category; those without records too."""
    at = at or timezone.now()
    cutoffs = schedule.cutoffs(at)
    entries = {model: entry for model, entry in datamap.visible().items() if only in {None, entry.category}}
    counts = datamap.capped_counts(account.pk, cutoffs, entries)
    oldest = datamap.oldest(account.pk, cutoffs, entries)
    newest = Invoice.objects.filter(account=account).aggregate(newest=Max("issued_at"))["newest"]
    found = []
    for category in dict.fromkeys(entry.category for entry in entries.values()):
        kinds = tuple(
            Kind(model, entry, counts[model], _own_end(model, entry, oldest))
            for model, entry in entries.items()
            if entry.category == category
        )
        firsts = [oldest[kind.model] for kind in kinds if kind.model in oldest and not kind.entry.rolls]
        found.append(Holding(category, kinds, _end(category, account, newest, min(firsts, default=None))))
    return found


def by_end(found: list[Holding]) -> list[tuple[str, list[Holding]]]:
    """Return the holdings grouped by when they go: by themselves, with the account, later."""
    groups: dict[str, list[Holding]] = {"rolling": [], "account": [], "kept": []}
    for holding in found:
        groups["account" if holding.end.kind in {"open", "due"} else holding.end.kind].append(holding)
    return [(name, some) for name, some in groups.items() if some]


def _own_end(model: Model, entry: Personal, oldest: dict[Model, dt.datetime]) -> End | None:
    """Return when records of a table go that expire earlier than the rest of their category."""
    if not entry.rolls:
        return None
    first = oldest.get(model)
    return End("rolling", first + schedule.span(entry.rolls) if first else None, schedule.number(entry.rolls))


def _end(category: Category, account: Account, newest: dt.datetime | None, oldest: dt.datetime | None) -> End:
    rule = schedule.RULES[category]
    if rule.rolling:
        until = oldest + schedule.span(rule.rolling) if oldest else None
        if until and account.due_at:
            until = min(until, account.due_at)
        return End("rolling", until, schedule.number(rule.rolling))
    if rule.keeps and newest is not None:
        until = schedule.kept_until(category, newest, account.due_at or newest)
        return End("kept", until, years=schedule.number(rule.keeps), reason=rule.reason)
    return End("due", account.due_at) if account.due_at else End("open")
