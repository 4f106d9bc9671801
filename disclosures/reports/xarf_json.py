"""JSON from outside, read within limits: nothing is built of a text that nests or counts beyond them."""

from __future__ import annotations

import json
import re
from typing import Any

from disclosures.reports.values import (
    Problems,
    clean,
)

MAX_DEPTH = 30
MAX_FIELDS = 10_000
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]|,', re.DOTALL)


def load(text: str, problems: Problems) -> dict[str, Any] | None:
    """Return the object a JSON text holds, or None with the reason. Of a key that comes twice the first counts."""
    if refused := _over_limit(text):
        problems.add(refused)
        return None

    def first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                problems.add("json_duplicate_key")
            found.setdefault(clean(name, most=200), value)
        return found

    try:
        # Big numbers and NaN are kept as text: no store takes them.
        value = json.loads(text, object_pairs_hook=first, parse_constant=str, parse_int=_whole, parse_float=_fraction)
    except (ValueError, RecursionError):
        problems.add("json_broken")
        return None
    if not isinstance(value, dict):
        problems.add("json_unknown")
        return None
    return {name: _cleaned(inner) for name, inner in value.items()}


def _over_limit(text: str) -> str:
    """Return the code of the limit a JSON text passes, or nothing: brackets and commas are counted beforehand."""
    depth = count = 0
    for match in TOKEN.finditer(text):
        sign = match.group()[0]
        count += sign != '"'
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAX_DEPTH:
            return "json_too_deep"
        if count > MAX_FIELDS:
            return "json_too_large"
    return ""


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= 18 else text


def _fraction(text: str) -> float | str:
    value = float(text)
    return value if abs(value) < 1e300 else text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, most=16 * 1024 * 1024)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return {name: _cleaned(one) for name, one in value.items()} if isinstance(value, dict) else value
