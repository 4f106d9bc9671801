"""The population: accounts of about 335 rows over the governed tables, a third of them due.

Rows come from SQL in the sizes real ones have; what the purge opens (the contact's address) is sealed for real, and
every due account has its keys. Guards are off while loading, and on again afterwards.
"""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import psycopg
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Contact, User
from retention.models import DeletionRequest

# Rows per account; 335 with the contact, the user and its three sign-in names.
PLAN = {
    "accounts_accessevent": (200, "id, account_id, kind, ip, browser, at", "'sign_in', box(13), box(80), moment"),
    "accounts_invoice": (
        12,
        "id, account_id, number, state, currency, total_cents, billed_to, issued_at, due_at, settled_at",
        "left(gen_random_uuid()::text, 18), 'paid', 'USD', 4200, box(120), moment, moment, moment",
    ),
    "accounts_ticket": (
        6,
        "id, account_id, reference, kind, state, subject, created_at",
        "left(gen_random_uuid()::text, 18), 'support', 'closed', box(40), moment",
    ),
    "accounts_service": (
        4,
        "id, account_id, name, plan, monthly_cents, started_at",
        "box(30), 'vps-2', 1200, moment",
    ),
    "accounts_correspondence": (
        30,
        "id, account_id, event, subject, body, created_at",
        "'mail', box(40), box(500), moment",
    ),
    "accounts_paymentmethod": (
        2,
        "id, account_id, provider, token, brand, last_four, created_at",
        "'trial', box(30), box(8), box(8), moment",
    ),
    "accounts_person": (1, "id, account_id, user_id, name, created_at", "gen_random_uuid(), box(30), moment"),
}
CHILDREN = {
    "accounts_invoiceline": (
        "accounts_invoice",
        3,
        "id, account_id, invoice_id, text, quantity, unit_cents, created_at",
        "box(60), 1, 1400, now()",
    ),
    "accounts_payment": (
        "accounts_invoice",
        1,
        "id, account_id, invoice_id, amount_cents, method, paid_at",
        "4200, box(20), now()",
    ),
    "accounts_ticketmessage": (
        "accounts_ticket",
        4,
        "id, account_id, ticket_id, is_from_staff, body, created_at",
        "false, box(300), now()",
    ),
    "accounts_signinidentifier": (
        "accounts_user",
        3,
        "id, account_id, user_id, kind, digest, value, signs_in, created_at",
        "'email', sha256(gen_random_uuid()::text::bytea), box(30), false, now()",
    ),
    "accounts_address": (
        "accounts_contact",
        2,
        "id, account_id, contact_id, kind, street, city, country, created_at",
        "'billing', box(30), box(20), box(8), now()",
    ),
}
BOX = """CREATE FUNCTION pg_temp.box(n integer) RETURNS bytea LANGUAGE sql VOLATILE AS
         $$ SELECT '\\x01'::bytea || uuid_send(gen_random_uuid()) || substr(sha256(random()::text::bytea), 1, 12)
                || decode(repeat(md5(random()::text), (n + 16) / 16 + 1), 'hex') $$"""


def populate(owner: psycopg.Connection, accounts: int, due: int, past: dt.datetime) -> None:
    """Load the population through an owner connection (autocommit) and Django's runtime connections."""
    everyone = [Account(number=f"{number:09}", created_at=past) for number in range(1, accounts + 1)]
    Account.objects.bulk_create(everyone)
    users = [
        User(account=account, is_owner=True, handle=uuid4().hex, password="!", created_at=past) for account in everyone
    ]
    _switch(owner, "DISABLE")
    User.objects.bulk_create(users)
    _add_contacts(everyone[:due], past)
    owner.execute(BOX)
    for table, (number, columns, values) in PLAN.items():
        owner.execute(
            f"INSERT INTO {table} ({columns}) SELECT gen_random_uuid(), a.id, {_own(values)} FROM accounts_account a, "
            f"generate_series(1, {number}) n, "
            "LATERAL (SELECT timestamptz '2015-01-01' + n * interval '7 days' AS moment) m"
        )
    for table, (parent, number, columns, values) in CHILDREN.items():
        owner.execute(
            f"INSERT INTO {table} ({columns}) SELECT gen_random_uuid(), p.account_id, p.id, {_own(values)} "
            f"FROM {parent} p, generate_series(1, {number})"
        )
    _switch(owner, "ENABLE ALWAYS")
    _make_keys(everyone[:due])
    _close([account.pk for account in everyone[:due]], owner, past)
    owner.execute("VACUUM ANALYZE")


def rows_per_account(owner: psycopg.Connection) -> float:
    """Return the measured number of governed rows of a due account."""
    total = 0
    for model in datamap.governed():
        found = owner.execute(
            f"SELECT count(*) FROM {model._meta.db_table} t JOIN accounts_account a ON a.id = t.account_id "
            "WHERE a.state = 'closed'"
        ).fetchone()
        total += found[0] if found else 0
    closed = owner.execute("SELECT count(*) FROM accounts_account WHERE state = 'closed'").fetchone()
    return total / closed[0] if closed else 0.0


def _own(values: str) -> str:
    return values.replace("box(", "pg_temp.box(")


def _switch(owner: psycopg.Connection, how: str) -> None:
    for model in datamap.governed():
        for name in ("delete", "update", "insert", "move", "truncate"):
            owner.execute(f"ALTER TABLE {model._meta.db_table} {how} TRIGGER z_guard_{name}")


def _add_contacts(accounts: list[Account], past: dt.datetime) -> None:
    for start in range(0, len(accounts), 500):
        with keyring() as ring:
            contacts = [
                Contact(account=account, name="A Name", email=f"{account.number}@bench.example", created_at=past)
                for account in accounts[start : start + 500]
            ]
            ring.prepare([contact.key_place() for contact in contacts])
            Contact.objects.bulk_create(contacts)


def _make_keys(accounts: list[Account]) -> None:
    with keyring() as ring:
        for category in datamap.categories():
            ring.prepare([(account.pk, category.value) for account in accounts])


def _close(ids: list[object], owner: psycopg.Connection, past: dt.datetime) -> None:
    due_at = past + dt.timedelta(days=30)
    owner.execute(
        "UPDATE accounts_account SET state = 'closed', closed_at = %s, due_at = %s WHERE id = ANY(%s)",
        [past, due_at, ids],
    )
    for category in datamap.categories():
        owner.execute(
            "INSERT INTO retention_erasure (id, account_id, category, state, due_at, kept_for, counts, attempts,"
            " last_error) SELECT gen_random_uuid(), id, %s, 'due', %s, '', '{}', 0, '' FROM accounts_account"
            " WHERE id = ANY(%s)",
            [category.value, due_at, ids],
        )
    DeletionRequest.objects.bulk_create(
        DeletionRequest(
            account_id=account_id,
            user=uuid4(),
            ticket=uuid4(),
            submission=uuid7(),
            code_digest=b"",
            requested_at=past,
            due_at=due_at,
        )
        for account_id in ids
    )
    assert timezone.now() > due_at
