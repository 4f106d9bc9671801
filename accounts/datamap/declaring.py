"""How a model declares the personal data it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accounts.datamap.words import Audience, Category, Purpose, Reach

EVERYBODY = frozenset({Audience.CUSTOMER, Audience.STAFF, Audience.LEGAL})
STAFF_ONLY = frozenset({Audience.STAFF, Audience.LEGAL})
NOBODY: frozenset[Audience] = frozenset()


class Ends(StrEnum):
    """How what a table holds comes to an end."""

    # The purge deletes the rows; the table is guarded in the database.
    ROWS = "rows"
    # A register: the row stays as evidence, without a personal value in clear; sealed fields end with their key.
    KEY = "key"


@dataclass(frozen=True)
class Held:
    """One personal field: its label, whether it is required, who may be shown it, what an instrument may reach."""

    label: Any
    required: bool = True
    shown: frozenset[Audience] = EVERYBODY
    reach: Reach = Reach.NEVER
    # A page shows enough of it to recognise what one knows already; the export holds it whole.
    masked: bool = False


@dataclass(frozen=True)
class Personal:
    """The declaration of a model, its attribute `personal`.

    `account`: column with the account's id, on the row itself ("" when the row concerns staff or mails only).
    `time`: column that says when the row came to be; periods of holds and rolling expiry go by it.
    `rolls`: name of a rolling expiry of the schedule, where this table ends earlier than the rest of its category.
    `fields`: the personal fields; `plain`: text fields that are not personal, each with the reason.
    `facts`: labels of what is shown besides (states, numbers, dates), where the name of the column is no plain word.
    """

    category: Category
    label: Any
    time: str
    purposes: tuple[Purpose, ...]
    source: Any
    fields: Mapping[str, Held]
    plain: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    account: str = "account_id"
    ends: Ends = Ends.ROWS
    shown: frozenset[Audience] = EVERYBODY
    rolls: str = ""

    @property
    def clock(self) -> str:
        """Return the name by which the schedule's rolling expiries know this table: its own, or its category's."""
        return self.rolls or self.category.value


@dataclass(frozen=True)
class Foreign:
    """The declaration of a model that is not ours: what keeps it free of personal values, and, where its rows say
    something about a person all the same, what of them is shown.
    """

    label: str
    reason: str
    held: Personal | None = None


_foreign: dict[str, Foreign] = {}


def declare_foreign(label: str, reason: str, held: Personal | None = None) -> None:
    """Declare a model of a library by its label ("app.Model"); `reason` says why nothing personal is clear in it.

    `held` is for what a customer is shown of it: `account` is then the way from a row to the account's id, and `fields`
    name what may be shown, never a secret. The library's table goes with the row it belongs to.
    """
    _foreign[label.lower()] = Foreign(label.lower(), reason, held)


def foreign_entries() -> Mapping[str, Foreign]:
    """Return the declarations of models that are not ours, by lower-case label."""
    return _foreign
