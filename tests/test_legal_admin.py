"""Legal requests in the admin: entering, working and finding them, and that nobody else learns of one (P15, S9)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from chicagocloud import work
from disclosures import answering, documenting, receiving
from disclosures.models import LegalDocument, LegalLetter, LegalRequest
from retention import releasing, sight
from retention.models import Hold
from tests import files, legal
from tests.admin_walk import ROLES
from tests.cast import DAY, make_staff
from tests.test_legal_receiving import check_all, enter, number_of, verified
from tests.visiting import signed_in, sql

pytestmark = pytest.mark.usefixtures("committed")
LIST = "admin:disclosures_legalrequest_changelist"
BLIND = [role for role in ROLES if role not in {"legal", "privacy_officer"}]
# A page of a hundred thousand requests reads no more than this (pages.md, gate 6).
MOST_QUERIES = 25


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def desk(lena: User) -> Client:
    return signed_in(lena)


def url(request: LegalRequest, page: str = "change") -> str:
    return reverse(f"admin:disclosures_legalrequest_{page}", args=[request.pk])


def content(answer: Any) -> str:
    return str(answer.content.decode())


def listed(client: Client, query: str = "") -> list[str]:
    page = client.get(f"{reverse(LIST)}{query}")
    assert page.status_code == 200
    return [row.reference for row in page.context["cl"].result_list]


def served(**given: Any) -> dict[str, Any]:
    """Return the form of a request as staff fill it in."""
    now = timezone.localtime()
    return {
        "submission": str(uuid7()),
        "instrument": "civil_subpoena",
        "authority": "Doe & Doe LLP",
        "jurisdiction": "us-il",
        "served_how": "post",
        "served_at_0": f"{now - DAY:%Y-%m-%d}",
        "served_at_1": "10:00",
        "due_at_0": f"{now + 20 * DAY:%Y-%m-%d}",
        "due_at_1": "10:00",
        "categories": ["identity", "contact"],
        "docket": "2026-CV-881",
        "wording": "Who is behind this account",
    } | given


def test_a_request_is_entered_with_its_document_and_holds_at_once(alice: User, desk: Client) -> None:
    assert alice.account is not None
    form = served(accounts=alice.account.number, documents=SimpleUploadedFile("order.pdf", files.pdf()))
    answer = desk.post(reverse("admin:disclosures_legalrequest_receive"), form, follow=True)

    request = LegalRequest.objects.get()
    assert answer.redirect_chain[-1][0] == url(request)
    page = content(answer)
    assert "1 of 1 persons found and held" in page and "Doe &amp; Doe LLP" in page and "provisional hold" in page
    assert LegalDocument.objects.get(request=request).state == "clean"
    assert Hold.objects.get(cause=request.pk).account_id == alice.account_id
    desk.post(reverse("admin:disclosures_legalrequest_receive"), form)
    assert LegalRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"addresses": "203.0.113.9"}, "with its time in UTC"),
        ({"addresses": "203.0.113.9 2026-13-01 12:30"}, "with its time in UTC"),
        ({"jurisdiction": "Illinois"}, "like US, US-IL or DE"),
        ({"served_at_0": "", "served_at_1": ""}, "Enter this"),
        ({"instrument": "search_warrant"}, "government body"),
        ({"preserved_by_id": "LEG-AAAA-AAAA"}, "No preservation letter"),
        ({"wording": "4111 1111 1111 1111"}, "card number"),
        ({"documents": SimpleUploadedFile("order.pdf", b"<html>")}, "Choose a PDF"),
        ({"categories": ["credentials"]}, "credentials"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(wrong: dict[str, Any], said: str, alice: User, desk: Client) -> None:
    answer = desk.post(reverse("admin:disclosures_legalrequest_receive"), served(**wrong))
    assert answer.status_code == 422 and said in content(answer)
    assert not LegalRequest.objects.exists()
    # What was typed is still there.
    assert "2026-CV-881" in content(answer)


def test_one_member_of_staff_brings_it_to_the_verification(alice: User, desk: Client) -> None:
    recipient = legal.make_recipient("party")
    assert alice.account is not None
    form = served(accounts=alice.account.number)
    desk.post(reverse("admin:disclosures_legalrequest_receive"), form)
    request = LegalRequest.objects.get()
    assert "It lacks a registered authority" in content(desk.get(url(request, "verify")))
    complete = {
        name: form[name] for name in form if name.startswith("due_at") or name in {"jurisdiction", "categories"}
    }
    assert desk.post(url(request, "complete"), complete | {"recipient_id": recipient.pk}).status_code == 302
    for item in ("authentic", "valid", "signed", "in_scope", "not_overbroad"):
        data = {"item": item, "is_met": "yes", "confirmed_at": "desk@party.example"}
        assert desk.post(url(request, "record-check"), data).status_code == 302, item
    wrong = desk.post(url(request, "record-check"), data | {"item": "authentic", "confirmed_at": "desk@party.evil"})
    assert wrong.status_code == 409 and "on file" in content(wrong)
    assert desk.post(url(request, "verify")).status_code == 302
    request.refresh_from_db()
    assert request.verified_at is not None
    page = content(desk.get(url(request)))
    for said in (
        "verified",
        "legal hold (sealed)",
        "not yet",
        "received",
        "checked",
        "days after service",
    ):
        assert said in page, said


def test_the_queue_goes_by_days_left_and_is_filtered(alice: User, lena: User, desk: Client) -> None:
    now = timezone.now()
    late = enter(lena, number_of(alice), due_at=now - DAY)
    soon = enter(lena, number_of(alice), due_at=now + 3 * DAY, jurisdiction="US-CA")
    far = verified(lena, number_of(alice), due_at=now + 30 * DAY, jurisdiction="US")
    none = enter(lena, number_of(alice), due_at=None, jurisdiction="DE")
    done = enter(lena, number_of(alice), due_at=now + DAY)
    answering.reject(done.pk, by=lena, reason="not valid")
    receiving.assign(soon.pk, by=lena)
    legal.silence(far)

    assert listed(desk) == [one.reference for one in (late, soon, far, none)]
    assert listed(desk, "?standing=overdue") == [late.reference]
    assert listed(desk, "?standing=soon") == [soon.reference]
    assert listed(desk, "?standing=verified") == [far.reference]
    assert listed(desk, "?standing=ended") == [done.reference]
    assert listed(desk, "?standing=sealed") == [far.reference]
    assert len(listed(desk, "?standing=all")) == 5
    assert listed(desk, "?whose=mine") == [soon.reference]
    assert listed(desk, "?place=states") == [soon.reference]
    assert listed(desk, "?place=federal") == [far.reference]
    assert listed(desk, "?place=abroad") == [none.reference]
    page = content(desk.get(reverse(LIST)))
    assert "overdue by" in page and "Sealed" in page
    for word in ("Grand jury of Testville", "0117", "alice", "subscriber"):
        assert word not in page


def test_a_request_is_found_by_what_stands_in_no_address(alice: User, lena: User, desk: Client) -> None:
    request = enter(lena, number_of(alice))
    find = reverse("admin:disclosures_legalrequest_find")
    assert alice.account is not None
    for wanted in (request.reference.lower(), "24-gj-0117", alice.account.number, "alice@alice.example"):
        assert desk.post(find, {"wanted": wanted})["Location"] == url(request)
    other = enter(lena, number_of(alice))
    both = content(desk.post(find, {"wanted": "24 GJ 0117"}))
    assert request.reference in both and other.reference in both
    assert "No request was found" in content(desk.post(find, {"wanted": "nothing"}))


def test_a_document_is_a_download_and_says_so_in_the_ledger(
    alice: User, lena: User, desk: Client, settings: Any
) -> None:
    request = enter(lena, number_of(alice), files=[SimpleUploadedFile("order.pdf", files.pdf())])
    where = reverse("admin:disclosures_legaldocument_file", args=[request.documents.get().pk])
    answer = desk.get(where)
    assert answer.content == files.pdf()
    assert answer["Content-Disposition"].startswith("attachment")
    assert (answer["X-Content-Type-Options"], "sandbox" in answer["Content-Security-Policy"]) == ("nosniff", True)
    assert LedgerEntry.objects.filter(action="legal.document-opened", subject=request.pk).count() == 1

    settings.VIRUS_SCANNER = "tests.test_legal_receiving.Away"
    waiting = documenting.add(request.pk, by=lena, file=SimpleUploadedFile("b.pdf", files.pdf(2))).document
    page = desk.get(reverse("admin:disclosures_legaldocument_file", args=[waiting.pk]))
    assert "Content-Disposition" not in page and "virus scanner" in content(page)
    settings.VIRUS_SCANNER = "tests.test_legal_receiving.Finds"
    bad = documenting.add(request.pk, by=lena, file=SimpleUploadedFile("c.pdf", files.pdf(3))).document
    held = desk.get(reverse("admin:disclosures_legaldocument_file", args=[bad.pk]))
    assert "QUARANTINED-infected" in held["Content-Disposition"] and held["Content-Type"] == "application/octet-stream"


def test_a_letter_is_drafted_edited_and_sent(alice: User, lena: User, desk: Client) -> None:
    request = enter(lena, number_of(alice))
    answer = desk.post(url(request, "draft-letter"), {"kind": "objection"})
    letter = LegalLetter.objects.get(request=request)
    assert answer["Location"] == reverse("admin:disclosures_legalletter_edit", args=[letter.pk])
    assert "We object" in content(desk.get(answer["Location"]))
    desk.post(answer["Location"], {"subject": "Objection", "body": "Our grounds are these."})
    sent = desk.post(reverse("admin:disclosures_legalletter_send", args=[letter.pk]), {"how": "mail"})
    assert sent.status_code == 302
    again = desk.post(answer["Location"], {"subject": "Other", "body": "Other."})
    assert again.status_code == 409
    with keyring():
        letter.refresh_from_db()
        assert str(letter.body) == "Our grounds are these."


def test_the_front_page_has_the_work(alice: User, lena: User, desk: Client) -> None:
    now = timezone.now()
    old = enter(lena, number_of(alice), at=now - 20 * DAY, served_at=now - 21 * DAY, due_at=now + 5 * DAY)
    releasing.end_passed()
    asked = enter(lena, receiving.Person("domain", "alice.example"), due_at=now - DAY)
    receiving.assign(asked.pk, by=lena)
    piles = {pile.title: [name.split(":")[0] for name, _, _ in pile.entries] for pile in work.piles(lena)}
    assert piles["Legal requests overdue"] == [asked.reference]
    assert piles["Legal requests due within 7 days"] == [old.reference]
    assert piles["My legal requests"] == [asked.reference]
    assert piles["Legal requests of nobody"] == [old.reference]
    assert piles["Persons sought to decide on"] == [asked.reference]
    assert piles["Legal requests that hold nothing any more"] == [old.reference]
    assert old.reference in content(desk.get("/admin/"))


# --------------------------------------------------------------------------------------------------------- silence


def test_nobody_else_learns_of_a_request(alice: User, lena: User, desk: Client) -> None:
    request = verified(lena, number_of(alice), files=[SimpleUploadedFile("order.pdf", files.pdf())])
    letter = answering.draft(request.pk, by=lena, kind="receipt")
    answering.send(letter.pk, by=lena, how="mail")
    desk.get(url(request))
    document = request.documents.get()
    assert LedgerEntry.objects.filter(action="viewed", subject=request.pk).exists()
    addresses = [reverse(LIST), url(request), url(request, "verify"), url(request, "close")]
    addresses += [
        reverse("admin:disclosures_legalrequest_receive"),
        reverse("admin:disclosures_legalrequest_find"),
        reverse("admin:disclosures_legaldocument_file", args=[document.pk]),
        reverse("admin:disclosures_legalletter_change", args=[letter.pk]),
    ]
    for role in BLIND:
        user = make_staff(f"blind-{role}".replace("_", "-"), role)
        client = signed_in(user)
        for address in addresses:
            unknown = address.replace(str(request.pk), str(uuid7())).replace(str(document.pk), str(uuid7()))
            known, nothing = client.get(address), client.get(unknown)
            assert known.status_code == nothing.status_code == 403, (role, address)
            assert client.post(address).status_code == 403
        index = content(client.get("/admin/"))
        assert "egal request" not in index and request.reference not in index
        assert not [pile for pile in work.piles(user) if "egal request" in pile.title]
        entries = sight.ledger_for(user)
        assert not entries.filter(action__startswith="legal.").exists()
        assert not entries.filter(subject=request.pk).exists()
        if role == "administrator":
            rows = client.get(reverse("admin:safeguards_outboxmessage_changelist")).context["cl"].result_count
            assert rows == _mails_of_others()
    # The control: whoever may know finds all of it.
    assert sight.ledger_for(lena).filter(action__startswith="legal.").count() > 8


def _mails_of_others() -> int:
    from accounts.safeguards.models import OutboxMessage

    assert OutboxMessage.objects.filter(event__startswith="sealed:").exists()
    return OutboxMessage.objects.exclude(event__startswith="sealed:").count()


def test_a_permission_given_by_hand_opens_nothing(alice: User, lena: User) -> None:
    from django.contrib.auth.models import Permission

    request = enter(lena, number_of(alice))
    sue = make_staff("sue", "support")
    sue.user_permissions.add(*Permission.objects.filter(content_type__app_label="disclosures"))
    assert signed_in(sue).get(url(request)).status_code == 403


# ----------------------------------------------------------------------------------------------------------- budget


def test_a_full_list_stays_within_its_queries(alice: User, lena: User, desk: Client) -> None:
    now = timezone.now()
    staff = [make_staff(f"staff-{number}", "legal") for number in range(30)]
    for number in range(60):
        request = legal.make_request(
            alice.account,
            verified=number % 2 == 0,
            due_at=now + dt.timedelta(days=number),
            assigned_to=staff[number % 30].pk,
        )
        if number % 3 == 0:
            legal.silence(request)
    with sql() as found:
        assert len(listed(desk)) == 50
    assert 5 < len(found) <= MOST_QUERIES, found


def test_checks_of_all_are_met_in_the_order_of_the_list(alice: User, lena: User, desk: Client) -> None:
    request = enter(lena, number_of(alice))
    check_all(request, lena)
    page = content(desk.get(url(request, "verify")))
    assert page.index("address on file") < page.index("is valid") < page.index("signed by who")
