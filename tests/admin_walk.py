"""Walks the admin site: its rooms, acts and addresses, and one world in which every kind of record exists."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import issuing, subscribing, webhooks
from accounts.admin_base import Act, RecordAdmin
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Contact, User
from accounts.roles import Role
from disclosures import aggregates, approving, compelling, incidents, preparing, reporting, transparency
from disclosures.models import AbuseCase, AbuseReport, CaseNote, LegalLetter
from disclosures.preparing import Choice, Ground
from disclosures.releasing import release as releasing_one
from disclosures.reports.shape import Format, Hint, Kind, Report, Source
from retention import closing, disputing, keeping, placing, releasing, switching
from retention.models import DeletionRequest, Hold, PrivacyRequest
from tests import legal
from tests.cast import DAY, ask_as_a_stranger, ask_something, bind, furnish, make_customer, make_staff, owe
from tests.visiting import entered

ROLES = [role.value for role in Role]
# Records of one kind that a walk asks for: enough for each state the world has.
RECORDS = 3
BLIND = [role for role in ROLES if role not in {"legal", "privacy_officer"}]


class Staff(dict[str, User]):
    """One member of staff per role, and "none" without a role; hired when first asked for."""

    def __missing__(self, role: str) -> User:
        roles = [] if role == "none" else [role]
        self[role] = make_staff(f"staff-{role}".replace("_", "-"), *roles)
        return self[role]


@dataclass
class World:
    """One customer with everything staff can act upon, closed since `closed_for`, and who else there is."""

    customer: User
    request: DeletionRequest
    staff: Staff
    stranger: PrivacyRequest

    @property
    def account(self) -> Account:
        account = self.customer.account
        assert account is not None
        return account

    def client(self, role: str) -> Client:
        """Return a browser in which the member of staff of this role is signed in."""
        client = Client()
        entered(client, self.staff[role])
        return client


def make_world(closed_for: dt.timedelta = DAY) -> World:
    """Return a world whose customer closed the account that long ago."""
    customer = furnish(make_customer("walker"))
    owe(customer)
    bind(customer)
    account_id = customer.account_id
    assert account_id is not None
    staff = Staff()
    # Those whom a sealed matter takes are there before it: lists of users must not differ by them.
    assert {staff[role] for role in ("legal", "privacy_officer", "billing", "administrator")}
    ask_something(customer)
    stranger = ask_as_a_stranger()
    asked = closing.close(account_id, by=customer, submission=uuid7(), at=timezone.now() - closed_for).request
    disputing.open_dispute(
        account_id, processor="trial", reference="dp_walker", amount_cents=1290, by=staff["billing"].actor
    )
    issuing.issue("billing", ["disputes:write"], by=staff["administrator"], days=30)
    subscribing.add("shop", "https://shop.example.com/hook", [webhooks.TEST], by=staff["administrator"])
    switching.stop("support", by=staff["administrator"])
    aggregates.make("accounts-by-services", aggregates.closed_quarters(timezone.now())[0], by=staff["privacy_officer"])
    transparency.freeze("2026-H1", by="system")
    report_abuse(customer)
    serve_request(customer)
    disclose(customer, staff["legal"], staff["privacy_officer"])
    customer.refresh_from_db()
    return World(customer, asked, staff, stranger)


def report_abuse(customer: User) -> None:
    """Let somebody report the customer by number, and staff note and find something."""
    assert customer.account is not None
    report = Report(
        Format.FREE_TEXT,
        Kind.SPAM,
        sources=(Source(address="203.0.113.200", hints=(Hint("account_number", customer.account.number),)),),
        text="Mails nobody wanted.",
        content_hash="1",
    )
    [taken] = reporting.take_in(b"Mails nobody wanted.", channel="form", report=report)
    with keyring():
        CaseNote.objects.create(case=taken.case, text="Seen.", written_by=uuid7(), written_at=timezone.now())


def serve_request(customer: User) -> None:
    """Let a legal request seek the customer, with a document and a letter, before anybody verified it."""
    assert customer.account is not None
    request = legal.make_request(customer.account, verified=False)
    legal.attach(request)
    with keyring():
        LegalLetter.objects.create(
            request=request, kind="receipt", subject="We have it", body="Yes.", made_by="system", made_at=timezone.now()
        )


def disclose(customer: User, by: User, other: User) -> None:
    """Release a disclosure the customer may know of, with an incident, and record what a court compels."""
    assert customer.account is not None
    request = legal.make_request(customer.account)
    legal.tell(request, customer.account)
    made = preparing.make(
        customer.account_id,
        Ground("legal_request", legal_request=request.pk),
        Choice(("identity",)),
        recipient=request.recipient_id or uuid7(),
        purpose="as asked",
        by=by,
        submission=uuid7(),
    )
    made = preparing.submit(made.pk, by=by)
    facts = {"packet_hash": made.packet_hash, "reference": made.reference, "factor_at": timezone.now(), "note": "seen"}
    approving.approve(made.pk, by=other, **facts)  # type: ignore[arg-type]
    releasing_one(made.pk, by=by)
    incidents.record(made.pk, what="To the wrong one.", by=by)
    warrant = legal.make_request(customer.account, instrument="search_warrant", categories=["business"])
    compelling.record(warrant.pk, customer.account.pk, "business", reason="Page 3.", by=by)


def seal(world: World, by: str = "legal") -> Hold:
    """Place a legal hold the customer is not told of, and ask for its release: a matter with all its traces."""
    user = world.staff[by]
    hold = placing.place(world.account.pk, Hold.Kind.LEGAL, by=user.actor, matter="sealed matter 4711")
    releasing.ask(hold.pk, by=user, reason="sealed reason 4711")
    # An edit under the hold leaves a kept version, and reading that an entry of its own.
    Contact.objects.filter(account=world.account).update(created_at=F("created_at"))
    keeping.kept_versions(world.account.pk, by=user)
    return hold


def rooms() -> list[RecordAdmin]:
    """Return every model's room of the site."""
    found: list[Any] = [room for _, room in sorted(admin.site._registry.items(), key=lambda item: str(item[0]))]
    return found


