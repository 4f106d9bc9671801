"""What we hold: the list of categories, one category with its records, and the public record of processing.

Made from the data map alone; rows and counts are those shown to the customer (silence.md, S7).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.datamap import Category
from accounts.datamap.records import Shown, records, shown_fields
from accounts.doors import account_of, customer_page, for_roles, public_page
from accounts.members import Part
from accounts.models import Account
from accounts.roles import masked
from accounts.templatetags.portal_tags import moment
from retention import processing, schedule
from retention.holdings import Kind, by_end, holdings

ROWS_A_PAGE = 50
FEWEST = 10
LONGEST = 200
# Fields of a table that stay beside each other on a narrow screen.
COLUMNS = 3
# Where a category is edited, by the names of the pages; what has no such page is asked for.
EDITED_AT: Mapping[Category, tuple[str, ...]] = {
    Category.IDENTITY: ("accounts:contacts",),
    Category.CONTACT: ("accounts:contacts",),
    Category.BUSINESS: ("accounts:business",),
    Category.CONFIDENTIAL: ("accounts:business",),
}
ASKED_AT = ("retention:request_new",)


@customer_page
@for_roles(Part.DATA)
def data(request: HttpRequest) -> HttpResponse:
    """Show every category: why it is held, for how long for this customer, how many records, who receives it."""
    found = holdings(account_of(request))
    return render(request, "retention/data.html", {"groups": by_end(found), "kinds": len(found)})


@customer_page
@for_roles(Part.DATA)
def category(request: HttpRequest, category: str) -> HttpResponse:
    """Show the fields and the newest records of one category."""
    if category not in Category.values:
        raise Http404("No such kind of data.")
    account, at = account_of(request), timezone.now()
    found = holdings(account, at, only=Category(category))
    if not found:
        raise Http404("No such kind of data.")
    [holding] = found
    some = [kind for kind in holding.kinds if kind.records]
    limit = max(FEWEST, ROWS_A_PAGE // max(1, len(some)))
    context = {
        "holding": holding,
        "tables": [_table(kind, account, at, limit) for kind in some],
        "is_cut": any(kind.records > limit for kind in some),
        "correct_url": _edited_at(holding.category) or asked_at("rectification", holding.category),
        "object_url": asked_at("objection", holding.category),
    }
    return render(request, "retention/data_category.html", context)


@public_page
def public(request: HttpRequest) -> HttpResponse:
    """Show to anybody what kinds of data there are, why, for how long: the record of processing in plain words."""
    return render(request, "retention/data_public.html", {"activities": processing.activities()})


def asked_at(kind: str, category: Category) -> str:
    """Return the page that asks for a right about a category; only fixed words stand in its address."""
    about = {"kind": kind, "category": category.value}
    return next((f"{url}?{urlencode(about)}" for url in _known(ASKED_AT)), reverse("accounts:tickets"))


def _edited_at(category: Category) -> str:
    return next(iter(_known(EDITED_AT.get(category, ()))), "")


def _known(names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(reverse(name))
        except NoReverseMatch:
            continue
    return found


def _table(kind: Kind, account: Account, at: dt.datetime, limit: int) -> dict[str, Any]:
    """Return one kind of record as its page shows it: head and rows, each value in words."""
    fields = [field for field in shown_fields(kind.model) if not field.is_file]
    rows = [
        (moment(record.at), [_words(kind.model, field, record.fields[field.name]) for field in fields])
        for record in records(kind.model, account.pk, schedule.cutoffs(at), limit=limit)
    ]
    labels = [field.label for field in fields]
    is_wide = len(labels) > COLUMNS
    shown = [(when, list(zip(labels, values, strict=True))) for when, values in rows]
    return {"kind": kind, "labels": labels, "is_wide": is_wide, "rows": shown}


def _words(model: type[models.Model], field: Shown, value: Any) -> Any:
    """Return a value as the page shows it: shortened, masked where the map says so."""
    if value in (None, "", [], {}):
        return _("None")
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, dt.datetime):
        return moment(value)
    choices: dict[Any, Any] = dict(getattr(model._meta.get_field(field.name), "flatchoices", ()))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    text = ", ".join(str(choices.get(part, part)) for part in parts if part not in (None, ""))
    text = masked(text) if field.masked else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
