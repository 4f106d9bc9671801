"""`make run` inside the virtual environment: servers, databases, demo data, and the processes under one
runner.

Promises: everything listens on loopback or on private sockets only; secrets are made once and kept in the
state folder (mode 600); whatever ends the run (Ctrl-C, SIGTERM, a closed terminal, a process that fails)
ends all of it, embedded servers last. With DATABASE_URL, KEYS_DATABASE_URL and REDIS_URL set, nothing is
embedded and nothing is a trial: the settings must be complete, and no demo data is loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import environ
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Process

from chicagocloud import bootstrap
from chicagocloud.bootstrap import ROOT
from chicagocloud.embedded import EmbeddedServerError, EmbeddedServers
from retention.schedule import NUMBERS

TRIAL_GRACE = "120"
REAL_SERVERS = ("DATABASE_URL", "KEYS_DATABASE_URL", "REDIS_URL")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_ANSWER_SECONDS = 60
# How a person calls manage.py beside the run.
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'manage.py'))}"


class Interrupted(BaseException):
    """Somebody asked the run to end before its processes were up."""


def state() -> Path:
    return Path(os.environ["CHICAGOCLOUD_STATE"])


def processes() -> Path:
    return state() / "processes"


# Settings of a trial.


def kept_secrets() -> dict[str, str]:
    """Return the secrets of this state folder, made at the first start and readable by their owner alone."""
    path = state() / "secrets.json"
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "BLIND_INDEX_SECRET": secrets.token_hex(32),
        "HEALTH_TOKEN": secrets.token_urlsafe(32),
    }
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made, file)
    unfinished.rename(path)
    return made


def trial_settings() -> dict[str, str]:
    """Return the settings of a trial on this machine; what the environment already names is kept."""
    port = os.environ["PORT"]
    return {
        **kept_secrets(),
        "CHICAGOCLOUD_TRIAL": "1",
        "KEK_FILE": str(state() / "kek.json"),
        "GRACE_SECONDS": TRIAL_GRACE,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PORTAL_ORIGIN": f"http://localhost:{port}",
        "DEFAULT_FROM_EMAIL": "ChicagoCloud <portal@chicagocloud.example>",
        "EMAIL_URL": f"filemail:///{state() / 'mails'}",
        "STATIC_ROOT": str(state() / "static"),
    }


def choose_servers() -> bool:
    """Whether the servers are embedded; stop when only some of the real ones are named."""
    environ.Env.read_env(str(ROOT / ".env")) if (ROOT / ".env").is_file() else None
    missing = [name for name in REAL_SERVERS if not os.environ.get(name)]
    if missing and len(missing) < len(REAL_SERVERS):
        bootstrap.stop(
            f"Set {' and '.join(missing)} too, or none of {', '.join(REAL_SERVERS)}: embedded and real "
            "servers do not mix."
        )
    return bool(missing)


# Preparation, in a child that connects as the owner.


def prepare(*admin_urls: str) -> None:
    """Make roles and databases where a superuser's addresses are given, migrate both databases, seal them."""
    import django
    from django.core.management import call_command

    django.setup()
    if admin_urls:
        data, keys = admin_urls
        call_command("prepare_databases", admin_url=data, keys_admin_url=keys, create=True, verbosity=0)
    for alias in ("default", "keys"):
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    call_command("seal_databases", verbosity=0)


def code_mark() -> str:
    """Return a hash over the code and the lock: what a database was prepared with."""
    mark = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for package in ("accounts", "retention", "disclosures", "chicagocloud"):
        for file in sorted((ROOT / package).rglob("*")):
            if file.suffix in {".py", ".sql"}:
                mark.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return mark.hexdigest()


def prepare_embedded(servers: EmbeddedServers) -> None:
    """Prepare the embedded databases, unless this very code has done so since the clusters were made."""
    done, mark = state() / "prepared", code_mark()
    made_at = max((state() / name).stat().st_mtime for name in ("data.ready", "keys.ready"))
    if done.exists() and done.stat().st_mtime >= made_at and done.read_text() == mark:
        return
    print("Bringing the databases up to date.", flush=True)
    child("-m", "chicagocloud.run", "prepare", *servers.admin_urls(), CHICAGOCLOUD_DB_ROLE="owner")
    done.write_text(mark)


