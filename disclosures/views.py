"""What a customer may see of who looked at their data, and of what left the company."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.doors import account_of, customer_page, for_roles
from accounts.members import Part
from disclosures.activity import given, in_words, look, shown, years

ENTRIES_A_PAGE = 50
DEEPEST = 200
# Disclosures of one account are few: all of them are on the page.
MOST_GIVEN = 500


@customer_page
@for_roles(Part.DATA)
def activity(request: HttpRequest) -> HttpResponse:
    """Show who looked at the account's data, newest first, of all years or of one."""
    account = account_of(request)
    entries, left = shown(account.pk), list(given(account.pk)[:MOST_GIVEN])
    known = sorted({*years(entries), *(timezone.localtime(one.released_at).year for one in left)}, reverse=True)
    year = _number(request.GET.get("year"))
    if year in known:
        entries = entries.filter(at__year=year)
        left = [one for one in left if timezone.localtime(one.released_at).year == year]
    number = min(max(_number(request.GET.get("page")), 1), DEEPEST)
    start = (number - 1) * ENTRIES_A_PAGE
    # One more than is shown says whether there is another page: no count of a list that only grows.
    found = list(entries[start : start + ENTRIES_A_PAGE + 1])
    context = {
        "given": [in_words(one) for one in left],
        "looks": [look(entry) for entry in found[:ENTRIES_A_PAGE]],
        "years": known,
        "year": year if year in known else None,
        "newer": number - 1,
        "older": number + 1 if len(found) > ENTRIES_A_PAGE and number < DEEPEST else 0,
        "since": account.created_at,
    }
    return render(request, "disclosures/activity.html", context)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else 0
