"""A legal request under silence, with all it leaves behind, against none: nobody who may not know can tell (S15)."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.roles import may
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from disclosures import activity, informing, releasing, silencing, transparency
from disclosures.models import Disclosure, Incident, LegalRequest, ToldDisclosure
from retention import purge, queue, reminding, sight, sweeping
from retention.models import Hold
from tests.admin_walk import BLIND, World, make_world, normalised, pages, rooms
from tests.cast import DAY, make_staff
from tests.pairing import Side, addresses, letters_to, moments, pair, relay, shown
from tests.sealing import seal_matter
from tests.servers import Connection
from tests.test_pages_silence import OF_RECIPIENTS, SEALED
from tests.test_sealed_pairs import LONG_AGO, compared, mail_all, pause
from tests.visiting import sql

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.beside]


@pytest.fixture
def lena() -> User:
    return make_staff("lena", "legal")


@pytest.fixture
def paul() -> User:
    return make_staff("paul", "privacy_officer")


def sealed(side: Side, lena: User, paul: User) -> LegalRequest:
    account = side.user.account
    assert account is not None
    return seal_matter(account, lena, paul)


# ----------------------------------------------------------------------------------------------------- customers


def test_an_open_account_shows_no_sealed_request(lena: User, paul: User) -> None:
    one, other = pair()
    request = sealed(one, lena, paul)

    assert Disclosure.objects.filter(account=one.account_id, state="delivered").exists()
    assert compared(one, other, Side.visitor) == []
    assert compared(one, other, lambda side: Client()) == []
    relay()
    assert letters_to(one) == letters_to(other)
    # The control: once silence is lifted and the customer is told, the pages say so.
    tell_at_once(request, lena)
    assert {name.partition(":")[2].partition(":")[0] for name in compared(one, other, Side.visitor)} >= {
        "notices",
        "activity",
    }


def tell_at_once(request: LegalRequest, lena: User) -> None:
    silencing.lift(request.silences.get().pk, by=lena)
    informing.send(request.notices.get().pk, by=lena)


def test_a_closed_account_shows_no_sealed_request_before_its_due_date(lena: User, paul: User) -> None:
    one, other = pair(closed_ago=DAY)
    sealed(one, lena, paul)
    for days in range(0, 29, 7):
        reminding.remind(timezone.now() + days * DAY)
    sweeping.sweep()

    assert compared(one, other, Side.visitor) == []
    assert compared(one, other, Side.follower) == []
    mail_all()
    assert letters_to(one) == letters_to(other)


def test_after_the_due_date_it_looks_like_any_other_wait(lena: User, paul: User) -> None:
    one, other = pair(closed_ago=LONG_AGO)
    sealed(one, lena, paul)
    pause(other)
    purge.ring()
    assert compared(one, other, Side.follower) == []
    start = timezone.now()
    for days in range(0, 200, 20):
        reminding.remind(start + days * DAY)
    mail_all()
    assert letters_to(one) == letters_to(other) and moments(one) == moments(other)


def test_no_page_of_a_customer_asks_for_it(lena: User, paul: User) -> None:
    one, _other = pair()
    sealed(one, lena, paul)
    visitor, statements = one.visitor(), []
    for name, address in addresses(one).items():
        with sql() as asked:
            visitor.get(address)
        statements += [f"{name}: {one}" for one in asked if SEALED.search(one) and OF_RECIPIENTS not in one]
    assert statements == []


def test_a_page_that_asks_for_disclosures_is_caught(lena: User, paul: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the activity page lists what left, told or not."""
    one, other = pair()
    sealed(one, lena, paul)
    honest = activity.given

    def offender(account_id: Any, *given: Any) -> Any:
        Disclosure.objects.filter(account=account_id).count()
        return honest(account_id, *given)

    monkeypatch.setattr("disclosures.views.given", offender)
    with sql() as asked:
        one.visitor().get(addresses(one)["disclosures:activity"])
    assert any(SEALED.search(line) for line in asked)


