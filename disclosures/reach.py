"""What may leave on which ground, field by field (18 USC 2702, 2703, 2709; FRCP 45; 17 USC 512(h); P16, P20, P29, P30).

A field reaches as far as the data map says of it, an instrument as far as the table below: a packet can never hold more
than both. An IP address with its time is a connection record, a user agent is not. Dates and numbers that are no
personal field of their own but part of an item, as the length of service, stand in `PLAIN`; every other time is a
record. `tests/reach.csv` says the same cell by cell and is reviewed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from accounts import datamap
from accounts.datamap import Audience, Category, Reach
from accounts.datamap.reading import Model
from accounts.models import Account
from disclosures.models import Basis, Instrument
from disclosures.models.consents import SHAREABLE

SUBSCRIBER = frozenset({Reach.NAME, Reach.ADDRESS, Reach.CONNECTIONS, Reach.SERVICE, Reach.NUMBER, Reach.PAYMENT})
IDENTITY = frozenset({Reach.NAME, Reach.ADDRESS, Reach.NUMBER})
WHO = frozenset({Category.IDENTITY, Category.CONTACT})
# Sign-in data leave on no ground; what a court compels of these two goes by a recorded compulsion only (P29, P30).
NEVER = frozenset({Category.CREDENTIALS, Category.LEGAL})
COMPELLED = frozenset({Category.BUSINESS, Category.CONFIDENTIAL})
EVERYTHING = frozenset(Category) - NEVER - COMPELLED
# Length of service is one of the items of a national security letter; the type of service is none.
LENGTH_ONLY = frozenset({"accounts.account.created_at", "accounts.account.closed_at"})


@dataclass(frozen=True)
class Ground:
    """How far something reaches: kinds of field, of which categories, by which law; whether it can compel the rest."""

    law: str
    kinds: frozenset[Reach] = frozenset()
    categories: frozenset[Category] = EVERYTHING
    compels: bool = False
    also: frozenset[str] = frozenset()


_SUBPOENA = Ground("18 USC 2703(c)(2)", SUBSCRIBER)
INSTRUMENTS: Mapping[str, Ground] = MappingProxyType(
    {
        Instrument.GRAND_JURY_SUBPOENA.value: _SUBPOENA,
        Instrument.ADMINISTRATIVE_SUBPOENA.value: _SUBPOENA,
        Instrument.GOVERNMENT_SUBPOENA.value: _SUBPOENA,
        Instrument.CIVIL_SUBPOENA.value: Ground("FRCP 45; 18 USC 2702(c)(6)", SUBSCRIBER | {Reach.RECORD}),
        Instrument.COURT_ORDER.value: Ground("18 USC 2703(d)", SUBSCRIBER | {Reach.RECORD}, compels=True),
        Instrument.SEARCH_WARRANT.value: Ground(
            "18 USC 2703(a), (c)(1)(A)", SUBSCRIBER | {Reach.RECORD, Reach.CONTENT}, compels=True
        ),
        # Name, address and length of service; a host has no toll records (18 USC 2709(b)).
        Instrument.NATIONAL_SECURITY_LETTER.value: Ground(
            "18 USC 2709(b)", frozenset({Reach.NAME, Reach.ADDRESS}), WHO, also=LENGTH_ONLY
        ),
        Instrument.PRESERVATION.value: Ground("18 USC 2703(f): preserves, and reaches nothing"),
        Instrument.EMERGENCY.value: Ground("18 USC 2702(b)(8), (c)(4)", SUBSCRIBER | {Reach.RECORD, Reach.CONTENT}),
        Instrument.SUBPOENA_512H.value: Ground("17 USC 512(h)(3)", IDENTITY, WHO),
        Instrument.FOREIGN.value: Ground("18 USC 2523: nothing without an agreement"),
    }
)
# Silence after a complaint opens the contact, to the complainant alone (P17). A counter-notice goes as it was signed,
# and nothing else of the account (17 USC 512(g)(2)(B)).
CASES: Mapping[str, Ground] = MappingProxyType(
    {
        Basis.ABUSE_CASE.value: Ground(
            "the policy's clause on complaints (P17)", IDENTITY, frozenset({Category.CONTACT})
        ),
        Basis.COUNTER_NOTICE.value: Ground("17 USC 512(g)(2)(B)", categories=frozenset({Category.NOTICES})),
    }
)
SIGNED = frozenset(
    {
        *(f"disclosures.counternotice.{name}" for name in ("statement", "name", "address", "phone", "email")),
        "disclosures.counternotice.signature",
        "disclosures.counternotice.reason",
        "disclosures.counternotice.signed_at",
        "disclosures.abusenoticeitem.number",
        "disclosures.abusenoticeitem.location",
    }
)
# How somebody was reached before is not how they are reached.
FORMER = frozenset({"accounts.emailchange"})
# What others asked of us about the customer, and what was answered, is no message of theirs to share.
NOT_SHARED = frozenset({"disclosures.noticecopy", "disclosures.noticechallenge"})
# What belongs to an item though it names nobody: numbers and times, by model and column.
PLAIN: Mapping[str, Mapping[str, Reach]] = MappingProxyType(
    {
        "accounts.account": {
            "number": Reach.NUMBER,
            "created_at": Reach.SERVICE,
            "closed_at": Reach.SERVICE,
        },
        "accounts.service": {
            "plan": Reach.SERVICE,
            "started_at": Reach.SERVICE,
            "stops_at": Reach.SERVICE,
            "closing_stops_at": Reach.SERVICE,
        },
        "accounts.ipassignment": {"assigned_at": Reach.NUMBER, "ended_at": Reach.NUMBER},
        "accounts.accessevent": {"at": Reach.CONNECTIONS, "kind": Reach.CONNECTIONS},
        "accounts.acceptance": {"accepted_at": Reach.CONNECTIONS},
        "accounts.ordersignals": {"noted_at": Reach.CONNECTIONS},
        "disclosures.consentgrant": {"given_at": Reach.CONNECTIONS, "withdrawn_at": Reach.CONNECTIONS},
        "accounts.paymentmethod": {"provider": Reach.PAYMENT},
        "accounts.payment": {"paid_at": Reach.PAYMENT, "amount_cents": Reach.PAYMENT},
        "accounts.invoice": {"number": Reach.RECORD, "total_cents": Reach.RECORD},
        "accounts.order": {"reference": Reach.RECORD, "total_cents": Reach.RECORD},
        "disclosures.abusenoticeitem": {"number": Reach.RECORD},
        "disclosures.counternotice": {"reason": Reach.RECORD, "signed_at": Reach.RECORD},
    }
)


@dataclass(frozen=True)
class Field:
    """One field that may leave: "accounts.contact.email", what it is, and of which category."""

    model: Model
    name: str
    category: Category
    kind: Reach
    is_shown: bool

    @property
    def key(self) -> str:
        """Return its name in packets, tables and the list of what is left out."""
        return f"{self.model._meta.label_lower}.{self.name}"


def fields() -> list[Field]:
    """Return every field of the map that could leave on any ground, in the order of the categories."""
    found = [Field(Account, name, Category.IDENTITY, kind, True) for name, kind in PLAIN["accounts.account"].items()]
    for model, entry in datamap.governed().items():
        if entry.category in NEVER:
            continue
        found += [
            Field(model, name, entry.category, held.reach, Audience.CUSTOMER in held.shown)
            for name, held in entry.fields.items()
        ]
        plain = dict(PLAIN.get(model._meta.label_lower, {}))
        # When a row came to be is a record about the subscriber, unless it is part of an item.
        plain.setdefault(entry.time, Reach.RECORD)
        found += [Field(model, name, entry.category, kind, True) for name, kind in plain.items()]
    order = list(Category)
    return sorted(found, key=lambda field: (order.index(field.category), field.model._meta.label_lower, field.key))


def of_instrument(instrument: str) -> dict[str, str]:
    """Return what an instrument may reach: each field's kind by its key, "compelled" where two people record why."""
    ground = INSTRUMENTS[instrument]
    found = {}
    for field in fields():
        if ground.compels and field.category in COMPELLED:
            found[field.key] = "compelled"
        elif (field.category in ground.categories and field.kind in ground.kinds) or field.key in ground.also:
            found[field.key] = field.kind.value
    return found


