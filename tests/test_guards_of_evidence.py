"""Raw SQL as the runtime role against holds, erasures, accounts, ledger, outbox and the key store: refused.

Each case is what somebody who may write SQL would try, and the code of the refusal. The control carries the same case
out as a superuser with the guards dropped, where it must succeed; cases a plain constraint refuses have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import KeyDestroyed, keyring
from accounts.models import Contact, User
from chicagocloud.embedded import SUPERUSER
from retention import closing, disputing, placing, purge, releasing
from tests.attacks import attack, covered_rows
from tests.cast import DAY, furnish, make_customer, make_staff, owe
from tests.crowd import make_crowd
from tests.servers import Connection, Stage, connect
from tests.weakening import without_triggers

RIGHTS = {"42501"}
STAYS = {"42501", "PH001", "PH002", "PH003"}
CONSTRAINT = {"23514", "23505", "23503"}


@dataclass(frozen=True)
class Case:
    """Statements run in one transaction; the last one must be refused with one of the codes."""

    name: str
    sql: tuple[str, ...]
    codes: frozenset[str] = frozenset(STAYS)
    control: bool = True


def case(name: str, *sql: str, codes: set[str] = STAYS, control: bool = True) -> Case:
    return Case(name, sql, frozenset(codes), control)


ASK = (
    "INSERT INTO retention_holdrelease (id, hold_id, requested_by, requested_at, reason) "
    "VALUES ('{release}', '{legal}', '{rita}', now(), '\\x00')"
)
APPROVE = "UPDATE retention_holdrelease SET approved_by = '{by}', approved_at = now() WHERE id = '{{release}}'"
RELEASE = "UPDATE retention_hold SET released_at = now(), released_by = 'system' WHERE id = '{hold}'"
GONE = (
    "UPDATE retention_erasure SET state = 'gone', rows_gone_at = clock_timestamp(), "
    "gone_xid = {xid} WHERE account_id = '{{account}}' AND category = '{category}'"
)
OWN = "pg_current_xact_id()::text::bigint"
NEW_HOLD = (
    "INSERT INTO retention_hold (id, account_id, kind, categories, placed_by, placed_at, told_by, told_how, "
    "released_by, already_gone, partly_gone, ends_at, released_at, covers_until) VALUES (uuidv7(), '{{free}}', "
    "'{kind}', '{{{{}}}}', 'system', now(), '', '', '{by}', '{{{{}}}}', '{{{{}}}}', {ends}, {at}, {until})"
)


def on_account(account: str, sql: str) -> str:
    return sql.replace("{account}", "{" + account + "}")


HOLDS = [
    case("a hold deleted", "DELETE FROM retention_hold WHERE id = '{legal}'"),
    case("holds truncated", "TRUNCATE retention_hold CASCADE"),
    case("a legal hold released without ground", RELEASE.format(hold="{legal}")),
    case("a hold released by nobody", "UPDATE retention_hold SET released_at = now() WHERE id = '{legal}'"),
    case("a dispute's hold released while it is open", RELEASE.format(hold="{of_dispute}")),
    case("an agreement's hold released while it is owed", RELEASE.format(hold="{of_agreement}")),
    case("a hold released that was only asked for", ASK, RELEASE.format(hold="{legal}")),
    case("a release approved by who asked", ASK, APPROVE.format(by="{rita}"), codes=CONSTRAINT, control=False),
    case("a release approved by a customer", ASK, APPROVE.format(by="{customer}")),
    case("a release approved by nobody known", ASK, APPROVE.format(by="{nobody}")),
    case(
        "a release asked for by a customer",
        ASK.replace("{rita}", "{customer}"),
    ),
    case(
        "a release that is approved when it is asked for",
        ASK.replace("requested_at,", "requested_at, approved_by, approved_at,").replace(
            "now(),", "now(), '{lex}', now(),"
        ),
    ),
    case("another person behind a release", ASK, "UPDATE retention_holdrelease SET requested_by = '{lex}'"),
    case("a release deleted", "DELETE FROM retention_holdrelease"),
    case("another scope", "UPDATE retention_hold SET categories = '{{billing}}' WHERE id = '{legal}'"),
    case("another account", "UPDATE retention_hold SET account_id = '{free}' WHERE id = '{legal}'"),
    case("another kind", "UPDATE retention_hold SET kind = 'operations' WHERE id = '{legal}'"),
    case("another end", "UPDATE retention_hold SET ends_at = now() WHERE id = '{legal}'"),
    case("another period", "UPDATE retention_hold SET period_to = '2000-01-01' WHERE id = '{legal}'"),
    case("another cause", "UPDATE retention_hold SET cause = '{nobody}' WHERE id = '{of_dispute}'"),
    case("another id", "UPDATE retention_hold SET id = '{nobody}' WHERE id = '{legal}'"),
    case("a matter overwritten", "UPDATE retention_hold SET matter = NULL WHERE id = '{legal}'"),
    case("an end of what it covers", "UPDATE retention_hold SET covers_until = now() WHERE id = '{legal}'"),
    case("what it covers called gone", "UPDATE retention_hold SET already_gone = '{{contact}}' WHERE id = '{legal}'"),
    case("a released hold revived", "UPDATE retention_hold SET released_at = NULL WHERE id = '{ended}'"),
    case("another releaser", "UPDATE retention_hold SET released_by = 'staff:x' WHERE id = '{ended}'"),
    case("told untold", "UPDATE retention_hold SET told_at = NULL, told_by = '' WHERE id = '{of_dispute}'"),
    case("a hold that begins released", NEW_HOLD.format(kind="legal", by="x", ends="NULL", at="now()", until="NULL")),
    case("a hold that covers nothing", NEW_HOLD.format(kind="legal", by="", ends="NULL", at="NULL", until="now()")),
    case(
        "a pause without end",
        NEW_HOLD.format(kind="operations", by="", ends="now() + interval '90 days'", at="NULL", until="NULL"),
    ),
    case("a dispute deleted", "DELETE FROM retention_dispute"),
    case("a dispute under another id", "UPDATE retention_dispute SET id = '{nobody}' WHERE id = '{dispute}'"),
    case("a dispute of another account", "UPDATE retention_dispute SET account_id = '{free}' WHERE id = '{dispute}'"),
    case(
        "a dispute reopened after its hold was released",
        "UPDATE retention_dispute SET state = 'won', closed_at = now(), closed_by = 'x' WHERE id = '{dispute}'",
        RELEASE.format(hold="{of_dispute}"),
        "UPDATE retention_dispute SET state = 'open', closed_at = NULL, closed_by = '' WHERE id = '{dispute}'",
    ),
    case("shorter limits", "UPDATE retention_limit SET seconds = 0"),
    case("the stop switch unset", "UPDATE retention_purgeswitch SET is_stopped = false"),
    case("a request deleted", "DELETE FROM retention_deletionrequest"),
]
ERASURES = [
    case("an erasure deleted", "DELETE FROM retention_erasure"),
    case("erasures truncated", "TRUNCATE retention_erasure"),
    case("gone while held", on_account("due_held", GONE.format(xid=OWN, category="billing"))),
    case("gone with rows left", on_account("due", GONE.format(xid=OWN, category="billing"))),
    case(
        "gone before it is due",
        "DELETE FROM accounts_person WHERE account_id = '{closed}'",
        on_account("closed", GONE.format(xid=OWN, category="identity")),
    ),
    case("gone in another transaction", on_account("due", GONE.format(xid="1", category="identity"))),
    case(
        "gone in no transaction",
        on_account("due", GONE.format(xid="NULL", category="identity")),
        codes=STAYS | CONSTRAINT,
    ),
    case(
        "verified at once",
        "UPDATE retention_erasure SET state = 'verified' WHERE account_id = '{due}'",
        codes=STAYS | CONSTRAINT,
    ),
    case(
        "due earlier", "UPDATE retention_erasure SET due_at = now() - interval '90 days' WHERE account_id = '{closed}'"
    ),
    case("of another account", "UPDATE retention_erasure SET account_id = '{free}' WHERE account_id = '{due}'"),
    case(
        "of another category",
        "UPDATE retention_erasure SET category = 'legal' WHERE account_id = '{due}' AND category = 'billing'",
    ),
    case(
        "unreachable while due",
        "UPDATE retention_erasure SET unreachable_at = now() WHERE account_id = '{due}'",
    ),
    case("cancelled while closed", "UPDATE retention_erasure SET state = 'cancelled' WHERE account_id = '{closed}'"),
    case(
        "due again after it went",
        on_account("due", GONE.format(xid=OWN, category="identity")),
        "UPDATE retention_erasure SET state = 'due' WHERE account_id = '{due}' AND category = 'identity'",
    ),
    case(
        "another transaction after it went",
        on_account("due", GONE.format(xid=OWN, category="identity")),
        "UPDATE retention_erasure SET gone_xid = 1 WHERE account_id = '{due}' AND category = 'identity'",
    ),
    *(
        case(
            f"an erasure of {what}",
            "INSERT INTO retention_erasure (id, account_id, category, state, due_at, kept_for, counts, attempts, "
            f"last_error, gone_xid, rows_gone_at) VALUES (uuidv7(), '{{{who}}}', '{category}', '{state}', "
            f"now() {due}, '', '{{{{}}}}', 0, '', {gone})",
        )
        for what, who, category, state, due, gone in (
            ("an active account", "free", "billing", "due", "", "NULL, NULL"),
            ("a closed account before its time", "closed", "notices", "due", "", "NULL, NULL"),
            ("something gone already", "due", "notices", "gone", "", "1, now()"),
            ("a matter's category", "due", "legal", "due", "", "NULL, NULL"),
            ("mails", "due", "mail", "due", "", "NULL, NULL"),
        )
    ),
]
ACCOUNTS = [
    case("an account deleted", "DELETE FROM accounts_account WHERE id = '{free}'"),
    case("accounts truncated", "TRUNCATE accounts_account CASCADE"),
    case("another id", "UPDATE accounts_account SET id = '{nobody}' WHERE id = '{lone}'"),
    case("another number", "UPDATE accounts_account SET number = 'X' WHERE id = '{free}'"),
    case("another creation", "UPDATE accounts_account SET created_at = now() WHERE id = '{free}'"),
    case("an older epoch", "UPDATE accounts_account SET hold_epoch = hold_epoch - 1 WHERE id = '{held}'"),
    case("an epoch that overflows", "UPDATE accounts_account SET hold_epoch = 9223372036854775807 WHERE id = '{free}'"),
    case(
        "erased at once",
        "UPDATE accounts_account SET state = 'erased', closed_at = now(), due_at = now(), erased_at = now() "
        "WHERE id = '{free}'",
    ),
    case("erased while due", "UPDATE accounts_account SET state = 'erased', erased_at = now() WHERE id = '{due}'"),
    case(
        "closed without grace",
        "UPDATE accounts_account SET state = 'closed', closed_at = now(), due_at = now() WHERE id = '{free}'",
    ),
    case("due earlier", "UPDATE accounts_account SET due_at = now() WHERE id = '{closed}'"),
    case(
        "opened again while it goes",
        on_account("due", GONE.format(xid=OWN, category="identity")),
        "UPDATE accounts_account SET state = 'active', closed_at = NULL, due_at = NULL WHERE id = '{due}'",
    ),
    *(
        case(
            f"an account with the id of {whose}",
            "INSERT INTO accounts_account (id, number, state, created_at, hold_epoch) "
            f"VALUES ('{{{which}}}', 'X00000000001', 'active', now(), 0)",
        )
        for whose, which in (("a hold", "legal"), ("a member of staff", "rita"))
    ),
    case(
        "an account that begins at the last epoch",
        "INSERT INTO accounts_account (id, number, state, created_at, hold_epoch) "
        "VALUES (uuidv7(), 'X00000000002', 'active', now(), 9223372036854775807)",
    ),
]
RECORDS = [
    case("a ledger entry changed", "UPDATE safeguards_ledgerentry SET action = 'x'"),
    case("a ledger entry deleted", "DELETE FROM safeguards_ledgerentry"),
    case("the ledger truncated", "TRUNCATE safeguards_ledgerentry"),
    case(
        "a ledger entry whose hash is another's",
        "INSERT INTO safeguards_ledgerentry (id, at, actor, action, body, salt, leaf) "
        "VALUES (uuidv7(), now(), 'x', 'x', 'x', '\\x00', '\\x00')",
        codes=CONSTRAINT,
        control=False,
    ),
    case("an outbox row deleted", "DELETE FROM safeguards_outboxmessage"),
    case("the outbox truncated", "TRUNCATE safeguards_outboxmessage"),
    case("an outbox row with another event", "UPDATE safeguards_outboxmessage SET event = 'x' WHERE id = '{mail}'"),
    case(
        "an outbox row queued again",
        "UPDATE safeguards_outboxmessage SET state = 'sent', ended_at = now(), content = NULL WHERE id = '{mail}'",
        "UPDATE safeguards_outboxmessage SET state = 'queued', ended_at = NULL WHERE id = '{mail}'",
    ),
    case("kept versions read", "SELECT * FROM retention_keptversion"),
    case(
        "a kept version forged",
        "INSERT INTO retention_keptversion (account_id, category, table_name, row, kept_at) "
        "VALUES ('{held}', 'billing', 'x', '{{}}', now())",
    ),
    case("kept versions deleted", "DELETE FROM retention_keptversion"),
    case("kept versions truncated", "TRUNCATE retention_keptversion"),
    case("kept versions read by a customer", "SELECT read_kept_versions('{held}', '{customer}')"),
    case("the destruction secret read", "SELECT * FROM safeguards_destructionsecret"),
    case("an order of another key", "UPDATE safeguards_destructionorder SET subject = '{held}'"),
    case("an order deleted", "DELETE FROM safeguards_destructionorder"),
    case("migrations forged", "DELETE FROM django_migrations"),
]
KEYS = [
    case("a key deleted", "DELETE FROM keys_datakey WHERE subject = '{held}'"),
    case("a wrap deleted", "DELETE FROM keys_keywrap"),
    case("a wrap changed", "UPDATE keys_keywrap SET wrapped = '\\x00'"),
    case("a key called destroyed", "UPDATE keys_datakey SET destroyed_at = now() WHERE subject = '{held}'"),
    case("a key of another subject", "UPDATE keys_datakey SET subject = '{nobody}' WHERE subject = '{held}'"),
    case("keys truncated", "TRUNCATE keys_datakey CASCADE"),
    case("wraps truncated", "TRUNCATE keys_keywrap"),
    case(
        "a key that begins destroyed",
        "INSERT INTO keys_datakey (id, subject, category, created_at, destroyed_at) "
        "VALUES (uuidv7(), '{nobody}', 'billing', now(), now())",
    ),
    case(
        "a second key of the same subject",
        "INSERT INTO keys_datakey (id, subject, category, created_at) VALUES (uuidv7(), '{held}', 'billing', now())",
        codes=CONSTRAINT,
        control=False,
    ),
    case(
        "a key overwritten on conflict",
        "INSERT INTO keys_datakey (id, subject, category, created_at) VALUES (uuidv7(), '{held}', 'billing', now()) "
        "ON CONFLICT (subject, category) DO UPDATE SET destroyed_at = now()",
    ),
    case("the destruction secret read", "SELECT * FROM keys_destructionsecret"),
    case("a secret of one's own", "UPDATE keys_destructionsecret SET inner_pad = '\\x00', outer_pad = '\\x00'"),
    case("the destroying function replaced", "DROP FUNCTION destroy_keys(uuid[], text[], text, bytea)"),
    *(
        case(
            f"destroyed with {what}",
            f"SELECT destroy_keys(ARRAY['{{held}}']::uuid[], ARRAY['billing'], {minted}, {token})",
            control=False,
        )
        for what, minted, token in (
            ("a made-up token", "now()::text", "'\\xdeadbeef'"),
            ("no token", "now()::text", "NULL"),
            ("no time", "NULL", "'\\xdeadbeef'"),
            ("an empty secret", "now()::text", "sha256('' || sha256(''))"),
        )
    ),
    case(
        "destroyed without naming anything", "SELECT destroy_keys('{{}}', '{{}}', now()::text, '\\x00')", control=False
    ),
    case("a program run", "COPY keys_keywrap TO PROGRAM 'true'", control=False),
]
DATA = [*HOLDS, *ERASURES, *ACCOUNTS, *RECORDS]
EVERYTHING = [("default", one) for one in DATA] + [("keys", one) for one in KEYS]
IDS = [f"{alias}: {one.name}" for alias, one in EVERYTHING]


@pytest.fixture(scope="module")
def scene(django_db_setup: Stage, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """One clone for all cases, since none of them changes anything; the names the cases use, with their ids."""
    with django_db_blocker.unblock(), django_db_setup.clone():
        yield {name: str(value) for name, value in set_up().items()}


def set_up() -> dict[str, UUID]:
    """Furnish accounts in every state, with holds of every kind."""
    rita, lex = make_staff("rita", "legal"), make_staff("lex", "legal")
    held, free, closed = (furnish(make_customer(name)) for name in ("held", "free", "closed"))
    due, due_held = make_crowd(2)
    closing.close(closed.account_id, by=closed, submission=uuid7())
    legal = placing.place(held.account_id, "legal", by=rita.actor, matter="A matter")
    placing.place(due_held, "legal", by=rita.actor)
    pause = placing.place(held.account_id, "operations", by=rita.actor)
    releasing.end_pause(pause.pk, by=rita)
    dispute = disputing.open_dispute(
        held.account_id, processor="trial", reference="dp_1", amount_cents=500, by=rita.actor
    )
    owing = make_customer("owing")
    owe(owing)
    agreement = placing.place(owing.account_id, "agreement", by="system", told=True)
    with connect() as runtime:
        runtime.execute("UPDATE accounts_contact SET name = name WHERE account_id = %s", [held.account_id])
        one = runtime.execute("SELECT id FROM retention_hold WHERE cause = %s", [dispute.pk]).fetchone()
        mail = runtime.execute("SELECT id FROM safeguards_outboxmessage WHERE state = 'queued'").fetchone()
        lone = runtime.execute(
            "INSERT INTO accounts_account (id, number, state, created_at, hold_epoch) "
            "VALUES (uuidv7(), 'LONE00000001', 'active', now(), 0) RETURNING id"
        ).fetchone()
        runtime.execute(
            "INSERT INTO safeguards_destructionorder (id, subject, categories) VALUES (uuidv7(), %s, '{identity}')",
            [due],
        )
        runtime.execute(
            "INSERT INTO retention_purgeswitch (id, category, is_stopped, set_by, set_at) "
            "VALUES (uuidv7(), 'legal', true, 'system', now())"
        )
    # One category has no erasure yet, so that a wrong one of it can be tried: only the owner can arrange that.
    with connect("default", SUPERUSER) as admin:
        admin.execute("ALTER TABLE retention_erasure DISABLE TRIGGER USER")
        admin.execute("DELETE FROM retention_erasure WHERE category = 'notices'")
        for trigger in ("z_guard_erasure_insert", "z_guard_erasure_update", "z_guard_evidence"):
            admin.execute(f"ALTER TABLE retention_erasure ENABLE ALWAYS TRIGGER {trigger}")
    asked = placing.place(free.account_id, "legal", by=rita.actor, categories=["support"])
    releasing.ask(asked.pk, by=rita, reason="settled")
    assert one and mail and lone
    return {
        "rita": rita.pk,
        "lex": lex.pk,
        "customer": free.pk,
        "nobody": uuid4(),
        "release": uuid4(),
        "held": held.account_id,
        "free": free.account_id,
        "closed": closed.account_id,
        "due": due,
        "due_held": due_held,
        "lone": lone[0],
        "legal": legal.pk,
        "ended": pause.pk,
        "dispute": dispute.pk,
        "of_dispute": one[0],
        "of_agreement": agreement.pk,
        "mail": mail[0],
    }


def filled(one: Case, scene: dict[str, str]) -> list[str]:
    return [statement.format(**scene) for statement in one.sql]


@pytest.mark.parametrize(("alias", "one"), EVERYTHING, ids=IDS)
def test_it_is_refused(scene: dict[str, str], alias: str, one: Case) -> None:
    *before, last = filled(one, scene)
    with connect(alias) as runtime:
        runtime.execute("BEGIN")
        for statement in before:
            runtime.execute(statement.encode())
        with pytest.raises(psycopg.Error) as refusal:
            runtime.execute(last.encode())
        runtime.execute("ROLLBACK")
    assert refusal.value.sqlstate in one.codes, refusal.value


@pytest.mark.parametrize(
    ("alias", "one"),
    [pair for pair in EVERYTHING if pair[1].control],
    ids=[name for name, (_, one) in zip(IDS, EVERYTHING, strict=True) if one.control],
)
def test_control_it_succeeds_without_guards_and_with_every_right(scene: dict[str, str], alias: str, one: Case) -> None:
    with connect(alias, SUPERUSER) as admin:
        admin.execute("BEGIN")
        without_triggers(admin, "z_guard%")
        without_checks(admin)
        for statement in filled(one, scene):
            changed = admin.execute(statement.encode())
        if changed.statusmessage and changed.statusmessage.split()[0] in {"DELETE", "UPDATE", "INSERT"}:
            assert changed.rowcount > 0, changed.statusmessage
        admin.execute("ROLLBACK")


def without_checks(admin: Connection) -> None:
    """Drop what else stands in the way: check constraints, and the reader's check in its function."""
    for name, table in admin.execute(
        "SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE contype IN ('c', 'f') "
        "AND connamespace = 'public'::regnamespace"
    ).fetchall():
        admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    found = admin.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'read_kept_versions'").fetchone()
    if found:
        admin.execute(found[0].replace("AND u.is_staff", "").replace("u.is_active", "true"))


