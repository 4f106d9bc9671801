"""X-ARF of versions 3 and 4, and version 4 itself.

Version 4 is checked against the schemas of the `xarf` package, and every difference is a problem of the report, not a
reason to drop it. Fields are read by name and kept whole, except `_internal`, which senders keep for themselves.
"""

from __future__ import annotations

import re
from typing import Any

from xarf import schema_validator

from disclosures.reports import xarf_3
from disclosures.reports.shape import Format, Hint, Item, Party, Report, Source
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
from disclosures.reports.xarf_parts import (
    as_dict,
    as_dicts,
    as_list,
    evidence_of,
    filled,
    hashes_of,
    kind_of,
    without_payloads,
)

MAX_TAGS = 20
URLS = ("url", "infringing_url", "submission_url", "download_url", "page_url")
HINTS = (
    "smtp_from",
    "smtp_to",
    "message_id",
    "sender_name",
    "username",
    "user_name",
    "hosting_service",
    "uploader_name",
)
# Names of fields hold letters, digits and dots; anything else in a path is the sender's own and is not repeated.
FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]]{0,80}")


def is_report(value: dict[str, Any]) -> bool:
    """Whether an object is an X-ARF report of version 3 or 4."""
    return "xarf_version" in value or ("Report" in value and ("ReporterInfo" in value or "Version" in value))


def read(value: dict[str, Any], problems: Problems) -> Report | None:
    """Return the report an object holds, or None with the reason."""
    if not is_report(value):
        problems.add("json_unknown")
        return None
    report = _read_4(value, problems) if "xarf_version" in value else xarf_3.read(value, problems)
    if not any(source.address or source.domain or source.urls for source in report.sources):
        problems.add("source_missing")
    return report


def _read_4(value: dict[str, Any], problems: Problems) -> Report:
    value = {name: inner for name, inner in value.items() if name != "_internal"}
    if not line(value.get("xarf_version")).startswith("4."):
        problems.add("version_unknown", "xarf_version")
    for path in sorted({error.field for error in schema_validator.validate(value)})[:MAX_TAGS]:
        problems.add("schema", path if FIELD.fullmatch(path) else "")
    category, kind = line(value.get("category")).lower(), line(value.get("type")).lower()
    first, last = (moment(value.get(name), problems, name) for name in ("first_seen", "last_seen"))
    at = moment(value.get("timestamp"), problems, "timestamp")
    evidence = evidence_of(as_dicts(value.get("evidence")), ("payload",), problems)
    return Report(
        format=Format.XARF,
        kind=kind_of(category, kind),
        version=line(value.get("xarf_version"), most=40),
        document=f"{category}/{kind}",
        report_id=line(value.get("report_id"), most=200),
        case_ids=filled(line(value.get("report_id"), most=200)),
        severity=_severity(value),
        reporter=_party(value.get("reporter")),
        sender=_party(value.get("sender")),
        reported_at=at,
        first_seen_at=first,
        last_seen_at=last,
        sources=(_source(value, at, problems),),
        items=_items(value),
        evidence=evidence,
        tags=tuple(filter(None, (line(tag) for tag in as_list(value.get("tags")))))[:MAX_TAGS],
        text=clean(value["description"]) if isinstance(value.get("description"), str) else "",
        fields=without_payloads(value, ("evidence",), ("payload",)),
    )


def _severity(value: dict[str, Any]) -> str:
    tags = (line(tag) for tag in as_list(value.get("tags")))
    tagged = (tag.partition(":")[2].lower() for tag in tags if tag.startswith("severity:"))
    return line(value.get("severity")).lower() or next(tagged, "")


def _party(value: object) -> Party:
    inner = value if isinstance(value, dict) else {}
    contact = line(inner.get("contact"))
    return Party(
        organisation=line(inner.get("org")),
        contact=contact,
        email=email_address(contact),
        domain=domain_name(inner.get("domain")),
    )


def _source(value: dict[str, Any], at: Any, problems: Problems) -> Source:
    named = line(value.get("source_identifier"))
    found = address(named)
    urls = [line(value.get(name)) for name in URLS]
    urls += [line(one) for name in ("infringing_urls", "urls", "additional_urls") for one in as_list(value.get(name))]
    urls += [named]
    whole = tuple(dict.fromkeys(url for url in urls if "://" in url and host_of(url)))
    domain = domain_name(value.get("domain")) or domain_name(named)
    hints = [Hint(name, line(value.get(name))) for name in HINTS if line(value.get(name))]
    if named and not found:
        hints.append(Hint("source_identifier", named))
    return Source(
        address=found,
        port=port(value.get("source_port"), problems, "source_port"),
        protocol=line(value.get("protocol")) or line(value.get("p2p_protocol")),
        at=at,
        domain=domain or next((name for url in whole if (name := domain_name(host_of(url)))), ""),
        urls=whole,
        hints=tuple(hints),
    )


def _items(value: dict[str, Any]) -> tuple[Item, ...]:
    files = [value, *as_dicts(value.get("file_info")), *as_dicts([value.get("file_info"), value.get("swarm_info")])]
    hashes = [
        pair for one in files for name in ("file_hash", "hash", "info_hash") for pair in hashes_of(one.get(name), name)
    ]
    hashes += [pair for one in as_list(value.get("file_hashes")) for pair in hashes_of(one, "file_hash")]
    hashes += [(line(name).lower(), line(one)) for name, one in as_dict(value.get("file_hashes")).items() if line(one)]
    names = [line(one.get(name)) for one in files for name in ("filename", "file_name", "name", "torrent_name")]
    sizes = [number(one.get(name)) for one in files for name in ("file_size", "size", "total_size")]
    title = next(filter(None, (line(value.get(name)) for name in ("work_title", "subject", "target_brand"))), "")
    item = Item(
        title=title,
        url=next(filter(None, (line(value.get(name)) for name in URLS)), ""),
        filename=next(filter(None, names), ""),
        size=next((size for size in sizes if size is not None), None),
        hashes=tuple(dict.fromkeys(hashes)),
        creator=line(value.get("rights_holder")),
        kind=line(value.get("work_category")) or line(value.get("infringement_type")),
        original_url=line(value.get("original_url")) or line(value.get("cloned_site")),
    )
    return (item,) if item != Item() else ()
