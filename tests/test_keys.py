"""Data keys: one per subject and category, in clear for one act only; destroyed means destroyed, everywhere."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.keys import local
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import KeyDestroyed, Keyring, current, keyring
from accounts.keys.models import DataKey, KeyWrap
from accounts.keys.provider import KeyUnavailable, provider
from accounts.keys.routing import ALIAS as KEYS
from accounts.models import Contact, User
from accounts.safeguards import shredding
from accounts.safeguards.models import DestructionOrder, OutboxMessage
from accounts.safeguards.sealing import seal, unseal
from accounts.safeguards.shredding import Order
from tests.servers import Connection, Stage, connect

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def key_file(tmp_path: Path, settings: object) -> Path:
    """A key file of this test's own, so that turning it over disturbs no other test."""
    path = tmp_path / "kek.json"
    local.make_key_file(path)
    settings.KEK_FILE = str(path)  # type: ignore[attr-defined]
    provider.cache_clear()
    yield path
    provider.cache_clear()


def a_place() -> tuple[UUID, str]:
    return uuid4(), "contact"


def sealed_for(place: tuple[UUID, str], text: str = "secret") -> bytes:
    with keyring():
        return seal(text, place, "table.column.row")


def opened(box: bytes) -> str:
    with keyring():
        return unseal(box, "table.column.row")


def destroy(keys_owner: Connection, place: tuple[UUID, str]) -> None:
    """Destroy as `destroy_keys` does: the wraps go, the tombstone stays."""
    keys_owner.execute(
        "UPDATE keys_datakey SET destroyed_at = clock_timestamp() WHERE subject = %s AND category = %s", place
    )
    keys_owner.execute(
        "DELETE FROM keys_keywrap WHERE key_id IN (SELECT id FROM keys_datakey WHERE subject = %s AND category = %s)",
        place,
    )


def ended_mail() -> OutboxMessage:
    """Return a mail that was sent: what makes its key's destruction due."""
    message = OutboxMessage(
        kind="mail", event=f"test:{uuid4()}", content={"to": "a@b.example"}, created_at=timezone.now()
    )
    message.save(force_insert=True)
    OutboxMessage.objects.filter(pk=message.pk).update(state="sent", ended_at=timezone.now(), content=None)
    return message


def order_for(subject: UUID, category: str = "mail") -> Order:
    shredding.order({subject: [category]})
    return Order(DestructionOrder.objects.get(subject=subject).pk, subject, [category])


def test_one_key_covers_one_category_of_one_subject():
    subject, other = uuid4(), uuid4()
    places = [(subject, "contact"), (subject, "contact"), (subject, "access"), (other, "contact")]
    used = {box[1:17] for box in map(sealed_for, places)}
    assert len(used) == 3 and DataKey.objects.count() == 3


def test_two_who_write_at_once_use_one_key():
    place = a_place()
    first, second = Keyring(), Keyring()
    first._fetch_places([place])
    second._fetch_places([place])
    first.make([place])
    second.make([place])
    assert first.for_writing(place) == second.for_writing(place)
    assert KeyWrap.objects.count() == DataKey.objects.count() == 1


def test_many_keys_are_made_in_two_queries():
    places = [(uuid4(), "contact") for _ in range(30)]
    with keyring() as ring, CaptureQueriesContext(connections[KEYS]) as queries:
        ring.prepare(places)
        assert len({ring.for_writing(place)[0] for place in places}) == 30
    assert len(queries) == 2


def test_no_key_stays_in_the_process_after_an_act():
    with keyring() as ring:
        key_id, _ = ring.for_writing(a_place())
        with keyring() as inner:
            assert inner is ring
        assert key_id in ring._by_id
    assert not ring._by_id and not ring._by_place
    assert current() is not current()


def test_the_store_holds_no_key_in_clear(keys_owner: Connection):
    with keyring() as ring:
        _, key = ring.for_writing(a_place())
    [(wrapped,)] = keys_owner.execute("SELECT wrapped FROM keys_keywrap").fetchall()
    assert key not in bytes(wrapped) and len(wrapped) == 12 + 32 + 16


def test_after_destruction_nothing_opens_and_nothing_is_sealed_again(keys_owner: Connection):
    place = a_place()
    box = sealed_for(place)
    assert opened(box) == "secret"
    destroy(keys_owner, place)
    with pytest.raises(KeyDestroyed, match=str(DataKey.objects.get().pk)):
        opened(box)
    with pytest.raises(KeyDestroyed):
        sealed_for(place)
    assert DataKey.objects.count() == 1 and KeyWrap.objects.count() == 0


def test_the_page_after_a_destruction_in_a_running_process_reads_nothing(alice: User, keys_owner: Connection):
    assert Contact.objects.get(account=alice.account_id).name == "Alice Canary"
    destroy(keys_owner, (alice.account_id, "contact"))
    with pytest.raises(KeyDestroyed):
        assert Contact.objects.get(account=alice.account_id).name


