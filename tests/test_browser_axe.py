"""Every page in a real browser: axe-core finds nothing, the console is quiet, nothing is fetched elsewhere.

Each page is loaded once and looked at in light and dark, 1280 and 320 pixels wide, in the states it has: usual, empty,
blocked, wrongly filled in, done. What axe-core cannot decide counts too, but for what is named here with its reason.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.forms import default_token_generator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Route

from accounts import (
    confiding,
    datamap,
    deciding,
    exporting,
    inviting,
    legal_texts,
    subscribing,
    supporting,
    suspending,
    webhooks,
)
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import (
    Account,
    AccountToken,
    Address,
    BusinessItem,
    ConfidentialItem,
    Contact,
    Correspondence,
    Export,
    Invoice,
    Order,
    Service,
    Suspension,
    Ticket,
    User,
    WebhookEndpoint,
)
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import transparency
from disclosures.models import ConsentGrant, Recipient
from retention import cancelling, closing, disputing, placing, purge, telling
from retention.models import DeletionRequest, Dispute, Hold
from tests import legal
from tests.admin_walk import make_world, seal
from tests.browsing import Pictures, Visitor
from tests.cast import DAY, PASSWORD, bind, furnish, make_customer, make_staff, order_in_review, owe
from tests.panel import export, row, run
from tests.passkeys import give_passkey
from tests.servers import Portal

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]
NewContext = Callable[..., BrowserContext]

FILE = confiding.Part.FILE
MOST_REQUESTS = 3
MOST_BYTES = 20 * 1024
# Contrast that axe-core cannot decide on staff pages, let pass by its reason: the sign beside "View" is a picture,
# and a table that scrolls in itself hides what is outside its window. The last one, on two pages at 320 px, was looked
# at and is readable; why axe-core says it was not found. On customer pages nothing is let pass.
LET_PASS = (
    "could not be determined due to a background image",
    "partially obscured by another element",
    "partially overlaps other elements",
)
PLANTED = """() => {
    const add = html => document.querySelector("main").insertAdjacentHTML("beforeend", html);
    add("<img src='/static/favicon.svg'><p id='pale'>Hard to read</p>");
    add("<p>&lt;time&gt;today&lt;/time&gt;</p>");
    add("<div id='small'><a href='/a'>a</a><br><a href='/b'>b</a></div>");
    // The policy lets no style attribute in; what a script of the browser's own sets is no attribute.
    document.getElementById("pale").style.color = "#999";
    document.getElementById("small").style.font = "10px/1 serif";
}"""


@dataclass
class Round:
    """One visitor's round over pages, and everything that is wrong with them."""

    visitor: Visitor
    is_staff: bool = False
    wrong: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    pictures: Pictures = field(default_factory=Pictures)

    def look(self, name: str, path: str = "", status: int = 200) -> Round:
        """Look at the page at `path`, or at the one shown now, in every size and colour scheme."""
        if path:
            self.visitor.go(path)
        if self.visitor.status != status:
            self.wrong.append(f"{name}: status {self.visitor.status} instead of {status}")
        if not self.is_staff:
            requests, size = self.visitor.weight()
            if requests > MOST_REQUESTS or size > MOST_BYTES:
                self.wrong.append(f"{name}: {requests} requests, {size} bytes")
        if "</" in self.visitor.page.locator("body").inner_text():
            self.wrong.append(f"{name}: markup is shown as words")
        for look in self.visitor.looks():
            found = self.visitor.axe()
            self.wrong += [f"{name}, {look}: {one}" for one in found.violations]
            self.wrong += [f"{name}, {look}, undecided: {one}" for one in found.incomplete if not self._is_known(one)]
            if self.visitor.too_wide() > 0:
                self.wrong.append(f"{name}, {look}: {self.visitor.too_wide()} px wider than the window")
        self.wrong += [f"{name}: {line}" for line in self.visitor.complaints()]
        self.visitor.heard.clear()
        self.seen.append(name)
        self.pictures.take(self.visitor, name)
        return self

    def press(self, button: str) -> Round:
        """Send the form that has this button, as it is."""
        self.visitor.page.locator("main, #content").get_by_role("button", name=button).first.click()
        self.visitor.page.wait_for_load_state()
        return self

    def _is_known(self, undecided: str) -> bool:
        return self.is_staff and undecided.startswith("color-contrast: ") and undecided.endswith(LET_PASS)


