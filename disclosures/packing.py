"""The packet of a disclosure: exactly what its ground reaches, its request asks for and its period spans (P16).

Made in the transaction that submits the disclosure, from the data map alone. Each part has its hash in the manifest,
the hash of the canonical manifest (RFC 8785) is the packet's: an approval binds to it. The bytes are sealed under a key
of their own and end before the record of them does.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import rfc8785
import typst
from django.conf import settings
from django.db.models import Q

from accounts import datamap
from accounts.datamap import Category
from accounts.datamap.reading import Model
from accounts.errors import NotActionable
from accounts.exporting_cells import cell, plain
from accounts.models import Account, Correspondence, MediaType, User
from accounts.safeguards.fields import SealedBytes
from disclosures import reach, sworn
from disclosures.models import AbuseNoticeItem, Basis, CounterNotice, Disclosure, Packet, PacketPart
from disclosures.reach import Field
from retention import schedule

# What a subscriber is and has, whatever the period asked for; everything else is cut to it.
STANDING = frozenset({Category.IDENTITY, Category.CONTACT, Category.BILLING, Category.SERVICES})
# Grounds on which everything in possession may be reached; on the others what the customer is shown.
IN_POSSESSION = frozenset({Basis.LEGAL_REQUEST.value, Basis.EMERGENCY.value})
RECORDS, MANIFEST = "records.json", "manifest.json"
JSON, CSV, PDF = "application/json", "text/csv", "application/pdf"
ENDINGS: dict[str, str] = {MediaType.PDF: "pdf", MediaType.PNG: "png", MediaType.JPEG: "jpg", MediaType.TEXT: "txt"}
FONTS = ("Libertinus Serif", "DejaVu Sans Mono")


@dataclass
class Part:
    """One file of a packet, before it is stored."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Return the hash of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class Table:
    """The rows of one kind of record, as they leave: values by the name of the field."""

    model: Model
    fields: list[Field]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what the record is called in the parts of the packet."""
        return str(self.model._meta.label_lower)


def build(disclosure: Disclosure, *, by: User, at: dt.datetime) -> Packet:
    """Make the next packet of a disclosure and return it; needs a keyring, and the caller's transaction and lock.

    Raises NotActionable where the ground reaches nothing of what was chosen, where nothing is held of it, and for a
    recipient whose name the cover cannot show.
    """
    tables: list[Table] = []
    parts: list[Part] = []
    if disclosure.basis == Basis.AGGREGATE:
        parts, rows = _of_figures(disclosure)
    else:
        tables = _tables(disclosure, at)
        files: list[Part] = []
        for table in tables:
            table.rows = list(_rows(disclosure, table, at, files))
        tables = [table for table in tables if table.rows]
        rows = sum(len(table.rows) for table in tables)
        if not rows:
            raise NotActionable(
                f"Disclosure {disclosure.reference}: nothing is held of what its ground reaches. "
                "Answer with the letter that nothing is held."
            )
        parts = [_json(disclosure, tables), *(_csv(table) for table in tables), *files, *_sworn(disclosure)]
    cover = _cover(disclosure, tables, parts, at)
    manifest = _manifest(disclosure, tables, [cover, *parts], rows, at)
    packet = Packet.objects.create(
        disclosure=disclosure,
        account_id=disclosure.account_id,
        number=disclosure.packets.count() + 1,
        sha256=hash_of(manifest),
        manifest=manifest,
        rows=rows,
        made_by=by.pk,
        made_at=at,
    )
    for part in (cover, *parts):
        PacketPart.objects.create(
            packet=packet,
            name=part.name,
            media_type=part.media_type,
            size=len(part.content),
            sha256=part.sha256,
            content=part.content,
        )
    return packet


def hash_of(manifest: dict[str, Any]) -> str:
    """Return the hash of a manifest, of its canonical form."""
    return hashlib.sha256(rfc8785.dumps(manifest)).hexdigest()


def manifest_of(packet: Packet) -> bytes:
    """Return the manifest as it was approved (RFC 8785): the SHA-256 of these bytes is the packet's hash."""
    return rfc8785.dumps(packet.manifest)


def contents(packet: Packet) -> dict[str, bytes]:
    """Return the parts of a packet by name, each checked against the manifest and the manifest against the hash.

    Raises NotActionable when the bytes are destroyed or are not those that were approved.
    """
    if packet.destroyed_at is not None:
        raise NotActionable("The bytes of this packet are destroyed; its hash and manifest stay.")
    found = {part.name: bytes(part.content or b"") for part in packet.parts.exclude(name="delivery")}
    stated = {part["name"]: part["sha256"] for part in packet.manifest["parts"]}
    measured = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    if stated != measured or hash_of(packet.manifest) != packet.sha256:
        raise NotActionable("This packet is not the one that was made. Nothing leaves; tell the privacy officer.")
    return found


