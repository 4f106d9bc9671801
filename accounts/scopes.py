"""What a token may open: one table of scopes, each with its words and with who may carry it.

A view names its scope (`required_scope`), a token carries some. Other systems' tokens and customers' own tokens
never carry each other's scopes: what a customer's token opens is always that customer's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_lazy as _


class Holder(StrEnum):
    """Who carries a scope: another system (billing, shop, provisioning) or a customer."""

    SYSTEM = "system"
    CUSTOMER = "customer"


@dataclass(frozen=True)
class Scope:
    """One scope: its name, what it opens in words that follow "may", and who may carry it."""

    name: str
    opens: Any
    holder: Holder


_TABLE = (
    Scope("accounts:read", "read the state and dates of an account", Holder.SYSTEM),
    Scope("accounts:write", "register customers", Holder.SYSTEM),
    Scope("disputes:write", "report payment disputes", Holder.SYSTEM),
    Scope("invoices:read", "read invoices", Holder.SYSTEM),
    Scope("invoices:write", "issue invoices and report payments", Holder.SYSTEM),
    Scope("orders:read", "read orders", Holder.SYSTEM),
    Scope("orders:write", "place orders", Holder.SYSTEM),
    Scope("reports:read", "see how the reports of abuse stand that it handed in", Holder.SYSTEM),
    Scope("reports:write", "hand in reports of abuse", Holder.SYSTEM),
    Scope("services:read", "read services and their IP addresses", Holder.SYSTEM),
    Scope("services:write", "report services and their IP addresses", Holder.SYSTEM),
    Scope("data:read", _("Read what we hold about you"), Holder.CUSTOMER),
    Scope("export:read", _("See how far your exports are"), Holder.CUSTOMER),
    Scope("export:write", _("Ask for an export"), Holder.CUSTOMER),
    Scope("consents:read", _("Read what you agreed to"), Holder.CUSTOMER),
    Scope("consents:write", _("Take a consent back"), Holder.CUSTOMER),
    Scope("requests:read", _("Read your privacy requests"), Holder.CUSTOMER),
    Scope("requests:write", _("Make privacy requests"), Holder.CUSTOMER),
)
SCOPES = MappingProxyType({scope.name: scope for scope in _TABLE})


def carried_by(holder: Holder) -> dict[str, Any]:
    """Return the scopes of a kind of token: words by name, as a form offers them."""
    return {scope.name: scope.opens for scope in _TABLE if scope.holder == holder}


def unknown(names: Iterable[str], holder: Holder) -> set[str]:
    """Return which of the names are no scope that this kind of token can carry."""
    return set(names) - set(carried_by(holder))


def of(view: Any, method: str | None = None) -> str | None:
    """Return the scope a view asks for: one for all it does, or one by method; None lets nobody in.

    A view says `required_scope = "orders:write"`, or `required_scope = {"GET": "orders:read", "POST": "orders:write"}`.
    """
    wanted = getattr(view, "required_scope", None)
    if not isinstance(wanted, dict):
        return wanted if isinstance(wanted, str) else None
    method = method or getattr(getattr(view, "request", None), "method", None) or ""
    return wanted.get("GET" if method == "HEAD" else method)
