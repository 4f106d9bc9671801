"""Idempotency-Key for writes of the API: the same key and body get the same answer, and the effect happens
once.

The key is claimed in a transaction of its own before the act and the answer stored after it. Another body
under the same key is 422; a repeat while the first still runs is 409. A claim whose process died is taken
up again after a minute, so an act behind it must find what it did itself. Stored answers hold ids and
fixed words only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import rfc8785
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_parsing import Conflict, Unprocessable, as_api_error
from accounts.safeguards.finding import derived_key
from accounts.safeguards.models import IdempotencyRecord

Answer = tuple[int, dict[str, Any]]

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
ABANDONED_AFTER = dt.timedelta(minutes=1)
KEPT_FOR = dt.timedelta(days=7)


def once(request: Request, caller: UUID, act: Callable[[], Answer]) -> Response:
    """Return the answer of `act`, or the stored one when this caller sent the same key and body before.

    A refusal by the act frees the key: nothing was done, and a corrected attempt may use it again. An error that nobody
    expected may have come after the effect: the claim stays, and the repeat finds what was made.
    """
    key = _key_of(request)
    record = _claim(caller, key, _hash_of(request))
    if record.status is not None:
        return Response(record.answer, status=record.status, headers={"Idempotency-Replayed": "true"})
    try:
        status, answer = act()
    except Exception as error:
        if as_api_error(error) is not None:
            IdempotencyRecord.objects.filter(pk=record.pk, status=None).delete()
        raise
    IdempotencyRecord.objects.filter(pk=record.pk).update(status=status, answer=answer)
    return Response(answer, status=status)


def made_under(request: Request, caller: UUID) -> UUID:
    """Return the id of what this caller makes under this key: an act that is repeated after a crash finds it there.

    Asked within the act. It is that of the claim and is forgotten with it: a lasting one would find, long afterwards,
    what only a hold has kept (silence.md, S7).
    """
    return IdempotencyRecord.objects.values_list("pk", flat=True).get(caller=caller, key=_key_of(request))


def forget(at: dt.datetime | None = None) -> int:
    """Delete answers older than a week; a repeat after that is a new request."""
    gone, _per_model = IdempotencyRecord.objects.filter(created_at__lt=(at or timezone.now()) - KEPT_FOR).delete()
    return gone


def _key_of(request: Request) -> str:
    key = request.headers.get(HEADER, "")
    if not KEY.fullmatch(key):
        raise ParseError(f"Send the header {HEADER} with 1 to 255 visible ASCII characters, new for each write.")
    # Another system may put anything into it, an address or a card number too: kept as a hash.
    return _keyed_hash(key.encode()).hex()


def _hash_of(request: Request) -> bytes:
    try:
        body = rfc8785.dumps(request.data)
    except rfc8785.CanonicalizationError:
        raise ParseError("A whole number in the body is beyond 2^53 - 1; readers of JSON disagree about it.") from None
    return _keyed_hash(f"{request.method} {request.path}".encode() + b"\n" + body)


def _keyed_hash(content: bytes) -> bytes:
    # Keyed: a plain hash of something short could be guessed back.
    return hmac.new(derived_key("idempotency"), content, hashlib.sha256).digest()


def _claim(caller: UUID, key: str, body_hash: bytes) -> IdempotencyRecord:
    now = timezone.now()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(caller=caller, key=key, body_hash=body_hash, created_at=now)
    except IntegrityError:
        pass
    record = IdempotencyRecord.objects.filter(caller=caller, key=key).first()
    if record is None:
        raise _running()
    if not hmac.compare_digest(bytes(record.body_hash), body_hash):
        raise Unprocessable(f"This {HEADER} was used with another body. Take a new one.")
    if record.status is None and not _taken_up(record, now):
        raise _running()
    return record


def _taken_up(record: IdempotencyRecord, now: dt.datetime) -> bool:
    abandoned = IdempotencyRecord.objects.filter(pk=record.pk, status=None, created_at__lt=now - ABANDONED_AFTER)
    return bool(abandoned.update(created_at=now))


def _running() -> APIException:
    return Conflict("The first request with this key is still being carried out. Repeat it in a few seconds.")
