"""Exports: the list, asking for one, how far it is, fetching it after the password, deleting the copy.

GET changes nothing; a download is counted, so it is a POST. Everything is an owner's, and a reference of somebody else
is not there (404).
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import datamap, exporting
from accounts.datamap import Category
from accounts.datamap.reading import MOST_COUNTED
from accounts.datamap.records import shown_fields
from accounts.doors import account_of, customer, customer_page, for_roles, fresh, is_too_often, too_often
from accounts.exporting_contents import not_included
from accounts.exporting_pieces import pieces
from accounts.members import Part
from accounts.models import Account, Export
from retention import schedule, tasks
from retention.forms import ExportForm

ENTRIES_A_PAGE = 25
# What a record takes in a ZIP, roughly; files come with their own size.
BYTES_A_RECORD = 120


@customer_page
@for_roles(Part.EXPORT)
def exports(request: HttpRequest) -> HttpResponse:
    """Show the copies that were asked for, newest first."""
    page = Paginator(_own(request).order_by("-asked_at", "-pk"), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    rows = [(one, exporting.state_of(one)) for one in page.object_list]
    return render(request, "retention/exports.html", {"page": page, "rows": rows})


@customer_page
@for_roles(Part.EXPORT)
def export_new(request: HttpRequest) -> HttpResponse:
    """Offer the kinds of data and the formats, and ask for a copy; a form sent twice leads to one."""
    account = account_of(request)
    underway = _own(request).underway().first()
    sizes = _sizes(account)
    form = ExportForm(sizes, request.POST or None)
    if request.method == "POST" and form.is_valid():
        if is_too_often(request, "ask_export", user=customer(request)):
            return too_often(request)
        export = exporting.ask(
            account.pk,
            by=customer(request),
            categories=form.cleaned_data["categories"],
            formats=form.cleaned_data["formats"],
            submission=form.cleaned_data["submission"],
        )
        tasks.ring_export(export.pk)
        messages.success(request, _("We have your request %(reference)s.") % {"reference": export.reference})
        return redirect("retention:export", reference=export.reference)
    everything = [category.value for category in Category]
    estimate = _estimate(sizes, _bytes_of_files(account))
    context = {"form": form, "underway": underway, "left": not_included(everything), "estimate": estimate}
    return render(request, "retention/export_new.html", context)


@customer_page
@for_roles(Part.EXPORT)
def export(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one copy: how far it is, its size, hash and end, what is not in it."""
    found = get_object_or_404(_own(request), reference=reference)
    words = dict(Category.choices)
    context = {
        "export": found,
        "state": exporting.state_of(found),
        "categories": [words[name] for name in found.categories],
        "percent": min(99, 100 * found.rows_done // found.rows_total) if found.rows_total else 0,
        "left": not_included(found.categories),
    }
    return render(request, "retention/export.html", context)


@customer_page
@for_roles(Part.EXPORT)
@fresh
def export_download(request: HttpRequest, reference: str) -> HttpResponse:
    """Ask once more before the download, count it, and send the file piece by piece."""
    found = get_object_or_404(_own(request), reference=reference)
    if exporting.state_of(found) != Export.State.READY:
        ended = {"ended_at": found.expires_at, "next_url": reverse("retention:export_new")}
        return render(request, "410.html", {**ended, "next_label": _("Make a new export")}, status=410)
    if request.method != "POST":
        return render(request, "retention/export_download.html", {"export": found})
    counted = exporting.note_download(found.pk, by=customer(request))
    answer: Any = StreamingHttpResponse(pieces(counted), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{counted.reference}.zip"'
    answer["Content-Length"] = str(counted.size)
    return answer  # type: ignore[no-any-return]


@customer_page
@for_roles(Part.EXPORT)
def export_remove(request: HttpRequest, reference: str) -> HttpResponse:
    """Delete a copy, or stop one that is being made."""
    found = get_object_or_404(_own(request), reference=reference)
    if request.method != "POST":
        return redirect("retention:export", reference=found.reference)
    exporting.remove(found.pk, by=customer(request))
    messages.success(request, _("The copy %(reference)s is deleted.") % {"reference": found.reference})
    return redirect("retention:exports")


def _own(request: HttpRequest) -> Any:
    return Export.objects.filter(account=account_of(request), removed_at=None)


def _sizes(account: Account) -> dict[Category, int]:
    """Return the records of each category that can be exported, counted up to a limit."""
    models = datamap.visible()
    counts = datamap.capped_counts(account.pk, schedule.cutoffs(timezone.now()), models)
    found: dict[Category, int] = {}
    for model, entry in models.items():
        found[entry.category] = found.get(entry.category, 0) + counts[model]
    return found


def _bytes_of_files(account: Account) -> int:
    """Return how many bytes the files take that an export would hold."""
    total = 0
    for model in datamap.visible():
        if any(field.is_file for field in shown_fields(model)) and hasattr(model, "size"):
            own = datamap.shown(model, account.pk, schedule.cutoffs(timezone.now()))
            total += own.aggregate(total=Sum("size"))["total"] or 0
    return total


def _estimate(sizes: dict[Category, int], files: int) -> dict[str, Any]:
    """Return roughly how large the file gets, and whether that is only the least of it."""
    return {
        "bytes": sum(min(rows, MOST_COUNTED) for rows in sizes.values()) * BYTES_A_RECORD + files + 20_000,
        "is_more": any(rows > MOST_COUNTED for rows in sizes.values()),
    }
