"""One turn of a clock: what is due, one row after the other, each in a transaction of its own.

A row that refuses, or that fails, waits for the next turn and keeps nobody else's back: a turn ends after so many that
were done, not after so many that were tried.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from accounts.errors import NotActionable

log = structlog.get_logger(__name__)

AT_ONCE = 200


def take(rows: Iterable[UUID], act: Callable[[UUID, dt.datetime], bool], at: dt.datetime) -> int:
    """Do an act for each row that is due at `at`, until AT_ONCE were done; return how many were."""
    done = 0
    for pk in rows:
        if done >= AT_ONCE:
            break
        try:
            done += act(pk, at)
        except NotActionable:
            # It ended or was answered meanwhile.
            continue
        except Exception as error:  # noqa: BLE001 - one row; nobody else's waits for it
            log.warning("row waits for the next turn", act=act.__name__, row=str(pk), error=type(error).__name__)
    return done
