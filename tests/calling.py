"""Calls the API as a system, a customer or nobody."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from django.core.cache import cache
from django.test import Client

from accounts import granting, issuing
from accounts.keys.identifiers import uuid7
from accounts.models import User
from tests.cast import make_staff


def system_token(*names: str, **given: Any) -> str:
    """Return the secret of a new token of another system with these scopes."""
    by = given.pop("by", None) or make_staff(f"ada-{uuid4().hex[:8]}", "administrator")
    return issuing.issue("billing", list(names), by=by, **{"days": 30, **given})[1]


def own_token(owner: User, *names: str, **given: Any) -> str:
    """Return the secret of a new token of a customer, for reading their data when nothing else is named."""
    facts: dict[str, Any] = {"name": "script", "days": 30, "networks": (), "submission": uuid7(), **given}
    return granting.grant(owner, scopes=list(names) or ["data:read"], **facts)[1]


def call(path: str, token: str | None = None, method: str = "GET", body: Any = None, **more: Any) -> Any:
    """Send one request; a write carries a new Idempotency-Key unless `key` says otherwise (None: none)."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    key = more.pop("key", str(uuid4()))
    if method not in ("GET", "HEAD", "OPTIONS") and key is not None:
        headers["Idempotency-Key"] = key
    headers |= more.pop("headers", {})
    raw = body if isinstance(body, bytes | str) else json.dumps(body)
    kind = more.pop("content_type", "application/json")
    content = {} if body is None else {"data": raw, "content_type": kind}
    sender = Client(raise_request_exception=False)
    return sender.generic(method, path, headers=headers, **content, **more)


def calm() -> None:
    """Forget what was counted against the limits."""
    cache.clear()
