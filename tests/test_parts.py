"""`make test` in parts: together they are the whole suite, one that fails fails all, and nothing is left running.

The runs here are of a small project of five tests; they take about two seconds each.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from chicagocloud import bootstrap
from tests import parts
from tests.parts import ALONE, BROWSER, QUICK, ROOT
from tests.servers import is_running

INI = "[pytest]\nmarkers =\n    browser: -\n    race: -\n    crash: -\n"
# Each test writes its name down; the quick one waits for the browser one, the last two look whether they are alone.
PROJECT = """
import os, pathlib, signal, subprocess, sys, time
import pytest

HERE = pathlib.Path(__file__).parent

def note(name):
    (HERE / f"{name}-{os.getpid()}").touch()

def came(name):
    deadline = time.monotonic() + 20
    while not list(HERE.glob(f"{name}-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(list(HERE.glob(f"{name}-*")))

def test_quick():
    note("quick")
    assert came("browser")

@pytest.mark.browser
def test_browser():
    note("browser")
    assert came("quick")

@pytest.mark.crash
def test_crash():
    note("crash")
    assert came("browser")
    # Nothing of the portal was loaded on the way, whose settings this part would inherit.
    assert "DJANGO_SETTINGS_MODULE" not in os.environ
    # Bytecode was forbidden: this part's is shared with the others, in a folder that goes away.
    shared = pathlib.Path(sys.pycache_prefix)
    assert not sys.dont_write_bytecode and list(shared.rglob("test_small*.pyc"))
    (HERE / "shared").write_text(str(shared))

@pytest.mark.browser
@pytest.mark.race
def test_browser_and_race():
    note("both")

@pytest.mark.race
def test_skipped():
    pytest.skip("always")
"""
# The body of a test that waits with a child of its own, and kills its own process first when told to.
WAITS = """
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    note("child")
    note(f"of-{child.pid}")
    PART
    time.sleep(120)
"""
PROGRAM = (
    "import pathlib, sys; from tests import parts; sys.exit(parts.main(pathlib.Path(sys.argv[1]), parts.SIDE_BY_SIDE))"
)


def plain_env() -> dict[str, str]:
    """The environment of a shell: nothing of this suite's settings, but the bytecode it has at hand."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPYCACHEPREFIX")
    return {name: os.environ[name] for name in kept if name in os.environ}


# ------------------------------------------------------------------------------------------------------ the whole


# Collects once and has pytest pick from that as for each part: reading all files again takes longer than the picking.
PICKING = """
import json, os, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session, config, items):
    picked, tests = {}, list(items)
    config.pluginmanager.unregister(name="picking")
    for marks in json.loads(os.environ["PARTS"]):
        config.option.markexpr, chosen = marks, list(tests)
        config.hook.pytest_collection_modifyitems(session=session, config=config, items=chosen)
        picked[marks] = [item.nodeid for item in chosen]
    config.option.markexpr = ""
    print("PICKED", json.dumps(picked))
"""


def collected(folder: Path, *marks: str) -> list[list[str]]:
    """Return the names of the tests that pytest would run with each of these marks; "" is without any."""
    (folder / "picking.py").write_text(PICKING)
    command = [sys.executable, "-m", "pytest", "-p", "picking", "--collect-only", "-q"]
    env = {**plain_env(), "PYTHONPATH": str(folder), "PARTS": json.dumps(marks)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (said,) = (line for line in done.stdout.splitlines() if line.startswith("PICKED "))
    picked = json.loads(said.removeprefix("PICKED "))
    return [picked[one] for one in marks]


def amiss(whole: Iterable[str], pieces: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return the tests that are not in exactly one piece, and how often they are in one, or twice in the whole."""
    found, wanted = Counter(test for piece in pieces for test in piece), Counter(whole)
    return {test: found[test] for test in found | wanted if not found[test] == wanted[test] == 1}


def test_the_parts_together_are_the_whole_suite_and_share_no_test(tmp_path):
    whole, *pieces = collected(tmp_path, "", *parts.NAMES)

    assert all(0 < len(piece) < len(whole) for piece in pieces)
    # A plain dictionary: to a Counter, none of a test left out is as good as no entry.
    assert amiss(whole, pieces) == {}


@pytest.mark.parametrize("pieces", [["ab"], ["ab", "bc"], ["ab", "cd"], ["ab", "cc"]])
def test_a_test_left_out_or_run_twice_would_be_noticed(pieces):
    assert amiss("abc", pieces) != {}


@pytest.mark.parametrize("rounds", [parts.SIDE_BY_SIDE, parts.ONE_BY_ONE])
def test_every_part_is_played_once_and_the_last_one_alone(rounds):
    assert sorted(one for together in rounds for one in together) == sorted([QUICK, BROWSER, ALONE])
    assert rounds[-1] == (ALONE,)


@pytest.mark.parametrize(
    ("given", "run"), [((), ("tests.parts",)), (("-k", "name with"), ("pytest", "-k", "name with"))]
)
def test_arguments_make_it_one_plain_pytest(monkeypatch, given, run):
    became: list[tuple[str, ...]] = []
    for name in ("make_environment", "install_browser"):
        monkeypatch.setattr(bootstrap, name, lambda *_: None)
    monkeypatch.setattr(bootstrap, "hand_over", lambda *arguments: became.append(arguments))

    bootstrap.test(*given)

    assert became == [("-m", *run)]


# ------------------------------------------------------------------------------------------------------ the runs


class Played:
    """The parts of the small project, started as `make test` starts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            cwd=ROOT,
            env={**plain_env(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> tuple[int, str, str]:
        """Return the exit code, what was printed, and its last line."""
        said, _ = self.popen.communicate(timeout=90)
        return self.popen.returncode, said, (said.splitlines() or [""])[-1]

    def ran(self) -> list[str]:
        """Return which tests have written their names down, each as often as it did."""
        return sorted(file.name.partition("-")[0] for file in self.folder.glob("*-*"))

    def processes(self) -> list[psutil.Process]:
        """Return the processes of both parts and their tests' children, as soon as those are there."""
        deadline = time.monotonic() + 30
        while len(list(self.folder.glob("child-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        return psutil.Process(self.popen.pid).children(recursive=True)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., Played]]:
    """Start the parts of the small project, with other bodies for some of its tests, or without them."""
    played: list[Played] = []

    def start(**bodies: str | None) -> Played:
        text = PROJECT
        for name, body in bodies.items():
            head, _, rest = text.partition(f"def test_{name}():\n")
            named = f"test_{name}" if body else f"no_{name}"
            text = f"{head}def {named}():\n    {(body or 'pass').strip()}\n\n{rest.partition(chr(10) * 2)[2]}"
        (tmp_path / "pytest.ini").write_text(INI)
        (tmp_path / "test_small.py").write_text(text)
        played.append(Played(tmp_path))
        return played[-1]

    yield start
    for one in played:
        if one.popen.poll() is None:
            one.popen.terminate()
            one.popen.wait(60)


def left_running(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(list(processes), timeout=3)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_every_test_runs_once_and_the_last_line_adds_the_parts_up(play):
    played = play()

    code, said, last = played.result()

    assert (code, last) == (0, "4 passed, 0 failed, 1 skipped"), said
    assert played.ran() == ["both", "browser", "crash", "quick"]
    assert not list(played.folder.rglob("__pycache__"))
    assert not Path((played.folder / "shared").read_text()).exists()
    # Quick and browser tests waited for one another; each part has said its own, the browser tests after the quick.
    first, second = said.index("1 passed, 4 deselected"), said.rindex("1 passed, 4 deselected")
    assert first < said.index("Meanwhile, the browser tests:") < second < said.index("2 passed, 1 skipped")


@pytest.mark.parametrize("name", ["quick", "browser", "crash"])
def test_a_part_that_fails_fails_the_whole_and_the_others_still_run(play, name):
    played = play(**{name: f'note("{name}"); assert False, "on purpose"'})

    code, said, last = played.result()

    assert (code, last) == (1, "3 passed, 1 failed, 1 skipped"), said
    assert "on purpose" in said
    assert played.ran() == ["both", "browser", "crash", "quick"]


def test_an_error_outside_a_test_counts_as_failed(play):
    code, said, last = play(crash='note("crash")\n\n@pytest.fixture(autouse=True)\ndef broken():\n    1 / 0').result()

    assert (code, last) == (1, "0 passed, 5 failed"), said


def test_a_part_without_tests_fails_the_whole(play):
    code, said, last = play(quick="note('quick')", browser=None, crash="note('crash')").result()

    assert (code, last) == (1, "3 passed, 1 failed, 1 skipped"), said
    assert "The browser tests ended with exit code 5." in said


def test_a_part_that_is_killed_fails_the_whole_and_leaves_nothing(play):
    waits = WAITS.replace("PART", "os.kill(os.getpid(), signal.SIGKILL)")
    played = play(browser=f"note('browser'){waits}")

    code, said, last = played.result()

    children = [int(file.name.split("-")[1]) for file in played.folder.glob("of-*")]
    assert (code, last) == (1, "3 passed, 1 failed, 1 skipped"), said
    assert "The browser tests ended with exit code -9." in said
    assert len(children) == 1
    assert not any(is_running(pid) for pid in children)


@pytest.mark.parametrize("number", parts.SIGNALS)
def test_a_signal_ends_both_parts_and_all_they_started(play, number):
    waits = WAITS.replace("PART", "")
    played = play(quick=waits, browser=waits)
    processes = played.processes()

    played.popen.send_signal(number)
    code, said, _ = played.result()

    assert len(processes) == 4
    assert left_running(processes) == []
    assert code == 128 + number
    # Each pytest was let tidy up, and the last part was not begun.
    assert said.count("KeyboardInterrupt") >= 2
    assert not list(played.folder.glob("crash-*"))


def test_a_part_that_does_not_listen_is_killed_in_the_end(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text(INI)
    deaf = "import pathlib, signal, time\n\ndef test_deaf():\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    deaf += f"    pathlib.Path({str(tmp_path / 'deaf')!r}).touch()\n    time.sleep(120)\n"
    (tmp_path / "test_deaf.py").write_text(deaf)
    monkeypatch.setattr(parts, "END_SECONDS", 0.5)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    part = parts.Part(QUICK, tmp_path, tmp_path, aside=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "deaf").exists() and time.monotonic() < deadline:
        time.sleep(0.02)

    parts.interrupt([part])
    still = part.is_running()
    part.end()

    assert still
    assert part.process.returncode == -signal.SIGKILL
