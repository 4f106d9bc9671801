"""Silence towards staff (silence.md, S9): who may not know of a sealed hold sees the same pages with and without it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.roles import may
from accounts.safeguards.models import LedgerEntry
from retention import closing, placing, sight, telling
from retention.models import DeletionRequest, Hold
from tests.admin_walk import BLIND, World, find_url, make_world, normalised, pages, rooms, seal
from tests.cast import DAY, make_customer

pytestmark = pytest.mark.django_db


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
    return closing.close(customer.account_id, by=customer, submission=uuid4(), at=at).request


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