def compare(old: Packet, new: Packet) -> list[str]:
    """Return in words what a packet has that an earlier one had not, and the other way round."""
    was, becomes = _counts(old), _counts(new)
    said = [f"{key}: new, {count} rows" for key, count in becomes.items() if key not in was]
    said += [f"{key}: left out now, {count} rows before" for key, count in was.items() if key not in becomes]
    said += [
        f"{key}: {was[key]} rows before, {count} now"
        for key, count in becomes.items()
        if key in was and was[key] != count
    ]
    hashes = {part["name"]: part["sha256"] for part in old.manifest["parts"]}
    said += [
        f"{part['name']}: other content"
        for part in new.manifest["parts"]
        if part["name"] in hashes and hashes[part["name"]] != part["sha256"] and part["name"] != "cover.pdf"
    ]
    return said


def _counts(packet: Packet) -> dict[str, int]:
    return {each["field"]: each["rows"] for each in packet.manifest["fields"]}


def _tables(disclosure: Disclosure, at: dt.datetime) -> list[Table]:
    request = disclosure.legal_request
    allowed = reach.of_basis(disclosure.basis, request.instrument if request else "")
    wanted = [
        each
        for each in reach.fields()
        if each.key in allowed and each.category in disclosure.categories and each.key not in disclosure.omitted
    ]
    if not wanted:
        raise NotActionable(
            f"Disclosure {disclosure.reference}: its ground reaches nothing of what was chosen. "
            "Choose other kinds of data."
        )
    tables: dict[Model, Table] = {}
    for each in wanted:
        tables.setdefault(each.model, Table(each.model, [])).fields.append(each)
    return list(tables.values())


def _rows(disclosure: Disclosure, table: Table, at: dt.datetime, files: list[Part]) -> Iterator[dict[str, Any]]:
    assert disclosure.account_id is not None  # noqa: S101 - only figures concern no account
    for row in _found(disclosure, table, at):
        values: dict[str, Any] = {}
        for each in table.fields:
            value = getattr(row, each.name)
            if value in (None, ""):
                continue
            if isinstance(table.model._meta.get_field(each.name), SealedBytes):
                kind = getattr(row, "media_type", "") or getattr(row, "evidence_type", "")
                part = Part(f"file-{len(files) + 1:04d}.{ENDINGS.get(kind, 'bin')}", "application/octet-stream", value)
                files.append(part)
                value = part.name
            values[each.name] = plain(value)
        if values:
            yield values


def _found(disclosure: Disclosure, table: Table, at: dt.datetime) -> Iterable[Any]:
    account_id: Any = disclosure.account_id
    if table.model is Account:
        return Account.objects.filter(pk=account_id)
    entry = datamap.entries()[table.model]
    if disclosure.basis in IN_POSSESSION:
        found = datamap.rows(table.model, [account_id])
    else:
        found = datamap.shown(table.model, account_id, schedule.cutoffs(at))
        if table.model is Correspondence:
            # Nor the letter that told of a legal request (reach.NOT_SHARED).
            found = found.exclude(event__startswith="legal-notice:")
    if entry.category == Category.CONFIDENTIAL:
        found = found.filter(pk__in=disclosure.items)
    if disclosure.basis == Basis.COUNTER_NOTICE:
        found = found.filter(pk__in=_signed(disclosure)[table.model])
    if entry.category not in STANDING:
        found = found.filter(_within(disclosure, table.model, entry.time))
    return found.order_by(entry.time, "pk").iterator(chunk_size=2000)


def _signed(disclosure: Disclosure) -> dict[Model, list[UUID]]:
    """Return which rows a counter-notice is: itself, and the places it asks back."""
    counter = _counter(disclosure)
    return {CounterNotice: [counter.pk], AbuseNoticeItem: counter.items}


def _sworn(disclosure: Disclosure) -> list[Part]:
    """Return what was sworn, in full, as it was signed."""
    if disclosure.basis != Basis.COUNTER_NOTICE:
        return []
    counter = _counter(disclosure)
    said = sworn.statements(counter.sworn, is_outside_us=counter.is_outside_us)
    text = "\n\n".join([*said, f"Signed: {counter.signature}, {plain(counter.signed_at)}"])
    return [Part("statements.txt", "text/plain", f"{text}\n".encode())]


def _counter(disclosure: Disclosure) -> CounterNotice:
    case: Any = disclosure.case
    signed = CounterNotice.objects.filter(account=disclosure.account_id, signed_at__isnull=False)
    found = signed.filter(notice__case=case).first()
    if found is None:
        raise NotActionable(f"Disclosure {disclosure.reference}: there is no signed counter-notice.")
    return found


def _within(disclosure: Disclosure, model: Model, time: str) -> Q:
    """Return the condition of the period: what began before its end and was not over before its beginning."""
    since, until = disclosure.period_from, disclosure.period_to
    condition = Q()
    if until is not None:
        condition &= Q(**{f"{time}__lt": until})
    if since is not None:
        lasts = any(each.name == "ended_at" for each in model._meta.fields) and time == "assigned_at"
        condition &= Q(ended_at=None) | Q(ended_at__gt=since) if lasts else Q(**{f"{time}__gte": since})
    return condition


