"""Staff pages: who comes in, what a look leaves behind, and finding a customer without an address anywhere."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db.models import DateTimeField
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.admin_base import RecordAdmin
from accounts.datamap import Category
from accounts.keys.identifiers import uuid7
from accounts.models import Account, Contact, Invoice, Service, Session, SignInIdentifier, Ticket, User
from accounts.roles import ACTS, Role
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.templatetags.portal_tags import moment_text
from disclosures.models import AbuseCase
from retention import cancelling, closing, placing, sight
from retention.models import DeletionRequest, Erasure, Hold
from tests.admin_walk import ROLES, UUID_LIKE, World, a_record, find_url, make_world, rooms, seal
from tests.cast import make_customer
from tests.visiting import entered

pytestmark = pytest.mark.django_db

EMAIL = "walker@walker.example"


@pytest.fixture
def world() -> World:
    return make_world()


def views(world: World) -> list[dict[str, Any]]:
    entries = LedgerEntry.objects.filter(action="viewed").order_by("at")
    return [json.loads(entry.body) for entry in entries]


def card_of(world: World) -> str:
    return reverse("admin:accounts_account_change", args=[world.account.pk])


def test_strangers_are_sent_to_sign_in_and_come_back(client: Client) -> None:
    answer = client.get("/admin/retention/hold/")

    assert answer.status_code == 302
    assert answer["Location"] == f"{reverse('account_login')}?next=/admin/retention/hold/"


def test_the_admin_has_no_sign_in_page_of_its_own(client: Client) -> None:
    answer = client.get("/admin/login/?next=//evil.example/")

    assert answer.status_code == 302
    assert answer["Location"] == f"{reverse('account_login')}?next=/admin/"


def test_customers_are_refused(client: Client, alice: User) -> None:
    entered(client, alice)

    assert client.get("/admin/").status_code == 403
    assert client.get("/admin/login/").status_code == 403


def test_staff_without_a_role_see_an_empty_front_page(world: World) -> None:
    client = world.client("none")

    assert client.get("/admin/").status_code == 200
    assert {client.get(room.list_url()).status_code for room in rooms()} == {403}
    assert client.get(find_url()).status_code == 403


def test_every_page_is_under_the_admin_s_content_policy(world: World) -> None:
    policy = world.client("legal").get("/admin/")["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("role", ROLES)
def test_no_page_carries_inline_script_or_style(world: World, role: str) -> None:
    client = world.client(role)
    addresses = ["/admin/", find_url(), card_of(world), *(room.list_url() for room in rooms())]

    for address in addresses:
        page = client.get(address).content.decode()
        assert "<style" not in page
        assert " style=" not in page
        assert all("src=" in tag for tag in page.split("<script")[1:])


def test_work_comes_before_the_list_of_models(world: World) -> None:
    page = world.client("support").get("/admin/").content.decode()

    assert page.index("Tickets that wait for us") < page.index("All lists")
    assert page.index("Deletions due today") < page.index("All lists")


def test_one_view_of_personal_data_is_one_entry(world: World) -> None:
    world.client("support").get(card_of(world))

    (entry,) = views(world)
    assert entry["actor"] == world.staff["support"].actor
    assert entry["subject"] == str(world.account.pk)
    assert {"contact", "identity", "credentials"} <= set(entry["categories"])
    assert entry["roles"] == ["support"]


def test_a_page_that_shows_nothing_personal_writes_nothing(world: World) -> None:
    world.client("auditor").get(card_of(world))

    assert views(world) == []


@pytest.mark.parametrize("role", ROLES)
def test_lists_show_nothing_personal_and_write_nothing(world: World, role: str) -> None:
    client = world.client(role)

    pages = [client.get(room.list_url()).content.decode() for room in rooms()]

    assert views(world) == []
    assert not [page for page in pages if "Canary" in page or EMAIL in page]


def test_every_record_that_shows_something_personal_is_entered(world: World) -> None:
    client = world.client("privacy_officer")
    for room in rooms():
        before = len(views(world))
        page = client.get(room.url_of(a_record(room, world)))
        if "Canary" in page.content.decode():
            # The page of a case is a look at its customer as well, who reads of it.
            looks = 2 if room.model is AbuseCase else 1
            assert len(views(world)) == before + looks, room


def test_reading_a_conversation_to_answer_it_is_a_view_too(world: World) -> None:
    ticket = Ticket.objects.filter(account=world.account).earliest("created_at")

    world.client("support").get(reverse("admin:accounts_ticket_reply", args=[ticket.pk]))

    assert [entry["categories"] for entry in views(world)] == [["support"]]


def test_the_outbox_shows_states_only(world: World) -> None:
    message = OutboxMessage.objects.first()
    assert message is not None

    page = world.client("administrator").get(reverse("admin:safeguards_outboxmessage_change", args=[message.pk]))

    assert EMAIL not in page.content.decode()
    assert page.status_code == 200


# ---------------------------------------------------------------------------------------------- finding


@pytest.mark.parametrize("role", ["support", "abuse_desk", "billing", "legal", "privacy_officer"])
def test_a_customer_is_found_by_e_mail_number_and_references(world: World, role: str) -> None:
    ticket = Ticket.objects.filter(account=world.account).earliest("created_at")
    wanted = [
        EMAIL,
        " Walker@WALKER.example ",
        world.account.number,
        world.request.reference.lower(),
        ticket.reference,
    ]

    for text in wanted:
        answer = world.client(role).post(find_url(), {"wanted": text})
        assert (answer.status_code, answer["Location"]) == (302, card_of(world))


def test_a_customer_is_found_by_the_number_of_an_invoice_where_the_role_reads_invoices(world: World) -> None:
    invoice = Invoice.objects.unpaid().get(account=world.account)
    seeing = ["support", "billing", "legal", "privacy_officer"]

    answers = {role: world.client(role).post(find_url(), {"wanted": invoice.number}).status_code for role in ROLES}

    assert {role for role, status in answers.items() if status == 302} == set(seeing)
    assert set(answers.values()) == {302, 422}


def test_a_customer_is_found_by_a_contact_once_the_sign_in_names_are_gone(world: World) -> None:
    SignInIdentifier.objects.filter(account=world.account).delete()

    found = world.client("support").post(find_url(), {"wanted": "Walker@WALKER.example"})
    Contact.objects.filter(account=world.account).update(removed_at=timezone.now())
    removed = world.client("legal").post(find_url(), {"wanted": EMAIL})

    assert (found.status_code, found["Location"]) == (302, card_of(world))
    assert removed.status_code == 422


def test_a_contact_is_found_by_the_address_it_has_now(world: World) -> None:
    SignInIdentifier.objects.filter(account=world.account).delete()
    contact = Contact.objects.get(account=world.account, role=Contact.Role.OWNER)
    contact.email = "new@walker.example"
    contact.save(update_fields=["email"])

    old, new = (world.client("support").post(find_url(), {"wanted": text}) for text in (EMAIL, "new@walker.example"))

    assert (old.status_code, new.status_code) == (422, 302)


def test_an_address_may_stand_in_many_contacts_and_links_to_no_sign_in_name(world: World) -> None:
    other = make_customer("other")
    contact = Contact.objects.get(account=other.account)
    contact.email = EMAIL
    contact.save()

    digests = {bytes(found.email_digest or b"") for found in Contact.objects.exclude(role=Contact.Role.BILLING)}
    names = {bytes(name.digest) for name in SignInIdentifier.objects.all()}
    assert len(digests) == 1
    assert not digests & names


@pytest.mark.parametrize("role", ["auditor", "administrator"])
def test_who_is_shown_no_contacts_finds_nobody_by_address(world: World, role: str) -> None:
    client = world.client(role)

    assert client.post(find_url(), {"wanted": EMAIL}).status_code == 422
    assert client.post(find_url(), {"wanted": world.account.number}).status_code == 302


def test_finding_by_address_leaves_it_in_no_url_log_ledger_or_session(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = world.client("support")

    with caplog.at_level(logging.DEBUG):
        answer = client.post(find_url(), {"wanted": EMAIL}, follow=True)
        client.post(find_url(), {"wanted": "nobody@walker.example"})

    addresses = [address for address, _ in answer.redirect_chain]
    bodies = list(LedgerEntry.objects.values_list("body", flat=True))
    sessions = [str(session.session_data) for session in Session.objects.all()]
    assert not [text for text in [*addresses, *bodies, *sessions, caplog.text] if "walker.example" in text]


def test_an_address_in_the_query_is_not_searched_for(world: World) -> None:
    client = world.client("support")

    assert client.get(f"{find_url()}?wanted=x").status_code == 200
    assert [room for room in rooms() if room.search_fields] == []


def test_what_leads_to_nobody_says_so(world: World) -> None:
    for text in (
        "999999999",
        "DEL-AAAA-AAAA",
        "nobody@nowhere.example",
        "not a thing",
        "a@[127.0.0.1]",
        "x" * 254,
    ):
        answer = world.client("support").post(find_url(), {"wanted": text})
        assert answer.status_code == 422
        assert "No customer has this" in answer.content.decode()


def test_the_queue_says_how_many_days_are_left(world: World) -> None:
    page = world.client("support").get(reverse("admin:retention_deletionrequest_changelist")).content.decode()

    assert world.request.reference in page
    assert ">28<" in page
    assert "scheduled" in page


@pytest.fixture
def closed_again(world: World) -> DeletionRequest:
    """The world's request after it was cancelled and the account closed a second time, all of it verified."""
    cancelled = cancelling.cancel(world.request.pk, by=world.customer)
    Invoice.objects.unpaid().update(state=Invoice.State.VOID, settled_at=timezone.now())
    closing.close(world.account.pk, by=world.customer, submission=uuid7())
    Erasure.objects.live().filter(account=world.account).update(last_error="OperationalError", attempts=3)
    return cancelled


