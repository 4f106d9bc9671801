"""Drives schemathesis over the API's own description: made-up requests, right and wrong, by each kind of caller.

Requests go through the WSGI application of this process. Every answer must be one the description names, in its type
and shape, and never an error of the server. What the description cannot say (an e-mail address that is none, a text
that looks like a card number) may be refused although it fits, so that alone is not held against an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import schemathesis
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as conformance

from accounts import granting, issuing, scopes
from accounts.keys.identifiers import uuid7
from accounts.models import User
from chicagocloud.wsgi import application
from tests.cast import make_staff

SCHEMA = "/api/schema/?format=json"
ANONYMOUS, SYSTEM, CUSTOMER = "nobody", "system", "customer"
# What is asked of every answer.
ASKED = [
    not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.response_schema_conformance,
    conformance.negative_data_rejection,
    conformance.missing_required_header,
    conformance.unsupported_method,
    conformance.allow_header_conformance,
]


@dataclass
class Round:
    """What one round of requests came to: statuses by caller and operation, and what was not as described."""

    asked: int = 0
    statuses: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Round) -> Round:
        return Round(self.asked + other.asked, self.statuses + other.statuses, self.wrong + other.wrong)

    @property
    def server_errors(self) -> int:
        """How many answers were an error of the server."""
        return sum(number for (_who, _what, status), number in self.statuses.items() if status >= 500)

    @property
    def faults(self) -> dict[str, int]:
        """How often each kind of answer was not as described: who, what, and the first line of what is wrong."""
        return dict(Counter(one.partition("\n")[0] for one in self.wrong))

    def by_status(self) -> dict[int, int]:
        """Return how many answers had each status."""
        found: Counter[int] = Counter()
        for (_who, _what, status), number in self.statuses.items():
            found[status] += number
        return dict(sorted(found.items()))


def load() -> Any:
    """Return the API's description as schemathesis reads it; who calls is ours to say, not made up."""
    load_all_checks()
    described = Client().get(SCHEMA).json()
    for item in described["paths"].values():
        for operation in item.values():
            del operation["security"]
    found = schemathesis.openapi.from_dict(described)
    found.app = application
    return found


def secrets_of(owner: User) -> dict[str, str | None]:
    """Return a token of each kind that carries every scope its kind can, and none."""
    systems, customers = (list(scopes.carried_by(holder)) for holder in (scopes.Holder.SYSTEM, scopes.Holder.CUSTOMER))
    _token, system = issuing.issue("fuzz", systems, by=make_staff(f"fuzz-{uuid4().hex[:8]}", "administrator"), days=30)
    _own, customer = granting.grant(owner, name="fuzz", scopes=customers, days=30, networks=(), submission=uuid7())
    return {ANONYMOUS: None, SYSTEM: system, CUSTOMER: customer}


def play(owner: User, each: int) -> Round:
    """Send made-up requests to every operation, right and wrong: `each` by who may, a quarter by who may not."""
    tokens, round_ = secrets_of(owner), Round()
    assert owner.account is not None
    for operation in operations(load()):
        for who, secret in tokens.items():
            number = each if who == may(operation) else max(1, each // 4)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _play(operation, mode, (who, secret), number, owner.account.number, round_)
    return round_


def may(operation: Any) -> str:
    """Return which kind of caller can carry the scope of an operation."""
    holder = scopes.SCOPES[operation.definition.raw["x-required-scope"]].holder
    return CUSTOMER if holder == scopes.Holder.CUSTOMER else SYSTEM


def operations(schema: Any) -> Iterator[Any]:
    """Yield every operation of the description."""
    for found in schema.get_all_operations():
        yield found.ok()


def _play(
    operation: Any, mode: GenerationMode, caller: tuple[str, str | None], each: int, number: str, round_: Round
) -> None:
    who, secret = caller
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    @settings(
        max_examples=each,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        if mode == GenerationMode.POSITIVE and round_.asked % 2:
            _name(case, number)
        cache.clear()
        answer = case.call(headers=headers)
        round_.asked += 1
        round_.statuses[who, operation.label, answer.status_code] += 1
        try:
            case.validate_response(answer, checks=ASKED, headers=headers)
        except FailureGroup as failures:
            round_.wrong += [f"{who}, {operation.label}: {one} {answer.status_code}" for one in failures.exceptions]

    with suppress(Unsatisfiable):  # an operation without parameters has nothing to make up wrongly
        send()


def _name(case: Any, number: str) -> None:
    """Let a request name an account there is: made-up numbers meet none."""
    if "number" in case.path_parameters:
        case.path_parameters["number"] = number
    if isinstance(case.body, dict) and "account" in case.body:
        case.body["account"] = number
