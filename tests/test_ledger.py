"""The ledger: appended in the act's own transaction, hashed at once, free of anything personal."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import rfc8785
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.ledger import SYSTEM, Fact, NotAFact
from accounts.safeguards.models import LedgerEntry
from tests.servers import ROOT, Connection

pytestmark = pytest.mark.usefixtures("committed")
SUBJECT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
AT = dt.datetime(2026, 11, 23, 10, 0, 0, 123, tzinfo=dt.UTC)


def test_an_entry_says_who_did_what_to_whom_and_when():
    entry = ledger.record(SYSTEM, "purge.erased", SUBJECT, at=AT, rows={"accounts_contact": 2})
    assert json.loads(entry.body) == {
        "id": str(entry.id),
        "at": "2026-11-23T10:00:00.000123Z",
        "actor": "system",
        "action": "purge.erased",
        "subject": str(SUBJECT),
        "rows": {"accounts_contact": 2},
    }


def test_the_leaf_is_the_hash_of_salt_and_body():
    ledger.record(SYSTEM, "test", SUBJECT, number=1)
    for entry in LedgerEntry.objects.all():
        assert bytes(entry.leaf) == hashlib.sha256(b"\x00" + bytes(entry.salt) + entry.body.encode()).digest()
        assert len(entry.salt) == 16


def test_the_body_is_canonical_json():
    entry = ledger.record(SYSTEM, "test", SUBJECT, at=AT, b=2, a=[3, 1], c={"y": True, "x": None})
    assert entry.body.encode() == rfc8785.dumps(json.loads(entry.body))
    assert " " not in entry.body and entry.body.index('"a"') < entry.body.index('"b"')


WORDS = st.from_regex(r"\A[A-Za-z0-9_.:+\-]{0,20}\Z")
FACTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | WORDS | st.uuids() | st.dates(),
    lambda facts: st.lists(facts, max_size=4) | st.dictionaries(WORDS, facts, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(WORDS.filter(lambda name: name not in {"id", "at"}), FACTS, max_size=5))
def test_every_body_is_what_the_library_for_rfc_8785_makes_of_it(facts: dict[str, Any]):
    entry = ledger._entry(Fact(SYSTEM, "test", SUBJECT, facts), AT)
    assert entry.body.encode() == rfc8785.dumps(json.loads(entry.body))


def test_a_body_that_is_not_canonical_would_be_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger, "_canonical", json.dumps)
    entry = ledger._entry(Fact(SYSTEM, "test", SUBJECT, {"b": 1, "a": 2}), AT)
    assert entry.body.encode() != rfc8785.dumps(json.loads(entry.body))


def test_two_equal_entries_have_different_leaves():
    first, second = ledger.record_many([Fact(SYSTEM, "test", SUBJECT)] * 2, at=AT)
    assert bytes(first.salt) != bytes(second.salt) and bytes(first.leaf) != bytes(second.leaf)


@pytest.mark.parametrize(
    "value",
    [
        "alice@alice.example",
        "Alice Canary",
        "+1 312 5550123",
        "203.0.113.7 from",
        "Zoë",
        "7 Alice Street",
        b"bytes",
        1.5,
        2**53,
        -(2**53),
        object(),
        {"name": "Alice Canary"},
        {"Alice Canary": 1},
        ["fine", "not fine"],
        "a" * 101,
        "Mozilla/5.0",
        "line\nline",
    ],
)
def test_a_personal_value_does_not_pass(value: Any):
    with pytest.raises(NotAFact) as refusal:
        ledger.record(SYSTEM, "test", SUBJECT, fact=value)
    assert "lice" not in str(refusal.value)
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize("field", ["actor", "action"])
def test_a_personal_value_does_not_pass_as_actor_or_action(field: str):
    words = {"actor": SYSTEM, "action": "test", field: "Alice Canary"}
    with pytest.raises(NotAFact):
        ledger.record(words["actor"], words["action"], SUBJECT)


@pytest.mark.parametrize(
    "value",
    [None, True, 7, "purge.erased", uuid4(), AT, AT.date(), ["contact", "access"], {"contact": 3}, "DEL-7F3K-22"],
)
def test_ids_numbers_dates_and_fixed_words_pass(value: Any):
    assert ledger.record(SYSTEM, "test", SUBJECT, fact=value).id


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE safeguards_ledgerentry SET action = 'other'",
        "UPDATE safeguards_ledgerentry SET body = '{}'",
        "DELETE FROM safeguards_ledgerentry",
        "TRUNCATE safeguards_ledgerentry",
        "DROP TABLE safeguards_ledgerentry",
        "ALTER TABLE safeguards_ledgerentry DISABLE TRIGGER ALL",
        "INSERT INTO safeguards_ledgerentry SELECT gen_random_uuid(), at, actor, action, subject, '{}', salt, leaf"
        " FROM safeguards_ledgerentry",
    ],
)
def test_nobody_changes_or_deletes_an_entry(runtime: Connection, sql: str):
    entry = ledger.record(SYSTEM, "test", SUBJECT)
    with pytest.raises(psycopg.Error):
        runtime.execute(sql)
    kept = LedgerEntry.objects.get()
    assert (kept.body, bytes(kept.leaf), kept.action) == (entry.body, bytes(entry.leaf), "test")


@pytest.mark.parametrize(
    "sql", ["UPDATE safeguards_ledgerentry SET action = 'x'", "DELETE FROM safeguards_ledgerentry"]
)
def test_not_even_the_owner_changes_an_entry_without_switching_the_guard_off(owner: Connection, sql: str):
    ledger.record(SYSTEM, "test", SUBJECT)
    with pytest.raises(psycopg.Error, match="append-only"):
        owner.execute(sql)
    owner.execute("ALTER TABLE safeguards_ledgerentry DISABLE TRIGGER z_guard_ledger")
    if sql.startswith("DELETE"):
        assert owner.execute(sql).rowcount == 1


def test_an_entry_goes_with_the_transaction_that_does_the_act():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ledger.record(SYSTEM, "test", SUBJECT)
        raise ZeroDivisionError
    assert not LedgerEntry.objects.exists()


def test_a_wrong_leaf_is_refused_by_the_database():
    with pytest.raises(IntegrityError, match="ledger_leaf_is_the_hash"):
        LedgerEntry.objects.create(
            at=timezone.now(), actor=SYSTEM, action="test", body="{}", salt=bytes(16), leaf=bytes(32)
        )


def test_many_entries_are_one_statement(django_assert_num_queries: Any):
    with transaction.atomic(), django_assert_num_queries(1):
        ledger.record_many(Fact(SYSTEM, "test", SUBJECT, {"number": number}) for number in range(50))


def test_an_entry_made_in_sql_is_canonical_too(owner: Connection, rita: User, alice: User):
    owner.execute("SELECT * FROM read_kept_versions(%s, %s)", [alice.account_id, rita.pk])
    entry = LedgerEntry.objects.get(action="kept_versions.read")
    assert entry.body.encode() == rfc8785.dumps(json.loads(entry.body))
    assert bytes(entry.leaf) == ledger.leaf_hash(bytes(entry.salt), entry.body)
    content = json.loads(entry.body)
    assert content["actor"] == entry.actor == f"staff:{rita.pk}" and content["id"] == str(entry.pk)
    assert content["subject"] == str(entry.subject) == str(alice.account_id)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        # RFC 8785, 3.2.2 and 3.2.3, and its appendix on ordering by UTF-16 code units
        (
            {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001]},
            '{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
        ),
        ({"literals": [None, True, False]}, '{"literals":[null,true,false]}'),
        ({"s": '\u20ac$\u000f\nA\'B"\\\\"/'}, '{"s":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'),
        (
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
            '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}',
        ),
    ],
)
def test_the_library_compared_with_keeps_to_rfc_8785(value: Any, canonical: str):
    assert rfc8785.dumps(value).decode() == canonical


def test_the_leaf_of_a_known_entry_is_recomputed_without_the_portal():
    entry = ledger.record(SYSTEM, "test", SUBJECT, at=AT)
    program = "import hashlib,sys; print(hashlib.sha256(bytes.fromhex(sys.argv[1])).hexdigest())"
    leaf = "00" + bytes(entry.salt).hex() + entry.body.encode().hex()
    found = subprocess.run([sys.executable, "-c", program, leaf], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == bytes(entry.leaf).hex()
