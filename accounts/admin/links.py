"""Links between records of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html


def account_link(record: Any) -> str:
    """Return a link to the customer card a record belongs to, by number."""
    card: Any = admin.site.get_model_admin(type(record.account))
    return format_html('<a href="{}">{}</a>', card.url_of(record.account), record.account.number)
