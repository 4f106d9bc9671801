"""Messages made to exhaust whoever reads them, and mutated ones: no crash, 5 s and 256 MB each, and a reason told."""

from __future__ import annotations

import json
import logging
import os
import random
import secrets
import shutil
from typing import Any

import pytest

from disclosures.reports import reading
from disclosures.reports.message import is_bomb
from disclosures.reports.reading import read
from disclosures.reports.shape import Format
from tests.hostile_reports import BOMBS, attached, mail, multipart, nested
from tests.mutating import MOST_MEMORY, MOST_SECONDS, measure, measured, mutated, samples

STRESS_MESSAGES = int(os.environ.get("STRESS_MESSAGES", "100000"))


@pytest.fixture(scope="module")
def measured_bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own came to that read every bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    for number, (make, _, _) in enumerate(BOMBS.values()):
        (folder / f"{number:03}").write_bytes(make())
    found = measured(str(folder))
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize(("number", "name"), list(enumerate(BOMBS)))
def test_bomb_is_told_and_never_read_as_a_report(number: int, name: str, measured_bombs: dict[str, Any]) -> None:
    _, code, is_quarantined = BOMBS[name]

    codes, quarantined, form, message_id = measured_bombs["rows"][number]

    assert code in codes
    assert quarantined == is_quarantined
    if is_quarantined:
        assert (form, message_id) == (Format.UNPARSED, "bomb@claimant.example")


def test_bombs_take_neither_long_nor_much_memory(measured_bombs: dict[str, Any]) -> None:
    print(measured_bombs["longest"], measured_bombs["memory"])
    assert measured_bombs["count"] == len(BOMBS)
    assert measured_bombs["broken"] == []
    assert measured_bombs["longest"] < MOST_SECONDS
    assert measured_bombs["memory"] < MOST_MEMORY


def test_measuring_sees_what_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(reading, "tree", fail)
    found = measure(iter(samples()))

    assert len(found["broken"]) > 10
    assert {row[0] for row in found["broken"]} == {"the reader failed"}


def test_limits_let_through_what_is_just_below_them() -> None:
    assert "too_many_parts" not in read(multipart(99)).codes
    assert "too_many_parts" in read(multipart(100)).codes
    assert "too_deep" not in read(nested(9)).codes
    assert "too_deep" in read(nested(10)).codes


def test_ordinary_archive_is_no_bomb_and_stays_closed() -> None:
    report = read(attached(b"PK\x03\x04" + bytes(50)))

    assert not is_bomb(b"PK\x03\x04" + bytes(50))
    assert "archive_not_opened" in report.codes and not report.is_quarantined
    assert [one.content_type for one in report.evidence] == ["application/zip"]


def test_mutated_messages_break_nothing() -> None:
    found = measured("300", "20260302")

    assert found["count"] == 300
    assert found["broken"] == []
    assert found["longest"] < MOST_SECONDS
    assert found["memory"] < MOST_MEMORY
    # The mutations leave enough whole to reach every reader.
    assert found["formats"].keys() >= {"acns", "arf", "x-arf", "free text", "unparsed"}


@pytest.mark.stress
def test_a_hundred_thousand_mutated_messages_break_nothing() -> None:
    found = measured(str(STRESS_MESSAGES), str(secrets.randbelow(2**32)))

    print(json.dumps(found))
    assert found["count"] == STRESS_MESSAGES
    assert found["broken"] == []
    assert found["longest"] < MOST_SECONDS
    assert found["memory"] < MOST_MEMORY


def test_nothing_of_a_message_is_logged_when_a_reader_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("personal")

    monkeypatch.setattr(reading, "tree", fail)
    with caplog.at_level(logging.DEBUG):
        report = read(mail(b"text/plain", b"personal"))

    assert report.codes == {"reader_failed"}
    assert report.mail.message_id == "bomb@claimant.example"
    assert "personal" not in repr(report) + caplog.text + "".join(capsys.readouterr())


def test_mutations_of_a_seed_are_the_same_again() -> None:
    given = samples()

    one, other = (mutated(given[0], given, random.Random(7)) for _ in range(2))  # noqa: S311

    assert one == other
