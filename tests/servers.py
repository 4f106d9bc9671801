"""The suite's own servers: real PostgreSQL clusters, Redis, Celery workers and web processes.

A `Stage` is one set of embedded servers with a migrated and sealed template of both databases. Every test
that needs real commits plays on a clone of the templates (50 ms), because `TransactionTestCase` would
truncate, which the guards refuse. `child_env()` gives the environment in which a process of its own works
on the clones of the running test.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil
import psycopg
import redis

from chicagocloud.embedded import OWNER, RUNTIME, SUPERUSER, Cluster, EmbeddedServers

ROOT = Path(__file__).resolve().parent.parent
ALIASES = ("default", "keys")
READY_SECONDS = 40
STOP_SECONDS = 15
# Enough for a suite with both its stages, or for two side by side with one each: a stage's logs are kept below 1 GiB.
MEMORY_NEEDED = 3 * 2**30
# Clones are copied as files, and nothing is replicated: half the work of each test's set-up.
FOR_CLONES = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "5min",
}
Connection = psycopg.Connection[tuple[Any, ...]]
# Names a folder in which several suites share the clusters that the first of them has prepared, as the parts do.
SHARED = "CHICAGOCLOUD_TEST_CLUSTERS"


def make_folder() -> Path:
    """Return a new folder that the servers' user may enter; pytest's own folders are private to root.

    It lies in memory where there is room: a clone then takes 50 ms instead of a second. What a `kill -9`
    leaves behind is the same.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_NEEDED
    folder = Path(tempfile.mkdtemp(prefix="ccp-test-", dir=memory if roomy else None))
    folder.chmod(0o711)
    (folder / "pid").write_text(str(os.getpid()))
    return folder


def copy_clusters(source: Path, target: Path) -> None:
    """Copy both stopped clusters with their marks from one state folder to another; owners and rights stay."""
    files = [source / name for name in ("data", "data.ready", "keys", "keys.ready")]
    subprocess.run(["cp", "-a", *files, target], check=True)


def is_running(pid: int) -> bool:
    """Whether the process is there and not merely waiting for a parent that never asks for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sweep() -> None:
    """Stop and remove what suites left behind that were killed before they could."""
    for folder in {FOLDER.parent, Path(tempfile.gettempdir())}:
        for left in folder.glob("ccp-test-*"):
            # Two suites that start side by side find the same leftovers: whoever locks one first removes it.
            with suppress(OSError, ValueError), (left / "pid").open() as pid:
                fcntl.flock(pid, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not is_running(int(pid.read())):
                    remove_leftover(left)


def remove_leftover(left: Path) -> None:
    """Stop the servers, workers and web processes of a suite that was killed, and remove its folder."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("STATIC_ROOT") == str(left / "static"):
                process.kill()
    for state in (left / "main", left / "crash"):
        if state.is_dir():
            EmbeddedServers(state).stop()
    shutil.rmtree(left, ignore_errors=True)


FOLDER = make_folder()