@pytest.fixture
def look_round(new_context: NewContext, live_portal: Portal) -> Callable[..., Round]:
    """`look_round(user)` starts a round of this user, or of nobody in particular."""

    def start(user: User | None = None) -> Round:
        visitor = Visitor(new_context(reduced_motion="reduce"), live_portal.url)
        if user is not None:
            visitor.sign_in(user)
        is_staff = user is not None and user.account_id is None
        return Round(visitor, is_staff=is_staff, pictures=Pictures("round-of-staff-" if is_staff else "round-"))

    return start


# ------------------------------------------------------------------------------------------------------- customers


def test_pages_for_anybody(look_round: Callable[..., Round]) -> None:
    anybody = look_round()

    anybody.look("sign in", "/sign-in/").press("Sign in").look("sign in, empty")
    anybody.look("reset", "/password/reset/").press("Send me the link").look("reset, empty")
    anybody.look("new password", reset_link(make_customer("forgetful")))
    anybody.press("Save the new password").look("new password, empty")
    anybody.look("reset sent", "/password/reset/sent/").look("reset link used", "/password/reset/1-x/")
    anybody.look("reset finished", "/password/reset/finished/")
    anybody.look("sign up", "/sign-up/").look("sign-in ended", "/sign-in/ended/")
    anybody.look("follow", "/delete/find/").press("Show the request").look("follow, empty")
    for label in ("Reference", "Code"):
        anybody.visitor.page.get_by_label(label).fill("DEL-2222-2222")
    anybody.press("Show the request").look("follow, wrong pair")
    named = make_customer("named").account
    in_may = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
    for instrument in ("grand_jury_subpoena", "search_warrant", "search_warrant"):
        legal.tell(legal.make_request(named, instrument=instrument, received_at=in_may), named)
    anybody.look("figures, none yet", "/transparency/")
    transparency.freeze("2026-H1", by="system")
    anybody.look("figures", "/transparency/").look("help", "/help/").look("no such page", "/nowhere/", status=404)

    anybody.look("copyright agent", "/copyright-agent/")
    anybody.look("report", "/report/").look("report abuse", "/report/abuse/").press("Send the report")
    anybody.look("report abuse, empty").look("copyright", "/report/copyright/").press("Send the notice")
    anybody.look("copyright, empty")

    assert anybody.wrong == []
    assert len(anybody.seen) == 24


def test_pages_of_a_customer_who_has_nothing_yet(look_round: Callable[..., Round], alice: User) -> None:
    customer = look_round(alice)

    customer.look("overview", "/").look("invoices", "/invoices/").look("conversations", "/tickets/")
    customer.press("Send to support").look("conversations, empty message").look("services", "/services/")
    customer.look("deletion", "/delete/").look("last check", "/delete/check/")
    customer.press("Close my account").look("last check, empty")
    customer.look("password", "/password/change/").press("Save the new password").look("password, empty")
    customer.look("sign out", "/sign-out/").look("confirm", "/sign-in/confirm/").look("help", "/help/")
    customer.look("somebody else's", "/admin/", status=403)

    assert customer.wrong == []


