"""The half-yearly figures about requests, frozen (silence.md, S11): "requests we may report so far".

A request enters the half-year it came in once nothing about it is untold: no order of silence stands, nobody is still
to be told, and it has ended or its customer knows. The table is then issued anew, with the change marked. Pages read
issued tables only, never the registers. National security letters are given in the band the law allows (50 USC 1874).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry
from disclosures.models import (
    AbuseCase,
    Basis,
    CaseCopy,
    CaseKind,
    CaseOutcome,
    Disclosure,
    Instrument,
    LegalNotice,
    LegalRequest,
    Outcome,
    Silence,
    Sought,
    Stage,
    TransparencyTable,
)
from retention import schedule
from retention.models import PrivacyRequest
from retention.models.privacy import Right, Status

# What a half-year counts of each instrument.
LEGAL = ("requests", "accounts_named", "accounts_disclosed", "in_full", "in_part", "nothing", "open", "notices")
# Cases of children are reported to whom the law names, and counted nowhere else.
COUNTED = tuple(kind for kind in CaseKind if kind != CaseKind.CSAM)
BANDED = Instrument.NATIONAL_SECURITY_LETTER
NOTHING = {Outcome.NOTHING_HELD, Outcome.REJECTED, Outcome.QUASHED, Outcome.WITHDRAWN, Outcome.PRESERVED}
Figures = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of a table as the page shows it; `before` holds what an earlier issue said, where it said otherwise."""

    label: str
    values: Mapping[str, Any]
    before: Mapping[str, Any]


