"""Fixtures every test may use: databases with real commits, workers, a web process, a browser, servers to
kill.

`committed` is the usual one: a fresh clone of both migrated databases, Django connected as the runtime
role, commits are real. The mark `django_db` (rolled back, both databases) is quicker where no second
connection must see anything. `owner`, `keys_owner`, `runtime` and `keys_runtime` are raw connections to the
same databases. Nothing starts before the first test that needs it.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import shutil
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import django
import pytest
import redis

from chicagocloud.embedded import OWNER
from tests import servers
from tests.servers import Connection, Names, Portal, Stage, Worker

servers.sweep()
os.environ.update(servers.fixed_environment())
for private in ("mails", "static"):
    (servers.FOLDER / private).mkdir()
MAIN = Stage(servers.FOLDER / "main")
os.environ.update(MAIN.servers.environment(data=MAIN.templates.default, keys=MAIN.templates.keys))

# pytest-django has looked for settings before this file could name them.
django.setup()

# What takes long or disturbs timing comes after the quick tests; browsers and kills never beside races.
ORDER = ("race", "crash", "browser", "stress")
ON_A_DATABASE = ("committed", "crash_servers")
# Characters of a worker's last words that a failing test prints: some four rounds of its beat.
SHOWN = 20_000
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Open both databases to `django_db` tests, refuse truncating ones, keep stress out, and put slow tests
    last.
    """
    wanted = config.getoption("markexpr") or ""
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark is not None and mark.kwargs.get("transaction"):
            raise pytest.UsageError(f"{item.nodeid}: truncating is refused by the guards; use the fixture committed.")
        if mark is not None and "databases" not in mark.kwargs:
            item.add_marker(pytest.mark.django_db(databases=list(servers.ALIASES), **mark.kwargs), append=False)
    if "stress" not in wanted:
        kept = [item for item in items if item.get_closest_marker("stress") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def pytest_collection_put_slow_last(items: list[pytest.Item]) -> None:
    """Keep the random order within each group."""
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in ORDER][::-1])


def pytest_unconfigure() -> None:
    """Stop everything and leave nothing on the disk."""
    for stage in (MAIN, *crash_stages):
        stage.stop()
    servers.remove_folder()


crash_stages: list[Stage] = []


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[Stage]:
    """Start the servers and make the templates, once; rolled-back tests play on a clone of their own."""
    from accounts.keys.local import make_key_file

    with django_db_blocker.unblock():
        make_key_file(Path(os.environ["KEK_FILE"]))
        MAIN.prepare()
        with MAIN.clone():
            MAIN.leave()
            yield MAIN


@pytest.fixture(autouse=True)
def empty_redis(request: pytest.FixtureRequest) -> None:
    """Start every test that plays on a database with an empty Redis: no rate limit, no message left over."""
    if request.node.get_closest_marker("django_db") or set(ON_A_DATABASE) & set(request.fixturenames):
        request.getfixturevalue("django_db_setup")
        MAIN.empty_redis()


@pytest.fixture
def committed(django_db_setup: Stage, django_db_blocker: Any, empty_redis: None) -> Iterator[Names]:
    """Real commits on fresh clones of both databases, as the runtime role; yields the databases' names.

    New threads of this process and processes started with `child_env()` work on the same clones. The clones
    are dropped at the end, whoever is still connected.
    """
    with django_db_blocker.unblock(), django_db_setup.clone() as names:
        yield names


@pytest.fixture(scope="session")
def crash_stage(django_db_setup: Stage, django_db_blocker: Any) -> Stage:
    """The second set of servers, which tests may kill."""
    stage = Stage(servers.FOLDER / "crash")
    crash_stages.append(stage)
    with django_db_blocker.unblock():
        before = Stage.current
        names = before.names if before else None
        stage.prepare()
        if before is not None and names is not None:
            before.play(names)
    return stage


@pytest.fixture
def crash_servers(crash_stage: Stage, django_db_blocker: Any) -> Iterator[Stage]:
    """Like `committed`, on servers of its own that the test may kill; what was killed is started again.

    `crash_servers.servers.data`, `.keys` (`stop_immediately()`, `kill()`, `start()`) and `.redis` (`kill()`,
    `empty()`, `start()`) are the servers. `child_env()` means these servers too; Celery's and the cache's
    connections of this process still go to the other Redis, so send tasks from a process of their own.
    """
    crash_stage.ensure_running()
    crash_stage.empty_redis()
    with django_db_blocker.unblock(), crash_stage.clone():
        yield crash_stage


