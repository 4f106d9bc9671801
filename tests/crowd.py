"""Many small closed accounts at once, for races: made by SQL in one go, due since yesterday, with rows in several
categories. Their sealed columns hold a dummy box that nothing opens.
"""

from __future__ import annotations

from uuid import UUID

from accounts import datamap
from tests.servers import connect

# Rows an account of the crowd has, per category; the other categories are due and empty.
ROWS = {"contact": 2, "billing": 2, "access": 2, "services": 1, "support": 1}
BOX = "'\\x00'::bytea"
INSERTS = (
    "INSERT INTO accounts_contact (id, account_id, role, name, email, created_at) "
    f"SELECT uuidv7(), id, 'billing', {BOX}, {BOX}, created_at FROM crowd",
    "INSERT INTO accounts_address (id, account_id, contact_id, kind, street, city, country, created_at) "
    f"SELECT uuidv7(), c.account_id, c.id, 'billing', {BOX}, {BOX}, {BOX}, c.created_at FROM accounts_contact c "
    "JOIN crowd ON crowd.id = c.account_id",
    "INSERT INTO accounts_paymentmethod (id, account_id, provider, token, brand, last_four, created_at) "
    f"SELECT uuidv7(), id, 'trial', {BOX}, {BOX}, {BOX}, created_at FROM crowd, generate_series(1, 2)",
    "INSERT INTO accounts_accessevent (id, account_id, kind, at) "
    "SELECT uuidv7(), id, 'sign_in', created_at + n * interval '1 day' FROM crowd, generate_series(0, 1) n",
    "INSERT INTO accounts_service (id, account_id, name, plan, monthly_cents, started_at) "
    f"SELECT uuidv7(), id, {BOX}, 'web-2', 100, created_at FROM crowd",
    "INSERT INTO accounts_ticket (id, account_id, reference, kind, state, subject, created_at) "
    f"SELECT uuidv7(), id, 'TIC-' || number, 'support', 'closed', {BOX}, created_at FROM crowd",
)


def make_crowd(count: int) -> list[UUID]:
    """Return the ids of `count` new accounts: closed, and every category due since yesterday."""
    with connect() as connection:
        first = connection.execute("SELECT count(*) FROM accounts_account").fetchone()
        made = connection.execute(
            "INSERT INTO accounts_account (id, number, state, created_at, hold_epoch) "
            "SELECT uuidv7(), 'C' || lpad((%s + n)::text, 11, '0'), 'active', now() - interval '60 days', 0 "
            "FROM generate_series(1, %s) n RETURNING id",
            [first[0] if first else 0, count],
        ).fetchall()
        ids = [row[0] for row in made]
        for statement in INSERTS:
            named = "WITH crowd AS (SELECT id, number, created_at FROM accounts_account WHERE id = ANY(%s)) "
            connection.execute(named + statement, [ids])
        connection.execute(
            "UPDATE accounts_account SET state = 'closed', closed_at = now() - interval '31 days', "
            "due_at = now() - interval '1 day' WHERE id = ANY(%s)",
            [ids],
        )
        connection.execute(
            "INSERT INTO retention_erasure "
            "(id, account_id, category, state, due_at, kept_for, counts, attempts, last_error) "
            "SELECT uuidv7(), a, c, 'due', now() - interval '1 day', '', '{}', 0, '' "
            "FROM unnest(%s::uuid[]) a, unnest(%s::text[]) c",
            [ids, [category.value for category in datamap.categories()]],
        )
    return ids


def rows_left(ids: list[UUID]) -> dict[tuple[UUID, str], int]:
    """Return how many rows each (account, category) has now, absent for none."""
    found: dict[tuple[UUID, str], int] = {}
    with connect() as connection:
        for model, entry in datamap.governed().items():
            rows = connection.execute(
                f"SELECT account_id, count(*) FROM {model._meta.db_table} WHERE account_id = ANY(%s) GROUP BY 1", [ids]
            )
            for account_id, number in rows:
                pair = account_id, entry.category.value
                found[pair] = found.get(pair, 0) + number
    return found