# --------------------------------------------------------------------------------------------- who releases alone


@pytest.mark.usefixtures("committed")
def test_one_person_with_two_forged_names_is_held_off_by_the_cool_off(
    owner: Connection, runtime: Connection, rita: User, lex: User
) -> None:
    [account] = make_crowd(1)
    hold = placing.place(account, "legal", by=rita.actor)
    names = {"release": str(uuid4()), "legal": str(hold.pk), "rita": str(rita.pk), "lex": str(lex.pk)}
    before = covered_rows(owner, [account])
    forged = [ASK, APPROVE.format(by="{lex}"), RELEASE.format(hold="{legal}")]
    assert attack(runtime, [statement.format(**names) for statement in forged]) == []
    released = runtime.execute(
        "SELECT released_at IS NOT NULL, covers_until - released_at FROM retention_hold"
    ).fetchone()
    assert released is not None and released[0] and released[1] >= 0.99 * DAY
    # Neither by SQL nor by the purge does anything go before the alarm had its time.
    assert attack(runtime, [f"DELETE FROM accounts_paymentmethod WHERE account_id = '{account}'"]) == ["PH001"]
    purge.ring()
    assert covered_rows(owner, [account]) == before
    # Control: once the cool-off is over, the same hold does not cover any more.
    without_triggers(owner, "z_guard_hold")
    owner.execute("UPDATE retention_hold SET covers_until = now()")
    assert attack(runtime, [f"DELETE FROM accounts_paymentmethod WHERE account_id = '{account}'"]) == []


