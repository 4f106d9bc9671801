"""The record of processing (GDPR Art. 30): what the data map declares, joined with the schedule's numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from accounts import datamap
from accounts.datamap import Audience, Category, Purpose
from accounts.datamap.declaring import Held, Personal
from accounts.datamap.records import shown_fields
from retention import schedule


@dataclass(frozen=True)
class Activity:
    """One category: the tables in it, why they are held, from where, who receives them, for how long."""

    category: str
    label: str
    purposes: list[str]
    bases: list[str]
    basis_codes: list[str]
    sources: list[str]
    recipients: list[str]
    rolling_days: int
    kept_years: int
    kept_reason: str
    tables: list[dict[str, Any]]

    @property
    def fields(self) -> list[str]:
        """The labels of all fields a customer is shown, each once."""
        found = [field["label"] for table in self.tables for field in table["fields"] if "customer" in field["shown"]]
        return list(dict.fromkeys(found))

    @property
    def early(self) -> list[dict[str, Any]]:
        """The tables that end earlier than the rest."""
        return [table for table in self.tables if table["rolling_days"] not in {0, self.rolling_days}]


def activities() -> list[Activity]:
    """Return every category that holds data of customers, in the order of the words."""
    held = {**datamap.governed(), **datamap.visible()}
    found = []
    for category in Category:
        entries = {model: entry for model, entry in held.items() if entry.category == category}
        if entries and category in schedule.RULES:
            found.append(_activity(category, entries))
    return found


def as_json() -> list[dict[str, Any]]:
    """Return the record of processing as JSON holds it."""
    return [asdict(activity) for activity in activities()]


def as_markdown() -> str:
    """Return the record of processing as a paper."""
    lines = ["# Record of processing", ""]
    for activity in activities():
        lines += [
            f"## {activity.label}",
            "",
            f"- Purposes: {'; '.join(activity.purposes)}",
            f"- Legal basis: {', '.join(activity.basis_codes)}",
            f"- Source: {', '.join(activity.sources)}",
            f"- Recipients: {', '.join(activity.recipients) or 'none'}",
            f"- Kept: {_kept(activity)}",
            "",
            "| Table | Field | Required | Shown to | Legal reach |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {table['label']} (`{table['table']}`) | {field['label']} | {'yes' if field['required'] else 'no'} "
            f"| {', '.join(field['shown']) or 'nobody'} | {field['reach']} |"
            for table in activity.tables
            for field in table["fields"] or [_nothing()]
        ]
        lines.append("")
    return "\n".join(lines)


def _nothing() -> dict[str, Any]:
    return {"label": "no personal field", "required": False, "shown": [], "reach": "never"}


def _kept(activity: Activity) -> str:
    grace = f"erased {schedule.number('grace')} days after the account closes"
    parts = [f"each record {activity.rolling_days} days" if activity.rolling_days else "while the account is open"]
    if activity.kept_years:
        parts.append(f"{activity.kept_years} years after the newest one {activity.kept_reason}, then erased")
    else:
        parts.append(grace)
    parts += [f"{table['label']}: each record {table['rolling_days']} days" for table in activity.early]
    return "; ".join(parts)


def _activity(category: Category, entries: dict[Any, Personal]) -> Activity:
    rule = schedule.RULES[category]
    purposes = tuple(purpose for entry in entries.values() for purpose in entry.purposes)
    bases = datamap.bases(purposes)
    return Activity(
        category=category.value,
        label=str(category.label),
        purposes=[str(purpose.label) for purpose in Purpose if purpose in purposes],
        bases=[str(basis.label) for basis in bases],
        basis_codes=[basis.value for basis in bases],
        sources=list(dict.fromkeys(str(entry.source) for entry in entries.values())),
        recipients=[f"{one.name} {one.why}" for one in datamap.recipients(category)],
        rolling_days=schedule.number(rule.rolling) if rule.rolling else 0,
        kept_years=schedule.number(rule.keeps) if rule.keeps else 0,
        kept_reason=str(rule.reason),
        tables=[_table(model, entry, rule.rolling) for model, entry in sorted(entries.items(), key=_label)],
    )


def _label(item: tuple[Any, Personal]) -> str:
    return str(item[0]._meta.label_lower)


def _table(model: Any, entry: Personal, rolling: str) -> dict[str, Any]:
    clock = entry.rolls or rolling
    facts = [field.label for field in shown_fields(model)] if Audience.CUSTOMER in entry.shown else []
    fields = [_field(name, held, entry) for name, held in entry.fields.items()]
    known = {field["label"] for field in fields}
    return {
        "table": model._meta.db_table,
        "label": str(entry.label),
        "time": entry.time,
        "rolling_days": schedule.number(clock) if clock else 0,
        "ends": entry.ends.value,
        "fields": fields,
        "facts": [label for label in facts if label not in known],
    }


def _field(name: str, held: Held, entry: Personal) -> dict[str, Any]:
    return {
        "name": name,
        "label": str(held.label),
        "required": held.required,
        "shown": sorted(audience.value for audience in held.shown & entry.shown),
        "reach": held.reach.value,
    }