def test_pages_of_sign_in_and_security(look_round: Callable[..., Round], alice: User, bob: User, sam: User) -> None:
    _soft, row = give_passkey(bob, "Blue key")
    with keyring():
        TOTP.activate(bob, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    security = "/settings/security"
    plain, equipped, staff = look_round(alice), look_round(bob), look_round(sam)
    staff.is_staff = False

    plain.look("settings", "/settings/").press("Save your settings").look("settings, saved")
    plain.look("security", f"{security}/").look("passkeys, none", f"{security}/passkeys/")
    plain.look("app", f"{security}/app/").press("Set up the app").look("app, empty")
    plain.look("passkey, new", f"{security}/passkeys/add/").look("sessions", "/settings/sessions/")
    equipped.look("security, set up", f"{security}/").look("passkeys", f"{security}/passkeys/")
    equipped.look("passkey, name", f"{security}/passkeys/{row.pk}/edit/")
    equipped.visitor.page.get_by_label("Name of the passkey").fill("")
    equipped.press("Save the name").look("passkey, no name")
    equipped.look("passkey, remove", f"{security}/passkeys/{row.pk}/remove/")
    equipped.look("app, remove", f"{security}/app/remove/").look("codes", f"{security}/codes/")
    equipped.look("new codes", f"{security}/codes/new/").look("confirm", "/sign-in/confirm/")
    equipped.look("confirm by code", "/sign-in/confirm/code/").press("Confirm and go on").look("code, empty")
    equipped.look("confirm by passkey", "/sign-in/confirm/passkey/")
    staff.look("security of staff", f"{security}/").look("settings of staff", "/settings/")
    second = look_round()
    second.visitor.go("/sign-in/").page.get_by_label("E-mail, user name or account number").fill("bob")
    second.visitor.page.get_by_label("Password").fill(PASSWORD)
    second.press("Sign in").look("second step").press("Sign in").look("second step, empty")

    assert plain.wrong + equipped.wrong + staff.wrong + second.wrong == []


def test_pages_of_data_and_copies(look_round: Callable[..., Round]) -> None:
    user = furnish(make_customer("dana"))
    ledger.record("staff:x", "viewed", user.account_id, categories=["contact"], roles=["support"])
    customer = look_round(user)

    customer.look("what we hold", "/data/").look("who looked", "/data/activity/").look("in public", "/privacy/data/")
    for category in dict.fromkeys(entry.category for entry in datamap.visible().values()):
        customer.look(f"what we hold: {category}", f"/data/{category}/")
    customer.look("copies", "/export/").look("new copy", "/export/new/")
    for box in customer.visitor.page.get_by_role("checkbox").all():
        box.uncheck()
    customer.press("Make the export").look("new copy, nothing chosen")
    customer.visitor.page.get_by_label("Pages to read and JSON").check()
    customer.visitor.page.get_by_label("Sign-in history").check()
    customer.press("Make the export").look("copy, being made")
    export = Export.objects.underway().get()
    exporting.make(export.pk, cutoffs={}, kept_for=DAY)
    customer.look("copies, one ready", "/export/").look("copy, ready", f"/export/{export.reference}/")
    customer.look("download", f"/export/{export.reference}/download/")
    with customer.visitor.page.expect_download() as loading:
        customer.visitor.page.get_by_role("button", name="Download the ZIP file").click()
    assert (
        hashlib.sha256(Path(loading.value.path()).read_bytes()).hexdigest() == Export.objects.get(pk=export.pk).sha256
    )
    customer.look("copy, fetched", f"/export/{export.reference}/").press("Delete this copy").look("copy deleted")
    Export.objects.update(state="failed", removed_at=None)
    customer.look("copy, failed", f"/export/{export.reference}/")
    customer.look("copy, ended", f"/export/{export.reference}/download/", status=410)

    assert customer.wrong == []
    assert len(customer.seen) > 28


def test_pages_of_a_customer_whose_deletion_has_to_wait(
    look_round: Callable[..., Round], charlie: User, rita: User, sam: User
) -> None:
    paid = Invoice.objects.get(account=charlie.account_id)
    unpaid = owe(charlie)
    without = owe(make_customer("without-method"))
    bind(charlie)
    dispute(charlie)
    hold = placing.place(charlie.account_id, Hold.Kind.LEGAL, by=rita.actor, categories=["support"])
    telling.tell(hold.pk, by=rita, how="letter")
    ticket = Ticket.objects.get(account=charlie.account_id)
    supporting.reply(ticket.pk, by=sam, body="Here is our answer.\n\nWith a second part.")
    customer = look_round(charlie)

    customer.look("overview with tasks", "/").look("invoices", "/invoices/")
    customer.look("unpaid invoice", f"/invoices/{unpaid.number}/").look("paid invoice", f"/invoices/{paid.number}/")
    pay = f"/invoices/{unpaid.number}/pay/"
    customer.look("pay", pay).press("Pay $12.90").look("pay, nothing chosen")
    suspending.place(charlie.account_id, Suspension.Ground.BILLING, by="system")
    customer.look("services", "/services/")
    for service in Service.objects.filter(account=charlie.account_id):
        customer.look("service, suspended", f"/services/{service.pk}/")
    customer.look("conversations", "/tickets/").look("conversation", f"/tickets/{ticket.reference}/")
    customer.press("Send your message").look("conversation, empty message")
    customer.look("deletion, blocked", "/delete/").look("last check, blocked", "/delete/check/")
    owner = User.objects.get(account=without.account_id)
    nothing = look_round(owner).look("pay, no method", f"/invoices/{without.number}/pay/")

    assert customer.wrong + nothing.wrong == []


def test_pages_of_orders(look_round: Callable[..., Round], charlie: User) -> None:
    accepted, waiting, declined = Order.objects.get(), order_in_review(charlie), order_in_review(charlie)
    bill = make_staff("bill", "billing")
    deciding.decline(declined.pk, by=bill, reason="We could not confirm the address that you gave us.")
    deciding.accept(order_in_review(charlie).pk, by=bill)
    billed = Invoice.objects.unpaid().get()
    customer, nobody = look_round(charlie), look_round(make_customer("newcomer"))

    nobody.look("no orders", "/orders/")
    customer.look("orders", "/orders/").look("invoice of an order", f"/invoices/{billed.number}/")
    for name, order in (("accepted", accepted), ("in review", waiting), ("declined", declined)):
        customer.look(f"order {name}", f"/orders/{order.reference}/")

    assert customer.wrong + nobody.wrong == []


def test_staff_pages_of_orders(look_round: Callable[..., Round], charlie: User) -> None:
    waiting = order_in_review(charlie)
    billing = look_round(make_staff("bill", "billing"))
    issue = room(Account).url_of(charlie.account, "issue-invoice")

    billing.look("index", "/admin/").look("orders", room(Order).list_url() + "?state__exact=review")
    billing.look("order", room(Order).url_of(waiting)).look("accept", room(Order).url_of(waiting, "accept"))
    billing.look("decline", room(Order).url_of(waiting, "decline")).press("Decline this order")
    billing.look("decline, empty", status=422).look("issue an invoice", issue).press("Issue an invoice")
    billing.look("issue an invoice, empty", status=422)

    assert billing.wrong == []


def test_pages_of_consent(look_round: Callable[..., Round], alice: User, rita: User) -> None:
    partner = legal.make_recipient("partner", name="A partner with a rather long name for backups and restores, Inc.")
    customer = look_round(alice)
    page = customer.visitor.page
    customer.look("consent, nothing", "/consent/").look("share", f"/consent/share/{partner.reference}/")
    customer.press("Give this consent").look("share, nothing ticked")
    page.get_by_label("Contact details").check()
    customer.press("Give this consent").look("consent, one stands")
    customer.look("news", "/consent/news/").press("Give this consent").look("consent, two stand")
    customer.press("Withdraw this consent").look("consent, one ended")
    assert ConsentGrant.objects.exclude(withdrawn_at=None).count() == 1
    assert customer.wrong == []

    staff = look_round(rita)
    room = admin.site.get_model_admin
    grant = ConsentGrant.objects.filter(withdrawn_at=None).get()
    card = room(Account).url_of(alice.account, "record-consent")
    staff.look("recipients", room(Recipient).list_url()).look("recipient", room(Recipient).url_of(partner))
    staff.look("register", room(Recipient).list_url("register")).press("Register a recipient")
    staff.look("register, empty", status=422).look("close", room(Recipient).url_of(partner, "close"))
    staff.look("consents", room(ConsentGrant).list_url()).look("one consent", room(ConsentGrant).url_of(grant))
    staff.look("take back", room(ConsentGrant).url_of(grant, "withdraw"))
    staff.look("record", card).press("Record a consent").look("record, empty", status=422)
    assert staff.wrong == []


def test_pages_of_what_a_customer_told_and_was_told(look_round: Callable[..., Round], alice: User, sam: User) -> None:
    customer = look_round(alice)
    page = customer.visitor.page
    file = {"name": "Übersicht der Pläne, zweite Fassung.txt", "mimeType": "text/plain", "buffer": b"Hello"}
    bad = {"name": "plan.pdf", "mimeType": "application/pdf", "buffer": b"<html>"}

    customer.look("no messages", "/messages/").press("Search your messages").look("search, empty", status=422)
    customer.look("legal", "/legal/").look("accept", "/legal/accept/").press("Confirm what is ticked")
    customer.look("accept, empty", status=422)
    for text in legal_texts.current():
        customer.look(f"{text.document}", f"/legal/{text.document}/{text.version}/")
        customer.visitor.go("/legal/accept/")
    for text in legal_texts.current():
        page.get_by_label(str(text.tick)).check()
    customer.press("Confirm what is ticked")
    customer.look("accepted", "/legal/accept/")

    for where, button in (("/business/", "Save this"), ("/confidential/", "Save this in confidence")):
        customer.look(f"{where} empty", where).press(button).look(f"{where} nothing written", status=422)
        page.get_by_label("Title").fill("Our plans for the coming year")
        page.get_by_label("File").set_input_files([bad])
        customer.press(button).look(f"{where} wrong file", status=422)
        page.get_by_label("File").set_input_files([file])
        customer.press(button).look(f"{where} with an item")
    item = ConfidentialItem.objects.get()
    confiding.open_item(item.pk, by=sam, reason=confiding.Reason.SUPPORT, words="They asked us to read it", part=FILE)
    business = f"/business/{BusinessItem.objects.get().pk}/"
    customer.look("opened", "/confidential/").look("confidential item", f"/confidential/{item.pk}/")
    customer.look("move", f"/confidential/{item.pk}/move/").look("remove it", f"/confidential/{item.pk}/remove/")
    customer.look("business item", business).look("remove business", f"{business}remove/")

    customer.visitor.go("/tickets/")
    page.get_by_label("Subject").fill("Two files")
    page.get_by_label("Your message").fill("See there.")
    page.get_by_label("Files, if they help").set_input_files([file, bad])
    customer.press("Send to support").look("conversations, wrong file", status=422)
    page.get_by_label("Files, if they help").set_input_files([file, file])
    customer.press("Send to support").look("conversation with files")

    customer.look("messages", "/messages/")
    page.get_by_label("Words to look for").fill("confidence")
    customer.press("Search your messages").look("found")
    letter = Correspondence.objects.get()
    customer.look("message", f"/messages/{letter.pk}/")

    assert customer.wrong == []
    with page.expect_download() as download:
        page.evaluate(f"location.href = '/confidential/{item.pk}/file/'")
    assert download.value.suggested_filename == file["name"]


def test_pages_of_a_closed_account(look_round: Callable[..., Round]) -> None:
    waiting, blocked = furnish(make_customer("waiting")), furnish(make_customer("blocked"))
    dispute(blocked)
    asked, other = close(waiting), close(blocked)
    own, told = look_round(waiting), look_round(blocked)

    own.look("status, waiting", f"/delete/{asked.reference}/").look("cancel", f"/delete/{asked.reference}/cancel/")
    own.look("closed", "/", status=409).look("conversations", "/tickets/")
    own.look("conversation", f"/tickets/{Ticket.objects.get(pk=asked.ticket).reference}/")
    told.look("status, blocked", f"/delete/{other.reference}/")
    cancelling.cancel(asked.pk, by=waiting)
    own.look("cancelled", f"/delete/{asked.reference}/cancel/").look("status, cancelled", f"/delete/{asked.reference}/")

    assert own.wrong + told.wrong == []


def test_pages_of_an_account_that_an_import_closed(look_round: Callable[..., Round], tmp_path: Path) -> None:
    run(export(tmp_path / "clients.csv", [row(7, status="canceled")]))
    ended = User.objects.get(is_owner=True)
    member = User.objects.create_user(ended.account, PASSWORD, member_role="billing")
    owner, other = look_round(ended), look_round(member)

    other.look("closed, for a member", "/", status=409).look("deletion stands, for a member", "/delete/reopen/")
    owner.look("closed without a request", "/", status=409).look("deletion stands", "/delete/reopen/")
    owner.press("Open my account again").look("opened again")

    assert owner.wrong + other.wrong == []
    assert owner.visitor.page.get_by_role("heading", name="Overview").is_visible()


def test_pages_of_a_deletion_that_is_due(look_round: Callable[..., Round]) -> None:
    names = ("gone", "untold", "disputed")
    long_ago = timezone.now() - 31 * DAY
    gone, untold, disputed = (furnish(make_customer(name), at=long_ago - DAY) for name in names)
    placing.place(untold.account_id, Hold.Kind.LEGAL, by="staff:1", matter="M-1")
    dispute(disputed)
    closed = [
        closing.close(user.account_id, by=user, submission=uuid7(), at=long_ago) for user in (gone, untold, disputed)
    ]
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))
    assert DeletionRequest.objects.get(pk=closed[0].request.pk).finished_at

    wrong = []
    for name, one in zip(names, closed, strict=True):
        reader = look_round()
        page = reader.visitor.go("/delete/find/").page
        page.get_by_label("Reference").fill(one.request.reference)
        page.get_by_label("Code").fill(one.code)
        reader.press("Show the request").look(f"status by code, {name}")
        assert ("Your data is deleted" in reader.visitor.main()) == (name == "gone")
        wrong += reader.wrong

    assert wrong == []