def of_basis(basis: str, instrument: str = "") -> dict[str, str]:
    """Return what a disclosure on this basis may hold at most: why, by the key of the field."""
    if basis in {Basis.LEGAL_REQUEST, Basis.EMERGENCY}:
        return of_instrument(instrument)
    if basis == Basis.CONSENT:
        return {
            field.key: "consent"
            for field in fields()
            if field.is_shown and field.category in SHAREABLE and field.model._meta.label_lower not in NOT_SHARED
        }
    if basis == Basis.COUNTER_NOTICE:
        return {field.key: "signed" for field in fields() if field.key in SIGNED}
    if basis in CASES:
        ground = CASES[basis]
        return {
            field.key: "complaint"
            for field in fields()
            if field.category in ground.categories
            and field.kind in ground.kinds
            and field.model._meta.label_lower not in FORMER
        }
    return {}


def law_of(basis: str, instrument: str = "") -> str:
    """Return the law or the ground a disclosure stands on, in its own words."""
    if basis in {Basis.LEGAL_REQUEST, Basis.EMERGENCY}:
        return INSTRUMENTS[instrument].law
    return CASES[basis].law if basis in CASES else "consent of the customer (P20)"


def categories(instrument: str) -> list[Category]:
    """Return the categories of which an instrument may reach anything."""
    reached = of_instrument(instrument)
    found = {field.category for field in fields() if field.key in reached}
    return [category for category in Category if category in found]