def half_year(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Return when the half-year "2026-H2" begins and when the next one does (UTC); NotActionable otherwise."""
    year, _, part = text.partition("-H")
    if not (year.isascii() and year.isdigit() and len(year) == 4 and part in {"1", "2"} and int(year) >= 2000):
        raise NotActionable("Name a half-year as 2026-H1.")
    first = int(year)
    if part == "1":
        return dt.datetime(first, 1, 1, tzinfo=dt.UTC), dt.datetime(first, 7, 1, tzinfo=dt.UTC)
    return dt.datetime(first, 7, 1, tzinfo=dt.UTC), dt.datetime(first + 1, 1, 1, tzinfo=dt.UTC)


def name_of(at: dt.datetime) -> str:
    """Return the half-year of a moment, "2026-H2"."""
    return f"{at.year}-H{1 if at.month < 7 else 2}"


def closed(at: dt.datetime) -> Iterator[str]:
    """Yield every half-year that had ended at `at` and whose figures could still change, oldest first."""
    first = LegalRequest.objects.order_by("received_at").values_list("received_at", flat=True).first()
    asked = PrivacyRequest.objects.order_by("received_at").values_list("received_at", flat=True).first()
    reported = AbuseCase.objects.order_by("opened_at").values_list("opened_at", flat=True).first()
    begins = min((moment for moment in (first, asked, reported) if moment), default=None)
    if begins is None:
        return
    name = name_of(begins)
    while (until := half_year(name)[1]) <= at:
        yield name
        name = name_of(until)


def reportable(at: dt.datetime) -> QuerySet[LegalRequest]:
    """Return the requests that may be counted at `at`: nothing about them is untold."""
    about: Any = {"request": OuterRef("pk")}
    silent = Silence.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), lifted_at=None, **about)
    owed = LegalNotice.objects.filter(sent_at=None, **about)
    told = LegalNotice.objects.filter(sent_at__isnull=False, **about)
    return LegalRequest.objects.filter(~Exists(silent), ~Exists(owed)).filter(Q(closed_at__isnull=False) | Exists(told))


def compute(name: str, at: dt.datetime) -> Figures:
    """Return the figures of a half-year as they may be reported at `at`."""
    since, until = half_year(name)
    requests = list(reportable(at).filter(received_at__gte=since, received_at__lt=until))
    lines = {
        instrument.value: _of_instrument([request for request in requests if request.instrument == instrument])
        for instrument in Instrument
        if instrument != BANDED
    }
    letters = sum(request.instrument == BANDED for request in requests)
    return {
        "requests": lines,
        "national_security_letters": _band(letters),
        "rights": {right.value: _of_right(right, since, until) for right in Right},
        "cases": {kind.value: _of_cases(kind, since, until) for kind in COUNTED},
    }


def _of_instrument(requests: Sequence[LegalRequest]) -> dict[str, int]:
    ids = [request.pk for request in requests]
    named = Sought.objects.filter(request__in=ids, found=Sought.Found.ONE).values("account").distinct().count()
    released = Disclosure.objects.filter(legal_request__in=ids, state__in=[Stage.RELEASED, Stage.DELIVERED])
    return {
        "requests": len(ids),
        "accounts_named": named,
        "accounts_disclosed": released.values("account").distinct().count(),
        "in_full": sum(request.outcome == Outcome.FULFILLED for request in requests),
        "in_part": sum(request.outcome == Outcome.PARTLY for request in requests),
        "nothing": sum(request.outcome in NOTHING for request in requests),
        "open": sum(not request.outcome for request in requests),
        "notices": LegalNotice.objects.filter(request__in=ids, sent_at__isnull=False).count(),
    }


def _band(count: int) -> str:
    """Return the band of 500 that a count of letters lies in."""
    low = count // schedule.number("band") * schedule.number("band")
    return f"{low}-{low + schedule.number('band') - 1}"


def _of_right(right: Right, since: dt.datetime, until: dt.datetime) -> dict[str, Any]:
    """Count the privacy requests of a kind that came in a half-year and have ended (11 CCR 7102)."""
    asked = PrivacyRequest.objects.filter(right=right, received_at__gte=since, received_at__lt=until)
    ended = asked.filter(status__in=[Status.FULFILLED, Status.DENIED], decided_at__isnull=False)
    times = ended.values_list("received_at", "decided_at")
    days = [(decided - received).days for received, decided in times if decided]
    return {
        "received": asked.count(),
        "fulfilled": asked.filter(status=Status.FULFILLED).count(),
        "denied": asked.filter(status=Status.DENIED).count(),
        "withdrawn": asked.filter(status__in=[Status.REVOKED, Status.EXPIRED]).count(),
        "median_days": round(statistics.median(days)) if days else None,
    }


def _of_cases(kind: CaseKind, since: dt.datetime, until: dt.datetime) -> dict[str, int]:
    """Count the abuse cases of a kind that came in a half-year, from the cases' own copies: those outlive accounts."""
    opened = AbuseCase.objects.filter(kind=kind, opened_at__gte=since, opened_at__lt=until)
    ids = list(opened.values_list("pk", flat=True))
    copies = CaseCopy.objects.filter(case__in=ids)
    suspended = LedgerEntry.objects.filter(subject__in=ids, action="case.suspended")
    given = Disclosure.objects.filter(case__in=ids, basis=Basis.ABUSE_CASE, state__in=[Stage.RELEASED, Stage.DELIVERED])
    return {
        "cases": len(ids),
        "told": copies.filter(kind=CaseCopy.Kind.NOTICE).values("case").distinct().count(),
        "counter_notices": copies.filter(kind=CaseCopy.Kind.COUNTER).values("case").distinct().count(),
        "suspended": suspended.values("subject").distinct().count(),
        "put_back": opened.filter(outcome=CaseOutcome.PUT_BACK).count(),
        "fell": opened.filter(outcome__in=[CaseOutcome.NOT_VALID, CaseOutcome.WITHDRAWN]).count(),
        "contact_given": given.values("case").distinct().count(),
    }


def freeze(name: str, *, by: str, at: dt.datetime | None = None) -> TransparencyTable:
    """Issue the figures of a half-year; where nothing changed since the last issue, return that one.

    Raises NotActionable while the half-year runs.
    """
    at = at or timezone.now()
    _, until = half_year(name)
    if until > at:
        raise NotActionable(f"The half-year {name} has not ended. Its figures can be issued from {until:%-d %B %Y} on.")
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('disclosures.transparency'))")
        last = TransparencyTable.objects.filter(half_year=name).order_by("-issue").first()
        figures = compute(name, at)
        digest = hashlib.sha256(rfc8785.dumps(figures)).hexdigest()
        if last is not None and last.sha256 == digest:
            return last
        issue = 1 if last is None else last.issue + 1
        table = TransparencyTable.objects.create(
            half_year=name, issue=issue, figures=figures, sha256=digest, frozen_by=by, frozen_at=at
        )
        ledger.record(by, "transparency.issued", table.pk, at=at, half_year=name, issue=issue)
    return table


def issue_due(at: dt.datetime | None = None) -> int:
    """Issue what is due by the clock: every ended half-year after its waiting time, again where it changed."""
    at = at or timezone.now()
    before = TransparencyTable.objects.count()
    for name in closed(at - schedule.span("transparency")):
        freeze(name, by=ledger.SYSTEM, at=at)
    return TransparencyTable.objects.count() - before


def issued() -> list[TransparencyTable]:
    """Return the newest issue of every half-year, newest half-year first."""
    newest = TransparencyTable.objects.order_by("half_year", "-issue").distinct("half_year")
    return sorted(newest, key=lambda table: table.half_year, reverse=True)


def lines(table: TransparencyTable, part: str) -> list[Line]:
    """Return the lines of an issue about "requests", "rights" or "cases", with what the issue before said otherwise.

    A table that was issued before cases were counted has no lines about them.
    """
    earlier = TransparencyTable.objects.filter(half_year=table.half_year, issue=table.issue - 1).first()
    was = earlier.figures.get(part, {}) if earlier else {}
    choices = {"requests": Instrument.choices, "rights": Right.choices, "cases": CaseKind.choices}
    labels: dict[str, Any] = dict(choices[part])
    return [
        Line(
            label=str(labels.get(kind, kind)),
            values=values,
            before={name: was[kind][name] for name in values if kind in was and was[kind].get(name) != values[name]},
        )
        for kind, values in sorted(table.figures.get(part, {}).items(), key=lambda item: list(labels).index(item[0]))
    ]
