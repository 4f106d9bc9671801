"""What every reader returns: one report, whatever its format, with every field it came with.

A report is a claim of somebody outside; nothing in it is proven. What could not be read is told in `problems`, never
dropped. The one thing that is not kept is a login of an ACNS source.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """How a report was written."""

    ACNS = "acns"
    ARF = "arf"
    XARF = "x-arf"
    FREE_TEXT = "free text"
    DELIVERY_STATUS = "delivery status"
    UNPARSED = "unparsed"


class Kind(StrEnum):
    """What a report is about, as its sender says."""

    COPYRIGHT = "copyright"
    TRADEMARK = "trademark"
    PHISHING = "phishing"
    MALWARE = "malware"
    SPAM = "spam"
    FRAUD = "fraud"
    CSAM = "csam"
    NCII = "ncii"
    DDOS = "ddos"
    ATTACK = "attack"
    BOTNET = "botnet"
    VULNERABILITY = "vulnerability"
    REPUTATION = "reputation"
    AUTH_FAILURE = "auth failure"
    NOT_SPAM = "not spam"
    COUNTER_NOTICE = "counter-notice"
    MESSAGE = "message about a case"
    OTHER = "other"


PROBLEMS = {
    "too_large": "The message is over the size that is read.",
    "too_many_parts": "The message has more parts than are read.",
    "too_deep": "The message is nested deeper than is read.",
    "headers_too_large": "The headers of the message or of one of its parts are over the size that is read.",
    "archive_bomb": "An archive in the message says that it grows beyond all measure.",
    "archive_not_opened": "An archive is attached; it was not opened.",
    "winmail": "The message is wrapped in a winmail.dat, which is not opened.",
    "encrypted": "The message is encrypted, so it could not be read.",
    "empty": "The message holds no text.",
    "charset_wrong": "Some text is not in the character set it names; unreadable characters were replaced.",
    "transfer_encoding_wrong": "Some content is not in the transfer encoding it names.",
    "nul_removed": "Some text held NUL characters; they were removed.",
    "text_cut": "Some text is longer than is read; the raw message holds all of it.",
    "boundary_missing": "The message says it has parts, and their boundary is missing or never comes.",
    "xml_too_large": "The XML is over the size that is read.",
    "xml_too_deep": "The XML is nested deeper than is read.",
    "xml_too_many_attributes": "The XML has more attributes or elements than are read.",
    "xml_forbidden": "The XML declares a document type or entities, which are never read.",
    "xml_broken": "The XML is not well formed.",
    "xml_unknown_root": "The XML is not a message of ACNS.",
    "xml_repaired": "The XML held bare ampersands or control characters; they were repaired.",
    "json_broken": "The JSON could not be read.",
    "json_too_deep": "The JSON is nested deeper than is read.",
    "json_too_large": "The JSON has more fields than are read.",
    "json_duplicate_key": "The JSON names a key twice; the first value was read.",
    "json_unknown": "The JSON is no X-ARF report.",
    "version_unknown": "The version of the format is not known.",
    "schema": "A field is missing or not as the schema of its type says.",
    "field_missing": "A required field is missing.",
    "evidence_broken": "A piece of evidence is not in the encoding it names.",
    "evidence_digest_differs": "A piece of evidence does not have the hash it names.",
    "time_unreadable": "A time could not be read.",
    "time_without_zone": "A time names no zone and was read as UTC.",
    "address_unreadable": "An IP address could not be read.",
    "port_unreadable": "A port could not be read.",
    "number_unreadable": "A number could not be read.",
    "source_missing": "No address, domain or URL was found that says whom the report concerns.",
    "copies_differ": "The message holds two copies of the notice, and they differ.",
    "findings_cut": "The report names more than is read; the raw message holds all of it.",
    "reader_failed": "The reader failed on this message.",
}
# What makes staff look at the raw message in its container before anybody else opens it.
QUARANTINE = frozenset({"too_large", "too_many_parts", "too_deep", "headers_too_large", "archive_bomb", "winmail"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read: a code of `PROBLEMS`, its words, and the name of a field or place."""

    code: str
    where: str = ""

    @property
    def words(self) -> str:
        return PROBLEMS[self.code]


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody a report names; each text empty when not given."""

    organisation: str = ""
    contact: str = ""
    email: str = ""
    phone: str = ""
    address: str = ""
    domain: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """Anything else that may lead to an account: `kind` says what it is (`user_name`, `mac`, `account_number`...)."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where it came from: an address at a time with its port, a domain, URLs."""

    address: str = ""
    port: int | None = None
    protocol: str = ""
    at: dt.datetime | None = None
    domain: str = ""
    urls: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A work or material a report names. `size` is in bytes; hashes are pairs of algorithm and value."""

    title: str = ""
    url: str = ""
    filename: str = ""
    size: int | None = None
    hashes: tuple[tuple[str, str], ...] = ()
    creator: str = ""
    kind: str = ""
    original_url: str = ""
    at: dt.datetime | None = None
    seen: tuple[tuple[dt.datetime | None, dt.datetime | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of evidence. `content` is decoded, never opened; `digest` is its SHA-256, `claimed` what is said."""

    content_type: str
    content: bytes = field(repr=False)
    digest: str
    filename: str = ""
    description: str = ""
    claimed: str = ""

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A statement of a notice: its type, its words, where they stand."""

    kind: str
    body: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """What the mail itself says; empty for a report that came without one."""

    message_id: str = ""
    subject: str = ""
    sent_from: Party = Party()
    reply_address: str = ""
    sent_at: dt.datetime | None = None
    references: tuple[str, ...] = ()
    is_automatic: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it came. Times are aware and in UTC. `fields` holds every field under its own name, ready for JSON.

    `document` is the word the format has for it (the root of an ACNS message, the feedback type of ARF, `category/type`
    of X-ARF), `notice_type` what an ACNS notice calls itself (DMCA, INFO...). `others` are further notices of the mail.
    """

    format: Format
    kind: Kind = Kind.OTHER
    version: str = ""
    document: str = ""
    notice_type: str = ""
    mail: Mail = Mail()
    report_id: str = ""
    case_ids: tuple[str, ...] = ()
    status: str = ""
    severity: str = ""
    reporter: Party = Party()
    sender: Party = Party()
    on_behalf_of: Party = Party()
    recipient: Party = Party()
    may_forward_reporter: bool = True
    is_retraction: bool = False
    reported_at: dt.datetime | None = None
    first_seen_at: dt.datetime | None = None
    last_seen_at: dt.datetime | None = None
    sources: tuple[Source, ...] = ()
    items: tuple[Item, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    tags: tuple[str, ...] = ()
    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""
    problems: tuple[Problem, ...] = ()
    others: tuple[Report, ...] = ()

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(problem.code for problem in self.problems)

    @property
    def is_quarantined(self) -> bool:
        return bool(self.codes & QUARANTINE)

    @property
    def may_be_answered(self) -> bool:
        """Whether a reply may be sent: there is somebody to answer, and no machine that answers back."""
        return bool(self.mail.reply_address) and not self.mail.is_automatic

    @property
    def claims_dmca(self) -> bool:
        """Whether it calls itself a DMCA notice; ARF and X-ARF never do. A person checks the six elements."""
        return self.kind == Kind.COPYRIGHT and self.format in (Format.ACNS, Format.FREE_TEXT)
