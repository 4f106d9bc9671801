"""Searching everything the portal leaves behind for words of one person: dumps, Redis, logs, mails.

A word is looked for as text, in hexadecimal (how a dump shows bytes), in base64 at each of its three places, and as
a plain hash: whoever knows an address could ask for its hash.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from pathlib import Path

from chicagocloud.embedded import OWNER, Cluster
from tests.servers import Stage

HASHES = ("md5", "sha1", "sha256", "sha512")


def forms(word: str) -> Iterator[tuple[str, bytes]]:
    """Return (how, bytes) for each way a word may stand somewhere."""
    for text in sorted({word, word.lower(), word.upper(), word.title()}):
        raw = text.encode()
        yield "text", raw
        yield "hexadecimal", raw.hex().encode()
        yield "UTF-16", text.encode("utf-16-le")
        for place in range(3):
            encoded = base64.b64encode(b"\x00" * place + raw).rstrip(b"=")
            # What the neighbours of the word decide is left out at both ends.
            yield "base64", encoded[4 if place else 0 : -2]
    for name in HASHES:
        digest = hashlib.new(name, word.lower().encode())
        yield name, digest.hexdigest().encode()
        yield name, base64.b64encode(digest.digest())[:20]


def found_in(content: bytes, words: Iterable[str], where: str) -> list[str]:
    """Return where and how each word stands in the content."""
    lowered = content.lower()
    found = []
    for word in words:
        for how, form in forms(word):
            if form in content or (how == "text" and form.lower() in lowered):
                found.append(f"{word!r} stands in {where} as {how}{around(content, form)}")
                break
    return found


def around(content: bytes, form: bytes) -> str:
    place = content.find(form)
    return f": …{content[max(0, place - 60) : place + 60]!r}…" if place >= 0 else ""


def dump(cluster: Cluster, database: str, role: str = OWNER) -> bytes:
    """Return a whole dump of a database, every row as one readable statement."""
    program = cluster.program.with_name("pg_dump")
    arguments = [program, "--dbname", cluster.url(role, database), "--inserts", "--column-inserts"]
    return subprocess.run(arguments, check=True, capture_output=True, env=tool_environment()).stdout


def tool_environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def dumps(stage: Stage) -> dict[str, bytes]:
    """Return the dumps of both databases of the running test."""
    return {alias: dump(cluster, stage.names.of(alias)) for alias, cluster in stage.clusters.items()}


def in_redis(stage: Stage) -> dict[str, bytes]:
    """Return what Redis holds now, keys and values, and everything its append-only file has ever been told."""
    content = []
    for number in range(16):
        client = stage.redis(number)
        raw = type(client)(unix_socket_path=str(stage.servers.redis.socket), db=number, decode_responses=False)
        for key in raw.scan_iter():
            content += [key, raw.dump(key) or b""]
        raw.close()
        client.close()
    files = [file for file in Path(stage.servers.redis.folder).rglob("*") if file.is_file()]
    return {"Redis": b"\n".join(content), "Redis' file": b"\n".join(file.read_bytes() for file in files)}


def server_logs(stage: Stage) -> dict[str, bytes]:
    """Return the logs of PostgreSQL and Redis."""
    servers = (stage.servers.data, stage.servers.keys, stage.servers.redis)
    return {f"the log of {server.name}": server.log.read_bytes() for server in servers if server.log.exists()}


def without_address_line(mail: EmailMessage) -> bytes:
    """Return a mail but for the line that says where it goes."""
    lines = [f"{name}: {value}" for name, value in mail.items() if name.lower() != "to"]
    payload = mail.get_payload(decode=True) or b""
    return "\n".join(lines).encode() + b"\n\n" + (payload if isinstance(payload, bytes) else b"")
