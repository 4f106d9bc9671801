"""`python -m tests.bench [--accounts N] [--runs N]`: the table and `bench-results/bench.json`.

Population three times the purge; every run on a clone of it; the variants alternate, so that whatever else the machine
does hits all of them. Then the cost of each guarantee: the same run of ours with it taken out by the bench's own SQL,
and the time of each step. Then placing a hold and a page while the purge runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from tests import servers

# Not in memory, where tests live, and named by the process, so that what a killed run left is known.
FOLDERS, NAME = Path("/var/tmp"), "ccp-bench-"
os.environ.update(servers.fixed_environment())
STAGE = servers.Stage(servers.FOLDER / "main")
# On a disk with fsync, as in production; tests run in memory without.
STAGE.servers = servers.EmbeddedServers(
    FOLDERS / f"{NAME}{os.getpid()}",
    options={"shared_buffers": "1GB", "max_wal_size": "4GB", "autovacuum": "off", "checkpoint_timeout": "30min"},
)
os.environ.update(STAGE.servers.environment(data=STAGE.templates.default, keys=STAGE.templates.keys))

import django  # noqa: E402

django.setup()

from django.utils import timezone  # noqa: E402

from accounts.keys.local import make_key_file  # noqa: E402
from tests.bench.population import populate, rows_per_account  # noqa: E402

VARIANTS = ("orm_each", "orm_batch", "floor", "ours")
# What is taken out for the cost of a guarantee, by the owner, in the bench's own clone.
WITHOUT = {
    "no delete guards": "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgrelid::regclass::text AS tab FROM pg_trigger "
    "WHERE tgname = 'z_guard_delete' LOOP EXECUTE format('DROP TRIGGER z_guard_delete ON %s', t.tab); END LOOP; END $$",
    "no erasure guard": "DROP TRIGGER z_guard_erasure_update ON retention_erasure",
}
RESULTS = servers.ROOT / "bench-results" / "bench.json"


def tidy_up() -> None:
    """Stop the servers and remove the data of this run, and of runs that were killed."""
    STAGE.stop()
    for folder in FOLDERS.glob(f"{NAME}*"):
        pid = folder.name.removeprefix(NAME)
        killed = pid.isdigit() and not servers.is_running(int(pid))
        if killed:
            servers.EmbeddedServers(folder).stop()
        if killed or pid == str(os.getpid()):
            shutil.rmtree(folder, ignore_errors=True)
    servers.remove_folder()


def owner() -> psycopg.Connection[Any]:
    """Return a connection as the owner to the clone in use."""
    return psycopg.connect(STAGE.url("default", servers.OWNER), autocommit=True)


def once(variant: str, *, prepare: str = "", probed: bool = False) -> dict[str, Any]:
    """Run one variant on a new clone, after `prepare` (SQL as the owner), with or without probes beside it."""
    names = STAGE.make_clone()
    STAGE.play(names)
    try:
        if variant in {"orm_each", "orm_batch", "floor"}:
            # Django's collector reaches for tables that the runtime role may not touch.
            prepare = WITHOUT["no delete guards"] + "; GRANT DELETE ON ALL TABLES IN SCHEMA public TO portal_runtime"
        with owner() as connection:
            if prepare:
                connection.execute(prepare)
        probes = [_probe(kind) for kind in ("hold", "page")] if probed else []
        module = [sys.executable, "-m", "tests.bench.once", variant]
        env = servers.child_env(
            BENCH_WITHOUT_GUARD_CHECK="1" if prepare else "", BENCH_OWN_SIZING="1" if probed else ""
        )
        done = subprocess.run(module, cwd=servers.ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        figures["probes"] = {kind: _finish(process) for kind, process in probes}
        return figures
    finally:
        STAGE.leave()
        STAGE.drop(names)


def _probe(kind: str) -> tuple[str, subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.probes", kind],
        cwd=servers.ROOT,
        env=servers.child_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return kind, process


def _finish(process: subprocess.Popen[str]) -> dict[str, float]:
    output, trouble = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a probe broke: {trouble[-1500:]}")
    took = sorted(json.loads(output.splitlines()[-1]))
    return {"count": len(took), "p50": _at(took, 0.5), "p99": _at(took, 0.99), "longest": took[-1]}


def _at(took: list[float], share: float) -> float:
    return took[min(len(took) - 1, int(len(took) * share))]


def main() -> None:
    """Prepare, measure, print, write."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument(
        "--accounts", type=int, default=1000, help="accounts purged; the population is three times that"
    )
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--results", type=Path, default=RESULTS, help="where the JSON is written")
    options.add_argument("--brief", action="store_true", help="only the floor and ours, without costs and probes")
    chosen = options.parse_args()
    variants = VARIANTS[2:] if chosen.brief else VARIANTS
    make_key_file(Path(os.environ["KEK_FILE"]))
    STAGE.prepare()
    STAGE.play(STAGE.templates)
    began = time.monotonic()
    with owner() as connection:
        populate(connection, chosen.accounts * 3, chosen.accounts, timezone.now() - dt.timedelta(days=60))
        rows = rows_per_account(connection)
    STAGE.leave()
    took = time.monotonic() - began
    print(f"{chosen.accounts} of {chosen.accounts * 3} accounts, {rows:.0f} rows each, loaded in {took:.0f} s")
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for _ in range(chosen.runs):
        for variant in variants:
            runs[variant].append(once(variant))
            print(f"  {variant:<10} {runs[variant][-1]['seconds']:.2f} s", flush=True)
    without: dict[str, list[dict[str, Any]]] = {}
    meanwhile: list[dict[str, Any]] = []
    if not chosen.brief:
        without = {name: [once("ours", prepare=sql) for _ in range(chosen.runs)] for name, sql in WITHOUT.items()}
        meanwhile = [once("ours", probed=True) for _ in range(max(1, chosen.runs // 2))]
    report(rows, runs, without, meanwhile)
    measured = {"rows_per_account": rows, "runs": runs, "without": without, "meanwhile": meanwhile}
    chosen.results.parent.mkdir(exist_ok=True)
    chosen.results.write_text(json.dumps(measured, indent=1))
    print(f"written: {chosen.results}")


def report(
    rows: float,
    runs: dict[str, list[dict[str, Any]]],
    without: dict[str, list[dict[str, Any]]],
    meanwhile: list[dict[str, Any]],
) -> None:
    """Print the table: medians, with the spread beside the seconds."""
    print(f"\n{'variant':<10} {'seconds (min-max)':<22} {'acc/s':>7} {'rows/s':>9} {'stmts':>7} {'WAL MB':>7} "
          f"{'cpu client':>10} {'cpu server':>10} {'longest tx':>10} {'peak MB':>8}")  # fmt: skip
    for variant, figures in runs.items():
        low, high = min(f["seconds"] for f in figures), max(f["seconds"] for f in figures)
        seconds = f"{_median(figures, 'seconds'):.2f} ({low:.2f}-{high:.2f})"
        speed = _median(figures, "accounts_per_second")
        print(
            f"{variant:<10} {seconds:<22} {speed:>7.0f} {speed * rows:>9.0f} {_median(figures, 'statements'):>7.0f} "
            f"{_median(figures, 'wal_mb'):>7.0f} {_median(figures, 'client_cpu'):>10.2f} "
            f"{_median(figures, 'server_cpu'):>10.2f} {_median(figures, 'longest') * 1000:>7.0f} ms "
            f"{_median(figures, 'peak_mb'):>8.0f}"
        )
    ours, floor = _median(runs["ours"], "seconds"), _median(runs["floor"], "seconds")
    print(f"\nours / floor: {ours / floor:.2f} (aim 1.5)")
    for name, figures in without.items():
        print(f"  {name}: {ours - _median(figures, 'seconds'):+.2f} s is what it costs")
    steps: dict[str, list[float]] = {}
    for figures_of_run in runs["ours"]:
        for step, took in figures_of_run["steps"].items():
            steps.setdefault(step, []).append(took)
    print("  steps: " + ", ".join(f"{step} {statistics.median(took):.2f} s" for step, took in sorted(steps.items())))
    for kind in ("hold", "page") if meanwhile else ():
        p99 = statistics.median(run["probes"][kind]["p99"] for run in meanwhile)
        print(f"  meanwhile, p99 of a {kind}: {p99 * 1000:.0f} ms")


def _median(figures: list[dict[str, Any]], name: str) -> float:
    return statistics.median(figure[name] for figure in figures)


if __name__ == "__main__":
    try:
        main()
    finally:
        tidy_up()
