"""The deletion in a real browser: asked for, followed, cancelled, carried out, stopped by a hold and a dispute.

The whole way goes by keyboard alone, with scripting and without, wide and narrow, light and dark. With
CHICAGOCLOUD_PICTURES=1 it also writes the picture of the README.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, FloatRect, expect

from accounts import datamap
from accounts.models import Account, State, TicketMessage, User
from retention import disputing, placing
from retention.models import DeletionRequest, Hold
from tests.browsing import PATIENCE, SIZES, Visitor
from tests.cast import PASSWORD, bind, furnish, make_customer, owe
from tests.servers import Connection, Portal, Worker

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]
NewContext = Callable[..., BrowserContext]
Mails = Callable[[], list[EmailMessage]]

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "delete-check.png"
# Long enough to see the last page of the waiting period on a busy machine.
GRACE = 20
UNFINISHED = (
    "Your deletion is not finished. Some data stays for now. We look at this at least every 90 days and write to you "
    "when it is finished."
)
QUESTION = "Does my website stay up until then?"
# (scripting, width, colours): each value of one with each value of the others at least once.
LOOKS = [(True, "1280", "light"), (False, "320", "dark"), (True, "320", "light"), (False, "1280", "dark")]
POINTLESS = """() => {
    const links = document.querySelectorAll("main a, main button");
    links.forEach(one => one.style.outline = "none");
}"""


def arrive(visitor: Visitor, path: str, heading: str) -> None:
    """Expect to be on this page, nothing wider than the window and nothing wrong on the way."""
    assert re.fullmatch(path, visitor.path), visitor.path
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(heading, timeout=PATIENCE)
    assert visitor.too_wide() <= 0, f"{visitor.path} scrolls sideways"
    assert visitor.complaints() == []


@pytest.mark.parametrize(("scripting", "width", "scheme"), LOOKS)
def test_a_deletion_is_asked_for_talked_about_and_cancelled_by_keyboard_alone(
    new_context: NewContext, live_portal: Portal, scripting: bool, width: str, scheme: str
) -> None:
    user = furnish(make_customer("alice"))
    context = new_context(java_script_enabled=scripting, viewport=SIZES[width], color_scheme=scheme)
    visitor = Visitor(context, live_portal.url).go("/")
    sign_in_by_keyboard(visitor)
    skip_the_navigation(visitor)

    ask_by_keyboard(visitor, picture=(scripting, width, scheme) == LOOKS[0])
    asked = DeletionRequest.objects.get()
    arrive(visitor, f"/delete/{asked.reference}/", f"Account deletion {asked.reference}")
    shown = visitor.main()
    assert f"We have your request {asked.reference}. A mail with its code is on the way." in shown
    assert "Waiting period: 30 days left" in shown
    assert "Nothing you need to do" in shown

    write_by_keyboard(visitor)
    assert TicketMessage.objects.filter(ticket_id=asked.ticket, account=user.account_id).count() == 2

    link, button = visitor.page.get_by_role("link"), visitor.page.get_by_role("button")
    visitor.enter(link.filter(has_text="See how far the deletion is"))
    visitor.enter(link.filter(has_text="Keep my account"))
    arrive(visitor, r"/delete/DEL-[-0-9A-Z]+/cancel/", "Keep your account")
    visitor.enter(button.filter(has_text="Open my account again"))
    arrive(visitor, r"/delete/DEL-[-0-9A-Z]+/cancel/", "Your account is open again")
    visitor.enter(link.filter(has_text="Go to your overview"))
    arrive(visitor, "/", "Overview")

    asked.refresh_from_db()
    assert asked.cancelled_at is not None
    assert Account.objects.get(pk=user.account_id).state == State.ACTIVE


def sign_in_by_keyboard(visitor: Visitor) -> None:
    arrive(visitor, "/sign-in/", "Sign in")
    visitor.fill("E-mail, user name or account number", "alice@alice.example")
    visitor.fill("Password", PASSWORD)
    visitor.enter(visitor.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True))
    arrive(visitor, "/", "Overview")


def skip_the_navigation(visitor: Visitor) -> None:
    """The first stop of every page leads past the navigation, and is seen when it has the focus."""
    visitor.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to main content")).to_be_focused()
    assert visitor.focused()["seen"]
    visitor.press("Enter")
    expect(visitor.page.locator("main")).to_be_focused()


def ask_by_keyboard(visitor: Visitor, picture: bool) -> None:
    page = visitor.page
    visitor.go("/")
    visitor.enter(page.get_by_role("main").get_by_role("link", name="Delete your account"))
    arrive(visitor, "/delete/", "Delete your account")
    details = page.get_by_role("group").filter(has_text="Why some data stays")
    visitor.tab_to(details.locator("summary"))
    visitor.press("Space")
    expect(details.get_by_text("Deleted data may remain in backups")).to_be_visible()
    visitor.enter(page.get_by_role("link", name="Continue to the last check"))
    arrive(visitor, "/delete/check/", "Check what will be deleted")
    if picture and os.environ.get("CHICAGOCLOUD_PICTURES"):
        # Down to the form: with it the file would be larger than a picture in the repository should be.
        form = page.get_by_role("heading", name="Confirm that it is you").bounding_box()
        assert form is not None
        clip: FloatRect = {"x": 0, "y": 0, "width": SIZES["1280"]["width"], "height": form["y"]}
        page.screenshot(path=PICTURE, full_page=True, clip=clip)

    # What is missing is said at the top, where the focus is, and each sentence leads to its field.
    close = page.get_by_role("button", name="Close my account")
    visitor.enter(close)
    arrive(visitor, "/delete/check/", "Check what will be deleted")
    expect(page).to_have_title(re.compile("^Error: "))
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    assert visitor.focused()["outlined"]
    assert visitor.focused()["seen"]
    assert summary.get_by_role("link").all_inner_texts() == [
        "Enter your password.",
        "Tick the box once you have what you want to keep.",
    ]
    visitor.tab_to(summary.get_by_role("link").first)
    visitor.press("Enter")
    expect(page.get_by_label("Your password")).to_be_focused()
    visitor.type(PASSWORD)
    visitor.tab_to(page.get_by_label("I have what I want to keep"))
    visitor.press("Space")
    visitor.enter(close)


def write_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.enter(page.get_by_role("link", name="Read and write messages about this request"))
    assert visitor.complaints() == []
    visitor.fill("Your message", QUESTION)
    visitor.enter(page.get_by_role("button", name="Send your message"))
    expect(page.get_by_role("listitem").filter(has_text=QUESTION)).to_be_visible()
    assert visitor.too_wide() <= 0


def test_a_stop_that_cannot_be_seen_is_caught(new_context: NewContext, live_portal: Portal) -> None:
    visitor = Visitor(new_context(), live_portal.url).go("/sign-in/")
    button = visitor.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True)
    visitor.tab_to(button)
    visitor.go("/sign-in/")
    visitor.page.evaluate(POINTLESS)

    with pytest.raises(AssertionError, match="not visible"):
        visitor.tab_to(button)


def test_a_control_that_tab_does_not_reach_is_caught(new_context: NewContext, live_portal: Portal) -> None:
    visitor = Visitor(new_context(), live_portal.url).go("/sign-in/")
    button = visitor.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True)
    button.evaluate("one => one.tabIndex = -1")

    with pytest.raises(AssertionError, match="not reached by Tab"):
        visitor.tab_to(button)


@pytest.mark.parametrize(("width", "scheme"), [("320", "dark"), ("1280", "light")])
def test_every_page_opens_without_scripting(
    new_context: NewContext, live_portal: Portal, alice: User, width: str, scheme: str
) -> None:
    invoice = owe(alice)
    bind(alice)
    context = new_context(java_script_enabled=False, viewport=SIZES[width], color_scheme=scheme)
    visitor = Visitor(context, live_portal.url)
    for path in ("/sign-in/", "/delete/find/", "/password/reset/", "/help/"):
        assert visitor.go(path).status == 200
        assert (visitor.too_wide(), visitor.complaints()) == (0, []), path
    visitor.sign_in(alice)
    own = (f"/invoices/{invoice.number}/", f"/invoices/{invoice.number}/pay/")
    for path in ("/", "/invoices/", *own, "/tickets/", "/help/", "/delete/", "/delete/check/", "/password/change/"):
        assert visitor.go(path).status == 200
        assert (visitor.too_wide(), visitor.complaints()) == (0, []), path


@pytest.mark.parametrize("scripting", [True, False])
def test_a_second_person_approves_a_release_by_keyboard_alone(
    new_context: NewContext, live_portal: Portal, alice: User, rita: User, lex: User, scripting: bool
) -> None:
    hold = placing.place(account_id(alice), Hold.Kind.LEGAL, by=rita.actor, matter="M-1")
    context = new_context(java_script_enabled=scripting, viewport=SIZES["1280"], reduced_motion="reduce")
    first = Visitor(context, live_portal.url).sign_in(rita)
    page = first.go(reverse("admin:retention_hold_change", args=[hold.pk])).page
    first.enter(page.get_by_role("link", name="Ask for the release"))
    ask = page.get_by_role("button", name="Ask for the release")
    first.enter(ask)
    expect(page.get_by_role("alert")).to_be_focused()
    first.tab_to(page.get_by_role("alert").get_by_role("link"))
    first.press("Enter")
    first.type("The matter is closed.")
    first.enter(ask)
    assert first.complaints() == []

    second = Visitor(new_context(java_script_enabled=scripting), live_portal.url).sign_in(lex)
    page = second.go("/admin/").page
    second.enter(page.get_by_role("region", name="Waiting for my approval").get_by_role("link"))
    second.enter(page.get_by_role("link", name="Approve the release"))
    second.enter(page.get_by_role("button", name="Approve the release"))
    assert second.complaints() == []

    hold.refresh_from_db()
    assert hold.released_at is not None


# --------------------------------------------------------------------------------------------------- carried out


def test_an_account_is_erased_when_due_while_a_held_and_a_disputed_one_stay(
    new_context: NewContext,
    start_portal: Callable[..., Portal],
    start_worker: Callable[..., Worker],
    mails: Mails,
    owner: Connection,
    rita: User,
) -> None:
    owner.execute("UPDATE retention_limit SET seconds = %s WHERE name = 'grace'", [GRACE])
    held, disputed, alice = (furnish(make_customer(name)) for name in ("held", "disputed", "alice"))
    placing.place(account_id(held), Hold.Kind.LEGAL, by=rita.actor, matter="M-1")
    disputing.open_dispute(
        account_id(disputed), processor="trial", reference="dp_7", amount_cents=1290, reason="general", by="system"
    )
    before = rows(held)
    portal = start_portal(GRACE_SECONDS=str(GRACE))
    worker = start_worker(beat=True, GRACE_SECONDS=str(GRACE))

    waiting = {user: close_by_pointer(new_context, portal, user) for user in (held, disputed)}
    visitor = Visitor(new_context(viewport=SIZES["1280"]), portal.url).go("/sign-in/")
    visitor.page.get_by_label("E-mail, user name or account number").fill("alice")
    visitor.page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    arrive(visitor, "/", "Overview")
    reference = close_by_pointer(new_context, portal, alice, visitor)
    assert "Waiting period: less than a day left" in visitor.main()

    follower = follow(new_context, portal, reference, code_for(mails, reference))
    assert "Waiting period: less than a day left" in follower.main()
    expect(follower.page.get_by_role("link", name="Sign in to cancel")).to_be_visible()

    asked = DeletionRequest.objects.filter(reference=reference)
    wait_until(lambda: asked.exclude(finished_at=None).exists(), "alice is erased", worker)

    # The page that stood open hears of it, and says so when asked again.
    follower.page.clock.fast_forward(25_000)
    news = follower.page.get_by_role("status").filter(has_text="There is news about this request.")
    expect(news).to_be_visible(timeout=PATIENCE)
    follower.page.get_by_role("link", name="Check again").click()
    expect(follower.page.get_by_text("Your data is deleted. We checked this on")).to_be_visible(timeout=PATIENCE)
    assert "Invoices and payments" in follower.main()
    assert follower.page.get_by_role("link", name="Check again").count() == 0
    assert follower.complaints() == []
    assert Account.objects.get(pk=account_id(alice)).state == State.ERASED

    # Nobody signs in any more: neither the browser that was signed in nor the password.
    visitor.go("/")
    assert visitor.path in {"/sign-in/", "/delete/find/"}
    visitor.go("/sign-in/").page.get_by_label("E-mail, user name or account number").fill("alice")
    visitor.page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(visitor.page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)

    for user, its_reference in waiting.items():
        other = follow(new_context, portal, its_reference, code_for(mails, its_reference))
        shown = other.main()
        assert UNFINISHED in shown
        assert "Deletion: not finished" in shown
        assert "Your data is deleted" not in shown
        # A dispute was told to the customer, the hold was not.
        assert ("dp_7" in shown) == (user is disputed)
        assert other.complaints() == []
        assert Account.objects.get(pk=account_id(user)).state == State.CLOSED
    assert rows(held) == before


def account_id(user: User) -> UUID:
    assert user.account_id is not None
    return user.account_id


def rows(user: User) -> dict[str, int]:
    """Return how many rows of each category are stored; sign-in data goes whatever holds the account."""
    kept = ("identity", "contact", "billing", "invoices", "services", "access")
    account = account_id(user)
    return {category: datamap.count([account], category)[account] for category in kept}


def close_by_pointer(new_context: NewContext, portal: Portal, user: User, visitor: Visitor | None = None) -> str:
    """Close the user's account in the browser, with the mouse; return the reference of the request."""
    visitor = visitor or Visitor(new_context(), portal.url).sign_in(user)
    page = visitor.go("/").page
    page.get_by_role("main").get_by_role("link", name="Delete your account").click()
    page.get_by_role("link", name="Continue to the last check").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("I have what I want to keep").check()
    page.get_by_role("button", name="Close my account").click()
    page.wait_for_url(re.compile(r"/delete/DEL-[-0-9A-Z]+/$"))
    assert visitor.complaints() == []
    return visitor.path.split("/")[2]


