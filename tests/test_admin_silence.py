"""Silence towards staff (silence.md, S9): who may not know of a sealed hold sees the same pages with and without it."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.roles import may
from accounts.safeguards.models import LedgerEntry
from retention import closing, placing, purge, sight, sweeping, telling
from retention.models import DeletionRequest, Hold
from tests.admin_walk import BLIND, World, find_url, make_world, normalised, pages, rooms, seal
from tests.cast import DAY, make_customer, sign_in_from

pytestmark = [pytest.mark.django_db, pytest.mark.beside]


REFERENCES = re.compile(r"(DEL|TIC|INV)-[0-9A-Z]{4}-[0-9A-Z]{4}|\b\d{9}\b")
DATES = pytest.mark.parametrize("days", [1, 40], ids=["before the due date", "after the due date"])


@pytest.fixture
def world() -> World:
    return make_world(closed_for=40 * DAY)


def seen(world: World, role: str) -> dict[str, tuple[int, str]]:
    """Return every page the role can ask for, normalised, as it stands now; what looking wrote is undone."""
    client, user = world.client(role), world.staff[role]
    before = transaction.savepoint()
    found = {}
    mine = [room for room in rooms() if may(user, f"{room.opts.app_label}.view_{room.opts.model_name}")]
    known = [address for room in mine if room.model is not LedgerEntry for address in pages(room, user)]
    sealed = {str(hold.pk) for hold in Hold.objects.exclude(sight.OPEN_TO_STAFF)}
    for address in ["/admin/", "/admin/retention/", "/admin/accounts/", "/admin/safeguards/", *known]:
        if any(pk in address for pk in sealed):
            continue
        answer = client.get(address)
        found[address] = (answer.status_code, normalised(answer.content.decode()))
    ledger: Any = admin.site.get_model_admin(LedgerEntry)
    transaction.savepoint_rollback(before)
    again = transaction.savepoint()
    answer = client.get(ledger.list_url())
    found["ledger"] = (answer.status_code, normalised(answer.content.decode()))
    transaction.savepoint_rollback(again)
    found |= posted(world, role)
    return found


def posted(world: World, role: str) -> dict[str, tuple[int, str]]:
    """Return what the role's searches, dry runs and refused acts answer."""
    client, queue = world.client(role), reverse("admin:retention_deletionrequest_changelist")
    chosen = {"action": "preview_selected", "_selected_action": [str(world.request.pk)]}
    retry = reverse("admin:retention_deletionrequest_retry", args=[world.request.pk])
    stop = reverse("admin:retention_purgeswitch_stop")
    attempts = {
        "find the number": (find_url(), {"wanted": world.account.number}),
        "find the matter": (find_url(), {"wanted": "sealed matter 4711"}),
        "preview": (queue, chosen),
        "retry": (retry, {}),
        "stop twice": (stop, {"category": "support"}),
    }
    found = {}
    for name, (address, data) in attempts.items():
        before = transaction.savepoint()
        answer = client.post(address, data)
        found[name] = (answer.status_code, normalised(answer.content.decode()))
        transaction.savepoint_rollback(before)
    return found


def differences(world: World, role: str) -> list[str]:
    """Return the pages that differ for a role once a sealed hold is placed and its release asked for."""
    without = seen(world, role)
    seal(world)
    with_seal = seen(world, role)
    assert len(without) > 25
    return [address for address in without | with_seal if without.get(address) != with_seal.get(address)]


@DATES
@pytest.mark.parametrize("role", BLIND)
def test_a_sealed_hold_changes_no_page_of_whoever_may_not_know(role: str, days: int) -> None:
    assert differences(make_world(closed_for=days * DAY), role) == []


def test_a_role_that_may_know_sees_it(world: World) -> None:
    changed = differences(world, "privacy_officer")

    assert "/admin/" in changed
    assert reverse("admin:retention_hold_changelist") in changed
    assert reverse("admin:accounts_account_change", args=[world.account.pk]) in changed


def test_a_list_that_forgets_to_ask_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "holds_for", lambda user: Hold.objects.all())

    assert differences(world, "support")


def test_a_ledger_that_tells_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "ledger_for", lambda user: LedgerEntry.objects.all())

    assert "ledger" in differences(world, "auditor")


@pytest.mark.parametrize("role", BLIND)
def test_the_address_of_a_sealed_hold_answers_like_one_that_never_was(world: World, role: str) -> None:
    hold, client = seal(world), world.client(role)
    room: Any = admin.site.get_model_admin(Hold)

    for page in ("change", *(act.slug for act in room.acts)):
        real = client.get(room.url_of(hold, page))
        never = client.get(room.url_of(Hold(pk=uuid4()), page))
        assert (real.status_code, normalised(real.content.decode())) == (
            never.status_code,
            normalised(never.content.decode()),
        )
        assert real.status_code in {403, 404}


