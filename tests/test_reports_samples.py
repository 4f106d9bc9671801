"""Reports that were really sent, and samples of our own for every case, each read into a table made by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from disclosures.reports.reading import read
from disclosures.reports.shape import Format
from tests.reading_reports import EXPECTED, OWN, at, summary

FOLDERS = ("abuse-mail", "acns", "xarf")
PUBLIC = sorted(name for name in EXPECTED if not name.startswith("own/"))
OURS = sorted(name.removeprefix("own/") for name in EXPECTED if name.startswith("own/"))


def public_folder() -> Path:
    """Return where public samples lie; skip the test without the folder."""
    folder = os.environ.get("CHICAGOCLOUD_SAMPLES", "")
    if not folder or not (Path(folder) / "abuse-mail").is_dir():
        pytest.skip("CHICAGOCLOUD_SAMPLES names no folder with public reports")
    return Path(folder)


def compare(raw: bytes, name: str) -> None:
    """Hold a report against its row of the table: all that it said, then phrases of its text and single fields."""
    expected = EXPECTED[name]

    report = read(raw)

    assert summary(report) == expected["said"]
    for phrase in expected.get("text_holds", ()):
        assert phrase in report.text
    for phrase in expected.get("text_lacks", ()):
        assert phrase not in report.text
    for path, value in expected.get("fields", {}).items():
        assert at(report.fields, path) == value, path
    for path in expected.get("fields_lack", ()):
        assert path not in report.fields


@pytest.mark.parametrize("name", PUBLIC)
def test_public_report_is_read_as_the_table_says(name: str) -> None:
    compare((public_folder() / name).read_bytes(), name)


def test_no_public_report_is_left_out() -> None:
    folder = public_folder()

    files = {f"{part}/{file.name}" for part in FOLDERS for file in (folder / part).iterdir()}

    assert files == set(PUBLIC)


@pytest.mark.parametrize("name", OURS)
def test_own_sample_is_read_as_the_table_says(name: str) -> None:
    compare((OWN / name).read_bytes(), f"own/{name}")


def test_no_own_sample_is_left_out() -> None:
    assert {file.name for file in OWN.iterdir()} == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_a_login_is_kept_nowhere(name: str) -> None:
    report = read((OWN / name).read_bytes())

    kept = repr(report) + repr([one.content for one in report.evidence])
    for secret in ("hunter2", "name-secret", "cut-secret", "Password"):
        assert secret not in kept


@pytest.mark.parametrize("name", [name for name in OURS if name.endswith(".eml")])
def test_sample_of_mail_is_read_alike_with_other_line_ends_and_in_a_mailbox(name: str) -> None:
    raw = (OWN / name).read_bytes()

    boxed = b"From somebody Mon Mar  2 10:15:00 2026\r\n" + raw.replace(b"\n", b"\r\n")

    assert summary(read(boxed)) == summary(read(raw))


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith(("arf", "xarf"))])
def test_neither_arf_nor_xarf_ever_claims_to_be_a_dmca_notice(name: str) -> None:
    assert not read((OWN / name).read_bytes()).claims_dmca


def test_acns_notice_about_copyright_claims_to_be_a_dmca_notice() -> None:
    assert read((OWN / "acns_bare_utf16.xml").read_bytes()).claims_dmca


@pytest.mark.parametrize("name", ["bounce.eml", "auto_reply.eml", "xarf0_login_attack.eml"])
def test_what_a_machine_sent_is_never_answered(name: str) -> None:
    report = read((OWN / name).read_bytes())

    assert report.mail.reply_address and not report.may_be_answered


def test_a_person_may_be_answered_where_the_mail_asks_for_it() -> None:
    report = read((OWN / "acns_attached_retraction.eml").read_bytes())

    assert report.may_be_answered
    assert report.mail.reply_address == "replies@notices.example"


def test_the_same_notice_in_another_mail_has_the_same_hash() -> None:
    raw = (OWN / "acns_clearsigned.eml").read_bytes()

    again = raw.replace(b"acns-2@records.example", b"acns-9@records.example").replace(b"10:15:00", b"11:15:00")
    other = raw.replace(b"192.0.2", b"192.0.3").replace(b"rock.mp3", b"roll.mp3")

    assert read(again).content_hash == read(raw).content_hash
    assert read(other).content_hash != read(raw).content_hash


def test_winmail_is_told_as_quarantined_and_an_attached_archive_is_not() -> None:
    assert read((OWN / "winmail.eml").read_bytes()).is_quarantined
    assert not read((OWN / "zip_attached.eml").read_bytes()).is_quarantined


def test_two_notices_in_one_mail_are_two_reports_and_a_copy_is_none() -> None:
    document = (OWN / "acns_status_request.xml").read_text()
    other = document.replace("HOST-3", "HOST-33")
    changed = document.replace("<ID>", "<Note>x</Note><ID>")

    two = read(f"Subject: two\n\n{document}\n{other}\n{document}\n".encode())
    differing = read(f"Subject: two\n\n{document}\n{changed}\n".encode())

    assert [two.case_ids, *(one.case_ids for one in two.others)] == [("HOST-3",), ("HOST-33",)]
    assert "copies_differ" in differing.codes and not differing.others
    assert two.format == Format.ACNS


def test_reading_needs_no_database_and_no_model() -> None:
    code = (
        "import sys, disclosures.reports.reading, disclosures.reports.acns_replies as r; print('django' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
