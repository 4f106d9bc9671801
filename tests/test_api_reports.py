"""The API by which other systems hand in reports of abuse: taken in like any other, answered with a receipt (P17)."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from accounts import idempotency
from accounts.issuing import issue
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import IdempotencyRecord, LedgerEntry, OutboxMessage
from disclosures import concluding, judging, reporting
from disclosures.models import AbuseCase, AbuseReport, CaseKind, CaseOutcome, Finding
from tests.abuse import ADDRESS, holder, make_case
from tests.calling import call, calm, own_token, system_token
from tests.cast import DAY, make_staff
from tests.reading_reports import OWN
from tests.test_browser_axe import room
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
ABUSE, COPYRIGHT, X_ARF = "/api/v1/reports/", "/api/v1/reports/copyright/", "/api/v1/reports/x-arf/"
CARD = "4242 4242 4242 4242"


@pytest.fixture
def alice(alice: User) -> User:
    return holder(alice)


@pytest.fixture
def token() -> str:
    return system_token("reports:read", "reports:write")


@pytest.fixture
def post(token: str) -> Callable[..., Any]:
    def send(path: str, body: dict[str, Any], **more: Any) -> Any:
        return call(path, more.pop("token", token), "POST", body, **more)

    return send


def complaint(**changed: Any) -> dict[str, Any]:
    body = {
        "kind": "phishing",
        "what": "A page that asks for passwords.",
        "places": [{"url": "https://www.alice.example/bank/", "address": ADDRESS, "port": 443}],
        "reporter": {"name": "Feed of Neighbours", "email": "feed@neighbour.example"},
    }
    return {**body, **changed}


def notice(**changed: Any) -> dict[str, Any]:
    body = {
        "work": "The Canary Songbook, 2024",
        "places": [{"url": f"http://{ADDRESS}/songs.pdf"}, {"url": "https://www.alice.example/songs"}],
        "complainant": {
            "name": "Cora Composer",
            "email": "cora@label.example",
            "phone": "+1 312 5550177",
            "postal": "1 Label Street, Testville",
        },
        "good_faith": True,
        "accuracy": True,
        "signature": "Cora Composer",
        "case_id": "LBL-7",
    }
    return {**body, **changed}


def sample(name: str, **changed: Any) -> dict[str, Any]:
    """Return a body with one of the project's own samples."""
    return {"report": {**json.loads((OWN / f"{name}.json").read_text()), **changed}}


def read(row: AbuseReport, name: str) -> Any:
    with keyring():
        return getattr(AbuseReport.objects.get(pk=row.pk), name)


# -------------------------------------------------------------------------------------------------- coming in


def test_a_report_is_kept_and_its_answer_is_the_receipt(alice: User, post: Callable[..., Any]):
    seen_at = (timezone.now() - DAY).isoformat()
    places = [{"url": "https://www.alice.example/bank/", "address": ADDRESS, "port": 443, "seen_at": seen_at}]
    body = complaint(places=places, case_id="F-1")
    answer = post(ABUSE, body)

    case, row = AbuseCase.objects.get(), AbuseReport.objects.get()
    assert answer.status_code == 201, answer.content
    assert answer.json() == {
        "id": str(row.pk),
        "reference": case.reference,
        "state": "received",
        "received_at": mock.ANY,
        "joined": False,
        "is_repeat": False,
        "problems": [],
    }
    assert (case.kind, case.found, case.account_id) == (CaseKind.PHISHING, "one", alice.account_id)
    assert case.source_at is not None and case.source_at.isoformat() == seen_at, "the address at its time"
    assert (row.channel, row.may_be_named) == ("api", False)
    assert json.loads(read(row, "raw")) == body
    kept = read(row, "read")
    assert kept["sources"][0] | {"at": None} == {
        "address": ADDRESS,
        "port": 443,
        "protocol": "",
        "at": None,
        "domain": "www.alice.example",
        "urls": ["https://www.alice.example/bank/"],
        "hints": [],
    }
    assert kept["case_ids"] == ["F-1"] and read(row, "reporter") == "feed@neighbour.example"
    # The system that handed it in stands in the ledger; nothing is mailed for it.
    entry = LedgerEntry.objects.get(action="case.reported", subject=case.pk)
    assert entry.actor.startswith("token:") and "neighbour.example" not in entry.body
    assert not OutboxMessage.objects.filter(kind="mail", subject=case.pk).exists()


