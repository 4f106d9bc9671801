"""The parts of a mail, sorted by what may be in them; what no reader takes is evidence."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from disclosures.reports import acns_xml, arf, xarf, xarf_json
from disclosures.reports.message import (
    MAX_SIZE,
    Part,
    header,
)
from disclosures.reports.shape import Evidence
from disclosures.reports.values import (
    MAX_TEXT,
    Problems,
)

TAG = re.compile(r"<[^<>]{1,2000}>")
LINK = re.compile(r"""\b(?:href|src)\s{0,10}=\s{0,10}["']?((?:https?|hxxps?)://[^"'\s<>]{1,2000})""", re.IGNORECASE)
BLOCKS = re.compile(r"<(script|style|head)\b[^<>]{0,2000}>", re.IGNORECASE)
XML_TYPES = ("application/xml", "text/xml", "application/acns+xml")
JSON_TYPES = ("application/json", "text/json", "application/xarf+json")


@dataclass(slots=True)
class Contents:
    """What the parts of a mail hold, sorted by what may be in them."""

    texts: list[str]
    xml: list[str]
    objects: list[dict[str, Any]]
    evidence: list[Evidence]
    feedback: Part | None = None
    original: Part | None = None
    delivery: Part | None = None


def sorted_contents(root: Part, problems: Problems) -> Contents:
    found = Contents([], [], [], [])
    alternatives = {
        id(child) for part in root.walk() if part.content_type == "multipart/alternative" for child in part.children
    }
    has_plain = any(part.content_type == "text/plain" for part in root.walk())
    attached: list[str] = []
    for part in root.walk():
        kind, name = part.content_type, part.filename.lower()
        if part.children and kind.startswith("multipart/"):
            continue
        if kind == "message/feedback-report" and found.feedback is None:
            found.feedback = part
        elif kind in arf.ORIGINALS:
            found.original = found.original or part
        elif kind == "message/delivery-status" and found.delivery is None:
            found.delivery = part
        elif kind in XML_TYPES or name.endswith(".xml"):
            text = lines_of(part, problems, MAX_SIZE)
            attached += acns_xml.blocks(text)[0] or [text]
        elif kind in JSON_TYPES or name.endswith(".json"):
            value = xarf_json.load(lines_of(part, problems, MAX_SIZE), problems)
            if value is not None and xarf.is_report(value):
                found.objects.append(value)
            else:
                _keep(found, part, problems)
        elif kind == "text/html" and (id(part) in alternatives and has_plain):
            _keep(found, part, problems)
        elif kind.startswith("multipart/") or (kind.startswith("text/") and not _is_attachment(part)):
            text = lines_of(part, problems)
            value = _object_in(text, problems)
            if value is not None:
                found.objects.append(value)
                continue
            blocks, rest = acns_xml.blocks(acns_xml.unsigned(text))
            found.xml += blocks
            found.texts.append(unmarked(rest) if kind == "text/html" else rest)
        elif kind.startswith("text/") and (blocks := acns_xml.blocks(lines_of(part, problems))[0]):
            attached += blocks
        else:
            _keep(found, part, problems)
    found.xml = attached + found.xml
    return found


def _object_in(text: str, problems: Problems) -> dict[str, Any] | None:
    """Return the X-ARF report that is the whole text, if it is one."""
    if not (text.lstrip().startswith("{") and ('"xarf_version"' in text or '"ReporterInfo"' in text)):
        return None
    value = xarf_json.load(text, problems)
    return value if value is not None and xarf.is_report(value) else None


def _is_attachment(part: Part) -> bool:
    return header(part.headers, "Content-Disposition").lower().startswith("attachment")


def lines_of(part: Part, problems: Problems, most: int = MAX_TEXT) -> str:
    return part.text(problems, most).replace("\r\n", "\n")


def unmarked(html: str) -> str:
    """Return the words and links of a page; only for finding what it names, never for showing it."""
    linked = TAG.sub(lambda tag: f" {' '.join(LINK.findall(tag.group()))} ", BLOCKS.sub(" ", html))
    return linked.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")


def _keep(found: Contents, part: Part, problems: Problems) -> None:
    content = part.content(problems)
    # XML under another name may hold a login as well: it stays in the raw message alone.
    if acns_xml.holds_login(content):
        content = b""
    evidence = Evidence(part.content_type, content, hashlib.sha256(content).hexdigest(), part.filename)
    found.evidence.append(evidence)
