"""Who an abuse case concerns, on the page of the case: the account, its services, and what else runs about it (P17)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.html import format_html

from accounts import paying
from accounts.admin import amount
from accounts.admin.links import account_link
from accounts.admin_base import ERASED, Eyes, Section
from accounts.models import Account, Person, Service, User
from accounts.roles import may
from accounts.templatetags.portal_tags import moment
from disclosures import striking
from disclosures.models import AbuseCase
from retention import sight
from retention.models import Dispute

SHOWN_SERVICES = 20
NOBODY = "Nobody of ours, or nobody decided yet whom it concerns."


def counts(user: User, at: dt.datetime) -> dict[str, Any]:
    """Return what a query of cases is annotated with for their customers: counts of what this user may know of."""
    of_account = OuterRef("account")
    return {
        "strikes_counted": _count(striking.standing(of_account, at)),
        "holds_known": _count(sight.holds_for(user).active(at).filter(account=of_account)),
        "disputes_open": _count(Dispute.objects.filter(account=of_account, state=Dispute.State.OPEN)),
    }


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("account").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), Value(0))


@dataclass(frozen=True)
class Concerned:
    """The rows of the customer of a case: the owners' names and the services, the one the case is about first."""

    owners: list[Person]
    services: list[Service]


def concerned(user: User, case: AbuseCase) -> Concerned:
    """Fetch whom a case concerns without reading a value: the keys come with those of the rest of the page."""
    if case.account_id is None:
        return Concerned([], [])
    owners = Person.objects.filter(account=case.account_id, user__is_owner=True).order_by("created_at", "pk")
    if not may(user, "accounts.view_service"):
        return Concerned(list(owners), [])
    first = Case(When(pk=case.service, then=0), default=1)
    services = Service.objects.filter(account=case.account_id).order_by(first, "started_at", "pk")
    return Concerned(list(owners), list(services[: SHOWN_SERVICES + 1]))


def card(user: User, case: Any, rows: Concerned) -> list[Section]:
    """Return the customer of a case annotated with `counts`, and their services, as far as this user may see them.

    What is shown of the person is a look at the account, as if its own page had been opened: the ledger has it under
    the account, where the customer reads who looked. It names no case.
    """
    account: Account | None = case.account
    if account is None:
        return [Section("Customer", empty=NOBODY)]
    eyes = Eyes(user)
    sections = [Section("Customer", facts=_facts(eyes, case, account, rows.owners))]
    if may(user, "accounts.view_service"):
        sections.append(_services(eyes, case, rows.services))
    eyes.record(account.pk, account)
    return sections


def _facts(eyes: Eyes, case: Any, account: Account, owners: list[Person]) -> list[tuple[str, Any]]:
    facts = [
        ("Account", account_link(case)),
        ("Owner", ", ".join(eyes.on(person, "name") for person in owners) or ERASED),
        ("State", account.get_state_display()),
        ("Customer since", moment(account.created_at)),
        ("Deletion due", moment(account.due_at) or "not asked for"),
        ("Strikes that count", case.strikes_counted),
        ("Holds", f"{case.holds_known} that your role shows"),
    ]
    if may(eyes.user, "accounts.view_invoice"):
        facts.append(("Still to pay", _owed(account.pk)))
    if may(eyes.user, "retention.view_dispute"):
        facts.append(("Open payment disputes", case.disputes_open))
    return facts


def _owed(account_id: UUID) -> str:
    """Return what is still to pay, by currency."""
    sums: Counter[str] = Counter()
    for invoice, cents in paying.owed(account_id):
        sums[invoice.currency] += cents
    return ", ".join(amount(cents, currency) for currency, cents in sorted(sums.items())) or "nothing"


def _services(eyes: Eyes, case: AbuseCase, found: list[Service]) -> Section:
    room: Any = admin.site.get_model_admin(Service)
    rows = [
        (
            format_html('<a href="{}">{}</a>', room.url_of(one), one.plan),
            eyes.on(one, "name"),
            "yes" if one.pk == case.service else "",
            moment(one.started_at),
            moment(one.ends_at) or "not planned",
        )
        for one in found[:SHOWN_SERVICES]
    ]
    title = "Services" if len(found) <= SHOWN_SERVICES else f"Services, {SHOWN_SERVICES} of them"
    head = ("Plan", "Name", "Concerned", "Since", "Stops")
    return Section(title, head=head, rows=rows)
