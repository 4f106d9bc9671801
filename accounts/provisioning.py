"""Services as provisioning makes them (P10): the account has the service then, and the ledger says who made it.

Who may: whoever provisions, which the door checks. A repeat with the same id returns what the first one made.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import restricting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Account, Service, State
from accounts.recording import CATEGORY_GONE
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number


@dataclass(frozen=True)
class Terms:
    """What is sold, and for how long: a minimum term, paid in advance until, and an end that is fixed already."""

    plan: str
    monthly_cents: int = 0
    started_at: dt.datetime | None = None
    term_ends_at: dt.datetime | None = None
    paid_until: dt.datetime | None = None
    stops_at: dt.datetime | None = None


def provision(
    account_id: UUID,
    name: str,
    terms: Terms,
    *,
    by: str,
    order: UUID | None = None,
    service_id: UUID | None = None,
    at: dt.datetime | None = None,
) -> Service:
    """Make a service of an active account and return it; with a `service_id` that is there, that one as it is.

    Raises ValidationError for a name or terms that cannot be, NotActionable when the account is closed or its customer
    stopped this use, or the id is another service's.
    """
    at = at or timezone.now()
    refuse_card_number(name)
    started = terms.started_at or at
    if any(end is not None and end <= started for end in (terms.term_ends_at, terms.stops_at)):
        raise ValidationError(_("A service ends after it started. Give a later date."), code="order_of_dates")
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        known = Service.objects.filter(pk=service_id).first() if service_id else None
        if known is not None:
            return _same(known, account, name, terms)
        if account.state != State.ACTIVE:
            raise NotActionable(f"Account {account.number} is {account.state}; only an active one is given services.")
        restricting.refuse(account.pk, Purpose.SERVICES)
        service = Service(
            id=service_id or uuid7(),
            account=account,
            name=name,
            plan=terms.plan,
            monthly_cents=terms.monthly_cents,
            started_at=started,
            term_ends_at=terms.term_ends_at,
            paid_until=terms.paid_until,
            stops_at=terms.stops_at,
            order=order,
        )
        _insert(service, account)
        ledger.record(by, "service.provisioned", account.pk, at=at, service=service.pk, order=order)
    return service


def _same(known: Service, account: Account, name: str, terms: Terms) -> Service:
    if (known.account_id, known.plan) != (account.pk, terms.plan) or known.name != name:
        raise NotActionable(f"Service {known.pk} is another one already; nothing was made.")
    return known


def _insert(service: Service, account: Account) -> None:
    gone = NotActionable(f"The services of account {account.number} are deleted; none can be made.")
    try:
        with transaction.atomic():
            service.save(force_insert=True)
    except KeyDestroyed:
        raise gone from None
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") != CATEGORY_GONE:
            raise
        raise gone from None
