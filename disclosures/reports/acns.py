"""ACNS notices and the messages about them, as reports; names are matched without their namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element  # noqa: S405 - only the parts defusedxml builds on

from disclosures.reports.acns_xml import ROOTS, child, children, local, parse, plain, words
from disclosures.reports.shape import Declaration, Format, Hint, Item, Kind, Party, Report, Source
from disclosures.reports.values import (
    Problems,
    address,
    clean,
    domain_name,
    email_address,
    host_of,
    line,
    moment,
    number,
    port,
)

TRUE = ("true", "1", "yes")


def read(text: str, problems: Problems) -> Report | None:
    """Return the report of one document, or None with the reason in `problems`."""
    root = parse(text, problems)
    if root is None:
        return None
    message = root if local(root.tag) != "MessageEnvelope" else next(_inside(root), root)
    if local(message.tag) not in ROOTS:
        problems.add("xml_unknown_root")
        return None
    return _report(root, message, problems)


def _inside(root: Element) -> Iterator[Element]:
    return (element for element in root.iter() if element is not root and local(element.tag) in ROOTS)


def _report(root: Element, message: Element, problems: Problems) -> Report:
    name = local(message.tag)
    # In the messages about a case it may be named as an attribute or element, with the case or by itself.
    case = child(message, "Case")
    ids = [words(case, "ID"), line(message.get("ID")), words(message, "ID"), words(message, "CaseID")]
    ids += [words(message, "Case_ID"), words(message, "NoticeID"), words(message, "Notice_ID")]
    if case is not None and not len(case):
        ids.append(line(case.text))
    case_ids = tuple(dict.fromkeys(filter(None, ids)))
    kind = {"Infringement": Kind.COPYRIGHT, "CounterNotice": Kind.COUNTER_NOTICE}.get(name, Kind.MESSAGE)
    stated = child(message, "Type")
    moments = [
        moment(words(source, "TimeStamp"), problems, "Source.TimeStamp") for source in children(message, "Source")
    ]
    items = tuple(
        _item(element, problems) for content in children(message, "Content") for element in children(content, "Item")
    )
    seen = [at for item in items for pair in item.seen for at in pair if at] + [at for at in moments if at]
    sources = tuple(_source(element, items, problems) for element in children(message, "Source"))
    if name == "Infringement":
        _check_required(message, case_ids, sources, problems)
    notices = [element for history in children(message, "History") for element in children(history, "Notice")]
    return Report(
        format=Format.ACNS,
        kind=kind,
        version=_version(root),
        document=name,
        notice_type=words(message, "Type").upper(),
        case_ids=case_ids,
        status=_status(message, case),
        severity=words(case, "Severity").lower(),
        reporter=_party(child(message, "Complainant")),
        sender=_party(child(message, "Complainant")),
        recipient=_party(child(message, "Service_Provider")),
        is_retraction=stated is not None and line(stated.get("Retraction")).lower() in TRUE,
        reported_at=next(
            (at for element in notices if (at := moment(element.get("TimeStamp"), problems, "Notice"))), None
        ),
        first_seen_at=min(seen, default=None),
        last_seen_at=max(seen, default=None),
        sources=sources,
        items=items,
        declarations=_declarations(message),
        text=clean("\n\n".join(one.text or "" for one in children(message, "TextNotice") or notices)).strip(),
        fields={local(root.tag): plain(root)},
    )


def _check_required(
    message: Element, case_ids: tuple[str, ...], sources: tuple[Source, ...], problems: Problems
) -> None:
    for missing, place in (
        (not case_ids, "Case.ID"),
        (child(message, "Complainant") is None, "Complainant"),
        (not sources, "Source"),
        (not any(source.at for source in sources), "Source.TimeStamp"),
    ):
        if missing:
            problems.add("field_missing", place)
    if not any(source.address or source.domain or source.urls for source in sources):
        problems.add("source_missing")


def _status(message: Element, case: Element | None) -> str:
    for value in (words(case, "Status"), words(message, "Status"), line(message.get("Status"))):
        if value:
            return value.lower()
    accepted = line(message.get("Accepted")).lower()
    if accepted:
        return "accepted" if accepted in TRUE else "rejected"
    return ""


def _version(root: Element) -> str:
    """Return the revision a schema location names, such as 1.2; the namespaces do not tell."""
    for name, value in root.attrib.items():
        match = re.search(r"/v(\d{1,2}\.\d{1,2})/", str(value)) if local(name) == "schemaLocation" else None
        if match:
            return match.group(1)
    return ""


def _party(element: Element | None) -> Party:
    email = email_address(words(element, "Email"))
    return Party(
        organisation=words(element, "Entity"),
        contact=words(element, "Contact"),
        email=email,
        phone=words(element, "Phone"),
        address=_lines(element, "Address"),
        domain=email.rpartition("@")[2],
        url=words(element, "ContactURL"),
    )


def _lines(element: Element | None, name: str) -> str:
    found = child(element, name)
    return (
        "\n".join(filter(None, (line(piece) for piece in (found.text or "").splitlines()))) if found is not None else ""
    )


def _source(element: Element, items: tuple[Item, ...], problems: Problems) -> Source:
    written = words(element, "IP_Address")
    found = address(written)
    if written and not found:
        problems.add("address_unreadable", "Source.IP_Address")
    kind = child(element, "SubType")
    protocol = line(kind.get("Protocol")) if kind is not None else ""
    urls = [words(element, "URL_Base"), *(item.url for item in items)]
    whole = tuple(dict.fromkeys(url for url in urls if host_of(url)))
    names = {"user_name": "UserName", "mac": "MAC_Address", "ip_block": "IP_Block", "dns_name": "DNS_Name"}
    hints = [Hint(kind, words(element, name)) for kind, name in names.items() if words(element, name)]
    if len(children(element, "IP_Address")) > 1:
        hints += [Hint("address", line(other.text)) for other in children(element, "IP_Address")[1:]]
    return Source(
        address=found,
        port=port(words(element, "Port"), problems, "Source.Port"),
        protocol=words(element, "Protocol") or protocol or words(element, "Type"),
        at=moment(words(element, "TimeStamp"), problems, "Source.TimeStamp"),
        domain=domain_name(words(element, "DNS_Name")),
        urls=whole,
        hints=tuple(hints),
    )


def _item(element: Element, problems: Problems) -> Item:
    size = words(element, "FileSize")
    if size and number(size) is None:
        problems.add("number_unreadable", "Item.FileSize")
    seen = tuple(
        (moment(also.get("Start"), problems, "AlsoSeen"), moment(also.get("End"), problems, "AlsoSeen"))
        for also in children(element, "AlsoSeen")
    )
    hashes = tuple(
        (line(found.get("Type")), line(found.text)) for found in children(element, "Hash") if line(found.text)
    )
    return Item(
        title=words(element, "Title"),
        url=words(element, "URL") or words(element, "HostURI"),
        filename=words(element, "FileName"),
        size=number(size),
        hashes=hashes,
        creator=words(element, "Artist"),
        kind=words(element, "Type"),
        at=moment(words(element, "TimeStamp"), problems, "Item.TimeStamp"),
        seen=seen,
    )


def _declarations(message: Element) -> tuple[Declaration, ...]:
    found = []
    for element in children(message, "Declarations"):
        nested = children(element, "Declaration") or [element]
        found += [
            Declaration(
                words(one, "Type") or line(one.get("Type")), clean(words(one, "Body")), words(one, "LinkToBody")
            )
            for one in nested
        ]
    if local(message.tag) == "CounterNotice":
        for name in ("ProperlySigned", "Consent", "Statement"):
            value = words(message, name) or line(message.get(name))
            if value:
                found.append(Declaration(name, value))
    return tuple(found)