def test_every_kind_is_answered_alike(alice: User, post: Callable[..., Any]):
    for kind in ("phishing", "malware", "spam", "attack", "ncii", "csam", "trademark", "other"):
        answer = post(ABUSE, complaint(kind=kind, reporter={"name": "Sensor 7"}))
        assert answer.status_code == 201 and (answer.json()["state"], answer.json()["joined"]) == ("received", False)
        assert AbuseCase.objects.get(reference=answer.json()["reference"]).kind == kind
    assert post(ABUSE, complaint(kind="copyright")).status_code == 422, "a notice has a door of its own"


def test_a_notice_needs_its_six_elements(alice: User, post: Callable[..., Any]):
    who = notice()["complainant"]
    missing = [
        *({name: None} for name in ("work", "places", "complainant", "good_faith", "accuracy", "signature")),
        {"good_faith": False},
        {"accuracy": "true"},
        *({"complainant": {key: who[key] for key in who if key != name}} for name in who),
    ]
    for change in missing:
        answer = post(COPYRIGHT, {name: value for name, value in notice(**change).items() if value is not None})
        assert answer.status_code == 422 and set(answer.json()["errors"]) == set(change), change
    assert not AbuseCase.objects.exists()

    assert post(COPYRIGHT, notice()).status_code == 201
    case, row = AbuseCase.objects.get(), AbuseReport.objects.get()
    assert (case.kind, case.account_id, row.may_be_named) == (CaseKind.DMCA, alice.account_id, True)
    kept = read(row, "read")
    assert [one["kind"] for one in kept["declarations"]] == ["good faith", "accuracy", "signature"]
    assert [one["url"] for one in kept["items"]] == [one["url"] for one in notice()["places"]]
    # Sent fields make no valid notice: a person finds each element.
    assert len(judging.missing(case)) == 6


def test_x_arf_keeps_every_field_and_is_never_a_notice(post: Callable[..., Any]):
    expected = {
        "xarf4_phishing": ("phishing", False),
        "xarf4_malware": ("malware", False),
        "xarf4_csam": ("csam", False),
        "xarf4_cyberlocker_broken": ("copyright", True),
        "xarf3_copyright": ("copyright", False),
    }
    for name, (kind, is_broken) in expected.items():
        # One matter each: what names the same case of its reporter would join it.
        body = sample(name, report_id=str(uuid4())) if name.startswith("xarf4") else sample(name)
        answer = post(X_ARF, body)
        assert answer.status_code == 201, answer.content
        row = AbuseReport.objects.get(pk=answer.json()["id"])
        assert (row.case.kind, row.format) == (kind, "x-arf"), name
        assert ("schema" in answer.json()["problems"], bool(answer.json()["problems"])) == (is_broken, is_broken)
        assert json.loads(read(row, "raw")) == body["report"]
        assert set(body["report"]) - {"_internal"} == set(read(row, "read")["fields"])
        assert row.may_be_named == body["report"].get("Disclosure", True)
    assert not OutboxMessage.objects.filter(kind="mail").exists()


def test_what_is_no_x_arf_report_is_refused_in_words(post: Callable[..., Any]):
    for report in ({}, {"Report": {}}, {"report_id": "x"}):
        answer = post(X_ARF, {"report": report})
        assert answer.status_code == 422 and "no X-ARF report" in answer.json()["errors"]["report"][0]
    # More fields than are read: kept, and a case for staff.
    answer = post(X_ARF, sample("xarf4_phishing", urls=[1] * 11_000))
    assert answer.status_code == 201 and answer.json()["problems"] == ["json_too_large"]
    assert AbuseCase.objects.get().kind == CaseKind.OTHER


def test_a_place_names_one_place(post: Callable[..., Any]):
    for place in (
        {},
        {"port": 25},
        {"url": "https://www.alice.example/", "port": 25},
        {"url": "nonsense"},
        {"url": ADDRESS},
        {"url": "javascript:alert(1)"},
        {"address": "300.1.1.1"},
        {"address": ADDRESS, "port": 0},
        {"address": ADDRESS, "port": "25"},
        {"address": ADDRESS, "seen_at": "1999-12-31T00:00:00Z"},
        {"url": "http://203.0.113.8/", "address": ADDRESS},
        {"url": f"https://www.alice.example/?card={CARD}"},
    ):
        answer = post(ABUSE, complaint(places=[place]))
        assert answer.status_code == 422 and set(answer.json()["errors"]) == {"places"}, place
    answer = post(ABUSE, complaint(places=[{"address": ADDRESS, "host": "x"}]))
    assert answer.status_code == 400 and set(answer.json()["errors"]) == {"host"}
    assert not AbuseReport.objects.exists()


