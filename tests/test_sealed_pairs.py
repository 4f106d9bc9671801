"""What a customer may notice of a hold they were not told about: nothing (silence.md, S15).

Before the due date one of a pair is under a sealed hold and the other under none; after it, the other waits for a
staff pause, which nobody is told either. Every page, form, mail, API answer and header must be the same byte for
byte, the number of statements behind it too, and the time it takes.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import issuing, paying
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Contact, Invoice, State
from accounts.safeguards.models import OutboxMessage
from retention import pages, placing, plans, purge, reminding, verifying
from retention.models import DeletionRequest, Hold
from tests.cast import PASSWORD, make_customer, make_staff, owe
from tests.pairing import (
    Side,
    addresses,
    customer_pages,
    differences,
    forms,
    letters_to,
    moments,
    normalised,
    pair,
    relay,
    shown,
    slowest_gap,
    walk,
)

pytestmark = pytest.mark.usefixtures("committed")
DAY = dt.timedelta(days=1)
LONG_AGO = 31 * DAY
# A planted delay is three milliseconds; honest sides lie within half of it.
PLANTED_SECONDS = 0.003
THRESHOLD = 1.5
Pair = tuple[Side, Side]


def seal(side: Side, *categories: str) -> None:
    placing.place(side.account_id, Hold.Kind.LEGAL, by=f"staff:{uuid4()}", matter="M-77", categories=categories)


def pause(side: Side, *categories: str) -> None:
    placing.place(side.account_id, Hold.Kind.OPERATIONS, by=f"staff:{uuid4()}", categories=categories)


def waiting() -> Pair:
    """Return (sealed, free), both closed yesterday."""
    one, other = pair(closed_ago=DAY)
    seal(one)
    return one, other


def unfinished(*sealed: str, paused: tuple[str, ...] = ()) -> Pair:
    """Return (sealed, paused), both past their due date; the purge has done what it may."""
    one, other = pair(closed_ago=LONG_AGO)
    seal(one, *sealed)
    pause(other, *paused)
    purge.ring()
    return one, other


def compared(one: Side, other: Side, open_as: Callable[[Side], Client]) -> list[str]:
    cache.clear()
    return differences(walk(one, open_as(one)), walk(other, open_as(other)))


# ------------------------------------------------------------------------------------------- before the due date


def test_every_customer_page_is_walked():
    walked = set(addresses(pair(closed_ago=DAY)[0]))
    assert walked == customer_pages()
    assert {"overview", "retention:delete_status", "accounts:ticket", "account_login"} <= walked
    assert not any(name.startswith(("admin", "api")) for name in walked)


def test_an_open_account_shows_no_sealed_hold():
    one, other = pair()
    seal(one)
    assert compared(one, other, Side.visitor) == []
    assert compared(one, other, lambda side: Client()) == []


def test_a_closed_account_shows_no_sealed_hold_before_its_due_date():
    one, other = waiting()
    assert compared(one, other, Side.visitor) == []
    assert compared(one, other, Side.follower) == []
    assert compared(one, other, lambda side: Client()) == []


def test_a_sealed_hold_on_a_part_shows_as_little():
    one, other = pair(closed_ago=DAY)
    seal(one, "access", "support")
    assert compared(one, other, Side.visitor) == []
    assert compared(one, other, Side.follower) == []


def test_forms_answer_alike_before_the_due_date():
    one, other = waiting()
    cache.clear()
    here = forms(one, one.visitor())
    cache.clear()
    assert differences(here, forms(other, other.visitor())) == []


def test_closing_cancelling_and_their_mails_are_alike():
    one, other = pair()
    seal(one)
    for side in (one, other):
        cache.clear()
        content = {"password": PASSWORD, "kept": "on", "submission": str(uuid7())}
        side.visitor().post(reverse("retention:delete_check"), content)
        side.request = DeletionRequest.objects.get(account=side.account_id)
        assert Account.objects.get(pk=side.account_id).state == State.CLOSED
    assert compared(one, other, Side.visitor) == []
    found = []
    for side in (one, other):
        answer = side.visitor().post(addresses(side)["retention:delete_cancel"])
        assert Account.objects.get(pk=side.account_id).state == State.ACTIVE
        found.append({"cancel": shown(answer)})
    assert differences(*found) == []
    assert compared(one, other, Side.visitor) == []
    relay()
    assert len(letters_to(one)) >= 2 and letters_to(one) == letters_to(other)


def test_mails_by_the_clock_are_alike_before_the_due_date():
    one, other = waiting()
    for days in range(0, 29):
        reminding.remind(timezone.now() + days * DAY)
    mail_all()
    assert len(letters_to(one)) == 3 and letters_to(one) == letters_to(other)


def mail_all() -> None:
    """Send what is due on any day of the test's calendar."""
    OutboxMessage.objects.filter(state="queued", due_at__isnull=False).update(due_at=timezone.now())
    relay()