def test_nothing_is_told_of_a_cancelled_request_that_belongs_to_the_next_one(
    world: World, closed_again: DeletionRequest
) -> None:
    client = world.client("administrator")

    page = client.get(reverse("admin:retention_deletionrequest_change", args=[closed_again.pk])).content.decode()
    retried = client.post(reverse("admin:retention_deletionrequest_retry", args=[closed_again.pk]))
    queue = client.get(f"{reverse('admin:retention_deletionrequest_changelist')}?state=ended").content.decode()

    assert "nothing to verify" in page
    assert not re.search(r"field-steps\">\d", queue)
    assert "OperationalError" not in page
    assert "OperationalError" not in queue
    assert retried.status_code == 409


def test_staff_read_when_the_services_of_a_closed_account_stop(world: World) -> None:
    (stop,) = {moment_text(service.closing_stops_at) for service in Service.objects.all() if service.closing_stops_at}
    service = Service.objects.filter(account=world.account).earliest("started_at")

    card = world.client("support").get(card_of(world)).content.decode()
    page = world.client("support").get(reverse("admin:accounts_service_change", args=[service.pk])).content.decode()

    assert stop in card
    assert stop in page
    assert "not planned" not in card + page


def test_a_due_deletion_stands_in_one_pile(world: World) -> None:
    now = timezone.localtime().replace(hour=12)
    past, later = now - dt.timedelta(hours=1), now + dt.timedelta(hours=1)

    def found(at: dt.datetime) -> bool:
        with time_machine.travel(at, tick=False):
            return sight.due_today(DeletionRequest.objects.all(), at).exists()

    DeletionRequest.objects.update(due_at=past)
    overdue = found(now)
    DeletionRequest.objects.update(due_at=later)

    assert (overdue, found(now), found(later)) == (False, True, False)


