"""X-ARF version 3, mapped here: the `xarf` package refuses genuine reports of it."""

from __future__ import annotations

from typing import Any

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


def read(value: dict[str, Any], problems: Problems) -> Report:
    report, info = as_dict(value.get("Report")), as_dict(value.get("ReporterInfo"))
    version = line(value.get("Version"), most=40)
    if version.partition(".")[0] != "3":
        problems.add("version_unknown", "Version")
    for holder, names in ((info, ("ReporterOrg", "ReporterOrgEmail")), (report, ("ReportClass", "ReportType", "Date"))):
        for name in names:
            if not line(holder.get(name)):
                problems.add("field_missing", name)
    samples = as_dicts(report.get("Samples")) + as_dicts(report.get("Attachment"))
    parties = _party(info), _party(as_dict(value.get("OnBehalfOf")))
    disclosed = value.get("Disclosure", True)
    kind, word = line(report.get("ReportClass")).lower(), line(report.get("ReportType")).lower()
    trimmed = without_payloads(report, ("Samples", "Attachment"), ("Payload", "Data"))
    return Report(
        format=Format.XARF,
        kind=kind_of(kind, word.replace(" ", "-")),
        version=version,
        document=f"{kind}/{word}",
        report_id=line(report.get("ReportID")) or line(value.get("ReportID")),
        case_ids=filled(*(line(report.get(name)) for name in ("ReportID", "CaseID", "CaseNumber", "CourtOrder"))),
        severity=line(report.get("Severity")).lower(),
        reporter=parties[1] if parties[1] != Party() else parties[0],
        sender=parties[0],
        on_behalf_of=parties[1],
        # Anything but a clear yes keeps the reporter's name here.
        may_forward_reporter=disclosed is True or line(disclosed).lower() == "true",
        reported_at=moment(report.get("Date"), problems, "Date"),
        first_seen_at=moment(report.get("FirstSeen"), problems, "FirstSeen"),
        last_seen_at=moment(report.get("LastSeen"), problems, "LastSeen"),
        sources=_sources(report, problems),
        items=_items(report),
        evidence=evidence_of(samples, ("Payload", "Data"), problems),
        text=clean(report["Description"]) if isinstance(report.get("Description"), str) else "",
        fields={**value, "Report": trimmed} if isinstance(value.get("Report"), dict) else value,
    )


def _party(info: dict[str, Any]) -> Party:
    def value(name: str) -> str:
        return line(info.get(f"Reporter{name}")) or line(info.get(name))

    email = email_address(value("ContactEmail")) or email_address(value("OrgEmail"))
    return Party(
        organisation=value("Org"),
        contact=value("ContactName"),
        email=email,
        phone=value("ContactPhone"),
        address=value("OrgAddress"),
        domain=domain_name(value("OrgDomain")),
    )


def _sources(report: dict[str, Any], problems: Problems) -> tuple[Source, ...]:
    inner = as_dict(report.get("Source"))
    named = line(report.get("SourceIp")) or line(inner.get("IP")) or line(inner.get("Ip"))
    found = address(named)
    if named and not found:
        problems.add("address_unreadable", "SourceIp")
    urls = [
        line(report.get("SourceUrl")),
        line(inner.get("URL")),
        *(line(one) for one in as_list(report.get("SourceUrls"))),
    ]
    whole = tuple(dict.fromkeys(url for url in urls if host_of(url)))
    source = Source(
        address=found,
        port=port(report.get("SourcePort") or inner.get("Port"), problems, "SourcePort"),
        protocol=line(report.get("Protocol")) or line(inner.get("Protocol")),
        at=moment(report.get("Date"), problems, "Date"),
        domain=domain_name(report.get("DomainName"))
        or next((host for url in whole if (host := domain_name(host_of(url)))), ""),
        urls=whole,
        hints=tuple(
            Hint(name, line(report.get(name))) for name in ("SmtpMailFromAddress", "UserName") if line(report.get(name))
        ),
    )
    return (source,)


def _items(report: dict[str, Any]) -> tuple[Item, ...]:
    names = ("InfringedMaterial", "TrademarkedMaterial", "SmtpMessageSubject")
    extra = as_dict(report.get("AdditionalInfo"))
    item = Item(
        title=next(filter(None, (line(report.get(name)) for name in names)), "") or line(extra.get("TargetBrand")),
        url=line(report.get("SourceUrl")) or line(as_dict(report.get("Source")).get("URL")),
        filename=line(report.get("FileName")),
        size=number(report.get("FileSize")),
        hashes=tuple(hashes_of(report.get("FileHash"), "FileHash")),
        kind=line(report.get("MaterialType")),
    )
    return (item,) if item != Item() else ()
