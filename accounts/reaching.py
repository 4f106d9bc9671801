"""Posting to the address of another system, without being led anywhere else.

The address is https without user, query or fragment. What its name resolves to is looked at when something is sent, and
the connection is made to exactly the address that was looked at: a name that changes in between leads nowhere. Private,
loopback and link-local addresses are refused, but for networks that the setting WEBHOOK_NETWORKS names. Redirects and
proxies are not followed, an answer's body is not read, and an attempt takes ten seconds at most.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import idna
from django.conf import settings
from django.core.exceptions import ValidationError

LONGEST = 500
# Seconds for each step of an attempt, and for the attempt as a whole: a receiver that drips holds up nobody for long.
STEP, WHOLE = 5.0, 10.0
PLAIN = re.compile(r"[\x21-\x7e]+")
PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:/%]*")
# Addresses of IPv4 inside IPv6 (RFC 6052): what is behind them is looked at as IPv4.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(Exception):
    """The address is none that may be reached: private, or its name leads to nothing."""


class TookTooLong(Exception):
    """The receiver did not answer in time."""


def clean_url(text: str) -> str:
    """Return the address in its short form; raise ValidationError, which repeats nothing of it, for what is none."""
    words = text.strip()
    try:
        parts = urlsplit(words)
        port = parts.port
    except ValueError:
        raise _invalid("Write the whole address: https://system.example.com/hook.") from None
    if not PLAIN.fullmatch(words) or len(words) > LONGEST or not PATH.fullmatch(parts.path) or port == 0:
        raise _invalid("Write the whole address: https://system.example.com/hook.")
    if parts.username is not None or parts.password is not None or "@" in words:
        raise _invalid("Leave user and password out of the address: the signature proves who sends.")
    if any(mark in words for mark in "?#"):
        raise _invalid("Leave out what follows ? or # in the address: the signature proves who sends.")
    host = _host(parts)
    literal = _literal(host)
    is_near = literal is not None and literal.is_loopback or host == "localhost"
    if parts.scheme == "http" and not (is_near and _reaches_loopback()):
        raise _invalid("The address begins with https://.")
    if parts.scheme not in ("http", "https"):
        raise _invalid("The address begins with https://.")
    if literal is not None and not _may_reach(literal):
        raise _invalid("This address is private: give one that can be reached from outside.")
    name = f"[{host}]" if isinstance(literal, ipaddress.IPv6Address) else host
    return f"{parts.scheme}://{name}{f':{port}' if port is not None else ''}{parts.path}"


def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """Post `body` to `url` and return the status of the answer, whatever it is.

    Raises AddressRefused, TookTooLong, and OSError or HTTPException of the connection.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme != "https" and not _reaches_loopback():
        raise AddressRefused("The address is not https.")
    address = _looked_at(host, port)
    connection = _Pinned(host, port, address, is_secure=parts.scheme == "https")
    late = threading.Event()
    timer = threading.Timer(WHOLE, _hang_up, [connection, late])
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        # Whoever hangs up while there is no line yet finds none to cut.
        if late.is_set():
            raise TimeoutError
        connection.request("POST", parts.path or "/", body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise TookTooLong("The receiver did not answer in time.") from None
        raise
    finally:
        timer.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was looked at; certificate and Host are those of the name."""

    def __init__(self, host: str, port: int, address: Address, *, is_secure: bool) -> None:
        super().__init__(host, port, timeout=STEP)
        self.address = address
        self.default_port = 443 if is_secure else 80
        self.context = ssl.create_default_context() if is_secure else None

    def connect(self) -> None:
        line = socket.create_connection((str(self.address), self.port), timeout=STEP)
        if self.context is not None:
            line = self.context.wrap_socket(line, server_hostname=self.host)
        self.sock = line


def _hang_up(connection: _Pinned, late: threading.Event) -> None:
    late.set()
    line = connection.sock
    if line is not None:
        try:
            socket.socket.shutdown(line, socket.SHUT_RDWR)
        except OSError:
            return


def _looked_at(host: str, port: int) -> Address:
    """Return the address to connect to; one that may not be reached among several refuses them all."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused("The name leads to no address.") from None
    addresses = [ipaddress.ip_address(str(where[4][0]).partition("%")[0]) for where in found]
    if not addresses or not all(map(_may_reach, addresses)):
        raise AddressRefused("The address is private.")
    return addresses[0]


def _may_reach(address: Address) -> bool:
    inner = _inner(address)
    if any(inner in ipaddress.ip_network(network) for network in settings.WEBHOOK_NETWORKS):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one leads to, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _reaches_loopback() -> bool:
    return _may_reach(ipaddress.IPv4Address("127.0.0.1"))


def _host(parts: SplitResult) -> str:
    try:
        host = parts.hostname or ""
        if _literal(host) is not None:
            return host
        made = idna.encode(host, uts46=True).decode()
    except (ValueError, idna.IDNAError):
        raise _invalid("The name in the address is none.") from None
    # Digits alone are an old way to write an IPv4 address, which looks like a name and is none.
    if re.fullmatch(r"(0x[0-9a-f]*|\d+)", made.rpartition(".")[2]):
        raise _invalid("The name in the address is none.")
    return made


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _invalid(words: str) -> ValidationError:
    return ValidationError(words, code="url")
