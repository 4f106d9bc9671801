"""The access matrix: every address of the portal, asked for by everybody, compared with a file people can review.

`access_matrix.csv` has a row per URL name and a column per person; a cell is the status that a GET answers, or
"sign in" for a redirect to the sign-in page, "find" for one to the page that answers by reference and code. What a
POST may do is tested beside each act.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import legal_texts
from accounts.keys.identifiers import uuid7
from accounts.models import (
    AccountToken,
    Address,
    Attachment,
    BusinessItem,
    ConfidentialItem,
    Contact,
    Correspondence,
    EmailChange,
    Export,
    Invitation,
    Invoice,
    Order,
    Service,
    Ticket,
    User,
)
from accounts.safeguards.models import Heartbeat
from disclosures.models import AbuseNotice, AbuseReport, CaseFile, ConsentGrant, NoticeFile, Recipient, ToldNotice
from retention import cancelling, closing
from retention.models import DeletionRequest, PrivacyRequest
from tests.admin_walk import ROLES, World, a_record, make_world
from tests.cast import DAY, ask_something, furnish, make_customer, owe
from tests.legal import make_recipient
from tests.passkeys import give_passkey
from tests.visiting import entered

FILE = Path(__file__).with_name("access_matrix.csv")
# own: of an open account, its own records. other: of another open account, the same records. closed: of a closed
# account, its own records. ended: of an account past its due date, its own. none: staff without a role.
PEOPLE = ["anonymous", "own", "other", "closed", "ended", "none", *ROLES]
SIGN_IN = "sign in"
FIND = "find"
SECOND = dt.timedelta(seconds=1)

Row = dict[str, str]


@dataclass
class Town:
    """Everybody of the matrix, and whose records each one asks for."""

    clients: dict[str, Client]
    subjects: dict[str, User]
    world: World


def make_town() -> Town:
    """Return the people of the matrix, signed in by sessions that were opened while their accounts were open."""
    world = make_world()
    make_recipient("partner")
    for process in ("worker", "purge"):
        Heartbeat.beat(process)
    own, other, closed, ended = (furnish(make_customer(name)) for name in ("own", "other", "closed", "ended"))
    for user in (own, closed, ended):
        owe(user)
        give_passkey(user)
        ask_something(user)
    staff = {role: world.staff[role] for role in ["none", *ROLES]}
    people = {"own": own, "other": other, "closed": closed, "ended": ended, **staff}
    clients = {"anonymous": Client(), **{name: Client() for name in people}}
    for name, user in people.items():
        entered(clients[name], user)
    _close(own, 0 * DAY, clients["own"])
    _close(closed, DAY, clients["closed"])
    # Just past its due date: health minds what waits for long.
    _close(ended, 30 * DAY + SECOND, clients["ended"])
    asked = DeletionRequest.objects.get(account_id=own.account_id)
    cancelling.cancel(asked.pk, by=own)
    entered(clients["own"], User.objects.get(pk=own.pk))
    subjects = {"closed": closed, "ended": ended}
    return Town(clients, {name: subjects.get(name, own) for name in clients}, world)


def _close(user: User, age: dt.timedelta, client: Client) -> None:
    account_id = user.account_id
    assert account_id is not None
    at = timezone.now() - age
    closing.close(account_id, by=user, submission=uuid7(), keep_session=client.session.session_key, at=at)


def addresses(resolver: Any = None, spaces: tuple[str, ...] = ()) -> Iterator[tuple[str, URLPattern]]:
    """Yield every URL pattern of the portal with its full name; one without a name goes by its pattern."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from addresses(entry, (*spaces, entry.namespace) if entry.namespace else spaces)
        else:
            yield ":".join([*spaces, entry.name or f"({entry.pattern})"]), entry


def written() -> dict[str, Row]:
    """Return the rows of the file by URL name."""
    with FILE.open(newline="") as file:
        return {row["url"]: row for row in csv.DictReader(file)}


def without_a_row(names: list[str]) -> list[str]:
    """Return the URL names that nobody has thought about, and the rows that name no URL."""
    rows = written()
    return sorted({name for name in names if name not in rows} | {row for row in rows if row not in names})


def answer(town: Town, person: str, name: str, pattern: URLPattern) -> str:
    """Return what a person gets for an address, as it stands in a cell."""
    cache.clear()
    if person == "ended":
        # A session that is past the due date ends with its first request.
        entered(town.clients[person], town.subjects[person])
    given = {key: _value(town, person, name, key) for key in pattern.pattern.converters}
    if "uidb36" in pattern.pattern.regex.groupindex:
        given = {"uidb36": "1", "key": "1-1"}
    if "app_label" in pattern.pattern.regex.groupindex:
        given = {"app_label": "accounts"}
    found = town.clients[person].get(reverse(name, kwargs=given))
    if found.status_code == 302 and found["Location"].startswith(reverse("account_login")):
        return SIGN_IN
    if found.status_code == 302 and found["Location"] == reverse("retention:delete_find"):
        return FIND
    return str(found.status_code)


