"""Files that people send: looked at before anything is kept, refused in words that say what to do.

`check_upload` takes PDF, PNG, JPEG and plain text. What a file is is told by its content; its name must agree. A
file that is two things at once, holds a program or cannot be read to its end is refused, and so is every file
while the virus scanner does not answer. Whoever calls it keeps the file sealed, and gives it out by `download` only.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import puremagic
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts import scanning
from accounts.models import MediaType
from accounts.safeguards.cards import refuse_card_number

MEGABYTE = 1024 * 1024
# One file at most; the sealed column takes no more either.
MOST_BYTES = 10 * MEGABYTE
# The files of one form together: they are held in memory, never on the disk in clear.
MOST_BYTES_TOGETHER = 25 * MEGABYTE
MOST_PAGES = 2_000
LONGEST_NAME = 200
# How long a PDF may take to open: of the processor's time in its own process, and by the clock here.
PDF_SECONDS = 5
PDF_PATIENCE = 15
PDF_MEMORY = 256 * MEGABYTE
PDF_READER = Path(__file__).with_name("reading_pdf.py")

EXTENSIONS = {
    MediaType.PDF: {".pdf"},
    MediaType.PNG: {".png"},
    MediaType.JPEG: {".jpg", ".jpeg"},
    MediaType.TEXT: {".txt", ".log"},
}
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
PDF_MAGIC = b"%PDF-"
ZIP_END = b"PK\x05\x06"
# How files begin that a browser would show as a page of ours, or a server run.
PAGE_START = re.compile(rb"<(?:!doctype|html|head|body|script|svg|iframe|\?xml|\?php)\b", re.IGNORECASE)
# Where readers still look for the beginning of a PDF, and browsers for that of a page.
SNIFFED = 1024
# How far from its end a ZIP may have its directory: 22 bytes and a comment of 65,535.
ZIP_TAIL = 22 + 65_535
NOT_IN_NAMES = re.compile(r'[<>:"|?*\\/]')


class File(Protocol):
    """What Django hands over as an uploaded file, as far as it is needed here."""

    name: str | None
    size: int | None

    def read(self, num_bytes: int | None = None) -> bytes:
        """Return the content."""


@dataclass(frozen=True)
class Upload:
    """A file that passed: its cleaned name, its type by content, its bytes."""

    name: str
    media_type: MediaType
    content: bytes

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return len(self.content)


def check_upload(file: File) -> Upload:
    """Return what `file` is; raise ValidationError in plain words when it is not taken. Nothing is stored here."""
    name = clean_name(file.name or "")
    content = _content(file)
    media_type = _type_by_content(content)
    if media_type is None or PurePosixPath(name).suffix.lower() not in EXTENSIONS[media_type]:
        raise ValidationError(
            _("Choose a PDF, PNG, JPEG or plain text file. Its name must end in the same kind."), code="kind"
        )
    refuse_card_number(name)
    CHECKS[media_type](content)
    _refuse_second_file(content, media_type)
    _scan(content)
    return Upload(name, media_type, content)


def clean_name(name: str) -> str:
    """Return a file name without folders, control and direction characters, at most `LONGEST_NAME` long."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    seen = "".join(" " if unicodedata.category(letter) in {"Zl", "Zp", "Zs"} else letter for letter in last)
    shown = "".join(letter for letter in seen if unicodedata.category(letter)[0] != "C")
    plain = " ".join(NOT_IN_NAMES.sub("_", shown).split()).lstrip(". ").rstrip(". ")
    ending = PurePosixPath(plain).suffix
    stem = plain.removesuffix(ending)[: LONGEST_NAME - len(ending[:LONGEST_NAME])]
    return f"{stem or 'file'}{ending}"[-LONGEST_NAME:]


def pdf_word(content: bytes) -> str:
    """Return "fine" for a PDF that may be kept, or what is wrong with it.

    "kind": no PDF, or something else too; "damaged", "encrypted", "active" and "pages": a PDF all the same.
    """
    if _type_by_content(content) != MediaType.PDF or PAGE_START.search(content[:SNIFFED]):
        return "kind"
    if ZIP_END in content[-ZIP_TAIL:]:
        return "kind"
    try:
        _check_pdf(content)
    except ValidationError as error:
        return error.code or "damaged"
    return "fine"


def _content(file: File) -> bytes:
    if (file.size or 0) > MOST_BYTES:
        raise _too_large()
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _too_large()
    if not content:
        raise ValidationError(_("This file is empty. Choose another one."), code="empty")
    return content


def _too_large() -> ValidationError:
    most = MOST_BYTES // MEGABYTE
    return ValidationError(
        _("This file is larger than %(most)d MB. Choose a smaller one.") % {"most": most}, code="size"
    )


