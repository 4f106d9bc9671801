"""Files that people send: what is taken, what is refused and in which words, and how one is given out again."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pikepdf
import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from accounts import scanning, uploads
from accounts.downloading import download
from accounts.models import Attachment, MediaType
from accounts.uploads import LONGEST_NAME, MOST_BYTES, Upload, check_upload, clean_name
from tests.files import jpeg, pdf, png

CARD = b"My card is 4242 4242 4242 4242, thanks"


def check(name: str, content: bytes) -> Upload:
    return check_upload(SimpleUploadedFile(name, content))


def refusal(name: str, content: bytes) -> str:
    """Return the sentence of the refusal, or nothing when the file passes."""
    try:
        check(name, content)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def zipped(content: bytes = b"<html>") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.html", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("plan.pdf", pdf(), MediaType.PDF),
        ("PLAN.PDF", pdf(), MediaType.PDF),
        ("shot.png", png(), MediaType.PNG),
        ("photo.jpg", jpeg(), MediaType.JPEG),
        ("photo.jpeg", jpeg(), MediaType.JPEG),
        ("notes.txt", "Grüße\r\n\tzwei".encode(), MediaType.TEXT),
        ("server.log", b"\xef\xbb\xbfGET / 200", MediaType.TEXT),
    ],
)
def test_what_is_taken(name: str, content: bytes, kind: MediaType):
    taken = check(name, content)

    assert (taken.name, taken.media_type, taken.content, taken.size) == (name, kind, content, len(content))


KIND = "Choose a PDF, PNG, JPEG or plain text file. Its name must end in the same kind."
DAMAGED = "This file is damaged or holds more than one thing. Save it anew and send that."
ACTIVE = "This PDF holds a program or another file. Print it to a new PDF and send that."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.pdf", b"<html><script>alert(1)</script></html>"),
        ("setup.pdf", b"MZ\x90\x00\x03\x00\x00\x00"),
        ("papers.pdf", zipped()),
        ("papers.txt", zipped()),
        ("plan.png", pdf()),
        ("plan", pdf()),
        ("plan.pdf.exe", pdf()),
        ("shot.jpg", png()),
        ("shot.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("page.txt", b"  \n<!DOCTYPE html><html></html>"),
        ("page.txt", b"\xef\xbb\xbf<script>alert(1)</script>"),
        ("late.pdf", b"\n" + pdf()),
        ("late.txt", b"hello\n%PDF-1.7"),
        ("utf16.txt", "hello".encode("utf-16")),
        ("latin.txt", "Grüße".encode("latin-1")),
        ("nul.txt", b"a\x00b"),
        ("gif.png", b"GIF89a\x01\x00\x01\x00"),
        ("magic.png", b"\x89PNG\r\n\x1a"),
        ("invoice\u202efdp.exe", pdf()),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(name: str, content: bytes):
    assert refusal(name, content) == KIND


def test_an_empty_file_is_refused():
    assert refusal("a.txt", b"") == "This file is empty. Choose another one."


def test_a_file_is_taken_up_to_its_limit_and_not_a_byte_beyond():
    assert check("a.txt", b"a" * MOST_BYTES).size == MOST_BYTES
    assert refusal("a.txt", b"a" * (MOST_BYTES + 1)) == "This file is larger than 10 MB. Choose a smaller one."


def test_a_file_that_lies_about_its_size_is_refused():
    file = SimpleUploadedFile("a.txt", b"a" * (MOST_BYTES + 1))
    file.size = 1

    with pytest.raises(ValidationError, match="larger than 10 MB"):
        check_upload(file)


def test_what_is_taken_fits_its_column():
    assert Attachment._meta.get_field("content").max_length == MOST_BYTES
    assert Attachment._meta.get_field("name").max_length == LONGEST_NAME


# PDF.


def changed(change: Callable[[pikepdf.Pdf], None], **options: Any) -> bytes:
    """Return a PDF of one page with something in it."""
    made = pikepdf.new()
    made.add_blank_page()
    change(made)
    content = io.BytesIO()
    made.save(content, **options)
    return content.getvalue()


def script(made: pikepdf.Pdf) -> None:
    made.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")


def hidden_script(made: pikepdf.Pdf) -> None:
    """Deep in an array of an annotation, where no named place leads."""
    action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=pikepdf.Stream(made, b"app.alert(1)"))
    made.pages[0].Annots = pikepdf.Array([pikepdf.Dictionary(Subtype=pikepdf.Name.Link, AA={"/E": action})])


def launch(made: pikepdf.Pdf) -> None:
    made.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="cmd.exe")


def attachment(made: pikepdf.Pdf) -> None:
    made.attachments["x.exe"] = b"MZ"


def in_the_trailer(made: pikepdf.Pdf) -> None:
    """In the trailer itself, which is no object of its own."""
    made.trailer.Next = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")


def form_with_program(made: pikepdf.Pdf) -> None:
    made.Root.AcroForm = pikepdf.Dictionary(XFA=pikepdf.Stream(made, b"<xdp/>"), Fields=[])


@pytest.mark.parametrize("change", [script, hidden_script, launch, in_the_trailer, attachment, form_with_program])
@pytest.mark.parametrize("packed", [False, True])
def test_a_pdf_that_does_or_carries_something_is_refused(change: Callable[[pikepdf.Pdf], None], packed: bool):
    mode = pikepdf.ObjectStreamMode.generate if packed else pikepdf.ObjectStreamMode.disable

    assert refusal("a.pdf", changed(change, object_stream_mode=mode)) == ACTIVE
    assert refusal("a.pdf", changed(lambda made: None, object_stream_mode=mode)) == ""


@pytest.mark.parametrize("user", ["", "secret"])
def test_an_encrypted_pdf_is_refused(user: str):
    locked = changed(lambda made: None, encryption=pikepdf.Encryption(owner="owner", user=user))

    assert refusal("a.pdf", locked) == "This PDF is protected by a password. Save it without one and send that."


def test_a_pdf_has_its_pages_and_no_more():
    assert refusal("a.pdf", pdf(uploads.MOST_PAGES)) == ""
    assert refusal("a.pdf", pdf(uploads.MOST_PAGES + 1)) == "This PDF has more than 2000 pages. Send it in parts."


@pytest.mark.parametrize(
    "content",
    [
        pdf().replace(b"startxref", b"startxxxx"),
        pdf()[:200] + b"\n%%EOF",
        b"%PDF-1.4\n%%EOF\n",
        pdf()[:-8],
        pdf() + b"<html><script>alert(1)</script></html>",
        pdf() + zipped(),
        pdf() + zipped() + b"\n%%EOF\n",
        pdf().replace(b"%PDF-1", b"%PDF-1.3\n%<html>\n%", 1),
    ],
)
def test_a_broken_pdf_or_one_that_is_something_else_too_is_refused(content: bytes):
    assert refusal("a.pdf", content) == DAMAGED


def test_a_pdf_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    slow = tmp_path / "slow.py"
    slow.write_text("while True: pass")
    monkeypatch.setattr(uploads, "PDF_READER", slow)
    monkeypatch.setattr(uploads, "PDF_PATIENCE", 1)
    began = time.monotonic()

    assert refusal("a.pdf", pdf()) == DAMAGED
    assert time.monotonic() - began < 5


def test_a_pdf_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "PDF_MEMORY", 32 * uploads.MEGABYTE)

    assert refusal("a.pdf", pdf()) == DAMAGED


# Pictures and text.


@pytest.mark.parametrize("tail", [b"\x00", b"<html>", zipped(), pdf()])
def test_a_picture_with_something_behind_it_is_refused(tail: bytes):
    assert refusal("a.png", png() + tail) == DAMAGED
    assert refusal("a.jpg", jpeg() + tail) == DAMAGED


def test_a_picture_with_another_file_in_its_comment_is_refused():
    hidden = png(b"tEXt", b"Comment\x00" + pdf())
    assert refusal("a.png", hidden) == DAMAGED
    assert refusal("a.jpg", jpeg(comment=pdf()[:500])) == DAMAGED
    assert refusal("a.jpg", jpeg(comment=zipped())) == DAMAGED
    assert refusal("a.jpg", jpeg(comment=b"holiday")) == ""
    assert refusal("a.png", png(b"tEXt", b"Comment\x00holiday")) == ""


@pytest.mark.parametrize("cut", range(9, len(png()), 7))
def test_half_a_picture_is_refused(cut: int):
    assert refusal("a.png", png()[:cut]) in {DAMAGED, KIND}


@given(st.binary(max_size=300))
def test_no_bytes_break_the_walk_over_a_picture(noise: bytes):
    assert refusal("a.png", png()[:8] + noise) in {DAMAGED, KIND}
    assert refusal("a.jpg", jpeg()[:4] + noise) in {DAMAGED, KIND, ""}


def test_a_card_number_is_refused_in_text_and_name():
    assert "looks like a card number" in refusal("a.txt", CARD)
    assert "looks like a card number" in refusal("4242 4242 4242 4242.txt", b"hello")


# Names.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/x.txt", "x.txt"),
        ("C:\\Users\\me\\x.txt", "x.txt"),
        ("a\x00b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie_ x=1.txt"),
        ("txt.\u202egpj", "txt.gpj"),
        ('say "hi".txt', "say _hi_.txt"),
        (".bashrc.txt", "bashrc.txt"),
        ("..", "file"),
        ("", "file"),
        ("  two   words .txt ", "two words .txt"),
        ("Übersicht – 2026.pdf", "Übersicht – 2026.pdf"),
        ("e\u0301.txt", "é.txt"),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        ("x." + "y" * 300, None),
    ],
)
def test_a_name_is_cleaned(given: str, kept: str | None):
    cleaned = clean_name(given)

    assert len(cleaned) <= LONGEST_NAME
    assert kept is None or cleaned == kept


@given(st.text(max_size=400))
def test_a_cleaned_name_is_a_name_and_stays_one(name: str):
    cleaned = clean_name(name)

    assert cleaned and len(cleaned) <= LONGEST_NAME and cleaned.isprintable()
    assert not set(cleaned) & set('/\\"\r\n\x00<>:|?*')
    assert not cleaned.startswith(".")


# The scanner.


class Infected:
    def is_clean(self, content: bytes) -> bool:
        return False


class Away:
    def is_clean(self, content: bytes) -> bool:
        raise TimeoutError


@pytest.mark.parametrize(
    ("provider", "sentence"),
    [
        ("Infected", "Our virus scanner does not let this file pass. Nothing was saved."),
        ("Away", "We cannot check files for viruses right now. Nothing was saved: try again later."),
        ("Nowhere", "We cannot check files for viruses right now. Nothing was saved: try again later."),
    ],
)
def test_a_file_is_refused_when_infected_or_not_looked_at(settings: Any, provider: str, sentence: str):
    settings.VIRUS_SCANNER = f"{__name__}.{provider}"

    assert refusal("a.txt", b"hello") == sentence


def test_without_a_scanner_only_a_trial_takes_files(settings: Any):
    assert refusal("a.txt", b"hello") == ""

    settings.TRIAL = False
    assert "try again later" in refusal("a.txt", b"hello")


@pytest.fixture
def clamd(settings: Any) -> Iterator[list[bytes]]:
    """A daemon that answers by what it was sent: INSTREAM as clamd does."""
    server = socket.create_server(("127.0.0.1", 0))
    settings.VIRUS_SCANNER = "accounts.scanning.Clamd"
    settings.CLAMD_URL = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line, line.makefile("rb") as reader:
                assert reader.read(10) == b"zINSTREAM\x00"
                content = b""
                while length := struct.unpack(">I", reader.read(4))[0]:
                    content += reader.read(length)
                heard.append(content)
                found = b"stream: Eicar-Test FOUND\x00" if b"EICAR" in content else b"stream: OK\x00"
                line.sendall(b"INSTREAM size limit exceeded. ERROR\x00" if b"HUGE" in content else found)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield heard
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_clamd_is_asked_and_believed(clamd: list[bytes]):
    long = os.urandom(10).hex().encode() * 10_000

    assert refusal("a.txt", long) == ""
    assert "does not let this file pass" in refusal("a.txt", b"EICAR")
    assert "try again later" in refusal("a.txt", b"HUGE")
    assert clamd == [long, b"EICAR", b"HUGE"]


def test_clamd_that_is_away_refuses(settings: Any):
    settings.VIRUS_SCANNER = "accounts.scanning.Clamd"
    for url in ("", "tcp://127.0.0.1:1"):
        settings.CLAMD_URL = url
        assert "try again later" in refusal("a.txt", b"hello")


def test_a_scanner_that_always_passes_lets_the_test_file_in(settings: Any, monkeypatch: pytest.MonkeyPatch):
    """Negative control: it is the scanner's word that refuses."""
    settings.VIRUS_SCANNER = f"{__name__}.Infected"
    monkeypatch.setattr(Infected, "is_clean", lambda self, content: True)

    assert refusal("a.txt", b"EICAR") == ""
    assert isinstance(scanning.scanner(), Infected)


# Giving a file out.


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plan.pdf", 'attachment; filename="plan.pdf"'),
        ("Übersicht.pdf", "attachment; filename*=utf-8''%C3%9Cbersicht.pdf"),
        ("a\r\nX-Evil: 1.txt", "attachment; filename*=utf-8''a%0D%0AX-Evil%3A%201.txt"),
    ],
)
def test_a_file_is_given_out_as_a_download_only(name: str, header: str):
    answer = download(RequestFactory().get("/"), name, MediaType.TEXT, b"x")

    assert answer["Content-Disposition"] == header
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Type"] == "text/plain; charset=utf-8"


def test_the_samples_are_what_they_say():
    """A picture with a wrong sum is not one: the walk reads the sums."""
    broken = bytearray(png())
    broken[-20] ^= 1
    assert refusal("a.png", bytes(broken)) == DAMAGED
    assert zlib.crc32(b"IEND") == int.from_bytes(png()[-4:], "big")
