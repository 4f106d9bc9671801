"""The admin's acts: shown on GET, done on POST, by whom the table says and by nobody else."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import get_resolver
from django.utils import timezone

from accounts.admin_base import Act, RecordAdmin
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.models import ApiToken, Contact, Invoice, Payment, Service, Ticket, TicketMessage, User
from accounts.roles import ACTS, Role
from accounts.safeguards.models import LedgerEntry
from retention import obligations, reviewing, sight
from retention.admin import OWN_REQUEST
from retention.models import Dispute, Erasure, Hold, HoldRelease, PurgeSwitch
from tests.admin_walk import ROLES, World, a_record, acts, address_of, fingerprint, make_world, pages, rooms
from tests.cast import DAY, make_staff

pytestmark = [pytest.mark.django_db, pytest.mark.beside]


@pytest.fixture
def world() -> World:
    return make_world()


def room_of(model: Any) -> RecordAdmin:
    found: Any = admin.site.get_model_admin(model)
    return found


def post(world: World, role: str, model: Any, slug: str, record: Any = None, **data: Any) -> Any:
    room = room_of(model)
    address = room.url_of(record, slug) if record is not None else room.list_url(slug)
    return world.client(role).post(address, data)


# ---------------------------------------------------------------------------------------------- what every act keeps to


def test_nothing_changes_on_get(world: World) -> None:
    for role in ("legal", "billing", "privacy_officer", "administrator"):
        client, before = world.client(role), fingerprint()
        addresses = [address for room in rooms() for address in pages(room, world.staff[role])]

        for address in addresses:
            client.get(address)

        assert fingerprint() == before
        assert len(addresses) > 20


def test_the_fingerprint_notices_a_change_on_get(world: World) -> None:
    before = fingerprint()

    Ticket.objects.filter(account=world.account).update(state=Ticket.State.CLOSED)

    assert fingerprint() != before


def wrongly_open(world: World, walked: list[tuple[RecordAdmin, type[Act]]]) -> list[str]:
    """Return the acts that answer a role which the table does not give them to."""
    found = []
    for room, act in walked:
        for role in [*ROLES, "none"]:
            if role != "none" and act.permission in ACTS[Role(role)]:
                continue
            client, address = world.client(role), address_of(room, act, world)
            if {client.get(address).status_code, client.post(address, {}).status_code} != {403}:
                found.append(f"{role}: {act.__name__}")
    return found


def test_a_wrong_role_is_refused_by_the_server(world: World) -> None:
    assert wrongly_open(world, acts()) == []


def test_an_act_without_its_check_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room, act = next((room, act) for room, act in acts() if act.slug == "void")
    monkeypatch.setattr(act, "is_open_to", classmethod(lambda cls, user: True))

    assert wrongly_open(world, [(room, act)])


@pytest.mark.parametrize("role", ROLES)
def test_the_roles_of_an_act_see_its_page(world: World, role: str) -> None:
    seals = Hold.objects.filter(account=world.account)
    assert seals.exists()

    mine = [(room, act) for room, act in acts() if act.permission in ACTS[Role(role)]]
    answers = {act.slug: world.client(role).get(address_of(room, act, world)).status_code for room, act in mine}

    assert set(answers.values()) <= {200}


def test_every_label_of_an_act_begins_with_a_verb() -> None:
    verbs = {"Approve", "Ask", "Close", "End", "Make", "Open", "Pause", "Place", "Preview", "Record", "Retry", "Show"}
    verbs |= {"Accept", "Decline", "Issue", "Revoke", "Send", "Start", "Stop", "Void", "Waive"}
    verbs |= {"Add", "Assign", "Deny", "Extend", "Mark", "Verify"}
    verbs |= {"Change", "Confirm", "Prepare", "Publish", "Refuse", "Register", "Release", "Return", "Submit", "Tell"}
    verbs |= {"Answer", "Give", "Name", "Set", "Withdraw", "Write"}
    verbs |= {"Complete", "Decide", "Draft", "Enter", "Find", "Narrow", "Save"}

    assert {act.label.split()[0] for _, act in acts()} <= verbs


def undeclared(found: list[RecordAdmin]) -> list[str]:
    """Return the admin actions that do not say who may use them."""
    return [
        f"{room}: {name}"
        for room in found
        for function, name, _ in room._get_base_actions()  # type: ignore[attr-defined]
        if not getattr(function, "allowed_permissions", None)
    ]


def test_every_admin_action_declares_its_permissions() -> None:
    assert undeclared(rooms()) == []
    names = sorted(name for room in rooms() for _, name, _ in room._get_base_actions())  # type: ignore[attr-defined]
    assert names == ["assign_selected", "close_selected", "preview_selected"]


def test_an_action_without_permissions_is_noticed() -> None:
    @admin.action(description="Do anything")
    def anything(self: Any, request: HttpRequest, queryset: Any) -> None:
        """Planted."""

    planted = type("Planted", (RecordAdmin,), {"actions": [anything]})(Ticket, admin.site)

    assert undeclared([planted])


def test_delete_selected_is_nowhere(world: World, rf: Any) -> None:
    request = rf.get("/admin/")
    request.user = world.staff["privacy_officer"]

    assert "delete_selected" not in dict(admin.site.actions)
    assert [room for room in rooms() if "delete_selected" in room.get_actions(request)] == []


def test_nothing_can_be_added_changed_or_deleted_but_by_acts(world: World, rf: Any) -> None:
    for role in ROLES:
        request = rf.get("/admin/")
        request.user = world.staff[role]
        for room in rooms():
            assert not room.has_add_permission(request)
            assert not room.has_change_permission(request)
            assert not room.has_delete_permission(request)
    names = [str(name) for name in get_resolver().namespace_dict["admin"][1].reverse_dict if isinstance(name, str)]
    assert names
    assert [name for name in names if name.endswith(("_add", "_delete", "_history"))] == []


def test_evidence_is_not_deleted_by_an_address_of_django_s_own(world: World) -> None:
    client = world.client("legal")
    hold = Hold.objects.filter(account=world.account).first()
    assert hold is not None

    for address in ("delete/", "change/", "history/"):
        assert client.post(f"{room_of(Hold).url_of(hold)}{address}", {"post": "yes"}).status_code == 404
    assert Hold.objects.filter(pk=hold.pk).exists()


def test_a_post_to_a_record_changes_nothing(world: World) -> None:
    client = world.client("privacy_officer")
    before = fingerprint()

    for room in rooms():
        assert client.post(room.url_of(a_record(room, world)), {"state": "erased"}).status_code in {403, 405}

    assert fingerprint() == before


# ---------------------------------------------------------------------------------------------- holds


def place(world: World, **data: Any) -> Any:
    return post(world, "legal", type(world.account), "place-hold", world.account, **data)


def a_hold(world: World) -> Hold:
    place(world, kind="legal", matter="case 1")
    return Hold.objects.get(account=world.account, kind=Hold.Kind.LEGAL)


def test_legal_places_a_hold_that_nobody_told(world: World) -> None:
    answer = place(world, kind="legal", categories=["invoices", "access"], matter="case 1")

    hold = Hold.objects.get(account=world.account, kind=Hold.Kind.LEGAL)
    assert answer.status_code == 302
    assert hold.categories == ["invoices", "access"]
    assert hold.matter == "case 1"
    assert hold.told_at is None
    assert hold.placed_by == world.staff["legal"].actor


def test_a_hold_without_a_matter_is_not_placed(world: World) -> None:
    answer = place(world, kind="legal")

    assert answer.status_code == 422
    assert not Hold.objects.filter(account=world.account, kind=Hold.Kind.LEGAL).exists()


def test_a_hold_whose_period_runs_backwards_is_not_placed(world: World) -> None:
    days = {
        "period_from_0": "2026-02-01",
        "period_from_1": "00:00",
        "period_to_0": "2026-01-01",
        "period_to_1": "00:00",
    }

    answer = place(world, kind="legal", matter="case 1", **days)

    assert answer.status_code == 422
    assert b"later than the beginning" in answer.content


FAR = {
    "a beginning before 2000": ("period_from", "0001-01-01", "00:00"),
    "an end in the last year of the calendar": ("period_to", "9999-12-31", "23:59"),
    "an end in a century": ("period_to", "2126-01-01", "00:00"),
    "an hour that the clocks leave out": ("period_from", "2026-03-08", "02:30"),
    "an hour that the clocks give twice": ("period_from", "2026-11-01", "01:30"),
}


@pytest.mark.parametrize("what", FAR)
def test_a_hold_is_not_placed_on_a_moment_nobody_means(world: World, what: str) -> None:
    name, day, time = FAR[what]

    answer = place(world, kind="legal", matter="case 1", **{f"{name}_0": day, f"{name}_1": time})

    assert answer.status_code == 422
    assert (
        "The clocks change" if "clocks" in what else "between 1 January 2000 and 50 years"
    ) in answer.content.decode()
    assert not Hold.objects.filter(account=world.account, kind=Hold.Kind.LEGAL).exists()


def test_a_hold_is_placed_on_a_period_of_many_years(world: World) -> None:
    days = {
        "period_from_0": "2001-01-01",
        "period_from_1": "00:00",
        "period_to_0": "2060-01-01",
        "period_to_1": "00:00",
    }

    assert place(world, kind="legal", matter="case 1", **days).status_code == 302


def test_one_person_cannot_approve_their_own_release(world: World) -> None:
    hold = a_hold(world)
    post(world, "legal", Hold, "ask-release", hold, reason="the order ended")

    page = world.client("legal").get(room_of(Hold).url_of(hold, "approve-release")).content.decode()
    answer = post(world, "legal", Hold, "approve-release", hold)

    hold.refresh_from_db()
    assert OWN_REQUEST in page
    assert 'value="Approve the release"' not in page
    assert answer.status_code == 409
    assert hold.released_at is None


def test_a_colleague_approves_the_release(world: World) -> None:
    hold = a_hold(world)
    post(world, "legal", Hold, "ask-release", hold, reason="the order ended")

    answer = post(world, "privacy_officer", Hold, "approve-release", hold)

    hold.refresh_from_db()
    assert answer.status_code == 302
    assert hold.released_at is not None
    assert HoldRelease.objects.get(hold=hold).approved_by == world.staff["privacy_officer"].pk


def test_a_release_that_nobody_asked_for_is_not_approved(world: World) -> None:
    hold = a_hold(world)

    answer = post(world, "privacy_officer", Hold, "approve-release", hold)

    hold.refresh_from_db()
    assert answer.status_code == 409
    assert hold.released_at is None


def test_the_release_waits_on_the_front_page_of_the_colleague_only(world: World) -> None:
    hold = a_hold(world)
    post(world, "legal", Hold, "ask-release", hold, reason="the order ended")

    mine = world.client("legal").get("/admin/").content.decode()
    theirs = world.client("privacy_officer").get("/admin/").content.decode()

    assert "Waiting for my approval (0)" in mine
    assert "Waiting for my approval (1)" in theirs
    assert theirs.index("Waiting for my approval") < theirs.index("All lists")


def test_a_review_sets_the_next_look_and_nothing_else(world: World) -> None:
    hold = a_hold(world)
    Hold.objects.filter(pk=hold.pk).update(review_by=timezone.now() + 3 * DAY)
    before = world.client("legal").get("/admin/").content.decode()

    answer = post(world, "legal", Hold, "review", hold)

    reviewed = Hold.objects.get(pk=hold.pk)
    assert "Holds to review within 14 days (1)" in before
    assert answer.status_code == 302
    assert reviewed.review_by is not None
    assert (reviewed.review_by - timezone.now()).days == 89
    assert (reviewed.told_at, reviewed.released_at, reviewed.ends_at) == (None, None, hold.ends_at)
    assert "Holds to review within 14 days (0)" in world.client("legal").get("/admin/").content.decode()
    entry = LedgerEntry.objects.get(action="hold.reviewed")
    assert (entry.actor, str(hold.pk) in entry.body) == (world.staff["legal"].actor, True)
    assert not sight.ledger_for(world.staff["auditor"]).filter(pk=entry.pk).exists()


def test_what_ends_by_itself_is_not_reviewed(world: World) -> None:
    dispute = Hold.objects.get(account=world.account, kind=Hold.Kind.DISPUTE)
    Hold.objects.filter(pk=dispute.pk).update(review_by=timezone.now() - DAY)

    answer = post(world, "legal", Hold, "review", dispute)
    front = world.client("legal").get("/admin/").content.decode()
    listed = world.client("legal").get(f"{room_of(Hold).list_url()}?state=review").content.decode()

    assert answer.status_code == 409
    assert "Holds to review within 14 days (0)" in front
    assert str(dispute.pk) not in listed
    with pytest.raises(NotActionable, match="needs no review"):
        reviewing.review(dispute.pk, by=world.staff["legal"])


def test_a_released_hold_is_not_reviewed(world: World) -> None:
    hold = a_hold(world)
    post(world, "legal", Hold, "ask-release", hold, reason="the order ended")
    post(world, "privacy_officer", Hold, "approve-release", hold)

    assert post(world, "legal", Hold, "review", hold).status_code == 409


def test_telling_is_recorded_once(world: World) -> None:
    hold = a_hold(world)

    first = post(world, "legal", Hold, "tell", hold, how="letter")
    second = post(world, "legal", Hold, "tell", hold, how="mail")

    hold.refresh_from_db()
    assert (first.status_code, second.status_code) == (302, 409)
    assert hold.told_how == "letter"


def test_legal_reads_what_an_edit_changed_under_a_hold(world: World) -> None:
    a_hold(world)
    contact = Contact.objects.filter(account=world.account).earliest("created_at")
    contact.name = "Somebody Else"
    contact.save()

    page = post(world, "legal", type(world.account), "kept-versions", world.account).content.decode()

    assert "Walker Canary" in page
    assert LedgerEntry.objects.filter(action="kept_versions.read", actor=world.staff["legal"].actor).exists()


# ---------------------------------------------------------------------------------------------- disputes


def test_billing_opens_and_closes_a_dispute(world: World) -> None:
    data = {
        "processor": "stripe",
        "reference": "dp_77",
        "amount": "12.34",
        "currency": "USD",
        "reason": "general",
    }
    opened = post(world, "billing", type(world.account), "open-dispute", world.account, **data)
    dispute = Dispute.objects.get(processor="stripe")

    closed = post(world, "billing", Dispute, "close", dispute, outcome="won")

    dispute.refresh_from_db()
    assert (opened.status_code, closed.status_code) == (302, 302)
    assert (dispute.amount_cents, dispute.state) == (1234, Dispute.State.WON)
    assert not Hold.objects.unreleased().filter(cause=dispute.pk).exists()


def reported(**changes: Any) -> dict[str, Any]:
    return {
        "processor": "stripe",
        "reference": "dp_77",
        "amount": "12.34",
        "currency": "USD",
        "reason": "general",
        **changes,
    }


def open_one(world: World, **changes: Any) -> Any:
    return post(world, "billing", type(world.account), "open-dispute", world.account, **reported(**changes))


@pytest.mark.parametrize("day", ["0001-01-01", "2019-01-01", "9999-12-31"])
def test_evidence_is_not_due_more_than_a_year_away(world: World, day: str) -> None:
    answer = open_one(world, evidence_due_at_0=day, evidence_due_at_1="10:00")

    assert answer.status_code == 422
    assert "at most a year away" in answer.content.decode()
    assert not Dispute.objects.filter(processor="stripe").exists()


@pytest.mark.parametrize("typed", ["Stripe Inc", "1pay", "x", "strípe"])
def test_a_processor_is_a_code_as_for_the_api(world: World, typed: str) -> None:
    answer = open_one(world, processor=typed)

    assert answer.status_code == 422
    assert "Give the short name" in answer.content.decode()


def test_a_processor_is_written_in_small_letters(world: World) -> None:
    assert open_one(world, processor=" Stripe ").status_code == 302
    assert Dispute.objects.filter(processor="stripe").exists()


def test_a_closed_dispute_stays_closed(world: World) -> None:
    dispute = Dispute.objects.get()
    post(world, "billing", Dispute, "close", dispute, outcome="lost")

    again = post(world, "billing", Dispute, "close", dispute, outcome="won")

    dispute.refresh_from_db()
    assert again.status_code == 409
    assert dispute.state == Dispute.State.LOST


def test_a_card_number_is_no_reference(world: World) -> None:
    data = {"processor": "stripe", "amount": "1", "currency": "USD", "reason": "general"}

    answer = post(
        world,
        "billing",
        type(world.account),
        "open-dispute",
        world.account,
        reference="4242424242424242",
        **data,
    )

    assert answer.status_code == 422
    assert not Dispute.objects.filter(processor="stripe").exists()


# ---------------------------------------------------------------------------------------------- the deletion queue


def test_a_pause_ends_by_itself_and_is_given_once(world: World) -> None:
    first = post(world, "administrator", type(world.request), "pause", world.request, days=3, reason="a question")
    second = post(world, "administrator", type(world.request), "pause", world.request, days=3, reason="again")

    pause = Hold.objects.get(account=world.account, kind=Hold.Kind.OPERATIONS)
    assert (first.status_code, second.status_code) == (302, 409)
    assert pause.ends_at is not None
    assert (pause.ends_at - pause.placed_at).days == 3


def test_a_pause_is_at_most_fourteen_days(world: World) -> None:
    answer = post(world, "administrator", type(world.request), "pause", world.request, days=15, reason="long")

    assert answer.status_code == 422
    assert not Hold.objects.filter(kind=Hold.Kind.OPERATIONS).exists()


def test_a_pause_can_be_ended_early_but_nothing_else_this_way(world: World) -> None:
    post(world, "administrator", type(world.request), "pause", world.request, days=3, reason="a question")
    pause = Hold.objects.get(kind=Hold.Kind.OPERATIONS)
    other = Hold.objects.get(kind=Hold.Kind.DISPUTE)

    ended = post(world, "administrator", Hold, "end-pause", pause)
    refused = post(world, "administrator", Hold, "end-pause", other)

    pause.refresh_from_db()
    other.refresh_from_db()
    assert (ended.status_code, refused.status_code) == (302, 409)
    assert pause.released_at is not None
    assert other.released_at is None


def test_what_failed_is_tried_again(world: World) -> None:
    Erasure.objects.filter(account=world.account, category="access").update(attempts=4, last_error="OperationalError")

    listed = world.client("administrator").get(room_of(type(world.request)).list_url()).content.decode()
    answer = post(world, "administrator", type(world.request), "retry", world.request)

    step = Erasure.objects.get(account=world.account, category="access")
    assert "failing: OperationalError" in listed
    assert answer.status_code == 302
    assert (step.attempts, step.last_error) == (0, "")


def test_what_did_not_fail_is_not_retried(world: World) -> None:
    assert post(world, "administrator", type(world.request), "retry", world.request).status_code == 409


def test_a_preview_lists_what_is_due_and_changes_nothing(world: World) -> None:
    room, client = room_of(type(world.request)), world.client("administrator")
    before = fingerprint()

    one = client.get(room.url_of(world.request, "preview")).content.decode()
    chosen = {"action": "preview_selected", "_selected_action": [str(world.request.pk)]}
    many = client.post(room.list_url(), chosen).content.decode()

    assert "Support tickets" in one
    assert "stays: payment dispute" in one
    assert world.request.reference in many
    assert fingerprint() == before


def test_the_preview_action_is_not_offered_without_the_permission(world: World) -> None:
    chosen = {"action": "preview_selected", "_selected_action": [str(world.request.pk)]}

    answer = world.client("support").post(room_of(type(world.request)).list_url(), chosen, follow=True)

    assert "Outlook" not in answer.content.decode()


def test_the_purge_is_stopped_and_started(world: World) -> None:
    stopped = post(world, "privacy_officer", PurgeSwitch, "stop", category="")
    assert "" in PurgeSwitch.stopped()

    again = post(world, "privacy_officer", PurgeSwitch, "stop", category="")
    started = post(world, "privacy_officer", PurgeSwitch, "start", category="")

    assert "" not in PurgeSwitch.stopped()
    assert "support" in PurgeSwitch.stopped()
    assert (stopped.status_code, again.status_code, started.status_code) == (302, 409, 302)


# ---------------------------------------------------------------------------------------------- accounts


def test_billing_voids_an_invoice_once(world: World) -> None:
    invoice = Invoice.objects.unpaid().get(account=world.account)

    first = post(world, "billing", Invoice, "void", invoice)
    second = post(world, "billing", Invoice, "void", invoice)

    invoice.refresh_from_db()
    assert (first.status_code, second.status_code) == (302, 409)
    assert invoice.state == Invoice.State.VOID
    assert invoice.settled_at is not None


def test_billing_records_a_payment_once_however_often_it_is_sent(world: World) -> None:
    invoice = Invoice.objects.unpaid().get(account=world.account)
    form = {"method": "bank transfer", "reference": "TRX 77", "submission": str(uuid7())}

    first = post(world, "billing", Invoice, "record-payment", invoice, **form)
    again = post(world, "billing", Invoice, "record-payment", invoice, **form)
    other = post(world, "billing", Invoice, "record-payment", invoice, **{**form, "submission": str(uuid7())})

    invoice.refresh_from_db()
    payment = Payment.objects.get(invoice=invoice)
    assert (first.status_code, again.status_code, other.status_code) == (302, 302, 409)
    assert (payment.amount_cents, payment.method, payment.reference) == (1290, "bank transfer", "TRX 77")
    assert invoice.state == Invoice.State.PAID
    assert LedgerEntry.objects.get(action="invoice.paid", actor=world.staff["billing"].actor)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"method": "4242 4242 4242 4242"}, "card number"),
        ({"reference": "4242424242424242"}, "card number"),
        ({"method": ""}, "Enter this: how it was paid."),
        ({"submission": "x"}, "Load the page again"),
    ],
)
def test_a_payment_that_cannot_be_taken_says_why(world: World, changed: dict[str, str], sentence: str) -> None:
    invoice = Invoice.objects.unpaid().get(account=world.account)
    form = {"method": "bank transfer", "reference": "", "submission": str(uuid7()), **changed}

    answer = post(world, "billing", Invoice, "record-payment", invoice, **form)

    invoice.refresh_from_db()
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert invoice.state == Invoice.State.ISSUED


def test_a_payment_that_is_recorded_settles_the_agreement(world: World) -> None:
    invoice = Invoice.objects.unpaid().get(account=world.account)
    Service.objects.filter(account=world.account).update(term_waived_at=timezone.now())
    obligations.settle([world.account.pk], timezone.now())
    held = Hold.objects.get(account=world.account, kind=Hold.Kind.AGREEMENT)

    post(world, "billing", Invoice, "record-payment", invoice, method="cheque", submission=str(uuid7()))
    obligations.settle([world.account.pk], timezone.now())

    held.refresh_from_db()
    assert held.released_at is not None


def test_billing_waives_a_minimum_term(world: World) -> None:
    service = Service.objects.get(account=world.account, term_ends_at__isnull=False)

    first = post(world, "billing", Service, "waive", service)
    second = post(world, "billing", Service, "waive", service)

    service.refresh_from_db()
    assert (first.status_code, second.status_code) == (302, 409)
    assert service.term_waived_at is not None


def test_support_answers_a_ticket(world: World) -> None:
    ticket = Ticket.objects.filter(account=world.account).earliest("created_at")

    answer = post(world, "support", Ticket, "reply", ticket, text="We look into it.")

    ticket.refresh_from_db()
    message = TicketMessage.objects.filter(ticket=ticket).latest("created_at")
    assert answer.status_code == 302
    assert ticket.state == Ticket.State.ANSWERED
    assert (message.body, message.is_from_staff) == ("We look into it.", True)


def test_support_closes_a_ticket(world: World) -> None:
    ticket = Ticket.objects.filter(account=world.account, kind=Ticket.Kind.SUPPORT).earliest("created_at")

    first = post(world, "support", Ticket, "close", ticket)
    second = post(world, "support", Ticket, "close", ticket)

    ticket.refresh_from_db()
    assert (first.status_code, second.status_code) == (302, 409)
    assert ticket.state == Ticket.State.CLOSED


def test_the_ticket_of_a_deletion_is_closed_once_nobody_reads_it(world: World) -> None:
    ticket, due_at = Ticket.objects.get(pk=world.request.ticket), world.request.due_at

    early = post(world, "support", Ticket, "close", ticket)
    with time_machine.travel(due_at):
        client, room = world.client("support"), room_of(Ticket)
        page = client.get(room.url_of(ticket, "reply")).content.decode()
        front = client.get("/admin/").content.decode()
        late = post(world, "support", Ticket, "close", ticket)

    assert (early.status_code, late.status_code) == (409, 302)
    assert "nobody would read an answer" in page
    assert "<textarea" not in page
    assert "Tickets that wait for us (0)" in front


def test_a_card_number_is_not_sent_to_a_customer(world: World) -> None:
    ticket = Ticket.objects.filter(account=world.account).earliest("created_at")

    answer = post(world, "support", Ticket, "reply", ticket, text="Your card 4242 4242 4242 4242")

    assert answer.status_code == 422
    assert not TicketMessage.objects.filter(ticket=ticket, is_from_staff=True).exists()


def test_a_token_is_shown_once_and_kept_nowhere(world: World) -> None:
    client, room = world.client("administrator"), room_of(ApiToken)
    data = {"name": "shop", "scopes": ["disputes:write"], "days": 30}

    page = client.post(room.list_url("make"), data).content.decode()
    later = (
        client.get(room.list_url()).content.decode()
        + client.get(room.url_of(ApiToken.objects.latest("pk"))).content.decode()
    )

    secret = page.split("<code>")[1].split("</code>")[0]
    assert secret.startswith("ccp_")
    assert secret not in later
    assert not LedgerEntry.objects.filter(body__contains=secret).exists()


def test_a_revoked_token_opens_nothing(world: World) -> None:
    token = ApiToken.objects.get()

    first = post(world, "administrator", ApiToken, "revoke", token)
    second = post(world, "administrator", ApiToken, "revoke", token)

    token.refresh_from_db()
    assert (first.status_code, second.status_code) == (302, 409)
    assert token.revoked_at is not None


def test_every_act_leaves_a_ledger_entry_by_its_actor(world: World) -> None:
    post(world, "billing", Invoice, "void", Invoice.objects.unpaid().get(account=world.account))
    post(world, "administrator", ApiToken, "revoke", ApiToken.objects.get())
    post(world, "privacy_officer", PurgeSwitch, "start", category="support")

    actions = {
        (entry.action, entry.actor)
        for entry in LedgerEntry.objects.filter(actor__startswith="staff:")
        if entry.action != "viewed"
    }
    assert {
        ("invoice.voided", world.staff["billing"].actor),
        ("token.revoked", world.staff["administrator"].actor),
        ("purge.started", world.staff["privacy_officer"].actor),
    } <= actions


def test_a_record_that_is_not_there_answers_404(world: World) -> None:
    for room, act in acts():
        role = next(role for role in Role if act.permission in ACTS[role])
        if act.needs_record:
            address = room.url_of(type("Absent", (), {"pk": uuid4()})(), act.slug)  # type: ignore[arg-type]
            assert world.client(role).get(address).status_code == 404


def test_an_act_that_is_not_written_out_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Act().perform(None, forms.Form(), User())


def test_what_the_ledger_keeps_is_no_value(world: World) -> None:
    ticket = Ticket.objects.filter(account=world.account).earliest("created_at")
    post(world, "support", Ticket, "reply", ticket, text="Your name is Walker Canary")

    bodies = " ".join(LedgerEntry.objects.values_list("body", flat=True))

    assert "Canary" not in bodies
    assert all(json.loads(body) for body in LedgerEntry.objects.values_list("body", flat=True))
    assert make_staff("later", "auditor").is_staff
