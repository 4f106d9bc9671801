"""Consent: nothing pre-ticked, taken back in one press, proof of each step, and the signal of a browser (P20, P29)."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pyrage
import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import restricting
from accounts.datamap import Category, Purpose
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import Restriction, User
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import consent_texts, consenting
from disclosures.consenting import Agreement, Evidence
from disclosures.models import ConsentGrant, Recipient
from retention import closing, requesting, schedule
from tests import legal
from tests.calling import call, own_token
from tests.cast import DAY, make_staff
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
PAGE = "/consent/"
GPC = {"HTTP_SEC_GPC": "1"}


@pytest.fixture
def partner() -> Recipient:
    return legal.make_recipient("partner")


@pytest.fixture
def bea() -> User:
    return make_staff("bea", "billing")


def sharing(partner: Recipient, *categories: str) -> Agreement:
    return Agreement("sharing", categories or ("contact",), partner.pk)


def give(user: User, agreement: Agreement, **given: Any) -> ConsentGrant:
    return consenting.give(user.account_id, agreement, by=user, **({"submission": uuid7()} | given))


def live(user: User) -> list[ConsentGrant]:
    return list(ConsentGrant.objects.live(timezone.now()).filter(account=user.account_id))


def receipts(change: str) -> list[str]:
    mails = OutboxMessage.objects.filter(event__startswith="consent:", event__contains=f":{change}")
    return [str(mail.content["body"]) for mail in mails.order_by("created_at")]


# ------------------------------------------------------------------------------------------------- the acts


def test_a_consent_has_its_proof_and_a_receipt(alice: User, partner: Recipient):
    grant = give(alice, sharing(partner, "contact", "services"), ip="203.0.113.9")

    assert (grant.text_version, grant.ip, grant.given_by) == (consent_texts.VERSION, "203.0.113.9", alice.actor)
    assert partner.name in grant.text and "Contact details" in grant.text and "Services" in grant.text
    assert bytes(grant.text_hash) == consent_texts.Words("", grant.text).sha256
    assert grant.expires_at - grant.given_at == schedule.span("consent")
    [mail] = receipts("given")
    assert partner.name in mail and grant.reference in mail and "<" not in mail
    [entry] = LedgerEntry.objects.filter(action="consent.given")
    assert partner.name not in entry.body and "203.0" not in entry.body
    assert live(alice) == [grant]


def test_one_form_is_one_consent_and_a_later_one_replaces_it(alice: User, bob: User, partner: Recipient):
    submission = uuid7()
    first = give(alice, sharing(partner), submission=submission)
    assert give(alice, sharing(partner), submission=submission).pk == first.pk
    second = give(alice, sharing(partner, "services"))

    assert [grant.pk for grant in live(alice)] == [second.pk]
    first.refresh_from_db()
    assert first.withdrawn_at == second.given_at
    with pytest.raises(NotActionable, match="This form was used already"):
        give(bob, sharing(partner), submission=submission)


def test_taken_back_at_once_and_for_good(alice: User, bob: User, partner: Recipient):
    grant = give(alice, sharing(partner))
    with pytest.raises(PermissionDenied):
        consenting.withdraw(grant.pk, by=bob)
    ended = consenting.withdraw(grant.pk, by=alice, ip="203.0.113.9")
    again = consenting.withdraw(grant.pk, by=alice)

    assert (ended.withdrawn_how, ended.withdrawn_by, ended.withdrawn_ip) == ("portal", alice.actor, "203.0.113.9")
    assert again.withdrawn_at == ended.withdrawn_at
    assert live(alice) == []
    assert len(receipts("ended")) == 1
    assert LedgerEntry.objects.filter(action="consent.ended").count() == 1


def test_taken_back_twice_at_once_is_once(alice: User, partner: Recipient):
    grant = give(alice, sharing(partner))

    def take_back() -> None:
        try:
            consenting.withdraw(grant.pk, by=User.objects.get(pk=alice.pk))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take_back) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert LedgerEntry.objects.filter(action="consent.ended").count() == 1


@pytest.mark.parametrize("wrong", ["no category", "credentials", "confidential", "closed", "an authority", "purpose"])
def test_what_no_consent_can_be_is_refused_in_words(alice: User, partner: Recipient, wrong: str):
    agreement = sharing(partner)
    if wrong == "no category":
        agreement = Agreement("sharing", (), partner.pk)
    if wrong in {"credentials", "confidential"}:
        agreement = sharing(partner, "contact", wrong)
    if wrong == "closed":
        Recipient.objects.filter(pk=partner.pk).update(closed_at=timezone.now(), closed_by=alice.pk)
    if wrong == "an authority":
        agreement = sharing(legal.make_recipient("authority"))
    if wrong == "purpose":
        agreement = Agreement("sale", ("contact",), partner.pk)
    with pytest.raises(NotActionable):
        give(alice, agreement)
    assert not ConsentGrant.objects.exists()


def test_a_closed_account_agrees_to_nothing_and_takes_back(alice: User, partner: Recipient):
    grant = give(alice, sharing(partner))
    closing.close(alice.account_id, by=alice, submission=uuid7())
    with pytest.raises(NotActionable, match="closed"):
        give(alice, sharing(partner, "services"))
    assert consenting.withdraw(grant.pk, by=alice).withdrawn_at is not None


def test_staff_write_down_what_they_were_told_with_the_evidence(alice: User, partner: Recipient, sam: User, bea: User):
    evidence = Evidence("They said so on the telephone, ticket TIC-1.")
    given = {"submission": uuid7()}
    with pytest.raises(PermissionDenied):
        consenting.record_given(alice.account_id, sharing(partner), evidence, by=bea, **given)
    grant = consenting.record_given(alice.account_id, sharing(partner), evidence, by=sam, **given)

    assert (grant.channel, grant.given_by, grant.evidence) == ("staff", sam.actor, evidence.words)
    assert "Our staff wrote it down" in receipts("given")[0]
    # The hash of the evidence stands in the ledger: a sealed value could be written again.
    assert '"evidence":"' in LedgerEntry.objects.get(action="consent.given").body
    assert consenting.withdraw(grant.pk, by=sam, channel="staff").withdrawn_how == "staff"


def test_it_ends_with_its_time(alice: User, partner: Recipient):
    grant = give(alice, sharing(partner))
    then = grant.expires_at + dt.timedelta(seconds=1)
    assert not ConsentGrant.objects.live(then).exists()
    assert consenting.end_due(then - 2 * DAY) == 0
    assert consenting.end_due(then) == 1
    assert consenting.end_due(then) == 0
    grant.refresh_from_db()
    assert grant.withdrawn_how == "expiry"
    assert "Its time was over." in receipts("ended")[0]


# ------------------------------------------------------------------------------------------------- opt-out


def test_an_opt_out_ends_what_was_agreed_before_and_nothing_after(alice: User, partner: Recipient):
    other = legal.make_recipient("partner", name="Another partner")
    before, also = give(alice, sharing(partner)), give(alice, sharing(other))
    news = give(alice, Agreement("marketing"))
    wish = requesting.Wish("opt_out")
    requesting.ask(alice.account_id, wish, by=alice, submission=uuid7())

    assert live(alice) == [news]
    after = give(alice, sharing(partner))
    assert {grant.pk for grant in live(alice)} == {news.pk, after.pk}
    before.refresh_from_db()
    also.refresh_from_db()
    # What the opt-out ended does not come back when the purpose is allowed again.
    assert before.withdrawn_how == also.withdrawn_how == "opt_out"
    requesting.ask(alice.account_id, wish, by=alice, submission=uuid7())
    assert live(alice) == [news]
    assert consenting.end_due() == 1


def test_the_signal_of_a_browser_is_an_opt_out_once(alice: User, partner: Recipient):
    give(alice, sharing(partner))
    news = give(alice, Agreement("marketing"))
    visitor = signed_in(alice)
    visitor.get("/help/")
    assert len(live(alice)) == 2, "the control: without the signal it stands"

    visitor.get("/help/", **GPC)

    assert live(alice) == [news]
    assert restricting.is_restricted(alice.account_id, Purpose.SHARING)
    assert "privacy signal" in receipts("ended")[0]
    # What they agree to knowing their browser stands, in this session and in the next.
    again = give(alice, sharing(partner))
    visitor.get("/help/", **GPC)
    signed_in(alice).get("/help/", **GPC)
    assert again in live(alice)
    assert len(receipts("ended")) == 1


def test_the_signal_costs_nobody_else_a_query(alice: User, sam: User):
    visitor = signed_in(alice)
    visitor.get("/help/", **GPC)
    counts = []
    for headers in ({}, GPC):
        with CaptureCount() as captured:
            visitor.get("/help/", **headers)
        counts.append(captured.count)
    assert counts[1] <= counts[0]
    assert Client().get("/help/", **GPC).status_code == 200
    signed_in(sam).get("/help/", **GPC)
    assert Restriction.objects.count() == 1


class CaptureCount:
    """Counts the statements on the default database."""

    def __enter__(self) -> CaptureCount:
        self.connection = connections["default"]
        self.connection.force_debug_cursor = True
        self.before = len(self.connection.queries_log)
        return self

    def __exit__(self, *_: object) -> None:
        self.count = len(self.connection.queries_log) - self.before
        self.connection.force_debug_cursor = False


# ------------------------------------------------------------------------------------------------- the pages


def test_agree_see_and_take_back_on_the_pages(alice: User, partner: Recipient):
    visitor = signed_in(alice)
    text = words(visitor.get(PAGE))
    assert "We share nothing of yours with partners" in text and partner.name in text
    form = visitor.get(f"/consent/share/{partner.reference}/")
    assert b"checked" not in form.content
    assert partner.name in words(form)

    nothing = visitor.post(f"/consent/share/{partner.reference}/", {"submission": str(uuid7())})
    assert nothing.status_code == 200 and "Tick at least one kind of data." in words(nothing)
    sent = {"submission": str(uuid7()), "categories": ["contact", "services"]}
    assert visitor.post(f"/consent/share/{partner.reference}/", sent)["Location"] == PAGE

    [grant] = live(alice)
    text = words(visitor.get(PAGE))
    assert grant.reference in text and "Withdraw this consent" in text and "127.0.0.1" in text
    assert visitor.get(f"/consent/{grant.reference}/withdraw/")["Location"] == PAGE
    assert live(alice) == [grant], "looking takes nothing back"
    visitor.post(f"/consent/{grant.reference}/withdraw/")
    assert live(alice) == []
    assert "What has ended" in words(visitor.get(PAGE))


def test_news_are_a_consent_of_their_own(alice: User):
    visitor = signed_in(alice)
    assert "news and offers" in words(visitor.get("/consent/news/"))
    visitor.post("/consent/news/", {"submission": str(uuid7())})
    [grant] = live(alice)
    assert (grant.purpose, grant.recipient, grant.categories) == ("marketing", None, [Category.CONTACT.value])


def test_other_peoples_consents_are_not_there(alice: User, bob: User, partner: Recipient):
    grant = give(alice, sharing(partner))
    visitor = signed_in(bob)
    assert visitor.post(f"/consent/{grant.reference}/withdraw/").status_code == 404
    assert grant.reference not in words(visitor.get(PAGE))
    assert visitor.get("/consent/share/REC-2222-2222/").status_code == 404
    assert live(alice) == [grant]


def test_what_we_hold_and_the_copy_show_it(alice: User, partner: Recipient):
    grant = give(alice, sharing(partner), ip="203.0.113.9")
    text = words(signed_in(alice).get(reverse("retention:data_category", args=["consent"])))
    assert grant.reference in text or "What you agreed to" in text
    assert "203.0.113.9" in text


def test_a_year_later_a_page_says_when_it_ended(alice: User, partner: Recipient):
    give(alice, sharing(partner))
    with time_machine.travel(timezone.now() + 366 * DAY, tick=True):
        consenting.end_due()
        text = words(signed_in(alice).get(PAGE))
    assert "its time was over" in text


# ------------------------------------------------------------------------------------------------- staff


def test_support_records_a_consent_from_the_customer_card(alice: User, partner: Recipient, sam: User):
    legal.make_recipient("authority", name="Authority on file")
    staff = signed_in(sam)
    act = f"/admin/accounts/account/{alice.account_id}/record-consent/"
    page = staff.get(act)
    assert partner.name in words(page) and "Authority on file" not in words(page)
    sent = {"recipient": str(partner.pk), "words": "They wrote it in a letter of 3 May.", "submission": str(uuid7())}
    assert "Tick at least one kind" in words(staff.post(act, sent))
    done = staff.post(act, sent | {"categories": ["contact"]})
    assert done.status_code == 302
    [grant] = live(alice)
    assert grant.reference in words(staff.get(f"/admin/accounts/account/{alice.account_id}/"))
    record = f"/admin/disclosures/consentgrant/{grant.pk}/"
    assert partner.name in words(staff.get(record))
    assert staff.post(f"{record}withdraw/").status_code == 302
    assert live(alice) == []


def test_the_register_of_recipients(rita: User, sam: User):
    staff = signed_in(rita)
    act = "/admin/disclosures/recipient/register/"
    entered = {
        "kind": "partner",
        "name": "Backup Partner Inc.",
        "jurisdiction": "US-IL",
        "email": "desk@backup.example",
        "verified_how": "contract of 3 May",
    }
    refusal = staff.post(act, entered)
    assert refusal.status_code == 409 and "number of the contract" in words(refusal)
    entered["contract"] = "C-77"
    wrong = {"age_key": "age1nothing"}, {"email": "desk at backup"}, {"jurisdiction": "Illinois"}
    assert [staff.post(act, entered | each).status_code for each in wrong] == [422, 422, 422]
    key = str(pyrage.x25519.Identity.generate().to_public())
    assert staff.post(act, entered | {"age_key": key}).status_code == 302
    recipient = Recipient.objects.get(name="Backup Partner Inc.")
    assert (recipient.email, recipient.age_key, recipient.contract) == ("desk@backup.example", key, "C-77")
    room = f"/admin/disclosures/recipient/{recipient.pk}/"
    assert "desk@backup.example" in words(staff.get(room))

    assert staff.post(f"{room}edit/", entered | {"email": "new@backup.example"}).status_code == 302
    [entry] = LedgerEntry.objects.filter(action="recipient.changed")
    assert "email" in entry.body and "backup.example" not in entry.body
    assert staff.post(f"{room}close/").status_code == 302
    assert staff.post(f"{room}edit/", entered).status_code == 409
    assert signed_in(sam).get("/admin/disclosures/recipient/").status_code == 403
    # Nobody can agree to it any more.
    assert not consenting.open_recipients(timezone.now()).exists()


# ------------------------------------------------------------------------------------------------- the API


def test_consents_by_token(alice: User, bob: User, partner: Recipient):
    grant, news = give(alice, sharing(partner), ip="203.0.113.9"), give(alice, Agreement("marketing"))
    reads, writes = own_token(alice, "consents:read"), own_token(alice, "consents:write")
    listed = call("/api/v1/consents/", reads).json()["results"]
    assert [one["reference"] for one in listed] == [news.reference, grant.reference]
    assert listed[1]["recipient"] == partner.name and "203.0" not in str(listed)

    path = f"/api/v1/consents/{grant.reference}/withdraw/"
    assert call(path, reads, "POST").status_code == 403
    assert call(path, own_token(bob, "consents:write"), "POST").status_code == 404
    first, again = call(path, writes, "POST"), call(path, writes, "POST")
    assert (first.status_code, first.json()["withdrawn_how"]) == (200, "api")
    assert again.json() == first.json()
    assert live(alice) == [news]
    assert call("/api/v1/consents/", writes, "POST", {}).status_code in {403, 405}