def test_an_unfinished_deletion_reads_waiting_internal_for_both(world: World) -> None:
    other = make_bare_request(world)
    placing.place(other.account_id, Hold.Kind.LEGAL, by=world.staff["legal"].actor, matter="m")
    queue = reverse("admin:retention_deletionrequest_changelist")

    for role in BLIND:
        assert "waiting: internal" in world.client(role).get(queue).content.decode()
    assert "legal hold (sealed)" in world.client("legal").get(queue).content.decode()


def make_bare_request(world: World) -> DeletionRequest:
    """Return a due request of a customer whom nothing told holds."""
    customer = make_customer("bare")
    assert customer.account_id is not None
    at = timezone.now() - 40 * DAY
    return closing.close(customer.account_id, by=customer, submission=uuid7(), at=at).request


def test_once_told_everybody_sees_it_with_its_true_dates(world: World) -> None:
    hold = seal(world)
    telling.tell(hold.pk, by=world.staff["legal"], how="letter")

    card = world.client("support").get(reverse("admin:accounts_account_change", args=[world.account.pk]))
    ledger = world.client("auditor").get(reverse("admin:safeguards_ledgerentry_changelist"))

    assert "legal hold" in card.content.decode()
    assert "hold.placed" in ledger.content.decode()


def test_the_matter_is_for_legal_eyes_even_when_told(world: World) -> None:
    hold = seal(world)
    telling.tell(hold.pk, by=world.staff["legal"], how="letter")
    address = reverse("admin:retention_hold_change", args=[hold.pk])

    assert "sealed matter 4711" not in world.client("support").get(address).content.decode()
    assert "sealed matter 4711" in world.client("legal").get(address).content.decode()


def test_views_by_legal_of_a_sealed_customer_stay_out_of_the_auditor_s_ledger(world: World) -> None:
    card = reverse("admin:accounts_account_change", args=[world.account.pk])
    seal(world)
    world.client("legal").get(card)
    world.client("support").get(card)

    actors = set(sight.ledger_for(world.staff["auditor"]).filter(action="viewed").values_list("actor", flat=True))

    assert world.staff["support"].actor in actors
    assert world.staff["legal"].actor not in actors


@pytest.mark.parametrize("role", ["support", "administrator"])
def test_the_steps_of_a_due_deletion_do_not_tell_what_is_held(role: str) -> None:
    """A hold on one category and a hold on all: neither the queue, the request nor a dry run tells them apart."""
    whole, one, two = pages_under((), ("access",), ("support", "billing"), role=role)

    assert whole == one == two


def test_steps_that_everybody_sees_would_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the one above."""
    monkeypatch.setattr(sight, "counted", lambda user, at: Q(pk__isnull=False))

    whole, one = pages_under((), ("access",), role="support")

    assert whole[1] != one[1]


def pages_under(*scopes: tuple[str, ...], role: str) -> list[list[str]]:
    """Return what a role is told of a due deletion under a sealed hold of each scope, after a round of the purge."""
    pages = []
    for scope in scopes:
        before = transaction.savepoint()
        world = make_world(closed_for=40 * DAY)
        placing.place(world.account.pk, Hold.Kind.LEGAL, by=world.staff["legal"].actor, categories=scope)
        purge.erase([world.account.pk])
        pages.append(told_of(world, role))
        transaction.savepoint_rollback(before)
    return pages


def told_of(world: World, role: str) -> list[str]:
    """Return what the queue, the request and its dry run say of the world's deletion."""
    client, room = world.client(role), admin.site.get_model_admin(DeletionRequest)
    opened = [room.list_url(), room.url_of(world.request), room.url_of(world.request, "preview")]  # type: ignore[attr-defined]
    return [REFERENCES.sub("", normalised(client.get(page).content.decode())) for page in opened]


def test_who_may_know_reads_the_steps(world: World) -> None:
    placing.place(world.account.pk, Hold.Kind.LEGAL, by=world.staff["legal"].actor, categories=["access"])
    purge.erase([world.account.pk])

    queue, request, preview = told_of(world, "privacy_officer")

    assert "0 of" in queue and "rows deleted" in request and "stays: legal hold (sealed)" in preview
    assert "told when the deletion is finished" not in request + preview


@pytest.mark.parametrize("role", ["administrator", "privacy_officer"])
def test_a_dry_run_counts_no_row_that_a_sealed_hold_kept_past_its_schedule(role: str) -> None:
    """The control is the role that may know: it reads what is there."""
    counts = []
    for sealed in (True, False):
        before = transaction.savepoint()
        world = make_world()
        for days in range(120, 140):
            sign_in_from(world.customer, at=timezone.now() - days * DAY)
        if sealed:
            seal(world)
        sweeping.sweep()
        counts.append(told_of(world, role)[2])
        transaction.savepoint_rollback(before)

    assert (counts[0] == counts[1]) == (role == "administrator")
