"""Whom a report concerns: by the address at the time, then by an account number it names; several are for a person.

Who may: whatever takes reports in. Services and domains are sealed and have no index, so a report that names only a
domain waits for a person, as does one that finds nobody (answers.md).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts import assigning
from accounts.models import Account
from disclosures.models import AbuseCase
from disclosures.reports.shape import Report, Source

Found = AbuseCase.Found
# Reports name many addresses at once; a person looks at what names more.
MOST_SOURCES = 50
ACCOUNT_HINTS = frozenset({"account_number", "account"})


@dataclass(frozen=True)
class Concerned:
    """What the search gave: `source` is what it is about in words, `at` the moment it was asked for."""

    found: Found
    account: UUID | None = None
    service: UUID | None = None
    source: str = ""
    at: dt.datetime | None = None


def whom(report: Report, received_at: dt.datetime) -> Concerned:
    """Return whom a report concerns; a moment it does not name is that of its arrival."""
    holders: set[tuple[UUID, UUID | None]] = set()
    asked: list[tuple[Source, dt.datetime]] = []
    for source in report.sources[:MOST_SOURCES]:
        at = source.at or report.last_seen_at or report.reported_at or received_at
        asked.append((source, min(at, received_at)))
        holders |= _holders(source, asked[-1][1])
    first = next((pair for pair in asked if pair[0].address), asked[0] if asked else None)
    words, at_time = (_words(first[0]), first[1]) if first else ("", None)
    accounts = {account for account, _service in holders} or _numbered(report)
    if len(accounts) != 1:
        return Concerned(Found.SEVERAL if accounts else Found.NONE, source=words, at=at_time)
    services = {service for _account, service in holders if service is not None}
    return Concerned(Found.ONE, accounts.pop(), services.pop() if len(services) == 1 else None, words, at_time)


def _holders(source: Source, at: dt.datetime) -> set[tuple[UUID, UUID | None]]:
    if not source.address:
        return set()
    try:
        return {(held.account, held.service) for held in assigning.who_held(source.address, at, most=assigning.MOST)}
    except ValidationError:
        return set()


def _numbered(report: Report) -> set[UUID]:
    hints = (hint for source in report.sources[:MOST_SOURCES] for hint in source.hints)
    numbers = [hint.value.strip() for hint in hints if hint.kind in ACCOUNT_HINTS]
    return set(Account.objects.filter(number__in=numbers[:MOST_SOURCES]).values_list("pk", flat=True))


def _words(source: Source) -> str:
    return (source.address or source.domain or next(iter(source.urls), ""))[:500]