def test_figures_that_are_published_say_nothing_of_it(lena: User, paul: User, owner: Connection) -> None:
    one, _other = pair()
    transparency.freeze("2026-H1", by="system")
    cache.clear()
    before = shown(Client().get("/transparency/"))
    sealed(one, lena, paul)
    # They came in the half-year whose figures are out; only the owner of the database can say so afterwards.
    owner.execute("ALTER TABLE disclosures_legalrequest DISABLE TRIGGER z_guard_legal_request")
    owner.execute(
        "UPDATE disclosures_legalrequest SET received_at = '2026-05-10', served_at = '2026-05-09'"
        " WHERE id IN (SELECT request_id FROM disclosures_silence)"
    )
    owner.execute("ALTER TABLE disclosures_legalrequest ENABLE ALWAYS TRIGGER z_guard_legal_request")
    transparency.issue_due()
    cache.clear()
    assert shown(Client().get("/transparency/")) == before


# ------------------------------------------------------------------------------------------------------------- staff


def seen(world: World, role: str, skipped: set[str]) -> dict[str, tuple[int, str]]:
    """Return every page the role can ask for, normalised; addresses of what is sealed are asked for elsewhere."""
    client, user = world.client(role), world.staff[role]
    mine = [room for room in rooms() if may(user, f"{room.opts.app_label}.view_{room.opts.model_name}")]
    # Looking is written into the ledger: what that shows is compared below.
    mine = [room for room in mine if room.model is not LedgerEntry]
    every = ["/admin/", *(address for room in mine for address in pages(room, user))]
    found = {}
    for address in every:
        if any(pk in address for pk in skipped):
            continue
        answer = client.get(address)
        found[address] = (answer.status_code, normalised(answer.content.decode()))
    return found


def test_staff_who_may_not_know_see_the_same_pages(lena: User, paul: User) -> None:
    world = make_world()
    # All are there before it: lists of users must not differ by who looks.
    assert all(world.staff[role] for role in BLIND)
    without = {role: seen(world, role, set()) for role in BLIND}
    seal_matter(world.account, lena, paul)
    hidden = {str(pk) for pk in Disclosure.objects.values_list("pk", flat=True)}
    hidden |= {str(pk) for pk in Incident.objects.values_list("pk", flat=True)}
    hidden |= {str(pk) for pk in Hold.objects.filter(told_at=None).values_list("pk", flat=True)}
    hidden -= {str(pk) for pk in ToldDisclosure.objects.values_list("pk", flat=True)}

    for role, before in without.items():
        after = seen(world, role, hidden)
        assert len(before) > 20
        assert [name for name in before | after if before.get(name) != after.get(name)] == [], role


def test_a_list_of_disclosures_that_forgets_to_ask_is_caught(
    lena: User, paul: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("disclosures.admin.disclosures.sees_sealed", lambda user: True)
    world = make_world()
    without = seen(world, "auditor", set())
    seal_matter(world.account, lena, paul)

    assert seen(world, "auditor", set()) != without


def test_the_address_of_a_sealed_record_answers_like_one_that_never_was(lena: User, paul: User) -> None:
    world = make_world()
    request = seal_matter(world.account, lena, paul)
    sealed_records = (request, Disclosure.objects.filter(legal_request=request)[0], Incident.objects.latest("found_at"))
    for role, record in product(BLIND, sealed_records):
        client = world.client(role)
        room: Any = admin.site.get_model_admin(type(record))
        for page in ("change", *(act.slug for act in room.acts if act.needs_record)):
            real = client.get(room.url_of(record, page))
            never = client.get(room.url_of(type(record)(pk=uuid4()), page))
            assert (real.status_code, normalised(real.content.decode())) == (
                never.status_code,
                normalised(never.content.decode()),
            )
            assert real.status_code in {403, 404}


def test_the_ledger_health_and_outbox_of_who_may_not_know_hold_none_of_it(lena: User, paul: User) -> None:
    world = make_world()
    otto, ada = world.staff["auditor"], world.staff["administrator"]
    entries, state = sight.ledger_for(otto).count(), queue.oldest_due(timezone.now())
    mails = OutboxMessage.objects.exclude(event__startswith="sealed:").count()
    seal_matter(world.account, lena, paul)
    releasing.lapse()

    assert OutboxMessage.objects.filter(event__startswith="sealed:").exists(), "the control: there are some"
    assert OutboxMessage.objects.exclude(event__startswith="sealed:").count() == mails
    assert sight.ledger_for(otto).count() == entries
    assert sight.ledger_for(lena).count() > entries
    assert queue.oldest_due(timezone.now()) == state
    shown_to_ada = world.client("administrator").get("/admin/safeguards/outboxmessage/").content.decode()
    assert "sealed:" not in shown_to_ada and ada.is_staff
