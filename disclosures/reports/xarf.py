"""X-ARF: version 4, version 3, and the plain lists of version 0.

Version 4 is checked against the schemas of the `xarf` package, and every difference is a problem of the report, not a
reason to drop it. Version 3 is mapped here: the package refuses genuine reports of it. Fields are read by name and
kept whole, except `_internal`, which senders keep for themselves.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from xarf import schema_validator

from disclosures.reports.shape import Evidence, Format, Hint, Item, Kind, Party, Report, Source
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

MAX_DEPTH = 30
MAX_FIELDS = 10_000
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]|,', re.DOTALL)
MAX_EVIDENCE = 50
MAX_TAGS = 20
MAX_LIST = 200
KINDS = {
    "messaging": Kind.SPAM,
    "copyright": Kind.COPYRIGHT,
    "connection": Kind.ATTACK,
    "vulnerability": Kind.VULNERABILITY,
    "infrastructure": Kind.BOTNET,
    "reputation": Kind.REPUTATION,
}
TYPES = {
    "phishing": Kind.PHISHING,
    "malware": Kind.MALWARE,
    "malware-attack": Kind.MALWARE,
    "csam": Kind.CSAM,
    "csem": Kind.CSAM,
    "childabuse": Kind.CSAM,
    "ncii": Kind.NCII,
    "fraud": Kind.FRAUD,
    "ddos": Kind.DDOS,
    "spam": Kind.SPAM,
    "bulk-messaging": Kind.SPAM,
    "trademark": Kind.TRADEMARK,
    "brand-infringement": Kind.TRADEMARK,
    "copyright": Kind.COPYRIGHT,
    "p2p": Kind.COPYRIGHT,
    "cyberlocker": Kind.COPYRIGHT,
    "botnet": Kind.BOTNET,
    "botnetinfection": Kind.BOTNET,
    "infected-host": Kind.BOTNET,
    "loginattack": Kind.ATTACK,
    "login-attack": Kind.ATTACK,
    "portscan": Kind.ATTACK,
    "remote-compromise": Kind.MALWARE,
    "compromised-server": Kind.MALWARE,
}
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
PLAIN = re.compile(r"^([A-Za-z][A-Za-z0-9 _-]{1,40})[ \t]{0,20}:[ \t]{0,20}(.{0,4000})$", re.MULTILINE)


def load(text: str, problems: Problems) -> dict[str, Any] | None:
    """Return the object a JSON text holds, or None with the reason. Of a key that comes twice the first counts."""
    if refused := _over_limit(text):
        problems.add(refused)
        return None

    def first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                problems.add("json_duplicate_key")
            found.setdefault(clean(name, most=200), value)
        return found

    try:
        # Big numbers and NaN are kept as text: no store takes them.
        value = json.loads(text, object_pairs_hook=first, parse_constant=str, parse_int=_whole, parse_float=_fraction)
    except (ValueError, RecursionError):
        problems.add("json_broken")
        return None
    if not isinstance(value, dict):
        problems.add("json_unknown")
        return None
    return {name: _cleaned(inner) for name, inner in value.items()}


def _over_limit(text: str) -> str:
    """Return the code of the limit a JSON text passes, or nothing: brackets and commas are counted beforehand."""
    depth = count = 0
    for match in TOKEN.finditer(text):
        sign = match.group()[0]
        count += sign != '"'
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAX_DEPTH:
            return "json_too_deep"
        if count > MAX_FIELDS:
            return "json_too_large"
    return ""


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= 18 else text


def _fraction(text: str) -> float | str:
    value = float(text)
    return value if abs(value) < 1e300 else text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, most=16 * 1024 * 1024)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return {name: _cleaned(one) for name, one in value.items()} if isinstance(value, dict) else value


def is_report(value: dict[str, Any]) -> bool:
    """Whether an object is an X-ARF report of version 3 or 4."""
    return "xarf_version" in value or ("Report" in value and ("ReporterInfo" in value or "Version" in value))


def read(value: dict[str, Any], problems: Problems) -> Report | None:
    """Return the report an object holds, or None with the reason."""
    if not is_report(value):
        problems.add("json_unknown")
        return None
    report = _read_4(value, problems) if "xarf_version" in value else _read_3(value, problems)
    if not any(source.address or source.domain or source.urls for source in report.sources):
        problems.add("source_missing")
    return report


# Version 4.


def _read_4(value: dict[str, Any], problems: Problems) -> Report:
    value = {name: inner for name, inner in value.items() if name != "_internal"}
    if not line(value.get("xarf_version")).startswith("4."):
        problems.add("version_unknown", "xarf_version")
    for path in sorted({error.field for error in schema_validator.validate(value)})[:MAX_TAGS]:
        problems.add("schema", path if FIELD.fullmatch(path) else "")
    category, kind = line(value.get("category")).lower(), line(value.get("type")).lower()
    first, last = (moment(value.get(name), problems, name) for name in ("first_seen", "last_seen"))
    at = moment(value.get("timestamp"), problems, "timestamp")
    evidence = _evidence(_dicts(value.get("evidence")), ("payload",), problems)
    return Report(
        format=Format.XARF,
        kind=kind_of(category, kind),
        version=line(value.get("xarf_version"), most=40),
        document=f"{category}/{kind}",
        report_id=line(value.get("report_id"), most=200),
        case_ids=_filled(line(value.get("report_id"), most=200)),
        severity=_severity(value),
        reporter=_party_4(value.get("reporter")),
        sender=_party_4(value.get("sender")),
        reported_at=at,
        first_seen_at=first,
        last_seen_at=last,
        sources=(_source_4(value, at, problems),),
        items=_items_4(value),
        evidence=evidence,
        tags=tuple(filter(None, (line(tag) for tag in _list(value.get("tags")))))[:MAX_TAGS],
        text=clean(value["description"]) if isinstance(value.get("description"), str) else "",
        fields=_without_payloads(value, ("evidence",), ("payload",)),
    )


def kind_of(category: str, kind: str) -> Kind:
    """Return what a report is about: by its type where that says more than its category."""
    return TYPES.get(kind.replace("_", "-")) or KINDS.get(category) or Kind.OTHER


def _severity(value: dict[str, Any]) -> str:
    tags = (line(tag) for tag in _list(value.get("tags")))
    tagged = (tag.partition(":")[2].lower() for tag in tags if tag.startswith("severity:"))
    return line(value.get("severity")).lower() or next(tagged, "")


def _party_4(value: object) -> Party:
    inner = value if isinstance(value, dict) else {}
    contact = line(inner.get("contact"))
    return Party(
        organisation=line(inner.get("org")),
        contact=contact,
        email=email_address(contact),
        domain=domain_name(inner.get("domain")),
    )


def _source_4(value: dict[str, Any], at: Any, problems: Problems) -> Source:
    named = line(value.get("source_identifier"))
    found = address(named)
    urls = [line(value.get(name)) for name in URLS]
    urls += [line(one) for name in ("infringing_urls", "urls", "additional_urls") for one in _list(value.get(name))]
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


def _items_4(value: dict[str, Any]) -> tuple[Item, ...]:
    files = [value, *_dicts(value.get("file_info")), *_dicts([value.get("file_info"), value.get("swarm_info")])]
    hashes = [
        pair for one in files for name in ("file_hash", "hash", "info_hash") for pair in _hash(one.get(name), name)
    ]
    hashes += [pair for one in _list(value.get("file_hashes")) for pair in _hash(one, "file_hash")]
    hashes += [(line(name).lower(), line(one)) for name, one in _dict(value.get("file_hashes")).items() if line(one)]
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


def _hash(value: object, name: str) -> list[tuple[str, str]]:
    """Return a hash as algorithm and value: `sha256:ab12`, or told by its length."""
    text = line(value, most=300)
    if not text:
        return []
    algorithm, mark, digest = text.partition(":")
    if mark and algorithm.lower() != "urn":
        return [(algorithm.lower(), digest)]
    by_length = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
    return [("btih" if name == "info_hash" else by_length.get(len(text), ""), text)]


# Version 3.


def _read_3(value: dict[str, Any], problems: Problems) -> Report:
    report, info = _dict(value.get("Report")), _dict(value.get("ReporterInfo"))
    version = line(value.get("Version"), most=40)
    if version.partition(".")[0] != "3":
        problems.add("version_unknown", "Version")
    for holder, names in ((info, ("ReporterOrg", "ReporterOrgEmail")), (report, ("ReportClass", "ReportType", "Date"))):
        for name in names:
            if not line(holder.get(name)):
                problems.add("field_missing", name)
    samples = _dicts(report.get("Samples")) + _dicts(report.get("Attachment"))
    parties = _party_3(info), _party_3(_dict(value.get("OnBehalfOf")))
    disclosed = value.get("Disclosure", True)
    kind, word = line(report.get("ReportClass")).lower(), line(report.get("ReportType")).lower()
    trimmed = _without_payloads(report, ("Samples", "Attachment"), ("Payload", "Data"))
    return Report(
        format=Format.XARF,
        kind=kind_of(kind, word.replace(" ", "-")),
        version=version,
        document=f"{kind}/{word}",
        report_id=line(report.get("ReportID")) or line(value.get("ReportID")),
        case_ids=_filled(*(line(report.get(name)) for name in ("ReportID", "CaseID", "CaseNumber", "CourtOrder"))),
        severity=line(report.get("Severity")).lower(),
        reporter=parties[1] if parties[1] != Party() else parties[0],
        sender=parties[0],
        on_behalf_of=parties[1],
        # Anything but a clear yes keeps the reporter's name here.
        may_forward_reporter=disclosed is True or line(disclosed).lower() == "true",
        reported_at=moment(report.get("Date"), problems, "Date"),
        first_seen_at=moment(report.get("FirstSeen"), problems, "FirstSeen"),
        last_seen_at=moment(report.get("LastSeen"), problems, "LastSeen"),
        sources=_sources_3(report, problems),
        items=_items_3(report),
        evidence=_evidence(samples, ("Payload", "Data"), problems),
        text=clean(report["Description"]) if isinstance(report.get("Description"), str) else "",
        fields={**value, "Report": trimmed} if isinstance(value.get("Report"), dict) else value,
    )


def _party_3(info: dict[str, Any]) -> Party:
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


def _sources_3(report: dict[str, Any], problems: Problems) -> tuple[Source, ...]:
    inner = _dict(report.get("Source"))
    named = line(report.get("SourceIp")) or line(inner.get("IP")) or line(inner.get("Ip"))
    found = address(named)
    if named and not found:
        problems.add("address_unreadable", "SourceIp")
    urls = [
        line(report.get("SourceUrl")),
        line(inner.get("URL")),
        *(line(one) for one in _list(report.get("SourceUrls"))),
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


def _items_3(report: dict[str, Any]) -> tuple[Item, ...]:
    names = ("InfringedMaterial", "TrademarkedMaterial", "SmtpMessageSubject")
    extra = _dict(report.get("AdditionalInfo"))
    item = Item(
        title=next(filter(None, (line(report.get(name)) for name in names)), "") or line(extra.get("TargetBrand")),
        url=line(report.get("SourceUrl")) or line(_dict(report.get("Source")).get("URL")),
        filename=line(report.get("FileName")),
        size=number(report.get("FileSize")),
        hashes=tuple(_hash(report.get("FileHash"), "FileHash")),
        kind=line(report.get("MaterialType")),
    )
    return (item,) if item != Item() else ()


# Version 0: a list of `Name: value` in a plain part.


def read_plain(text: str, problems: Problems) -> Report | None:
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
        case_ids=_filled(found.get("report-id", "")),
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


# What all versions share.


def _evidence(samples: list[dict[str, Any]], names: tuple[str, ...], problems: Problems) -> tuple[Evidence, ...]:
    if len(samples) > MAX_EVIDENCE:
        problems.add("findings_cut", "evidence")
    return tuple(_piece(one, names, problems) for one in samples[:MAX_EVIDENCE])


def _piece(sample: dict[str, Any], names: tuple[str, ...], problems: Problems) -> Evidence:
    payload = next((sample[name] for name in names if isinstance(sample.get(name), str)), "")
    encoded = sample.get("Base64Encoded", True) is not False
    content = _unpacked(payload, problems) if encoded else payload.encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()
    claimed = line(sample.get("hash"), most=300)
    if claimed.lower().startswith("sha256:") and claimed[7:].lower() != digest:
        problems.add("evidence_digest_differs")
    return Evidence(
        content_type=line(sample.get("content_type") or sample.get("ContentType"), most=200),
        content=content,
        digest=digest,
        filename=line(sample.get("filename") or sample.get("FileName"), most=255),
        description=line(sample.get("description") or sample.get("Description")),
        claimed=claimed,
    )


def _unpacked(payload: str, problems: Problems) -> bytes:
    packed = "".join(payload.split())
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        problems.add("evidence_broken")
        return payload.encode("utf-8", "replace")


def _without_payloads(value: dict[str, Any], lists: Iterable[str], names: Iterable[str]) -> dict[str, Any]:
    """Return the fields without the content of the evidence, which is kept by itself."""
    kept = dict(value)
    for name in lists:
        if isinstance(value.get(name), list):
            kept[name] = [
                {key: inner for key, inner in one.items() if key not in names} if isinstance(one, dict) else one
                for one in value[name]
            ]
    return kept


def _filled(*values: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value[:MAX_LIST] if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]
