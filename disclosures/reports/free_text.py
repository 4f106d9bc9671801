"""What plain words name: addresses with their times, URLs, domains, account numbers, case ids, and what it is about.

Every pattern has limits on each repetition, so that no text takes more than linear time. What is found is a lead for
the desk, never a fact: the text may name addresses of anybody.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from disclosures.reports.shape import Hint, Kind, Source
from disclosures.reports.values import (
    EMAIL,
    ISO,
    WRITTEN,
    Problems,
    address,
    domain_name,
    host_of,
    moment,
    number,
)

MOST = 200
LOOKED_AT = 500
# Dots and schemes that were made harmless so that nobody clicks them.
DEFANGED = re.compile(r"\[\.\]|\(\.\)|\[dot\]|\(dot\)|\{\.\}", re.IGNORECASE)
SCHEME = re.compile(r"\b(?:hxxp|h\*\*p|meow)(s?)(?:://|\[://\]|\[:\]//)", re.IGNORECASE)
URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"'`|\\^{}\u201c\u201d]{1,2000}", re.IGNORECASE)
IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]{0,4}:[0-9a-f:.]{1,44}(?![\w:])", re.ASCII | re.IGNORECASE)
NAMES = re.compile(r"(?<![\w@.-])(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}[a-z]{2,24}(?![\w@-])", re.IGNORECASE)
PORT = re.compile(r"\bport(?:\s{1,3}id)?\s{0,3}[:=#]?\s{0,3}(\d{1,5})\b", re.ASCII | re.IGNORECASE)
ACCOUNT = re.compile(
    r"\b(?:account|customer|client|subscriber)\s{0,3}(?:no\.?|number|id|ref(?:erence)?)?\s{0,3}[:#=]?\s{0,3}([1-9]\d{8})\b",
    re.ASCII | re.IGNORECASE,
)
CASE = re.compile(
    r"\b(?:(?:case|notice|ticket|incident|report|complaint|abuse|reference)\s{0,3}(?:id|no\.?|number|ref(?:erence)?|#)"
    r"|(?:reference|ticket|issue|case)(?=\s{0,3}[:#]|\s\d))\s{0,3}[:#=]{0,2}\s{0,3}#?"
    r"([A-Za-z0-9][A-Za-z0-9._/-]{2,63})",
    re.IGNORECASE,
)
PROTOCOL = re.compile(r"\bprotocol\s{0,3}[:=]\s{0,3}([A-Za-z0-9+/_.-]{2,40})", re.IGNORECASE)
HOUR = re.compile(r"\d[T\s]+\d\d?[:-]\d\d", re.ASCII)
# How far from an address its time may stand, in characters.
LINE, NEARBY = 300, 2000
# In this order: what is worst is asked first, and the words of a copyright notice stand in many others.
KINDS = (
    (Kind.CSAM, r"child (?:sexual|porn|abuse)|\bcsam\b|\bcsem\b|sexual abuse of (?:a )?(?:child|minor)"),
    (Kind.NCII, r"non-?consensual|intimate (?:image|photo|video)|revenge porn|take it down act|\bncii\b"),
    (Kind.PHISHING, r"phish"),
    (Kind.MALWARE, r"malware|malicious (?:software|code)|virus|trojan|ransomware|compromised"),
    (Kind.COPYRIGHT, r"copyright|\bdmca\b|infring|512\s?\(c\)"),
    (Kind.TRADEMARK, r"trade ?mark"),
    (Kind.DDOS, r"\bddos\b|denial.of.service"),
    (Kind.BOTNET, r"botnet|command.and.control"),
    (Kind.ATTACK, r"brute.?force|port.?scan|login attempt|intrusion|sql injection|\bhacking\b|ssh attack"),
    (Kind.SPAM, r"\bspam|unsolicited|bulk (?:mail|e-?mail)"),
    (Kind.FRAUD, r"\bfraud|\bscam"),
)
KIND_WORDS = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in KINDS)


@dataclass(frozen=True, slots=True)
class Found:
    """What a text names, each once, in its order."""

    sources: tuple[Source, ...]
    case_ids: tuple[str, ...]
    kind: Kind


def kind_of(text: str) -> Kind:
    """Return what a text is about, by its words; the worst first."""
    return next((kind for kind, words in KIND_WORDS if words.search(text)), Kind.OTHER)


def armed(text: str) -> str:
    """Return text with addresses as they are, which reports often write so that nobody clicks them."""
    return SCHEME.sub(r"http\1://", DEFANGED.sub(".", text))


def find(text: str, problems: Problems, own: frozenset[str] = frozenset()) -> Found:
    """Return what a text names. `own` are domains of the reporter, who is not whom the report concerns."""
    text = armed(text).replace("\r\n", "\n")
    urls = _urls(text, own)
    bare = EMAIL.sub(" ", URL.sub(" ", text))
    sources = _addresses(text, bare, problems)
    hosts = dict.fromkeys(host_of(url) for url in urls)
    by_host = {host: tuple(url for url in urls if host_of(url) == host) for host in hosts}
    domains = dict.fromkeys(name for name in _domains(bare, own) if name not in hosts)
    sources += [
        Source(address=address(host), domain="" if address(host) else host, urls=by_host[host]) for host in hosts
    ]
    sources += [Source(domain=name) for name in domains]
    sources += [
        Source(hints=(Hint("account_number", number),))
        for number in dict.fromkeys(match.group(1) for match in ACCOUNT.finditer(text))
    ]
    if len(sources) > MOST:
        problems.add("findings_cut")
    return Found(tuple(sources[:MOST]), case_ids(text), kind_of(text))


def case_ids(text: str) -> tuple[str, ...]:
    """Return what a text calls a case, notice or ticket; an id holds a digit."""
    found = (match.group(1).rstrip("._/-") for match in CASE.finditer(text))
    return tuple(dict.fromkeys(name for name in found if any(letter.isdigit() for letter in name)))[:MOST]


def _is_own(host: str, own: frozenset[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in own)


def _urls(text: str, own: frozenset[str]) -> list[str]:
    found: dict[str, None] = {}
    for match in URL.finditer(text):
        url = match.group().rstrip(".,;:!?)]*>")
        if host_of(url) and not _is_own(host_of(url), own):
            found.setdefault(url)
        if len(found) > MOST:
            break
    return list(found)


def _domains(text: str, own: frozenset[str]) -> list[str]:
    found: dict[str, None] = {}
    for match in NAMES.finditer(text):
        name = domain_name(match.group())
        if name and name.rpartition(".")[2] not in FILES and not _is_own(name, own):
            found.setdefault(name)
        if len(found) > MOST:
            break
    return list(found)


FILES = frozenset(
    [
        "avi",
        "mkv",
        "mp3",
        "mp4",
        "exe",
        "zip",
        "rar",
        "txt",
        "pdf",
        "html",
        "htm",
        "php",
        "js",
        "xml",
        "json",
        "jpg",
        "jpeg",
        "png",
        "gif",
        "doc",
        "docx",
        "torrent",
    ]
)


def _addresses(text: str, bare: str, problems: Problems) -> list[Source]:
    """Return each address with a time: of its line, else of its paragraph, else the only time of the text."""
    found: dict[tuple[str, dt.datetime | None], Source] = {}
    only: list[dt.datetime] | None = None
    for match, name in itertools.islice(_ips(bare), LOOKED_AT):
        piece, paragraph = _around(bare, match, LINE, "\n"), _around(bare, match, NEARBY, "\n\n")
        times = _times(piece, problems) or _times(paragraph, problems)
        if not times:
            only = sorted(set(_times(text, problems))) if only is None else only
            times = only if len(only) == 1 else []
        at = times[0] if times else None
        protocol = PROTOCOL.search(paragraph)
        source = Source(name, _port(piece, paragraph), protocol.group(1) if protocol else "", at)
        found.setdefault((name, at), source)
        if len(found) > MOST:
            break
    if sum(1 for _ in itertools.islice(_ips(bare), LOOKED_AT + 1)) > LOOKED_AT:
        problems.add("findings_cut", "text")
    return list(found.values())


def _around(text: str, match: re.Match[str], most: int, end: str) -> str:
    """Return what stands around a match, up to the nearest `end` on both sides and at most so many characters."""
    start = max(text.rfind(end, max(0, match.start() - most), match.start()), match.start() - most, 0)
    stop = text.find(end, match.end(), match.end() + most)
    return text[start : stop if stop >= 0 else match.end() + most]


def _port(piece: str, paragraph: str) -> int | None:
    ports = PORT.findall(piece) or list(dict.fromkeys(PORT.findall(paragraph)))
    return number(ports[0], most=65535) if ports and (len(ports) == 1 or PORT.search(piece)) else None


def _ips(text: str) -> Iterator[tuple[re.Match[str], str]]:
    for match in itertools.chain(IPV4.finditer(text), IPV6.finditer(text)):
        written = match.group()
        name = address(written if written.endswith("::") else written.rstrip(".:"))
        if name and name != "::":
            yield match, name


def _times(text: str, problems: Problems) -> list[dt.datetime]:
    """Return the times of a text that name an hour; a date alone says too little of an address."""
    quiet = Problems()
    found = []
    for pattern in (ISO, WRITTEN):
        for match in pattern.finditer(text):
            if HOUR.search(match.group()):
                at = moment(match.group(), quiet)
                found.extend([at] if at else [])
            if len(found) > MOST:
                return found
    if any(problem.code == "time_without_zone" for problem in quiet.found()):
        problems.add("time_without_zone", "text")
    return found
