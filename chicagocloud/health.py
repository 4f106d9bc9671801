"""GET /health/: whether the portal does its work, for a load balancer and for whoever watches.

Asked of each part in a thread of its own with a deadline: a part that hangs is one that is not well, and is
not asked again before it answered. "ok" is 200, anything else 503; what is wrong is told only to whoever
brings the token. Nothing here counts or names what a hold covers (silence.md, S9).
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.keys.provider import provider
from accounts.keys.routing import ALIAS as KEYS
from accounts.safeguards.models import Heartbeat
from retention import guards, queue, schedule

log = structlog.get_logger(__name__)

PATH = "/health/"
DEADLINE = 4.0
# An answer serves everybody for this long: asking often must not cost much.
FRESH_SECONDS = 2.0
SILENT_BEATS = 5
SHORTEST_SILENCE = dt.timedelta(seconds=60)
LATE = dt.timedelta(hours=1)
SHORTEST_LATE = dt.timedelta(minutes=5)


class NotWell(Exception):
    """A part answers, but not as it should; the text is for whoever watches."""


def look_at_database() -> str:
    """Ask the data database for anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


def look_at_keys() -> str:
    """Ask the key store for anything, and the key-encryption key to open what it closed."""
    with connections[KEYS].cursor() as cursor:
        cursor.execute("SELECT 1 FROM keys_datakey LIMIT 1")
    kek, wrapped = provider().wrap(b"\0" * 32, b"health")
    if provider().unwrap(kek, wrapped, b"health") != b"\0" * 32:
        raise NotWell("the key-encryption key does not open what it closed")
    return "answers"


def look_at_redis() -> str:
    """Ask the broker for anything."""
    url = settings.REDIS_URL.replace("redis+socket://", "unix://").partition("?")[0]
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
    return "answers"


def look_at_worker() -> str:
    """Ask when a worker last took a message, and when the purge last rang."""
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    told = []
    for name, task in (("worker", "beat of the workers"), ("purge", "ring the purge")):
        last = beats.get(name)
        every = dt.timedelta(seconds=settings.CELERY_BEAT_SCHEDULE[task]["schedule"])
        if last is None:
            raise NotWell(f"{name}: no heartbeat yet")
        age = timezone.now() - last
        if age > max(every * SILENT_BEATS, SHORTEST_SILENCE):
            raise NotWell(f"{name}: last heartbeat {_seconds(age)} ago")
        told.append(f"{name} {_seconds(age)} ago")
    return ", ".join(told)


def look_at_purge() -> str:
    """Ask how long the oldest erasure that nothing holds has been due."""
    now = timezone.now()
    oldest = queue.oldest_due(now)
    if oldest is None:
        return "nothing waits"
    age = now - oldest
    if age > max(LATE * schedule.scale(), SHORTEST_LATE):
        raise NotWell(f"the oldest due erasure waits for {_seconds(age)}")
    return f"the oldest waits for {_seconds(age)}"


def look_at_guards() -> str:
    """Compare the guards in both databases with the code."""
    found = guards.differences()
    if found:
        raise NotWell("; ".join(f"{one.database}: {one.what}" for one in found[:5]))
    return "as expected"


LOOKS: dict[str, Callable[[], str]] = {
    "database": look_at_database,
    "key store": look_at_keys,
    "redis": look_at_redis,
    "worker": look_at_worker,
    "purge": look_at_purge,
    "guards": look_at_guards,
}


@dataclass
class Look:
    """One part being asked, in a thread that nobody waits for longer than the deadline."""

    name: str
    look: Callable[[], str]
    is_well: bool = False
    words: str = "no answer in time"
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._ask, name=f"health {self.name}", daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        try:
            words = self.look()
            self.words, self.is_well = words, True
        except NotWell as trouble:
            self.words = str(trouble)
        except Exception as error:  # whatever breaks a part makes it unwell, never the page
            self.words = type(error).__name__
        finally:
            connections.close_all()


class Doctor:
    """Asks the parts, each once at a time, and remembers the answer for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Ask again at the next visit."""
        with self._lock:
            self._until = 0.0

    def report(self) -> dict[str, tuple[bool, str]]:
        """Return for each part whether it is well, and a word about it."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._ask_all()
                self._until = time.monotonic() + FRESH_SECONDS
            return {name: (look.is_well, look.words) for name, look in self._looks.items()}

    def _ask_all(self) -> None:
        for name, look in LOOKS.items():
            last = self._looks.get(name)
            if last is None or not last.thread.is_alive():
                self._looks[name] = Look(name, look)
        end = time.monotonic() + DEADLINE
        for asked in self._looks.values():
            asked.thread.join(max(0.0, end - time.monotonic()))
        unwell = {name: look.words for name, look in self._looks.items() if not look.is_well}
        if unwell:
            log.warning("not well", parts=unwell)


doctor = Doctor()


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 when everything is well, else 503; details only for the token."""
    report = doctor.report()
    is_well = all(well for well, _words in report.values())
    answer: dict[str, Any] = {"status": "ok" if is_well else "not well"}
    if _has_token(request):
        answer["parts"] = {name: {"ok": well, "what": words} for name, (well, words) in report.items()}
    return JsonResponse(answer, status=200 if is_well else 503)


class HealthMiddleware:
    """Answers /health/ before anything that needs a session or a database could fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return health(request) if request.path_info == PATH else self.get_response(request)


def _has_token(request: HttpRequest) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    right = secrets.compare_digest(given.strip().encode(), settings.HEALTH_TOKEN.encode())
    return right and kind.lower() == "bearer"


def _seconds(age: dt.timedelta) -> str:
    return f"{max(0, int(age.total_seconds()))} s"
