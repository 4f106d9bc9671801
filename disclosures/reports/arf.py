"""ARF feedback reports (RFC 5965, 6591): the fields of the report part and the headers of the mail reported."""

from __future__ import annotations

from email.message import Message
from typing import Any

from disclosures.reports.message import OverLimit, Part, every_header, header, read_headers
from disclosures.reports.shape import Format, Hint, Item, Kind, Report, Source
from disclosures.reports.values import Problems, address, domain_name, email_address, host_of, moment, number, port

REQUIRED = ("Feedback-Type", "User-Agent", "Version")
KINDS = {
    "abuse": Kind.SPAM,
    "fraud": Kind.PHISHING,
    "virus": Kind.MALWARE,
    "auth-failure": Kind.AUTH_FAILURE,
    "not-spam": Kind.NOT_SPAM,
    "other": Kind.OTHER,
    "xarf": Kind.OTHER,
}
ORIGINALS = ("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers")


def read(feedback: Part, original: Part | None, problems: Problems) -> Report:
    """Return the report of a feedback part and the mail it encloses, if any."""
    headers = _fields(feedback, problems)
    for name in REQUIRED:
        if not header(headers, name):
            problems.add("field_missing", name)
    reported = _reported(original, problems)
    word = header(headers, "Feedback-Type").lower()
    incidents = header(headers, "Incidents")
    if incidents and number(incidents) is None:
        problems.add("number_unreadable", "Incidents")
    source = _source(headers, reported, problems)
    if not (source.address or source.domain or source.urls):
        problems.add("source_missing")
    return Report(
        format=Format.ARF,
        kind=KINDS.get(word, Kind.OTHER),
        version=header(headers, "Version"),
        document=word,
        sources=(source,),
        items=(_item(reported),) if reported is not None else (),
        first_seen_at=source.at,
        fields={"feedback": _every(headers), "original": _every(reported) if reported is not None else {}},
    )


def _fields(feedback: Part, problems: Problems) -> Message:
    # The library reads this part as a mail of its own, and some senders put a blank line before it.
    inner = feedback.content(problems) if not feedback.children else feedback.body
    return read_headers(inner.lstrip(b"\r\n"))


def _reported(original: Part | None, problems: Problems) -> Message | None:
    if original is None:
        return None
    if original.children:
        return original.children[0].headers
    try:
        return read_headers(original.content(problems).lstrip(b"\r\n").partition(b"\n\n")[0])
    except OverLimit as limit:
        problems.add(limit.args[0], "original")
        return None


def _every(headers: Message) -> dict[str, Any]:
    """Return every header with all its values."""
    found: dict[str, Any] = {}
    for name, value in every_header(headers):
        found.setdefault(name, []).append(value)
    return found


def _all(headers: Message, name: str) -> list[str]:
    return [value for key, value in every_header(headers) if key.lower() == name.lower()]


def _source(headers: Message, reported: Message | None, problems: Problems) -> Source:
    written = header(headers, "Source-IP")
    found = address(written)
    if written and not found:
        problems.add("address_unreadable", "Source-IP")
    at = header(headers, "Arrival-Date") or header(headers, "Received-Date")
    hints = [("envelope_from", email_address(header(headers, "Original-Mail-From")))]
    hints += [("envelope_to", email_address(value)) for value in _all(headers, "Original-Rcpt-To")]
    hints += [
        ("envelope_id", header(headers, "Original-Envelope-Id")),
        ("reporting_mta", header(headers, "Reporting-MTA")),
    ]
    if reported is not None:
        hints += [("from", email_address(header(reported, "From"))), ("message_id", header(reported, "Message-ID"))]
        hints += [("return_path", email_address(header(reported, "Return-Path")))]
    return Source(
        address=found,
        port=port(header(headers, "Source-Port"), problems, "Source-Port"),
        protocol="smtp",
        at=moment(at, problems, "Arrival-Date"),
        domain=next((name for value in _all(headers, "Reported-Domain") if (name := domain_name(value))), ""),
        urls=tuple(value for value in _all(headers, "Reported-URI") if host_of(value)),
        hints=tuple(Hint(kind, value) for kind, value in dict.fromkeys(hints) if value),
    )


def _item(reported: Message) -> Item:
    quiet = Problems()
    return Item(
        title=header(reported, "Subject"),
        creator=email_address(header(reported, "From")),
        kind="e-mail",
        at=moment(header(reported, "Date"), quiet),
    )
