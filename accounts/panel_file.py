"""Reads a panel's export record by record, so that no bad line costs another one.

UTF-8 with or without a byte order mark, any line ends, line breaks inside quotes. A record that is no CSV, or has
another number of columns than the header, gives up its first line only: what follows is read anew. Line numbers are
those of the file, the header being line 1.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from accounts.panel_rows import COLUMNS, Fault

# A field beyond it is no field but an unclosed quote.
LONGEST_FIELD = 64 * 1024


class NotAnExport(Exception):
    """The file as a whole cannot be read; the text says what it lacks."""


@dataclass(frozen=True)
class Record:
    """One record: its line, and its values by column, or the fault that refuses it."""

    line: int
    row: dict[str, str] | None
    fault: Fault | None = None


def records(file: BinaryIO) -> Iterator[Record]:
    """Yield the records of a file that is open for reading bytes; raise NotAnExport before the first one."""
    csv.field_size_limit(LONGEST_FIELD)
    # What is no UTF-8 is carried along, so that it refuses its own row.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        parts = _parts(text)
        header = _header(next(parts, None))
        for line, fields in parts:
            # An empty line is none.
            if fields != []:
                yield _record(line, fields, header)
    finally:
        # The file is the caller's to close.
        text.detach()


def _header(first: tuple[int, list[str] | None] | None) -> list[str]:
    names = [name.strip() for name in (first[1] if first else None) or []]
    if missing := [column for column in COLUMNS if column not in names]:
        raise NotAnExport(f"The header lacks {', '.join(missing)}. Export the clients with all columns, as UTF-8 CSV.")
    if len(set(names)) != len(names):
        raise NotAnExport("The header names a column twice. Export the clients again.")
    return names


def _record(line: int, fields: list[str] | None, header: list[str]) -> Record:
    if fields is None:
        return Record(line, None, Fault("", "is no CSV: a quote is not closed, or stands inside a field"))
    if len(fields) != len(header):
        return Record(line, None, Fault("", f"has {len(fields)} columns instead of {len(header)}"))
    row = dict(zip(header, fields, strict=True))
    for column, value in row.items():
        # Carried along by "surrogateescape".
        if not value.isascii() and any("\udc80" <= letter <= "\udcff" for letter in value):
            return Record(line, None, Fault(column if column in COLUMNS else "", "is no UTF-8 text"))
    return Record(line, row)


def _parts(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str] | None]]:
    """Yield (line, fields or None for no CSV); the first record sets how many columns there are."""
    waiting: deque[str] = deque()
    line, columns = 1, 0

    def feed(taken: list[str]) -> Iterator[str]:
        while (one := waiting.popleft() if waiting else next(text, None)) is not None:
            taken.append(one)
            yield one

    while True:
        taken: list[str] = []
        fields: list[str] | None
        try:
            fields = next(csv.reader(feed(taken), strict=True))
        except StopIteration:
            return
        except csv.Error:
            fields = None
        columns = columns or len(fields or ())
        if len(taken) > 1 and (fields is None or len(fields) != columns):
            waiting.extendleft(reversed(taken[1:]))
            fields, taken = None, taken[:1]
        yield line, fields
        line += len(taken)