def test_an_address_of_version_6_is_a_place_too(post: Callable[..., Any]):
    places = [{"url": "http://[2001:db8::7]/x"}, {"address": "2001:DB8:0::8"}]
    assert post(ABUSE, complaint(places=places)).status_code == 201
    sources = read(AbuseReport.objects.get(), "read")["sources"]
    assert [one["address"] for one in sources] == ["2001:db8::7", "2001:db8::8"]


def test_a_number_of_a_card_is_refused_in_words_and_masked_in_x_arf(alice: User, post: Callable[..., Any]):
    for body in (complaint(what=CARD), complaint(reporter={"name": CARD}), complaint(case_id=CARD)):
        answer = post(ABUSE, body)
        assert answer.status_code == 422 and CARD not in answer.content.decode()
    assert not AbuseReport.objects.exists()
    assert post(X_ARF, sample("xarf4_phishing", description=f"It asks for {CARD}.")).status_code == 201
    row = AbuseReport.objects.get()
    assert CARD not in json.dumps(read(row, "read")) and reporting.CARD in json.dumps(read(row, "read"))
    assert CARD in bytes(read(row, "raw")).decode(), "the raw report is evidence"


# -------------------------------------------------------------------------------------------------- again, and many


def test_the_same_key_answers_the_same_and_the_same_content_is_counted(alice: User, post: Callable[..., Any]):
    key = str(uuid4())
    first, again = post(ABUSE, complaint(), key=key), post(ABUSE, complaint(), key=key)
    assert (again.status_code, again.json(), again["Idempotency-Replayed"]) == (201, first.json(), "true")
    assert post(ABUSE, complaint(what="Other words."), key=key).status_code == 422
    assert AbuseReport.objects.count() == 1

    repeat = post(ABUSE, dict(reversed(complaint().items()))).json()
    assert (repeat["reference"], repeat["joined"], repeat["is_repeat"]) == (first.json()["reference"], True, True)
    assert repeat["id"] != first.json()["id"] and AbuseReport.objects.count() == 2
    # X-ARF sent by the API is the same report as the one that came by mail.
    raw = json.dumps(sample("xarf4_phishing")["report"]).encode()
    [by_mail] = reporting.take_in(raw, channel="mail")
    by_api = post(X_ARF, sample("xarf4_phishing")).json()
    assert (by_api["reference"], by_api["is_repeat"]) == (by_mail.case.reference, True)


def test_a_crash_before_the_answer_takes_nothing_in_twice(alice: User, post: Callable[..., Any]):
    key = str(uuid4())
    first = post(ABUSE, complaint(), key=key).json()
    # As if the process had died after the report and before its answer.
    long_ago = timezone.now() - 2 * idempotency.ABANDONED_AFTER
    IdempotencyRecord.objects.update(status=None, answer=None, created_at=long_ago)
    again = post(ABUSE, complaint(), key=key)
    assert (again.status_code, again.json()) == (201, first)
    assert AbuseReport.objects.count() == 1


def test_a_storm_about_one_address_is_one_case(alice: User, post: Callable[..., Any]):
    place = {"address": ADDRESS, "port": 22}
    taken = [
        post(ABUSE, complaint(kind="attack", what=f"Attempt {n}.", places=[place], case_id=f"S-{n}")).json()
        for n in range(50)
    ]
    case = AbuseCase.objects.get()
    assert {one["reference"] for one in taken} == {case.reference} and case.reports.count() == 50
    assert [one["joined"] for one in taken] == [False, *[True] * 49]
    assert not any(one["is_repeat"] for one in taken)
    assert not OutboxMessage.objects.filter(kind="mail", subject=case.pk).exists()


def test_case_ids_of_reporters_without_an_address_are_their_systems(alice: User, post: Callable[..., Any]):
    who = {"name": "Sensor"}
    first = post(ABUSE, complaint(reporter=who, case_id="1")).json()
    other = {"kind": "spam", "what": "Mail.", "places": [{"address": "198.51.100.9"}], "reporter": who, "case_id": "1"}
    assert post(ABUSE, other).json()["reference"] == first["reference"]
    foreign = post(ABUSE, {**other, "what": "Another."}, token=system_token("reports:write")).json()
    assert foreign["reference"] != first["reference"]


