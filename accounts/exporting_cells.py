"""Values as JSON, as cells of a CSV and as words of a page: nothing in them that a spreadsheet or browser would run."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

# What a spreadsheet takes for the beginning of a formula, in full width too; also after what may begin a cell anew.
RUNS = re.compile(r"(^|[;\r\n])([ \"']*)(?=[=+\-@\t\r\x00\uff1d\uff0b\uff0d\uff20])")
AGAIN = re.compile(r"[;\r\n][ \"']*[=+\-@\t\r\x00\uff1d\uff0b\uff0d\uff20]")
MARK = "'"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: times in UTC, the rest as it is or as its words."""
    if value is None or isinstance(value, bool | int | float | str | dict | list):
        return value
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC).isoformat()[:-6]}Z"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return str(value)


def lines_of_json(names: Sequence[str], rows: Sequence[tuple[Any, dt.datetime, Sequence[Any]]]) -> list[str]:
    """Return each record as one line of JSON, by hand: a million dictionaries would cost as much as all the rest."""
    keys = [f",{_text(name)}:" for name in names]
    return [
        f'{{"id":"{row_id}","at":"{_moment(at)}"'
        + "".join([key + (_text(v) if v.__class__ is str else _other(v)) for key, v in zip(keys, values, strict=True)])
        + "}"
        for row_id, at, values in rows
    ]


_text = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def _other(value: Any) -> str:
    return "null" if value is None else _encode(plain(value))


def _moment(at: dt.datetime) -> str:
    text = at.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else str(plain(at))


def cell(value: Any) -> str:
    """Return a value as a cell: what a spreadsheet would run is marked as text, wherever a cell may begin in it."""
    if value is None:
        return ""
    if value.__class__ is not str:
        value = _moment(value) if isinstance(value, dt.datetime) else plain(value)
        value = _encode(value) if isinstance(value, dict | list) else str(value)
    # Most cells begin with a letter or a digit, and nothing in them would begin a formula.
    if value[:1].isalnum() and not AGAIN.search(value):
        return str(value)
    return RUNS.sub(rf"\1{MARK}\2", value)


def lines_of_csv(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows of cells, each quoted, with the line ends of RFC 4180."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([[cell(v) for v in row] for row in rows])
    return out.getvalue()


def words(value: Any) -> str:
    """Return a value as escaped text of a page."""
    value = plain(value)
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return html.escape(", ".join(str(part) for part in value.values() if part))
    if isinstance(value, list):
        return html.escape(", ".join(str(part) for part in value))
    return html.escape(str(value))
