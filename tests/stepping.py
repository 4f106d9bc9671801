"""Acts taken step by step: each in a thread of its own, stopped before the statements that matter and the commit.

`interleave` lets two acts take their steps in a given order. A step that waits for the other act's lock is noticed by
`pg_blocking_pids`; the order then goes on, and the step ends when the lock is free.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from django.db import connection, connections

from tests.servers import Connection

DEADLINE = 20.0


class Stepped(threading.Thread):
    """Runs `act` in a thread, its connection at an isolation level; `patterns` say which statement begins step 2, 3, …;
    the last step is the commit.
    """

    def __init__(self, act: Callable[[], str], patterns: Sequence[str], level: str = "READ_COMMITTED") -> None:
        super().__init__(daemon=True)
        self.level = level
        self.act = act
        self.patterns = [re.compile(pattern) for pattern in patterns]
        self.steps = len(patterns) + 2
        self.outcome = ""
        # When the last transaction was committed, by the clock of `time.monotonic`.
        self.committed = 0.0
        self.backend = 0
        self._change = threading.Condition()
        self._granted = 0
        self._needs = 0
        self._state = "running"

    def run(self) -> None:
        try:
            connection.ensure_connection()
            connection.connection.isolation_level = psycopg.IsolationLevel[self.level]
            self.backend = connection.connection.info.backend_pid
            commit = connection.commit

            def gated_commit() -> None:
                self._pass(self.steps)
                commit()
                self.committed = time.monotonic()

            connection.commit = gated_commit  # type: ignore[method-assign]
            self._pass(1)
            with connection.execute_wrapper(self._before):
                self.outcome = self.act()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.outcome = f"error:{type(error).__name__}:{error}"
        finally:
            connections.close_all()
            with self._change:
                self._state = "done"
                self._change.notify_all()

    def grant(self, watch: Connection) -> None:
        """Allow one more step; return when it is taken, waits for a lock, or everything is done."""
        with self._change:
            self._granted += 1
            if self._state == "waiting" and self._granted >= self._needs:
                self._state = "running"
            self._change.notify_all()
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with self._change:
                if self._state != "running" or self._change.wait_for(lambda: self._state != "running", 0.002):
                    return
            if self._is_blocked(watch):
                return
        raise AssertionError(f"a step neither ended nor waits for a lock: {self.outcome}")

    def finish(self) -> str:
        """Allow everything and return the outcome."""
        with self._change:
            self._granted += self.steps
            self._change.notify_all()
        self.join(DEADLINE)
        assert not self.is_alive(), "an act did not end"
        return self.outcome

    def _is_blocked(self, watch: Connection) -> bool:
        row = watch.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.backend]).fetchone()
        return bool(row and row[0])

    def _before(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        for number, pattern in enumerate(self.patterns, start=2):
            if pattern.search(sql):
                self._pass(number)
        return execute(sql, params, many, context)

    def _pass(self, step: int) -> None:
        with self._change:
            self._needs = step
            while self._granted < step:
                self._state = "waiting"
                self._change.notify_all()
                self._change.wait()
            self._state = "running"


def interleave(first: Stepped, second: Stepped, order: Sequence[int], watch: Connection) -> tuple[str, str]:
    """Let both take their steps as `order` says (0: the first, 1: the second); return their outcomes."""
    pair = first, second
    for act in pair:
        act.start()
    for who in order:
        pair[who].grant(watch)
    return first.finish(), second.finish()
