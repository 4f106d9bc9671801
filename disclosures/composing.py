"""A report that somebody told field by field, on a form or by another system, in the shape of every other.

What was sent is kept as it came (`Told.raw`), and its hash makes the same report sent twice a repeat. Answers go to the
reporter's own address.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from disclosures.reports import reading
from disclosures.reports.shape import Declaration, Format, Item, Kind, Mail, Party, Report, Source

MOST_PLACES = 100
LONGEST_PLACE = 2_000
LONGEST_TITLE = 500
# What can be told in words; a copyright notice has its own elements.
KINDS = (
    (Kind.PHISHING, _("Phishing or fraud")),
    (Kind.MALWARE, _("Malware")),
    (Kind.SPAM, _("Unwanted mail")),
    (Kind.ATTACK, _("An attack or a scan")),
    (Kind.NCII, _("Intimate images without consent")),
    (Kind.CSAM, _("Sexual abuse of children")),
    (Kind.TRADEMARK, _("Trademark")),
    (Kind.OTHER, _("Something else")),
)
# 17 USC 512(c)(3)(A)(v) and (vi), as the reporter declares them.
GOOD_FAITH = _("I believe in good faith that the owner of the copyright, its agent or the law did not allow this use.")
ACCURACY = _(
    "What I say here is accurate. Under penalty of perjury: I am the owner of the right, or allowed to act for "
    "the owner."
)


@dataclass(frozen=True)
class Told:
    """What every such report says: who reports, where it was seen, the bytes to keep, and by which door it came."""

    who: Party
    places: tuple[Source, ...]
    raw: bytes
    door: str
    case_id: str = ""
    may_be_named: bool = True

    def complaint(self, kind: Kind, words: str) -> Report:
        """Return a report of anything but copyright."""
        return self._report(kind, text=words, items=tuple(Item(url=_name(place)) for place in self.places))

    def notice(self, work: str, signature: str) -> Report:
        """Return a copyright notice whose reporter declared good faith and accuracy."""
        return self._report(
            Kind.COPYRIGHT,
            notice_type="DMCA",
            items=tuple(Item(title=work[:LONGEST_TITLE], url=_name(place)) for place in self.places),
            declarations=(
                Declaration("good faith", str(GOOD_FAITH)),
                Declaration("accuracy", str(ACCURACY)),
                Declaration("signature", signature),
            ),
            text=work,
        )

    def _report(self, kind: Kind, **said: Any) -> Report:
        times = sorted(place.at for place in self.places if place.at)
        report = Report(
            Format.FREE_TEXT,
            kind,
            document=self.door,
            mail=Mail(reply_address=self.who.email, sent_from=self.who),
            report_id=self.case_id,
            case_ids=(self.case_id,) if self.case_id else (),
            reporter=self.who,
            sender=self.who,
            may_forward_reporter=self.may_be_named,
            first_seen_at=times[0] if times else None,
            last_seen_at=times[-1] if times else None,
            sources=self.places,
            fields=json.loads(self.raw),
            **said,
        )
        return replace(report, content_hash=reading.content_hash(report, self.raw))


def kept(fields: Any) -> bytes:
    """Return what was sent as it is kept: JSON of the fields by their names, the same for the same fields."""
    return json.dumps(fields, ensure_ascii=False, default=str, sort_keys=True).encode()


def place(line: str) -> Source | None:
    """Return the place that a line names, an IP address or an address of the web; None for anything else."""
    if address := address_of(line):
        return Source(address=address)
    if host := _host(line):
        return Source(address=address_of(host), domain=host, urls=(line,))
    return None


def address_of(text: str) -> str:
    """Return an IP address as it is usually written, "" for what is none."""
    try:
        return str(ipaddress.ip_address(text.strip("[] ")))
    except ValueError:
        return ""


def _host(line: str) -> str:
    try:
        parts = urlsplit(line if "//" in line else f"//{line}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    # An IPv6 address in brackets has no dot.
    is_host = "." in host or address_of(host)
    return host if is_host and parts.scheme in {"", "http", "https", "ftp"} else ""


def _name(place: Source) -> str:
    return place.urls[0] if place.urls else place.address
