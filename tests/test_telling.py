"""Telling a customer of a legal request, or not yet by an order of silence (P15; silence.md, S13)."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import User
from accounts.safeguards.models import OutboxMessage
from disclosures import answering, informing, preparing, releasing, silencing
from disclosures.models import LegalNotice, LegalRequest, NoticeChallenge, NoticeCopy
from disclosures.preparing import Ground
from disclosures.refusing import Waits
from retention import placing
from retention.models import Hold
from tests import legal
from tests.cast import DAY, make_staff
from tests.files import pdf
from tests.test_disclosures import IDENTITY, approve, draft
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


def verified(user: User, **given: object) -> LegalRequest:
    """Return a verified request that holds the account and owes its customer a notice."""
    request = legal.make_request(user.account, **given)  # type: ignore[arg-type]
    placing.place(user.account_id, "legal", by="system", cause=request.pk)  # type: ignore[arg-type]
    legal.owe_notice(request, user.account)  # type: ignore[arg-type]
    return request


def test_the_customer_is_told_once_with_a_copy_and_a_week(alice: User, lena: User):
    request = verified(alice)
    legal.attach(request, pdf())
    assert informing.send_due() == 1
    assert informing.send_due() == 0
    notice = LegalNotice.objects.get()
    assert notice.sent_at is not None and notice.release_from is not None
    assert notice.release_from - notice.sent_at == 7 * DAY
    assert NoticeCopy.objects.get().content == pdf()
    assert OutboxMessage.objects.filter(event__startswith=f"legal-notice:{notice.pk}").count() == 1
    assert Hold.objects.filter(account=alice.account_id, told_at=None).count() == 0

    visitor = signed_in(alice)
    assert f"Read the notice {notice.reference} of a legal request" in words(visitor.get("/"))
    text = words(visitor.get(f"/legal-notices/{notice.reference}/"))
    assert "A grand jury asks for records." in text and "Testville" not in text
    answer = visitor.get(f"/legal-notices/{notice.reference}/copy/")
    assert answer["Content-Disposition"].startswith("attachment") and answer.content == pdf()
    assert notice.reference in words(visitor.get("/legal-notices/"))


def test_a_challenge_pauses_and_only_staff_say_what_a_court_said(alice: User, bob: User, lena: User):
    verified(alice)
    informing.send_due()
    notice = LegalNotice.objects.get()
    visitor = signed_in(alice)
    page = f"/legal-notices/{notice.reference}/"
    assert visitor.post(page, {"text": ""}).status_code == 200
    assert visitor.post(page, {"text": "Motion 26-1 before the court of Testville."}).status_code == 302
    made = NoticeChallenge.objects.get()
    assert "nothing is handed over" in words(visitor.get(page))
    assert notice.reference not in words(visitor.get("/")), "what was answered needs nobody any more"
    with pytest.raises(PermissionDenied):
        informing.end_challenge(made.pk, "upheld", by=alice)
    assert signed_in(bob).post(f"{page}give-up/").status_code == 404
    informing.end_challenge(made.pk, "quashed", by=lena)
    informing.end_challenge(made.pk, "given_up", by=alice)
    made.refresh_from_db()
    assert made.ended_how == "quashed"


def test_due_sooner_takes_an_agreed_date_or_a_reason(alice: User, lena: User):
    request = verified(alice, due_at=timezone.now() + 3 * DAY)
    notice = LegalNotice.objects.get()
    assert informing.send_due() == 0
    with pytest.raises(NotActionable, match="Ask for more time"):
        informing.send(notice.pk, by=lena)
    with pytest.raises(NotActionable, match="lies after"):
        answering.agree_time(request.pk, by=lena, due_at=timezone.now())
    sent = informing.send(notice.pk, by=lena, shortened_reason="The court refused more time.")
    assert sent.release_from is not None and sent.sent_at is not None
    assert sent.release_from - sent.sent_at < 4 * DAY
    mail = OutboxMessage.objects.filter(event__startswith="legal-notice").latest("created_at")
    assert "shorter than usual" in mail.content["body"]


def test_silence_has_an_instrument_and_an_end(alice: User, lena: User, sam: User):
    request = verified(alice)
    now = timezone.now()
    for given, said in (
        ({"ground": "grand_jury"}, "Choose what commands"),
        ({"ground": "order_2705"}, "has an end"),
        ({"ground": "order_2705", "ends_at": now + DAY}, "Add the order itself"),
        ({"ground": "choice", "ends_at": now + 46 * DAY}, "at most"),
        ({"ground": "choice", "ends_at": now - DAY}, "ends before"),
    ):
        with pytest.raises(NotActionable, match=said):
            silencing.order(request.pk, by=lena, starts_at=now, **given)  # type: ignore[arg-type]
    paper = legal.attach(request, pdf())
    with pytest.raises(PermissionDenied):
        silencing.order(request.pk, "order_2705", by=sam, starts_at=now, ends_at=now + DAY, document=paper.pk)
    made = silencing.order(request.pk, "order_2705", by=lena, starts_at=now, ends_at=now + 90 * DAY, document=paper.pk)
    assert informing.send_due() == 0
    with pytest.raises(NotActionable, match="order of silence stands"):
        informing.send(LegalNotice.objects.get().pk, by=lena)
    silencing.lift(made.pk, by=lena)
    monday = next_business_day(timezone.now())
    with time_machine.travel(monday, tick=True):
        assert informing.send_due() == 1
    with pytest.raises(NotActionable, match="told already"):
        silencing.order(request.pk, "choice", by=lena, starts_at=now, ends_at=now + DAY)


def next_business_day(at: dt.datetime) -> dt.datetime:
    """Return noon of a Wednesday that is no holiday."""
    day = dt.datetime(2026, 12, 2, 18, tzinfo=dt.UTC)
    return day if day > at else at


def test_legal_is_asked_three_times_and_the_notice_waits_for_a_business_day(alice: User, lena: User):
    request = verified(alice)
    paper = legal.attach(request, pdf())
    now = timezone.now()
    saturday = dt.datetime(2027, 3, 6, 18, tzinfo=dt.UTC)
    made = silencing.order(request.pk, "order_2705", by=lena, starts_at=now, ends_at=saturday, document=paper.pk)
    asked = [silencing.remind(saturday - days * DAY) for days in (40, 30, 29, 14, 13, 3, 2)]
    assert asked == [0, 1, 0, 1, 0, 1, 0]
    mail = OutboxMessage.objects.filter(event__startswith="sealed:silence:").latest("created_at")
    assert request.reference in mail.content["body"] and "Testville" not in mail.content["body"]
    made.refresh_from_db()
    assert made.asked == [3, 14, 30]
    assert informing.due(saturday + dt.timedelta(hours=1)) == []
    assert informing.due(saturday + DAY) == []
    assert len(informing.due(saturday + 2 * DAY)) == 1


def test_after_silence_the_notice_says_what_was_handed_over(alice: User, lena: User):
    """Nothing said is false: data left under the order, before anybody could be told."""
    assert alice.account is not None
    paul = make_staff("paul", "privacy_officer")
    request = legal.make_request(alice.account)
    paper = legal.attach(request, pdf())
    legal.owe_notice(request, alice.account)
    now = timezone.now()
    order = silencing.order(request.pk, "order_2705", by=lena, starts_at=now, ends_at=now + 90 * DAY, document=paper.pk)
    made = draft(alice, lena, request=request)
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    releasing.release(made.pk, by=lena)
    silencing.lift(order.pk, by=lena)
    notice = informing.send(LegalNotice.objects.get().pk, by=lena)

    page = words(signed_in(alice).get(f"/legal-notices/{notice.reference}/"))
    assert "Data was handed over on" in page and "We hand over nothing more before" in page
    assert "nothing before" not in page
    mail = OutboxMessage.objects.filter(event__startswith="legal-notice").latest("created_at").content["body"]
    assert "We had to hand data over before we were allowed to tell you." in mail
    assert "Nothing is handed over before" not in words(signed_in(alice).get("/"))


def test_an_emergency_promises_no_wait_and_keeps_what_it_says(alice: User, lena: User):
    assert alice.account is not None
    paul = make_staff("paul", "privacy_officer")
    request = legal.make_request(alice.account, instrument="emergency", alarmed_at=timezone.now())
    legal.attach(request, pdf())
    notice = legal.tell(request, alice.account, waited=False)
    page = f"/legal-notices/{notice.reference}/"
    assert "At once: the law allows it in an emergency." in words(signed_in(alice).get(page))
    ground = Ground("emergency", legal_request=request.pk)
    facts = {"recipient": request.recipient_id, "purpose": "danger"}
    made = preparing.make(alice.account_id, ground, IDENTITY, by=lena, submission=uuid7(), **facts)  # type: ignore[arg-type]
    preparing.submit(made.pk, by=lena)
    approve(made, paul)
    informing.challenge(notice.pk, text="I am safe.", by=alice)
    with pytest.raises(Waits, match="challenges the request"):
        releasing.release(made.pk, by=lena)
    informing.end_challenge(NoticeChallenge.objects.get().pk, "given_up", by=alice)
    assert releasing.release(made.pk, by=lena).state == "released"


def test_our_own_choice_is_not_renewed_for_ever_and_lets_nothing_leave(alice: User, lena: User):
    request = verified(alice)
    now = timezone.now()
    silencing.order(request.pk, "choice", by=lena, starts_at=now, ends_at=now + 40 * DAY)
    with pytest.raises(NotActionable, match="45 days at most"):
        silencing.order(request.pk, "choice", by=lena, starts_at=now + 39 * DAY, ends_at=now + 60 * DAY)
    assert informing.due(now + 39 * DAY) == []


def test_an_extension_is_another_order(alice: User, lena: User):
    request = verified(alice)
    paper = legal.attach(request, pdf())
    now = timezone.now()
    for days in (20, 90):
        silencing.order(request.pk, "order_2705", by=lena, starts_at=now, ends_at=now + days * DAY, document=paper.pk)
    assert silencing.remind(now + 10 * DAY) == 0
    assert informing.due(now + 25 * DAY) == []