ERRORS = [
    (400, "400.html"),
    (403, "403_csrf.html"),
    (409, "409.html"),
    (410, "410.html"),
    (413, "413.html"),
    (429, "429.html"),
]


def test_pages_about_people(look_round: Callable[..., Round], charlie: User) -> None:
    contact = Contact.objects.get(account=charlie.account_id, role="billing")
    place = Address.objects.get(contact=contact)
    invited = {"email": "friend@friend.example", "role": "billing", "lasts": DAY, "submission": uuid7()}
    inviting.invite(charlie.account_id, by=charlie, **invited)
    letter = OutboxMessage.objects.get(event__endswith=":mail").content["body"]
    member = User.objects.create_user(charlie.account, PASSWORD)
    owner, stranger, technician = look_round(charlie), look_round(), look_round(member)

    owner.look("contacts", "/contacts/").look("add a contact", "/contacts/add/")
    owner.press("Save the contact").look("add a contact, empty").look("contact", f"/contacts/{contact.pk}/")
    owner.look("remove a contact", f"/contacts/{contact.pk}/remove/")
    owner.look("address", f"/contacts/{contact.pk}/addresses/{place.pk}/")
    owner.look("add an address", f"/contacts/{contact.pk}/addresses/add/").press("Save the address")
    owner.look("add an address, empty").look("billing", "/contacts/billing/")
    owner.look("members", "/members/").look("invite", "/members/invite/").press("Send the invitation").look(
        "invite, empty"
    )
    owner.look("member", f"/members/{member.pk}/").look("remove a member", f"/members/{member.pk}/remove/")
    owner.look("last owner", "/members/leave/").look("e-mail", "/email/")
    owner.look("new address", "/email/change/").press("Send both codes").look("new address, empty")
    owner.visitor.page.get_by_label("New e-mail address").fill("charlie@new.example")
    owner.press("Send both codes").look("codes").press("Confirm the codes").look("codes, empty")
    owner.look("stop", f"/email/{owner.visitor.page.url.rstrip('/').rpartition('/')[2]}/stop/")
    owner.press("Stay with the old address").look("stop, empty")
    secured(charlie)
    owner.look("deletion that begins later", "/delete/")
    technician.look("not for the role", "/invoices/", status=403)
    stranger.look("join", re.search(r"/join/[^/]+/", letter)[0]).press("Confirm and join").look("join, empty")
    stranger.look("join, ended", "/join/unknown/", status=410)

    assert owner.wrong + technician.wrong + stranger.wrong == []
    assert len(owner.seen) == 23


