"""The file of an export as sealed pieces of one MiB: written in order, never sought, read again in order.

A piece is written under the account's lock, together with a sign of life of the claim it belongs to: whoever lost the
claim, or whose account was purged meanwhile, writes nothing any more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Account, Export, ExportPart
from accounts.recording import CATEGORY_GONE

PIECE = 1024 * 1024


class ClaimLost(Exception):
    """Somebody else makes this export now, or it is not wanted any more: nothing is written, nothing is an error."""


class Claim:
    """One attempt at an export, by the number of the attempt: only the newest one writes."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.rows_done = 0

    def alive(self, at: dt.datetime | None = None, **changes: Any) -> None:
        """Note in the caller's transaction that the work goes on, with `changes`; raise ClaimLost when it is over."""
        at = at or timezone.now()
        account = Account.objects.locked([self.export.account_id]).first()
        if account is None or not account.may_sign_in(at):
            raise ClaimLost(f"Sign-in to the account of export {self.export.reference} has ended.")
        mine = Export.objects.filter(
            pk=self.export.pk, state=Export.State.RUNNING, attempts=self.export.attempts, removed_at=None
        )
        if not mine.update(claimed_at=at, rows_done=self.rows_done, **changes):
            raise ClaimLost(f"Export {self.export.reference} is made by somebody else, or not wanted any more.")


class PieceWriter(io.RawIOBase):
    """A file that can only be written: seals a piece whenever there is one, and hashes what passes."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._number = 0
        self._is_lost = False

    @property
    def sha256(self) -> str:
        """Return the hash of all that was written so far."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Return that this is a file to write to."""
        return True

    def write(self, content: Any) -> int:
        """Take some bytes; a full piece is stored at once."""
        if self._is_lost:
            return len(content)
        self._digest.update(content)
        self._waiting += content
        self.size += len(content)
        while len(self._waiting) >= PIECE:
            self._store(bytes(self._waiting[:PIECE]))
            del self._waiting[:PIECE]
        return len(content)

    def drop(self) -> None:
        """Take nothing more: the archive closes what it has open while an error is on its way up."""
        self._is_lost = True

    def finish(self) -> None:
        """Store what is left."""
        if self._waiting:
            self._store(bytes(self._waiting))
            self._waiting.clear()

    def _store(self, content: bytes) -> None:
        export = self.claim.export
        self._is_lost = True
        try:
            with transaction.atomic(durable=True):
                now = timezone.now()
                self.claim.alive(now)
                ExportPart.objects.create(
                    account_id=export.account_id, export=export, number=self._number, content=content, created_at=now
                )
        except KeyDestroyed:
            raise ClaimLost(f"The account of export {export.reference} is erased.") from None
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", "") != CATEGORY_GONE:
                raise
            raise ClaimLost(f"The account of export {export.reference} is erased.") from None
        self._is_lost = False
        self._number += 1


def pieces(export: Export) -> Iterator[bytes]:
    """Yield the file of a finished export, a piece at a time; it ends early when the copy is deleted meanwhile."""
    number = 0
    while True:
        with keyring():
            part = ExportPart.objects.filter(export=export, number=number).first()
            if part is None:
                return
            content = part.content
        yield content
        number += 1
