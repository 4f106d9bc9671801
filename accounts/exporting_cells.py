"""Values as JSON, as cells of a CSV and as words of a page: nothing in them that a spreadsheet or browser would run."""

from __future__ import annotations

import datetime as dt
import html
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


def lines_of_json(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> str:
    """Return records as lines of JSON, by hand: a million dictionaries would cost as much as all the rest.

    `columns` are the ids, the times as text, and the values of `names`.
    """
    keys = "".join(f",{_text(name).replace('%', '%%')}:%s" for name in names)
    line = f'{{"id":"%s","at":"%s"{keys}}}'
    values = [[_text(v) if v.__class__ is str else _other(v) for v in column] for column in columns[2:]]
    return ",\n".join(map(line.__mod__, zip(*columns[:2], *values, strict=True)))


_text = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def _other(value: Any) -> str:
    return "null" if value is None else _encode(plain(value))


def cell(value: Any) -> str:
    """Return a value as a cell: what a spreadsheet would run is marked as text, wherever a cell may begin in it."""
    if value is None:
        return ""
    if value.__class__ is not str:
        value = plain(value)
        value = _encode(value) if isinstance(value, dict | list) else str(value)
    # Most cells begin with a letter or a digit, and nothing in them would begin a formula.
    if value[:1].isalnum() and not AGAIN.search(value):
        return str(value)
    return RUNS.sub(rf"\1{MARK}\2", value)


def lines_of_csv(columns: Sequence[Sequence[Any]]) -> str:
    """Return records as lines of cells, each quoted, with the line ends of RFC 4180.

    `columns` are the ids and the times as text, in which nothing is to be marked, and the values.
    """
    line = '"%s","%s"' + ",%s" * (len(columns) - 2) + "\r\n"
    return "".join(map(line.__mod__, zip(*columns[:2], *map(_quoted, columns[2:]), strict=True)))


def _quoted(column: Sequence[Any]) -> list[str]:
    """Return each value of a column as a quoted cell; most stand in a column more than once."""
    made = _Cells()
    return [made[value] if value.__class__ is str else _quote(cell(value)) for value in column]


class _Cells(dict[str, str]):
    """The cells of a column by their values, each made once."""

    def __missing__(self, value: str) -> str:
        made = self[value] = _quote(cell(value))
        return made


def _quote(text: str) -> str:
    twice = text.replace('"', '""')
    return f'"{twice}"'


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