def test_pages_of_a_customers_tokens(look_round: Callable[..., Round], charlie: User, alice: User) -> None:
    owner, nothing = look_round(charlie), look_round(alice)
    nothing.look("tokens, none", "/settings/tokens/")
    owner.look("tokens", "/settings/tokens/")
    page = owner.look("new token", "/settings/tokens/new/").visitor.page
    owner.press("Get the token").look("new token, empty")
    page.get_by_label("Name").fill("My script")
    page.get_by_label("Read what we hold about you").check()
    owner.press("Get the token").look("token made")
    assert "ccu_" in owner.visitor.main()
    token = AccountToken.objects.filter(account=charlie.account_id).latest("created_at")
    owner.look("end a token", f"/settings/tokens/{token.pk}/end/").press("End the token").look("token ended")

    assert owner.wrong + nothing.wrong == []


def test_pages_that_say_what_went_wrong(look_round: Callable[..., Round]) -> None:
    anybody = look_round()
    policy = anybody.visitor.go("/sign-in/").last
    assert policy is not None
    headers = {"content-security-policy": policy.headers["content-security-policy"], "content-type": "text/html"}
    problem = {"problem": "The invoice was paid meanwhile.", "next_url": "/", "next_label": "See the invoice"}

    for status, template in [*ERRORS, (500, "500.html"), (503, "503.html")]:
        words = render_to_string(template, problem if status == 409 else {})
        path = f"/shown-{template}"
        anybody.visitor.page.route(f"**{path}", answering(status, headers, words))
        anybody.look(template, path, status=status)

    assert anybody.wrong == []


