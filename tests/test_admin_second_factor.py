"""Nobody enters the staff pages without a second factor: led to set one up, asked for it, let in by it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts import checks, factors
from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from chicagocloud.adminsite import PortalAdminSite
from tests.admin_walk import make_world, pages, rooms
from tests.cast import PASSWORD, make_staff
from tests.visiting import entered, words

pytestmark = pytest.mark.usefixtures("committed")
INDEX = "/admin/"


def by_password(user: str) -> Client:
    """Return a browser after the sign-in page, whatever it led to."""
    visitor = Client()
    visitor.post(reverse("account_login"), {"login": user, "password": PASSWORD})
    return visitor


def code(secret: str, later: int = 0) -> str:
    """Return the code of an app now, or some periods later: each is taken once."""
    return factors.code_of(secret, time.time() + later * factors.PERIOD)


def test_staff_without_a_factor_are_led_to_set_one_up_and_nothing_else_opens():
    world = make_world()
    visitor = by_password(world.staff["legal"].identifiers.get(kind="username").value)

    wanted = [INDEX, reverse("admin:find"), reverse("admin:login")]
    wanted += [url for room in rooms() for url in pages(room, world.staff["legal"])]
    led = [(url, visitor.get(url)) for url in wanted]

    assert len(led) > 40
    assert [url for url, answer in led if answer.status_code != 302] == []
    assert {answer["Location"].partition("?")[0] for _, answer in led} == {reverse("mfa_index")}
    assert "Set up a second step first" in words(visitor.get(reverse("mfa_index")))


def test_a_post_to_the_staff_pages_does_nothing_without_a_factor():
    world = make_world()
    visitor = by_password(world.staff["support"].identifiers.get(kind="username").value)
    entries = LedgerEntry.objects.count()

    answer = visitor.post(reverse("admin:find"), {"wanted": world.account.number})

    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, reverse("mfa_index"))
    assert LedgerEntry.objects.count() == entries


def test_staff_set_up_an_app_and_enter(rita: User):
    visitor = by_password("rita")
    page = visitor.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret

    done = visitor.post(reverse("mfa_activate_totp"), {"code": code(secret)})
    asked = visitor.get(INDEX)
    confirmed = visitor.post(asked["Location"], {"code": code(secret), "next": INDEX})

    assert done["Location"] == reverse("mfa_view_recovery_codes")
    assert asked["Location"].partition("?")[0] == reverse("mfa_reauthenticate")
    assert confirmed["Location"] == INDEX
    assert visitor.get(INDEX).status_code == 200


def test_signing_in_with_a_factor_is_asked_for_it_and_enters(rita: User):
    given = factors.reset(rita.pk)
    visitor = Client()

    first = visitor.post(reverse("account_login"), {"login": "rita", "password": PASSWORD, "next": INDEX})
    between = visitor.get(INDEX)
    second = visitor.post(reverse("mfa_authenticate"), {"code": code(given.secret)})

    assert first["Location"] == reverse("mfa_authenticate")
    assert between["Location"].startswith(reverse("account_login"))
    assert second["Location"] == INDEX
    assert visitor.get(INDEX).status_code == 200


def test_a_session_without_the_factor_is_asked_for_it(rita: User):
    visitor = by_password("rita")
    given = factors.reset(rita.pk)
    visitor.force_login(rita)

    asked = visitor.get(INDEX)
    wrong = visitor.post(asked["Location"], {"code": "000000"})
    still = visitor.get(INDEX)
    right = visitor.post(asked["Location"], {"code": given.codes[0]})

    assert asked["Location"] == f"{reverse('mfa_reauthenticate')}?next={INDEX}"
    assert (wrong.status_code, still.status_code) == (200, 302)
    assert right["Location"] == INDEX
    assert visitor.get(INDEX).status_code == 200


def test_removing_the_factor_closes_the_staff_pages_here_and_elsewhere(rita: User):
    given = factors.reset(rita.pk)
    here, elsewhere = entered(Client(), rita), entered(Client(), rita)
    assert (here.get(INDEX).status_code, elsewhere.get(INDEX).status_code) == (200, 200)

    here.post(reverse("mfa_deactivate_totp"))

    assert given.codes
    assert not Authenticator.objects.filter(user=rita).exists()
    assert here.get(INDEX)["Location"].partition("?")[0] == reverse("mfa_index")
    assert elsewhere.get(INDEX)["Location"].startswith(reverse("account_login"))


def test_the_cast_signs_in_as_a_typed_sign_in_does(rita: User):
    given = factors.reset(rita.pk)
    typed = by_password("rita")
    typed.post(reverse("mfa_authenticate"), {"code": code(given.secret)})

    facts = [facts_of(visitor) for visitor in (typed, entered(Client(), rita))]

    assert facts[0] == facts[1] == [("password", None), ("mfa", "totp")]


def facts_of(visitor: Client) -> list[tuple[Any, Any]]:
    noted = visitor.session[AUTHENTICATION_METHODS_SESSION_KEY]
    return [(record["method"], record.get("type")) for record in noted]


def test_somebody_elses_proof_counts_for_nobody(rita: User, lex: User):
    visitor = entered(Client(), rita)
    session = visitor.session
    session["_auth_user_id"] = str(lex.pk)
    session["_auth_user_hash"] = lex.get_session_auth_hash()
    session.save()

    assert visitor.get(INDEX).status_code == 302


def test_production_is_let_through_because_the_admin_asks():
    assert checks.check_second_factor() == []


@pytest.mark.parametrize("broken", ["asks nothing", "opens to nobody"])
def test_an_admin_that_does_not_ask_is_refused_for_production(broken: str, monkeypatch: pytest.MonkeyPatch):
    """Negative control: without the question, or with one that nobody can answer, E900 is there."""
    stock = admin.AdminSite.has_permission if broken == "asks nothing" else lambda self, request: False
    monkeypatch.setattr(PortalAdminSite, "has_permission", stock)

    assert [error.id for error in checks.check_second_factor()] == ["accounts.E900"]


def test_without_the_question_the_walk_above_sees_open_pages(monkeypatch: pytest.MonkeyPatch):
    """Negative control: the stock site lets a password in."""
    make_staff("open", "legal")
    visitor = by_password("open")
    monkeypatch.setattr(PortalAdminSite, "has_permission", admin.AdminSite.has_permission)

    assert visitor.get(INDEX).status_code == 200


def test_the_operator_gives_staff_a_new_factor(rita: User, capsys: pytest.CaptureFixture[str]):
    old = factors.reset(rita.pk)
    visitor = entered(Client(), rita)

    call_command("staff", "rita", "--second-factor")

    printed = capsys.readouterr().out
    secret = printed.partition("app: ")[2].split()[0]
    entry = LedgerEntry.objects.filter(action="factor.changed").latest("at")
    rita.refresh_from_db()
    assert secret != old.secret and f"secret={secret}" in printed
    assert secret not in entry.body and '"reset"' in entry.body
    assert visitor.get(INDEX)["Location"].startswith(reverse("account_login"))
    assert [group.name for group in rita.groups.all()] == ["legal"]
    assert rita.secured_at is not None
    again = by_password("rita")
    assert again.post(reverse("mfa_authenticate"), {"code": old.codes[0]}).status_code == 200
    assert again.post(reverse("mfa_authenticate"), {"code": code(secret)}).status_code == 302


def test_codes_are_shown_in_a_trial_only(rita: User, settings: Any, capsys: pytest.CaptureFixture[str]):
    given = factors.reset(rita.pk)
    settings.TRIAL = True
    call_command("staff_code", "rita")
    shown = capsys.readouterr().out.strip()
    assert shown in {code(given.secret), code(given.secret, -1)}

    settings.TRIAL = False
    with pytest.raises(Exception, match="in a trial only"):
        call_command("staff_code", "rita")
