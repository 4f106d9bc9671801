"""Restrictions and objections: a use of somebody's data that has to stop, per purpose (P21, P31).

`USES` is the table of purposes: who stops, and whether the portal grants the stop by itself or staff decide because
something the customer pays for may end with it. Whoever uses data for a purpose asks `is_restricted` first, one query
by an index; whoever reads accounts anyway asks `stopped` as a part of that query, at no further one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.models import Account, Restriction
from accounts.safeguards import ledger

Ground = Restriction.Ground


@dataclass(frozen=True)
class Use:
    """One purpose that can be stopped. `stops`: what ends, in the customer's words; `by`: the module that looks."""

    purpose: Purpose
    is_automatic: bool
    may_end_services: bool
    by: str
    stops: Any


USES = {
    use.purpose: use
    for use in (
        Use(Purpose.LAYOUT, True, False, "page visits", _("We store no page visits of yours any more.")),
        Use(Purpose.FRAUD, False, False, "order scores", _("No rule scores your orders. A person looks at each one.")),
        Use(Purpose.SHARING, True, False, "consents", _("We share nothing of yours with partners.")),
        Use(Purpose.MARKETING, True, False, "consents", _("We send you no news and offers.")),
        Use(Purpose.SUPPORT, False, False, "support", _("We use your messages for nothing but this request.")),
        Use(Purpose.SERVICES, False, True, "services", _("We stop to provide services, so they may end.")),
        Use(Purpose.INVOICING, False, True, "invoices", _("We send no invoices, so services may end.")),
        Use(Purpose.ADMINISTER, False, True, "services", _("We stop to administer services, so they may end.")),
    )
}
# Neither may be stopped by the customer: what protects the account, and what the law requires (GDPR Art. 18(2)).
NEVER = (Purpose.SECURITY, Purpose.LAW)


def is_restricted(account_id: UUID, purpose: Purpose | str) -> bool:
    """Return whether the customer stopped this use of their data; one query by an index."""
    return Restriction.objects.standing([account_id], Purpose(purpose).value).exists()


def refuse(account_id: UUID, purpose: Purpose | str) -> None:
    """Raise NotActionable when the customer stopped this use of their data."""
    if is_restricted(account_id, purpose):
        raise NotActionable(f"The customer stopped this use of their data: {USES[Purpose(purpose)].by}.")


def stopped(purpose: Purpose | str, account: str = "pk") -> Exists:
    """Return the same as a condition of a query whose column `account` names the account."""
    standing = Restriction.objects.filter(purpose=Purpose(purpose).value, lifted_at=None)
    return Exists(standing.filter(account=OuterRef(account)))


def is_automatic(purposes: Iterable[str]) -> bool:
    """Return whether the portal grants the stop of all these uses by itself."""
    uses = [USES.get(Purpose(purpose)) for purpose in purposes]
    return bool(uses) and all(use is not None and use.is_automatic for use in uses)


def place(
    account_id: UUID,
    purposes: Iterable[str],
    *,
    ground: Ground,
    by: str,
    request: UUID | None = None,
    at: dt.datetime | None = None,
) -> list[Restriction]:
    """Stop these uses, in the caller's transaction if there is one; what is stopped already stays as it is.

    Raises NotActionable for a purpose that nobody can stop.
    """
    at = at or timezone.now()
    wanted = sorted({Purpose(purpose).value for purpose in purposes})
    if unknown := [purpose for purpose in wanted if Purpose(purpose) not in USES]:
        raise NotActionable(f"The use {unknown[0]} cannot be stopped: the law or the account's safety needs it.")
    with transaction.atomic():
        Account.objects.locked([account_id]).get()
        standing = set(Restriction.objects.filter(account=account_id, lifted_at=None).values_list("purpose", flat=True))
        placed = [
            Restriction.objects.create(account_id=account_id, purpose=purpose, ground=ground, request=request, since=at)
            for purpose in wanted
            if purpose not in standing
        ]
        if placed:
            names = [restriction.purpose for restriction in placed]
            ledger.record(by, "use.restricted", account_id, at=at, purposes=names, ground=ground.value, request=request)
    return placed


def lift(account_id: UUID, purpose: str, *, by: str, at: dt.datetime | None = None) -> bool:
    """Allow a use again, by the wish of its account; return whether there was something to lift."""
    at = at or timezone.now()
    with transaction.atomic():
        Account.objects.locked([account_id]).get()
        lifted = Restriction.objects.standing([account_id], purpose).update(lifted_at=at)
        if lifted:
            ledger.record(by, "use.allowed", account_id, at=at, purposes=[Purpose(purpose).value])
    return bool(lifted)


def standing(account_id: UUID) -> list[Restriction]:
    """Return what the customer stopped and has not allowed again, oldest first."""
    return list(Restriction.objects.filter(account=account_id, lifted_at=None).order_by("since", "pk"))
