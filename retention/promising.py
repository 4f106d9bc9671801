"""Until when each category of an account is kept, for whoever shows it: numbers of the schedule, never a hold.

While an account is open its data is kept until it is deleted, and what rolls ends record by record. Of a closed account
each category has its date.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Max

from accounts.datamap import Category
from accounts.models import Account, Invoice
from retention.schedule import RULES, kept_until, number


def kept(account: Account, category: str) -> tuple[dt.datetime | None, int | None]:
    """Return (until when a closed account's category is kept, after how many days each of its records ends)."""
    rule = RULES[Category(category)]
    days = number(rule.rolling) if rule.rolling else None
    if account.due_at is None:
        return None, days
    newest = (
        Invoice.objects.filter(account=account).aggregate(newest=Max("issued_at"))["newest"] if rule.keeps else None
    )
    return kept_until(category, newest, account.due_at), days
