"""What every `make` target starts with: checks the machine, makes `.venv` from the lock, hands over.

Run by whatever `python3` there is, as a script and before any package is installed: standard library only,
and nothing of the portal is imported. Each thing that stands in the way is told in one sentence, with exit
code 2.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("CHICAGOCLOUD_VENV") or ROOT / ".venv")
PYTHON = VENV / "bin" / "python"
RUNTIME_LOCK, DEVELOPMENT_LOCK = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
SUPPORTED = ((3, 11), (3, 12))
USAGE, FAILED = 2, 1


def stop(sentence: str, code: int = USAGE) -> NoReturn:
    """Say what stands in the way and end."""
    print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)


def check_python() -> None:
    """Stop on a Python the wheels are not made for."""
    if sys.version_info[:2] not in SUPPORTED:
        stop(
            f"ChicagoCloud Portal needs Python 3.11 or 3.12, and this is {sys.version.split()[0]}: install "
            "Python 3.12, or name another interpreter with `make PYTHON=/path/to/python3.12 ...`."
        )


# The state folder of `make run`.


def state_folder() -> Path:
    """Return where embedded data lives: CHICAGOCLOUD_STATE, else `.state`, else a folder under /var/tmp.

    Never root's home: PostgreSQL cannot run as root, and the user it runs as cannot enter there.
    """
    chosen = os.environ.get("CHICAGOCLOUD_STATE", "")
    if chosen:
        folder = (ROOT / Path(chosen).expanduser()).resolve()
        if in_root_home(folder):
            stop(
                f"The state folder {folder} lies in root's home, where PostgreSQL cannot run: set "
                "CHICAGOCLOUD_STATE to a folder elsewhere, for instance under /var/tmp."
            )
        return folder
    if not in_root_home(ROOT):
        return ROOT / ".state"
    mark = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path("/var/tmp") / f"chicagocloud-{getpass.getuser()}-{ROOT.name}-{mark}"  # noqa: S108


def in_root_home(folder: Path) -> bool:
    home = Path(pwd.getpwuid(0).pw_dir).resolve()
    return home != Path("/") and folder.is_relative_to(home)


def check_state(folder: Path) -> None:
    """Make the state folder; stop when it cannot be written to, is another user's, or cannot be entered."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        stop(
            f"The state folder {folder} cannot be written to ({os.strerror(error.errno or errno.EIO)}): make "
            "it writable, or set CHICAGOCLOUD_STATE to another folder."
        )
    if folder.stat().st_uid != os.geteuid():
        stop(f"The state folder {folder} belongs to another user: set CHICAGOCLOUD_STATE to another folder.")
    if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents):
        stop(
            f"The state folder {folder} lies where only root may enter, and PostgreSQL does not run as root: "
            "set CHICAGOCLOUD_STATE to a folder elsewhere, for instance under /var/tmp."
        )


def port_number() -> int:
    """Return PORT (default 8000); stop when it is no port."""
    given = os.environ.get("PORT") or "8000"
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65536):
        stop(f"PORT is {given!r}, which is no port number: set it to a number from 1 to 65535.")
    return int(given)


def check_port(port: int) -> None:
    """Stop when something else listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                stop(f"Port {port} may not be used by this user: choose one above 1023, `make run PORT=8001`.")
            other = port % 65535 + 1
            stop(f"Port {port} is taken by another program: choose another, `make run PORT={other}`.")


# Processes a run has started: one file each, so that a run killed with -9 can be tidied up by the next.


def began(pid: int) -> str:
    """Return when the process began, to tell it from a later one with the same number; empty when it is
    gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    ps = shutil.which("ps")
    if Path("/proc/self/stat").exists() or ps is None:
        return ""
    arguments = [ps, "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def note_process(folder: Path, name: str, pid: int) -> None:
    """Write down that the run of this state folder has started `pid`, which leads a group of its own."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / name).write_text(f"{pid} {began(pid)}")


def noted_process(file: Path) -> int | None:
    """Return the process a file speaks of, if it still runs."""
    try:
        pid, _, time_begun = file.read_text().partition(" ")
        return int(pid) if time_begun and began(int(pid)) == time_begun else None
    except (OSError, ValueError):
        return None


def end_processes(folder: Path, seconds: float = 10) -> None:
    """End the groups that a run of this state folder has started and that still run; gently, then with -9."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        running = {pid for file in folder.glob("*") if file.name != "runner" and (pid := noted_process(file))}
        for pid in running:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)
        deadline = time.monotonic() + seconds
        while any(began(pid) for pid in running) and time.monotonic() < deadline:
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def check_alone(state: Path) -> None:
    """Stop when another run uses the state folder; tidy up after one that was killed."""
    processes = state / "processes"
    runner = noted_process(processes / "runner")
    if runner is not None and runner != os.getpid():
        stop(
            f"Another `make run` (process {runner}) uses the state folder {state}: stop it, or set "
            "CHICAGOCLOUD_STATE and PORT for a second one."
        )
    end_processes(processes)


