"""The XML of ACNS: found in a text, read within limits, and never with a login.

A document type is refused, limits hold while the XML is read and before anything is built of it, and a login (any
element `Login` or `Password`, any attribute of these names) is left out of everything that is returned (P4).
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # noqa: S405 - only the parts defusedxml builds on

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from disclosures.reports.values import (
    Problems,
    clean,
    line,
)

MAX_SIZE = 1024 * 1024
MAX_DEPTH = 50
MAX_ATTRIBUTES = 100
MAX_ELEMENTS = 10_000
MAX_BLOCKS = 20
ROOTS = (
    "Infringement",
    "NoticeAck",
    "NoticeStatus",
    "StatusRequest",
    "StatusUpdate",
    "CounterNotice",
    "MessageEnvelope",
)
OPENING = re.compile(rf"<((?:[A-Za-z_][\w.-]{{0,60}}:)?(?:{'|'.join(ROOTS)}))(?=[\s/>])")
DECLARATION = re.compile(r"<\?xml\b[^<>]{0,200}\?>\s{0,200}\Z")
DOCTYPE = re.compile(r"<!DOCTYPE(?!\s{1,10}html\b)", re.IGNORECASE)
SECRET = ("login", "password")
SECRET_ELEMENT = re.compile(r"<((?:[\w.-]{1,60}:)?(?:login|password))(?=[\s/>]|\Z)", re.IGNORECASE)
SECRET_ATTRIBUTE = re.compile(r"""\b(password|login)(\s{0,20}=\s{0,20})("[^"]*("|\Z)|'[^']*('|\Z))""", re.IGNORECASE)
BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)")
CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
SIGNED, SIGNATURE = "-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----"
DASHED = re.compile(r"^- ", re.MULTILINE)
MARKER = re.compile(r"^[- ]{0,20}(?:Start|End) ACNS XML[- ]{0,20}\r?$", re.MULTILINE)


class OverLimit(Exception):
    """The XML passes a limit; its only argument is the code of the problem."""


