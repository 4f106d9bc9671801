"""What makes an order worth a second look (P7, P11): declared rules over declared facts, and the score they add up to.

A rule looks only at what is held about the account itself, and at one number from elsewhere: how many orders came from
the same network within the hour, counted in the cache under a keyed hash that ends by itself. No rule knows a name, and
none decides: at the threshold a person does. Every number here is our choice; an operator overrides one by name in the
setting FRAUD_OVERRIDES, with a reason.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ua_parser import parse

from accounts import restricting
from accounts.datamap import Purpose
from accounts.models import Account, Address, Order, PaymentMethod
from accounts.safeguards.calendar import add_business_days

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Number:
    """One number of the rules with its unit; the basis of all of them is our choice, and this is the reason."""

    value: int
    unit: str
    reason: str


NUMBERS = {
    "threshold": Number(50, "points", "one strong sign or two weak ones: what a person would stop at, too"),
    "answer": Number(2, "business days", "how long a customer may wait for a person to look at an order"),
    "hour_of_network": Number(5, "orders an hour", "an office or a family orders less often"),
    "hour_of_account": Number(5, "orders an hour", "who orders for a whole team still does it in one basket"),
    "new_account": Number(24, "hours", "stolen cards are used soon after the account is made"),
    "times_larger": Number(5, "times", "customers grow, but rarely at once"),
    "least_amount": Number(10_000, "cents", "below it nothing is far above what came before, a free trial say"),
    "first_amount": Number(50_000, "cents", "a first order beyond this is rare"),
    "methods": Number(3, "payment methods a day", "whoever tries cards out adds several"),
}
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# As much of an address as one connection usually has.
NETWORK_BITS = {4: 24, 6: 48}
# Families and words of programs that fetch pages without a person; browsers name themselves otherwise.
SCRIPTS = ("bot", "curl", "wget", "python", "requests", "httpx", "scrapy", "java/", "go-http", "libwww", "headless")


def number(name: str) -> int:
    """Return a number of the rules, or its override; one without a reason raises ImproperlyConfigured."""
    override = settings.FRAUD_OVERRIDES.get(name)
    if override is None:
        return NUMBERS[name].value
    value, reason = override
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9 or not str(reason).strip():
        raise ImproperlyConfigured(f"FRAUD_OVERRIDES[{name!r}] needs a whole number above 0 and a reason.")
    return value


@dataclass(frozen=True)
class Facts:
    """All that the rules look at. Amounts in cents."""

    total_cents: int
    account_age: dt.timedelta
    # The largest of the account's accepted orders, if there is one, and how many of its orders were declined.
    largest_accepted: int | None = None
    declined: int = 0
    # Orders within the last hour, this one included.
    from_network: int = 0
    from_account: int = 1
    methods_added: int = 0
    countries: int = 1
    user_agent: str = ""
    referrer: str = ""

    @property
    def is_scripted(self) -> bool:
        """Whether no browser placed it, by its own word."""
        words = self.user_agent.lower()
        return not words or any(script in words for script in SCRIPTS) or parse(self.user_agent).user_agent is None


@dataclass(frozen=True)
class Rule:
    """A rule: what it is called in the record, its points, what staff read, and when it holds."""

    name: str
    points: int
    words: str
    holds: Callable[[Facts], bool]
    # The numbers that the words name.
    numbers: tuple[str, ...] = ()


def _is_large(facts: Facts) -> bool:
    if facts.largest_accepted is None:
        return facts.total_cents > number("first_amount")
    return facts.total_cents > max(number("times_larger") * facts.largest_accepted, number("least_amount"))


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "busy_network",
            30,
            gettext_noop("More than %(hour_of_network)d orders came from this network within an hour."),
            lambda facts: facts.from_network > number("hour_of_network"),
            ("hour_of_network",),
        ),
        Rule(
            "many_orders",
            25,
            gettext_noop("The account placed more than %(hour_of_account)d orders within an hour."),
            lambda facts: facts.from_account > number("hour_of_account"),
            ("hour_of_account",),
        ),
        Rule(
            "new_account",
            20,
            gettext_noop("The account was made less than %(new_account)d hours before."),
            lambda facts: facts.account_age < number("new_account") * HOUR,
            ("new_account",),
        ),
        Rule(
            "large_amount",
            30,
            gettext_noop("The amount is far above the account's earlier orders, or high for a first one."),
            _is_large,
        ),
        Rule(
            "no_browser",
            35,
            gettext_noop("It came from no page, and from a program that is no browser."),
            lambda facts: not facts.referrer and facts.is_scripted,
        ),
        Rule(
            "many_methods",
            30,
            gettext_noop("At least %(methods)d payment methods were added within a day."),
            lambda facts: facts.methods_added >= number("methods"),
            ("methods",),
        ),
        Rule(
            "declined_before",
            30,
            gettext_noop("An earlier order of the account was declined."),
            lambda facts: facts.declined > 0,
        ),
        Rule(
            "two_countries",
            15,
            gettext_noop("The addresses of the account are in different countries."),
            lambda facts: facts.countries > 1,
        ),
    )
}


def is_restricted(account: Account) -> bool:
    """Return whether the customer stopped the use against fraud: then no order is scored, and a person looks at it."""
    return restricting.is_restricted(account.pk, Purpose.FRAUD)


def score(facts: Facts) -> dict[str, int]:
    """Return the points by the name of each rule that holds; their sum is the score."""
    return {rule.name: rule.points for rule in RULES.values() if rule.holds(facts)}


def in_words(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (sentence, points) of recorded reasons; a rule that is gone since is told by its name."""
    found = []
    for name, points in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        rule = RULES.get(name)
        words = _(rule.words) % {each: number(each) for each in rule.numbers} if rule else name
        found.append((words, points))
    return found