# The virtual environment.


def stamp(lock: Path) -> Path:
    return VENV / f".{lock.name}.sha256"


def is_installed(lock: Path) -> bool:
    """Whether the environment was made from exactly this lock."""
    try:
        same = stamp(lock).read_text() == hashlib.sha256(lock.read_bytes()).hexdigest()
    except OSError:
        return False
    return same and PYTHON.exists()


def make_environment(lock: Path) -> None:
    """Make `.venv` and install the lock with hashes, unless that has been done; two runs wait for one
    another.
    """
    with lock.open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if is_installed(lock):
            return
        if not runs(PYTHON):
            make_venv()
        install(lock)
        # The development lock holds everything of the other one.
        for done in {lock, RUNTIME_LOCK}:
            stamp(done).write_text(hashlib.sha256(done.read_bytes()).hexdigest())


def runs(python: Path) -> bool:
    """Whether this interpreter works and is one the portal supports."""
    code = f"import pip, sys; sys.exit(sys.version_info[:2] not in {SUPPORTED})"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def make_venv() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "This Python lacks the venv module, which the portal needs for its packages: install it, on "
            "Debian and Ubuntu with `apt install python3-venv`, and start again."
        )
    if VENV.is_dir() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").is_file():
        stop(f"The folder {VENV} is in the way: it is no virtual environment, so move it elsewhere.")
    print("Making the virtual environment.", flush=True)
    code = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False).returncode  # noqa: S603
    if code:
        stop(f"The virtual environment {VENV} could not be made; the lines above say why.", FAILED)


def install(lock: Path) -> None:
    count = lock.read_text().count("==")
    print(f"Installing {count} packages from {lock.name}, each checked by its hash.", flush=True)
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    arguments += ["--only-binary=:all:", "--requirement", str(lock)]
    code = subprocess.run([PYTHON, "-m", "pip", *arguments], check=False).returncode  # noqa: S603
    if code:
        stop("The packages could not be installed from the package registry; the lines above say why.", FAILED)


# The targets.


def hand_over(*arguments: str) -> NoReturn:
    """Become the interpreter of `.venv`: signals reach it directly."""
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(PYTHON, [str(PYTHON), *arguments])  # noqa: S606 - the interpreter of .venv


def run() -> NoReturn:
    """`make run`: what can be told before a minute of installing is told first."""
    state, port = state_folder(), port_number()
    check_state(state)
    check_alone(state)
    check_port(port)
    make_environment(RUNTIME_LOCK)
    os.environ.update(CHICAGOCLOUD_STATE=str(state), PORT=str(port))
    hand_over("-m", "chicagocloud.run")


def install_browser() -> None:
    """Install Debian's Chromium when that is ours to do; without it the browser tests say that they are
    skipped.
    """
    apt = shutil.which("apt-get")
    if shutil.which("chromium") or os.geteuid() or apt is None or not Path("/etc/debian_version").exists():
        return
    print("Installing Debian's chromium for the browser tests.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation")
    for arguments in (("update", "-qq"), install):
        subprocess.run(  # noqa: S603 - fixed arguments
            [apt, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )


def test(*arguments: str) -> NoReturn:
    """`make test`: everything but what is marked `stress`, in parts; with arguments one plain pytest."""
    make_environment(DEVELOPMENT_LOCK)
    install_browser()
    hand_over("-m", *(("pytest", *arguments) if arguments else ("tests.parts",)))


def stress(*arguments: str) -> NoReturn:
    """`make stress`: only what is marked `stress`, with an hour for each test."""
    make_environment(DEVELOPMENT_LOCK)
    hand_over("-m", "pytest", "-m", "stress", "--timeout", "3600", *arguments)


def bench(*arguments: str) -> NoReturn:
    """`make bench`: on servers of its own, with fsync."""
    make_environment(DEVELOPMENT_LOCK)
    hand_over("-m", "tests.bench", *arguments)


def lint() -> NoReturn:
    """`make lint`."""
    make_environment(DEVELOPMENT_LOCK)
    hand_over(".ci/lint.py")


def lock() -> NoReturn:
    """`make lock`: resolve pyproject.toml anew for every supported Python and platform; no address is
    written.
    """
    make_environment(RUNTIME_LOCK)
    hand_over(".ci/lock.py")


TARGETS = {"run": run, "test": test, "stress": stress, "bench": bench, "lint": lint, "lock": lock}

if __name__ == "__main__":
    check_python()
    TARGETS[sys.argv[1]](*sys.argv[2:])