@pytest.mark.usefixtures("committed")
def test_a_time_claimed_for_a_release_is_not_believed(runtime: Connection, rita: User, lex: User) -> None:
    [account] = make_crowd(1)
    hold = placing.place(account, "legal", by=rita.actor)
    names = {"release": str(uuid4()), "legal": str(hold.pk), "rita": str(rita.pk), "lex": str(lex.pk)}
    long_ago = RELEASE.format(hold="{legal}").replace("now()", "'2001-01-01'")
    attack(runtime, [statement.format(**names) for statement in (ASK, APPROVE.format(by="{lex}"), long_ago)])
    row = runtime.execute("SELECT released_at > now() - interval '1 minute' FROM retention_hold").fetchone()
    assert row == (True,)


# --------------------------------------------------------------------------------------------- keys


def orders_for(runtime: Connection, account: UUID, *categories: str) -> str:
    row = runtime.execute(
        "INSERT INTO safeguards_destructionorder (id, subject, categories) VALUES (uuidv7(), %s, %s) RETURNING id",
        [account, list(categories)],
    ).fetchone()
    assert row is not None
    return str(row[0])


def mint(runtime: Connection, *orders: str) -> tuple[str, bytes | None, list[UUID] | None]:
    row = runtime.execute("SELECT minted, token, allowed FROM mint_destruction(%s::uuid[])", [list(orders)]).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def erase_category(runtime: Connection, account: UUID, category: str = "billing") -> None:
    runtime.execute("DELETE FROM accounts_paymentmethod WHERE account_id = %s", [account])
    runtime.execute(GONE.format(xid=OWN, category=category).replace("{account}", str(account)).replace("{{", "{"))


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("under", ["", "SAVEPOINT s"])
def test_no_token_is_minted_by_the_transaction_that_erases(runtime: Connection, under: str) -> None:
    [account] = make_crowd(1)
    runtime.execute("BEGIN")
    if under:
        runtime.execute(under)
    erase_category(runtime, account)
    order = orders_for(runtime, account, "billing")
    assert mint(runtime, order)[1:] == (None, None)
    if under:
        runtime.execute("ROLLBACK TO s")
        order = orders_for(runtime, account, "billing")
        assert mint(runtime, order)[1:] == (None, None)
    runtime.execute("ROLLBACK")
    order = orders_for(runtime, account, "billing")
    assert mint(runtime, order)[1:] == (None, None)
    # Control: committed, a later transaction gets one.
    runtime.execute("BEGIN")
    erase_category(runtime, account)
    runtime.execute("COMMIT")
    assert mint(runtime, order)[2] == [UUID(order)]