def child(*arguments: str, **environment: str) -> None:
    """Run a step with the interpreter of this run; stop with its own words when it fails."""
    done = subprocess.run(  # noqa: S603 - own commands
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stdout.strip()
        # A missing setting is one sentence at the end of a trace that helps nobody.
        last = said.splitlines()[-1] if said else "It said nothing."
        words = last.partition("ImproperlyConfigured: ")[2] or said
        bootstrap.stop(f"`{' '.join(arguments[:3])}` did not succeed: {words}", bootstrap.FAILED)


def note_environment(names: Iterable[str]) -> None:
    """Write the runtime role's settings for whoever calls manage.py beside the run, readable by the owner alone."""
    path = state() / "environment"
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"export {name}={shlex.quote(os.environ[name])}\n" for name in sorted(names))
    unfinished.rename(path)


def make_key_file() -> None:
    if not Path(os.environ["KEK_FILE"]).exists():
        child("-m", "accounts.keys.make", os.environ["KEK_FILE"])


def collect_static() -> None:
    """Collect the static files when there are newer ones than the last time."""
    manifest = Path(os.environ["STATIC_ROOT"]) / "staticfiles.json"
    sources = [ROOT / "requirements.lock", *(ROOT / "chicagocloud" / "static").rglob("*")]
    newest = max(source.stat().st_mtime for source in sources)
    if not manifest.exists() or manifest.stat().st_mtime < newest:
        print("Collecting the static files.", flush=True)
        child("manage.py", "collectstatic", "--noinput", "--clear", "--verbosity", "0")
        os.utime(manifest)


def demo_sign_ins() -> str:
    """Load the demo data on the first start, nothing later; return the sign-ins, saying which have ended."""
    loaded = state() / "demo.loaded"
    if loaded.exists():
        return demo_table("--kept")
    print("Loading demo data.", flush=True)
    table = demo_table()
    loaded.touch()
    return table


