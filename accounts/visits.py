"""Page visits (P5, P31): which page was shown, cut of everything that is not needed to improve the pages.

First-party only, no cookie, no identifier. Somebody who is not signed in leaves the name of the page and the time.
For an account the network is kept too, the address cut to /24 or /48 before it is stored. `Sec-GPC: 1`, `DNT: 1` and an
objection to this use mean that nothing is stored. The one reader is the staff's page of counts.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from uuid import UUID

import redis
import structlog
from allauth.core.internal.httpkit import get_client_ip
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.datamap import Purpose
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Account, PageVisit, Restriction, User
from accounts.safeguards.finding import derived_key

log = structlog.get_logger(__name__)

# Networks that are kept of an address; the rest is cut off.
KEPT_BITS = {4: 24, 6: 48}
# A page with fewer visits than this is not counted out: single visits could be guessed (clauses.md, P31).
FEWEST = 10
# How many weeks back staff may look: less than the visits are kept.
WEEKS = 8
# Where visits wait to be stored; beyond so many the oldest are given up.
QUEUE = "page visits"
MOST_WAITING, BATCH = 10_000, 500
LONGEST_NAME = 60
# Pages of other systems and of staff are not analytics of the portal's pages.
LEFT_OUT = ("admin:", "api:")
NOT_PAGES = frozenset({"health"})


@dataclass(frozen=True)
class Use:
    """How often a page was shown; `visits` is None where it was fewer than `FEWEST` times."""

    page: str
    visits: int | None


def asks_not_to(request: HttpRequest) -> bool:
    """Return whether the browser asks not to be followed: Global Privacy Control or Do Not Track."""
    return request.headers.get("Sec-GPC") == "1" or request.headers.get("DNT") == "1"


def network_of(address: str | None) -> str | None:
    """Return the network of an address with the rest cut off ("203.0.113.0/24"), or None for what is no address."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return str(ipaddress.ip_network(f"{found}/{KEPT_BITS[found.version]}", strict=False))


def is_counted(request: HttpRequest, response: HttpResponse) -> bool:
    """Return whether this answer is a page shown to a visitor who may be counted."""
    match = request.resolver_match
    return (
        request.method == "GET"
        and response.status_code == 200
        and response.headers.get("Content-Type", "").startswith("text/html")
        and match is not None
        and bool(match.view_name)
        and match.view_name not in NOT_PAGES
        and not match.view_name.startswith(LEFT_OUT)
        and not asks_not_to(request)
    )


def note(request: HttpRequest, at: dt.datetime | None = None) -> None:
    """Put one visit of the page that was shown into the queue; a page never waits or fails for its visit.

    What waits there is sealed, and is stored by `store` within seconds; with Redis away the visit is not counted.
    """
    user = request.user
    if isinstance(user, User) and user.is_staff:
        return
    account_id = user.account_id if isinstance(user, User) else None
    assert request.resolver_match is not None  # noqa: S101 - is_counted looked
    visit = {
        "account": str(account_id) if account_id else None,
        "page": request.resolver_match.view_name[:LONGEST_NAME],
        "network": network_of(get_client_ip(request)) if account_id else None,
        "at": (at or timezone.now()).isoformat(),
    }
    try:
        waiting = queue()
        waiting.rpush(QUEUE, _sealed(visit))
        waiting.ltrim(QUEUE, -MOST_WAITING, -1)
    except (redis.RedisError, OSError) as error:
        log.info("a page visit was not counted", error=type(error).__name__)


def store() -> int:
    """Store the visits that wait, but for accounts that objected meanwhile or are erased; return how many."""
    stored = 0
    while taken := queue().lpop(QUEUE, BATCH):
        rows = [row for box in taken if (row := _read(cast("bytes", box))) is not None]
        accounts = {row.account_id for row in rows if row.account_id}
        objected = set(
            Restriction.objects.filter(account__in=accounts, purpose=Purpose.LAYOUT, lifted_at=None).values_list(
                "account", flat=True
            )
        )
        for account_id in [None, *sorted(accounts - objected)]:
            stored += _store_those([row for row in rows if row.account_id == account_id])
    return stored


def _store_those(rows: list[PageVisit]) -> int:
    try:
        with keyring(), transaction.atomic():
            PageVisit.objects.bulk_create(rows)
    except (DatabaseError, KeyDestroyed) as error:
        # An account that was erased meanwhile takes no new rows; nothing of its visits is kept.
        log.info("page visits were not stored", error=type(error).__name__, visits=len(rows))
        return 0
    return len(rows)


def _read(box: bytes) -> PageVisit | None:
    """Return the visit that lies in a box; None for one that does not open, which the others must not go with."""
    try:
        return _row(_opened(box))
    except (InvalidTag, ValueError, KeyError, TypeError) as error:
        log.warning("a page visit cannot be read", error=type(error).__name__)
        return None


def _row(visit: dict[str, Any]) -> PageVisit:
    account = UUID(visit["account"]) if visit["account"] else None
    return PageVisit(
        account_id=account, page=visit["page"], network=visit["network"], at=dt.datetime.fromisoformat(visit["at"])
    )


@cache
def queue() -> redis.Redis:
    """Return the client of the queue; it waits for nothing longer than a quarter second."""
    location = settings.CACHES["default"]["LOCATION"]
    return redis.Redis.from_url(location, socket_timeout=0.25, socket_connect_timeout=0.25)


def _sealed(visit: dict[str, Any]) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(derived_key("page visits")).encrypt(nonce, json.dumps(visit).encode(), None)


def _opened(box: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(AESGCM(derived_key("page visits")).decrypt(box[:12], box[12:], None))
    return found


def weeks(at: dt.datetime, number: int = WEEKS) -> list[dt.datetime]:
    """Return the Mondays (00:00 UTC) on which the last `number` whole weeks before `at` began, newest first.

    Whole weeks that do not overlap: from two spans that do, one visit could be told by subtraction.
    """
    day = at.astimezone(dt.UTC).date()
    monday = dt.datetime.combine(day - dt.timedelta(days=day.weekday()), dt.time(), tzinfo=dt.UTC)
    return [monday - dt.timedelta(weeks=back) for back in range(1, number + 1)]


def use(monday: dt.datetime, at: dt.datetime | None = None) -> list[Use]:
    """Return how often each page was shown in a week, most often first; small numbers are hidden.

    Visits of accounts past their due date are in no count, whether or not something holds them (silence.md, S9).
    """
    countable = Q(account=None) | Q(account__in=Account.objects.signing_in(at or timezone.now()))
    found = PageVisit.objects.filter(countable, at__gte=monday, at__lt=monday + dt.timedelta(weeks=1))
    counted = sorted(found.values_list("page").annotate(n=Count("pk")), key=lambda row: (-row[1], row[0]))
    shown = [Use(page, n) for page, n in counted if n >= FEWEST]
    return shown + sorted((Use(page, None) for page, n in counted if n < FEWEST), key=lambda each: each.page)
