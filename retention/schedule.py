"""The schedule: the policy as data that reads like the policy (P22, P23, P27, P28).

Per category: what happens while the account is active, what happens after closing, and why. Calendar days and business
days are different units; "law", "norm" and "choice" are told apart. A number appears once, here. An operator overrides
one by name in the setting SCHEDULE_OVERRIDES, with a reason; counsel decides.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from accounts.datamap import Category
from accounts.safeguards.calendar import end_of_year


class Basis(StrEnum):
    """Where a number comes from."""

    LAW = "law"
    NORM = "norm"
    CHOICE = "choice"


@dataclass(frozen=True)
class Number:
    """One number of the schedule, with its unit, basis and source."""

    value: int
    unit: str
    basis: Basis
    source: str


NUMBERS = {
    "grace": Number(30, "calendar days", Basis.CHOICE, "published practice: 30 days"),
    "access": Number(90, "calendar days", Basis.CHOICE, "published practice: 90 days of sign-in history"),
    "invoices": Number(
        7, "years", Basis.CHOICE, "the general federal rule is three years (IRS Topic 305); longest related rule seven"
    ),
    "pause": Number(14, "calendar days", Basis.CHOICE, "clauses.md, P26: a staff pause at most"),
    "provisional": Number(
        10, "business days", Basis.CHOICE, "time to verify a letter; a forged one must not block for good"
    ),
    "preservation": Number(90, "calendar days", Basis.LAW, "18 USC 2703(f)(2)"),
    "review": Number(90, "calendar days", Basis.CHOICE, "silence.md, S4: looked at least every 90 days"),
    "cool_off": Number(24, "hours", Basis.CHOICE, "time for the alarm on a release without its ledger entry"),
    "not_finished": Number(24, "hours", Basis.CHOICE, "silence.md, S6"),
    "code": Number(24, "months", Basis.CHOICE, "11 CCR 7101: records of requests, 24 months"),
    "verify": Number(60, "seconds", Basis.CHOICE, "counting right away revisits every dead row"),
    "ceiling": Number(
        5000, "accounts an hour", Basis.CHOICE, "a mistake that closes everybody is noticed before it erases everybody"
    ),
    "signals": Number(90, "calendar days", Basis.CHOICE, "clauses.md, P7: what an order was placed with expires early"),
    "analytics": Number(90, "calendar days", Basis.CHOICE, "long enough to compare a quarter, no longer (P31)"),
    "secured": Number(
        72, "hours", Basis.CHOICE, "time for the old address to object to a deletion somebody else asked"
    ),
    "email_change": Number(24, "hours", Basis.CHOICE, "time to confirm at both addresses"),
    "invitation": Number(7, "calendar days", Basis.CHOICE, "time to accept an invitation"),
    "export": Number(7, "calendar days", Basis.CHOICE, "published practice: a download link lasts seven days"),
    "code_of_request": Number(24, "hours", Basis.CHOICE, "time to use the code that proves an address"),
    "unverified": Number(14, "calendar days", Basis.CHOICE, "a request nobody proved to be theirs is not kept"),
    "answered": Number(60, "calendar days", Basis.CHOICE, "time to read the answer to a request and to appeal"),
    "dropped": Number(7, "calendar days", Basis.CHOICE, "a withdrawn or expired request needs no words any more"),
    "confirm": Number(10, "business days", Basis.LAW, "11 CCR 7021(a)"),
    "answer": Number(45, "calendar days", Basis.LAW, "11 CCR 7021(b)"),
    "extension": Number(45, "calendar days", Basis.LAW, "11 CCR 7021(b): once, with the reason"),
    "answer_gdpr": Number(1, "months", Basis.LAW, "GDPR Art. 12(3)"),
    "extension_gdpr": Number(2, "months", Basis.LAW, "GDPR Art. 12(3): with the reason, told in the first month"),
    "opt_out": Number(15, "business days", Basis.LAW, "11 CCR 7026"),
    "request_records": Number(24, "months", Basis.LAW, "11 CCR 7101"),
    "matching": Number(2, "facts", Basis.LAW, "11 CCR 7062: reasonable degree of certainty"),
    "matching_high": Number(3, "facts", Basis.LAW, "11 CCR 7062: high degree of certainty"),
    "consent": Number(365, "calendar days", Basis.CHOICE, "a consent is asked for anew after a year"),
    # what leaves the company
    "notice": Number(7, "calendar days", Basis.NORM, "published practice: tell the customer a week before"),
    "silence": Number(45, "calendar days", Basis.CHOICE, "silence.md, S13: by our own choice, at most"),
    "approval": Number(24, "hours", Basis.CHOICE, "an approval binds to what was looked at today"),
    "delivery": Number(7, "calendar days", Basis.CHOICE, "time to open the link of a delivery, once"),
    "incident": Number(
        72, "hours", Basis.CHOICE, "815 ILCS 530/10: the most expedient time possible, without a number"
    ),
    "packet": Number(30, "calendar days", Basis.CHOICE, "time to answer questions about what was delivered"),
    # figures that are published
    "transparency": Number(30, "calendar days", Basis.CHOICE, "time to count what came late in a half-year"),
    "band": Number(500, "letters", Basis.LAW, "50 USC 1874(a): bands of 500, half-yearly"),
    "storm": Number(30, "calendar days", Basis.CHOICE, "reports about one source within a month are one matter"),
    # Abuse cases: told, answered, put back.
    "material": Number(24, "hours", Basis.CHOICE, "17 USC 512(c)(1)(C): expeditiously, without a number"),
    "answer_urgent": Number(24, "hours", Basis.CHOICE, "published practice of hosts: 24 to 72 hours"),
    "answer_soon": Number(2, "business days", Basis.CHOICE, "published practice of hosts: 24 to 72 hours"),
    "answer_notice": Number(5, "business days", Basis.CHOICE, "time to read a claim and to ask somebody"),
    "answer_due": Number(30, "calendar days", Basis.CHOICE, "clauses.md, P17: an answer is due for 30 days at most"),
    "settled": Number(14, "calendar days", Basis.NORM, "published practice: a remedied case closes after 14 days"),
    "forward": Number(2, "business days", Basis.CHOICE, "17 USC 512(g)(2)(B): promptly, without a number"),
    "put_back_from": Number(10, "business days", Basis.LAW, "17 USC 512(g)(2)(C): not less than 10"),
    "put_back": Number(11, "business days", Basis.CHOICE, "between 10 and 14 business days"),
    "put_back_latest": Number(14, "business days", Basis.LAW, "17 USC 512(g)(2)(C): not more than 14"),
    "strikes": Number(3, "strikes", Basis.CHOICE, "17 USC 512(i)(1)(A): repeat infringers, without a number"),
    "strike": Number(365, "calendar days", Basis.CHOICE, "a strike ages out after a year"),
    "appeal": Number(30, "calendar days", Basis.CHOICE, "published practice: 20 days to 6 months to appeal"),
    "case_kept": Number(1095, "calendar days", Basis.CHOICE, "three years after closing: claims about a case"),
    "images": Number(48, "hours", Basis.LAW, "PL 119-12: intimate images are removed within 48 hours"),
    "child_report": Number(24, "hours", Basis.CHOICE, "18 USC 2258A(a): as soon as reasonably possible"),
    "child_kept": Number(1, "years", Basis.LAW, "18 USC 2258A(h): contents of a report"),
    # Legal requests: received, checked, answered.
    "objection": Number(14, "calendar days", Basis.LAW, "FRCP 45(d)(2)(B): or the time to comply, if that is earlier"),
    "removed": Number(1, "calendar days", Basis.CHOICE, "the daily sweep deletes what was removed and nothing covers"),
}
DAY = dt.timedelta(days=1)
SECONDS = {"calendar days": 86_400, "business days": 86_400, "hours": 3_600, "seconds": 1}
# Everything that follows the grace period scales with it, so that a trial of two minutes behaves like production.
SCALED = {"grace", "pause", "provisional", "review", "cool_off", "not_finished", "verify", "removed", "secured"}


def number(name: str) -> int:
    """Return a number of the schedule, or its override; one without a reason raises ImproperlyConfigured."""
    override = settings.SCHEDULE_OVERRIDES.get(name)
    if override is None:
        return NUMBERS[name].value
    value, reason = override
    if not isinstance(value, int) or not 0 < value < 10_000 or not str(reason).strip():
        raise ImproperlyConfigured(f"SCHEDULE_OVERRIDES[{name!r}] needs a number from 1 to 9999 and a reason.")
    return value


def scale() -> float:
    """Return how this set-up's grace period compares with the schedule's."""
    return float(settings.GRACE_SECONDS) / (NUMBERS["grace"].value * 86_400)


def span(name: str) -> dt.timedelta:
    """Return a length of time of the schedule, scaled where it follows the grace period."""
    if name == "grace":
        return dt.timedelta(seconds=settings.GRACE_SECONDS)
    length = dt.timedelta(seconds=number(name) * SECONDS[NUMBERS[name].unit])
    return length * scale() if name in SCALED else length


def limits() -> dict[str, int]:
    """Return what the triggers go by, in seconds; written to the database by the owner role."""
    return {name: max(1, int(span(name).total_seconds())) for name in ("grace", "pause", "cool_off", "case_kept")}


@dataclass(frozen=True)
class Rule:
    """What happens to one category. `rolling`: expires while active; `keeps`: kept longer than the grace period."""

    category: Category
    rolling: str = ""
    keeps: str = ""
    reason: Any = ""


RULES = {
    rule.category: rule
    for rule in (
        Rule(Category.IDENTITY),
        Rule(Category.CONTACT),
        Rule(Category.CREDENTIALS),
        Rule(Category.BILLING),
        Rule(Category.INVOICES, keeps="invoices", reason=_("so that we can answer tax authorities")),
        Rule(Category.SERVICES),
        Rule(Category.NETWORK),
        Rule(Category.ORDERS),
        Rule(Category.ACCESS, rolling="access"),
        Rule(Category.ANALYTICS, rolling="analytics"),
        Rule(Category.SUPPORT),
        Rule(Category.CORRESPONDENCE),
        Rule(Category.CONSENT),
        Rule(Category.NOTICES),
        Rule(Category.BUSINESS),
        Rule(Category.CONFIDENTIAL),
    )
}

# Tables that expire earlier than the rest of their category, by the name they declare.
ROLLING_TABLES = ("signals",)

# What an unsatisfied agreement and a payment dispute cover: what is needed to settle them, nothing else (P25, P26).
AGREEMENT_COVERS = (Category.IDENTITY, Category.CONTACT, Category.BILLING, Category.INVOICES, Category.SERVICES)
# What is kept while the answer to a notice of abuse is due (P17).
ANSWER_COVERS = (Category.CONTACT, Category.SERVICES, Category.NETWORK, Category.NOTICES)
DISPUTE_COVERS = (*AGREEMENT_COVERS, Category.ACCESS)


def cutoffs(at: dt.datetime) -> dict[str, dt.datetime]:
    """Return per category or table with a rolling expiry the earliest time still kept at `at` (silence.md, S7)."""
    tables = {name: at - span(name) for name in ROLLING_TABLES}
    return {rule.category.value: at - span(rule.rolling) for rule in RULES.values() if rule.rolling} | tables


def kept_until(category: str, newest: dt.datetime | None, due_at: dt.datetime) -> dt.datetime:
    """Return when a category ends: with the grace period, or years after its newest row, at the end of that year."""
    rule = RULES[Category(category)]
    if not rule.keeps or newest is None:
        return due_at
    years = number(rule.keeps)
    last = end_of_year(dt.date(newest.year + years, 1, 1))
    return max(due_at, dt.datetime.combine(last + DAY, dt.time(), tzinfo=dt.UTC))
