"""Staff and their roles, made and changed by the operator."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.appointing import appoint
from accounts.errors import NotActionable
from accounts.management.commands import staff
from accounts.models import Session, User
from accounts.roles import Role, may, roles_of
from accounts.safeguards.models import LedgerEntry
from accounts.signing_in import find
from tests.cast import open_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Answer what the command asks for."""
    answers = {"Name: ": "Nora New", "E-mail address: ": "nora@staff.example"}
    secrets = {"Password: ": "correct horse battery", "Password again: ": "correct horse battery"}
    monkeypatch.setattr("builtins.input", answers.__getitem__)
    monkeypatch.setattr(staff, "getpass", secrets.__getitem__)
    return secrets


def test_new_roles_replace_the_old_ones(sam: User) -> None:
    appoint(sam.pk, [Role.BILLING, Role.AUDITOR])

    found = User.objects.get(pk=sam.pk)
    assert roles_of(found) == {Role.BILLING, Role.AUDITOR}
    assert not may(found, "accounts.reply_ticket")


def test_a_change_of_roles_ends_every_session_and_is_entered(sam: User) -> None:
    open_session(sam)

    appoint(sam.pk, [])

    entry = LedgerEntry.objects.get(action="staff.appointed")
    assert not Session.objects.filter(user=sam.pk).exists()
    assert (entry.subject, '"roles":[]' in entry.body) == (sam.pk, True)


def test_customers_get_no_roles(alice: User) -> None:
    with pytest.raises(NotActionable):
        appoint(alice.pk, [Role.LEGAL])

    assert not alice.groups.exists()


def test_the_command_makes_staff_and_asks_for_what_is_personal(typed: Any) -> None:
    out = StringIO()

    call_command("staff", "nora", "--role", "legal", stdout=out)

    user = find("nora")
    assert user is not None
    assert roles_of(user) == {Role.LEGAL}
    assert user.check_password(typed["Password: "])
    assert "nora" not in out.getvalue()


def test_the_command_changes_the_roles_of_who_is_there(sam: User) -> None:
    call_command("staff", "sam", "--role", "billing", stdout=StringIO())

    assert roles_of(User.objects.get(pk=sam.pk)) == {Role.BILLING}


@pytest.mark.parametrize(("first", "again"), [("correct horse battery", "another horse"), ("short", "short")])
def test_a_bad_password_makes_nobody(typed: Any, first: str, again: str) -> None:
    typed |= {"Password: ": first, "Password again: ": again}

    with pytest.raises(CommandError):
        call_command("staff", "nora", "--role", "legal")

    assert find("nora") is None