def test_an_order_is_obeyed_only_in_a_later_transaction(runtime: Connection, keys_runtime: Connection):
    message = ended_mail()
    order = order_for(message.pk)
    assert shredding.pending() == [order]
    settled: list[object] = []
    assert shredding.destroy([order], settled.extend) == 1
    assert settled == [order] and not shredding.pending()
    key = DataKey.objects.get(subject=message.pk)
    assert key.destroyed_at is not None and not KeyWrap.objects.filter(key=key).exists()


def test_obeying_an_order_again_changes_nothing():
    order = order_for(ended_mail().pk)
    shredding.destroy([order], lambda orders: None)
    first = DataKey.objects.get(subject=order.subject).destroyed_at
    assert shredding.destroy([order], lambda orders: None) == 1
    assert DataKey.objects.get(subject=order.subject).destroyed_at == first


def test_two_who_obey_an_order_at_once_settle_it_once():
    orders = [order_for(ended_mail().pk)]
    settled: list[object] = []
    shredding.destroy(orders, settled.extend)
    shredding.destroy(orders, settled.extend)
    assert settled == orders


def test_an_order_whose_ground_is_missing_is_not_obeyed(alice: User):
    order = order_for(alice.account_id, "contact")
    assert shredding.destroy([order], lambda orders: None) == 0
    assert Contact.objects.get(account=alice.account_id).name == "Alice Canary"
    assert shredding.pending() == [order]


def test_a_mail_that_waits_keeps_its_key():
    message = OutboxMessage(kind="mail", event="test:waits", content={"to": "a@b.example"}, created_at=timezone.now())
    message.save(force_insert=True)
    order = order_for(message.pk)
    assert shredding.destroy([order], lambda orders: None) == 0
    assert OutboxMessage.objects.get().content == {"to": "a@b.example"}


def test_an_order_is_obeyed_whole_or_not_at_all(alice: User):
    mail = ended_mail().pk
    shredding.order({mail: ["contact", "mail"]})
    [order] = shredding.pending()
    assert shredding.destroy([order], lambda orders: None) == 0
    assert KeyWrap.objects.filter(key__subject=mail).exists()


def test_two_orders_for_one_key_destroy_it_once():
    mail = ended_mail().pk
    shredding.order({mail: ["mail"]})
    DestructionOrder.objects.create(subject=mail, categories=["mail", "mail"])
    settled: list[Order] = []
    assert shredding.destroy(shredding.pending(), settled.extend) == 2
    assert len(settled) == 2 and not shredding.pending()
    assert not KeyWrap.objects.filter(key__subject=mail).exists()


def test_a_wrap_of_an_open_transaction_does_not_outlive_the_destruction():
    """A rewrap that has not committed while the key is destroyed: the destruction waits for it, and takes it along."""
    order = order_for(ended_mail().pk)
    wrap = KeyWrap.objects.get(key__subject=order.subject)
    with connect("keys") as rewrapper:
        rewrapper.execute("BEGIN")
        rewrapper.execute(
            "INSERT INTO keys_keywrap (id, key_id, kek, wrapped, made_at) VALUES (%s, %s, 'new', %s, now())",
            [uuid7(), wrap.key_id, bytes(wrap.wrapped)],
        )
        destroying = threading.Thread(target=in_own_connections, args=[order])
        destroying.start()
        destroying.join(0.5)
        assert destroying.is_alive(), "it waits for the open transaction"
        rewrapper.execute("COMMIT")
        destroying.join(10)
    assert not KeyWrap.objects.filter(key__subject=order.subject).exists()


def in_own_connections(order: Order) -> None:
    try:
        shredding.destroy([order], lambda orders: None)
    finally:
        connections.close_all()


