"""Page use: how often each page was shown in a week, and nothing about single visits (P31)."""

from __future__ import annotations

import datetime as dt

from accounts import visits
from accounts.admin_base import Section

ACT = "accounts.view_page_use"
TITLE = "Page use"
HIDDEN = f"fewer than {visits.FEWEST}"


def tables(at: dt.datetime) -> list[Section]:
    """Return a table of counts for each of the last whole weeks, newest first."""
    return [
        Section(
            f"Week from Monday, {monday:%-d %B %Y}",
            head=("Page", "Times shown"),
            rows=[(each.page, HIDDEN if each.visits is None else each.visits) for each in visits.use(monday, at)],
            empty="No visit was counted.",
        )
        for monday in visits.weeks(at)
    ]
