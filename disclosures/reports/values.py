"""Single values of reports: text, times, addresses, ports, numbers. Each reader returns None or "" for what is none."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable
from email.utils import parsedate_tz
from urllib.parse import urlsplit

from disclosures.reports.shape import Problem

MAX_TEXT = 1024 * 1024
MAX_VALUE = 8192
EARLIEST, LATEST = 1990, 2100
# Times as they come: hyphens between hours and minutes, a slash date, a word for the zone.
ISO = re.compile(
    r"(\d{4})[-/](\d\d?)[-/](\d\d?)"
    r"(?:[T\s]{1,3}(\d\d?)[:-](\d\d)(?:[:-](\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"\s{0,3}(Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d|[A-Z]{2,4})?",
    re.ASCII | re.IGNORECASE,
)
WRITTEN = re.compile(
    r"(?:[A-Za-z]{3,9},?\s{1,3})?\d{1,2}\s{1,3}[A-Za-z]{3,9}\s{1,3}\d{4}"
    r"(?:\s{1,3}\d\d?:\d\d(?::\d\d)?(?:\s{1,3}[A-Za-z+-][\w:]{0,5})?)?",
    re.ASCII,
)
NUMERIC_ZONE = re.compile(r"[+-]\d{4}(?!\d)", re.ASCII)
ZONES = {"Z": 0, "UTC": 0, "UT": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6}
ZONES |= {"PST": -8, "PDT": -7, "CET": 1, "CEST": 2, "BST": 1, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3}
# What no text column and no XML may hold, and halves of characters that no encoding can write.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
SURROGATE = re.compile("[\ud800-\udfff]")
# The look behind keeps a long run of letters from being tried at each of them.
EMAIL = re.compile(
    r"(?<![A-Za-z0-9.!#$%&'*+/=?^_`{|}~-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
)
DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class Problems:
    """Collects problems, each once and at most a hundred: a broken report may have any number of them."""

    MOST = 100

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, code: str, where: str = "") -> None:
        if len(self._found) < self.MOST:
            self._found.setdefault(Problem(code, where))

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem.code, problem.where)

    def found(self) -> tuple[Problem, ...]:
        return tuple(self._found)


def clean(text: str, problems: Problems | None = None, most: int = MAX_TEXT) -> str:
    """Return text that every store can hold: no NUL or other control characters, no half characters, not too long."""
    if len(text) > most:
        text = text[:most]
        if problems:
            problems.add("text_cut")
    if problems and "\x00" in text:
        problems.add("nul_removed")
    return SURROGATE.sub("\ufffd", CONTROL.sub("", text))


def line(value: object, most: int = MAX_VALUE) -> str:
    """Return a value as one line of text with single spaces; empty for what is no text or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        return " ".join(clean(str(value), most=most).split())
    except ValueError:  # an integer of more digits than Python writes
        return ""


def moment(value: object, problems: Problems, where: str = "") -> dt.datetime | None:
    """Return a time in UTC; a time without a zone is read as UTC and noted. None for an empty or unreadable one."""
    text = line(value, most=120)
    if not text:
        return None
    found = _iso(text, problems, where) or _written(text, problems, where)
    if found is None:
        problems.add("time_unreadable", where)
    return found


def _iso(text: str, problems: Problems, where: str) -> dt.datetime | None:
    match = ISO.match(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = _offset(zone)
    if offset is None:
        problems.add("time_without_zone", where)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    numbers = [int(number or 0) for number in (year, month, day, hour, minute)]
    return _in_utc([*numbers, min(int(second or 0), 59), micro], offset or dt.timedelta())


def _written(text: str, problems: Problems, where: str) -> dt.datetime | None:
    try:
        read = parsedate_tz(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if read is None:
        return None
    numeric = NUMERIC_ZONE.search(text)
    offset = _offset(numeric.group() if numeric else text.split()[-1].lstrip("+-"))
    if offset is None:
        problems.add("time_without_zone", where)
        offset = dt.timedelta()
    return _in_utc([*read[:5], min(read[5], 59), 0], offset)


def _offset(zone: str | None) -> dt.timedelta | None:
    if not zone:
        return None
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        return dt.timedelta(minutes=-minutes if zone[0] == "-" else minutes)
    hours = ZONES.get(zone.upper())
    return None if hours is None else dt.timedelta(hours=hours)


def _in_utc(numbers: list[int], offset: dt.timedelta) -> dt.datetime | None:
    year, month, day, hour, minute, second, micro = numbers
    if not EARLIEST <= year <= LATEST or abs(offset) > dt.timedelta(hours=15):
        return None
    try:
        return dt.datetime(year, month, day, hour, minute, second, micro, tzinfo=dt.UTC) - offset
    except (ValueError, OverflowError):
        return None


def address(value: object) -> str:
    """Return an IP address in its shortest form, or nothing; brackets and a prefix `IPv6:` are taken off."""
    text = line(value, most=80).strip("[]<>() ").removeprefix("IPv6:").strip("[]")
    if "%" in text:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def number(value: object, most: int = 2**63 - 1) -> int | None:
    """Return a whole number from 0 to `most`, or None."""
    if isinstance(value, bool):
        return None
    text = line(value, most=40)
    if not (text.isascii() and text.isdigit()):
        return None
    found = int(text)
    return found if found <= most else None


def port(value: object, problems: Problems, where: str = "") -> int | None:
    """Return a port from 0 to 65535; note one that is none."""
    if not line(value, most=40):
        return None
    found = number(value, most=65535)
    if found is None:
        problems.add("port_unreadable", where)
    return found


def email_address(value: object) -> str:
    """Return the first plain address in a text, its domain in small letters, or nothing."""
    match = EMAIL.search(line(value))
    if not match:
        return ""
    local, _, domain = match.group().rpartition("@")
    return f"{local}@{domain.lower()}"


def domain_name(value: object) -> str:
    """Return a domain in small letters without a last dot, or nothing. Names in other alphabets are kept as `xn--`."""
    text = line(value, most=300).rstrip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return text if DOMAIN.fullmatch(text) else ""


def host_of(url: str) -> str:
    """Return the host of a URL, address or domain, or nothing."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return address(host) or domain_name(host)
