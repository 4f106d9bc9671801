"""Questions to the data map. `rows` is the one function for page and verification: counts agree by construction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast
from uuid import UUID

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import Count, Min, Value

from accounts.datamap.declaring import Ends, Foreign, Personal, foreign_entries
from accounts.datamap.words import Audience, Category

# Columns of these types cannot hold a person's words.
CARRIES_NO_PERSON = (
    models.AutoField,
    models.BooleanField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,
    models.UUIDField,
    models.ForeignKey,
)
Model = type[models.Model]
# A page counts this far; who wants to know exactly gets it from an export.
MOST_COUNTED = 10_000


def entries() -> dict[Model, Personal]:
    """Return every declared model of ours with its declaration, in a stable order."""
    found = {m: m.__dict__["personal"] for m in apps.get_models() if isinstance(m.__dict__.get("personal"), Personal)}
    return dict(sorted(found.items(), key=lambda item: item[0]._meta.label_lower))


def foreign() -> Mapping[str, Foreign]:
    """Return the declared models of libraries by label."""
    return foreign_entries()


def declaration(model: Model) -> Personal:
    """Return what a model declares, or what is declared of a library's model that customers are shown."""
    entry = model.__dict__.get("personal")
    if not isinstance(entry, Personal):
        entry = foreign()[model._meta.label_lower].held
    if entry is None:
        raise KeyError(f"{model._meta.label} declares nothing that is shown.")
    return entry


def visible() -> dict[Model, Personal]:
    """Return the models whose rows a customer is shown, a library's included, by category and label."""
    ours = {model: entry for model, entry in governed().items() if Audience.CUSTOMER in entry.shown}
    theirs = {apps.get_model(one.label): one.held for one in foreign().values() if one.held is not None}
    order = list(Category)
    found = {**ours, **theirs}
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].category), item[0]._meta.label_lower)))


def governed() -> dict[Model, Personal]:
    """Return the models whose rows the purge erases and the database guards, children before their parents."""
    ours = {model: entry for model, entry in entries().items() if entry.ends == Ends.ROWS and entry.account}
    return {model: ours[model] for model in _children_first(tuple(ours))}


def in_category(category: str) -> list[Model]:
    """Return the governed models of a category, children first."""
    return [model for model, entry in governed().items() if entry.category == category]


def account_column(model: Model) -> str:
    """Return the database column that holds the account's id."""
    return str(cast(Any, model._meta.get_field(entries()[model].account.removesuffix("_id"))).column)


def time_column(model: Model) -> str:
    """Return the database column of the row's time."""
    return str(cast(Any, model._meta.get_field(entries()[model].time)).column)


def rows(model: Model, account_ids: Iterable[UUID]) -> models.QuerySet[Any]:
    """Return all rows of a governed model that belong to the accounts."""
    manager = cast(Any, model)._base_manager
    return cast("models.QuerySet[Any]", manager.filter(**{f"{declaration(model).account}__in": list(account_ids)}))


def shown(model: Model, account_id: UUID, cutoffs: Mapping[str, dt.datetime]) -> models.QuerySet[Any]:
    """Return the rows a customer may see: not removed and not past the schedule, whether or not the sweep has run.

    `cutoffs` gives the earliest time still kept per category or table with a rolling expiry (silence.md, S7).
    """
    found = rows(model, [account_id])
    if any(field.name == "removed_at" for field in model._meta.fields):
        found = found.filter(removed_at=None)
    entry = declaration(model)
    if entry.clock in cutoffs:
        found = found.filter(**{f"{entry.time}__gte": cutoffs[entry.clock]})
    return found


def count(account_ids: Iterable[UUID], category: str) -> dict[UUID, int]:
    """Return the number of rows of a category per account; accounts without rows are absent."""
    ids = list(account_ids)
    totals: dict[UUID, int] = {}
    for model in in_category(category):
        column = entries()[model].account
        for account_id, number in rows(model, ids).values_list(column).annotate(n=Count("pk")).order_by():
            totals[account_id] = totals.get(account_id, 0) + number
    return totals


