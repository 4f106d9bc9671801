"""Legal requests in a real browser: entered, checked, verified by one member of staff without scripting; axe-core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from accounts.models import User
from disclosures import answering, checking, receiving
from disclosures.models import LegalDocument, LegalLetter, LegalNotice, LegalRequest
from retention.models import Hold
from tests import files, legal
from tests.browsing import Visitor
from tests.cast import DAY, make_staff
from tests.servers import Portal
from tests.test_browser_axe import Round, look_round, room
from tests.test_legal_receiving import enter, number_of, pdf

__all__ = ["look_round"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_pages_of_legal_requests(look_round: Callable[..., Round], alice: User) -> None:  # noqa: F811
    lena = make_staff("lena", "legal")
    legal.make_recipient("party")
    unknown = receiving.Person("domain", "alice.example")
    request = enter(lena, number_of(alice), unknown, sender="desk@auth0rity.example", files=[pdf()])
    checking.check(request.pk, by=lena, item="signed", is_met=True, note="By the clerk")
    receiving.note(request.pk, by=lena, text="Called the clerk. " * 20)
    answering.object_to(request.pk, by=lena, reason="Overbroad")
    letter = answering.draft(request.pk, by=lena, kind="objection")
    legal.silence(request)
    requests, letters = room(LegalRequest), room(LegalLetter)
    staff = look_round(lena)

    staff.look("work", "/admin/").look("queue", requests.list_url()).look("record", requests.url_of(request))
    staff.look("receive", requests.list_url("receive")).press("Enter a legal request")
    staff.look("receive, empty", status=422)
    staff.look("find", requests.list_url("find")).press("Find a legal request").look("find, empty", status=422)
    for slug in (
        *("complete", "add-documents", "seek-more", "decide-person", "verify", "narrow", "agree-time"),
        *("end-objection", "draft-letter", "ask-renewal", "add-note", "close"),
    ):
        staff.look(slug, requests.url_of(request, slug))
    staff.look("check", requests.url_of(request, "record-check")).press("Record a check").look(
        "check, empty", status=422
    )
    staff.look("letters", letters.list_url()).look("letter", letters.url_of(letter))
    staff.look("edit", letters.url_of(letter, "edit")).look("send", letters.url_of(letter, "send"))
    staff.look("documents", reverse("admin:disclosures_legaldocument_changelist"))
    document = request.documents.order_by("added_at", "pk")[0]
    staff.look("document", room(LegalDocument).url_of(document))

    assert staff.wrong == []


def test_one_member_of_staff_receives_checks_and_verifies_without_scripting(
    new_context: Callable[..., BrowserContext], live_portal: Portal, alice: User, tmp_path: Path
) -> None:
    recipient = legal.make_recipient()
    assert alice.account is not None
    order = tmp_path / "order.pdf"
    order.write_bytes(files.pdf())
    visitor = Visitor(new_context(java_script_enabled=False), live_portal.url).sign_in(make_staff("lena", "legal"))
    page: Page = visitor.page
    visitor.go("/admin/disclosures/legalrequest/")
    page.get_by_role("link", name="Enter a legal request").click()
    page.get_by_label("Instrument").select_option("grand_jury_subpoena")
    page.get_by_label("It comes from a government body or a court").check()
    page.get_by_label("Authority, as the letter names it").fill("Grand jury of Testville")
    page.get_by_label("Registered authority or party").select_option(str(recipient.pk))
    page.get_by_label("Jurisdiction").fill("US-IL")
    page.get_by_label("Served on: day").fill(f"{timezone.now() - 2 * DAY:%Y-%m-%d}")
    page.get_by_label("Served on: time").fill("10:00")
    page.get_by_label("Due: day").fill(f"{timezone.now() + 20 * DAY:%Y-%m-%d}")
    page.get_by_label("Due: time").fill("10:00")
    page.get_by_label("Account numbers").fill(alice.account.number)
    page.get_by_label("Who and where you are").or_(page.locator("[name=categories][value=identity]")).first.check()
    page.locator("[name=documents]").set_input_files(order)
    page.get_by_role("button", name="Enter a legal request").click()

    request = LegalRequest.objects.get()
    assert "1 of 1 persons found and held" in visitor.main()
    assert Hold.objects.get(cause=request.pk).kind == Hold.Kind.PROVISIONAL
    for item in checking.needed(request):
        page.get_by_role("link", name="Record a check").click()
        page.locator("[name=item]").select_option(str(item))
        page.get_by_label("Yes").check()
        page.get_by_label("Confirmed at").fill("desk@authority.example")
        page.get_by_role("button", name="Record a check").click()
    page.get_by_role("link", name="Verify the request").click()
    assert "Its release takes two people" in visitor.main()
    page.get_by_role("button", name="Verify the request").click()

    request.refresh_from_db()
    assert request.verified_at is not None
    assert {hold.kind for hold in Hold.objects.filter(cause=request.pk)} == {"provisional", "legal"}
    assert LegalNotice.objects.get(request=request).account_id == alice.account_id
    said: Any = visitor.main()
    assert "is verified" in said and "legal hold (sealed)" in said