@pytest.mark.usefixtures("committed")
def test_no_token_is_minted_while_the_erasing_transaction_is_open_or_after_a_later_one_ended(
    runtime: Connection,
) -> None:
    [account, another] = make_crowd(2)
    order = orders_for(runtime, account, "billing")
    runtime.execute("BEGIN")
    erase_category(runtime, account)
    with connect() as beside:
        beside.execute("UPDATE retention_erasure SET attempts = 1 WHERE account_id = %s", [another])
        assert mint(beside, order)[1:] == (None, None)
    assert mint(runtime, order)[1:] == (None, None)
    runtime.execute("ROLLBACK")


@pytest.mark.usefixtures("committed")
def test_a_token_serves_its_own_keys_only_and_expires(
    runtime: Connection, keys_runtime: Connection, keys_owner: Connection
) -> None:
    held = furnish(make_customer("held")).account_id
    placing.place(held, "legal", by="system")
    [account] = make_crowd(1)
    runtime.execute("BEGIN")
    erase_category(runtime, account)
    runtime.execute("COMMIT")
    minted, token, _ = mint(runtime, orders_for(runtime, account, "billing"), orders_for(runtime, held, "billing"))
    destroy = "SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)"
    for subjects, categories, time in (
        ([held], ["billing"], minted),
        ([account, held], ["billing", "billing"], minted),
        ([account], ["contact"], minted),
        ([account], ["billing"], timezone.now().isoformat()),
        ([account], [f"billing,{held}:billing"], minted),
    ):
        with pytest.raises(psycopg.Error) as refusal:
            keys_runtime.execute(destroy, [subjects, categories, time, token])
        assert refusal.value.sqlstate == "PH001"
    keys_runtime.execute(destroy, [[account], ["billing"], minted, token])
    # A second use finds nothing more to destroy.
    assert keys_runtime.execute(destroy, [[account], ["billing"], minted, token]).fetchone() == (0,)
    left = keys_owner.execute(
        "SELECT count(*) FROM keys_datakey k JOIN keys_keywrap w ON w.key_id = k.id WHERE k.subject = %s", [held]
    ).fetchone()
    assert left is not None and left[0] >= 5
    old = f"{timezone.now() - DAY / 120:%Y-%m-%dT%H:%M:%S.%fZ}"
    for time, code in ((old, "PH001"), (f"{timezone.now():%Y-%m-%dT%H:%M:%S.%fZ}", None)):
        forged = token_for(keys_owner, time, [(held, "support")])
        if code:
            with pytest.raises(psycopg.Error) as refusal:
                keys_runtime.execute(destroy, [[held], ["support"], time, forged])
            assert refusal.value.sqlstate == code
        else:  # control: only who knows the secret can forge one
            assert keys_runtime.execute(destroy, [[held], ["support"], time, forged]).fetchone() == (1,)