def minted(order: Order) -> tuple[str, bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT minted, token FROM mint_destruction(%s::uuid[])", [[order.id]])
        return cursor.fetchone()


@pytest.mark.parametrize("forged", ["token", "subject", "category", "time", "nothing"])
def test_the_key_store_obeys_no_forged_token(keys_runtime: Connection, forged: str):
    order = order_for(ended_mail().pk)
    at, token = minted(order)
    subject, [category] = order.subject, order.categories
    if forged == "token":
        token = bytes(32)
    elif forged == "subject":
        subject = uuid4()
    elif forged == "category":
        category = "contact"
    elif forged == "time":
        at = (dt.datetime.fromisoformat(at) + dt.timedelta(seconds=1)).isoformat()
    arguments = ([subject], [category], at, token)
    if forged == "nothing":
        keys_runtime.execute("SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)", arguments)
        assert DataKey.objects.get(subject=subject).destroyed_at is not None
        return
    with pytest.raises(psycopg.Error, match="does not fit"):
        keys_runtime.execute("SELECT destroy_keys(%s::uuid[], %s::text[], %s, %s)", arguments)
    assert KeyWrap.objects.filter(key__subject=order.subject).exists()


def test_a_bogus_later_wrap_does_not_hide_a_good_one():
    place = a_place()
    box = sealed_for(place)
    key = DataKey.objects.get()
    good = KeyWrap.objects.get()
    for kek in (good.kek, "00000000"):
        KeyWrap.objects.create(key=key, kek=kek, wrapped=os.urandom(60), made_at=timezone.now())
    assert opened(box) == "secret"


def test_with_bogus_wraps_alone_a_key_is_unavailable_not_destroyed(keys_owner: Connection):
    place = a_place()
    box = sealed_for(place)
    keys_owner.execute("UPDATE keys_keywrap SET wrapped = %s", [os.urandom(60)])
    with pytest.raises(KeyUnavailable):
        opened(box)


def test_after_a_rotation_old_and_new_keys_open(key_file: Path):
    old_box = sealed_for(a_place())
    kek = local.rotate(key_file)
    new_box = sealed_for(a_place())
    assert opened(old_box) == opened(new_box) == "secret"
    assert KeyWrap.objects.order_by("-made_at").first().kek == kek


def test_rewrapped_a_key_survives_the_end_of_its_old_kek(key_file: Path):
    place = a_place()
    box = sealed_for(place)
    wrap = KeyWrap.objects.get()
    new = local.rotate(key_file)
    kek, wrapped = provider().rewrap(wrap.kek, bytes(wrap.wrapped), wrap.key_id.bytes)
    assert kek == new
    KeyWrap.objects.create(key_id=wrap.key_id, kek=kek, wrapped=wrapped, made_at=timezone.now())
    provider().destroy(wrap.kek)
    assert opened(box) == "secret"


def test_without_a_rewrap_the_end_of_a_kek_ends_what_it_wrapped(key_file: Path):
    box = sealed_for(a_place())
    old = KeyWrap.objects.get().kek
    local.rotate(key_file)
    provider().destroy(old)
    with pytest.raises(KeyUnavailable, match=f"KEK {old} is not in the key file"):
        opened(box)


def test_the_current_kek_cannot_be_destroyed(key_file: Path):
    sealed_for(a_place())
    with pytest.raises(KeyUnavailable, match="rotate before"):
        provider().destroy(KeyWrap.objects.get().kek)


def test_a_wrap_moved_to_another_key_does_not_open():
    sealed_for(a_place())
    wrap = KeyWrap.objects.get()
    with pytest.raises(KeyUnavailable, match="does not open"):
        provider().unwrap(wrap.kek, bytes(wrap.wrapped), uuid7().bytes)


def test_the_key_file_is_readable_by_its_owner_only_and_never_overwritten(tmp_path: Path):
    path = tmp_path / "kek.json"
    local.make_key_file(path)
    before = path.read_text()
    local.make_key_file(path)
    assert path.read_text() == before and path.stat().st_mode & 0o077 == 0


def test_a_missing_key_file_is_one_clear_error(key_file: Path):
    box = sealed_for(a_place())
    key_file.unlink()
    provider.cache_clear()
    with pytest.raises(KeyUnavailable, match="KEK_FILE"):
        opened(box)


def test_the_command_makes_a_key_file(tmp_path: Path):
    path = tmp_path / "new.json"
    subprocess.run([sys.executable, "-m", "accounts.keys.make", str(path)], check=True, cwd=settings.BASE_DIR)
    assert path.is_file()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM keys_keywrap",
        "DELETE FROM keys_datakey",
        "UPDATE keys_keywrap SET wrapped = ''",
        "UPDATE keys_datakey SET destroyed_at = now()",
        "UPDATE keys_datakey SET destroyed_at = NULL",
        "TRUNCATE keys_datakey CASCADE",
        "SELECT * FROM keys_destructionsecret",
        "DROP TABLE keys_keywrap",
        "INSERT INTO keys_datakey SELECT gen_random_uuid(), gen_random_uuid(), 'x', now(), now()",
    ],
)
def test_the_runtime_role_may_only_add_keys_and_read_them(keys_runtime: Connection, sql: str):
    sealed_for(a_place())
    with pytest.raises(psycopg.Error):
        keys_runtime.execute(sql)
    assert KeyWrap.objects.count() == 1 and DataKey.objects.get().destroyed_at is None


def test_a_destroyed_key_gets_no_new_wrap(keys_owner: Connection):
    place = a_place()
    sealed_for(place)
    wrap = KeyWrap.objects.get()
    destroy(keys_owner, place)
    with pytest.raises(Exception, match="is destroyed"):
        KeyWrap.objects.create(key_id=wrap.key_id, kek=wrap.kek, wrapped=wrap.wrapped, made_at=timezone.now())


@pytest.mark.crash
def test_an_unreachable_key_store_is_named_and_nothing_is_read(crash_servers: Stage):
    box = sealed_for(a_place())
    crash_servers.servers.keys.stop_immediately()
    with pytest.raises(KeyUnavailable, match="nothing was read or erased"):
        opened(box)
    crash_servers.servers.keys.start()
    assert reads_again(lambda: opened(box)) == "secret"


def reads_again(read: Callable[[], str]) -> str:
    connections[KEYS].close()
    return read()