def secured(user: User) -> None:
    """Note that the user's password changed a moment ago."""
    User.objects.filter(pk=user.pk).update(secured_at=timezone.now())


def reset_link(user: User) -> str:
    """Return the path of a link that sets a new password for the user."""
    token = default_token_generator.make_token(user)
    return reverse("account_reset_password_from_key", kwargs={"uidb36": user.pk.hex, "key": token})


def answering(status: int, headers: dict[str, str], body: str) -> Callable[[Route], None]:
    """Return what answers a request in place of the portal, with the portal's own policy."""
    return lambda route: route.fulfill(status=status, headers=headers, body=body)


def dispute(user: User) -> None:
    disputing.open_dispute(
        user.account_id, processor="trial", reference="dp_1", amount_cents=1290, reason="general", by="system"
    )


def close(user: User) -> DeletionRequest:
    return closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - DAY).request


# ----------------------------------------------------------------------------------------------------------- staff


def room(model: Any) -> Any:
    return admin.site.get_model_admin(model)


def test_pages_of_webhooks(look_round: Callable[..., Round]) -> None:
    ada = make_staff("ada", "administrator")
    url = f"https://127.0.0.1:1/{'long-' * 40}hook"
    endpoint, _ = subscribing.add("shop", url, [webhooks.TEST], by=ada)
    subscribing.send_test(endpoint.pk, by=ada)
    webhooks.send_due()
    WebhookEndpoint.objects.update(lost=2, lost_at=timezone.now())
    staff, endpoints = look_round(ada), room(WebhookEndpoint)
    page = staff.visitor.page

    staff.look("index, events lost", "/admin/").look("endpoints", endpoints.list_url())
    staff.look("endpoint, failed", endpoints.url_of(endpoint)).look("settle", endpoints.url_of(endpoint, "settle"))
    staff.press("Mark lost events as looked at").look("endpoint, settled")
    for act in ("events", "rotate", "test", "pause"):
        staff.look(act, endpoints.url_of(endpoint, act))
    staff.press("Pause this endpoint").look("endpoint, paused").look("resume", endpoints.url_of(endpoint, "resume"))
    staff.look("pause, paused", endpoints.url_of(endpoint, "pause"))
    staff.look("add", endpoints.list_url("add-endpoint")).press("Add an endpoint").look("add, empty", status=422)
    page.get_by_label("System that receives").fill("billing")
    page.get_by_label("Address").fill("https://billing.example.com/?token=1")
    page.get_by_label("webhook.test").check()
    staff.press("Add an endpoint").look("add, wrong address", status=422)
    page.get_by_label("Address").fill("https://billing.example.com/hook")
    staff.press("Add an endpoint").look("the secret, once")

    assert staff.wrong == []
    assert "whsec_" in page.content()


