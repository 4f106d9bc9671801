"""`manage.py purge`: a preview by default, its exit codes, and who stands in front of whom."""

from __future__ import annotations

import io
import json
import signal
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import datamap
from accounts.models import Account, User
from retention import placing, purge, switching
from retention.management.commands.purge import DONE, ERROR, PARTLY, USAGE, WAITS, Command
from retention.models import Erasure, Stage
from tests.crowd import make_crowd, rows_left

pytestmark = pytest.mark.usefixtures("committed")


def run(*arguments: str) -> tuple[int, str, str]:
    """Return (exit code, standard output, standard error)."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises((SystemExit, CommandError)) as ended:
        call_command("purge", *arguments, stdout=out, stderr=err)
    error = ended.value
    code = error.returncode if isinstance(error, CommandError) else error.code
    return code, out.getvalue(), err.getvalue() + (str(error) if isinstance(error, CommandError) else "")


def facts(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, said, _ = run(*arguments, "--apply", "--no-input", "--json")
    return code, json.loads(said)


def number_of(account: Any) -> str:
    return Account.objects.get(pk=account).number


def test_without_apply_nothing_is_changed() -> None:
    [account] = make_crowd(1)
    before = rows_left([account])

    code, said, hint = run()

    assert code == DONE and number_of(account) in said and f"would be erased: {len(datamap.categories())}" in said
    assert "Nothing was changed" in hint and rows_left([account]) == before


def test_what_is_held_waits_and_is_said_by_the_exit_code(rita: User) -> None:
    [account] = make_crowd(1)
    placing.place(account, "legal", by=rita.actor, categories=["access"])

    code, said, _ = run()
    assert code == WAITS and "waiting: 1" in said

    code, done = facts()
    assert (code, done["done"], done["waiting"], done["failed"]) == (WAITS, 1, 1, 0)
    assert set(rows_left([account])) == {(account, "access"), (account, "contact")}


def test_accounts_that_wait_do_not_stand_in_front_of_free_ones(rita: User) -> None:
    held, free = sorted(make_crowd(2))
    placing.place(held, "legal", by=rita.actor)
    purge.erase([held])

    _, done = facts("--limit", "1")

    assert done["done"] == 1 and rows_left([free]) == {} and rows_left([held])


def test_one_account_by_its_number() -> None:
    one, other = make_crowd(2)

    code, done = facts("--account", number_of(one))

    assert (code, done["done"]) == (DONE, 1)
    assert rows_left([one]) == {} and rows_left([other])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--limit", "0"), "--limit is a number from 1 to 500"),
        (("--limit", "1000000"), "--limit is a number from 1 to 500"),
        (("--account", "000"), "There is no account 000"),
        (("--apply",), "add --no-input"),
    ],
)
def test_wrong_use_is_told_and_changes_nothing(arguments: tuple[str, ...], sentence: str) -> None:
    [account] = make_crowd(1)
    before = rows_left([account])

    code, _, said = run(*arguments)

    assert code == USAGE and sentence in said and rows_left([account]) == before


@pytest.mark.parametrize(("typed", "code"), [("purge", DONE), ("yes", USAGE), ("", USAGE)])
def test_on_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    [account] = make_crowd(1)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: typed)

    assert run("--apply")[0] == code
    assert (rows_left([account]) == {}) == (code == DONE)


def test_a_stop_switch_is_an_error(rita: User) -> None:
    [account] = make_crowd(1)
    switching.stop("", by=rita)

    code, _, said = run("--apply", "--no-input")

    assert code == ERROR and "stop switch" in said and rows_left([account])


def test_ctrl_c_stops_at_a_batch_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = make_crowd(45)
    ring = purge.ring

    def ring_and_press(**options: Any) -> purge.Tally:
        tally = ring(**options)
        signal.raise_signal(signal.SIGINT)
        return tally

    monkeypatch.setattr(purge, "ring", ring_and_press)
    code, said, hint = run("--apply", "--no-input")
    assert code == PARTLY and "goes on" in hint and "done: 20 " in said

    monkeypatch.setattr(purge, "ring", ring)
    assert run("--apply", "--no-input")[0] == DONE
    assert not Erasure.objects.filter(account_id__in=accounts, state=Stage.DUE).exists()


def test_one_account_that_fails_leaves_it_partly_done(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_crowd(2)
    erase = purge.erase

    def spoiled(ids: Any, *args: Any, **kwargs: Any) -> purge.Tally:
        if first in ids:
            raise RuntimeError("spoiled")
        return erase(ids, *args, **kwargs)

    monkeypatch.setattr(purge, "erase", spoiled)

    code, done = facts()

    assert (code, done["done"], done["failed"]) == (PARTLY, 1, 1)
    assert rows_left([first]) and rows_left([second]) == {}


def test_every_tenth_is_told_where_no_bar_can_be_drawn() -> None:
    make_crowd(45)

    _, _, said = run("--apply", "--no-input")

    assert [line for line in said.splitlines() if line] == [f"{n} of 45 accounts" for n in (20, 40, 45)]


def test_the_codes_are_the_documented_ones() -> None:
    assert (DONE, ERROR, USAGE, WAITS, PARTLY) == (0, 1, 2, 3, 4)
    assert "erasures" in Command.help
