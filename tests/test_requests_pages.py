"""The pages of privacy requests: whose they are, what they show, that looking acts never, and what they refuse."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.models import Restriction, User
from retention import conversing, deciding, extending, placing, requesting
from retention.models import Hold, PrivacyRequest, RequestMessage
from retention.models.privacy import Right, Status
from retention.request_pages import RIGHTS
from tests.admin_walk import fingerprint
from tests.cast import DAY, ask_something, make_customer, make_staff
from tests.pairing import relay
from tests.test_requests_strangers import WRONG, ask, code_in_mail, form_of, proved
from tests.visiting import long_signed_in, signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

LAW = "The law can require us to keep or hand over more than this page shows"
NEEDS_PASSWORD = {"access", "portability"}
CARD = "my card is 4242 4242 4242 4242"


@pytest.fixture
def officer() -> User:
    return make_staff("olga", "privacy_officer")


def page_of(request: PrivacyRequest) -> str:
    return reverse("retention:request", args=[request.reference])


def form(right: str, **changed: Any) -> dict[str, Any]:
    purposes = {"purposes": ["layout"]} if right in {"restriction", "objection"} else {}
    return {"regime": "ccpa", "details": "Do this.", "submission": str(uuid7()), **purposes, **changed}


# --------------------------------------------------------------------------------------------------------- signed in


def test_every_right_can_be_asked_for(alice: User) -> None:
    visitor = long_signed_in(alice)
    start = visitor.get(reverse("retention:request_new"))
    for right in RIGHTS:
        address = reverse("retention:request_ask", args=[right])
        if right == Right.DELETION:
            assert reverse("retention:delete_start") in start.content.decode()
            assert visitor.get(address)["Location"] == reverse("retention:delete_start")
            continue
        assert address in start.content.decode()
        if right in NEEDS_PASSWORD:
            assert visitor.get(address)["Location"].startswith(reverse("account_reauthenticate"))
            continue
        assert f"<h1>{RIGHTS[right][0]}</h1>" in visitor.get(address).content.decode()
        answer = visitor.post(address, form(right), follow=True)
        assert f"We have your request {PrivacyRequest.objects.get(right=right).reference}" in words(answer)
    assert visitor.get(reverse("retention:request_ask", args=["anything"])).status_code == 404


def test_a_copy_of_the_data_asks_for_the_password_first(alice: User) -> None:
    visitor = long_signed_in(alice)
    address = reverse("retention:request_ask", args=["access"])

    refused = visitor.post(address, form("access"))
    assert refused["Location"].startswith(reverse("account_reauthenticate"))
    assert not PrivacyRequest.objects.exists()
    from tests.cast import PASSWORD

    visitor.get(refused["Location"])
    visitor.post(f"{reverse('account_reauthenticate')}?next={address}", {"password": PASSWORD})
    visitor.post(address, form("access"))
    assert PrivacyRequest.objects.get().right == "access"


def test_a_form_sent_twice_is_one_request(alice: User) -> None:
    visitor, sent = signed_in(alice), form("complaint")
    address = reverse("retention:request_ask", args=["complaint"])

    answers = [visitor.post(address, sent) for _ in range(3)]

    assert len({answer["Location"] for answer in answers}) == PrivacyRequest.objects.count() == 1
    other = visitor.post(address, {**sent, "details": "Another body"})
    assert other.status_code == 409 and "used already" in words(other)


def test_the_page_shows_due_date_messages_and_decision(alice: User, officer: User) -> None:
    request = ask_something(alice)
    conversing.write(request.pk, by=officer, body="Which letter is wrong?")
    conversing.note(request.pk, by=officer, body="Seems to be honest.")
    extending.extend(request.pk, by=officer, reason="We wait for an archive.")
    visitor = signed_in(alice)

    shown = words(visitor.get(page_of(request)))
    assert "Which letter is wrong?" in shown and "We wait for an archive." in shown
    assert "Seems to be honest." not in shown
    assert "What Alice Canary wants" in shown and LAW in shown

    deciding.deny(request.pk, by=officer, reason="no_match", answer="It is spelled as on your invoice.")
    shown = words(visitor.get(page_of(request)))
    assert "Denied" in shown and "It is spelled as on your invoice." in shown and "appeal" in shown
    assert "Withdraw this request" not in shown
    assert request.reference in words(visitor.get(reverse("retention:requests")))


def test_the_words_are_shown_no_longer_than_the_schedule_says_held_or_not(alice: User, bob: User, rita: User) -> None:
    requests = [ask_something(user) for user in (alice, bob)]
    for request, user in zip(requests, (alice, bob), strict=True):
        deciding.withdraw(request.pk, by=user)
    placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor, matter="sealed")
    visitors = [signed_in(user) for user in (alice, bob)]
    before = [words(visitor.get(page_of(one))) for visitor, one in zip(visitors, requests, strict=True)]
    assert all("wants" in shown for shown in before)

    with time_machine.travel(timezone.now() + 8 * DAY, tick=False):
        after = [
            words(visitor.get(page_of(one))).replace(one.reference, "R")
            for visitor, one in zip(visitors, requests, strict=True)
        ]
    assert after[0] == after[1]
    assert "wants" not in after[0] and "not shown any more" in after[0]


def test_other_people_s_requests_are_not_there(alice: User, bob: User) -> None:
    request = ask_something(alice)
    stranger = signed_in(bob)

    for name in ("request", "request_withdraw"):
        address = reverse(f"retention:{name}", args=[request.reference])
        assert stranger.get(address).status_code == 404
        assert stranger.post(address, {"body": "x", "submission": str(uuid7())}).status_code == 404
    assert request.reference not in words(stranger.get(reverse("retention:requests")))
    request.refresh_from_db()
    assert request.status == Status.IN_PROGRESS


def test_looking_changes_nothing(alice: User) -> None:
    request = ask_something(alice)
    stranger, visitor = proved(), Client()
    visitor.post(reverse("retention:ask_find"), {"reference": stranger.reference, "code": code_in_mail(stranger)})
    owner = signed_in(alice)
    own = [
        reverse("retention:requests"),
        reverse("retention:request_allow") + "?purpose=layout",
        page_of(request),
        reverse("retention:request_withdraw", args=[request.reference]),
        reverse("retention:request_ask", args=["complaint"]) + "?category=contact&purpose=layout",
    ]
    theirs = [reverse(f"retention:{name}", args=[stranger.reference]) for name in ("ask_status", "ask_withdraw")]
    before = fingerprint()

    for address in own:
        assert owner.get(address).status_code in {200, 302}
    for address in theirs:
        assert visitor.get(address).status_code == 200
    assert visitor.get(reverse("retention:ask_find") + f"?reference={stranger.reference}&code=x").status_code == 200
    assert fingerprint() == before


def test_withdrawing_is_one_post_after_a_question(alice: User) -> None:
    request, visitor = ask_something(alice), signed_in(alice)
    address = reverse("retention:request_withdraw", args=[request.reference])

    assert "Keep this request" in words(visitor.get(address))
    assert "Withdrawn" in words(visitor.post(address, follow=True))
    assert visitor.get(address).status_code == 302
    assert visitor.post(address).status_code == 302


def test_a_stopped_use_is_listed_and_can_be_allowed_again(alice: User) -> None:
    visitor = signed_in(alice)
    visitor.post(reverse("retention:request_ask", args=["objection"]), form("objection"))
    listed = visitor.get(reverse("retention:requests"))
    assert "to improve the website and the offer" in words(listed) and "Remove this stop" in words(listed)

    after = visitor.post(reverse("retention:request_allow"), {"purpose": "layout"}, follow=True)

    assert "You allowed this use again." in words(after)
    assert not Restriction.objects.filter(lifted_at=None).exists()
    assert visitor.post(reverse("retention:request_allow"), {"purpose": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("right", "changed", "said"),
    [
        ("complaint", {"details": ""}, "Write what you want us to do."),
        ("complaint", {"details": CARD}, "This looks like a card number."),
        ("complaint", {"details": "x" * 5_001}, "at most 5000"),
        ("complaint", {"details": "a\x00b"}, "Null characters"),
        ("complaint", {"regime": "mars"}, "Choose where you live."),
        ("objection", {"purposes": []}, "Choose at least one use."),
        ("objection", {"purposes": ["law"]}, "Choose from the uses on this page."),
        ("rectification", {"category": "moon"}, "Choose from the kinds of data on this page."),
        ("complaint", {"submission": "x"}, "Load the page again"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(alice: User, right: str, changed: Any, said: str) -> None:
    answer = signed_in(alice).post(reverse("retention:request_ask", args=[right]), form(right, **changed))

    assert answer.status_code == 200
    assert said in words(answer)
    assert not PrivacyRequest.objects.exists()


def test_pages_are_small_and_ask_little_even_of_a_long_story(alice: User, officer: User) -> None:
    request = ask_something(alice)
    for number in range(40):
        conversing.write(request.pk, by=alice if number % 2 else officer, body=f"Message {number} " * 20)
    for number in range(40):
        wish = requesting.Wish("complaint", details=f"Number {number}")
        requesting.ask(alice.account_id, wish, by=alice, submission=uuid7())
    visitor = signed_in(alice)
    new = reverse("retention:request_ask", args=["objection"])
    for address in (reverse("retention:requests"), page_of(request), reverse("retention:request_new"), new):
        with sql() as asked:
            answer = visitor.get(address)
        assert answer.status_code == 200
        assert len(asked) <= 12, asked
        assert len(gzip.compress(answer.content)) <= 20 * 1024
        assert not [each for each in asked if "retention_hold" in each and "told" not in each]
    assert len(visitor.get(reverse("retention:requests")).context["rows"]) == 25


def test_a_closed_account_reads_and_writes_on_but_asks_for_nothing_new(alice: User) -> None:
    from retention import closing

    request = ask_something(alice)
    closing.close(alice.account_id, by=alice, submission=uuid7())
    visitor = signed_in(User.objects.get(pk=alice.pk))

    assert visitor.get(page_of(request)).status_code == 200
    assert "Ask for something" not in words(visitor.get(reverse("retention:requests")))
    assert visitor.get(reverse("retention:request_new")).status_code == 409
    visitor.post(page_of(request), {"body": "Still here", "submission": str(uuid7())})
    assert RequestMessage.objects.count() == 1


# --------------------------------------------------------------------------------------------------- without sign-in


def test_from_the_form_to_the_answer_without_a_sign_in(officer: User) -> None:
    visitor = Client()
    sent = form_of("sonja")
    answer = visitor.post(reverse("retention:ask_for", args=["access"]), sent, follow=True)
    request = PrivacyRequest.objects.get()
    assert f'value="{request.reference}"' in answer.content.decode()
    assert "sonja" not in words(answer).lower()

    opened = visitor.post(
        reverse("retention:ask_find"), {"reference": request.reference, "code": code_in_mail(request)}, follow=True
    )
    assert "We check what you gave" in words(opened)
    status = reverse("retention:ask_status", args=[request.reference])
    visitor.post(status, {"body": "Any news?", "submission": str(uuid7())})
    conversing.write(request.pk, by=officer, body="Which years?")
    from retention import proving

    proving.compare(request.pk, by=officer, matched=3)
    deciding.fulfil(request.pk, by=officer, answer="We hold nothing but this request.")
    shown = words(visitor.get(status))
    assert "Any news?" in shown and "Which years?" in shown and "We hold nothing but this request." in shown
    assert LAW in shown

    with time_machine.travel(timezone.now() + 61 * DAY, tick=False):
        assert visitor.get(status)["Location"] == reverse("retention:ask_find")


def test_the_status_opens_for_nobody_else(alice: User) -> None:
    request = proved()
    for visitor in (Client(), signed_in(alice)):
        for name in ("ask_status", "ask_withdraw"):
            address = reverse(f"retention:{name}", args=[request.reference])
            assert visitor.get(address)["Location"] == reverse("retention:ask_find")
            assert visitor.post(address)["Location"] == reverse("retention:ask_find")
    assert signed_in(alice).get(page_of(request)).status_code == 404
    request.refresh_from_db()
    assert request.status == Status.OPEN


def test_an_account_s_request_opens_by_no_code(alice: User) -> None:
    request = ask_something(alice)
    answer = Client().post(reverse("retention:ask_find"), {"reference": request.reference, "code": WRONG})

    assert "do not match" in words(answer)


def test_the_session_holds_no_word_and_no_code() -> None:
    request, visitor = ask(), Client()
    code = code_in_mail(request)
    visitor.post(reverse("retention:ask_for", args=["access"]), form_of("sonja"))
    visitor.post(reverse("retention:ask_find"), {"reference": request.reference, "code": code})

    kept = str(dict(visitor.session.items()))
    assert code not in kept and "sonja" not in kept.lower() and "What do you have" not in kept


def test_asking_is_limited_by_what_was_typed_known_or_not() -> None:
    make_customer("marta")
    for name in ("marta", "marko"):
        codes = []
        for number in range(6):
            visitor = Client(REMOTE_ADDR=f"203.0.113.{number}")
            sent = form_of(name, details=f"Number {number}")
            codes.append(visitor.post(reverse("retention:ask_for", args=["access"]), sent).status_code)
        assert codes == [302] * 5 + [429]
    visitor = Client(REMOTE_ADDR="203.0.113.200")
    late = [
        visitor.post(reverse("retention:ask_for", args=["access"]), form_of(f"n{n}")).status_code for n in range(11)
    ]
    assert late == [302] * 10 + [429]


def test_entering_is_limited() -> None:
    answers = [
        Client(REMOTE_ADDR=f"203.0.113.{number}").post(
            reverse("retention:ask_find"), {"reference": "PRV-2222-2222", "code": WRONG}
        )
        for number in range(11)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "You tried too often" in words(answers[-1])


@pytest.mark.parametrize(
    "field", ["name", "details", "account_number", "invoice", "postcode", "phone", "service", "declaration"]
)
def test_a_card_number_is_refused_in_every_field(field: str) -> None:
    card = "4242424242424242"
    answer = Client().post(reverse("retention:ask_for", args=["access"]), form_of("sonja", **{field: card}))

    assert answer.status_code == 200
    assert "There is a problem" in words(answer)
    assert not PrivacyRequest.objects.exists()


def agent_form(content: bytes, name: str = "permission.pdf", **changed: Any) -> dict[str, Any]:
    file = SimpleUploadedFile(name, content)
    return form_of("sonja", agent_name="Agent Smith", agent_email="a@agency.example", permission=file, **changed)


@pytest.mark.parametrize("name", ["ask_for", "ask_agent"])
def test_each_right_has_its_page_without_a_sign_in(name: str) -> None:
    for right, (heading, _lead) in RIGHTS.items():
        answer = Client().get(reverse(f"retention:{name}", args=[right]))
        assert f"<h1>{heading}</h1>" in answer.content.decode()
        assert ("Name of the agent" in words(answer)) is (name == "ask_agent")
        assert ("penalty of perjury" in words(answer)) is (right in {"access", "portability", "deletion"})
    assert Client().get(reverse(f"retention:{name}", args=["moon"])).status_code == 404


def test_an_agent_brings_the_signed_permission() -> None:
    from tests.test_requests_uploads import pdf

    address = reverse("retention:ask_agent", args=["rectification"])
    refused = Client().post(address, agent_form(b"<html>no pdf</html>"))
    assert refused.status_code == 200 and "There is a problem" in words(refused)
    missing = Client().post(address, {**agent_form(pdf()), "permission": ""})
    assert "Choose the file with the signed permission." in words(missing)
    assert not PrivacyRequest.objects.exists()

    answer = Client().post(address, agent_form(pdf(), name="../../etc/permission\u202efdp.pdf"), follow=True)

    assert "We have your request" in words(answer)
    request = PrivacyRequest.objects.get()
    assert request.permission == pdf() and request.permission_name == "permissionfdp.pdf"
    assert request.agent == {"name": "Agent Smith", "email": "a@agency.example"}
    relay()
