"""The blind index: one digest for one person's ways of writing, another for a look-alike's, useless without the key."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ValidationError

from accounts.safeguards.finding import cache_key, clean_email, derived_key, digest, normalised
from tests.samples import from_hex, wycheproof


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@alice.example", "ALICE@Alice.EXAMPLE"),
        ("alice@alice.example", "  alice@alice.example\n"),
        ("alice@b\u00fccher.example", "alice@xn--bcher-kva.example"),
        ("alice@b\u00fccher.example", "alice@bu\u0308cher.example"),
        ("alice@alice.example", "\uff21lice@alice.example"),
    ],
)
def test_one_address_has_one_digest_however_it_is_written(one: str, other: str):
    assert digest("email", one) == digest("email", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mike@example.com", "m\u0131ke@example.com"),
        ("alice@example.com", "\u0430lice@example.com"),
        ("alice@example.com", "alice@ex\u0430mple.com"),
        ("alice@example.com", "alice@example.org"),
        ("a.lice@example.com", "alice@example.com"),
    ],
)
def test_a_look_alike_has_another_digest(one: str, other: str):
    assert digest("email", one) != digest("email", other)


def test_every_column_has_a_key_of_its_own():
    found = {digest(column, "alice") for column in ("email", "username", "number")}
    assert len(found) == 3 and {len(item) for item in found} == {32}
    assert len({derived_key(purpose) for purpose in ("sessions", "cache keys", "blind index email")}) == 3


def test_the_digest_is_no_plain_hash_and_follows_the_secret(settings):
    before = digest("email", "alice@alice.example")
    text = normalised("email", "alice@alice.example").encode()
    assert before != hashlib.sha256(text).digest()
    assert before == hmac.new(derived_key("blind index email"), text, hashlib.sha256).digest()
    settings.BLIND_INDEX_SECRET = "00" * 32
    assert digest("email", "alice@alice.example") != before


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("Alice@Alice.Example", "Alice@alice.example"),
        (" a+b@example.com ", "a+b@example.com"),
        ("alice@b\u00fccher.example", "alice@xn--bcher-kva.example"),
        ("alice@B\u00dcCHER.example", "alice@xn--bcher-kva.example"),
    ],
)
def test_an_ordinary_address_is_kept_with_its_domain_in_ascii(typed: str, cleaned: str):
    assert clean_email(typed) == cleaned


@pytest.mark.parametrize(
    "typed",
    [
        "m\u0131ke@example.com",
        "\u0430lice@example.com",
        "\uff21lice@example.com",
        "alice@[127.0.0.1]",
        "alice@127.0.0.1",
        "alice@localhost",
        "alice",
        "@alice.example",
        "alice@",
        "a\u200blice@example.com",
        "alice@example.com\nbcc: x@example.com",
        "alice@exa mple.com",
        ".alice@example.com",
        "alice@-example.com",
        "a" * 65 + "@example.com",
        "alice@" + "a" * 250 + ".com",
        "\ufb01ne@example.com",
    ],
)
def test_anything_else_is_refused_without_repeating_it(typed: str):
    with pytest.raises(ValidationError) as refusal:
        clean_email(typed)
    assert typed not in str(refusal.value)


def test_redis_is_given_no_address_as_a_key():
    key = cache_key("allauth:rl:login:alice@alice.example:203.0.113.7", "", 1)
    assert len(key) == 64 and "alice" not in key and "203" not in key
    assert key != cache_key("allauth:rl:login:bob@alice.example:203.0.113.7", "", 1)


def test_key_derivation_and_hmac_pass_cases_of_their_rfcs():
    # RFC 5869 A.3 (no salt, no info) and RFC 4231, case 2
    derived = HKDF(algorithm=SHA256(), length=42, salt=None, info=b"").derive(b"\x0b" * 22)
    assert derived.hex().startswith("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
    mac = hmac.new(b"Jefe", b"what do ya want for nothing?", hashlib.sha256).hexdigest()
    assert mac == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_key_derivation_passes_public_vectors():
    seen = 0
    for case in wycheproof("hkdf_sha256"):
        if case["result"] == "invalid":
            continue
        ikm, salt, info, okm = from_hex(case, "ikm", "salt", "info", "okm")
        seen += 1
        assert HKDF(algorithm=SHA256(), length=case["size"], salt=salt or None, info=info).derive(ikm) == okm
    assert seen > 50


def test_hmac_passes_public_vectors():
    seen = 0
    for case in wycheproof("hmac_sha256"):
        key, message, tag = from_hex(case, "key", "msg", "tag")
        seen += 1
        ours = hmac.new(key, message, hashlib.sha256).digest()[: case["tagSize"] // 8]
        assert (ours == tag) == (case["result"] == "valid")
    assert seen > 50
