"""A real Celery worker that kills itself (SIGKILL) at a step the test names, once: `app="tests.crashing_worker"`.

The folder CRASH_FOLDER is the test's hand: a file `armed` holds the name of a step; the pool process that comes to
it renames the file to `died` and kills itself. Until the test removes `died`, tasks wait before their first line, so
that the world can be looked at as the dead process left it. Steps are "before x" and "after x" of the functions
named in tests.crashing_steps, and "statement n": before the n-th SQL statement of a ring's or a relay's work, on
either database.

CRASH_VARIANT makes the worker wrong on purpose, so that the tests can be seen to catch it.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from celery.concurrency.asynpool import AsynPool
from celery.signals import task_postrun, task_prerun, worker_process_init

from chicagocloud.celery import app
from tests.crashing_steps import KEYS, RING, SEND

__all__ = ["app"]

FOLDER = Path(os.environ["CRASH_FOLDER"])
STEPS = (*RING, *KEYS, *SEND)
# Where the count of statements stands before a ring's work begins.
GUARDS = -100_000

# A pool looks for dead processes every five seconds; the tests have less patience.
AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.1})


def die_at(step: str) -> None:
    """Kill this process when the test asked for it at this step."""
    armed = FOLDER / "armed"
    try:
        if armed.read_text() != step:
            return
        armed.rename(FOLDER / "died")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def stepped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return `real` with a place to die before and after it."""

    @functools.wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        die_at(f"before {name}")
        result = real(*args, **kwargs)
        die_at(f"after {name}")
        return result

    return wrapped


class Counter:
    """Counts the statements of a ring's work; what comes before only compares the guards."""

    def __init__(self) -> None:
        self.number = GUARDS

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.number += 1
        die_at(f"statement {self.number}")
        return execute(sql, params, many, context)


counter = Counter()


@worker_process_init.connect
def _wrap(**kwargs: object) -> None:
    # Models may be imported only now: Django is set up by the worker's start.
    from django.db import connections

    from accounts.safeguards import outbox, shredding
    from retention import purge, releasing, verifying

    if os.environ.get("CRASH_VARIANT"):
        _make_wrong(purge)
    homes: dict[str, ModuleType] = {
        **dict.fromkeys(STEPS, purge),
        "end_passed": releasing,
        "destroy": shredding,
        "verify": verifying,
        "_finish": verifying,
        "_claim": outbox,
        "_end": outbox,
    }
    for name in STEPS:
        if name == "_send":
            outbox._handlers["mail"] = stepped(name, outbox._handlers["mail"])
        else:
            setattr(homes[name], name, stepped(name, getattr(homes[name], name)))
    for alias in ("default", "keys"):
        connections[alias].execute_wrappers.append(counter)
    real = purge._unsafe
    purge._unsafe = lambda: (real(), setattr(counter, "number", 0))[0]


@task_prerun.connect
def _wait(**kwargs: object) -> None:
    while (FOLDER / "died").exists():
        time.sleep(0.01)
    counter.number = GUARDS


@task_postrun.connect
def _tell(task: Any, **kwargs: object) -> None:
    with (FOLDER / f"done {task.name}").open("a") as file:
        file.write(f"{counter.number}\n")


def _make_wrong(purge: ModuleType) -> None:
    """Do early what must come after the commit: destroy keys, or send mails."""
    real = purge.settled
    early = {"keys first": _destroy_early, "mail inside": _send_early}[os.environ["CRASH_VARIANT"]]

    def settled(claim: Any, *args: Any, **kwargs: Any) -> None:
        real(claim, *args, **kwargs)
        early(claim)

    purge.settled = settled


def _destroy_early(claim: Any) -> None:
    with psycopg.connect(os.environ["CRASH_KEYS_OWNER_URL"], autocommit=True) as keys:
        for subject, category in claim.free:
            keys.execute(
                "DELETE FROM keys_keywrap w USING keys_datakey k"
                " WHERE w.key_id = k.id AND k.subject = %s AND k.category = %s",
                [subject, category],
            )


def _send_early(claim: Any) -> None:
    from django.core.mail import EmailMessage

    for subject in {account for account, _ in claim.free}:
        EmailMessage("Done", f"{subject} is deleted.", to=["customer@example.com"]).send()