def test_pages_of_staff(look_round: Callable[..., Round]) -> None:
    world = make_world()
    hold = seal(world)
    account, ticket = world.account, Ticket.objects.filter(account=world.account).first()
    opened = Dispute.objects.get(account=world.account)
    officer, legal, support, billing = (
        look_round(world.staff[role]) for role in ("privacy_officer", "legal", "support", "billing")
    )

    officer.look("index", "/admin/").look("find", reverse("admin:find"))
    officer.press("Find the customer").look("find, empty", status=422)
    officer.look("accounts", room(Account).list_url()).look("account", room(Account).url_of(account))
    assert "$12.90" in officer.visitor.page.locator("#content").inner_text()
    officer.look("approve", room(Hold).url_of(hold, "approve-release"))
    officer.look("review", room(Hold).url_of(hold, "review")).look("users", room(User).list_url())
    officer.look("queue", room(DeletionRequest).list_url())
    officer.look("deletion", room(DeletionRequest).url_of(world.request))
    officer.look("preview", room(DeletionRequest).url_of(world.request, "preview"))
    officer.look("pause", room(DeletionRequest).url_of(world.request, "pause"))
    officer.look("ledger", room(LedgerEntry).list_url())
    officer.look("entry", room(LedgerEntry).url_of(LedgerEntry.objects.latest("at")))

    legal.look("holds", room(Hold).list_url()).look("hold", room(Hold).url_of(hold))
    legal.look("own release", room(Hold).url_of(hold, "approve-release"))
    legal.look("place", room(Account).url_of(account, "place-hold")).press("Place a hold")
    legal.look("place, empty", status=422)

    support.look("tickets", room(Ticket).list_url()).look("ticket", room(Ticket).url_of(ticket))
    support.look("reply", room(Ticket).url_of(ticket, "reply")).look("note", room(Ticket).url_of(ticket, "note-ticket"))
    business = BusinessItem.objects.get(account=account)
    support.look("business", room(BusinessItem).list_url()).look("item", room(BusinessItem).url_of(business))
    support.look("note business", room(Account).url_of(account, "note-business"))
    secret = ConfidentialItem.objects.get(account=account)
    support.look("confidential", room(ConfidentialItem).list_url()).look("it", room(ConfidentialItem).url_of(secret))
    support.look("open", room(ConfidentialItem).url_of(secret, "open-confidential")).press("Open a confidential item")
    support.look("open, empty", status=422)
    page = support.visitor.page
    page.get_by_label("We need it to answer the customer").check()
    page.get_by_label("Reason in your words").fill("They asked us to look at it")
    support.press("Open a confidential item").look("opened")
    support.look("invoices", room(Invoice).list_url())

    billing.look("disputes", room(Dispute).list_url()).look("dispute", room(Dispute).url_of(opened))
    billing.look("open dispute", room(Account).url_of(account, "open-dispute"))
    unpaid = Invoice.objects.unpaid().get(account=account)
    billing.look("record payment", room(Invoice).url_of(unpaid, "record-payment")).press("Record a payment")
    billing.look("record payment, empty", status=422).look("no such filter", "/admin/accounts/invoice/?x=1", status=400)

    assert officer.wrong + legal.wrong + support.wrong + billing.wrong == []


