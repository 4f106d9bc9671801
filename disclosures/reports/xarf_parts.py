"""What the versions of X-ARF share: kinds, hashes, evidence, and values that may be of any type."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any

from disclosures.reports.shape import Evidence, Kind
from disclosures.reports.values import (
    Problems,
    line,
)

MAX_EVIDENCE = 50
MAX_LIST = 200
KINDS = {
    "messaging": Kind.SPAM,
    "copyright": Kind.COPYRIGHT,
    "connection": Kind.ATTACK,
    "vulnerability": Kind.VULNERABILITY,
    "infrastructure": Kind.BOTNET,
    "reputation": Kind.REPUTATION,
}
TYPES = {
    "phishing": Kind.PHISHING,
    "malware": Kind.MALWARE,
    "malware-attack": Kind.MALWARE,
    "csam": Kind.CSAM,
    "csem": Kind.CSAM,
    "childabuse": Kind.CSAM,
    "ncii": Kind.NCII,
    "fraud": Kind.FRAUD,
    "ddos": Kind.DDOS,
    "spam": Kind.SPAM,
    "bulk-messaging": Kind.SPAM,
    "trademark": Kind.TRADEMARK,
    "brand-infringement": Kind.TRADEMARK,
    "copyright": Kind.COPYRIGHT,
    "p2p": Kind.COPYRIGHT,
    "cyberlocker": Kind.COPYRIGHT,
    "botnet": Kind.BOTNET,
    "botnetinfection": Kind.BOTNET,
    "infected-host": Kind.BOTNET,
    "loginattack": Kind.ATTACK,
    "login-attack": Kind.ATTACK,
    "portscan": Kind.ATTACK,
    "remote-compromise": Kind.MALWARE,
    "compromised-server": Kind.MALWARE,
}


def kind_of(category: str, kind: str) -> Kind:
    """Return what a report is about: by its type where that says more than its category."""
    return TYPES.get(kind.replace("_", "-")) or KINDS.get(category) or Kind.OTHER


def hashes_of(value: object, name: str) -> list[tuple[str, str]]:
    """Return a hash as algorithm and value: `sha256:ab12`, or told by its length."""
    text = line(value, most=300)
    if not text:
        return []
    algorithm, mark, digest = text.partition(":")
    if mark and algorithm.lower() != "urn":
        return [(algorithm.lower(), digest)]
    by_length = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
    return [("btih" if name == "info_hash" else by_length.get(len(text), ""), text)]


def evidence_of(samples: list[dict[str, Any]], names: tuple[str, ...], problems: Problems) -> tuple[Evidence, ...]:
    if len(samples) > MAX_EVIDENCE:
        problems.add("findings_cut", "evidence")
    return tuple(_piece(one, names, problems) for one in samples[:MAX_EVIDENCE])


def _piece(sample: dict[str, Any], names: tuple[str, ...], problems: Problems) -> Evidence:
    payload = next((sample[name] for name in names if isinstance(sample.get(name), str)), "")
    encoded = sample.get("Base64Encoded", True) is not False
    content = _unpacked(payload, problems) if encoded else payload.encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()
    claimed = line(sample.get("hash"), most=300)
    if claimed.lower().startswith("sha256:") and claimed[7:].lower() != digest:
        problems.add("evidence_digest_differs")
    return Evidence(
        content_type=line(sample.get("content_type") or sample.get("ContentType"), most=200),
        content=content,
        digest=digest,
        filename=line(sample.get("filename") or sample.get("FileName"), most=255),
        description=line(sample.get("description") or sample.get("Description")),
        claimed=claimed,
    )


def _unpacked(payload: str, problems: Problems) -> bytes:
    packed = "".join(payload.split())
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        problems.add("evidence_broken")
        return payload.encode("utf-8", "replace")


def without_payloads(value: dict[str, Any], lists: Iterable[str], names: Iterable[str]) -> dict[str, Any]:
    """Return the fields without the content of the evidence, which is kept by itself."""
    kept = dict(value)
    for name in lists:
        if isinstance(value.get(name), list):
            kept[name] = [
                {key: inner for key, inner in one.items() if key not in names} if isinstance(one, dict) else one
                for one in value[name]
            ]
    return kept


def filled(*values: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    return value[:MAX_LIST] if isinstance(value, list) else []


def as_dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in as_list(value) if isinstance(one, dict)]
