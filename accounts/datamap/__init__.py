"""The data map: one declaration per kind of personal data, beside the model's fields (P1).

Everything else is derived from it: what a page shows, what an export holds, what the purge erases and the
verification counts, which tables the database guards. `checks` refuses to start when something that leads to a
subject is undeclared.
"""

from __future__ import annotations

from accounts.datamap.declaring import Ends, Foreign, Held, Personal, declare_foreign
from accounts.datamap.reading import (
    CARRIES_NO_PERSON,
    MOST_COUNTED,
    account_column,
    capped_counts,
    categories,
    children,
    count,
    counts,
    declaration,
    entries,
    foreign,
    governed,
    in_category,
    oldest,
    references,
    remaining,
    rows,
    shown,
    time_column,
    visible,
)
from accounts.datamap.words import Audience, Category, LegalBasis, Purpose, Reach, Recipient, bases, recipients

__all__ = [
    "CARRIES_NO_PERSON",
    "MOST_COUNTED",
    "Audience",
    "Category",
    "Ends",
    "Foreign",
    "Held",
    "LegalBasis",
    "Personal",
    "Purpose",
    "Reach",
    "Recipient",
    "account_column",
    "bases",
    "capped_counts",
    "categories",
    "children",
    "count",
    "counts",
    "declaration",
    "declare_foreign",
    "entries",
    "foreign",
    "governed",
    "in_category",
    "oldest",
    "recipients",
    "references",
    "remaining",
    "rows",
    "shown",
    "time_column",
    "visible",
]
