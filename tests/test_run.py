"""`make run`: one sentence for each thing in the way; start, stop, start again, and nothing left running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from chicagocloud.embedded import DATA_DATABASE, OWNER
from tests.servers import FOLDER, ROOT, free_port

BOOTSTRAP = ROOT / "chicagocloud" / "bootstrap.py"
UP = "Ctrl-C stops everything"
SECOND_START_SECONDS = 10


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder that the servers' user may enter."""
    folder = FOLDER / f"state-{time.monotonic_ns()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def plain_env(state: Path, port: int | str, **more: str) -> dict[str, str]:
    """The environment of somebody who has just cloned the project, but for the packages, which are there."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "CHICAGOCLOUD_STATE": str(state), "PORT": str(port), "CHICAGOCLOUD_VENV": sys.prefix, **more}


def bootstrap(env: Mapping[str, str], before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run the bootstrap's `run` after the Python statements `before`; it must not get as far as serving."""
    code = f"import runpy, sys; sys.argv = ['bootstrap', 'run']; {before}; "
    code += f"runpy.run_path({str(BOOTSTRAP)!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-I", "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith(".\n")
    for word in words:
        assert word in done.stderr


def test_another_python_is_told_in_one_sentence(state):
    done = bootstrap(plain_env(state, free_port()), "sys.version_info = (3, 13, 0, 'final', 0)")

    assert_one_sentence(done, "Python 3.11 or 3.12")


