"""How often the API answers: so many requests a minute for each token, and for each address that names none.

The count is in the cache, by one step that no two requests share. An answer says what is left (`RateLimit-Policy` and
`RateLimit`); a request too many is 429 with `Retry-After`, and was not carried out. IPv6 addresses count by their /64:
one machine has all of it.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Any

from allauth.core import ratelimit as acts
from allauth.core.internal import ratelimit
from allauth.core.internal.httpkit import get_client_ip
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from accounts.models import User

WINDOW_SECONDS = 60
ADDRESS, TOKEN = "anon", "token"  # noqa: S105 - names of rates
# Where a request keeps what its answer says; the middleware of the answers reads it.
NOTED = "_api_limit"


@dataclass(frozen=True)
class Count:
    """One request counted: how many are allowed, how many were made in this window, and when it ends (seconds)."""

    policy: str
    allowed: int
    made: int
    resets_in: int

    @property
    def is_over(self) -> bool:
        """Whether this request is one too many."""
        return self.made > self.allowed

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it."""
        left = max(0, self.allowed - self.made)
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.allowed};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={left};t={self.resets_in}',
        }


class Limit(BaseThrottle):
    """Counts a request by its token, or by its address when it names none."""

    def __init__(self) -> None:
        self.count: Count | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return whether the request may go on."""
        caller = request.user
        if caller is None:
            self.count = count(ADDRESS, address_of(request._request), request._request)
        else:
            self.count = count(TOKEN, str(caller.pk), request._request)
        return not self.count.is_over

    def wait(self) -> float | None:
        """Return in how many seconds the next request is counted anew."""
        return self.count.resets_in if self.count else None


def refuse_too_many_strangers(request: Request) -> None:
    """Count a request that is about to be refused for its missing or wrong token; raise Throttled when it is over.

    Who may not enter never comes to a view's own limits, so it is counted here.
    """
    if getattr(request._request, NOTED, None) is None:
        counted = count(ADDRESS, address_of(request._request), request._request)
        if counted.is_over:
            raise Throttled(wait=counted.resets_in)


def refuse_too_often(request: Request, action: str, by: User) -> None:
    """Count one act of a customer with those of the pages; raise Throttled when it is one too many."""
    if not acts.consume(request._request, action=action, user=by):
        rates = ratelimit.get_rates(app="allauth.account", action=action)
        raise Throttled(wait=max(rate.duration for rate in rates))


def count(policy: str, who: str, request: HttpRequest) -> Count:
    """Count one request of somebody and note the count on the request."""
    now = timezone.now().timestamp()
    key = f"api:{policy}:{who}"
    if cache.add(key, 0, WINDOW_SECONDS):
        cache.set(f"{key}:since", now, WINDOW_SECONDS)
    try:
        made = cache.incr(key)
    except ValueError:  # the window ended between the two steps
        cache.set(key, 1, WINDOW_SECONDS)
        made = 1
    since = cache.get(f"{key}:since", now)
    resets_in = min(WINDOW_SECONDS, max(1, math.ceil(since + WINDOW_SECONDS - now)))
    found = Count(policy, allowed(policy), made, resets_in)
    setattr(request, NOTED, found)
    return found


def allowed(policy: str) -> int:
    """Return how many requests a minute a policy allows: DEFAULT_THROTTLE_RATES, like "600/min"."""
    return int(str(api_settings.DEFAULT_THROTTLE_RATES[policy]).partition("/")[0])


def address_of(request: HttpRequest) -> str:
    """Return the address a request counts by: the one that can be believed, of IPv6 the network of its machine."""
    text = get_client_ip(request) or "unknown"
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return text
    if ip.version == 6 and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(getattr(ip, "ipv4_mapped", None) or ip)
