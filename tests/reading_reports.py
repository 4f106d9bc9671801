"""What a report said, as plain values to compare with a table: everything that is not empty, times as text."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from disclosures.reports.shape import Evidence, Hint, Problem, Report

HERE = Path(__file__).parent
OWN = HERE / "samples_of_reports"
EXPECTED: dict[str, dict[str, Any]] = json.loads((HERE / "reports_expected.json").read_text())
# Long or raw: looked at by phrases and by paths instead.
APART = {"text", "fields", "content_hash", "headers"}


def said(value: Any) -> Any:
    """Return a value of a report as plain values, without what is empty."""
    if isinstance(value, dt.datetime):
        assert value.utcoffset() == dt.timedelta(), "a time is not in UTC"
        return value.isoformat()
    if isinstance(value, Hint):
        return [value.kind, value.value]
    if isinstance(value, Problem):
        return [value.code, value.where] if value.where else [value.code]
    if isinstance(value, Evidence):
        return [value.content_type, value.filename, value.description]
    if isinstance(value, tuple | list):
        return [said(one) for one in value]
    if is_dataclass(value):
        plain = {field.name: said(getattr(value, field.name)) for field in fields(value) if field.name not in APART}
        return {name: one for name, one in plain.items() if one not in ("", [], {}, None, False)}
    return str(value) if isinstance(value, str) else value


def summary(report: Report) -> dict[str, Any]:
    """Return what a report said; whether its reporter may be named stands there only when not."""
    plain: dict[str, Any] = said(report)
    if report.may_forward_reporter:
        plain.pop("may_forward_reporter")
    else:
        plain["may_forward_reporter"] = False
    return plain


def at(value: Any, path: str) -> Any:
    """Return what stands at a path such as `Infringement.Case.ID` or `original.Subject.0`."""
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
