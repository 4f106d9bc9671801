"""The blind index: equality search over values that are stored sealed.

HMAC-SHA-256 under a key derived per column by HKDF (RFC 5869), over the value normalised: NFKC, casefold, IDNA domain.
Only e-mail addresses, user names and logins are found this way; there is no index on names, phones or postcodes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

import idna
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.IGNORECASE | re.ASCII)


def derived_key(purpose: str, length: int = 32) -> bytes:
    """Return the key for one purpose (a column, the cache, sessions), derived from BLIND_INDEX_SECRET."""
    secret = bytes.fromhex(settings.BLIND_INDEX_SECRET)
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose.encode()).derive(secret)


def digest(column: str, text: str) -> bytes:
    """Return the 32-byte blind index of `text` in `column` ("email", "username", "number")."""
    return hmac.new(derived_key(f"blind index {column}"), normalised(column, text).encode(), hashlib.sha256).digest()


def normalised(column: str, text: str) -> str:
    """Return `text` as it is compared: NFKC, casefold, and for "email" the IDNA 2008 form of its domain."""
    text = unicodedata.normalize("NFKC", text.strip()).casefold()
    if column != "email":
        return text
    local, at, domain = text.rpartition("@")
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return text


def clean_email(text: str) -> str:
    """Return the address with its domain in ASCII; raise ValidationError for anything but an ordinary mailbox.

    ASCII local part, IDNA 2008 domain with a dot, no address literal, 254 characters at most: look-alikes such as a
    dotless i or a Cyrillic a are other people's addresses (CVE-2019-19844).
    """
    local, _at, domain = text.strip().rpartition("@")
    refusal = ValidationError(_("Enter an e-mail address in the form name@example.com."), code="email")
    if not LOCAL_PART.fullmatch(local) or len(local) > 64 or domain.startswith("["):
        raise refusal
    try:
        ascii_domain = idna.encode(domain, uts46=False, std3_rules=True).decode().lower()
    except idna.IDNAError:
        try:
            ascii_domain = idna.encode(domain.lower(), uts46=False, std3_rules=True).decode()
        except idna.IDNAError:
            raise refusal from None
    if "." not in ascii_domain or ascii_domain.rpartition(".")[2].isdigit() or len(local) + len(ascii_domain) > 253:
        raise refusal
    return f"{local}@{ascii_domain}"


def cache_key(key: str, prefix: str, version: int) -> str:
    """Return a keyed hash as the cache key: rate limits put typed addresses and IPs into keys, Redis gets none."""
    return hmac.new(derived_key("cache keys"), f"{prefix}:{version}:{key}".encode(), hashlib.sha256).hexdigest()
