"""The data map: one declaration per kind of personal data, beside the model's fields (P1).

Everything else is derived from it: what a page shows, what an export holds, what the purge erases and the
verification counts, which tables the database guards. `checks` refuses to start when something that leads to a
subject is undeclared.
"""

from __future__ import annotations

from accounts.datamap.declaring import Ends, Foreign, Held, Personal, declare_foreign
from accounts.datamap.reading import (
    CARRIES_NO_PERSON,
    account_column,
    categories,
    children,
    count,
    counts,
    entries,
    foreign,
    governed,
    in_category,
    references,
    remaining,
    rows,
    shown,
    time_column,
)
from accounts.datamap.words import Audience, Category, Purpose, Reach

__all__ = [
    "CARRIES_NO_PERSON",
    "Audience",
    "Category",
    "Ends",
    "Foreign",
    "Held",
    "Personal",
    "Purpose",
    "Reach",
    "account_column",
    "categories",
    "children",
    "count",
    "counts",
    "declare_foreign",
    "entries",
    "foreign",
    "governed",
    "in_category",
    "references",
    "remaining",
    "rows",
    "shown",
    "time_column",
]