def _json(disclosure: Disclosure, tables: list[Table]) -> Part:
    content = {"disclosure": disclosure.reference, "records": {table.name: table.rows for table in tables}}
    return Part(RECORDS, JSON, json.dumps(content, ensure_ascii=False, indent=1, default=str).encode())


def _csv(table: Table) -> Part:
    written = io.StringIO()
    names = [each.name for each in table.fields]
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([cell(row.get(name)) for name in names] for row in table.rows)
    return Part(f"{table.name}.csv", CSV, written.getvalue().encode())


def _of_figures(disclosure: Disclosure) -> tuple[list[Part], int]:
    table = disclosure.aggregate
    assert table is not None  # noqa: S101 - the constraint says so
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(["row", "column", "accounts"])
    writer.writerows(
        [each["row"], each["column"], "" if each["count"] is None else each["count"]] for each in table.rows
    )
    content = {"disclosure": disclosure.reference, "query": table.query, "period": table.period, "figures": table.rows}
    made = Part(RECORDS, JSON, json.dumps(content, indent=1).encode())
    return [made, Part("figures.csv", CSV, written.getvalue().encode())], len(table.rows)


def _law(disclosure: Disclosure) -> str:
    request = disclosure.legal_request
    if disclosure.basis == Basis.AGGREGATE:
        return "figures without identities (P13)"
    return reach.law_of(disclosure.basis, request.instrument if request else "")


def _reasons(disclosure: Disclosure) -> dict[str, str]:
    request = disclosure.legal_request
    return reach.of_basis(disclosure.basis, request.instrument if request else "")


def _manifest(
    disclosure: Disclosure, tables: list[Table], parts: list[Part], rows: int, at: dt.datetime
) -> dict[str, Any]:
    request, why = disclosure.legal_request, _reasons(disclosure)
    return {
        "disclosure": disclosure.reference,
        "version": disclosure.version,
        "recipient": disclosure.recipient.reference,
        "basis": disclosure.basis,
        "law": _law(disclosure),
        "request": request.reference if request else None,
        "categories": sorted(disclosure.categories),
        "period": [plain(disclosure.period_from), plain(disclosure.period_to)],
        "omitted": sorted(disclosure.omitted),
        "made_at": plain(at),
        "rows": rows,
        "fields": [
            {"field": each.key, "why": why[each.key], "rows": sum(each.name in row for row in table.rows)}
            for table in tables
            for each in table.fields
        ],
        "parts": [
            {"name": part.name, "media_type": part.media_type, "size": len(part.content), "sha256": part.sha256}
            for part in parts
        ],
    }


def _cover(disclosure: Disclosure, tables: list[Table], parts: list[Part], at: dt.datetime) -> Part:
    request = disclosure.legal_request
    facts = [
        ("Reference", disclosure.reference),
        ("To", disclosure.recipient.name),
        ("On the ground of", _law(disclosure)),
        ("Your request", request.reference if request else "none"),
        ("Made", plain(at)),
        ("From", plain(disclosure.period_from) or "the beginning"),
        ("Until", plain(disclosure.period_to) or "when it was made"),
    ]
    content = {
        "title": f"Disclosure {disclosure.reference}",
        "from": "ChicagoCloud",
        "fonts": FONTS,
        "facts": facts,
        "records": [[table.name, str(len(table.rows))] for table in tables],
        "parts": [[part.name, str(len(part.content)), part.sha256] for part in parts],
        "note": "This holds what the ground named above reaches and the request asks for, and nothing else.",
    }
    if not shows(disclosure.recipient.name):
        raise NotActionable(
            f"Recipient {disclosure.recipient.reference}: the cover of the packet cannot show its name. Write the name "
            "in Latin letters in the register of recipients, then submit the disclosure again."
        )
    return Part("cover.pdf", PDF, _compiled(content))


def shows(text: str) -> bool:
    """Return whether the cover can show a text: its fonts hold no letters of every script (PDF/UA-1 refuses others)."""
    content = {
        "title": "Cover",
        "from": "",
        "fonts": FONTS,
        "facts": [("", text)],
        "records": [],
        "parts": [],
        "note": "",
    }
    try:
        _compiled(content)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return False
    return True


def _compiled(content: dict[str, Any]) -> bytes:
    made = typst.compile(_template(), format="pdf", sys_inputs={"cover": json.dumps(content)}, pdf_standards=["ua-1"])
    assert isinstance(made, bytes)  # noqa: S101 - one document, one file
    return made


@cache
def _template() -> bytes:
    return (settings.BASE_DIR / "templates" / "disclosures" / "cover.typ").read_bytes()
