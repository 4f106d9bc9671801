"""X-ARF version 0: a list of `Name: value` in a plain part."""

from __future__ import annotations

import re

from disclosures.reports.shape import Format, Party, Report, Source
from disclosures.reports.values import (
    Problems,
    address,
    domain_name,
    email_address,
    host_of,
    line,
    moment,
    port,
)
from disclosures.reports.xarf_parts import (
    filled,
    kind_of,
)

PLAIN = re.compile(r"^([A-Za-z][A-Za-z0-9 _-]{1,40})[ \t]{0,20}:[ \t]{0,20}(.{0,4000})$", re.MULTILINE)


def read(text: str, problems: Problems) -> Report | None:
    """Return the report of a plain list, or None if it is none: it names a report type and a source."""
    pairs = [(match.group(1), line(match.group(2))) for match in PLAIN.finditer(text[:65536])]
    found = {name.lower(): value for name, value in reversed(pairs)}
    if not {"report-type", "source"} <= found.keys():
        return None
    category, kind = found.get("category", "").lower(), found["report-type"].lower()
    at = moment(found.get("date"), problems, "Date")
    source = found["source"]
    urls = tuple(value for name, value in pairs if "://" in value and name.lower() != "schema-url" and host_of(value))
    port_name = next((name for name in ("port", "source-port", "download-port") if found.get(name)), "")
    if not (address(source) or domain_name(source) or urls):
        problems.add("source_missing")
    version = re.search(r"_(\d{1,3}(?:\.\d{1,3}){1,2})\.json", found.get("schema-url", ""))
    reporter = email_address(found.get("reported-from"))
    return Report(
        format=Format.XARF,
        kind=kind_of(category, kind),
        version=version.group(1) if version else found.get("version", ""),
        document=f"{category}/{kind}",
        report_id=found.get("report-id", ""),
        case_ids=filled(found.get("report-id", "")),
        reporter=Party(email=reporter, domain=reporter.rpartition("@")[2]),
        reported_at=at,
        sources=(
            Source(
                address=address(source),
                port=port(found.get(port_name), problems, port_name),
                protocol=found.get("service", ""),
                at=at,
                domain=domain_name(source) or next((domain_name(host_of(url)) for url in urls), ""),
                urls=tuple(dict.fromkeys(urls)),
            ),
        ),
        fields={"report": dict(pairs)},
    )
