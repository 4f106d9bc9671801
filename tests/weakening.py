"""Guards made wrong on purpose, by their owner, in a test's own databases: for the controls of races and attacks."""

from __future__ import annotations

from tests.servers import Connection

EPOCH = (
    "UPDATE public.accounts_account a SET hold_epoch = a.hold_epoch + 1 WHERE a.id = NEW.account_id\n"
    "        RETURNING a.state INTO account_state;"
)
READ = "SELECT a.state INTO account_state FROM public.accounts_account a WHERE a.id = NEW.account_id"


def without_lock_in_holds(owner: Connection) -> None:
    """The hold's trigger reads the account instead of locking it."""
    replace_in_function(owner, "guard_hold", EPOCH, f"{READ};")


def without_lock_in(owner: Connection, *functions: str) -> None:
    """These guards look without locking first."""
    for function in functions:
        for strength in ("FOR UPDATE", "FOR NO KEY UPDATE"):
            line = f"PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id {strength};"
            if line in source_of(owner, function):
                replace_in_function(owner, function, line, "")


def without_triggers(owner: Connection, name: str) -> None:
    """Every trigger of this name is dropped; "%" stands for anything."""
    found = owner.execute(
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE %s AND NOT tgisinternal", [name]
    ).fetchall()
    assert found
    for trigger, table in found:
        owner.execute(f"DROP TRIGGER {trigger} ON {table}")


def source_of(owner: Connection, function: str) -> str:
    """Return the statement that made a function."""
    row = owner.execute("SELECT pg_get_functiondef(%s::regproc)", [f"public.{function}"]).fetchone()
    assert row is not None
    return str(row[0])


def replace_in_function(owner: Connection, function: str, old: str, new: str) -> None:
    """Replace a part of a function's body, which must be there."""
    source = source_of(owner, function)
    assert old in source, f"{function} does not read like this any more"
    owner.execute(source.replace(old, new))
