"""Passkeys in a real browser with a virtual authenticator: added, signed in with, confirmed with; and life without.

Chromium's own virtual authenticator answers through the browser's passkey calls (CDP, domain WebAuthn), so the page's
script, its policy and the portal's checks are the real ones. Passkeys need a host name: the portal is asked for as
"localhost".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse
from playwright.sync_api import BrowserContext, expect

from accounts import factors
from accounts.models import AccessEvent, User
from tests.browsing import Visitor
from tests.cast import PASSWORD
from tests.passkeys import give_passkey
from tests.servers import Portal

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]
NewContext = Callable[..., BrowserContext]
OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def origin(start_portal: Callable[..., Portal]) -> str:
    return start_portal(PORTAL_ORIGIN="http://localhost").url.replace("127.0.0.1", "localhost")


def with_authenticator(visitor: Visitor) -> Visitor:
    """Plug a virtual authenticator into the browser."""
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": OPTIONS})
    return visitor


def press(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def type_password(visitor: Visitor, who: str) -> None:
    visitor.go("/sign-in/")
    visitor.page.get_by_label("E-mail, user name or account number").fill(who)
    visitor.page.get_by_label("Password").fill(PASSWORD)
    press(visitor, "Sign in")


def heading(visitor: Visitor, words: str) -> None:
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(words)


def test_a_passkey_is_added_and_signs_in_and_confirms(new_context: NewContext, origin: str, alice: User) -> None:
    visitor = with_authenticator(Visitor(new_context(), origin))
    type_password(visitor, "alice")

    visitor.go("/settings/security/passkeys/add/")
    visitor.page.get_by_label("Name of the passkey").fill("My laptop")
    press(visitor, "Add the passkey")
    heading(visitor, "Your recovery codes")
    assert visitor.page.locator("main code").count() == 10
    assert Authenticator.objects.get(type="webauthn").wrap().name == "My laptop"

    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_load_state()
    visitor.go("/sign-in/?next=/settings/security/passkeys/")
    press(visitor, "Sign in by passkey")
    heading(visitor, "Your passkeys")
    assert "My laptop" in visitor.main() and "Last used on" in visitor.main()

    visitor.go("/sign-in/confirm/passkey/?next=/settings/")
    press(visitor, "Confirm by passkey")
    heading(visitor, "Your settings")
    assert [event.kind for event in AccessEvent.objects.filter(user=alice.pk).order_by("at")].count("sign_in") == 2
    assert visitor.complaints() == []


def test_a_passkey_is_the_second_step_after_the_password(new_context: NewContext, origin: str, rita: User) -> None:
    visitor = with_authenticator(Visitor(new_context(), origin))
    type_password(visitor, "rita")
    visitor.go("/admin/")
    heading(visitor, "Sign-in and security")
    assert "Set up a second step first" in visitor.main()
    visitor.go("/settings/security/passkeys/add/")
    press(visitor, "Add the passkey")
    heading(visitor, "Your recovery codes")
    visitor.page.context.clear_cookies()

    type_password(visitor, "rita")
    heading(visitor, "Second sign-in step")
    press(visitor, "Sign in by passkey")
    visitor.page.wait_for_url(re.compile("/admin/$"))

    assert visitor.status == 200
    assert visitor.complaints() == []


def test_a_browser_that_does_not_answer_is_told_so(new_context: NewContext, origin: str, alice: User) -> None:
    give_passkey(alice)
    visitor = with_authenticator(Visitor(new_context(), origin))
    visitor.go("/sign-in/")

    press(visitor, "Sign in by passkey")

    told = visitor.page.get_by_text("Your browser did not finish with a passkey.")
    expect(told).to_be_visible()
    assert visitor.path == "/sign-in/"


def test_without_scripting_password_and_recovery_code_do(new_context: NewContext, origin: str, alice: User) -> None:
    _, row = give_passkey(alice)
    codes = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()
    visitor = Visitor(new_context(java_script_enabled=False), origin)
    visitor.go("/sign-in/")
    assert "Passkeys need scripting in your browser." in visitor.main()
    assert not visitor.page.get_by_role("button", name="Sign in by passkey").is_visible()

    type_password(visitor, "alice")
    heading(visitor, "Second sign-in step")
    visitor.page.get_by_label("Code of your app, or a recovery code").fill("00000000")
    press(visitor, "Sign in")
    expect(visitor.page.get_by_role("alert")).to_contain_text("That did not match.")
    visitor.page.get_by_label("Code of your app, or a recovery code").fill(codes[0])
    press(visitor, "Sign in")
    heading(visitor, "Overview")

    visitor.go(reverse("mfa_view_recovery_codes"))
    assert codes[0] not in visitor.main() and codes[1] in visitor.main()
    assert row.pk
    assert visitor.complaints() == []


def test_an_app_is_set_up_and_used_without_scripting(new_context: NewContext, origin: str, rita: User) -> None:
    visitor = Visitor(new_context(java_script_enabled=False), origin)
    type_password(visitor, "rita")
    visitor.go("/admin/")
    visitor.page.get_by_role("link", name="Set up an authenticator app").click()
    secret = visitor.page.locator("main code").inner_text()
    expect(visitor.page.get_by_role("img", name="The secret as a picture to scan")).to_be_visible()
    visitor.page.get_by_label("The code that the app shows now").fill(factors.code_of(secret))
    press(visitor, "Set up the app")
    heading(visitor, "Your recovery codes")

    visitor.page.get_by_role("link", name="Go to the staff pages").click()
    heading(visitor, "Confirm that it is you")
    later = factors.code_of(secret, time.time())
    visitor.page.get_by_label("Code of your app, or a recovery code").fill(later)
    press(visitor, "Confirm and go on")
    visitor.page.wait_for_url(re.compile("/admin/$"))

    assert visitor.status == 200
    assert visitor.complaints() == []
