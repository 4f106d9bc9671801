"""The public sample of a panel's export, read where it is, and runs that are killed or that meet each other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accounts import datamap
from accounts.models import Account, Contact, ImportedClient, Person, SignInIdentifier, State
from retention.models import Erasure
from tests.panel import export, refusals, row, run
from tests.servers import ROOT, child_env

pytestmark = pytest.mark.usefixtures("committed")
# By line of the sample: the column that refuses the row, or the field.
ROWS = {"email": 4, "status": 1, "id": 1, "first_name": 1, "last_name": 1, "": 1}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    folder = os.environ.get("CHICAGOCLOUD_SAMPLES")
    if not folder or not (Path(folder) / "clients.csv").is_file():
        pytest.skip("CHICAGOCLOUD_SAMPLES names no folder with clients.csv")
    return Path(shutil.copy(Path(folder) / "clients.csv", tmp_path))


def test_the_sample_is_imported_but_for_its_faults(sample: Path):
    code, said = run(sample)

    assert code == 4 and said["imported"] == Account.objects.count() == 2001 - said["refused"]
    found = refusals(sample)
    assert said["refused"] == sum(ROWS.values())
    by_column = Counter(column for _line, column, _reason in found)
    assert {column: by_column[column] for column in ROWS} == ROWS
    assert {column for _line, column, _reason in found} - set(ROWS) == {"notes", "ip", "country", "created_at"}
    assert Account.objects.filter(state=State.CLOSED).count() == Erasure.objects.values("account").distinct().count()

    again_code, again = run(sample)
    assert (again_code, again["imported"], again["unchanged"]) == (4, 0, said["imported"])


def start(path: Path) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    command = [sys.executable, "manage.py", "import_clients", str(path), "--json"]
    return subprocess.Popen(command, cwd=ROOT, env=child_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def assert_whole(expected: int) -> None:
    """Every account has everything, once."""
    assert Account.objects.count() == ImportedClient.objects.count() == Person.objects.count() == expected
    assert Contact.objects.filter(role="owner").count() == expected
    assert SignInIdentifier.objects.count() == 2 * expected
    for model in datamap.governed():
        held = Counter(model._base_manager.values_list("account_id", flat=True))
        assert None not in held and set(held) <= set(Account.objects.values_list("pk", flat=True))


@pytest.mark.crash
def test_a_run_that_is_killed_leaves_nothing_half_and_is_gone_on_with(tmp_path: Path):
    total = 3000
    path = export(
        tmp_path / "c.csv", [row(number, status=("active", "canceled")[number % 2]) for number in range(total)]
    )
    for _ in range(3):
        process = start(path)
        before = Account.objects.count()
        while process.poll() is None and Account.objects.count() == before:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was still at work"
        assert before < Account.objects.count() < total
        assert_whole(Account.objects.count())
        assert Account.objects.filter(state=State.CLOSED).count() * 2 == Account.objects.count()
    there = Account.objects.count()
    code, said = run(path)

    assert (code, said["imported"], said["unchanged"], said["refused"]) == (0, total - there, there, 0)
    assert_whole(total)


@pytest.mark.race
def test_two_runs_at_once_import_each_client_once(tmp_path: Path):
    total = 1200
    forth = export(tmp_path / "a.csv", [row(number) for number in range(total)])
    back = export(tmp_path / "b.csv", [row(number) for number in reversed(range(total))])
    processes = [start(forth), start(back)]
    said: list[Any] = [json.loads(process.communicate(timeout=120)[0]) for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert sum(one["imported"] for one in said) == total
    assert all(one["imported"] + one["unchanged"] == total for one in said)
    assert min(one["imported"] for one in said) > 0, "they ran beside each other"
    assert_whole(total)
