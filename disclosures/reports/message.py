"""A mail as a checked tree of parts. Nothing is decoded, and no tree built, beyond limits that are looked at first.

The parts are split here, not by the standard library: its parser builds every part of a message before anybody can
count them, and a message of 10 MB can have two million. Headers are read by the library, in blocks of limited size.
Archives are never opened: only the sizes they declare are looked at.
"""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

from disclosures.reports.values import MAX_TEXT, MAX_VALUE, Problems, clean

MAX_SIZE = 10 * 1024 * 1024
MAX_PARTS = 100
MAX_DEPTH = 10
MAX_HEADER_BYTES = 256 * 1024
MAX_HEADER_LINES = 1000
MAX_TYPE = 2000
MAX_INFLATED = 100 * 1024 * 1024
MAX_RATIO = 100
MAX_ENTRIES = 10_000
# Replacing what cannot be read takes its time for each character.
MAX_REPAIRED = 2 * MAX_TEXT
# What the library's readers raise on headers that are none; its own list is longer than its documentation.
HEADER_ERRORS = (MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError)
# Text only, and nothing slow: `punycode` and `idna` take quadratic time, `unicode_escape` reads what was never written.
CHARSETS = re.compile(
    r"utf-8|utf-8-sig|ascii|utf-7|utf-16(-[bl]e)?|utf-32(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|gb\w+|big5\w*|shift_jis\w*"
    r"|euc_\w+|iso2022_\w+|hz|mac-\w+|tis-620|johab"
)
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")
HEADER = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
ZIP, ZIP_ENTRY, GZIP = b"PK\x03\x04", b"PK\x01\x02", b"\x1f\x8b"
ARCHIVES = (ZIP, GZIP, b"BZh", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
TNEF = b"\x78\x9f\x3e\x22"


class OverLimit(Exception):
    """The message passes a limit; its only argument is the code of the problem."""


@dataclass(slots=True)
class Part:
    """One part: its headers, its content as it stands, and the parts inside it."""

    headers: Message
    body: bytes = b""
    children: list[Part] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        try:
            return self.headers.get_content_type()
        except HEADER_ERRORS:
            return "text/plain"

    @property
    def filename(self) -> str:
        try:
            return clean(" ".join((self.headers.get_filename() or "").split()), most=255)
        except HEADER_ERRORS:
            return ""

    def parameter(self, name: str) -> str:
        """Return a parameter of the content type, or nothing."""
        try:
            value = self.headers.get_param(name)
        except HEADER_ERRORS:
            return ""
        return value if isinstance(value, str) else ""

    def walk(self) -> Iterator[Part]:
        """Yield this part and every one inside it, in the order of the mail, but not what a forwarded mail holds."""
        yield self
        for child in self.children:
            if self.content_type != "message/rfc822":
                yield from child.walk()

    def content(self, problems: Problems) -> bytes:
        """Return the content with the transfer encoding taken off."""
        encoding = str(self.headers.get("Content-Transfer-Encoding", "")).strip().lower()
        if encoding == "base64":
            return _base64(self.body, problems)
        if encoding == "quoted-printable":
            return quopri.decodestring(self.body)
        if encoding not in ("", "7bit", "8bit", "binary"):
            problems.add("transfer_encoding_wrong")
        return self.body

    def text(self, problems: Problems, most: int = MAX_TEXT) -> str:
        """Return the content as text that every store can hold, of at most so many characters."""
        return clean(decoded(self.content(problems), self.parameter("charset"), problems), problems, most)


def decoded(content: bytes, charset: str, problems: Problems) -> str:
    """Return bytes as text: by their mark, by the charset they name, by UTF-8, or with characters replaced."""
    wide = next((name for mark, name in BOMS if content.startswith(mark)), "") or _wide(content)
    if wide:
        try:
            return content.decode(wide)
        except UnicodeError:
            problems.add("charset_wrong")
            if len(content) > MAX_REPAIRED:
                problems.add("text_cut")
            return content[:MAX_REPAIRED].decode(wide, "replace")
    named = _charset(charset)
    if charset and named is None:
        problems.add("charset_wrong")
    for name in filter(None, (named if named != "ascii" else None, "utf-8")):
        try:
            return content.decode(name)
        except (UnicodeError, ValueError):
            problems.add("charset_wrong")
    problems.add("charset_wrong")
    # cp1252 leaves five bytes without a character.
    return content.decode("cp1252", "replace")


def _wide(content: bytes) -> str:
    """Return the name of UTF-16 without a mark: every other byte of plain text is then a NUL."""
    first = content[:200]
    if len(first) >= 8 and first[1::2].count(0) > len(first) * 0.4:
        return "utf-16-le"
    return "utf-16-be" if len(first) >= 8 and first[::2].count(0) > len(first) * 0.4 else ""


def _charset(name: str) -> str | None:
    try:
        found = codecs.lookup(name.strip()[:40]).name if name.strip().isascii() and "\x00" not in name else ""
    except (LookupError, ValueError):
        return None
    return found if CHARSETS.fullmatch(found) else None


def _base64(body: bytes, problems: Problems) -> bytes:
    packed = body.translate(None, b"=\r\n\t ")
    letters = NOT_BASE64.sub(b"", packed)
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    if whole != packed:
        problems.add("transfer_encoding_wrong")
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def header(message: Message, name: str) -> str:
    """Return a header in plain words on one line; empty when there is none."""
    return next((_words(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")


def every_header(message: Message) -> tuple[tuple[str, str], ...]:
    """Return all headers in their order."""
    return tuple((clean(_whole(name), most=100), _words(value)) for name, value in message.raw_items())


def _whole(text: str) -> str:
    """Return text whose bytes beyond ASCII were left as halves of characters, read as UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _words(value: object) -> str:
    text = _whole(str(value)[:MAX_VALUE])
    if "=?" in text:
        with suppress(*HEADER_ERRORS):
            text = str(make_header(decode_header(text)))
    return " ".join(clean(text).split())


def read_headers(block: bytes) -> Message:
    """Read a block of headers, leaving out lines that are none; raise `OverLimit` for one that is too large."""
    if len(block) > MAX_HEADER_BYTES or block.count(b"\n") > MAX_HEADER_LINES:
        raise OverLimit("headers_too_large")
    kept = [piece for piece in block.splitlines(keepends=True) if piece[:1] in (b" ", b"\t") or HEADER.match(piece)]
    message: Message = BytesHeaderParser(policy=compat32).parsebytes(b"".join(kept))
    # Reading the parameters of a very long value takes quadratic time.
    long = {
        name for name, value in message.raw_items() if name.lower().startswith("content-") and len(value) > MAX_TYPE
    }
    for name in long:
        value = str(message[name])[:MAX_TYPE]
        del message[name]
        message[name] = value
    return message


def split_headers(raw: bytes) -> tuple[bytes, bytes]:
    """Return the headers and the body of a message or part; without headers everything is body."""
    if raw.startswith((b"\n", b"\r\n")):
        return b"", raw.partition(b"\n")[2]
    if not any(HEADER.match(piece) for piece in raw[:MAX_VALUE].splitlines()[:3]):
        return b"", raw
    blank = BLANK.search(raw)
    return (raw[: blank.start() + 1], raw[blank.end() :]) if blank else (raw, b"")


def unboxed(raw: bytes) -> bytes:
    """Take off the `From ` line of a mailbox file."""
    if raw.startswith((b"From ", b">From ")):
        return raw.partition(b"\n")[2]
    return raw


def top_headers(raw: bytes) -> Message:
    """Return the headers of a message alone, cut at the limit: what is said of one that passes a limit."""
    block = split_headers(unboxed(raw[:MAX_HEADER_BYTES]))[0]
    return read_headers(b"".join(block.splitlines(keepends=True)[:MAX_HEADER_LINES]))


class _Tree:
    """Builds the parts of one message and counts them."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.count = 0
        self.inside = 0

    def part(self, raw: bytes, depth: int) -> Part:
        self.count += 1
        if self.count > MAX_PARTS:
            raise OverLimit("too_many_parts")
        if depth > MAX_DEPTH:
            raise OverLimit("too_deep")
        block, body = split_headers(unboxed(raw))
        part = Part(read_headers(block), body)
        kind = part.content_type
        if kind.startswith("multipart/"):
            for piece in self._pieces(part):
                part.children.append(self.part(piece, depth + 1))
        elif kind in ("message/rfc822", "message/global"):
            self.inside += 1
            part.children.append(self.part(part.content(self.problems), depth + 1))
            self.inside -= 1
        else:
            self._look_at(part)
        return part

    def _pieces(self, part: Part) -> Iterator[bytes]:
        boundary = part.parameter("boundary").encode("ascii", "replace").rstrip()
        if not boundary or len(boundary) > 200:
            self._miss()
            return
        delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
        start, body = -1, part.body
        place = 0
        while match := delimiter.search(body, place):
            if start >= 0:
                yield body[start : match.start()]
            if match.group(1):
                return
            start = match.end()
            # The line end of a delimiter may begin the next one.
            place = max(match.end() - 1, match.start() + 1)
        if start >= 0:
            yield body[start:]
        else:
            self._miss()

    def _miss(self) -> None:
        # Senders cut the mail they report; that says nothing of the report.
        if not self.inside:
            self.problems.add("boundary_missing")

    def _look_at(self, part: Part) -> None:
        kind, name = part.content_type, part.filename.lower()
        if kind in ("application/ms-tnef", "application/vnd.ms-tnef") or name == "winmail.dat":
            raise OverLimit("winmail")
        if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime") or name == "encrypted.asc":
            self.problems.add("encrypted")
        if kind.startswith("text/") and not name:
            return
        content = part.content(self.problems)
        if content.startswith(TNEF):
            raise OverLimit("winmail")
        if content.startswith(ARCHIVES):
            self.problems.add("archive_not_opened")
            if is_bomb(content):
                raise OverLimit("archive_bomb")


def is_bomb(content: bytes) -> bool:
    """Whether an archive declares more than may be opened; nothing is inflated to find out."""
    declared = entries = place = 0
    if content.startswith(GZIP) and len(content) > 18:
        declared = struct.unpack("<I", content[-4:])[0]
    while (place := content.find(ZIP_ENTRY, place)) >= 0 and place + 28 <= len(content):
        declared += struct.unpack_from("<I", content, place + 24)[0]
        entries += 1
        place += 4
        if entries > MAX_ENTRIES:
            return True
    return declared > MAX_INFLATED or declared > MAX_RATIO * max(len(content), 1024)


def tree(raw: bytes, problems: Problems) -> Part:
    """Return the parts of a message; raise `OverLimit` for one that passes a limit."""
    if len(raw) > MAX_SIZE:
        raise OverLimit("too_large")
    return _Tree(problems).part(raw, 0)
