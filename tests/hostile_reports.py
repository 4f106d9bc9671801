"""Messages made to exhaust whoever reads them: bombs, depth, numbers, sizes. Each is small to write down."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from collections.abc import Callable

HEAD = b"From: eve@claimant.example\nMessage-ID: <bomb@claimant.example>\nSubject: A notice\nMIME-Version: 1.0\n"
ACNS = b'<Infringement xmlns="http://www.acns.net/ACNS"><Case><ID>EX-1</ID></Case>%s</Infringement>'
MEGABYTE = 1024 * 1024


def mail(kind: bytes, body: bytes) -> bytes:
    return HEAD + b"Content-Type: " + kind + b"\n\n" + body


def xml_mail(document: bytes) -> bytes:
    return mail(b"application/xml", document)


def multipart(parts: int, part: bytes = b"\n\nx\n") -> bytes:
    return mail(b"multipart/mixed; boundary=b", (b"--b" + part) * parts + b"--b--\n")


def nested(depth: int) -> bytes:
    """Return a message of multiparts inside one another."""
    opening = b"".join(b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1) for n in range(depth))
    return mail(b"multipart/mixed; boundary=b0", opening + b"--b%d\n\nx\n" % depth)


def forwarded(depth: int) -> bytes:
    """Return a mail in a mail in a mail."""
    return HEAD + b"Content-Type: message/rfc822\n\n" * depth + b"Subject: x\n\nx\n"


def attached(content: bytes, kind: bytes = b"application/zip") -> bytes:
    encoded = base64.encodebytes(content)
    part = b"\nContent-Type: " + kind + b"\nContent-Transfer-Encoding: base64\n\n" + encoded
    return multipart(1, part)


def zip_bomb() -> bytes:
    """Return 200 MB of zeros in some 200 kB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.txt", bytes(10 * MEGABYTE))
    return file.getvalue()


def lying_zip() -> bytes:
    """Return a directory of two million entries that is no archive at all."""
    return b"PK\x03\x04" + b"PK\x01\x02" * (MEGABYTE)


def gzip_bomb() -> bytes:
    return b"\x1f\x8b\x08\x00" + bytes(40) + struct.pack("<I", 2**31)


def entities(levels: int = 12) -> bytes:
    """Return a billion laughs."""
    defined = b"".join(b'<!ENTITY e%d "%s">' % (n, (b"&e%d;" % (n - 1)) * 10 if n else b"lol") for n in range(levels))
    return b"<!DOCTYPE Infringement [" + defined + b"]>" + ACNS % (b"<Notes>&e%d;</Notes>" % (levels - 1))


def quadratic() -> bytes:
    body = b"<Notes>" + b"&a;" * 50_000 + b"</Notes>"
    return b'<!DOCTYPE Infringement [<!ENTITY a "' + b"a" * 50_000 + b'">]>' + ACNS % body


def json_mail(body: bytes) -> bytes:
    return mail(b"application/json", body)