def test_reports_of_one_matter_at_one_instant_open_one_case(token: str, post: Callable[..., Any]):
    def send(number: int) -> str:
        try:
            places = [{"address": f"198.51.100.{number}"}]
            body = complaint(places=places, reporter={"name": "Sensor"}, case_id="M-1")
            return str(post(ABUSE, body).json()["reference"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as threads:
        assert len(set(threads.map(send, range(1, 11)))) == 1
    assert AbuseCase.objects.get().reports.count() == 10


# -------------------------------------------------------------------------------------------------- who may


def test_only_the_scope_opens_the_door(alice: User, post: Callable[..., Any], token: str):
    given = post(ABUSE, complaint()).json()["id"]
    bodies = {ABUSE: complaint(), COPYRIGHT: notice(), X_ARF: sample("xarf4_phishing")}
    calm()
    for path, body in bodies.items():
        assert post(path, body, token=None).status_code == 401
        assert post(path, body, token=own_token(alice)).status_code == 403
        assert post(path, body, token=system_token("reports:read", "accounts:write")).status_code == 403
        assert post(path, {**body, "account": "123456789"}).status_code == 400
    assert AbuseReport.objects.count() == 1
    assert call(f"{ABUSE}{given}/", system_token("reports:write")).status_code == 403
    assert call(f"{ABUSE}{given}/", own_token(alice)).status_code == 403
    assert call(ABUSE, token).status_code == 405


def test_a_system_sees_how_its_own_reports_stand(alice: User, post: Callable[..., Any], token: str):
    dora = make_staff("dora", "abuse_desk")

    def seen(number: str, secret: str = token) -> Any:
        return call(f"{ABUSE}{number}/", secret)

    given = post(ABUSE, complaint()).json()
    assert seen(given["id"]).json() == given
    other = system_token("reports:read", "reports:write")
    joined = post(ABUSE, complaint(what="Seen here too."), token=other).json()
    assert joined["reference"] == given["reference"] and joined["joined"]
    assert seen(given["id"], other).status_code == 404 and seen(joined["id"]).status_code == 404
    by_form = make_case(alice).reports.get()
    assert seen(str(by_form.pk)).status_code == 404 and seen(str(uuid4())).status_code == 404

    case = AbuseCase.objects.get(reference=given["reference"])
    judging.find(case.pk, Finding.AUTHENTIC, by=dora, is_met=True)
    assert seen(given["id"]).json() == {**given, "state": "looked_at"}
    concluding.close(case.pk, CaseOutcome.NO_ACTION, by=dora, reason="Nothing for outsiders to read.")
    assert seen(given["id"]).json() == {**given, "state": "closed"}
    assert seen(joined["id"], other).json()["state"] == "closed"
    # What is closed stays closed: the next report is another matter.
    assert post(ABUSE, complaint()).json()["reference"] != case.reference


def test_nothing_is_told_of_a_case_of_children(alice: User, post: Callable[..., Any], token: str):
    lena = make_staff("lena", "legal")
    given = post(ABUSE, complaint(kind="csam")).json()
    case = AbuseCase.objects.get()
    assert LedgerEntry.objects.filter(action="legal.case.reported", actor__startswith="token:").exists()
    judging.assign(case.pk, by=lena)
    assert call(f"{ABUSE}{given['id']}/", token).json() == given


def test_a_report_of_children_joins_no_other_case_by_the_id_of_its_reporter(alice: User, post: Callable[..., Any]):
    spam = post(ABUSE, complaint(kind="spam", case_id="7")).json()
    children = post(ABUSE, complaint(kind="csam", case_id="7")).json()
    assert children["reference"] != spam["reference"] and not children["joined"]
    assert AbuseCase.objects.get(reference=children["reference"]).kind == CaseKind.CSAM
    # More of the same matter does join it.
    more = post(ABUSE, complaint(kind="csam", what="More of it.", case_id="7")).json()
    assert (more["reference"], more["joined"]) == (children["reference"], True)
    assert post(ABUSE, complaint(kind="csam", case_id="7")).json()["is_repeat"]


def test_the_desk_reads_how_it_came(alice: User):
    ada, dora = make_staff("ada", "administrator"), make_staff("dora", "abuse_desk")
    handing, secret = issue("feed", ["reports:write"], by=ada, days=30)
    given = call(ABUSE, secret, "POST", complaint()).json()
    shown = words(signed_in(dora).get(room(AbuseCase).url_of(AbuseCase.objects.get())))
    assert "A page that asks for passwords." in shown and "by another system" in shown
    assert UUID(given["id"]) and str(handing.pk) not in given.values()
