"""The public page of half-yearly figures, with its files: issued tables only, never a register (silence.md, S11)."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.doors import public_page
from disclosures import transparency
from disclosures.models import TransparencyTable

# The tables of a half-year: the part of the figures, the heading, and the words of the columns.
TABLES: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    (
        "requests",
        _("What was asked"),
        {"requests": _("Requests"), "accounts_named": _("Accounts named"), "notices": _("Customers told")},
    ),
    (
        "requests",
        _("What we gave"),
        {
            "accounts_disclosed": _("Accounts"),
            "in_full": _("In full"),
            "in_part": _("In part"),
            "nothing": _("Nothing"),
            "open": _("Open"),
        },
    ),
    (
        "rights",
        _("Requests of people about their own data"),
        {
            "received": _("Received"),
            "fulfilled": _("Fulfilled"),
            "denied": _("Denied"),
            "withdrawn": _("Withdrawn"),
            "median_days": _("Median days"),
        },
    ),
    (
        "cases",
        _("Reports of copyright and abuse"),
        {
            "cases": _("Cases"),
            "told": _("Customers told"),
            "suspended": _("Suspended"),
            "fell": _("Not valid or withdrawn"),
        },
    ),
    (
        "cases",
        _("What followed a report"),
        {
            "counter_notices": _("Counter-notices"),
            "put_back": _("Put back"),
            "contact_given": _("Contact given"),
        },
    ),
)
# The longest bar, in units of its drawing.
LONGEST = 600


@public_page
def page(request: HttpRequest) -> HttpResponse:
    """Show every half-year that was issued, newest first, each with a picture of its table."""
    tables = [
        {
            "table": table,
            "title": title(table.half_year),
            "parts": [
                _part(transparency.lines(table, part), caption, columns)
                for part, caption, columns in TABLES
                if part in table.figures
            ],
            "bars": _bars(table),
            "total": sum(line["requests"] for line in table.figures["requests"].values()),
        }
        for table in transparency.issued()
    ]
    context = {"tables": tables, "running": title(transparency.name_of(timezone.now()))}
    return render(request, "disclosures/transparency.html", context)


@public_page
def file(request: HttpRequest, name: str) -> HttpResponse:
    """Give the figures of a half-year as a CSV file."""
    table = TransparencyTable.objects.filter(half_year=name).order_by("-issue").first()
    if table is None:
        raise Http404
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["half_year", "issue", "issued_at", "table", "kind", "figure", "value"])
    head = [table.half_year, table.issue, table.frozen_at.isoformat()]
    for part in ("requests", "rights", "cases"):
        for kind, values in table.figures.get(part, {}).items():
            for figure, value in values.items():
                writer.writerow([*head, part, kind, figure, "" if value is None else value])
    letters = table.figures["national_security_letters"]
    writer.writerow([*head, "requests", "national_security_letter", "band", letters])
    answer = HttpResponse(written.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="transparency-{table.half_year}.csv"'
    return answer


def title(name: str) -> str:
    """Return a half-year in words."""
    year, _dash, part = name.partition("-H")
    months = _("January to June") if part == "1" else _("July to December")
    return f"{months} {year}"


def _part(lines: list[transparency.Line], caption: Any, columns: dict[str, Any]) -> dict[str, object]:
    rows = [
        (
            line.label,
            [(label, line.values.get(name), line.before.get(name)) for name, label in columns.items()],
        )
        for line in lines
    ]
    return {"caption": caption, "columns": list(columns.values()), "rows": rows}


def _bars(table: TransparencyTable) -> list[dict[str, object]]:
    most = max((line["requests"] for line in table.figures["requests"].values()), default=0)
    return [
        {
            "label": line.label,
            "count": line.values["requests"],
            "width": round(LONGEST * line.values["requests"] / most) if most else 0,
        }
        for line in transparency.lines(table, "requests")
    ]
