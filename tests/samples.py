"""Public samples: files in the folder named by CHICAGOCLOUD_SAMPLES, when there is one.

The tests of the project bring samples of their own; these are read beside them where they are, never copied.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def wycheproof(name: str) -> list[dict[str, Any]]:
    """Return the cases of one Wycheproof file, each with what its group says; skip the test without the folder."""
    folder = os.environ.get("CHICAGOCLOUD_SAMPLES")
    file = Path(folder or "") / "vectors" / f"wycheproof_{name}_test.json"
    if not folder or not file.is_file():
        pytest.skip("CHICAGOCLOUD_SAMPLES names no folder with public test vectors")
    content = json.loads(file.read_text())
    groups: list[dict[str, Any]] = content["testGroups"]
    return [{**group, **case} for group in groups for case in group["tests"]]


def from_hex(case: dict[str, Any], *names: str) -> list[bytes]:
    """Return the named values of a case as bytes."""
    return [bytes.fromhex(case[name]) for name in names]
