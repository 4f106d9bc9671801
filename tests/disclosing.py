"""Disclosing in a browser: one member of staff prepares and releases, another approves, the recipient opens the file.

Each step starts at the page that step is reached from and ends with what it says.
"""

from __future__ import annotations

import io
import re
import zipfile

import pyrage

from accounts.safeguards.models import OutboxMessage
from disclosures.models import Delivery, Disclosure
from tests.browsing import Visitor
from tests.test_browser_axe import room


def press(visitor: Visitor, name: str) -> None:
    """Send the form that has this button."""
    visitor.page.get_by_role("button", name=name).click()


def submit(maker: Visitor, ground: str, number: str, kind: str) -> Disclosure:
    """Prepare a disclosure of one kind of data on a ground about the account of `number`, and submit it."""
    maker.go("/admin/disclosures/disclosure/")
    maker.page.get_by_role("link", name="Prepare a disclosure").click()
    maker.page.get_by_label("Ground").fill(ground)
    maker.page.get_by_label("Account number").fill(number)
    maker.page.locator("[name=purpose]").fill("The complainant asks.")
    maker.page.locator(f"[name=categories][value={kind}]").check()
    press(maker, "Prepare a disclosure")
    maker.page.get_by_role("link", name="Submit for approval").click()
    press(maker, "Submit for approval")
    assert "waits for another person" in maker.main()
    return Disclosure.objects.get()


def approve(colleague: Visitor, made: Disclosure) -> str:
    """Find a disclosure among the work of another person, approve it, and return the words of its packet."""
    colleague.go("/admin/").page.get_by_role("link", name=made.reference).first.click()
    colleague.page.get_by_role("link", name="Approve this packet").click()
    read = colleague.main()
    colleague.page.get_by_label("Type the reference of this disclosure").fill(made.reference)
    colleague.page.get_by_label("What you checked").fill("Nothing but what the case allows")
    press(colleague, "Approve this packet")
    assert "is approved for a day" in colleague.main()
    return read


def release(maker: Visitor, made: Disclosure) -> str:
    """Release what was approved, send it with a passphrase, and return the passphrase."""
    maker.go(room(Disclosure).url_of(made, "release"))
    press(maker, "Release this disclosure")
    assert "is released" in maker.main()
    maker.page.get_by_role("link", name="Send the file to the recipient").click()
    maker.page.get_by_label("with a passphrase").check()
    press(maker, "Send the file to the recipient")
    return maker.page.locator("dd, td").filter(has_text=re.compile(r"^\w+-\w+")).first.inner_text()


def receive(recipient: Visitor, passphrase: str) -> dict[str, bytes]:
    """Open the link of the mail as the recipient, and return the files by name, decrypted."""
    mail = OutboxMessage.objects.get(event=f"sealed:delivery:{Delivery.objects.get().pk}").content["body"]
    link = re.search(r"/delivery/[\w-]+/", mail)
    assert link
    recipient.go(link[0])
    with recipient.page.expect_download() as file:
        press(recipient, "Download the file")
    opened = zipfile.ZipFile(io.BytesIO(pyrage.passphrase.decrypt(file.value.path().read_bytes(), passphrase)))
    return {name: opened.read(name) for name in opened.namelist()}
