"""Small files of every kind that is taken, made as their formats say."""

from __future__ import annotations

import io
import struct
import zlib

import pikepdf


def pdf(pages: int = 1) -> bytes:
    """Return a PDF of blank pages."""
    made = pikepdf.new()
    for _ in range(pages):
        made.add_blank_page()
    content = io.BytesIO()
    made.save(content, deterministic_id=True)
    return content.getvalue()


def png(kind: bytes = b"", data: bytes = b"") -> bytes:
    """Return a PNG of one grey dot, with one more chunk when it is named."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    more = chunk(kind, data) if kind else b""
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")


def jpeg(comment: bytes = b"") -> bytes:
    """Return what has the segments of a JPEG, with a comment when it is given."""

    def segment(kind: int, data: bytes) -> bytes:
        return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data

    parts = [segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")]
    parts += [segment(0xFE, comment)] if comment else []
    parts += [segment(0xDB, b"\x00" + bytes(64)), segment(0xC0, b"\x08\x00\x01\x00\x01\x01\x01\x11\x00")]
    parts += [segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"), b"\x12\xff\x00\x34\xff\xd0\x56"]
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"
