"""The whole suite in three parts, as `make test` without arguments runs it: `python -m tests.parts`.

Quick tests run beside browser tests and those marked "beside", each in a process and on servers of its own; afterwards,
alone on the machine, those that count on timing or kill servers. Every part runs, whatever became of the one before,
and prints pytest's own summary; the last line adds them up. The exit code is 1 when a part failed or found no test.
Ctrl-C, SIGTERM and SIGHUP end what runs, and nothing is left running.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
# By marks alone: a test that is slow for two reasons, or marked in a way nobody thought of, is in exactly one part.
ALONE = "race or crash"
ASIDE = "browser or beside"
QUICK, BROWSER = f"not ({ASIDE}) and not ({ALONE})", f"({ASIDE}) and not ({ALONE})"
NAMES = {QUICK: "quick", BROWSER: "browser", ALONE: "race and crash"}
# What stands in one round runs side by side. On one processor that gains nothing and only disturbs the clocks.
SIDE_BY_SIDE, ONE_BY_ONE = ((QUICK, BROWSER), (ALONE,)), ((QUICK,), (BROWSER,), (ALONE,))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Enough for a test to be given up and for its servers to be stopped.
END_SECONDS = 40
heard: list[int] = []


class Part:
    """One pytest with the tests that `marks` picks; its output comes at once, or goes to a file when `aside`."""

    def __init__(self, marks: str, root: Path, folder: Path, aside: bool) -> None:
        self.name = NAMES[marks]
        self.report, self.aside = folder / f"{self.name}.xml", folder / f"{self.name}.out" if aside else None
        output = self.aside.open("wb") if self.aside else None
        # A session of its own: Ctrl-C reaches it through this process alone, once, and it can be ended as a whole.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-m", marks, "--junit-xml", str(self.report)],
            cwd=root,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )
        if output:
            output.close()

    def is_running(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """End what is left of the part's processes, a browser for instance, with -9."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def show(self) -> None:
        """Print what the part has said aside."""
        if self.aside:
            print(f"\nMeanwhile, the {self.name} tests:", flush=True)
            with self.aside.open("rb") as said:
                shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()

    def outcomes(self) -> Counter[str]:
        """Count the part's tests by outcome; a part that fails without a failing test counts as one failed."""
        counts: Counter[str] = Counter()
        with suppress(OSError, ElementTree.ParseError):  # a part that was killed leaves no report
            tree = ElementTree.parse(self.report)  # noqa: S314 - pytest has just written it
            counts.update(outcome(case) for case in tree.iter("testcase"))
        if self.process.returncode and not counts["failed"]:
            print(f"The {self.name} tests ended with exit code {self.process.returncode}.", flush=True)
            counts["failed"] += 1
        return counts


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment, in which the parts share what each would make alike, in `folder`.

    These are clusters with all migrations, and the bytecode where Python is forbidden to write any: each part would
    rewrite the assertions of every file anew, and each worker and web process compile the whole portal.
    """
    given = {**os.environ, "CHICAGOCLOUD_TEST_CLUSTERS": str(folder / "clusters")}
    if sys.dont_write_bytecode:
        given.pop("PYTHONDONTWRITEBYTECODE", None)
        given["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return given


def outcome(case: ElementTree.Element) -> str:
    """Return what became of one test; an error before or after it is a failure too."""
    found = {child.tag for child in case}
    return "failed" if found & {"failure", "error"} else "skipped" if "skipped" in found else "passed"


def wait_for(parts: Sequence[Part], enough: Callable[[], bool]) -> None:
    """Return when all have ended, or it is enough."""
    while any(part.is_running() for part in parts) and not enough():
        time.sleep(0.05)


def play(parts: Sequence[Part]) -> Counter[str]:
    """Let the parts run to their end, or to a signal; return how many tests passed, failed and were skipped."""
    wait_for(parts, lambda: bool(heard))
    if heard:
        interrupt(parts)
    for part in parts:
        part.end()
    for part in parts:
        part.show()
    if any(part.process.returncode < 0 for part in parts):
        sweep()
    return sum((part.outcomes() for part in parts), Counter())


def interrupt(parts: Sequence[Part]) -> None:
    """Let every pytest tidy up, as after a Ctrl-C, for as long as that may take."""
    for part in parts:
        if part.is_running():
            part.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + END_SECONDS
    wait_for(parts, lambda: time.monotonic() > deadline)


def sweep() -> None:
    """Stop and remove the servers of a part that was killed; elsewhere, since loading them changes the environment."""
    code = "from tests import servers; servers.sweep(); servers.remove_folder()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)


def in_words(total: Counter[str]) -> str:
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    return f"{total['passed']} passed, {total['failed']} failed{skipped}"


def main(root: Path = ROOT, rounds: Sequence[Sequence[str]] | None = None) -> int:
    """Run all parts of the tests in `root`; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: heard.append(number))
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="ccp-parts-") as folder:
        for marks in rounds or (SIDE_BY_SIDE if (os.cpu_count() or 1) > 1 else ONE_BY_ONE):
            total += play([Part(one, root, Path(folder), aside=one != marks[0]) for one in marks])
            if heard:
                return 128 + heard[0]
    print(in_words(total), flush=True)
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