def token_for(keys_owner: Connection, minted: str, pairs: list[tuple[UUID, str]]) -> bytes:
    """Make a token as the main database does, with the secret only the owner can read."""
    row = keys_owner.execute("SELECT inner_pad, outer_pad FROM keys_destructionsecret").fetchone()
    assert row is not None
    message = f"{minted}|" + ",".join(f"{subject}:{category}" for subject, category in sorted(pairs))
    inner = hashlib.sha256(bytes(row[0]) + message.encode()).digest()
    return hashlib.sha256(bytes(row[1]) + inner).digest()


@pytest.mark.usefixtures("committed")
def test_a_token_looks_no_younger_under_another_notation_of_times(
    runtime: Connection, keys_runtime: Connection
) -> None:
    [account] = make_crowd(1)
    runtime.execute("BEGIN")
    erase_category(runtime, account)
    runtime.execute("COMMIT")
    runtime.execute("SET datestyle = 'SQL, DMY'; SET timezone = 'Etc/GMT-14'")
    minted, _, _ = mint(runtime, orders_for(runtime, account, "billing"))
    keys_runtime.execute("SET datestyle = 'SQL, MDY'; SET timezone = 'Etc/GMT+12'")
    age = keys_runtime.execute("SELECT abs(extract(epoch FROM clock_timestamp() - %s::timestamptz)) < 60", [minted])
    assert age.fetchone() == (True,)