def fixed_environment() -> dict[str, str]:
    """Return the settings that stay the same for the whole run: secrets made now, no real host, mails to
    files.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "CHICAGOCLOUD_TRIAL": "1",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "BLIND_INDEX_SECRET": secrets.token_hex(32),
        "KEK_FILE": str(FOLDER / "kek.json"),
        "HEALTH_TOKEN": secrets.token_urlsafe(16),
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "PORTAL_ORIGIN": "http://testserver",
        "DEFAULT_FROM_EMAIL": "portal@chicagocloud.test",
        "EMAIL_URL": f"filemail:///{FOLDER / 'mails'}",
        "STATIC_ROOT": str(FOLDER / "static"),
        "GRACE_SECONDS": str(30 * 24 * 3600),
        "LOG_LEVEL": "INFO",
    }


@dataclass(frozen=True)
class Names:
    """The databases of one clone, by alias."""

    default: str
    keys: str

    def of(self, alias: str) -> str:
        return self.default if alias == "default" else self.keys


class Stage:
    """One set of embedded servers, their templates, and the clones in use.

    `current` is the stage whose clone the running test plays on: what `child_env()`, `connect()` and Django's
    connections of this process mean.
    """

    current: ClassVar[Stage | None] = None

    def __init__(self, folder: Path) -> None:
        self.servers = EmbeddedServers(folder, fsync=False, options=FOR_CLONES)
        self.templates = Names("template_portal", "template_portal_keys")
        self.names = self.templates
        self.clones = 0
        self.is_ready = False
        self.admins: dict[str, Connection] = {}

    @property
    def clusters(self) -> dict[str, Cluster]:
        return {"default": self.servers.data, "keys": self.servers.keys}

    def url(self, alias: str, role: str) -> str:
        """Return the address of the current clone of `alias` for `role`."""
        return self.clusters[alias].url(role, self.names.of(alias))

    def prepare(self) -> None:
        """Start the servers with migrated and sealed templates, once; a shared folder has them once for all."""
        if self.is_ready:
            return
        if SHARED in os.environ:
            self.share(Path(os.environ[SHARED]))
        else:
            self.servers.start()
            self.make_templates()
        self.is_ready = True

    def make_templates(self) -> None:
        """Make the roles; migrate as the owner into the templates and seal them."""
        from accounts.management.commands.prepare_databases import prepare

        for alias, admin_url in zip(ALIASES, self.servers.admin_urls(), strict=True):
            prepare(alias, admin_url, self.templates.of(alias), create=True)
        self.as_owner(self.migrate)

    def as_owner(self, act: Callable[[], None]) -> None:
        """Do something to the templates as their owner; nobody is connected to them afterwards."""
        self.play(self.templates, role=OWNER)
        act()
        self.leave()

    def share(self, shared: Path) -> None:
        """Start on a copy of the clusters in `shared`, or make them and leave a copy there; one stage at a time."""
        whole, half = shared / "whole", shared / "half"
        shared.mkdir(exist_ok=True)
        with (shared / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if whole.is_dir():
                copy_clusters(whole, self.servers.state)
                self.servers.start()
                self.as_owner(self.seal)
                return
            self.servers.start()
            self.make_templates()
            for cluster in self.clusters.values():
                cluster.stop()
            # Whoever is killed while copying leaves a half copy, which nobody takes.
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            copy_clusters(self.servers.state, half)
            half.rename(whole)
            self.ensure_running()

    def migrate(self) -> None:
        from django.core.management import call_command

        for alias in ALIASES:
            call_command("migrate", database=alias, verbosity=0, interactive=False)
        self.seal()

    def seal(self) -> None:
        """Write what this process's settings allow; what was sealed with the same stays as it is."""
        from django.core.management import call_command

        call_command("seal_databases", verbosity=0)

    def stop(self) -> None:
        for admin in self.admins.values():
            admin.close()
        self.servers.stop()

    def ensure_running(self) -> None:
        """Start again what a test has killed."""
        for server in (self.servers.data, self.servers.keys, self.servers.redis):
            if server.running_pid() is None:
                server.start()

    def admin(self, alias: str) -> Connection:
        """Return the superuser's connection to a cluster; kept, since a new one is a fifth of a clone's cost."""
        with suppress(KeyError, psycopg.OperationalError):
            self.admins[alias].execute("SELECT")
            return self.admins[alias]
        # None yet, or the server was killed meanwhile.
        self.admins[alias] = psycopg.connect(self.clusters[alias].url(SUPERUSER, "postgres"), autocommit=True)
        return self.admins[alias]

    def make_clone(self) -> Names:
        """Clone both templates, the clusters side by side."""
        self.clones += 1
        names = Names(f"clone_{self.clones}", f"clone_{self.clones}_keys")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda alias: self._clone(alias, names.of(alias)), ALIASES))
        return names

    def _clone(self, alias: str, name: str) -> None:
        from accounts.management.commands.prepare_databases import connect_statements

        admin, template = self.admin(alias), self.templates.of(alias)
        admin.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY")
        for statement in connect_statements(name):
            admin.execute(statement)

    def drop(self, names: Names) -> None:
        """Drop a clone, whoever is still connected."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda alias: self._drop(alias, names.of(alias)), ALIASES))

    def _drop(self, alias: str, name: str) -> None:
        self.admin(alias).execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def play(self, names: Names, role: str = RUNTIME) -> None:
        """Point Django's connections of this process, new threads included, at `names` as `role`."""
        from django.db import connections

        self.names = names
        Stage.current = self
        for alias in ALIASES:
            connections[alias].close()
            connections[alias].settings_dict.update(
                NAME=names.of(alias), USER=role, HOST=str(self.clusters[alias].sockets), CONN_MAX_AGE=None
            )

    def leave(self) -> None:
        """Close this thread's connections."""
        from django.db import connections

        for alias in ALIASES:
            connections[alias].close()

    @contextmanager
    def clone(self) -> Iterator[Names]:
        """Play on a new clone of both templates; drop it afterwards and go back to the one before."""
        before = (Stage.current, Stage.current.names if Stage.current else self.templates)
        names = self.make_clone()
        self.play(names)
        try:
            yield names
        finally:
            self.leave()
            self.ensure_running()
            self.drop(names)
            stage, previous = before
            if stage is not None:
                stage.play(previous)

    def redis(self, number: int = 0) -> redis.Redis:
        """Return a client of the stage's Redis."""
        return redis.Redis(unix_socket_path=str(self.servers.redis.socket), db=number, decode_responses=True)

    def empty_redis(self) -> None:
        client = self.redis()
        client.flushall()
        client.close()


