"""What the guards answer, turned into errors with names. The codes stand in the guards' SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error

from accounts.errors import NotActionable
from accounts.templatetags.portal_tags import moment_text

GOVERNED = "PH001"
ALREADY_GONE = "PH002"
NOT_ALLOWED = "PH003"
CATEGORY_GONE = "PH004"
LOCK_TIMEOUT = "55P03"
STATEMENT_TIMEOUT = "57014"
SERIALIZATION = "40001"
DEADLOCK = "40P01"
# What goes away when the transaction is tried again.
PASSING = {SERIALIZATION, DEADLOCK, LOCK_TIMEOUT, STATEMENT_TIMEOUT}


class NotPlaced(NotActionable):
    """The hold was not placed because a batch was running; nothing is held, try again."""


class AlreadyErased(NotActionable):
    """What the hold would cover was deleted before; `gone_at` says when."""

    def __init__(self, account: object, gone_at: dt.datetime | None) -> None:
        self.gone_at = gone_at
        when = f"was deleted on {moment_text(gone_at)}" if gone_at else "is not there"
        super().__init__(f"Account {account}: what this would cover {when}. Nothing was placed.")


class Governed(NotActionable):
    """The database refused to erase: something active covers these rows."""


def code_of(error: BaseException) -> str:
    """Return the SQLSTATE behind a database error of Django's, or ""."""
    cause: Any = error if hasattr(error, "sqlstate") else error.__cause__
    return getattr(cause, "sqlstate", None) or ""


@contextmanager
def named(account: object) -> Iterator[None]:
    """Raise the guards' refusals by name; every other error passes untouched."""
    try:
        yield
    except Error as error:
        code = code_of(error)
        if code == ALREADY_GONE:
            raise AlreadyErased(account, _time_of(error)) from error
        if code in PASSING:
            raise NotPlaced(f"Account {account} is busy: nothing was placed. Try again in a few seconds.") from error
        if code == GOVERNED:
            raise Governed(f"Account {account} is governed: nothing was erased.") from error
        if code in {NOT_ALLOWED, CATEGORY_GONE}:
            primary = getattr(getattr(error.__cause__, "diag", None), "message_primary", "") or "not allowed"
            raise NotActionable(f"{primary[0].upper()}{primary[1:]}. Nothing was changed.") from error
        raise


def _time_of(error: Error) -> dt.datetime | None:
    detail = getattr(getattr(error.__cause__, "diag", None), "message_detail", None)
    try:
        return dt.datetime.fromisoformat(detail) if detail else None
    except ValueError:
        return None
