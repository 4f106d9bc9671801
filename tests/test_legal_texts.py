"""Legal texts: public, printable, never changed once published, and accepted by each user for themselves."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts import legal_texts
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.legal_texts import TEXTS, LegalText, accept, check_texts, current, unaccepted, versions
from accounts.models import Acceptance, User
from accounts.safeguards.models import LedgerEntry
from retention import closing
from tests.cast import make_staff
from tests.test_wording import BANNED
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")
Document = Acceptance.Document
LONGEST_SENTENCE = 25


def page(text: LegalText) -> str:
    return reverse("accounts:legal_text", args=[text.document.value, text.version])


def later(monkeypatch: pytest.MonkeyPatch, document: str = "terms", version: str = "2027-01-01") -> LegalText:
    """Publish one more version of a document, with the text of the one before."""
    old = versions(document)[0]
    new = LegalText(old.document, version, old.sha256)
    monkeypatch.setattr(legal_texts, "TEXTS", (*TEXTS, new))
    monkeypatch.setattr(LegalText, "source", property(lambda self: "<p>A text.</p>"))
    return new


# The texts themselves.


def test_every_document_has_a_text_whose_hash_is_known():
    assert {text.document for text in TEXTS} == set(Document)
    assert check_texts() == []
    for text in TEXTS:
        file = configured.BASE_DIR / "templates" / "legal" / text.document.value / f"{text.version}.html"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == text.sha256
    files = list((configured.BASE_DIR / "templates" / "legal").rglob("*.html"))
    assert len(files) == len(TEXTS)


def test_a_text_that_was_changed_or_lost_is_noticed(monkeypatch: pytest.MonkeyPatch):
    changed = LegalText(Document.TERMS, TEXTS[0].version, "0" * 64)
    lost = LegalText(Document.TERMS, "2000-01-01", TEXTS[0].sha256)
    monkeypatch.setattr(legal_texts, "TEXTS", (*TEXTS, changed, lost))

    assert [error.id for error in check_texts()] == ["accounts.E020", "accounts.E020"]


def test_versions_of_a_document_follow_each_other():
    for document in Document:
        days = [text.since for text in versions(document)]
        assert days == sorted(days, reverse=True) and len(set(days)) == len(days)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_a_text_reads_plainly(text: LegalText):
    plain = " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"</(p|li|h2)>", ". ", text.source)).split())
    long = [one for one in re.split(r"(?<=[.:;?!])\s", plain) if len(one.split()) > LONGEST_SENTENCE]

    assert long == []
    assert BANNED.findall(plain) == []
    assert "{{" not in text.source and "{%" not in text.source and "<script" not in text.source


def test_the_privacy_notice_says_what_the_policy_says():
    text = versions(Document.PRIVACY)[0].source.lower()

    for said in (
        "name, company, e-mail address, billing addresses and telephone numbers", "user names, account numbers",
        "payment providers", "ip address", "operating system", "order confirmations and invoices",
        "improve the layout", "service requests", "administer the services", "fraudulent orders",
        "identifies nobody", "sell no customer information", "court orders", "dates of your registration",
        "authentic and accurate", "suspend your services", "consent, given before", "best practices",
        "as long as you have an active account", "support ticket", "payment dispute", "backups",
        "no business information and no use-case", "no third party",
    ):  # fmt: skip
        assert said in text, said


# The pages.


def test_everybody_reads_every_version(alice: User, sam: User):
    for visitor in (Client(), signed_in(alice), signed_in(sam)):
        listed = words(visitor.get("/legal/"))
        assert all(str(text.title) in listed for text in current())
        for text in TEXTS:
            shown = visitor.get(page(text))
            assert shown.status_code == 200 and text.source in shown.content.decode()
            assert "The English text is binding." in words(shown) and text.sha256 in words(shown)
            assert "26 November 2026 (this one)" in words(shown)


def test_a_document_leads_to_its_current_version(monkeypatch: pytest.MonkeyPatch):
    assert Client().get("/legal/terms/")["Location"] == page(versions("terms")[0])
    new = later(monkeypatch)
    assert Client().get("/legal/terms/")["Location"] == page(new)
    old = words(Client().get(page(TEXTS[0])))
    assert "There is a newer version. Read the current one ." in old and "1 January 2027" in old


@pytest.mark.parametrize("path", ["/legal/nothing/", "/legal/terms/2000-01-01/", "/legal/nothing/2026-11-26/"])
def test_what_never_was_is_not_there(path: str):
    assert Client().get(path).status_code == 404


@pytest.mark.parametrize("odd", ["../terms", "%2e%2e", "\x00", "terms.html"])
def test_no_path_leads_to_another_file(odd: str):
    assert Client().get(f"/legal/terms/{odd}/").status_code in {400, 404}
    assert legal_texts.find("terms", odd) is None and legal_texts.versions(odd) == []


def test_the_pages_take_few_statements(alice: User):
    visitor = signed_in(alice)
    for path in ("/legal/", page(TEXTS[0]), "/legal/accept/"):
        with sql() as statements:
            assert visitor.get(path).status_code == 200
        assert len(statements) <= 12
        assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []


# Accepting.


def ticks(*texts: LegalText) -> dict[str, str]:
    return {text.name: "on" for text in texts}


def test_a_user_accepts_what_is_shown_and_is_asked_no_more(alice: User):
    visitor = signed_in(alice)
    shown = visitor.get("/legal/accept/")
    assert "checked" not in shown.content.decode()
    assert unaccepted(alice) == current()

    answer = visitor.post("/legal/accept/", ticks(*current()), REMOTE_ADDR="203.0.113.9")

    assert answer.status_code == 302 and unaccepted(alice) == []
    rows = list(Acceptance.objects.order_by("pk"))
    assert [(row.document, row.version, bytes(row.text_hash).hex()) for row in rows] == [
        (text.document.value, text.version, text.sha256) for text in current()
    ]
    assert {(row.user, row.account_id, row.ip) for row in rows} == {(alice.pk, alice.account_id, "203.0.113.9")}
    entries = LedgerEntry.objects.filter(action="legal_text.accepted", subject=alice.account_id)
    assert [json.loads(entry.body)["document"] for entry in entries.order_by("at", "pk")] == [
        text.document.value for text in current()
    ]
    assert not any("203.0.113.9" in entry.body for entry in entries)
    assert "You accepted the current version of every text." in words(visitor.get("/legal/accept/"))
    visitor.post("/legal/accept/", ticks(*current()))
    assert Acceptance.objects.count() == len(rows)


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_text_that_is_not_ticked_is_not_accepted_nor_is_any(alice: User, left_out: int):
    given = [text for number, text in enumerate(current()) if number != left_out]
    answer = signed_in(alice).post("/legal/accept/", ticks(*given))

    assert answer.status_code == 422 and "Read this text, then tick that you did." in words(answer)
    assert not Acceptance.objects.exists()


def test_nothing_is_accepted_by_an_empty_form_or_by_looking(alice: User):
    visitor = signed_in(alice)
    visitor.get("/legal/accept/")
    visitor.post("/legal/accept/", {"x": "1"})

    assert not Acceptance.objects.exists()


def test_a_form_accepts_the_version_it_showed(alice: User, monkeypatch: pytest.MonkeyPatch):
    shown = current()
    new = later(monkeypatch)

    assert signed_in(alice).post("/legal/accept/", ticks(*shown)).status_code == 422
    assert not Acceptance.objects.exists()
    assert signed_in(alice).post("/legal/accept/", ticks(new, *shown[1:])).status_code == 302
    assert Acceptance.objects.get(document="terms").version == new.version


def test_a_new_version_is_asked_for_again_and_the_old_acceptance_stays(alice: User, monkeypatch: pytest.MonkeyPatch):
    accept(alice, current())
    new = later(monkeypatch)

    assert unaccepted(alice) == [new]
    accept(alice, [new])
    assert unaccepted(alice) == [] and Acceptance.objects.filter(document="terms").count() == 2


def test_each_user_of_an_account_accepts_for_themselves(alice: User):
    member = User.objects.create_user(alice.account, "correct horse battery staple")
    accept(alice, current())

    assert unaccepted(member) == current()
    accept(member, current())
    assert Acceptance.objects.count() == 2 * len(current())


def test_staff_accept_nothing_and_a_closed_account_nothing_more(alice: User, sam: User):
    assert unaccepted(sam) == []
    with pytest.raises(PermissionDenied):
        accept(sam, current())
    closing.close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="is closed"):
        accept(alice, current())
    visitor = signed_in(alice)
    assert visitor.get("/legal/accept/").status_code == 409 and visitor.get("/legal/").status_code == 200


def test_raw_rows_count_once_per_version(alice: User):
    [made, *_] = accept(alice, current())
    made.pk = uuid4()
    with pytest.raises(IntegrityError, match="acceptance_once_per_user_and_version"), transaction.atomic():
        made.save(force_insert=True)


@pytest.mark.parametrize(
    ("role", "seen"),
    [("support", "…13"), ("privacy_officer", "203.0.113.13"), ("administrator", "hidden for your role")],
)
def test_staff_see_acceptances_on_the_users_page(alice: User, role: str, seen: str):
    accept(alice, current(), ip="203.0.113.13")
    address = reverse("admin:accounts_user_change", args=[alice.pk])
    shown: Any = signed_in(make_staff("reader", role)).get(address).content.decode()

    part = shown.split("Accepted legal texts</h2>")[1]
    assert "terms of service" in part and versions("terms")[0].version in part and seen in part
    assert ("203.0.113.13" in part) == (role == "privacy_officer")
