"""`make bench` works, says what it measured, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from accounts import datamap
from tests.servers import ROOT

# Alone on the machine, like everything that is timed.
pytestmark = pytest.mark.race
VARIANTS = ("floor", "ours")


def test_a_small_bench_measures_both_sides_and_leaves_nothing(tmp_path: Path):
    results = tmp_path / "bench.json"
    options = ["--accounts", "4", "--runs", "1", "--brief", "--results", str(results)]

    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench", *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as bench:
        said = bench.communicate(timeout=240)[0].decode()

    assert bench.returncode == 0, said[-3000:]
    assert "ours / floor" in said
    runs = json.loads(results.read_text())["runs"]
    assert {name: runs[name][0]["accounts"] for name in VARIANTS} == dict.fromkeys(VARIANTS, 4)
    assert runs["ours"][0]["verified"] == 4 * len(datamap.categories()), "every erasure was verified"
    assert not Path(f"/var/tmp/ccp-bench-{bench.pid}").exists()