def test_edits_are_alike_although_the_sealed_side_keeps_its_old_versions(owner: Any):
    one, other = pair()
    seal(one)
    bills = {side.user.pk: owe(side.user) for side in (one, other)}
    found = []
    for side in (one, other):
        cache.clear()
        visitor, here = side.visitor(), {}
        contact = Contact.objects.get(account=side.account_id, role="owner")
        contact.phone = "+1 312 5550002"
        contact.save()
        paying.pay(bills[side.user.pk].pk, by=side.user)
        here["write"] = shown(visitor.post(addresses(side)["accounts:ticket"], {"body": "B", "submission": uuid7()}))
        found.append({**here, **walk(side, visitor)})
    assert differences(*found) == []
    kept = owner.execute("SELECT DISTINCT account_id FROM retention_keptversion").fetchall()
    assert kept == [(one.account_id,)]


def test_a_payment_of_an_invoice_is_answered_alike():
    one, other = pair(closed_ago=DAY)
    seal(one)
    found = []
    for side in (one, other):
        Invoice.objects.filter(account=side.account_id).update(issued_at=timezone.now())
        bill = owe(side.user)
        visitor = side.visitor()
        address = reverse("accounts:invoice_pay", args=[bill.number])
        page = visitor.get(address)
        method = page.context["form"].fields["method"].choices[0][0]
        found.append({"page": shown(page), "pay": shown(visitor.post(address, {"method": method}))})
    assert differences(*found) == []


def test_the_api_answers_alike():
    one, other = waiting()
    admin = make_staff("ada", "administrator")
    _token, secret = issuing.issue("billing", ["disputes:write"], by=admin, days=90)
    found = []
    for side in (one, other):
        body = {
            "processor": "stripe",
            "reference": f"dp_{side.user.pk.hex[-8:]}",
            "account": side.user.account.number,
            "amount_cents": 500,
        }
        headers = {"authorization": f"Bearer {secret}", "idempotency-key": str(uuid4())}
        answer = Client().post(reverse("api:open_dispute"), body, content_type="application/json", headers=headers)
        assert answer.status_code in (200, 201)
        found.append({"dispute": shown(answer)})
    assert differences(*found) == []


def test_a_told_hold_is_shown_so_that_the_comparison_means_something():
    one, other = pair(closed_ago=DAY)
    placing.place(one.account_id, Hold.Kind.LEGAL, by="staff:1", told=True)
    found = compared(one, other, Side.visitor)
    assert any("delete_status" in what for what in found)


# -------------------------------------------------------------------------------------------- after the due date


@pytest.mark.parametrize(
    ("sealed", "paused"),
    [((), ()), (("support",), ("support",)), (("access",), ()), ((), ("contact",))],
    ids=["whole", "a part", "a part against the whole", "the whole against a part"],
)
def test_an_unfinished_deletion_looks_the_same_whatever_it_waits_for(sealed: tuple[str, ...], paused: tuple[str, ...]):
    one, other = unfinished(*sealed, paused=paused)
    assert compared(one, other, Side.follower) == []
    assert compared(one, other, lambda side: Client()) == []


def test_sessions_that_were_open_end_alike_at_the_due_date():
    one, other = pair(closed_ago=LONG_AGO)
    seal(one)
    pause(other)
    clients = {id(side): side.visitor() for side in (one, other)}
    purge.ring()
    assert compared(one, other, lambda side: clients[id(side)]) == []


def test_forms_answer_alike_after_the_due_date():
    one, other = unfinished()
    found = []
    for side in (one, other):
        cache.clear()
        found.append(forms_after_the_end(side))
    assert differences(*found) == []


def forms_after_the_end(side: Side) -> dict[str, str]:
    here = addresses(side)
    sent = {
        "sign in": ("account_login", {"login": side.name, "password": PASSWORD}),
        "reset": ("account_reset_password", {"email": f"{side.name}@{side.name}.example"}),
        "cancel": ("retention:delete_cancel", {}),
        "find": ("retention:delete_find", {"reference": side.request.reference, "code": side.code}),
        "find wrong": ("retention:delete_find", {"reference": side.request.reference, "code": "0" * 20}),
    }
    return {what: shown(Client().post(here[page], content)) for what, (page, content) in sent.items()}


def test_an_address_is_free_again_for_both():
    one, other = unfinished()
    for side in (one, other):
        assert make_customer(side.name).account_id != side.account_id


def test_mails_after_the_due_date_are_alike_for_two_years():
    one, other = unfinished()
    start = timezone.now()
    for days in range(0, 730, 7):
        reminding.remind(start + days * DAY)
    mail_all()
    assert len(letters_to(one)) >= 8 and letters_to(one) == letters_to(other)
    assert moments(one) == moments(other)
    assert not any("hold" in letter.lower() for letter in letters_to(one))


def test_nothing_is_sent_when_a_sealed_hold_is_placed_or_stands():
    one, other = waiting()
    relay()
    before = len(mail.outbox)
    seal(one, "access")
    purge.ring()
    relay()
    assert len(mail.outbox) == before


