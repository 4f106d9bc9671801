"""Single values of reports, over all that can be written: times, addresses, text, logins, free text."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disclosures.reports import acns_xml, free_text, values, xarf_json
from disclosures.reports.reading import read
from disclosures.reports.shape import Kind
from disclosures.reports.values import Problems
from tests.mutating import broken_rules

SECRETS = st.text(st.sampled_from("abcXYZ019 äß€"), min_size=8).map(lambda text: f"q7{text}7q")


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-03-01T12:34:56Z", "2026-03-01T12:34:56+00:00"),
        ("2026-03-01T12-34-56Z", "2026-03-01T12:34:56+00:00"),
        ("2026-03-01 12:34:56 UTC", "2026-03-01T12:34:56+00:00"),
        ("2026-03-01T12:34:56.5+02:00", "2026-03-01T10:34:56.500000+00:00"),
        ("2026/03/01 12:34 GMT", "2026-03-01T12:34:00+00:00"),
        ("2026-12-31T23:59:60Z", "2026-12-31T23:59:59+00:00"),
        ("Sun, 01 Mar 2026 23:30:00 -0500", "2026-03-02T04:30:00+00:00"),
        ("Sun, 1 Mar 2026 23:30:00 -0500 (EST)", "2026-03-02T04:30:00+00:00"),
        ("01 Mar 2026 12:00:00 CEST", "2026-03-01T10:00:00+00:00"),
        ("01 Mar 2026 12:00:00 EST", "2026-03-01T17:00:00+00:00"),
    ],
)
def test_time_is_read_in_utc(written: str, utc: str) -> None:
    problems = Problems()

    found = values.moment(written, problems)

    assert found is not None and found.isoformat() == utc
    assert problems.found() == ()


@pytest.mark.parametrize("written", ["2026-03-01T12:34:56", "2026-03-01", "1 Mar 2026 12:34:56"])
def test_time_without_a_zone_is_read_as_utc_and_told(written: str) -> None:
    problems = Problems()

    found = values.moment(written, problems, "Date")

    assert found is not None and found.utcoffset() == dt.timedelta()
    assert [(one.code, one.where) for one in problems.found()] == [("time_without_zone", "Date")]


@pytest.mark.parametrize(
    "written", ["yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "２026-01-01"]
)
def test_time_that_is_none_is_told(written: str) -> None:
    problems = Problems()

    assert values.moment(written, problems) is None
    assert "time_unreadable" in {one.code for one in problems.found()}


@given(st.datetimes(dt.datetime(1990, 1, 2), dt.datetime(2100, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_every_time_comes_back_as_it_was_written(naive: dt.datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))

    assert values.moment(at.isoformat(), Problems()) == at


@given(st.text("0123456789+-:.,TZ MarSunGMTEST()", max_size=80), st.sampled_from(["", "Mon, 02 Mar 2026 10:15:00 "]))
@example("+99999999999999999999", "Mon, 02 Mar 2026 10:15:00 ")
def test_no_text_like_a_time_breaks_the_reader(text: str, start: str) -> None:
    found = values.moment(start + text, Problems())

    assert found is None or found.utcoffset() == dt.timedelta()


@given(st.ip_addresses())
def test_every_address_is_read_in_its_shortest_form(address: object) -> None:
    assert values.address(f"[{address}]") == str(address)


@given(st.text())
def test_cleaned_text_fits_every_store(text: str) -> None:
    cleaned = values.clean(text)

    assert "\x00" not in cleaned
    cleaned.encode()


RAW = st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))


@given(RAW)
def test_whatever_the_bytes_are_a_report_comes_back(raw: bytes) -> None:
    assert list(broken_rules(read(raw))) == []
    assert list(broken_rules(read(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + raw))) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
FIELDS_4 = (
    *("report_id", "timestamp", "reporter", "sender", "source_identifier", "source_port", "category", "type"),
    *("evidence", "tags", "url", "description", "file_info", "swarm_info", "file_hashes", "file_size", "hash"),
    *("confidence", "_internal", "severity", "first_seen", "infringing_urls"),
)
FIELDS_3 = ("ReporterInfo", "Report", "OnBehalfOf", "Disclosure")
REPORT_3 = (
    "ReportClass",
    "ReportType",
    "Date",
    "SourceIp",
    "SourcePort",
    "Source",
    "Samples",
    "Attachment",
    "FileHash",
)


@given(st.dictionaries(st.sampled_from(FIELDS_4), JSON))
def test_xarf_4_of_any_types_is_read(fields: dict[str, object]) -> None:
    report = read(json.dumps({"xarf_version": "4.2.0", **fields}).encode())

    assert list(broken_rules(report)) == []
    assert report.format == "x-arf"
    assert "_internal" not in report.fields


@given(st.dictionaries(st.sampled_from(FIELDS_3), JSON), st.dictionaries(st.sampled_from(REPORT_3), JSON))
def test_xarf_3_of_any_types_is_read(fields: dict[str, object], inner: dict[str, object]) -> None:
    report = read(json.dumps({"Version": "3", "Report": inner, **fields}).encode())

    assert list(broken_rules(report)) == []
    assert report.format == "x-arf"


@given(SECRETS, st.sampled_from(["Login", "login", "a:Login", "Password"]), st.integers(0, 400))
def test_login_is_kept_nowhere_even_when_the_document_is_cut(secret: str, tag: str, length: int) -> None:
    login = f"<{tag} Password='{secret}'><b>{secret}</b></{tag}>"
    document = f"<Infringement xmlns:a='a'><Case><ID>1</ID></Case><Source>{login}</Source></Infringement>"

    for text in (document, document[:length]):
        for raw in (text, f"Subject: x\n\n{text}", f"Content-Type: application/octet-stream\n\n{text}"):
            report = read(raw.encode())

            kept = json.dumps([repr(report), report.fields], ensure_ascii=False)
            assert "q7" not in kept.replace(report.content_hash, "")
            assert all(b"q7" not in one.content for one in report.evidence)


def test_login_is_left_out_and_what_stands_around_it_is_kept() -> None:
    text = "a<Login>b</Login>c<x:login Password='d'/>e<UserName>f</UserName>g<Source Password=\"h\" Port='1'>"

    assert acns_xml.without_login(text) == "ace<UserName>f</UserName>g<Source Password=\"\" Port='1'>"


@given(st.text(max_size=300), st.ip_addresses(v=4))
def test_address_in_any_text_is_found(around: str, address: object) -> None:
    found = free_text.find(f"{around}\n\n from {address} at 2026-03-01T10:00:00Z\n\n{around}", Problems())

    assert str(address) in {source.address for source in found.sources}


def test_each_address_has_the_time_of_its_line() -> None:
    text = (
        "192.0.2.1 2026-03-01T10:00:00Z\n192.0.2.2 2026-03-02T10:00:00Z\n"
        "192.0.2.1 2026-03-03T10:00:00Z\n\n192.0.2.3 port 80"
    )

    found = free_text.find(text, Problems())

    assert [(one.address, one.at.day if one.at else None, one.port) for one in found.sources] == [
        ("192.0.2.1", 1, None),
        ("192.0.2.2", 2, None),
        ("192.0.2.1", 3, None),
        ("192.0.2.3", None, 80),
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("An image of child sexual abuse; remove the copyright note", Kind.CSAM),
        ("An intimate photo shared without consent", Kind.NCII),
        ("a phishing page with malware", Kind.PHISHING),
        ("infringes my copyright", Kind.COPYRIGHT),
        ("brute-force SSH logins", Kind.ATTACK),
        ("nothing to see", Kind.OTHER),
    ],
)
def test_the_worst_a_text_names_is_its_kind(text: str, kind: Kind) -> None:
    assert free_text.kind_of(text) == kind


def test_json_key_that_comes_twice_counts_once_and_is_told() -> None:
    problems = Problems()

    assert xarf_json.load('{"a": 1, "a": 2, "b": NaN, "c": 1e999}', problems) == {"a": 1, "b": "NaN", "c": "1e999"}
    assert [one.code for one in problems.found()] == ["json_duplicate_key"]
