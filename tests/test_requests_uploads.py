"""What is uploaded as a signed permission: looked at by content, refused unless it is plainly one file of its kind."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import pikepdf
import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.uploads import check_upload


@cache
def pdf(**how: str) -> bytes:
    """Return a small PDF, plain or with one thing in it that is refused."""
    document = pikepdf.new()
    document.add_blank_page()
    if "script" in how:
        action = pikepdf.Dictionary(S=pikepdf.Name("/JavaScript"), JS=pikepdf.String("app.alert(1)"))
        document.Root.OpenAction = action
    if "launch" in how:
        document.Root.OpenAction = document.make_indirect(pikepdf.Dictionary(S=pikepdf.Name("/Launch")))
    if "file" in how:
        document.attachments["evil.exe"] = b"MZ"
    encryption = pikepdf.Encryption(owner="o", user="u") if "locked" in how else False
    content = io.BytesIO()
    document.save(content, encryption=encryption, static_id="locked" not in how)
    return content.getvalue()


def png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def checked(name: str, content: bytes) -> tuple[str, str, bytes]:
    upload = check_upload(SimpleUploadedFile(name, content))
    return upload.name, upload.media_type, upload.content


def test_plain_files_pass_as_what_they_are() -> None:
    assert checked("permission.pdf", pdf()) == ("permission.pdf", "application/pdf", pdf())
    assert checked("SCAN.PNG", png()) == ("SCAN.PNG", "image/png", png())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("permission.pdf", b"<html><script>alert(1)</script></html>"),
        ("permission.pdf", b"MZ\x90\x00 a program"),
        ("permission.pdf", b"PK\x03\x04 an archive"),
        ("permission.pdf", b""),
        ("permission.pdf", b"%PDF-1.7\n1 0 obj broken\n%%EOF\n"),
        ("permission.pdf", png()),
        ("permission.png", pdf()),
        ("permission.exe", pdf()),
        ("permission", pdf()),
        ("permission.pdf.exe", pdf()),
        ("permission.pdf", pdf() + b"PK\x05\x06" + b"\0" * 18),
        ("permission.pdf", b"<!doctype html>" + pdf()),
        ("permission.png", png() + b"<script>alert(1)</script>"),
        ("permission.pdf", pdf(script="yes")),
        ("permission.pdf", pdf(launch="yes")),
        ("permission.pdf", pdf(file="yes")),
        ("permission.pdf", pdf(locked="yes")),
        ("permission.pdf", pdf() + b"\0" * 11 * 1024 * 1024),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_not_plainly_one_file_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(ValidationError):
        checked(name, content)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.pdf", "..\\..\\boot.pdf", "a\x00b.pdf", "a\r\nX: y.pdf", "a\u202efdp.pdf", f"{'n' * 300}.pdf"],
)
def test_a_name_is_a_label_and_never_a_path(name: str) -> None:
    found, _kind, _content = checked(name, pdf())

    assert found.endswith(".pdf") and len(found) <= 200
    assert not set(found) & set("/\\\x00\r\n\u202e")
    assert ".." not in found
