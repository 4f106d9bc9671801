"""Reading a report: `read(raw)` decides the format and returns a `Report`, whatever the bytes are.

It never raises: what cannot be read is a report of the format "unparsed" with the reasons, for which the caller opens a
case for staff. The order in which formats are looked for is: limits, ACNS, X-ARF, ARF, X-ARF 0, a delivery status, and
plain words.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

from disclosures.reports import acns, acns_xml, arf, free_text, xarf, xarf_0, xarf_json
from disclosures.reports.contents import Contents, lines_of, sorted_contents, unmarked
from disclosures.reports.headers import mail_of
from disclosures.reports.message import (
    MAX_SIZE,
    OverLimit,
    Part,
    decoded,
    every_header,
    top_headers,
    tree,
)
from disclosures.reports.shape import Format, Hint, Item, Kind, Mail, Party, Report, Source
from disclosures.reports.values import (
    Problems,
    address,
    clean,
    email_address,
    host_of,
    line,
    moment,
)

HOP = re.compile(r"[\[(](?:IPv6:)?([0-9A-Fa-f:.]{3,45})[\])]")
BROKEN_JSON = ("json_broken", "json_too_deep", "json_too_large")
BYTE_ORDER = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def read(raw: bytes) -> Report:
    """Return the report that a mail, an XML or a JSON document holds; "unparsed" with reasons if none."""
    problems = Problems()
    mail = Mail()
    try:
        if len(raw) > MAX_SIZE:
            mail = mail_of(top_headers(raw), problems)
            raise OverLimit("too_large")
        bare = _bare(raw, problems)
        if bare is not None:
            return _finished(bare, problems)
        mail = mail_of(top_headers(raw.lstrip(b"\r\n")), problems)
        return _finished(replace(_of_mail(tree(raw.lstrip(b"\r\n"), problems), mail, problems), mail=mail), problems)
    except OverLimit as limit:
        problems.add(limit.args[0])
    except Exception:
        # A report that breaks a reader must still become a case: nothing is dropped, and nothing of it is told here.
        problems.add("reader_failed")
    kind = free_text.kind_of(mail.subject)
    report = Report(Format.UNPARSED, kind, mail=mail, reporter=mail.sent_from, sender=mail.sent_from)
    return _finished(report, problems, raw)


def _finished(report: Report, problems: Problems, raw: bytes = b"") -> Report:
    return replace(report, problems=problems.found(), content_hash=content_hash(report, raw))


def content_hash(report: Report, raw: bytes = b"") -> str:
    """Return a hash of what a report says, the same for a copy sent again: without its mail, spaces and case."""
    if report.format in (Format.ACNS, Format.XARF, Format.ARF):
        said = json.dumps(report.fields, sort_keys=True, ensure_ascii=True)
    else:
        said = f"{report.mail.subject}\n{report.text}"
    heart = " ".join(said.split()).casefold().encode("utf-8", "replace")
    return hashlib.sha256(f"{report.format}\n".encode() + (raw or heart)).hexdigest()


def _bare(raw: bytes, problems: Problems) -> Report | None:
    """Return the report of a document that came without a mail around it."""
    start = raw.lstrip()[:4]
    if (
        not raw.startswith(BYTE_ORDER)
        and not start.startswith((b"<", b"{"))
        and raw[1:2] != b"\x00"
        and raw[:1] != b"\x00"
    ):
        return None
    text = clean(decoded(raw, _declared(raw), problems), problems, most=MAX_SIZE).lstrip("\ufeff \r\n\t")
    if text.startswith("<"):
        found, rest = acns_xml.blocks(text)
        if not found:
            acns.read(text, problems)
            return Report(Format.UNPARSED, text=acns_xml.without_login(rest))
        return _acns(found, problems) or _words("", Mail(), Contents([], found, [], []), problems)
    if text.startswith("{"):
        value = xarf_json.load(text, problems)
        return (xarf.read(value, problems) if value is not None else None) or Report(Format.UNPARSED, text=text[:65536])
    return None


def _declared(raw: bytes) -> str:
    match = re.match(rb"\s{0,100}<\?xml[^<>]{0,100}encoding\s?=\s?[\"']([A-Za-z0-9._-]{1,40})", raw[:300])
    return match.group(1).decode("ascii") if match else "utf-8"


def _of_mail(root: Part, mail: Mail, problems: Problems) -> Report:
    contents = sorted_contents(root, problems)
    rest = acns_xml.without_login("\n\n".join(contents.texts)).strip()
    report = (
        _acns(contents.xml, problems)
        or _xarf(contents.objects, problems)
        or _arf(contents, problems)
        or _plain(contents, problems)
        or (_delivery(contents.delivery, problems) if contents.delivery is not None else None)
        or _forwarded(contents, problems)
        or _words(rest, mail, contents, problems)
    )
    sender = mail.sent_from
    return replace(
        report,
        reporter=sender if report.reporter == Party() else report.reporter,
        sender=sender if report.sender == Party() else report.sender,
        evidence=(*report.evidence, *contents.evidence),
        text=report.text or clean(rest, problems),
        reported_at=report.reported_at or mail.sent_at,
    )


def _forwarded(contents: Contents, problems: Problems) -> Report | None:
    """Return the report inside a mail that was forwarded whole, if it has a format; plain words there are evidence."""
    if contents.original is None or not contents.original.children:
        return None
    inner, ours = contents.original.children[0], Problems()
    mail = mail_of(inner.headers, ours)
    report = _of_mail(inner, mail, ours)
    if report.format not in (Format.ACNS, Format.ARF, Format.XARF):
        return None
    problems.extend(ours.found())
    return report


def _acns(texts: list[str], problems: Problems) -> Report | None:
    """Return the first notice that can be read; copies of it are left out, further notices are its `others`."""
    read: list[Report] = []
    for text in dict.fromkeys(texts):
        ours = Problems()
        report = acns.read(text, ours)
        problems.extend(ours.found())
        if report is None:
            continue
        copy = next((one for one in read if one.case_ids and one.case_ids == report.case_ids), None)
        if copy is None:
            read.append(replace(report, content_hash=content_hash(report), problems=ours.found()))
        elif content_hash(copy) != content_hash(report):
            problems.add("copies_differ")
    return replace(read[0], others=tuple(read[1:])) if read else None


def _xarf(objects: list[dict[str, Any]], problems: Problems) -> Report | None:
    reports = [report for value in objects if (report := xarf.read(value, problems))]
    return replace(reports[0], others=tuple(reports[1:])) if reports else None


def _arf(contents: Contents, problems: Problems) -> Report | None:
    return arf.read(contents.feedback, contents.original, problems) if contents.feedback is not None else None


def _plain(contents: Contents, problems: Problems) -> Report | None:
    texts = [one.content for one in contents.evidence if one.content_type == "text/plain"]
    for text in (*(decoded(content, "utf-8", Problems()) for content in texts), *contents.texts):
        report = xarf_0.read(clean(text).replace("\r\n", "\n"), problems)
        if report is not None:
            return _with_urls(report, "\n\n".join(contents.texts))
    return None


def _with_urls(report: Report, text: str) -> Report:
    """Return a report of version 0 with the URLs of its own host that only the words beside it name."""
    found = free_text.find(text, Problems())
    sources = tuple(
        replace(
            source,
            urls=tuple(
                dict.fromkeys(
                    (*source.urls, *(url for one in found.sources for url in one.urls if host_of(url) == source.domain))
                )
            ),
        )
        for source in report.sources
    )
    return replace(report, sources=sources)


def _delivery(part: Part, problems: Problems) -> Report:
    """Return what a delivery status says: which address failed and why; it answers a mail sent from here."""
    text = lines_of(part, problems)
    pairs = re.findall(r"^([A-Za-z-]{2,40}):[ \t]{0,20}(.{0,1000})$", text[:65536], re.MULTILINE)
    fields: dict[str, list[str]] = {}
    for name, value in pairs[:200]:
        fields.setdefault(name, []).append(line(value))
    recipients = dict.fromkeys(email_address(value) for value in fields.get("Final-Recipient", []))
    hints = tuple(Hint("recipient", value) for value in recipients if value)
    status = next(iter(fields.get("Action", [])), "").lower()
    return Report(
        Format.DELIVERY_STATUS,
        Kind.MESSAGE,
        document=next(iter(fields.get("Status", [])), ""),
        status=status,
        sources=(Source(hints=hints),) if hints else (),
        fields={"delivery": fields},
    )


def _words(text: str, mail: Mail, contents: Contents, problems: Problems) -> Report:
    whole = f"{mail.subject}\n\n{text}"
    if not (text or mail.subject or contents.evidence or contents.xml):
        problems.add("empty")
        return Report(Format.UNPARSED)
    if "-----BEGIN PGP MESSAGE-----" in text:
        problems.add("encrypted")
        return Report(Format.UNPARSED)
    # XML or JSON that was there and could not be read: words around it do not make a report of it, but lead further.
    broken = "\n\n".join(unmarked(acns_xml.without_login(xml[:65536])) for xml in contents.xml)
    is_broken = bool(contents.xml) or any(problem.code in BROKEN_JSON for problem in problems.found())
    own = frozenset(filter(None, (mail.sent_from.domain, mail.reply_address.rpartition("@")[2])))
    found = free_text.find(f"{whole}\n\n{broken}", problems, own)
    sources = (*found.sources, *_hops(contents.original, problems))
    if not sources:
        problems.add("source_missing")
    times = sorted(source.at for source in sources if source.at)
    return Report(
        Format.UNPARSED if is_broken else Format.FREE_TEXT,
        Kind.COPYRIGHT if found.kind == Kind.OTHER and contents.xml else found.kind,
        case_ids=found.case_ids,
        sources=sources,
        items=tuple(Item(url=url) for source in found.sources for url in source.urls),
        reported_at=mail.sent_at,
        first_seen_at=times[0] if times else None,
        last_seen_at=times[-1] if times else None,
        text=text,
    )


def _hops(original: Part | None, problems: Problems) -> tuple[Source, ...]:
    """Return the addresses a mail that somebody complains of came through, each with its time, newest first."""
    if original is None or not original.children:
        return ()
    found: dict[tuple[str, Any], Source] = {}
    for name, value in every_header(original.children[0].headers):
        if name.lower() == "received" and len(found) < free_text.MOST:
            hop, _, written = value.rpartition(";")
            at = moment(written, problems, "Received")
            for known in filter(None, map(address, HOP.findall(hop))):
                found.setdefault((known, at), Source(known, protocol="smtp", at=at))
    return tuple(found.values())