def demo_table(*options: str) -> str:
    """Return what `manage.py load_demo` prints."""
    done = subprocess.run(  # noqa: S603 - own command
        [sys.executable, "manage.py", "load_demo", *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        bootstrap.stop("The demo data could not be loaded; the lines above say why.", bootstrap.FAILED)
    return done.stdout.strip()


# The processes.


class NotedProcess(Process):  # type: ignore[misc]
    """A process whose number is written down while it runs, for the run after one that was killed with -9."""

    def _send_message(self, data: Any, type: str = "line") -> None:
        if type == "start":
            bootstrap.note_process(processes(), self.name, data["pid"])
        super()._send_message(data, type=type)


class PatientOutput:
    """Standard output that may go away: a closed terminal must not keep the run from ending in good order."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()

    def isatty(self) -> bool:
        return sys.stdout.isatty()


def commands() -> dict[str, list[str]]:
    """Return what runs: web on loopback only, one worker, and beat with its schedule in memory."""
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "chicagocloud"]
    web = [sys.executable, "-m", "gunicorn", "chicagocloud.wsgi", "--bind", f"127.0.0.1:{os.environ['PORT']}"]
    return {
        "web": [*web, "--workers", "2", "--threads", "4", "--preload", "--no-control-socket", "--log-level", "warning"],
        "worker": [*celery, "worker", "--concurrency", "2", "--loglevel", "WARNING", "--without-gossip"],
        "beat": [*celery, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=", "--loglevel", "WARNING"],
    }


def process_environment() -> dict[str, str]:
    """Return the environment of the processes; of Celery's screen of warnings to root, a trial needs none."""
    quiet = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges:Warning"}
    return {**os.environ, **(quiet if os.environ.get("CHICAGOCLOUD_TRIAL") == "1" else {})}


def announce(words: str) -> None:
    """Print the address and the sign-ins once the portal answers."""
    port = int(os.environ["PORT"])
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/", headers={"Host": "localhost"})
            connection.getresponse().read()
            PatientOutput().write(words)
            PatientOutput().flush()
            return
        time.sleep(0.1)


def watch_terminal() -> None:
    """Ask the run to end when its terminal is closed; the signal for that reaches only the session's
    leader.
    """
    if not os.isatty(0):
        return
    terminal = select.poll()
    terminal.register(0, 0)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in terminal.poll()):
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


class Runner(Manager):  # type: ignore[misc]
    """Honcho's manager, with what goes on beside the processes; threads begin after it has forked them."""

    words = ""

    def _start(self) -> None:
        super()._start()
        threading.Thread(target=announce, args=[self.words], daemon=True).start()
        threading.Thread(target=watch_terminal, daemon=True).start()


def serve(words: str) -> int:
    """Run the processes until one ends or somebody asks; return the exit code."""
    runner = Runner(Printer(PatientOutput()))
    runner._process_ctor = NotedProcess
    runner.words = words
    for name, command in commands().items():
        runner.add_process(name, f"exec {shlex.join(command)}", env=process_environment(), cwd=str(ROOT))
    # The runner knows Ctrl-C and SIGTERM; a hang-up is the same wish.
    this = os.getpid()
    signal.signal(signal.SIGHUP, lambda *_: os.kill(this, signal.SIGTERM) if os.getpid() == this else None)
    runner.loop()
    asked = runner.returncode in {128 + number for number in ENDING}
    return 0 if asked else bootstrap.FAILED


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


@contextlib.contextmanager
def ending_in_order(servers: EmbeddedServers | None) -> Iterator[None]:
    """End every process and then the embedded servers, whatever happens within."""
    try:
        yield
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        bootstrap.end_processes(processes())
        if servers is not None:
            servers.stop()


def welcome(sign_ins: str, embedded: bool) -> str:
    """Return what a person reads when the portal is up."""
    lines = ["", f"  The portal runs at http://localhost:{os.environ['PORT']}/ (Ctrl-C stops everything)"]
    if embedded:
        minutes, usual = int(os.environ["GRACE_SECONDS"]) / 60, NUMBERS["grace"].value
        lines += [
            "",
            f"  A trial: deletion waits {minutes:g} minutes instead of {usual} days. Data and logs: {state()}",
            "  The embedded servers are for trying out only: this Redis is an old one with known faults, and",
            "  nobody but this machine's users can reach it. Production names its own (.env.example).",
        ]
    if sign_ins:
        lines += ["", *(f"  {line}" for line in sign_ins.splitlines())]
        lines += [
            "",
            f"  A code for staff: (. {shlex.quote(str(state() / 'environment'))}; {COMMAND} staff_code support)",
        ]
    return "\n".join([*lines, "", ""])


def start(servers: EmbeddedServers | None) -> int:
    """Prepare what is there and run the processes."""
    if servers is not None:
        print("Starting PostgreSQL (data, keys) and Redis.", flush=True)
        servers.start()
        os.environ.update(servers.environment())
        trial = trial_settings()
        for name, value in trial.items():
            os.environ.setdefault(name, value)
        note_environment([*REAL_SERVERS, *trial])
        (state() / "mails").mkdir(mode=0o700, exist_ok=True)
        make_key_file()
        prepare_embedded(servers)
    elif os.environ.get("DATABASE_OWNER_URL"):
        print("Bringing the databases up to date.", flush=True)
        child("-m", "chicagocloud.run", "prepare", CHICAGOCLOUD_DB_ROLE="owner")
    else:
        child("manage.py", "check")
    # The processes must not be able to become the owner.
    os.environ.pop("DATABASE_OWNER_URL", None)
    os.environ.pop("KEYS_DATABASE_OWNER_URL", None)
    os.environ.setdefault("STATIC_ROOT", str(state() / "static"))
    collect_static()
    sign_ins = demo_sign_ins() if servers is not None else ""
    return serve(welcome(sign_ins, servers is not None))


def main() -> int:
    """Run until asked to end; return the exit code."""
    os.umask(0o077)  # mails, sign-ins, logs: for this user alone, wherever the state folder lies
    for number in ENDING:
        signal.signal(number, interrupt)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chicagocloud.settings")
    embedded = choose_servers()
    processes().mkdir(mode=0o700, exist_ok=True)
    bootstrap.note_process(processes(), "runner", os.getpid())
    servers = None
    try:
        servers = EmbeddedServers(state()) if embedded else None
        with ending_in_order(servers):
            code = start(servers)
    except EmbeddedServerError as error:
        bootstrap.stop(str(error))
    except Interrupted:
        code = 0
    PatientOutput().write("\nEverything is stopped.\n")
    PatientOutput().flush()
    return code


if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        prepare(*sys.argv[2:])
    else:
        sys.exit(main())