def current_stage() -> Stage:
    """Return the stage of the running test; raise when the test asked for no database."""
    if Stage.current is None:
        raise RuntimeError("This test plays on no database yet: use the fixture `committed` or the mark django_db.")
    return Stage.current


def connect(alias: str = "default", role: str = RUNTIME) -> Connection:
    """Return a raw psycopg connection (autocommit) to the current test's database. The caller closes it."""
    return psycopg.connect(current_stage().url(alias, role), autocommit=True)


def child_env(**overrides: str) -> dict[str, str]:
    """Return the environment for a process that works on the current test's databases and Redis.

    Owner addresses are left out: a worker or web process never has them. `overrides` replace or add settings,
    e.g. `child_env(GRACE_SECONDS="6")`.
    """
    stage = current_stage()
    urls = stage.servers.environment(data=stage.names.default, keys=stage.names.keys)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    kept.pop("CHICAGOCLOUD_DB_ROLE", None)
    urls.pop("DATABASE_OWNER_URL")
    urls.pop("KEYS_DATABASE_OWNER_URL")
    kept.pop("DATABASE_OWNER_URL", None)
    kept.pop("KEYS_DATABASE_OWNER_URL", None)
    path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    return {**kept, **urls, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **overrides}


def owner_env(**overrides: str) -> dict[str, str]:
    """Return `child_env()` with the owner addresses: for `manage.py migrate` and its like in a process."""
    stage = current_stage()
    return {
        **child_env(),
        "DATABASE_OWNER_URL": stage.url("default", OWNER),
        "KEYS_DATABASE_OWNER_URL": stage.url("keys", OWNER),
        **overrides,
    }


def free_port() -> int:
    """Return a loopback port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child in a session of its own, its output in a file; `stop` (orderly) and `kill` (-9) take its
    whole group.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], name: str) -> None:
        self.log = FOLDER / f"{name}-{secrets.token_hex(4)}.log"
        self.arguments, self.env = list(arguments), dict(env)
        self.popen = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            self.began_at = output.tell()
            return subprocess.Popen(
                self.arguments,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """Return everything the process has written, before an earlier `kill` too."""
        return self.log.read_text(errors="replace")

    def fresh_output(self) -> str:
        """Return what the process has written since it was last started."""
        return self.log.read_bytes()[self.began_at :].decode(errors="replace")

    def wait_for(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> Self:
        """Return once `ready()`; fail with the process's output when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert self.is_alive, f"{self.arguments} ended with {self.popen.returncode}:\n{self.output()[-4000:]}"
            assert time.monotonic() < deadline, f"{self.arguments} was not ready:\n{self.output()[-4000:]}"
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """`kill -9` the process and all its children, as the kernel does when memory is short."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> int:
        """Ask to end (SIGTERM), wait, kill what is left; return the exit code."""
        if self.is_alive:
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_SECONDS)
        self.kill()
        return self.popen.returncode

    def start_again(self) -> Self:
        """Start anew with the same arguments and environment; the log goes on."""
        self.popen = self._start()
        return self


class Worker(Process):
    """A real Celery worker with a prefork pool on the current test's databases."""

    def __init__(self, *, concurrency: int = 1, beat: bool = False, app: str = "chicagocloud", **env: str) -> None:
        arguments = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel", "INFO"]
        arguments += ["--concurrency", str(concurrency), "--without-gossip", "--without-mingle"]
        if beat:
            # The schedule is code: the in-memory scheduler leaves no file behind.
            arguments += ["--beat", "--scheduler", "celery.beat:Scheduler"]
        super().__init__(arguments, child_env(**env), "worker")

    def wait_ready(self) -> Self:
        """Return once the worker takes tasks (about 2 s)."""
        return self.wait_for(lambda: " ready." in self.fresh_output())


class Portal(Process):
    """A real gunicorn on a free loopback port; `url` has no slash at its end."""

    def __init__(self, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = [
            sys.executable,
            "-m",
            "gunicorn",
            "chicagocloud.wsgi",
            "--bind",
            f"127.0.0.1:{self.port}",
        ]
        arguments += ["--workers", "1", "--threads", "4", "--no-control-socket", "--log-level", "warning"]
        super().__init__(arguments, child_env(**{"PORTAL_ORIGIN": self.url, **env}), "portal")

    def wait_ready(self) -> Self:
        """Return once the port takes connections."""
        return self.wait_for(self.answers)

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def collect_static() -> None:
    """Collect the static files once, as in production (hashed names, compressed)."""
    if not (FOLDER / "static" / "staticfiles.json").is_file():
        environment = child_env(DJANGO_SETTINGS_MODULE="chicagocloud.settings")
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


def remove_folder() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
