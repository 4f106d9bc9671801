"""A disclosure in a real browser: two members of staff in two sessions, the recipient and the customer; axe-core.

`CHICAGOCLOUD_PICTURES` names a folder for what each of them saw, at 1280 and 320 pixels, light and dark.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import pyrage
import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext

from accounts.models import Account, User
from accounts.safeguards.models import OutboxMessage
from disclosures import aggregates, compelling, delivering, incidents, informing, preparing
from disclosures.models import (
    AggregateTable,
    Compulsion,
    ConsentGrant,
    Delivery,
    Disclosure,
    Incident,
    LegalNotice,
    LegalRequest,
    Recipient,
    Stage,
    TransparencyTable,
)
from retention import telling
from tests import files, legal
from tests.browsing import Pictures, Visitor
from tests.cast import furnish, make_customer, make_staff
from tests.servers import Portal
from tests.test_browser_axe import Round, look_round, room
from tests.test_disclosures import approve, draft, told_request

__all__ = ["look_round"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


@pytest.mark.parametrize("scripting", [False, True], ids=["without scripting", "with scripting"])
def test_two_members_of_staff_disclose_and_the_customer_reads_of_it(
    new_context: Callable[..., BrowserContext], live_portal: Portal, lena: User, paul: User, scripting: bool
) -> None:
    user = furnish(make_customer("alice"))
    assert user.account is not None
    telling.open_activity(user.account.pk, "system", timezone.now())
    request = told_request(user, categories=["identity", "contact", "access"])
    pictures = Pictures()

    def visitor(who: User | None = None) -> Visitor:
        made = Visitor(new_context(java_script_enabled=scripting), live_portal.url)
        return made.sign_in(who) if who else made

    one, other = visitor(lena), visitor(paul)
    one.go("/admin/disclosures/disclosure/")
    one.page.get_by_role("link", name="Prepare a disclosure").click()
    one.page.get_by_label("Ground").fill(request.reference)
    one.page.get_by_label("Account number").fill(user.account.number)
    one.page.locator("[name=purpose]").fill("As the grand jury asks")
    one.page.locator("[name=categories][value=identity]").check()
    one.page.locator("[name=categories][value=contact]").check()
    pictures.take(one, "prepare")
    one.page.get_by_role("button", name="Prepare a disclosure").click()
    made = Disclosure.objects.get()
    one.page.get_by_role("link", name="Submit for approval").click()
    one.page.get_by_role("button", name="Submit for approval").click()
    assert "waits for another person" in one.main()
    pictures.take(one, "submitted")

    # Whoever prepared it is told that a colleague decides.
    one.go(room(Disclosure).url_of(made, "approve"))
    assert "Another person reviews what you prepared" in one.main()
    assert one.page.get_by_role("button", name="Approve this packet").count() == 0
    pictures.take(one, "own-approval")

    # The other one finds it among the work, looks at the parts, and sends it back.
    other.go("/admin/")
    pictures.take(other, "work")
    other.page.get_by_role("link", name=made.reference).first.click()
    assert "accounts.contact.email" in other.main()
    pictures.take(other, "packet")
    with other.page.expect_download() as part:
        other.page.get_by_role("link", name="records.json").click()
    assert b"Alice Canary" in part.value.path().read_bytes()
    other.page.get_by_role("link", name="Return it to be changed").click()
    other.page.get_by_label("Reason").fill("The contact was not needed for this.")
    other.page.get_by_role("button", name="Return it to be changed").click()
    assert "is returned" in other.main()

    one.go("/admin/")
    one.page.get_by_role("link", name=f"{made.reference}: returned").click()
    assert "The contact was not needed for this." in one.main()
    pictures.take(one, "returned")
    one.page.get_by_role("link", name="Change what is to leave").click()
    one.page.locator("[name=categories][value=contact]").uncheck()
    pictures.take(one, "change")
    one.page.get_by_role("button", name="Change what is to leave").click()
    one.page.get_by_role("link", name="Submit for approval").click()
    one.page.get_by_role("button", name="Submit for approval").click()

    other.go(room(Disclosure).url_of(made, "approve"))
    assert "accounts.contact.email: left out now" in other.main()
    other.page.get_by_label("Type the reference of this disclosure").fill("DIS-0000-0000")
    other.page.get_by_label("What you checked").fill("Scope matches the subpoena")
    other.page.get_by_role("button", name="Approve this packet").click()
    assert "not that of this disclosure" in other.main()
    pictures.take(other, "wrong-reference")
    other.page.get_by_label("Type the reference of this disclosure").fill(made.reference)
    other.page.get_by_role("button", name="Approve this packet").click()
    assert "is approved for a day" in other.main()
    pictures.take(other, "approved")

    one.go(room(Disclosure).url_of(made))
    one.page.get_by_role("link", name="Release this disclosure").click()
    pictures.take(one, "release")
    one.page.get_by_role("button", name="Release this disclosure").click()
    assert "is released" in one.main()
    one.page.get_by_role("link", name="Send the file to the recipient").click()
    one.page.get_by_label("with a passphrase").check()
    pictures.take(one, "send")
    one.page.get_by_role("button", name="Send the file to the recipient").click()
    passphrase = one.page.locator("dd, td").filter(has_text=re.compile(r"^\w+-\w+")).first.inner_text()
    pictures.take(one, "passphrase")

    # The recipient has the link from the mail; the second time it gives nothing.
    delivery = Delivery.objects.get()
    mail = OutboxMessage.objects.get(event=f"sealed:delivery:{delivery.pk}").content["body"]
    link = re.search(r"/delivery/[\w-]+/", mail)
    assert link
    clerk = visitor().go(link[0])
    pictures.take(clerk, "delivery")
    with clerk.page.expect_download() as file:
        clerk.page.get_by_role("button", name="Download the file").click()
    opened = pyrage.passphrase.decrypt(file.value.path().read_bytes(), passphrase)
    names = zipfile.ZipFile(io.BytesIO(opened)).namelist()
    assert {"cover.pdf", "manifest.json", "records.json"} <= set(names)
    assert not any("contact" in name for name in names)
    clerk.go(link[0])
    assert clerk.status == 409
    pictures.take(clerk, "delivery-over")
    made.refresh_from_db()
    assert made.state == Stage.DELIVERED

    customer = visitor(user).go("/data/activity/")
    assert "The authority of Testville" in customer.main()
    pictures.take(customer, "activity")
    assert one.complaints() + other.complaints() + clerk.complaints() + customer.complaints() == []


def test_pages_of_disclosures(look_round: Callable[..., Round], lena: User, paul: User) -> None:  # noqa: F811
    user = furnish(make_customer("alice"))
    request = told_request(user)
    made = draft(user, lena, request=request)
    disclosures = room(Disclosure)
    one, other = look_round(lena), look_round(paul)

    one.look("list", disclosures.list_url()).look("prepare", disclosures.list_url("prepare"))
    one.press("Prepare a disclosure").look("prepare, empty", status=422)
    one.look("draft", disclosures.url_of(made)).look("edit", disclosures.url_of(made, "edit"))
    one.look("submit", disclosures.url_of(made, "submit")).look("withdraw", disclosures.url_of(made, "withdraw"))
    one.press("Withdraw this disclosure").look("withdraw, empty", status=422)
    preparing.submit(made.pk, by=lena)
    one.look("own approval", disclosures.url_of(made, "approve")).look("front page", "/admin/")
    other.look("submitted", disclosures.url_of(made)).look("approve", disclosures.url_of(made, "approve"))
    other.press("Approve this packet").look("approve, empty", status=422)
    other.look("return", disclosures.url_of(made, "send-back")).look("refuse", disclosures.url_of(made, "refuse"))
    other.look("front page of the other", "/admin/")
    approve(made, paul)
    one.look("approved", disclosures.url_of(made)).look("release", disclosures.url_of(made, "release"))
    one.press("Release this disclosure").look("released")
    one.look("send", disclosures.url_of(made, "send")).look("hand over", disclosures.url_of(made, "hand-over"))
    one.press("Record that it was handed over").look("hand over, empty", status=422)
    sent = delivering.send(made.pk, by=lena, method="passphrase")
    one.look("sent", disclosures.url_of(made)).look("mistake", disclosures.url_of(made, "record-incident"))
    one.press("Record a mistaken release").look("mistake, empty", status=422)
    mail = OutboxMessage.objects.get(event=f"sealed:delivery:{sent.delivery.pk}").content["body"]
    link = re.search(r"/delivery/[\w-]+/", mail)
    assert link
    look_round().look("delivery", link[0])

    assert one.wrong + other.wrong == []


def test_pages_beside_disclosures(look_round: Callable[..., Round], lena: User, paul: User) -> None:  # noqa: F811
    user = furnish(make_customer("alice"))
    assert user.account is not None
    request = legal.make_request(user.account, instrument="search_warrant", categories=["business", "identity"])
    legal.attach(request, files.pdf())
    legal.owe_notice(request, user.account)
    compulsion = compelling.record(request.pk, user.account.pk, "business", reason="Page 3 of the warrant.", by=lena)
    partner = legal.make_recipient("partner")
    made = draft(user, lena)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    Disclosure.objects.filter(pk=made.pk).update(state="released", released_at=timezone.now(), released_by=lena.pk)
    incident = incidents.record(made.pk, what="It went to the wrong desk.", by=lena)
    table = aggregates.make("accounts-by-services", aggregates.closed_quarters(timezone.now())[0], by=paul)
    one, other = look_round(lena), look_round(paul)

    requests, recipients, consents = room(LegalRequest), room(Recipient), room(ConsentGrant)
    one.look("request", requests.url_of(request)).look("silence", requests.url_of(request, "order-silence"))
    one.press("Record an order of silence").look("silence, empty", status=422)
    one.look("tell", requests.url_of(request, "tell")).look("compel", requests.url_of(request, "compel"))
    one.press("Record what a court compels").look("compel, empty", status=422)
    one.look("recipients", recipients.list_url()).look("recipient", recipients.url_of(partner))
    one.look("register", recipients.list_url("register")).press("Register a recipient").look(
        "register, empty", status=422
    )
    one.look("change", recipients.url_of(partner, "edit")).look("close", recipients.url_of(partner, "close"))
    one.look("consents", consents.list_url()).look("consent", consents.url_of(ConsentGrant.objects.all()[0]))
    one.look("record consent", room(Account).url_of(user.account, "record-consent"))
    one.look("incidents", room(Incident).list_url()).look("incident", room(Incident).url_of(incident))
    one.look("step", room(Incident).url_of(incident, "note-step"))
    one.look("close incident", room(Incident).url_of(incident, "close"))
    other.look("compulsions", room(Compulsion).list_url()).look("compulsion", room(Compulsion).url_of(compulsion))
    other.look("confirm", room(Compulsion).url_of(compulsion, "confirm"))
    other.look("figures", room(AggregateTable).list_url()).look("table", room(AggregateTable).url_of(table))
    other.look("make figures", room(AggregateTable).list_url("make"))
    other.look("transparency", room(TransparencyTable).list_url())

    assert one.wrong + other.wrong == []


def test_pages_of_a_customer_who_was_told(look_round: Callable[..., Round]) -> None:  # noqa: F811
    user = furnish(make_customer("alice"))
    assert user.account is not None
    request = legal.make_request(user.account)
    legal.attach(request, files.pdf())
    legal.owe_notice(request, user.account)
    informing.send_due()
    notice = LegalNotice.objects.get(request=request)
    page = f"/legal-notices/{notice.reference}/"
    customer = look_round(user)

    customer.look("notices", "/legal-notices/").look("notice", page)
    customer.press("Send my challenge").look("challenge, empty")
    informing.challenge(notice.pk, text="A motion before the court.", by=user)
    customer.look("challenged", page).look("give up", f"{page}give-up/")

    assert customer.wrong == []
