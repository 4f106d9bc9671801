"""The pages of privacy requests in a real browser: axe-core finds nothing, and all works without scripting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext

from accounts.models import User
from retention import conversing, deciding, extending
from retention.admin.request_acts import Deny
from retention.models import PrivacyRequest
from tests.browsing import Visitor
from tests.cast import ask_something, make_customer, make_staff
from tests.servers import Portal
from tests.test_browser_axe import Round, look_round, room
from tests.test_requests_strangers import ask, code_in_mail, proved

__all__ = ["look_round"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_pages_with_a_sign_in(look_round: Callable[..., Round], alice: User) -> None:  # noqa: F811
    officer = make_staff("olga", "privacy_officer")
    customer = look_round(alice)
    customer.look("requests, none", "/requests/").look("rights", "/requests/new/")
    customer.look("objection", "/requests/new/objection/").press("Send the request").look("objection, empty")
    customer.look("correction", "/requests/new/rectification/")
    request = ask_something(alice)
    conversing.write(request.pk, by=officer, body="Which letter is wrong?")
    extending.extend(request.pk, by=officer, reason="We wait for an archive.")
    page = f"/requests/{request.reference}/"
    customer.look("request", page).press("Send your message").look("request, empty message")
    customer.look("withdraw", f"{page}withdraw/")
    deciding.deny(request.pk, by=officer, reason="no_match", answer="It is spelled as on your invoice.")
    customer.look("request, denied", page)
    customer.visitor.go("/requests/new/objection/")
    customer.visitor.page.get_by_label("to improve the website and the offer").check()
    customer.press("Send the request").look("request, done").look("requests, with a stop", "/requests/")

    assert customer.wrong == []


def test_pages_without_a_sign_in(look_round: Callable[..., Round]) -> None:  # noqa: F811
    anybody, request = look_round(), ask()
    anybody.look("start", "/request/").look("access", "/request/new/access/")
    anybody.press("Send the request").look("access, empty")
    anybody.look("agent", "/request/new/restriction/agent/").press("Send the request").look("agent, empty")
    anybody.look("code", "/request/find/").press("Show the request").look("code, empty")
    anybody.visitor.page.get_by_label("Reference").fill(request.reference)
    anybody.visitor.page.get_by_label("Code").fill(code_in_mail(request))
    anybody.press("Show the request").look("status")
    anybody.visitor.page.get_by_role("link", name="Withdraw this request").click()
    anybody.look("withdraw").press("Withdraw this request").look("status, withdrawn")

    assert anybody.wrong == []


def test_pages_of_staff(look_round: Callable[..., Round], alice: User) -> None:  # noqa: F811
    request = ask_something(alice)
    stranger = proved(email="alice@alice.example", facts={"postcode": "60601"})
    officer = look_round(make_staff("olga", "privacy_officer"))
    rooms: Any = room(PrivacyRequest)
    officer.look("index", "/admin/").look("queue", rooms.list_url()).look("record", rooms.url_of(request))
    officer.look("verify", rooms.url_of(stranger, "verify")).press("Verify identity").look("verify, empty", status=422)
    officer.look("deny", rooms.url_of(request, "deny")).press("Deny this request").look("deny, empty", status=422)
    officer.look("extend", rooms.url_of(request, "extend"))

    assert officer.wrong == []
    assert Deny in rooms.acts


def test_without_scripting_from_the_form_to_withdrawing(
    new_context: Callable[..., BrowserContext], live_portal: Portal
) -> None:
    visitor = Visitor(new_context(java_script_enabled=False), live_portal.url)
    page = visitor.page
    page.goto(f"{live_portal.url}{reverse('retention:ask_start')}")
    page.get_by_role("link", name="Correct something").click()
    page.get_by_label("Your name").fill("Sonja Sorensen")
    page.get_by_label("Your e-mail address").fill("sonja@sonja.example")
    page.get_by_label("What do you want us to do?").fill("My name is spelled wrong.")
    page.get_by_role("button", name="Send the request").click()
    request = PrivacyRequest.objects.get()
    assert page.get_by_label("Reference").input_value() == request.reference
    page.get_by_label("Code").fill(code_in_mail(request))
    page.get_by_role("button", name="Show the request").click()
    page.get_by_label("Your message").fill("It is Sorensen with an ø.")
    page.get_by_role("button", name="Send your message").click()
    assert "with an ø" in page.locator("main").inner_text()
    page.get_by_role("link", name="Withdraw this request").click()
    page.get_by_role("button", name="Withdraw this request").click()

    request.refresh_from_db()
    assert request.status == "revoked"
    assert "Withdrawn" in page.locator("main").inner_text()


def test_without_scripting_with_a_sign_in(new_context: Callable[..., BrowserContext], live_portal: Portal) -> None:
    owner = make_customer("nora")
    visitor = Visitor(new_context(java_script_enabled=False), live_portal.url)
    visitor.sign_in(owner)
    page = visitor.page
    page.goto(f"{live_portal.url}/requests/new/")
    page.get_by_role("link", name="Object to a use").click()
    page.get_by_label("to improve the website and the offer").check()
    page.get_by_role("button", name="Send the request").click()
    assert "This use of your data stopped at once." in page.locator("main").inner_text()
    page.get_by_role("link", name="See all your requests").click()
    page.get_by_role("button", name="Remove this stop").click()
    assert "You allowed this use again." in page.locator("main").inner_text()
