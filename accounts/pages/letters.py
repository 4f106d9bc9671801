"""Every mail we sent, to be read and printed (page 19). A mail with a way into the account was never kept.

Texts are sealed and cannot be searched by the database: a search opens the newest mails of the chosen kind, at most
`SEARCHED` at a time, and says how far it came. Words are sent by POST, so that none of them stands in an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _

from accounts.doors import account_of, customer_page, for_roles
from accounts.members import Part
from accounts.models import Correspondence

ENTRIES_A_PAGE = 25
# How many mails one search opens. 200 short texts are opened in milliseconds and found ones fit on a page.
SEARCHED = 200
LONGEST_SEARCH = 100


class SearchForm(forms.Form):
    """Words to look for, and from which mail on."""

    words = forms.CharField(
        label=_("Words to look for"),
        max_length=LONGEST_SEARCH,
        error_messages={"required": _("Write a word to look for.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "type": "search"}),
    )
    # How many of the newest were searched before.
    after = forms.IntegerField(required=False, min_value=0, max_value=10**6, widget=forms.HiddenInput)


@dataclass(frozen=True)
class Found:
    """What a search found, how many mails it opened, and whether older ones are left."""

    letters: list[Correspondence]
    searched: int
    after: int
    is_more: bool


@customer_page
@for_roles(Part.MESSAGES)
def letters(request: HttpRequest) -> HttpResponse:
    """List the mails, newest first; search them by POST, which changes nothing."""
    form = SearchForm(request.POST or None)
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        found = search(_own(request), form.cleaned_data["words"], form.cleaned_data["after"] or 0)
        return render(request, "accounts/messages.html", {**context, "found": found})
    shown = _own(request).defer("body")
    context["page"] = Paginator(shown, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/messages.html", context, status=422 if form.is_bound else 200)


@customer_page
@for_roles(Part.MESSAGES)
def letter(request: HttpRequest, letter: UUID) -> HttpResponse:
    """Show one mail, made to be printed."""
    return render(request, "accounts/message.html", {"letter": get_object_or_404(_own(request), pk=letter)})


def search(own: QuerySet[Correspondence], words: str, after: int) -> Found:
    """Return the mails that hold all of `words`, of the `SEARCHED` that follow the newest `after`."""
    wanted = words.casefold().split()
    opened = list(own[after : after + SEARCHED + 1])
    looked_at = opened[:SEARCHED]
    hits = [letter for letter in looked_at if _holds(letter, wanted)]
    return Found(hits, len(looked_at), after + len(looked_at), len(opened) > SEARCHED)


def _holds(letter: Correspondence, wanted: list[str]) -> bool:
    text = f"{letter.subject}\n{letter.body}".casefold()
    return all(word in text for word in wanted)


def _own(request: HttpRequest) -> QuerySet[Correspondence]:
    return Correspondence.objects.filter(account=account_of(request)).order_by("-created_at", "-pk")