def on_database(request: pytest.FixtureRequest) -> Stage:
    """Return the stage of the test, after whichever fixture chooses it."""
    for name in ON_A_DATABASE:
        if name in request.fixturenames:
            request.getfixturevalue(name)
            return servers.current_stage()
    if request.node.get_closest_marker("django_db") is None:
        request.getfixturevalue("committed")
    else:
        request.getfixturevalue("django_db_setup")
    return servers.current_stage()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A raw connection (autocommit) to the test's data database as the owner of the tables."""
    on_database(request)
    with servers.connect("default", OWNER) as connection:
        yield connection


@pytest.fixture
def keys_owner(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A raw connection (autocommit) to the test's keys database as the owner of the tables."""
    on_database(request)
    with servers.connect("keys", OWNER) as connection:
        yield connection


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A raw connection (autocommit) to the test's data database as the runtime role: the attacker's."""
    on_database(request)
    with servers.connect("default") as connection:
        yield connection


@pytest.fixture
def keys_runtime(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A raw connection (autocommit) to the test's keys database as the runtime role."""
    on_database(request)
    with servers.connect("keys") as connection:
        yield connection


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A client of the test's Redis, emptied before the test."""
    client = on_database(request).redis()
    yield client
    client.close()


@pytest.fixture
def start_worker(request: pytest.FixtureRequest) -> Iterator[Callable[..., Worker]]:
    """Start real Celery workers: `start_worker(concurrency=2, beat=True, app="tests.wrapped",
    GRACE_SECONDS="6")`.

    Returns a ready `Worker` (`pid`, `kill()`, `stop()`, `start_again().wait_ready()`, `output()`); whatever
    still runs is killed at the end of the test.
    """
    on_database(request)
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Worker:
            worker = Worker(**options)
            # Shown when the test fails: whether, and since when, it did nothing.
            stack.callback(lambda: print(worker.output()[-SHOWN:]))
            stack.callback(worker.kill)
            return worker.wait_ready()

        yield start


@pytest.fixture
def worker(start_worker: Callable[..., Worker]) -> Worker:
    """One real Celery worker without beat, ready for tasks."""
    return start_worker()


@pytest.fixture
def start_portal(request: pytest.FixtureRequest) -> Iterator[Callable[..., Portal]]:
    """Start real web processes on free loopback ports: `start_portal(GRACE_SECONDS="120").url`."""
    on_database(request)
    servers.collect_static()
    with contextlib.ExitStack() as stack:

        def start(**env: str) -> Portal:
            portal = Portal(**env)
            stack.callback(portal.kill)
            return portal.wait_ready()

        yield start


@pytest.fixture
def live_portal(start_portal: Callable[..., Portal]) -> Portal:
    """One real gunicorn on the test's databases: `live_portal.url`, `live_portal.output()`."""
    return start_portal()


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[Callable[[], list[EmailMessage]]]:
    """`mails()` returns what workers and web processes of this test have sent, oldest first."""
    folder = servers.FOLDER / "mails"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def sent() -> list[EmailMessage]:
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        parts = [part for file in files for part in file.read_bytes().split(b"-" * 79 + b"\n")]
        return [email.message_from_bytes(part, policy=email.policy.default) for part in parts if part.strip()]

    yield sent


def chromium() -> str | None:
    """Return the path of a Chromium, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@pytest.fixture(scope="session")
def base_url() -> str:
    """No base address: every test's portal has its own. (The plugin's fixture of this name warns.)"""
    return ""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Let pytest-playwright drive the system's Chromium; skip with the reason where there is none."""
    path = chromium()
    if path is None:
        reason = "no Chromium on the path: install Debian's package chromium"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (a failure because CI is set)")
        pytest.skip(reason)
    # The browser's event loop stays in this thread for the rest of the run: Django must not mistake it for
    # its own.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    flags = [*CHROMIUM_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {**browser_type_launch_args, "executable_path": path, "args": flags}


# The cast, at hand in every test; below the set-up of Django, which their models need.
from tests.cast import alice, bob, charlie, lex, rita, sam  # noqa: E402, F401
