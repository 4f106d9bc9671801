"""Personal fields are stored sealed: what would store, compare or move clear text is a clear error."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import datamap
from accounts.keys.keyring import keyring
from accounts.keys.routing import ALIAS as KEYS
from accounts.models import Contact, Correspondence, Invoice, PaymentMethod, TicketMessage, User
from accounts.safeguards.fields import Sealed, SealedField
from accounts.safeguards.sealing import HEADER, DoesNotOpen, seal, unseal
from tests.cast import add_billing_contact, make_customer, make_invoice
from tests.samples import from_hex, wycheproof

pytestmark = pytest.mark.django_db


def contact_of(user: User) -> Contact:
    return Contact.objects.get(account=user.account_id, role=Contact.Role.OWNER)


def stored(contact: Contact, column: str = "name") -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM accounts_contact WHERE id = %s", [contact.pk])
        return bytes(cursor.fetchone()[0])


def test_a_value_comes_back_and_its_column_holds_no_clear_text(alice: User):
    contact = contact_of(alice)
    assert contact.name == "Alice Canary"
    assert b"Alice" not in stored(contact) and b"Canary" not in stored(contact)


def test_a_box_carries_version_key_and_a_nonce_of_its_own(alice: User):
    contact = contact_of(alice)
    first = stored(contact)
    contact.name = "Alice Canary"
    contact.save()
    second = stored(contact)
    assert first[0] == second[0] == 1
    assert first[1:17] == second[1:17]
    assert first[17:HEADER] != second[17:HEADER] and first[HEADER:] != second[HEADER:]


def test_an_unchanged_value_is_saved_as_the_same_box(alice: User):
    contact = contact_of(alice)
    before = stored(contact)
    assert contact.name == "Alice Canary"
    contact.save()
    assert stored(contact) == before


@pytest.mark.parametrize("text", ["", "Zoë 北京 🙂", "a" * 200, "line\nline"])
def test_any_text_comes_back_as_it_was(alice: User, text: str):
    contact = contact_of(alice)
    contact.company = text
    contact.save()
    assert contact_of(alice).company == text


def test_null_stays_null(alice: User):
    contact = contact_of(alice)
    contact.company = None
    contact.save()
    assert contact_of(alice).company is None
    assert Contact.objects.filter(pk=contact.pk, company__isnull=True).exists()
    assert Contact.objects.filter(pk=contact.pk, company=None).exists()


@pytest.mark.parametrize("value", [{}, [], 0, "text", {"a": [1, None, True, "ß"], "b": {"c": 1.5}}])
def test_any_json_comes_back_as_it_was(alice: User, value: object):
    invoice = make_invoice(alice)
    with keyring():
        invoice.billed_to = value
        invoice.save()
    assert Invoice.objects.get(pk=invoice.pk).billed_to == value


def test_update_with_plain_text_is_a_clear_error(alice: User):
    with pytest.raises(TypeError, match="Contact.name is sealed"), transaction.atomic():
        Contact.objects.filter(account=alice.account_id).update(name="plain")
    assert contact_of(alice).name == "Alice Canary"


def test_update_to_null_is_allowed(alice: User):
    Contact.objects.filter(account=alice.account_id).update(phone=None)
    assert contact_of(alice).phone is None


def test_update_from_another_column_does_not_open(alice: User):
    Contact.objects.filter(account=alice.account_id).update(name=F("email"))
    with pytest.raises(DoesNotOpen):
        assert contact_of(alice).name


def test_bulk_update_is_refused(alice: User):
    contact = contact_of(alice)
    contact.name = "plain"
    with pytest.raises(TypeError, match="Contact.name is sealed"), transaction.atomic():
        Contact.objects.bulk_update([contact], ["name"])


def test_bulk_create_seals(alice: User):
    rows = [
        Correspondence(
            account_id=alice.account_id,
            event=f"test:{number}",
            subject=f"Subject {number}",
            body="Dear Alice Canary",
            created_at=timezone.now(),
        )
        for number in range(3)
    ]
    Correspondence.objects.bulk_create(rows)
    found = Correspondence.objects.filter(event__startswith="test:").order_by("event")
    assert [row.subject for row in found] == ["Subject 0", "Subject 1", "Subject 2"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(encode(subject || body, 'escape'), '') FROM accounts_correspondence")
        assert "Subject" not in cursor.fetchone()[0]


def test_values_gives_sealed_values_that_print_nothing(alice: User):
    row = Contact.objects.filter(account=alice.account_id).values("name", "email").get()
    assert isinstance(row["name"], Sealed) and isinstance(row["email"], Sealed)
    assert repr(row["name"]) == "<sealed>" and "Alice" not in f"{row}"


@pytest.mark.parametrize("lookup", ["name", "name__contains", "name__startswith", "name__gt", "name__in"])
def test_a_comparison_is_refused(alice: User, lookup: str):
    value = ["Alice Canary"] if lookup.endswith("__in") else "Alice Canary"
    with pytest.raises((TypeError, FieldError)):
        list(Contact.objects.filter(**{lookup: value}))


def test_copied_to_another_row_a_value_does_not_open(alice: User, bob: User):
    mine, theirs = contact_of(alice), contact_of(bob)
    Contact.objects.filter(pk=theirs.pk).update(name=Sealed(stored(mine)))
    with pytest.raises(DoesNotOpen) as refusal:
        assert contact_of(bob).name
    assert "Alice" not in str(refusal.value)


def test_copied_to_another_column_of_its_row_a_value_does_not_open(alice: User):
    contact = contact_of(alice)
    Contact.objects.filter(pk=contact.pk).update(name=Sealed(stored(contact, "email")))
    with pytest.raises(DoesNotOpen):
        assert contact_of(alice).name


def test_where_it_was_sealed_a_value_opens_so_that_the_two_before_mean_something(alice: User):
    contact = contact_of(alice)
    box = stored(contact)
    Contact.objects.filter(pk=contact.pk).update(name=Sealed(box))
    assert contact_of(alice).name == "Alice Canary"


@pytest.mark.parametrize("place", [0, 1, 16, 17, 28, 29, -1])
def test_an_altered_box_does_not_open(place: int):
    subject = make_customer("dora").account_id
    with keyring():
        box = bytearray(seal("text", (subject, "contact"), "table.column.row"))
        assert unseal(bytes(box), "table.column.row") == "text"
        box[place] ^= 1
        with pytest.raises(Exception, match=r"no box|does not open|destroyed"):
            unseal(bytes(box), "table.column.row")


@pytest.mark.parametrize("box", [b"", b"\x01", b"\x02" + bytes(60), bytes(60)])
def test_what_is_no_box_does_not_open(box: bytes):
    with pytest.raises(DoesNotOpen):
        unseal(box, "table.column.row")


def test_text_is_opened_only_when_somebody_asks(alice: User):
    with keyring(), CaptureQueriesContext(connections[KEYS]) as queries:
        contact = contact_of(alice)
    assert len(queries) == 0
    with CaptureQueriesContext(connections[KEYS]) as queries:
        assert contact.name
    assert len(queries) == 1


def test_a_list_page_fetches_its_keys_in_one_query():
    users = [make_customer(name) for name in ("dora", "emil", "fay", "gus", "hana")]
    for user in users:
        add_billing_contact(user)
    accounts = [user.account_id for user in users]
    with keyring():
        contacts = list(Contact.objects.filter(account__in=accounts))
        with CaptureQueriesContext(connections[KEYS]) as queries:
            names = [contact.name for contact in contacts] + [contact.email for contact in contacts]
    assert len(names) == 20 and len(queries) == 1


def test_without_a_ring_every_value_asks_for_its_key_so_that_one_query_means_something():
    users = [make_customer(name) for name in ("dora", "emil")]
    contacts = list(Contact.objects.filter(account__in=[user.account_id for user in users]))
    with CaptureQueriesContext(connections[KEYS]) as queries:
        assert [contact.name for contact in contacts]
    assert len(queries) == 2


def test_too_long_a_text_is_refused_without_repeating_it(alice: User):
    contact = contact_of(alice)
    contact.phone = "1" * 21
    with pytest.raises(ValueError, match="phone is longer than 20 characters"):
        contact.save()


def test_a_nul_is_refused(alice: User):
    contact = contact_of(alice)
    contact.name = "Alice\x00"
    with pytest.raises(ValueError, match="NUL"):
        contact.save()


@pytest.mark.parametrize(
    "text",
    ["4111111111111111", "my card 4111 1111-1111 1111 exp 1/31", "\uff14111111111111111", "378282246310005"],
)
def test_a_card_number_is_refused_everywhere_without_repeating_it(alice: User, text: str):
    with pytest.raises(ValidationError) as refusal, transaction.atomic():
        Correspondence.objects.create(
            account_id=alice.account_id, event="x", subject="s", body=text, created_at=timezone.now()
        )
    assert "1111" not in str(refusal.value)
    with pytest.raises(ValidationError):
        TicketMessage._meta.get_field("body").clean(text, None)
    with pytest.raises(ValidationError), keyring(), transaction.atomic():
        make_and_save_json(alice, {"note": text})


def make_and_save_json(user: User, content: object) -> None:
    invoice = make_invoice(user)
    invoice.billed_to = content
    invoice.save()


@pytest.mark.parametrize("text", ["4111111111111112", "+4912345678901234", "invoice 2026-11-23", "0000000000000000"])
def test_what_only_resembles_a_card_number_is_kept(alice: User, text: str):
    row = Correspondence.objects.create(
        account_id=alice.account_id, event="x", subject="s", body=text, created_at=timezone.now()
    )
    assert Correspondence.objects.get(pk=row.pk).body == text


def test_dumpdata_gives_no_clear_text(alice: User):
    output = StringIO()
    try:
        call_command("dumpdata", "accounts.contact", stdout=output)
    except Exception as refusal:  # noqa: BLE001 - refusing altogether is as good
        assert "Alice" not in str(refusal)
    assert "Alice" not in output.getvalue() and "alice@" not in output.getvalue()


def sealed_fields() -> list[SealedField]:
    fields = [field for model in datamap.entries() for field in model._meta.fields]
    return [field for field in fields if isinstance(field, SealedField)]


def test_every_sealed_field_refuses_plain_updates():
    assert len(sealed_fields()) > 20
    for field in sealed_fields():
        with pytest.raises(TypeError, match="is sealed"), transaction.atomic():
            field.model._base_manager.update(**{field.name: "plain"})


def test_no_model_is_ordered_by_a_sealed_field():
    names = {(field.model, field.name) for field in sealed_fields()}
    for model in datamap.entries():
        assert not [name for name in model._meta.ordering if (model, str(name).lstrip("-")) in names]


def test_payment_tokens_are_sealed(alice: User):
    PaymentMethod.objects.create(
        account_id=alice.account_id,
        provider="trial",
        token="tok_alice",
        brand="Visa",
        last_four="4242",
        created_at=timezone.now(),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM accounts_paymentmethod")
        assert b"tok_alice" not in bytes(cursor.fetchone()[0])


def test_the_cipher_passes_public_vectors():
    seen = 0
    for case in wycheproof("aes_gcm"):
        key, iv, aad, message, box, tag = from_hex(case, "key", "iv", "aad", "msg", "ct", "tag")
        # The portal's boxes have nonces of twelve bytes and whole tags.
        if len(iv) != 12 or len(tag) != 16 or len(key) != 32:
            continue
        seen += 1
        if case["result"] == "valid":
            assert AESGCM(key).encrypt(iv, message, aad) == box + tag
            assert AESGCM(key).decrypt(iv, box + tag, aad) == message
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(iv, box + tag, aad)
    assert seen > 50


def test_the_cipher_passes_a_case_of_nist():
    # GCM test case 14 (256-bit key of zeros, 96-bit nonce of zeros, one block of zeros).
    box = AESGCM(bytes(32)).encrypt(bytes(12), bytes(16), b"")
    assert box.hex() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"


def test_a_json_box_is_json_inside(alice: User):
    field = Invoice._meta.get_field("billed_to")
    assert json.loads(field.to_text({"b": 1, "a": "é"})) == {"a": "é", "b": 1}