def _type_by_content(content: bytes) -> MediaType | None:
    """Return the one type that the first bytes and the library's signatures agree on."""
    for media_type, magic in (
        (MediaType.PDF, PDF_MAGIC),
        (MediaType.PNG, PNG_MAGIC),
        (MediaType.JPEG, JPEG_MAGIC),
    ):
        if content.startswith(magic):
            return media_type if media_type in _guesses(content) else None
    return MediaType.TEXT if _is_text(content) else None


def _guesses(content: bytes) -> set[str]:
    try:
        return {found.mime_type for found in puremagic.magic_string(content)}
    except (puremagic.PureError, ValueError):
        return set()


def _is_text(content: bytes) -> bool:
    """Return whether it is UTF-8 that begins neither like a page nor like a PDF; a NUL is no text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    start = content[:SNIFFED]
    begins = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return b"\x00" not in content and PDF_MAGIC not in start and not PAGE_START.match(begins)


def _damaged() -> ValidationError:
    return ValidationError(
        _("This file is damaged or holds more than one thing. Save it anew and send that."), code="damaged"
    )


def _check_pdf(content: bytes) -> None:
    last = content.rfind(b"%%EOF")
    if last < 0 or content[last + 5 :].strip(b"\r\n\t\x00 ") or PAGE_START.search(content[:SNIFFED]):
        raise _damaged()
    answer = _read_pdf(content)
    if answer != "fine":
        raise ValidationError(PDF_ANSWERS.get(answer, PDF_ANSWERS["damaged"])(), code=answer)


def _read_pdf(content: bytes) -> str:
    """Open a PDF in a process of its own, with its own limits and nothing of ours around; return its one word."""
    try:
        done = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-I", str(PDF_READER), str(PDF_SECONDS), str(PDF_MEMORY), str(MOST_PAGES)],
            input=content,
            capture_output=True,
            timeout=PDF_PATIENCE,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "damaged"
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else "damaged"


PDF_ANSWERS = {
    "damaged": lambda: str(_damaged().message),
    "encrypted": lambda: _("This PDF is protected by a password. Save it without one and send that."),
    "active": lambda: _("This PDF holds a program or another file. Print it to a new PDF and send that."),
    "pages": lambda: _("This PDF has more than %(most)d pages. Send it in parts.") % {"most": MOST_PAGES},
}


def _check_png(content: bytes) -> None:
    """Walk the chunks: each whole, the last one is the end of the file."""
    place = len(PNG_MAGIC)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content) or _sum_of(content, place, end) != zlib.crc32(content[place + 4 : end - 4]):
            break
        if kind == b"IEND":
            if end == len(content):
                return
            break
        place = end
    raise _damaged()


def _sum_of(content: bytes, place: int, end: int) -> int:
    return int.from_bytes(content[end - 4 : end], "big")


def _check_jpeg(content: bytes) -> None:
    """Walk the segments: the mark of the end stands at the end of the file."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        kind = content[place + 1]
        if kind == 0xFF:
            place += 1
            continue
        if kind == 0xD9:
            break
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if kind == 0xDA:
            place = _after_picture(content, place)
    if content[place:] != b"\xff\xd9":
        raise _damaged()


def _after_picture(content: bytes, place: int) -> int:
    """Return where the packed picture that begins at `place` ends: at the next mark that is none of its own."""
    while True:
        place = content.find(b"\xff", place)
        if place < 0 or place + 1 >= len(content):
            return len(content)
        if content[place + 1] == 0 or 0xD0 <= content[place + 1] <= 0xD7:
            place += 2
        elif content[place + 1] == 0xFF:
            place += 1
        else:
            return place


def _check_text(content: bytes) -> None:
    refuse_card_number(content.decode())


CHECKS = {
    MediaType.PDF: _check_pdf,
    MediaType.PNG: _check_png,
    MediaType.JPEG: _check_jpeg,
    MediaType.TEXT: _check_text,
}


def _refuse_second_file(content: bytes, media_type: MediaType) -> None:
    """A ZIP is read from its end: whatever else the file is, with a directory there it is an archive too."""
    if media_type != MediaType.TEXT and ZIP_END in content[-ZIP_TAIL:]:
        raise _damaged()
    if media_type in {MediaType.PNG, MediaType.JPEG} and PDF_MAGIC in content[:SNIFFED]:
        raise _damaged()


def _scan(content: bytes) -> None:
    """Ask the scanner; one that does not answer refuses the file: what was not looked at is not kept."""
    try:
        is_clean = scanning.scanner().is_clean(content)
    except Exception:  # noqa: BLE001 - whatever a scanner raises, the file was not looked at
        raise ValidationError(
            _("We cannot check files for viruses right now. Nothing was saved: try again later."), code="unscanned"
        ) from None
    if not is_clean:
        raise ValidationError(_("Our virus scanner does not let this file pass. Nothing was saved."), code="infected")
