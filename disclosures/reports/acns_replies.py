"""Answers to ACNS senders: NoticeAck, NoticeStatus and StatusUpdate, in the words of the schema.

Values go through the XML library, which escapes them; nothing of the customer is ever an argument here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from xml.etree.ElementTree import Element, SubElement, tostring  # noqa: S405 - writes only

from disclosures.reports.values import clean

NAMESPACE = "http://www.acns.net/ACNS"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class RejectReason(StrEnum):
    """Why a notice is not accepted."""

    UNKNOWN_RECIPIENT = "UNKNOWN_RECIPIENT"
    IP_OUT_OF_RANGE = "IP_OUT_OF_RANGE"
    MULTIPLE = "MULTIPLE"
    TEXT_XML_MISMATCH = "TEXT_XML_MISMATCH"
    OTHER = "OTHER"


class CaseStatus(StrEnum):
    """Where a case stands."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"
    COUNTERNOTICE = "COUNTERNOTICE"


class Step(StrEnum):
    """What was done about it."""

    INFO = "INFO"
    ACTION = "ACTION"
    TERM = "TERM"
    NOACTION = "NOACTION"
    NONEPOS = "NONEPOS"


def notice_ack(case_id: str, at: dt.datetime, reject: RejectReason | None = None, comments: str = "") -> bytes:
    """Return a NoticeAck for a case: accepted, or not with the reason."""
    root = _root("NoticeAck", case_id, at)
    root.set("Accepted", "false" if reject else "true")
    if reject:
        root.set("RejectReason", reject.value)
    return _written(root, comments)


def notice_status(cases: Sequence[tuple[str, CaseStatus]], at: dt.datetime, comments: str = "") -> bytes:
    """Return a NoticeStatus that says of each case where it stands."""
    root = _root("NoticeStatus", "", at)
    for case_id, status in cases:
        case = SubElement(root, _name("Case"))
        SubElement(case, _name("ID")).text = clean(case_id)
        SubElement(case, _name("Status")).text = status.value
    return _written(root, comments)


def status_update(case_id: str, status: CaseStatus, step: Step, at: dt.datetime, comments: str = "") -> bytes:
    """Return a StatusUpdate for a case: where it stands and what was done."""
    root = _root("StatusUpdate", case_id, at)
    SubElement(root, _name("Status")).text = status.value
    SubElement(root, _name("Type")).text = step.value
    return _written(root, comments)


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _root(local: str, case_id: str, at: dt.datetime) -> Element:
    if at.tzinfo is None:
        raise ValueError(f"A {local} needs a time with a zone: pass an aware one.")
    root = Element(_name(local))
    if case_id:
        case = SubElement(root, _name("Case"))
        SubElement(case, _name("ID")).text = clean(case_id)
    SubElement(root, _name("TimeStamp")).text = at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return root


def _written(root: Element, comments: str) -> bytes:
    if comments:
        SubElement(root, _name("Comments")).text = clean(comments)
    body: bytes = tostring(root, encoding="utf-8", default_namespace=NAMESPACE)
    return DECLARATION + body.partition(b"?>")[2].lstrip() if body.startswith(b"<?xml") else DECLARATION + body