class _Builder(TreeBuilder):
    """Builds the tree and stops at the limits; never builds a login."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.elements = self.attributes = self.hidden = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        self.depth += 1
        self.elements += 1
        self.attributes += len(attrs)
        if self.depth > MAX_DEPTH:
            raise OverLimit("xml_too_deep")
        if len(attrs) > MAX_ATTRIBUTES or self.attributes > MAX_ELEMENTS or self.elements > MAX_ELEMENTS:
            raise OverLimit("xml_too_many_attributes")
        if self.hidden or local(tag).lower() in SECRET:
            self.hidden += 1
            return Element("hidden")
        kept = {name: value for name, value in attrs.items() if local(name).lower() not in SECRET}
        return super().start(tag, kept)

    def end(self, tag: str, /) -> Element:
        self.depth -= 1
        if self.hidden:
            self.hidden -= 1
            return Element("hidden")
        return super().end(tag)

    def data(self, data: str, /) -> None:
        if not self.hidden:
            super().data(data)


def local(name: object) -> str:
    """Return a name without its namespace; comments and instructions have none."""
    return str(name).rpartition("}")[2].rpartition(":")[2] if isinstance(name, str) else ""


def without_login(text: str) -> str:
    """Return text without what looks like a login of an ACNS source; from one that never closes, nothing is kept."""
    pieces, place = [], 0
    while match := SECRET_ELEMENT.search(text, place):
        pieces.append(text[place : match.start()])
        end = text.find(">", match.end())
        if end < 0:
            place = len(text)
        elif text[end - 1] == "/":
            place = end + 1
        else:
            closing = text.find(f"</{match.group(1)}", end)
            after = text.find(">", closing) if closing >= 0 else -1
            place = after + 1 if after >= 0 else len(text)
    pieces.append(text[place:])
    return SECRET_ATTRIBUTE.sub(r'\1\2""', "".join(pieces))


def holds_login(content: bytes) -> bool:
    """Whether bytes look like a notice with a login in it, in any encoding of its characters."""
    text = content.replace(b"\x00", b"").decode("latin-1")
    return bool(OPENING.search(text) and (SECRET_ELEMENT.search(text) or SECRET_ATTRIBUTE.search(text)))


def unsigned(text: str) -> str:
    """Return what a clearsigned text says: without the lines of the signature and the dashes that protect lines."""
    before, marker, signed = text.partition(SIGNED)
    if not marker:
        return text
    body, _, after = signed.partition(SIGNATURE)
    # The hash of the signature stands between its first line and a blank one.
    body = body.lstrip("\n").partition("\n\n")[2]
    after = after.partition("-----END PGP SIGNATURE-----")[2]
    return f"{before}{DASHED.sub('', body)}{after}".strip()


def blocks(text: str) -> tuple[list[str], str]:
    """Return the ACNS documents that stand in a text, and the text without them.

    A document that never closes is taken to its end, so that a login inside it never counts as text.
    """
    found: list[str] = []
    rest: list[str] = []
    place = 0
    while match := OPENING.search(text, place):
        before = text[place : match.start()]
        # A document type belongs to the document: without it, what must be refused would be read.
        head = DOCTYPE.search(before) or DECLARATION.search(before, max(0, len(before) - 400))
        start = head.start() if head else len(before)
        rest.append(before[:start])
        closing = text.find(f"</{match.group(1)}", match.end())
        end = text.find(">", closing) + 1 if closing >= 0 else 0
        place = end or len(text)
        if len(found) < MAX_BLOCKS:
            found.append(before[start:] + text[match.start() : place])
    rest.append(text[place:])
    return found, MARKER.sub("", "".join(rest)).strip()


def parse(text: str, problems: Problems) -> Element | None:
    """Return the root of a document, or None with the reason; bare ampersands and control characters are repaired."""
    if len(text) > MAX_SIZE or len(text.encode("utf-8", "replace")) > MAX_SIZE:
        problems.add("xml_too_large")
        return None
    cleaned = clean(text).strip()
    if cleaned != text.strip():
        problems.add("xml_repaired")
    try:
        return _built(cleaned)
    except ParseError:
        pass
    except OverLimit as limit:
        problems.add(limit.args[0])
        return None
    except DefusedXmlException:
        problems.add("xml_forbidden")
        return None
    repaired = "".join(
        piece if piece.startswith("<![CDATA[") else BARE.sub("&amp;", piece) for piece in CDATA.split(cleaned)
    )
    try:
        root = _built(repaired)
    except OverLimit as limit:
        problems.add(limit.args[0])
    except DefusedXmlException:
        problems.add("xml_forbidden")
    except ParseError:
        problems.add("xml_broken")
    else:
        problems.add("xml_repaired")
        return root
    return None


def _built(text: str) -> Element:
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(text)
        root: Element | None = parser.close()
    except (ValueError, LookupError, AssertionError) as error:
        if isinstance(error, DefusedXmlException):
            raise
        raise ParseError from None
    if root is None:
        raise ParseError
    return root


def children(element: Element | None, name: str) -> list[Element]:
    """Return the children of a name, whatever their namespace."""
    return [one for one in element if local(one.tag) == name] if element is not None else []


def child(element: Element | None, name: str) -> Element | None:
    return next(iter(children(element, name)), None)


def words(element: Element | None, name: str) -> str:
    """Return the text of a child on one line; empty when there is none."""
    found = child(element, name)
    return line(found.text or "") if found is not None else ""


def plain(element: Element) -> Any:
    """Return an element as plain values: its text, or a dict of attributes (`@name`), text (`#text`) and children."""
    inner: dict[str, Any] = {f"@{local(name)}": clean(str(value)) for name, value in element.attrib.items()}
    for one in element:
        inner.setdefault(local(one.tag), []).append(plain(one))
    text = clean(element.text or "").strip()
    if not inner:
        return text
    if text:
        inner["#text"] = text
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in inner.items()}