def follow(new_context: NewContext, portal: Portal, reference: str, code: str) -> Visitor:
    """Open a request's status by reference and code, in a browser that is not signed in."""
    visitor = Visitor(new_context(viewport=SIZES["320"]), portal.url)
    visitor.page.clock.install()
    page = visitor.go(reverse("retention:delete_find")).page
    page.get_by_label("Reference").fill(reference)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Show the request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Account deletion {reference}", timeout=PATIENCE)
    return visitor


def code_for(mails: Mails, reference: str) -> str:
    """Return the code that stands in the first mail about the request, as soon as it was sent."""
    found: list[str] = []

    def has_come() -> bool:
        bodies = [mail.get_content() for mail in mails() if mail["Subject"] == f"We have your request {reference}"]
        found.extend(re.findall(r"^Code: (\S+)$", "\n".join(bodies), re.MULTILINE))
        return bool(found)

    wait_until(has_come, f"the mail with the code of {reference} has come")
    return found[0]


def wait_until(happened: Callable[[], Any], what: str, worker: Worker | None = None, seconds: float = 90) -> None:
    """Return once it happened; fail when it takes too long, with what the worker wrote."""
    deadline = time.monotonic() + seconds
    while not happened():
        said = worker.output()[-4000:] if worker else ""
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{said}"
        time.sleep(0.1)
