"""Data keys in clear, for the length of one request or act and never longer.

A process-wide cache would keep "destroyed" from being true in a running worker, so a ring is opened around a request,
a task or an act and emptied after it. Ids noted while rows load are fetched together in one query.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.provider import KeyUnavailable, provider
from accounts.keys.routing import ALIAS

Place = tuple[UUID, str]

# The newest wrap first: a bogus later row cannot hide a good one, every wrap is tried.
SELECT = """
    SELECT k.id, k.subject, k.category, k.destroyed_at, w.kek, w.wrapped
      FROM keys_datakey k LEFT JOIN keys_keywrap w ON w.key_id = k.id
     WHERE {where} ORDER BY k.id, w.made_at DESC
"""
MAKE = """
    WITH made AS (
        INSERT INTO keys_datakey (id, subject, category, created_at)
        SELECT * FROM unnest(%(ids)s::uuid[], %(subjects)s::uuid[], %(categories)s::text[], %(times)s::timestamptz[])
        ON CONFLICT (subject, category) DO NOTHING RETURNING id)
    INSERT INTO keys_keywrap (id, key_id, kek, wrapped, made_at)
    SELECT w.wrap, w.id, w.kek, w.wrapped, w.made_at
      FROM unnest(%(wraps)s::uuid[], %(ids)s::uuid[], %(keks)s::text[], %(boxes)s::bytea[], %(times)s::timestamptz[])
           AS w(wrap, id, kek, wrapped, made_at) JOIN made USING (id)
    RETURNING key_id
"""


class KeyDestroyed(Exception):
    """The data key was destroyed: what it encrypted is erased."""


class Keyring:
    """The keys one request or act has used so far."""

    def __init__(self) -> None:
        self._by_id: dict[UUID, bytes] = {}
        self._by_place: dict[Place, UUID] = {}
        self._wanted: set[UUID] = set()

    def note(self, key_id: UUID) -> None:
        """Remember that a row with this key was loaded, so that its key comes with the next query."""
        if key_id not in self._by_id:
            self._wanted.add(key_id)

    def key(self, key_id: UUID) -> bytes:
        """Return the key in clear; raise KeyDestroyed or KeyUnavailable."""
        if key_id not in self._by_id:
            self._wanted.add(key_id)
            self._fetch("k.id = ANY(%s)", [list(self._wanted)])
            self._wanted.clear()
        if key_id not in self._by_id:
            raise KeyDestroyed(f"Data key {key_id} is destroyed; what it encrypted is erased.")
        return self._by_id[key_id]

    def for_writing(self, place: Place) -> tuple[UUID, bytes]:
        """Return (key id, key) of a subject and category, made at the first write."""
        self.prepare([place])
        key_id = self._by_place[place]
        return key_id, self.key(key_id)

    def prepare(self, places: Iterable[Place]) -> None:
        """Fetch or make the keys of many places in at most three queries; raise KeyDestroyed for a tombstone."""
        missing = sorted({place for place in places if place not in self._by_place})
        if not missing:
            return
        self._fetch_places(missing)
        absent = [place for place in missing if place not in self._by_place]
        if absent:
            self.make(absent)

    def forget(self) -> None:
        """Drop every key."""
        self._by_id.clear()
        self._by_place.clear()
        self._wanted.clear()

    def _fetch_places(self, places: list[Place]) -> None:
        self._fetch(
            "(k.subject, k.category) IN (SELECT * FROM unnest(%s::uuid[], %s::text[]))",
            [[subject for subject, _ in places], [category for _, category in places]],
        )

    def _fetch(self, where: str, params: list[object]) -> None:
        broken: dict[UUID, KeyUnavailable] = {}
        for key_id, subject, category, destroyed_at, kek, wrapped in _query(SELECT.format(where=where), params):
            if destroyed_at is not None:
                self._by_place[subject, category] = key_id
                continue
            if key_id in self._by_id or wrapped is None:
                continue
            try:
                self._by_id[key_id] = provider().unwrap(kek, bytes(wrapped), key_id.bytes)
                self._by_place[subject, category] = key_id
            except KeyUnavailable as error:
                broken[key_id] = error
        for key_id, failure in broken.items():
            if key_id not in self._by_id:
                raise failure

    def make(self, places: Iterable[Place]) -> None:
        """Make the keys of places that have none: they commit in their own database before the row that needs them,
        and an orphan is harmless. What somebody else made first is fetched.
        """
        places = list(places)
        if not places:
            return
        now = timezone.now()
        keys = {uuid7(): os.urandom(32) for _ in places}
        ids = list(keys)
        wraps = [provider().wrap(key, key_id.bytes) for key_id, key in keys.items()]
        made = _query(
            MAKE,
            {
                "ids": ids,
                "subjects": [subject for subject, _ in places],
                "categories": [category for _, category in places],
                "times": [now] * len(ids),
                "wraps": [uuid7() for _ in ids],
                "keks": [kek for kek, _ in wraps],
                "boxes": [box for _, box in wraps],
            },
        )
        ours = {key_id for (key_id,) in made}
        self._by_id.update((key_id, keys[key_id]) for key_id in ours)
        self._by_place.update((place, key_id) for place, key_id in zip(places, ids, strict=True) if key_id in ours)
        if others := [place for place in places if place not in self._by_place]:
            self._fetch_places(others)


def _query(sql: str, params: object) -> list[tuple]:  # type: ignore[type-arg]
    try:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(sql, params)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []
    except (OperationalError, InterfaceError) as error:
        raise KeyUnavailable("The key store cannot be reached; nothing was read or erased.") from error
    except DatabaseError as error:
        raise KeyUnavailable(f"The key store refused: {type(error).__name__}.") from error


_ring: ContextVar[Keyring | None] = ContextVar("keyring", default=None)


@contextmanager
def keyring() -> Iterator[Keyring]:
    """Open a ring for a request or act, or join the one that is open; the outermost forgets every key at its end."""
    ring = _ring.get()
    if ring is not None:
        yield ring
        return
    ring = Keyring()
    token = _ring.set(ring)
    try:
        yield ring
    finally:
        _ring.reset(token)
        ring.forget()


def current() -> Keyring:
    """Return the open ring, or one for this single use."""
    return _ring.get() or Keyring()