# ---------------------------------------------------------------------------------------------- names and words


def heading(page: str) -> str:
    """Return the title and the first heading of a page."""
    return " ".join(re.findall(r"<(?:title|h1)[^>]*>(.*?)</(?:title|h1)>", page, re.DOTALL))


def readers(room: RecordAdmin) -> list[str]:
    act = f"{room.opts.app_label}.view_{room.opts.model_name}"
    return [role for role in ROLES if act in ACTS[Role(role)]]


def test_no_record_is_called_by_its_id(world: World) -> None:
    for room in rooms():
        client = world.client(readers(room)[0])
        record = a_record(room, world)
        page = client.get(room.url_of(record)).content.decode()
        assert heading(page), room
        assert not UUID_LIKE.search(heading(page)), room
    invoice = Invoice.objects.unpaid().get(account=world.account)
    page = world.client("billing").get(reverse("admin:accounts_invoice_change", args=[invoice.pk])).content.decode()
    assert f"Invoice {invoice.number}" in heading(page)


def test_every_moment_of_a_list_has_its_zone(world: World) -> None:
    for room in rooms():
        page = world.client(readers(room)[0]).get(room.list_url()).content.decode()
        rows = page.partition("<tbody>")[2].partition("</tbody>")[0]
        assert rows, room
        assert not re.search(r"\d (?:a|p)\.m\.|midnight|noon", rows), room
        dated = [field for field in room.model._meta.fields if isinstance(field, DateTimeField)]
        if {field.name for field in dated} & set(room.list_display):
            assert re.search(r"<time [^>]*>[^<]*\([A-Z][a-z]+\)</time>", rows), room