def test_the_end_is_alike_once_nothing_waits_any_more(owner: Any):
    one, other = unfinished()
    owner.execute("ALTER TABLE retention_hold DISABLE TRIGGER z_guard_hold")
    owner.execute("UPDATE retention_hold SET released_at = now(), released_by = 'staff:1', covers_until = now()")
    owner.execute("ALTER TABLE retention_hold ENABLE ALWAYS TRIGGER z_guard_hold")
    accounts = [one.account_id, other.account_id]
    purge.erase(accounts)
    purge.shred()
    verifying.verify(timezone.now() + DAY)
    assert set(Account.objects.filter(pk__in=accounts).values_list("state", flat=True)) == {State.ERASED}
    assert compared(one, other, Side.follower) == []
    mail.outbox.clear()
    relay()
    sent = [normalised(f"{letter.subject}\n{letter.body}") for letter in mail.outbox]
    assert len(sent) >= 2 and len(set(sent[-2:])) == 1


# -------------------------------------------------------------------------------------------- planted differences


def test_a_planted_word_is_caught(monkeypatch: pytest.MonkeyPatch):
    one, other = waiting()
    honest = pages.status_context

    def leaking(progress: plans.Progress, **given: Any) -> dict[str, Any]:
        is_held = Hold.objects.active().filter(account=progress.request.account_id).exists()
        return {**honest(progress, **given), "days_left": 7 if is_held else progress.days_left}

    monkeypatch.setattr(pages, "status_context", leaking)
    found = compared(one, other, Side.follower)
    assert any("delete_status" in what for what in found)


def test_a_planted_statement_is_caught(monkeypatch: pytest.MonkeyPatch):
    one, other = waiting()
    honest = plans.progress

    def leaking(request: DeletionRequest, at: dt.datetime | None = None) -> plans.Progress:
        if Hold.objects.active().filter(account=request.account_id).exists():
            Hold.objects.count()
        return honest(request, at)

    monkeypatch.setattr(plans, "progress", leaking)
    assert any("statements" in what for what in compared(one, other, Side.follower))


def test_a_planted_mail_is_caught():
    one, other = unfinished()
    mail.EmailMessage("Your account", "A hold was placed.", to=["marta@marta.example"]).send()
    assert letters_to(one) != letters_to(other)


def test_a_planted_header_is_caught(monkeypatch: pytest.MonkeyPatch):
    one, other = waiting()
    client = one.follower()
    honest = client.get

    def leaking(*args: Any, **kwargs: Any) -> Any:
        answer = honest(*args, **kwargs)
        answer.headers["X-Epoch"] = "1"
        return answer

    client.get = leaking  # type: ignore[method-assign]
    here, there = walk(one, client), walk(other, other.follower())
    assert len(differences(here, there)) == len(here)


# ----------------------------------------------------------------------------------------------------------- time

KINDS = {
    "status by code": ("follower", "retention:delete_status"),
    "status": ("visitor", "retention:delete_status"),
    "cancel": ("visitor", "retention:delete_cancel"),
    "ticket": ("visitor", "accounts:ticket"),
    "invoices": ("visitor", "accounts:invoices"),
}


def asking(side: Side, kind: str) -> Callable[[], Any]:
    who, page = KINDS[kind]
    visitor, address = getattr(side, who)(), addresses(side)[page]
    return lambda: visitor.get(address)


@pytest.mark.race
@pytest.mark.parametrize("kind", KINDS)
def test_before_the_due_date_a_page_takes_as_long_with_a_sealed_hold(kind: str):
    one, other = waiting()
    assert slowest_gap(asking(one, kind), asking(other, kind), 200, THRESHOLD) < THRESHOLD


@pytest.mark.race
def test_after_the_due_date_the_status_takes_as_long_whatever_it_waits_for():
    one, other = unfinished()
    gap = slowest_gap(asking(one, "status by code"), asking(other, "status by code"), 200, THRESHOLD)
    assert gap < THRESHOLD


@pytest.mark.race
def test_signing_in_is_refused_as_quickly_whatever_it_waits_for(settings: Any):
    one, other = unfinished()
    settings.ACCOUNT_RATE_LIMITS = False
    asks = []
    for side in (one, other):
        asks.append(lambda name=side.name: Client().post("/sign-in/", {"login": name, "password": "wrong password"}))
    assert slowest_gap(*asks, 200, THRESHOLD) < THRESHOLD


@pytest.mark.race
def test_a_planted_delay_of_three_milliseconds_is_caught(monkeypatch: pytest.MonkeyPatch):
    one, other = waiting()
    honest = plans.progress

    def leaking(request: DeletionRequest, at: dt.datetime | None = None) -> plans.Progress:
        if request.account_id == one.account_id:
            time.sleep(PLANTED_SECONDS)
        return honest(request, at)

    monkeypatch.setattr(plans, "progress", leaking)
    ask = [asking(side, "status by code") for side in (one, other)]
    assert slowest_gap(*ask, 200, THRESHOLD) >= THRESHOLD


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_two_thousand_requests_a_side_take_as_long_with_a_sealed_hold(kind: str):
    one, other = waiting()
    assert slowest_gap(asking(one, kind), asking(other, kind), 2_000, THRESHOLD / 3) < THRESHOLD / 3
