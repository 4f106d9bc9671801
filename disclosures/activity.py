"""Who looked at a customer's data and what left the company, as far as it may be shown (silence.md, S2, S8).

Looks come from the ledger alone, never a hold; disclosures from the view of those the customer may know of.

Views by roles that work on legal matters stay off the page for everyone until the account's matters are told; the
entry that says so is the only thing asked (S8). Years and pages come from what is shown.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.datamap import Category, Purpose
from accounts.datamap.declaring import Personal
from accounts.roles import Role
from accounts.safeguards.models import LedgerEntry
from disclosures.models import Basis, ToldDisclosure
from retention.telling import ACTIVITY_TOLD

VIEWED = "viewed"
OPENED = "confidential.opened"
# What may be shown.
ACTIONS = (VIEWED, OPENED)
# Roles whose looking could tell of a matter that is not told.
QUIET = (Role.LEGAL, Role.PRIVACY_OFFICER)
# What a role looks at data for: its duty, not the case.
DUTY: Mapping[str, Purpose] = {
    Role.SUPPORT: Purpose.SUPPORT,
    Role.ABUSE_DESK: Purpose.ADMINISTER,
    Role.BILLING: Purpose.INVOICING,
    Role.LEGAL: Purpose.LAW,
    Role.PRIVACY_OFFICER: Purpose.LAW,
    Role.AUDITOR: Purpose.SECURITY,
    Role.ADMINISTRATOR: Purpose.ADMINISTER,
}


# Why something left, in the customer's words.
WHY: Mapping[str, Any] = {
    Basis.CONSENT: _lazy("You agreed to it."),
    Basis.LEGAL_REQUEST: _lazy("A legal request required it."),
    Basis.EMERGENCY: _lazy("Somebody's life was in danger."),
    Basis.ABUSE_CASE: _lazy("A complaint was not answered in time."),
    Basis.COUNTER_NOTICE: _lazy("You sent a counter-notice."),
}


@dataclass(frozen=True)
class Given:
    """One disclosure the customer may know of: when, to whom, which categories, and why."""

    at: dt.datetime
    reference: str
    to: str
    categories: list[Any]
    why: Any


@dataclass(frozen=True)
class Look:
    """One look at the customer's data: when, by whom (roles, never a name), at what, and why."""

    at: dt.datetime
    who: list[str]
    categories: list[Any]
    why: list[Any]
    what: str


def shown(account_id: UUID) -> QuerySet[LedgerEntry]:
    """Return the entries an account's customer may read, newest first."""
    entries = LedgerEntry.objects.filter(subject=account_id)
    told = entries.filter(action=ACTIVITY_TOLD).aggregate(at=Max("at"))["at"]
    quiet = Q()
    for role in QUIET:
        quiet |= Q(body__regex=rf'"roles":\[[^\]]*"{role.value}"')
    open_to_all = ~quiet if told is None else ~quiet | Q(at__lte=told)
    return entries.filter(open_to_all, action__in=ACTIONS).order_by("-at", "-pk")


def given(account_id: UUID) -> QuerySet[ToldDisclosure]:
    """Return what left the company and the customer may know of, newest first."""
    return ToldDisclosure.objects.filter(account=account_id).order_by("-released_at", "-pk")


def in_words(disclosure: ToldDisclosure) -> Given:
    """Return a disclosure in words."""
    return Given(
        at=disclosure.released_at,
        reference=disclosure.reference,
        to=disclosure.recipient_name,
        categories=[Category(name).label for name in disclosure.categories],
        why=WHY.get(disclosure.basis, ""),
    )


def years(entries: QuerySet[LedgerEntry]) -> list[int]:
    """Return the years in which something shown happened, newest first, in the time zone in use."""
    return [found.year for found in entries.datetimes("at", "year", order="DESC")]


def look(entry: LedgerEntry) -> Look:
    """Return an entry in words."""
    facts: dict[str, Any] = json.loads(entry.body)
    roles = [Role(name) for name in facts.get("roles", ()) if name in Role.values]
    if entry.action == OPENED:
        facts.setdefault("categories", [Category.CONFIDENTIAL.value])
    return Look(
        at=entry.at,
        who=[str(role.label) for role in roles] or [_("our staff")],
        categories=[Category(name).label for name in facts.get("categories", ()) if name in Category.values],
        why=list(dict.fromkeys(DUTY[role].label for role in roles)) or [Purpose.SUPPORT.label],
        what=_opened(entry, facts),
    )


def _opened(entry: LedgerEntry, facts: Mapping[str, Any]) -> str:
    """Return what kind of record was open: the data map's word for it."""
    try:
        declared = apps.get_model(str(facts.get("kind", ""))).__dict__.get("personal")
    except (LookupError, ValueError):
        declared = None
    if isinstance(declared, Personal):
        return str(declared.label)
    return _("Confidential information") if entry.action == OPENED else ""
