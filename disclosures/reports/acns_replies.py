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
        case = SubElement(root, "Case")
        SubElement(case, "ID").text = clean(case_id)
        SubElement(case, "Status").text = status.value
    return _written(root, comments)


def status_update(case_id: str, status: CaseStatus, step: Step, at: dt.datetime, comments: str = "") -> bytes:
    """Return a StatusUpdate for a case: where it stands and what was done."""
    root = _root("StatusUpdate", case_id, at)
    SubElement(root, "Status").text = status.value
    SubElement(root, "Type").text = step.value
    return _written(root, comments)


def _root(local: str, case_id: str, at: dt.datetime) -> Element:
    if at.tzinfo is None:
        raise ValueError(f"A {local} needs a time with a zone: pass an aware one.")
    root = Element(local, xmlns=NAMESPACE)
    if case_id:
        case = SubElement(root, "Case")
        SubElement(case, "ID").text = clean(case_id)
    SubElement(root, "TimeStamp").text = at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return root


def _written(root: Element, comments: str) -> bytes:
    if comments:
        SubElement(root, "Comments").text = clean(comments)
    return DECLARATION + tostring(root, encoding="unicode").encode()
