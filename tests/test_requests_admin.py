"""Privacy requests in the admin: the queue, comparing facts, deciding, and what each role may know."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.safeguards.models import LedgerEntry
from chicagocloud import work
from retention import asking, conversing, deciding, placing, request_clocks
from retention.models import Hold, PrivacyRequest, RequestMessage
from retention.models.privacy import Status
from tests.cast import DAY, ask_something, make_customer, make_staff
from tests.test_requests_strangers import PDF, ask, proved
from tests.visiting import signed_in

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def officer() -> User:
    return make_staff("olga", "privacy_officer")


@pytest.fixture
def desk(officer: User) -> Client:
    client = signed_in(officer)
    return client


def url(request: PrivacyRequest, page: str = "change") -> str:
    return reverse(f"admin:retention_privacyrequest_{page}", args=[request.pk])


def listed(client: Client, query: str = "") -> list[str]:
    page = client.get(f"{reverse('admin:retention_privacyrequest_changelist')}{query}")
    assert page.status_code == 200
    return [row.reference for row in page.context["cl"].result_list]


def content(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_queue_goes_by_days_left_and_is_filtered(alice: User, officer: User, desk: Client) -> None:
    now = timezone.now()
    late = ask_something(alice, at=now - 50 * DAY)
    soon = ask_something(make_customer("bert"), at=now - 40 * DAY)
    fresh = ask_something(make_customer("cleo"), "complaint", at=now)
    done = ask_something(make_customer("dora"), "complaint", at=now - 44 * DAY)
    deciding.fulfil(done.pk, by=officer, answer="Done.")
    stranger, unproved = proved(), ask(details="unproved")
    conversing.assign(soon.pk, by=officer)

    assert listed(desk)[:3] == [late.reference, soon.reference, fresh.reference]
    assert listed(desk)[-1] == done.reference
    assert listed(desk, "?standing=overdue") == [late.reference]
    assert listed(desk, "?standing=soon") == [soon.reference]
    assert listed(desk, "?standing=unverified") == [stranger.reference]
    assert listed(desk, "?standing=unproved") == [unproved.reference]
    assert listed(desk, "?whose=mine") == [soon.reference]
    assert listed(desk, "?right__exact=complaint") == [fresh.reference, done.reference]
    page = content(desk.get(reverse("admin:retention_privacyrequest_changelist")))
    assert "overdue by" in page and "Canary" not in page and "example" not in page


def test_a_record_speaks_to_staff_and_asks_nothing_of_who_was_signed_in(alice: User, desk: Client) -> None:
    page = content(desk.get(url(ask_something(alice))))
    strange = content(desk.get(url(proved())))

    assert "What they asked for" in page and "What you asked for" not in page
    assert page.count("not needed: signed in") == 2 and "of 2 needed" not in page
    assert "of 2 needed" in strange, "the control: a stranger is compared"


def test_the_front_page_has_the_work(alice: User, officer: User, desk: Client, sam: User) -> None:
    due = ask_something(alice, at=timezone.now() - 40 * DAY)
    stranger = proved()
    conversing.assign(due.pk, by=officer)
    piles = {pile.title: pile for pile in work.piles(officer)}

    assert [name for name, _, _ in piles["Privacy requests due soon"].entries] == [f"{due.reference}: a correction"]
    assert piles["My privacy requests"].count == 1
    assert [name.split(":")[0] for name, _, _ in piles["Privacy requests to verify"].entries] == [stranger.reference]
    assert due.reference in content(desk.get("/admin/"))
    assert not [pile for pile in work.piles(sam) if "rivacy" in pile.title]


def test_the_record_has_the_timeline_and_notes(alice: User, officer: User, desk: Client) -> None:
    request = ask_something(alice)
    conversing.note(request.pk, by=officer, body="Seems honest.")
    conversing.write(request.pk, by=officer, body="Which letter?")
    page = content(desk.get(url(request)))

    for said in ("What Alice Canary wants", "Seems honest.", "Which letter?", "received", "note written", "Olga"):
        assert said.lower() in page.lower(), said
    viewed = LedgerEntry.objects.filter(action="viewed", subject=alice.account_id)
    assert viewed.count() == 1


def test_facts_stand_beside_what_is_held_only_after_the_address_is_proved(alice: User, desk: Client) -> None:
    facts = {"postcode": "60601", "account_number": alice.account.number, "service": "www.mine.example"}
    waiting = ask(email="alice@alice.example", facts=facts)
    before = content(desk.get(url(waiting, "verify")))
    assert "60601" not in before and "waits for the person to prove the address" in before

    request = proved(email="alice@alice.example", facts=facts, details="proved")
    entries = LedgerEntry.objects.filter(action="viewed", subject=alice.account_id).count()
    page = content(desk.get(url(request, "verify")))
    assert page.count("60601") == 2
    assert f"Held of account {alice.account.number}" in page and "Alice Canary" in page
    assert "www.mine.example" in page
    # Looking at what is held of a customer is a look at that customer.
    assert LedgerEntry.objects.filter(action="viewed", subject=alice.account_id).count() == entries + 1

    desk.post(url(request, "verify"), {"matched": "1"})
    request.refresh_from_db()
    assert request.verified_at is None and request.facts_matched == 1
    desk.post(url(request, "verify"), {"matched": "2"})
    request.refresh_from_db()
    assert request.verified_at is not None


def test_a_stranger_of_no_account_shows_what_was_given_and_nothing_held(desk: Client) -> None:
    page = content(desk.get(url(proved(facts={"postcode": "99999"}), "verify")))

    assert "99999" in page and "Held of account" not in page


def test_every_act_from_the_queue_to_the_decision(alice: User, officer: User, desk: Client) -> None:
    request = ask_something(alice)
    for act, sent in (
        ("assign-to-me", {}),
        ("add-note", {"text": "Looks right."}),
        ("send-message", {"text": "We look into it."}),
        ("extend", {"text": "An archive."}),
    ):
        assert desk.get(url(request, act)).status_code == 200
        assert desk.post(url(request, act), sent).status_code == 302, act
    refused = desk.post(url(request, "deny"), {"reason": "legal_hold", "text": "No."})
    assert refused.status_code == 422
    assert (
        desk.post(url(request, "deny"), {"reason": "other", "text": "No card 4242 4242 4242 4242"}).status_code == 422
    )
    assert desk.post(url(request, "fulfil"), {"text": "Corrected."}).status_code == 302
    request.refresh_from_db()
    assert (request.status, request.assigned_to) == (Status.FULFILLED, officer.pk)
    for act in ("assign-to-me", "verify", "add-note", "send-message", "extend", "fulfil", "deny"):
        assert desk.post(url(request, act), {"text": "x", "reason": "other", "matched": "3"}).status_code == 409, act
    assert RequestMessage.objects.count() == 2


def test_the_permission_is_a_download_for_who_verifies(officer: User, desk: Client, rita: User) -> None:
    agent = asking.Agent("Agent Smith", "a@agency.example", "per\u2028mission é.pdf", PDF)
    waiting, request = ask(agent=agent), proved(agent=agent, details="proved")
    assert desk.get(url(waiting, "permission")).status_code == 404
    answer = desk.get(url(request, "permission"))

    assert answer.content == PDF
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith('attachment; filename="permission"')
    assert "nosniff" in answer["X-Content-Type-Options"] and "sandbox" in answer["Content-Security-Policy"]
    assert LedgerEntry.objects.filter(action="viewed", subject=request.pk, body__contains="permission").count() == 1
    legal = signed_in(rita)
    assert legal.get(url(request, "permission")).status_code == 403
    assert desk.get(url(proved(details="none"), "permission")).status_code == 404


def test_words_past_their_time_do_not_tell_of_a_hold(alice: User, bob: User, rita: User) -> None:
    """Whoever may not know of sealed matters reads a held request as one that was cleaned up (S9)."""
    held, free = ask_something(alice), ask_something(bob)
    for request, user in ((held, alice), (free, bob)):
        deciding.withdraw(request.pk, by=user)
    placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor, matter="sealed")
    legal = signed_in(rita)
    room: Any = admin.site.get_model_admin(PrivacyRequest)
    held.refresh_from_db()
    with time_machine.travel(request_clocks.cleaned_at(held.status, held.decided_at) + DAY, tick=False):
        from accounts.admin_base import Eyes
        from retention.admin import request_sections

        blind = Eyes(make_staff("bea", "billing"))
        parts = [request_sections.words(blind, held), request_sections.conversation(blind, held)]
        assert all(not part.facts and not part.rows for part in parts)
        assert "What Alice Canary wants" in content(legal.get(url(held)))
    assert room.subject_of(held) == alice.account_id


def test_roles_without_the_permission_see_no_request(alice: User, sam: User) -> None:
    request = ask_something(alice)
    for role in ("support", "billing", "abuse_desk", "auditor", "administrator"):
        client = signed_in(make_staff(f"r-{role}".replace("_", "-"), role))
        assert client.get(url(request)).status_code == 403
        assert request.reference not in content(client.get("/admin/"))


def test_an_upload_is_kept_sealed(officer: User) -> None:
    from django.db import connection

    request = proved(agent=asking.Agent("A", "a@agency.example", "p.pdf", PDF))
    with connection.cursor() as cursor:
        cursor.execute("SELECT permission, permission_name FROM retention_privacyrequest WHERE id = %s", [request.pk])
        kept = cursor.fetchone()
    assert all(PDF not in bytes(column) and b"p.pdf" not in bytes(column) for column in kept)
