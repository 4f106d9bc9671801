"""What an export holds: each kind of record as JSON and CSV, pages to browse, files as files, a manifest of hashes.

Made from the data map alone, written in one pass from the walk over the records, so that a million rows need no more
memory than two thousand.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import html
import json
import re
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from django.utils.translation import gettext as _

from accounts import datamap
from accounts.datamap import Audience, Category
from accounts.datamap.columns import Columns, written
from accounts.datamap.records import Shown, file, kept_back, shown_fields
from accounts.exporting_cells import lines_of_csv, lines_of_json, words
from accounts.exporting_pieces import PieceWriter

# A page of more rows than this is no pleasure to browse: all of them stand in the JSON and CSV files.
ROWS_ON_A_PAGE = 1_000
FORMATS = ("json", "csv")
FILE_NAMES = ("file_name", "name")
# A little is saved by more, at several times the cost.
COMPRESSION = 1
LAW = "The law can require us to keep or hand over more than this page shows, and can forbid us to say so."
STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{border:1px solid #888;padding:.3rem .5rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}"
)


class Table(NamedTuple):
    """One kind of record in the file: its model, its words, the folder and name of its files."""

    model: Any
    category: Category
    label: str
    stem: str


# A record as the page shows it: id, time, values.
Row = tuple[Any, ...]


class Left(NamedTuple):
    """Something that is not included, and why."""

    what: str
    why: str


def tables(categories: Iterable[str]) -> list[Table]:
    """Return the kinds of record of some categories, in the order of the categories."""
    wanted = set(categories)
    return [
        Table(model, entry.category, str(entry.label), f"{entry.category.value}/{model._meta.model_name}")
        for model, entry in datamap.visible().items()
        if entry.category in wanted
    ]


def not_included(categories: Iterable[str]) -> list[Left]:
    """Return what an export of some categories leaves out, each with its reason, in plain words."""
    wanted = set(categories)
    back = sorted({label for table in tables(wanted) for label in kept_back(table.model)})
    inside = sorted(
        str(entry.label)
        for entry in datamap.governed().values()
        if entry.category in wanted and Audience.CUSTOMER not in entry.shown
    )
    left = [Left(label, _("We keep this for our own work or as a code nobody can read back.")) for label in back]
    left += [Left(label, _("This is how the portal or our staff work, not data you gave us.")) for label in inside]
    others = [str(category.label) for category in datamap.categories() if category not in wanted]
    if others:
        left.append(Left(", ".join(others), _("You did not choose it.")))
    past = _("Once a record has passed its time we do not show it, and we delete it.")
    return [*left, Left(_("Records past the time we keep them"), past)]


class Archive:
    """A ZIP that is written from front to back, with the hash of each file in it."""

    def __init__(self, out: PieceWriter) -> None:
        self.zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)
        self.hashes: dict[str, dict[str, Any]] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[str | bytes], None]]:
        """Open a file of the archive; yields what writes to it."""
        digest, size = hashlib.sha256(), 0
        with self.zip.open(name, "w", force_zip64=True) as inside:

            def write(content: str | bytes) -> None:
                nonlocal size
                content = content.encode() if isinstance(content, str) else content
                digest.update(content)
                size += len(content)
                inside.write(content)

            yield write
        self.hashes[name] = {"sha256": digest.hexdigest(), "bytes": size}


def write(
    out: PieceWriter,
    account_id: UUID,
    categories: Iterable[str],
    formats: Iterable[str],
    cutoffs: Mapping[str, dt.datetime],
    *,
    number: str,
    at: dt.datetime,
    progress: Callable[[int], None],
) -> None:
    """Write the whole archive; `progress` is told how many rows each batch had."""
    archive = Archive(out)
    wanted, formats = tables(categories), set(formats)
    counts: dict[str, int] = {}
    try:
        for table in wanted:
            counts[table.stem] = _write_table(archive, table, account_id, formats, cutoffs, progress)
        if "json" in formats:
            with archive.member("index.html") as put:
                put(_index(wanted, counts, categories, number, at))
        with archive.member("manifest.json") as put:
            put(_manifest(archive, counts, categories, number, at))
        archive.zip.close()
    except BaseException:
        out.drop()
        raise


def _write_table(
    archive: Archive,
    table: Table,
    account_id: UUID,
    formats: set[str],
    cutoffs: Mapping[str, dt.datetime],
    progress: Callable[[int], None],
) -> int:
    fields = shown_fields(table.model)
    files: dict[str, tuple[Any, str]] = {}
    total = 0
    if "json" in formats:
        batches = _batches(table, account_id, fields, cutoffs, files)
        total, first = _write_json(archive, table, fields, batches, progress)
        with archive.member(f"{table.stem}.html") as put:
            put(_page(table, fields, first, total))
    if "csv" in formats:
        total = _write_csv(archive, table, fields, _batches(table, account_id, fields, cutoffs, files), progress)
    for place, (row_id, name) in files.items():
        content = file(table.model, account_id, row_id, name)
        if content is not None:
            with archive.member(place) as put:
                put(content)
    return total


def _batches(
    table: Table,
    account_id: UUID,
    fields: list[Shown],
    cutoffs: Mapping[str, dt.datetime],
    found: dict[str, tuple[Any, str]],
) -> Iterator[Columns]:
    """Yield the columns with one of places for each file, and note in `found` whose file belongs there."""
    names = [field.name for field in fields if not field.is_file]
    files = [field.name for field in fields if field.is_file]
    for columns in written(table.model, account_id, cutoffs, names):
        places = [_places(table, columns, names, name) for name in files]
        for name, column in zip(files, places, strict=True):
            found |= {place: (row_id, name) for row_id, place in zip(columns[0], column, strict=True) if place}
        yield [*columns, *places]


def _places(table: Table, columns: Columns, names: list[str], name: str) -> list[str | None]:
    rows = zip(*columns, strict=True)
    return [_place(table, row_id, dict(zip(names, values, strict=True)), name) for row_id, _at, *values in rows]


def _place(table: Table, row_id: Any, known: Mapping[str, Any], name: str) -> str | None:
    """Return where the file of a row stands in the archive; None for a row that has none."""
    if known.get("size") == 0:
        return None
    given = next((str(known[part]) for part in FILE_NAMES if known.get(part)), name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", given).strip("._")[-80:] or "file"
    return f"files/{table.category.value}/{row_id}-{safe}"


def _write_json(
    archive: Archive, table: Table, fields: list[Shown], batches: Iterator[Columns], progress: Callable[[int], None]
) -> tuple[int, list[Row]]:
    """Write the records as JSON, one a line; return how many, and the first ones for the page."""
    names, total, first = [field.name for field in fields], 0, list[Row]()
    with archive.member(f"{table.stem}.json") as put:
        head = {"kind": table.label, "category": str(table.category.label), "fields": dict(_labels(fields))}
        put(json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "records": [\n')
        for batch in batches:
            put(",\n" if total and batch[0] else "")
            put(lines_of_json(names, batch))
            total += len(batch[0])
            first += zip(*(column[: ROWS_ON_A_PAGE - len(first)] for column in batch), strict=True)
            progress(len(batch[0]))
        put("\n ]\n}\n")
    return total, first


def _write_csv(
    archive: Archive, table: Table, fields: list[Shown], batches: Iterator[Columns], progress: Callable[[int], None]
) -> int:
    total = 0
    with archive.member(f"{table.stem}.csv") as put:
        put("\ufeff" + lines_of_csv([["ID"], [_("Time")], *([field.label] for field in fields)]))
        for batch in batches:
            put(lines_of_csv(batch))
            total += len(batch[0])
            progress(len(batch[0]))
    return total


def _labels(fields: list[Shown]) -> Iterator[tuple[str, str]]:
    yield from (("id", "ID"), ("at", _("Time")))
    yield from ((field.name, field.label) for field in fields)


def _page(table: Table, fields: list[Shown], rows: list[Row], total: int) -> str:
    head = "".join(f'<th scope="col">{html.escape(label)}</th>' for _name, label in list(_labels(fields))[1:])
    lines = []
    for _row_id, at, *values in rows:
        shown = [words(at)]
        for field, value in zip(fields, values, strict=True):
            text = words(value)
            shown.append(f'<a href="../{text}">{text}</a>' if field.is_file and value else text)
        lines.append("<tr>" + "".join(f"<td>{text}</td>" for text in shown) + "</tr>")
    note = ""
    if total > len(rows):
        words_ = _("This page shows the first %(shown)s of %(total)s records. The JSON file beside it holds all.")
        note = f"<p>{html.escape(words_ % {'shown': len(rows), 'total': total})}</p>"
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    back = f'<p><a href="../index.html">{html.escape(_("Back to the list"))}</a></p>'
    return _document(table.label, f"{back}{note}{body}")


def _index(
    wanted: list[Table], counts: Mapping[str, int], categories: Iterable[str], number: str, at: dt.datetime
) -> str:
    parts = [f"<p>{html.escape(_('Account %(number)s, made on %(at)s.') % {'number': number, 'at': words(at)})}</p>"]
    for category in dict.fromkeys(table.category for table in wanted):
        rows = "".join(
            f'<li><a href="{table.stem}.html">{html.escape(table.label)}</a>: {counts[table.stem]}</li>'
            for table in wanted
            if table.category == category
        )
        parts.append(f"<h2>{html.escape(str(category.label))}</h2><ul>{rows}</ul>")
    left = "".join(
        f"<dt>{html.escape(one.what)}</dt><dd>{html.escape(one.why)}</dd>" for one in not_included(categories)
    )
    title = html.escape(_("What is not included, and why"))
    parts.append(f"<h2>{title}</h2><dl>{left}</dl><p>{html.escape(_(LAW))}</p>")
    return _document(_("Your data"), "".join(parts))


def _document(title: str, body: str) -> str:
    safe = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{safe}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{safe}</h1>{body}</body></html>\n"
    )


def _manifest(
    archive: Archive, counts: Mapping[str, int], categories: Iterable[str], number: str, at: dt.datetime
) -> str:
    content = {
        "account": number,
        "made_at": at.astimezone(dt.UTC).isoformat(),
        # So that the hash of the whole tells nothing of what is in it.
        "salt": secrets.token_hex(16),
        "records": counts,
        "not_included": [left._asdict() for left in not_included(categories)],
        "note": _(LAW),
        "files": archive.hashes,
    }
    return json.dumps(content, ensure_ascii=False, indent=1)