def test_lists_can_still_be_sorted_by_a_moment(world: World) -> None:
    page = world.client("support").get(reverse("admin:accounts_ticket_changelist")).content.decode()

    assert re.search(r'class="sortable column-created_at', page)


@pytest.mark.parametrize(
    ("role", "named"), [("legal", True), ("support", True), ("auditor", False), ("administrator", False)]
)
def test_colleagues_are_named_to_roles_that_read_names(world: World, role: str, named: bool) -> None:
    hold = placing.place(world.account.pk, Hold.Kind.LEGAL, by=world.staff["legal"].actor, told=True)
    before = len(views(world))

    page = world.client(role).get(reverse("admin:retention_hold_change", args=[hold.pk])).content.decode()

    assert ("staff-legal" in page) is named
    assert (world.staff["legal"].actor in page) is not named
    assert len(views(world)) == before or role == "legal"


def test_who_approves_sees_who_asked(world: World) -> None:
    hold = seal(world)
    client = world.client("privacy_officer")

    front = client.get("/admin/").content.decode()
    page = client.get(reverse("admin:retention_hold_approve-release", args=[hold.pk])).content.decode()

    assert "asked by staff-legal" in front
    assert "staff-legal" in page


@pytest.mark.parametrize("role", ["support", "privacy_officer", "administrator"])
def test_the_list_of_users_shows_no_more_than_initials(world: World, role: str) -> None:
    page = world.client(role).get(reverse("admin:accounts_user_changelist")).content.decode()

    assert "W… C…" in page
    assert "Walker" not in page


def test_the_ledger_leads_from_an_entry_to_the_customer(world: World) -> None:
    page = world.client("auditor").get(reverse("admin:safeguards_ledgerentry_changelist")).content.decode()

    assert f'<a href="{card_of(world)}">{world.account.number}</a>' in page
    assert "the customer" in page


def test_lists_of_staff_ask_for_each_name_once(world: World, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        ledger.record(world.staff["legal"].actor, "token.made", None)
    client = world.client("privacy_officer")

    with django_assert_max_num_queries(25):
        client.get(reverse("admin:safeguards_ledgerentry_changelist"))


def test_categories_are_told_in_words(world: World) -> None:
    placing.place(world.account.pk, Hold.Kind.LEGAL, by="system", categories=["network", "support"], told=True)

    listed = world.client("support").get(reverse("admin:retention_hold_changelist")).content.decode()
    card = world.client("support").get(card_of(world)).content.decode()

    words = f"{Category.NETWORK.label}, {Category.SUPPORT.label}"
    assert words in listed
    assert words in card


def test_a_bill_is_addressed_in_the_order_of_the_post(world: World) -> None:
    parts = {"country": "US", "city": "Chicago", "street": "7 Any Street", "name": "Ann Other"}
    invoice = Invoice.objects.unpaid().get(account=world.account)
    invoice.billed_to = parts
    invoice.save()

    page = world.client("billing").get(reverse("admin:accounts_invoice_change", args=[invoice.pk])).content.decode()

    assert "Ann Other, 7 Any Street, Chicago, US" in page


def test_every_model_of_the_site_is_shown_to_some_role(world: World) -> None:
    shown = {
        room.model
        for role in Role
        for room in rooms()
        if world.client(role.value).get(room.list_url()).status_code == 200
    }

    assert shown == {room.model for room in rooms()}
    assert {Account, DeletionRequest, Hold} <= shown
    assert admin.site.site_header == "ChicagoCloud staff"
