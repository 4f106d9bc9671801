"""A state folder of the first release survives the next one: accounts that were open, closed and erased then.

The data database is migrated to what the first release had, filled by SQL, and migrated on to what there is now.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from accounts import datamap
from accounts.management.commands.prepare_databases import prepare
from chicagocloud.embedded import OWNER, RUNTIME
from tests.servers import ROOT, Connection, current_stage, owner_env

NAME = "first_release"
# What the first release had, in the order in which it can be reached.
FIRST = (
    ("accounts", "0001"),
    ("safeguards", "0002"),
    ("retention", "0002"),
)
OPEN, CLOSED, ERASED = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
FILLED = f"""
    INSERT INTO accounts_account (id, number, state, created_at, hold_epoch)
    SELECT id::uuid, number, 'active', now() - interval '400 days', 0
      FROM (VALUES ('{OPEN}', '100000001'), ('{CLOSED}', '100000002'), ('{ERASED}', '100000003')) AS a(id, number);
    INSERT INTO accounts_user
           (id, account_id, handle, password, is_owner, is_staff, is_active, is_superuser, created_at)
    SELECT u.id::uuid, '{OPEN}', u.handle, '!', u.is_owner, false, true, false, now()
      FROM (VALUES ('00000000-0000-7000-8000-0000000000a1', 'owner', true),
                   ('00000000-0000-7000-8000-0000000000a2', 'member', false)) AS u(id, handle, is_owner);
    UPDATE accounts_account
       SET state = 'closed', closed_at = now() - interval '40 days', due_at = now() - interval '10 days'
     WHERE id IN ('{CLOSED}', '{ERASED}');
    INSERT INTO retention_erasure
           (id, account_id, category, state, due_at, kept_for, counts, rows_shown, attempts, last_error)
    SELECT gen_random_uuid(), a.id, c.category, 'due', a.due_at, '', '{{}}', 0, 0, ''
      FROM accounts_account a, unnest(ARRAY['identity', 'contact', 'support']) AS c(category) WHERE a.state = 'closed';
"""
GONE = f"""
    UPDATE retention_erasure
       SET state = 'gone', rows_gone_at = clock_timestamp(), gone_xid = pg_current_xact_id()::text::bigint
     WHERE account_id = '{ERASED}'
"""
VERIFIED = f"""
    UPDATE retention_erasure
       SET state = 'verified', unreachable_at = clock_timestamp(), verified_at = clock_timestamp()
     WHERE account_id = '{ERASED}';
    UPDATE accounts_account SET state = 'erased', erased_at = clock_timestamp() WHERE id = '{ERASED}'
"""


def manage(*arguments: str) -> None:
    stage = current_stage()
    environment = owner_env(
        DATABASE_URL=stage.clusters["default"].url(RUNTIME, NAME),
        DATABASE_OWNER_URL=stage.clusters["default"].url(OWNER, NAME),
        CHICAGOCLOUD_DB_ROLE="owner",
    )
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def migrated(committed: object) -> Iterator[Connection]:
    """The first release's database with three accounts, migrated to now; a connection of the runtime role."""
    stage = current_stage()
    prepare("default", stage.servers.admin_urls()[0], NAME, create=True)
    try:
        for app, number in FIRST:
            manage("migrate", app, number, "--verbosity=0")
        with psycopg.connect(stage.clusters["default"].url(OWNER, NAME), autocommit=True) as owner:
            for statements in (FILLED, GONE, VERIFIED):
                owner.execute(statements.encode())
        manage("migrate", "--verbosity=0")
        manage("seal_databases", "--verbosity=0")
        with psycopg.connect(stage.clusters["default"].url(RUNTIME, NAME), autocommit=True) as runtime:
            yield runtime
    finally:
        with stage.admin("default") as admin:
            admin.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def test_the_first_releases_accounts_end_with_the_new_kinds_of_data_too(migrated: Connection) -> None:
    rows = migrated.execute("SELECT category, state FROM retention_erasure WHERE account_id = %s", [CLOSED]).fetchall()
    due = {category for category, state in rows if state == "due"}
    new = {"network", "orders", "analytics", "consent", "business", "confidential"}
    assert new <= due and new <= {category.value for category in datamap.categories()}
    untouched = migrated.execute("SELECT count(*) FROM retention_erasure WHERE account_id IN (%s, %s)", [OPEN, ERASED])
    assert untouched.fetchone() == (3,)

    visit = (
        "INSERT INTO accounts_pagevisit (id, account_id, page, at) VALUES (gen_random_uuid(), %s, 'overview', now())"
    )
    migrated.execute(visit, [OPEN])
    migrated.execute(visit, [CLOSED])
    with pytest.raises(psycopg.Error) as refusal:
        migrated.execute(visit, [ERASED])
    assert refusal.value.sqlstate == "PH004", "an erased account gets no new rows of a kind that it never had"

    roles = migrated.execute("SELECT handle, member_role FROM accounts_user ORDER BY handle").fetchall()
    assert roles == [("member", "technical"), ("owner", "")]
