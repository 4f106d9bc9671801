"""A passkey made of software: answers the portal's questions as a device would, without a browser."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from accounts.keys.keyring import keyring
from accounts.models import User

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class SoftKey:
    """One credential at one host; `verifies` is whether the device checks its owner."""

    def __init__(self, host: str = "testserver", *, verifies: bool = True) -> None:
        self.host = host
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(16)
        self.flags = PRESENT | (VERIFIED if verifies else 0)

    def create(self, challenge: str = "AAAA") -> dict[str, Any]:
        """Return the answer to a registration."""
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(b"\x00" * 16, self.id, public)
        data = AuthenticatorData.create(self._host_hash(), self.flags | ATTESTED, 0, bytes(attested))
        statement = AttestationObject.create("none", data, {})
        response = {
            "clientDataJSON": websafe_encode(self._client("webauthn.create", challenge)),
            "attestationObject": websafe_encode(bytes(statement)),
        }
        return self._credential(response)

    def get(self, challenge: str, user: User) -> dict[str, Any]:
        """Return the answer to a sign-in."""
        client = self._client("webauthn.get", challenge)
        data = bytes(AuthenticatorData.create(self._host_hash(), self.flags, 0))
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signed),
            "userHandle": websafe_encode(user.pk.hex.encode()),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        own = websafe_encode(self.id)
        return {
            "id": own,
            "rawId": own,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        }

    def _client(self, kind: str, challenge: str) -> bytes:
        origin = settings.PORTAL_ORIGIN.replace("http://", "https://")
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def _host_hash(self) -> bytes:
        return hashlib.sha256(self.host.encode()).digest()


def give_passkey(user: User, name: str = "A passkey") -> tuple[SoftKey, Authenticator]:
    """Give the user a passkey and recovery codes, without the pages."""
    soft = SoftKey()
    with keyring():
        row = WebAuthn.add(user, name, soft.create()).instance
        RecoveryCodes.activate(user)
    return soft, row