def acts() -> list[tuple[RecordAdmin, type[Act]]]:
    """Return every act with its room."""
    return [(room, act) for room in rooms() for act in room.acts]


def a_record(room: RecordAdmin, world: World) -> Any:
    """Return a record of the room that belongs to the world."""
    records: Any = room.model._base_manager.all()
    names = {field.name for field in room.model._meta.fields}
    if room.model is Account:
        return world.account
    if room.model is AbuseCase:
        # The one with a report: of the other only the notice of its customer is left.
        return AbuseReport.objects.earliest("received_at", "pk").case
    return (records.filter(account=world.account) if "account" in names else records).first()


def address_of(room: RecordAdmin, act: type[Act], world: World) -> str:
    """Return the address of an act on a record of the world."""
    return room.url_of(a_record(room, world), act.slug) if act.needs_record else room.list_url(act.slug)


def pages(room: RecordAdmin, user: User) -> Iterator[str]:
    """Yield the addresses of a room's list, its filtered lists, some records, and the acts the user has."""
    acts = [act for act in room.acts if act.is_open_to(user)]
    records = list(room.model._base_manager.order_by("pk")[:RECORDS])
    yield room.list_url()
    yield from (f"{room.list_url()}?{query}" for query in filters(room, user))
    yield from (room.url_of(record) for record in records)
    yield from (room.url_of(record, act.slug) for act in acts if act.needs_record for record in records[:1])
    yield from (room.list_url(act.slug) for act in acts if not act.needs_record)


def filters(room: RecordAdmin, user: Any) -> Iterator[str]:
    """Yield a query for each choice of each filter of a room's list."""
    for entry in room.list_filter:
        if isinstance(entry, str):
            field: Any = room.model._meta.get_field(entry)
            yield from (f"{entry}__exact={value}" for value, _ in field.flatchoices or [("1", ""), ("0", "")])
        else:
            spec: Any = entry
            choices = spec.lookups(spec, None, room)
            yield from (f"{spec.parameter_name}={value}" for value, _ in choices)


UUID_LIKE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VARIES = (
    re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"'),
    re.compile(r"<time [^>]*>[^<]*</time>"),
    re.compile(r"[A-Z][a-z]+\.? \d{1,2}, \d{4}, (?:noon|midnight|\d{1,2}(?::\d\d)? [ap]\.m\.)"),
    re.compile(r"[0-9a-f]{64}"),
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"),
)


def normalised(text: str) -> str:
    """Return a page without what differs between two visits: tokens, times, hashes, and ids by their order."""
    for pattern in VARIES:
        text = pattern.sub("*", text)
    known: dict[str, str] = {}
    return UUID_LIKE.sub(lambda found: known.setdefault(found[0], f"id{len(known)}"), text)


# What may differ after a GET: who looked, and the reader's own session.
WRITTEN_BY_LOOKING = {"safeguards_ledgerentry", "accounts_session"}


def fingerprint() -> dict[str, Any]:
    """Return a hash per table of everything in the data database that a GET must leave alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        tables = [name for (name,) in cursor.fetchall() if name not in WRITTEN_BY_LOOKING]
        found = {}
        for table in sorted(tables):
            cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [table])
            if cursor.fetchone() == (True,):
                cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM \"{table}\" t")
                found[table] = cursor.fetchone()
        return found


def find_url() -> str:
    return reverse("admin:find")
