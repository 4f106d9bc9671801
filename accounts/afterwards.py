"""Small work that is done when the answer has gone out, so that its cost does not show in the answer's time.

A refused sign-in and a reset mail cost more for a known address than for an unknown one. Whoever measures
would learn which is which (silence.md, S15), so that part waits until the server has sent the answer. It
runs in the same process; a process that dies in between loses it, and the customer asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import structlog
from django.core.signals import request_finished, request_started
from django.dispatch import receiver

from accounts.keys.keyring import keyring

log = structlog.get_logger(__name__)

Work = Callable[[], object]
_waiting: ContextVar[list[Work] | None] = ContextVar("waiting", default=None)


def after_answer(work: Work) -> None:
    """Do `work` once the present request is answered, or at once when there is none."""
    waiting = _waiting.get()
    if waiting is None:
        work()
    else:
        waiting.append(work)


@receiver(request_started, dispatch_uid="afterwards: begin")
def _begin(**kwargs: object) -> None:
    _waiting.set([])


@receiver(request_finished, dispatch_uid="afterwards: do")
def _do(**kwargs: object) -> None:
    waiting = _waiting.get() or []
    _waiting.set(None)
    for work in waiting:
        try:
            with keyring():
                work()
        except Exception as error:  # noqa: BLE001 - nobody is left to be told; the log names the kind only
            log.warning("work after the answer failed", error=type(error).__name__)