# ----------------------------------------------------------------------------------------------- negative controls


def test_planted_faults_are_found(look_round: Callable[..., Round]) -> None:
    anybody = look_round().look("sign in", "/sign-in/")
    assert anybody.wrong == []
    anybody.visitor.page.evaluate(PLANTED)
    anybody.visitor.page.evaluate("document.body.style.minWidth = '1400px'")

    anybody.look("sign in, planted")

    for fault in ("image-alt", "color-contrast", "target-size", "wider than the window", "markup is shown"):
        assert any(fault in line for line in anybody.wrong), fault


def test_a_noisy_console_and_another_host_are_found(look_round: Callable[..., Round]) -> None:
    anybody = look_round()
    page = anybody.visitor.go("/sign-in/").page
    assert anybody.visitor.complaints() == []

    page.evaluate("console.error('planted error')")
    page.evaluate("console.warn('planted warning')")
    page.evaluate("setTimeout(() => { throw new Error('planted throw') })")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">')")
    page.evaluate(
        "document.body.setAttribute('style', 'color: red'); document.head.append(document.createElement('style'))"
    )
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'x()'; document.body.append(s); }"
    )
    page.wait_for_function("() => true")

    complaints = "\n".join(anybody.visitor.complaints())
    for word in ("planted error", "planted warning", "planted throw", "http://127.0.0.1:9/x.png", "Content Security"):
        assert word in complaints, complaints


def test_a_heavy_page_is_found(look_round: Callable[..., Round]) -> None:
    anybody = look_round()
    noise = "".join(str(uuid4()) for _ in range(2000))
    anybody.visitor.page.route(
        "**/heavy", lambda route: route.fulfill(status=200, content_type="text/html", body=f"<main>{noise}</main>")
    )
    anybody.visitor.go("/heavy")

    assert anybody.visitor.weight()[1] > MOST_BYTES