@pytest.mark.usefixtures("committed")
def test_a_destroyed_key_is_never_made_again(
    runtime: Connection, keys_runtime: Connection, keys_owner: Connection
) -> None:
    alice = furnish(make_customer("alice"))
    contact = Contact.objects.filter(account_id=alice.account_id).first()
    assert contact is not None
    now = f"{timezone.now():%Y-%m-%dT%H:%M:%S.%fZ}"
    token = token_for(keys_owner, now, [(alice.account_id, "contact")])
    keys_runtime.execute(
        "SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)", [[alice.account_id], ["contact"], now, token]
    )
    with keyring() as ring, pytest.raises(KeyDestroyed):
        ring.for_writing((alice.account_id, "contact"))
    with keyring(), pytest.raises(KeyDestroyed):
        Contact.objects.filter(pk=contact.pk).values_list("email").first()
        assert Contact.objects.get(pk=contact.pk).email
    key = keys_runtime.execute("SELECT id FROM keys_datakey WHERE category = 'contact'").fetchone()
    assert key is not None
    for statement, codes in (
        (
            "INSERT INTO keys_keywrap (id, key_id, kek, wrapped, made_at) "
            "VALUES (uuidv7(), '{key}', 'x', '\\x00', now())",
            STAYS,
        ),
        (
            "INSERT INTO keys_datakey (id, subject, category, created_at) "
            "VALUES (uuidv7(), '{account}', 'contact', now())",
            CONSTRAINT,
        ),
    ):
        with pytest.raises(psycopg.Error) as refusal:
            keys_runtime.execute(statement.format(key=key[0], account=alice.account_id).encode())
        assert refusal.value.sqlstate in codes