def test_make_says_so_when_no_python_fits(tmp_path):
    for name in ("sh", "make", "grep", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)

    done = subprocess.run(
        [tmp_path / "make", "run"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    said = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert done.returncode == 2
    assert len(said) == 1
    assert "3.11 or 3.12" in said[0]


def test_a_missing_venv_module_is_told_in_one_sentence(state, tmp_path):
    env = plain_env(state, free_port(), CHICAGOCLOUD_VENV=str(tmp_path / "none"))

    done = bootstrap(env, "sys.modules['ensurepip'] = None")

    assert_one_sentence(done, "venv module", "python3-venv")
    assert not (tmp_path / "none").exists()


def test_a_taken_port_is_told_in_one_sentence(state):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = bootstrap(plain_env(state, port))

    assert_one_sentence(done, str(port), "taken")


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1"])
def test_a_port_that_is_none_is_told_in_one_sentence(state, port):
    assert_one_sentence(bootstrap(plain_env(state, port)), "PORT", port)


def test_a_read_only_state_folder_is_told_in_one_sentence(tmp_path):
    if os.geteuid() == 0:
        folder = Path("/proc/chicagocloud")  # root may write everywhere else
    else:
        tmp_path.chmod(0o500)
        folder = tmp_path / "state"

    done = bootstrap(plain_env(folder, free_port()))

    assert_one_sentence(done, str(folder), "cannot be written to", "CHICAGOCLOUD_STATE")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into root's home")
def test_state_in_the_home_of_root_is_told_in_one_sentence():
    folder = Path("~root").expanduser() / "portal-state"

    done = bootstrap(plain_env(folder, free_port()))

    assert_one_sentence(done, "root's home", "CHICAGOCLOUD_STATE")
    assert not folder.exists()


def test_real_servers_are_named_together_or_not_at_all(state):
    env = plain_env(state, free_port(), DATABASE_URL="postgres://portal_runtime@/portal?host=/nowhere")
    state.mkdir()

    done = subprocess.run(
        [sys.executable, "-m", "chicagocloud.run"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )

    assert_one_sentence(done, "KEYS_DATABASE_URL", "REDIS_URL")


def test_a_command_without_settings_says_what_is_missing_and_no_more():
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("The setting SECRET_KEY is missing.")


class Run:
    """One `make run`, in a session of its own as in a terminal of its own."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        self.log = state.with_suffix(".out")
        self.began = time.monotonic()
        with self.log.open("wb") as output:
            self.make = subprocess.Popen(
                ["make", "run"],
                cwd=ROOT,
                env=plain_env(state, port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_up(self, seconds: float) -> float:
        """Return how long it took until the address was printed."""
        while UP not in self.log.read_text():
            assert self.make.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() - self.began < seconds, self.log.read_text()[-4000:]
            time.sleep(0.05)
        return time.monotonic() - self.began

    def health(self) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/", timeout=10) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def becomes_healthy(self, seconds: float = 30) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.health() == 200:
                return True
            time.sleep(0.2)
        return False

    def sign_ins(self) -> list[str]:
        """Return the lines of the printed table; what the processes say begins with the time."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("  ") and " | " in line]

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.make.pid).children(recursive=True)

    def accounts(self) -> int:
        """Count the accounts as the owner, over the private socket."""
        sockets = json.loads((self.state / "sockets.json").read_text())["sockets"]
        with psycopg.connect(f"postgres://{OWNER}@/{DATA_DATABASE}?host={sockets}/data") as connection:
            row = connection.execute("SELECT count(*) FROM accounts_account").fetchone()
            assert row is not None
            return int(row[0])

    def manage(self, command: str) -> subprocess.CompletedProcess[str]:
        """Call manage.py as the README says, beside the run."""
        line = f". '{self.state}/environment' && exec '{sys.executable}' manage.py {command}"
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(["sh", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def kill(self) -> None:
        """Kill make and the runner with -9: nothing gets a chance to tidy up."""
        os.killpg(self.make.pid, signal.SIGKILL)
        self.make.wait()

    def end(self, number: signal.Signals) -> int:
        """Signal the foreground group, as the terminal does; return the exit code."""
        os.killpg(self.make.pid, number)
        return self.make.wait(40)


def listening_addresses(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # servers come and go with their sessions
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add((connection.laddr.ip, connection.laddr.port))
    return found


@pytest.fixture
def start_run(state: Path) -> Iterator[Callable[[], Run]]:
    """Start `make run` on the same state and port each time; what a failing test leaves behind is ended."""
    port, runs = free_port(), []

    def start() -> Run:
        runs.append(Run(state, port))
        return runs[-1]

    yield start
    for run in runs:
        if run.make.poll() is None:
            run.end(signal.SIGTERM)


def still_there(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=3)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_process_left_behind_would_be_noticed():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as left:
        try:
            assert [process.pid for process in still_there([psutil.Process(left.pid)])] == [left.pid]
        finally:
            left.kill()


@pytest.mark.crash
@pytest.mark.parametrize("step", ["Starting PostgreSQL", "Bringing the databases"])
def test_a_run_interrupted_while_it_prepares_leaves_nothing(start_run, step):
    run = start_run()
    while step not in run.log.read_text():
        assert run.make.poll() is None, run.log.read_text()
        time.sleep(0.02)
    time.sleep(0.3)
    started = run.processes()

    run.end(signal.SIGINT)

    assert still_there(started) == []


@pytest.mark.crash
def test_a_run_starts_stops_and_starts_again_with_what_it_kept(state, start_run):
    run = start_run()
    run.wait_until_up(120)
    healthy = run.becomes_healthy()
    listening = listening_addresses(run.processes())
    started, accounts, sign_ins = run.processes(), run.accounts(), run.sign_ins()
    beside = run.manage("load_demo --kept")
    run.end(signal.SIGINT)
    left = still_there(started)

    again = start_run()
    second = again.wait_until_up(60)
    kept, told_again, started_again = again.accounts(), again.sign_ins(), again.processes()
    again.kill()

    after_kill = start_run()
    third = after_kill.wait_until_up(60)
    kept_after_kill, last = after_kill.accounts(), after_kill.processes()
    after_kill.end(signal.SIGTERM)

    assert healthy
    assert listening == {("127.0.0.1", run.port)}
    assert left == []
    assert accounts > 0
    assert accounts == kept == kept_after_kill
    assert len(sign_ins) > 1
    assert sign_ins == told_again
    assert still_there(started_again + last) == []
    assert beside.returncode == 0, beside.stderr
    assert all(line.strip() in beside.stdout for line in sign_ins)
    for private in ("secrets.json", "environment"):
        assert (state / private).stat().st_mode & 0o777 == 0o600
    assert "OWNER" not in (state / "environment").read_text()
    # The quicker of two later starts: what else the machine does is not the portal's.
    assert min(second, third) < SECOND_START_SECONDS