def facts_of(account: Account, total_cents: int, signals: Mapping[str, Any], at: dt.datetime) -> Facts:
    """Return the facts of an order about to be placed; `signals` has "ip", "user_agent" and "referrer" as noted.

    Counts this order for its network, so it is asked once per order.
    """
    earlier = Order.objects.filter(account=account).aggregate(
        largest=Max("total_cents", filter=Q(state=Order.State.ACCEPTED)),
        declined=Count("pk", filter=Q(state=Order.State.DECLINED)),
        within_the_hour=Count("pk", filter=Q(placed_at__gt=at - HOUR)),
    )
    addresses = Address.objects.filter(account=account, removed_at=None)
    return Facts(
        total_cents=total_cents,
        account_age=at - account.created_at,
        largest_accepted=earlier["largest"],
        declined=earlier["declined"],
        from_network=_orders_from(signals["ip"]),
        from_account=1 + earlier["within_the_hour"],
        methods_added=PaymentMethod.objects.filter(account=account, created_at__gt=at - DAY).count(),
        countries=len({address.country.upper() for address in addresses}),
        user_agent=signals["user_agent"] or "",
        referrer=signals["referrer"] or "",
    )


def answer_by(placed_at: dt.datetime) -> dt.datetime:
    """Return until when the customer hears about an order in review."""
    day = timezone.localtime(placed_at).date()
    return placed_at + (add_business_days(day, number("answer")) - day)


def network_of(ip: str) -> str:
    """Return the network that an address belongs to, as the counting goes by it."""
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network((address, NETWORK_BITS[address.version]), strict=False))


def _orders_from(ip: str | None) -> int:
    """Count one order for the network of `ip`, and return how many there were within the hour.

    The cache's keys are keyed hashes (settings, KEY_FUNCTION): no address stands in Redis. While it is away the rule
    does not hold; the order is not lost for it.
    """
    if not ip:
        return 0
    key = f"orders from {network_of(ip)}"
    try:
        cache.add(key, 0, timeout=int(HOUR.total_seconds()))
        return int(cache.incr(key))
    except (redis.RedisError, OSError, ValueError) as error:
        log.warning("orders of a network are not counted", error=type(error).__name__)
        return 0