# Name, what makes it, the code that must be told, whether it lies in quarantine.
BOMBS: dict[str, tuple[Callable[[], bytes], str, bool]] = {
    "over 10 MB": (lambda: HEAD + b"\n" + b"a" * 11 * MEGABYTE, "too_large", True),
    "50 MB in base64": (lambda: attached(bytes(37 * MEGABYTE)), "too_large", True),
    "10,000 parts": (lambda: multipart(10_000), "too_many_parts", True),
    "two million empty parts": (lambda: multipart(2 * MEGABYTE, b"\n"), "too_many_parts", True),
    "100 deep": (lambda: nested(100), "too_deep", True),
    "20,000 deep": (lambda: nested(20_000), "too_deep", True),
    "100 mails in one another": (lambda: forwarded(100), "too_deep", True),
    "100,000 headers": (lambda: HEAD + b"A: b\n" * 100_000 + b"\nx", "headers_too_large", True),
    "a header of 9 MB": (lambda: HEAD + b"X-A: " + b"a" * 9 * MEGABYTE + b"\n\nx", "headers_too_large", True),
    "a parameter of 200 kB": (lambda: mail(b'text/plain; a="' + b";" * 200_000, b"x"), "source_missing", False),
    "zip bomb": (lambda: attached(zip_bomb()), "archive_bomb", True),
    "zip bomb by another name": (lambda: attached(zip_bomb(), b"image/png"), "archive_bomb", True),
    "a zip that lies": (lambda: attached(lying_zip()), "archive_bomb", True),
    "gzip bomb": (lambda: attached(gzip_bomb(), b"application/gzip"), "archive_bomb", True),
    "an XML by the name of a zip": (lambda: attached(b"PK\x03\x04" + bytes(100)), "archive_not_opened", False),
    "billion laughs": (lambda: xml_mail(entities()), "xml_forbidden", False),
    "billion laughs, bare": (entities, "xml_forbidden", False),
    "quadratic blow-up": (lambda: xml_mail(quadratic()), "xml_forbidden", False),
    "external entity of a file": (
        lambda: xml_mail(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + ACNS % b"<Notes>&x;</Notes>"),
        "xml_forbidden",
        False,
    ),
    "external entity of the network": (
        lambda: xml_mail(b'<!DOCTYPE a [<!ENTITY x SYSTEM "http://192.0.2.1/x">]>' + ACNS % b"<Notes>&x;</Notes>"),
        "xml_forbidden",
        False,
    ),
    "parameter entity": (
        lambda: xml_mail(b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://192.0.2.1/x"> %x;]>' + ACNS % b""),
        "xml_forbidden",
        False,
    ),
    "external DTD": (
        lambda: xml_mail(b'<!doctype Infringement SYSTEM "http://192.0.2.1/a.dtd">' + ACNS % b"").replace(
            b"<!doctype", b"<!DOCTYPE"
        ),
        "xml_forbidden",
        False,
    ),
    "XML 100,000 deep": (lambda: xml_mail(ACNS % (b"<a>" * 100_000 + b"</a>" * 100_000)), "xml_too_deep", False),
    "200,000 attributes": (
        lambda: xml_mail(ACNS % (b"<a " + b" ".join(b"a%d=''" % n for n in range(90_000)) + b"/>")),
        "xml_too_many_attributes",
        False,
    ),
    "200,000 elements": (lambda: xml_mail(ACNS % (b"<a/>" * 200_000)), "xml_too_many_attributes", False),
    "XML over 1 MiB": (lambda: xml_mail(ACNS % (b"<a>" + b"a" * MEGABYTE + b"</a>")), "xml_too_large", False),
    "XML that never closes": (lambda: xml_mail(b"<Infringement>" * 70_000), "xml_too_deep", False),
    "JSON 10,000 deep": (lambda: json_mail(b'{"xarf_version":' + b"[" * 10_000), "json_too_deep", False),
    "JSON that is a number": (lambda: json_mail(b"9" * 1_000_000), "json_unknown", False),
    "JSON of one million keys": (
        lambda: b'{"xarf_version":"4.2.0",' + b",".join(b'"k%d":1' % n for n in range(500_000)) + b"}",
        "json_too_large",
        False,
    ),
    "JSON with evidence of 9 MB": (
        lambda: b'{"xarf_version":"4.2.0","evidence":[{"payload":"' + b"QUFB" * (9 * MEGABYTE // 4) + b'"}]}',
        "schema",
        False,
    ),
    "UTF-16 that is none": (lambda: b"\xff\xfe" + b"\x00\xd8" * 4 * MEGABYTE, "text_cut", False),
    "UTF-7 for 9 MB": (lambda: mail(b"text/plain; charset=utf-7", b"+2AA-" * (9 * MEGABYTE // 5)), "text_cut", False),
    "a charset that takes long": (
        lambda: mail(b"text/plain; charset=punycode", b"a-" * MEGABYTE),
        "charset_wrong",
        False,
    ),
    "1 MB of addresses": (lambda: mail(b"text/plain", b"192.0.2.1 1::1 a.example " * 40_000), "findings_cut", False),
    "9 MB of colons": (lambda: mail(b"text/plain", b":" * 9 * MEGABYTE), "text_cut", False),
    "9 MB of dots": (lambda: mail(b"text/plain", b"a." * (9 * MEGABYTE // 2)), "text_cut", False),
    "9 MB of letters": (lambda: mail(b"text/plain", b"a" * 9 * MEGABYTE), "text_cut", False),
    "9 MB of blank lines": (lambda: mail(b"text/plain", b"\n" * 9 * MEGABYTE), "text_cut", False),
    "9 MB of brackets": (lambda: mail(b"text/html", b"<" * 9 * MEGABYTE), "text_cut", False),
    "9 MB of scripts": (lambda: mail(b"text/html", b"<script " * (9 * MEGABYTE // 8)), "text_cut", False),
    "9 MB of logins": (lambda: mail(b"text/plain", b"<login " * (9 * MEGABYTE // 7)), "text_cut", False),
    "9 MB of openings": (lambda: mail(b"text/plain", b"<Infringement " * (9 * MEGABYTE // 14)), "xml_broken", False),
    "9 MB of signed mails": (
        lambda: mail(b"text/plain", b"-----BEGIN PGP SIGNED MESSAGE-----\n- " * (9 * MEGABYTE // 37)),
        "text_cut",
        False,
    ),
    "9 MB of header words": (lambda: b"Subject: " + b"=?utf-8?q?=41?= " * 15_000 + b"\n\nx", "source_missing", False),
    "one boundary a million times": (
        lambda: mail(b"multipart/mixed; boundary=b", b"--bb\n" * (9 * MEGABYTE // 5)),
        "boundary_missing",
        False,
    ),
}
