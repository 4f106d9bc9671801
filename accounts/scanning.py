"""The virus scanner behind uploads: a provider named by the setting VIRUS_SCANNER.

A provider that raises, whatever it raises, counts as away, and a file nobody looked at is not kept. A trial has none:
its files are taken as they are. Elsewhere none configured means none taken.
"""

from __future__ import annotations

import socket
import struct
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

PATIENCE = 10.0
PART = 64 * 1024


class ScannerAway(Exception):
    """The scanner did not look at the file."""


class Scanner(Protocol):
    """Looks at the bytes of one file before anything is kept of it."""

    def is_clean(self, content: bytes) -> bool:
        """Return False for an infected file; raise when it could not be looked at."""


class NotConfigured:
    """No scanner: files are taken as they are in a trial, and not at all elsewhere."""

    def is_clean(self, content: bytes) -> bool:
        """Pass in a trial; raise ScannerAway elsewhere."""
        if not settings.TRIAL:
            raise ScannerAway("No virus scanner is configured: set VIRUS_SCANNER.")
        return True


class Clamd:
    """ClamAV's daemon at the address in CLAMD_URL (tcp://host:3310), asked by its INSTREAM command."""

    def is_clean(self, content: bytes) -> bool:
        """Return whether the daemon says OK; raise for anything but its two answers."""
        where = urlsplit(settings.CLAMD_URL)
        if not where.hostname or not where.port:
            raise ImproperlyConfigured("CLAMD_URL must name a host and a port: tcp://host:3310")
        with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as line:
            line.sendall(b"zINSTREAM\x00")
            for place in range(0, len(content), PART):
                part = content[place : place + PART]
                line.sendall(struct.pack(">I", len(part)) + part)
            line.sendall(struct.pack(">I", 0))
            answer = _read_to_nul(line)
        if answer.endswith(b" FOUND"):
            return False
        if answer == b"stream: OK":
            return True
        raise ScannerAway("The scanner gave no verdict.")


def _read_to_nul(line: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\x00"):
        part = line.recv(4096)
        if not part or len(answer) > 4096:
            raise ScannerAway("The scanner hung up.")
        answer += part
    return answer.rstrip(b"\x00")


def scanner() -> Scanner:
    """Return the provider that the settings name."""
    found: Scanner = import_string(settings.VIRUS_SCANNER)()
    return found
