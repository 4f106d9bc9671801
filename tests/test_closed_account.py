"""What a closed account opens until the due date, and that nothing is open after it, held or not."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.keys.identifiers import uuid7
from accounts.models import Invoice, Session, Ticket, User
from accounts.paying import pay
from retention.closing import Closed, close
from retention.middleware import OPEN_WHEN_CLOSED, ClosedAccountMiddleware
from retention.models import DeletionRequest
from retention.placing import place
from tests.cast import PASSWORD, owe
from tests.visiting import entered

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def invoice(alice: User) -> Invoice:
    return owe(alice)


@pytest.fixture
def closed(alice: User, invoice: Invoice) -> Closed:
    return close(alice.account_id, by=alice, submission=uuid7())


@pytest.fixture
def visitor(closed: Closed) -> Client:
    visitor = Client()
    visitor.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    assert "_auth_user_id" in visitor.session
    return visitor


def ways_in(closed: Closed, invoice: Invoice) -> dict[str, str]:
    ticket = Ticket.objects.get(pk=closed.request.ticket)
    return {
        "status": reverse("retention:delete_status", args=[closed.request.reference]),
        "cancel": reverse("retention:delete_cancel", args=[closed.request.reference]),
        "find": reverse("retention:delete_find"),
        "messages": reverse("accounts:ticket", args=[ticket.reference]),
        "tickets": reverse("accounts:tickets"),
        "invoices": reverse("accounts:invoices"),
        "invoice": reverse("accounts:invoice", args=[invoice.number]),
        "paying": reverse("accounts:invoice_pay", args=[invoice.number]),
        "help": reverse("accounts:help"),
        "sign-out": reverse("account_logout"),
    }


def test_every_page_a_closed_account_opens_exists():
    known = {name for name in OPEN_WHEN_CLOSED if ":" not in name} & set(
        filter(lambda name: isinstance(name, str), get_resolver().reverse_dict)
    )
    assert known == {name for name in OPEN_WHEN_CLOSED if ":" not in name}
    for name in OPEN_WHEN_CLOSED - known:
        room, _, page = name.partition(":")
        assert page in get_resolver().namespace_dict[room][1].reverse_dict, name


def test_status_cancel_messages_invoices_and_help_stay_open(closed: Closed, invoice: Invoice, visitor: Client):
    answers = {way: visitor.get(path).status_code for way, path in ways_in(closed, invoice).items()}
    assert answers == dict.fromkeys(answers, 200)


@pytest.mark.parametrize("name", ["overview", "retention:delete_start", "retention:delete_check"])
def test_every_other_page_answers_409_and_names_the_way(closed: Closed, visitor: Client, name: str):
    answer = visitor.get(reverse(name))
    text = answer.content.decode()
    assert answer.status_code == 409
    assert closed.request.reference in text
    for name in ("retention:delete_status", "retention:delete_cancel"):
        assert reverse(name, args=[closed.request.reference]) in text
    assert reverse("accounts:invoices") in text


def test_a_closed_account_changes_no_password(closed: Closed, visitor: Client):
    new = "a wholly new pass phrase"
    answer = visitor.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert answer.status_code == 409
    assert authenticate(None, username="alice", password=PASSWORD) is not None


def test_without_the_middleware_the_pages_would_open(closed: Closed, alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: it is the middleware that answers 409."""
    monkeypatch.setattr(ClosedAccountMiddleware, "process_view", lambda *args: None)
    visitor = Client()
    entered(visitor, alice)
    assert visitor.get(reverse("account_change_password")).status_code == 200


def test_an_active_account_is_not_kept_from_anything(bob: User):
    visitor = Client()
    entered(visitor, bob)
    for name in ("overview", "retention:delete_start", "account_change_password"):
        assert visitor.get(reverse(name)).status_code == 200


def test_a_closed_account_pays_its_invoice(closed: Closed, alice: User, invoice: Invoice, visitor: Client):
    assert pay(invoice.pk, by=alice).state == Invoice.State.PAID


def held(alice: User) -> None:
    place(alice.account_id, "legal", by="staff:test", matter="a sealed matter")


@pytest.mark.parametrize("sealed", [False, True], ids=["free", "held"])
def test_at_the_due_date_an_open_session_ends_and_leads_to_the_status_page(closed: Closed, alice: User, sealed: bool):
    if sealed:
        held(alice)
    visitor = Client()
    with time_machine.travel(closed.request.due_at - dt.timedelta(days=1), tick=False):
        visitor.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
        assert visitor.get(reverse("accounts:invoices")).status_code == 200
    with time_machine.travel(closed.request.due_at, tick=False):
        answer = visitor.get(reverse("accounts:invoices"))
        assert (answer.status_code, answer["Location"]) == (302, reverse("retention:delete_find"))
        assert "_auth_user_id" not in visitor.session
    assert not Session.objects.filter(user=alice.pk).exists()


@pytest.mark.parametrize("sealed", [False, True], ids=["free", "held"])
def test_at_the_due_date_nobody_signs_in(closed: Closed, alice: User, sealed: bool):
    if sealed:
        held(alice)
    with time_machine.travel(closed.request.due_at - dt.timedelta(seconds=1), tick=False):
        assert authenticate(None, username="alice", password=PASSWORD) == alice
    with time_machine.travel(closed.request.due_at, tick=False):
        assert authenticate(None, username="alice", password=PASSWORD) is None


def test_a_post_after_the_due_date_changes_nothing(closed: Closed, alice: User):
    path = reverse("retention:delete_cancel", args=[closed.request.reference])
    visitor = Client()
    with time_machine.travel(closed.request.due_at - dt.timedelta(days=1), tick=False):
        entered(visitor, alice)
    with time_machine.travel(closed.request.due_at, tick=False):
        assert visitor.post(path, {"password": PASSWORD}).status_code == 302
    assert DeletionRequest.objects.get().cancelled_at is None


def test_signing_in_leads_a_closed_account_to_its_way(closed: Closed, visitor: Client):
    answer = visitor.get("/", follow=True)
    assert reverse("retention:delete_status", args=[closed.request.reference]) in answer.content.decode()