def remaining(pairs: Iterable[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Return which of the (account, category) pairs have any row left, in one statement."""
    wanted: dict[str, list[UUID]] = {}
    for account_id, category in pairs:
        wanted.setdefault(category, []).append(account_id)
    parts = [
        rows(model, wanted[entry.category])
        .annotate(in_category=Value(entry.category.value, output_field=models.CharField()))
        .order_by()
        .values_list(entry.account, "in_category")
        .distinct()
        for model, entry in governed().items()
        if entry.category in wanted
    ]
    return set(parts[0].union(*parts[1:])) if parts else set()


def counts(account_ids: Iterable[UUID], cutoffs: Mapping[str, dt.datetime]) -> dict[str, int]:
    """Return the number of rows a customer may see per category, of all the accounts together."""
    ids = list(account_ids)
    totals = {entry.category.value: 0 for entry in governed().values()}
    # One statement for all tables: a page that shows the counts may not ask once per table.
    parts = [
        shown(model, account_id, cutoffs)
        .annotate(in_category=Value(entry.category.value, output_field=models.CharField()))
        .values("in_category")
        .annotate(n=Count("pk"))
        .order_by()
        .values_list("in_category", "n")
        for model, entry in governed().items()
        if Audience.CUSTOMER in entry.shown
        for account_id in ids
    ]
    for category, number in parts[0].union(*parts[1:], all=True) if parts else ():
        totals[category] += number
    return totals


def capped_counts(account_id: UUID, cutoffs: Mapping[str, dt.datetime], models_: Iterable[Model]) -> dict[Model, int]:
    """Return the number of rows a customer may see per model, counted to one more than `MOST_COUNTED` and no further.

    One statement, and as quick for a million rows as for none: a page says "more than", and an export counts them all.
    """
    parts, params, wanted = [], list[Any](), list(models_)
    for number, model in enumerate(wanted):
        some = shown(model, account_id, cutoffs).order_by().values("pk")[: MOST_COUNTED + 1]
        try:
            sql, given = some.query.sql_with_params()
        except EmptyResultSet:
            continue
        parts.append(f"SELECT {number}, count(*) FROM ({sql}) AS found")  # noqa: S608 - Django's own SQL
        params += given
    found = dict.fromkeys(wanted, 0)
    if parts:
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), params)
            found |= {wanted[number]: rows_ for number, rows_ in cursor.fetchall()}
    return found


def oldest(account_id: UUID, cutoffs: Mapping[str, dt.datetime], models_: Iterable[Model]) -> dict[Model, dt.datetime]:
    """Return the time of the oldest row still shown per model with a rolling expiry; models without rows are absent."""
    rolling = [model for model in models_ if declaration(model).clock in cutoffs]
    parts = [
        shown(model, account_id, cutoffs)
        .annotate(table=Value(model._meta.label_lower, output_field=models.CharField()))
        .values("table")
        .annotate(first=Min(declaration(model).time))
        .order_by()
        .values_list("table", "first")
        for model in rolling
    ]
    found = dict(parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]) if parts else {}
    return {model: found[model._meta.label_lower] for model in rolling if found.get(model._meta.label_lower)}


def categories() -> list[Category]:
    """Return the categories that have governed tables, in the order of the words."""
    used = {entry.category for entry in governed().values()}
    return [category for category in Category if category in used]


@cache
def _children_first(ours: tuple[Model, ...]) -> list[Model]:
    ordered: list[Model] = []

    def visit(model: Model) -> None:
        if model in ordered:
            return
        for other in ours:
            if other is not model and model in {parent for _, parent, _ in references(other)}:
                visit(other)
        ordered.append(model)

    for model in ours:
        visit(model)
    return ordered


def references(model: Model) -> list[tuple[str, Model, str]]:
    """Return (column, model referred to, its column) of the references that the database enforces."""
    return [
        (str(field.column), field.remote_field.model, str(field.target_field.column))
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", True)
    ]


def children(model: Model) -> list[tuple[str, str, str]]:
    """Return (table, column, column referred to) of the governed tables that refer to a governed model."""
    return [
        (other._meta.db_table, column, key)
        for other in governed()
        for column, parent, key in references(other)
        if parent is model
    ]