@pytest.mark.usefixtures("committed")
def test_a_matters_key_cannot_be_destroyed_by_an_account_of_the_same_id(
    owner: Connection, runtime: Connection, rita: User
) -> None:
    """An account made with a hold's id could be closed, erased and its 'legal' key, the matter's, destroyed."""
    hold = placing.place(make_crowd(1)[0], "legal", by=rita.actor, matter="Smith v. Jones")
    make = (
        f"INSERT INTO accounts_account (id, number, state, created_at, hold_epoch) "
        f"VALUES ('{hold.pk}', 'X00000000009', 'active', now(), 0)"
    )
    assert attack(runtime, [make]) == ["PH003"]
    # Control: an account of that id is all it takes to have an erasure of a category that is no matter's.
    without_triggers(owner, "z_guard_account")
    close = (
        "UPDATE accounts_account SET state = 'closed', closed_at = now() - interval '31 days', "
        f"due_at = now() - interval '1 day' WHERE id = '{hold.pk}'"
    )
    erasure = (
        "INSERT INTO retention_erasure "
        "(id, account_id, category, state, due_at, kept_for, counts, attempts, last_error) "
        f"VALUES (uuidv7(), '{hold.pk}', 'CATEGORY', 'due', now() - interval '1 day', '', '{{}}', 0, '')"
    )
    assert attack(runtime, [make, close, erasure.replace("CATEGORY", "notices")]) == []
    assert attack(runtime, [erasure.replace("CATEGORY", "legal")]) == ["PH003"]