def _value(town: Town, person: str, name: str, key: str) -> Any:
    subject = town.subjects[person]
    if name == "admin:disclosures_disclosure_part" and key != "object_id":
        return {"number": 1, "part": "records.json"}[key]
    if name == "admin:disclosures_abusecase_raw" and key == "report":
        return AbuseReport.objects.order_by("received_at", "pk")[0].pk
    if name == "admin:disclosures_abusecase_file" and key == "file":
        return CaseFile.objects.order_by("sent_at", "pk")[0].pk
    if name == "admin:disclosures_abusecase_file":
        return CaseFile.objects.order_by("sent_at", "pk")[0].case_id
    if name == "disclosures:abuse_notice_file" and key == "file":
        return NoticeFile.objects.filter(account_id=subject.account_id).earliest("sent_at").pk
    if key == "object_id":
        room: Any = next(r for r in admin.site._registry.values() if name.startswith(f"admin:{_stem(r)}_"))
        return a_record(room, town.world).pk
    if key == "pk":
        return Authenticator.objects.filter(user=subject, type="webauthn").values_list("pk", flat=True)[0]
    if key == "category":
        return "identity"
    if key == "number" and name == "api:read_account":
        return subject.account.number if subject.account else ""
    if key == "service_id":
        return Service.objects.filter(account_id=subject.account_id).earliest("started_at").pk
    if key in {"service", "assignment"} or name in {
        "api:export",
        "api:request",
        "api:withdraw_request",
        "api:withdraw_consent",
        "api:read_report",
    }:
        # Of the API, which answers nobody without a token.
        return uuid4()
    if key == "number":
        return Invoice.objects.filter(account_id=subject.account_id, state="issued").values_list("number", flat=True)[0]
    if name == "accounts:token_end":
        return AccountToken.objects.filter(account=subject.account_id).latest("pk").pk
    if key in PEOPLES:
        return PEOPLES[key](subject)
    if name in {"accounts:order", "api:read_order"}:
        return Order.objects.filter(account_id=subject.account_id).earliest("placed_at", "pk").reference
    if key == "file_id":
        return Attachment.objects.filter(account=town.world.account).values_list("pk", flat=True)[0]
    if key in {"document", "version"}:
        return {"document": "terms", "version": legal_texts.versions("terms")[0].version}[key]
    if key in {"file", "item", "letter"}:
        kinds = {"business": BusinessItem, "confidential": ConfidentialItem, "message": Correspondence}
        model: Any = kinds.get(name.removeprefix("accounts:").split("_")[0], Attachment)
        own = model.objects.filter(account_id=subject.account_id).order_by("created_at", "pk")
        return own.values_list("pk", flat=True)[0]
    if name == "accounts:ticket_file":
        return Attachment.objects.filter(account_id=subject.account_id).values_list("ticket__reference", flat=True)[0]
    if name.startswith("retention:export"):
        return Export.objects.filter(account_id=subject.account_id).earliest("asked_at").reference
    if key == "category":
        return "access"
    if name == "disclosures:transparency_file":
        return "2026-H1"
    if name.startswith(("disclosures:abuse_", "disclosures:counter", "disclosures:strike")):
        return AbuseNotice.objects.filter(account_id=subject.account_id).earliest("sent_at").reference
    if name.startswith("disclosures:notice"):
        return ToldNotice.objects.filter(account_id=subject.account_id).earliest("sent_at").reference
    if name == "disclosures:delivery":
        return "unknown"
    if name == "disclosures:consent_share":
        return Recipient.objects.get(kind="partner").reference
    if name == "disclosures:consent_withdraw":
        return ConsentGrant.objects.filter(account=subject.account_id).earliest("given_at").reference
    if key == "right":
        return "rectification"
    if name in {"retention:request", "retention:request_withdraw"}:
        return PrivacyRequest.objects.get(account_id=subject.account_id).reference
    if name in {"retention:ask_status", "retention:ask_withdraw"}:
        return town.world.stranger.reference
    if name.startswith("retention:"):
        return DeletionRequest.objects.get(account_id=subject.account_id).reference
    return Ticket.objects.filter(account_id=subject.account_id).earliest("created_at").reference


def _first(model: Any) -> Callable[[User], Any]:
    return lambda subject: model.objects.filter(account=subject.account_id).order_by("pk").first().pk


# Contacts and members: the subject's first of each; a link of an invitation is known to nobody but its mail.
PEOPLES: dict[str, Callable[[User], Any]] = {
    "contact": _first(Contact),
    "address": _first(Address),
    "change": _first(EmailChange),
    "member": _first(User),
    "invitation": _first(Invitation),
    "token": lambda subject: "unknown",
}


def _stem(room: Any) -> str:
    return f"{room.opts.app_label}_{room.opts.model_name}"


def row_of(town: Town, name: str, pattern: URLPattern) -> Row:
    """Return the row an address would have now."""
    return {"url": name, **{person: answer(town, person, name, pattern) for person in PEOPLE}}


def differences(town: Town, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
    """Return a line for each address whose answers are not those of the file."""
    rows = written()
    found = []
    for name, pattern in addresses():
        if wanted(name) and name in rows:
            now = row_of(town, name, pattern)
            if now != rows[name]:
                changed = [f"{who}: {rows[name][who]} -> {now[who]}" for who in PEOPLE if now[who] != rows[name][who]]
                found.append(f"{name}: {', '.join(changed)} | {','.join(now.values())}")
    return found
