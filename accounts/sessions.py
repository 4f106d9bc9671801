"""Browser sessions as rows that know their account, so that closing and the purge can end them.

What a session holds is sealed with AES-256-GCM under a key of its own purpose, bound to the session's key:
a value copied into another row does not open. A session that cannot be opened is an empty one, as with any
altered cookie. From where it is used is sealed under the account's own key, for the list its user sees.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import os
import re
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.keys.keyring import KeyDestroyed
from accounts.keys.provider import KeyUnavailable
from accounts.models import Account, Session, User
from accounts.safeguards import ledger
from accounts.safeguards.finding import derived_key

NONCE = 12
# The list of sessions says when each was last used, to this precision: a write a page would be too many.
SEEN_EVERY = dt.timedelta(minutes=5)
ALL_OTHERS = "others"
# What the store gives out. A cookie that holds anything else names no session, and never reaches the database.
KEY = re.compile(r"[0-9a-z]{32}")


class SessionStore(DatabaseStore):
    """Django's database store over `accounts.Session`; account and user follow who is signed in."""

    # Address and browser of the request that uses the session; none outside a request.
    came_from: dict[str, str | None] | None = None
    # When the row last noted them.
    seen_at: dt.datetime | None = None
    _row: Session | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the model whose rows the sessions are."""
        return Session

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Return the sealed text of a session."""
        nonce = os.urandom(NONCE)
        box = _cipher().encrypt(nonce, self.serializer().dumps(session_dict), self._bound_to())
        return base64.b64encode(nonce + box).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Return what was sealed; an empty session when the text was altered or comes from another row."""
        try:
            raw = base64.b64decode(session_data, validate=True)
            opened = _cipher().decrypt(raw[:NONCE], raw[NONCE:], self._bound_to())
        except (InvalidTag, ValueError):
            return {}
        content: dict[str, Any] = self.serializer().loads(opened)
        return content

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """Return the row of this session, with the account and user that are signed in."""
        row = Session(
            session_key=self._get_or_create_session_key(),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
        )
        user_id = data.get(SESSION_KEY)
        user = User.objects.filter(pk=user_id).only("account_id").first() if user_id else None
        row.user = user.pk if user else None
        row.account_id = user.account_id if user else None
        if row.user is not None and self.came_from is not None:
            row.origin, row.seen_at = self.came_from, timezone.now()
        return row

    def save(self, must_create: bool = False) -> None:
        """Write the row; signing in makes a new one, so that the guard of new rows sees whose it is."""
        if self.session_key is None:
            self.create()
            return
        content = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        row = self.create_model_instance(content)
        try:
            with transaction.atomic():
                if must_create or self._gives_up_anonymous_row(row):
                    row.save(force_insert=True)
                else:
                    noted = ["origin", "seen_at"] if row.seen_at else []
                    row.save(update_fields=["session_data", "expire_date", "user", *noted])
                    self.seen_at = row.seen_at or self.seen_at
        except IntegrityError as error:
            if must_create and "pkey" in str(error):
                raise CreateError from None
            raise
        except DatabaseError:
            if must_create:
                raise
            raise UpdateError from None

    def note_use(self, at: dt.datetime) -> None:
        """Note from where the session is used, at most every few minutes; one that ended meanwhile stays ended."""
        row = self._row
        if self.came_from is None or row is None or row.user is None or row.pk != self.session_key:
            return
        if self.seen_at and at - self.seen_at < SEEN_EVERY:
            return
        row.origin, row.seen_at = self.came_from, at
        # A page is not refused because this could not be noted.
        with contextlib.suppress(DatabaseError, KeyDestroyed, KeyUnavailable), transaction.atomic():
            row.save(update_fields=["origin", "seen_at"])
            self.seen_at = at

    def _get_session_from_db(self) -> Session | None:
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]
        self._row, self.seen_at = row, row.seen_at if row else None
        return row

    def _validate_session_key(self, key: str | None) -> bool:
        return key is not None and KEY.fullmatch(key) is not None

    def _gives_up_anonymous_row(self, row: Session) -> bool:
        if row.account_id is None:
            return False
        deleted, _per_model = Session.objects.filter(pk=row.pk, account=None).delete()
        return bool(deleted)

    def _bound_to(self) -> bytes:
        return f"{Session._meta.db_table}.{self.session_key}".encode()


def end_sessions(*, user: UUID | None = None, account: Account | UUID | None = None, keep: str | None = None) -> int:
    """End every session of a user or of all users of an account, but for the one with the key `keep`.

    Runs in the caller's transaction; returns how many ended.
    """
    if (user is None) == (account is None):
        raise TypeError("end_sessions ends the sessions of a user or of an account: name one of them.")
    rows = Session.objects.filter(user=user) if user else Session.objects.filter(account=account)
    if keep:
        rows = rows.exclude(pk=keep)
    ended, _per_model = rows.delete()
    return ended


def mark_of(session_key: str) -> str:
    """Return what a page names a session by: whoever reads it cannot use the session."""
    return hmac.new(derived_key("session marks"), session_key.encode(), hashlib.sha256).hexdigest()[:32]


def end_chosen(user: User, chosen: str, *, keep: str | None) -> int:
    """End the user's session with this mark, or with ALL_OTHERS all but the one with the key `keep`.

    Returns how many ended: none for a mark that names no session of this user.
    """
    with transaction.atomic():
        if chosen == ALL_OTHERS:
            ended = end_sessions(user=user.pk, keep=keep)
        else:
            keys = Session.objects.filter(user=user.pk).values_list("pk", flat=True)
            found = [key for key in keys if hmac.compare_digest(mark_of(key).encode(), chosen.encode())]
            ended, _per_model = Session.objects.filter(pk__in=found, user=user.pk).delete()
        if ended:
            ledger.record(user.actor, "sessions.ended", user.account_id or user.pk, user=user.pk, sessions=ended)
    return ended


def _cipher() -> AESGCM:
    return AESGCM(derived_key("sessions"))
