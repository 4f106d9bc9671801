"""Mails to everybody who owns an account: its owner contact first, then each owner at their own address.

One event is told once to each address, and kept once for the account to read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from accounts import mailing, members
from accounts.models import Account
from accounts.safeguards.finding import normalised


def recipients(account_id: UUID, also: Iterable[str] = ()) -> dict[str, str]:
    """Return address by what tells its event from the others': "" for the first, then an owner's id or a number."""
    owners = list(members.owners(account_id).values_list("pk", flat=True))
    theirs = members.addresses(owners)
    wanted = [("", mailing.address_of(account_id))]
    wanted += [(f":{pk}", theirs.get(pk)) for pk in owners]
    wanted += [(f":also-{number}", address) for number, address in enumerate(also)]
    known: dict[str, tuple[str, str]] = {}
    for key, address in wanted:
        if address:
            known.setdefault(normalised("email", address), (key, address))
    return dict(known.values())


def tell(
    account: Account,
    event: str,
    template: mailing.Template,
    context: Mapping[str, Any],
    *,
    also: Iterable[str] = (),
    at: dt.datetime | None = None,
) -> int:
    """Post one mail to each owner, and to the addresses in `also`; return how many were posted now."""
    posted = 0
    for number, (key, address) in enumerate(recipients(account.pk, also).items()):
        message = mailing.mail(account, f"{event}{key}", template, context, to=address, store=not number, at=at)
        posted += message is not None
    return posted
