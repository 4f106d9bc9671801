"""Business and confidential information: whose it is, who reads it, and what every opening leaves behind (P28-P30)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import confiding, giving
from accounts.confiding import Part, Reason
from accounts.errors import NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import BusinessItem, ConfidentialItem, Correspondence, MediaType, SignInIdentifier, User
from accounts.roles import Role, View, category_view, may
from accounts.safeguards.models import LedgerEntry, OutboxMessage
from accounts.safeguards.sealing import DoesNotOpen, key_of
from accounts.uploads import Upload
from retention import closing
from retention.sweeping import sweep
from tests.admin_walk import ROLES, a_record, acts, make_world, pages, rooms
from tests.cast import DAY, add_billing_contact, furnish, make_customer, make_staff
from tests.files import pdf
from tests.servers import Connection
from tests.visiting import signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

CARD = "4242 4242 4242 4242"
WHY = "They asked what the second step of the import does"
FILE = Upload("plan.pdf", MediaType.PDF, pdf())
OPENERS = {"support", "privacy_officer"}


def member() -> User:
    """Return a technical member of a new account, with its owner's id at hand by the account."""
    owner = make_customer("olga")
    return User.objects.create_user(owner.account, "correct horse battery staple")


def sent(**changed: Any) -> dict[str, Any]:
    return {"title": "Plans", "text": "We move in May", "submission": str(uuid7()), **changed}


@pytest.fixture
def item(alice: User) -> ConfidentialItem:
    return confiding.confide(alice.account, by=alice, title="Secret plan", text="Merger in May")


# What customers give.


@pytest.mark.parametrize(
    ("page", "model", "action"),
    [("business", BusinessItem, "business.given"), ("confidential", ConfidentialItem, "confidential.given")],
)
def test_a_text_or_a_file_is_given_seen_and_removed(alice: User, bob: User, page: str, model: Any, action: str):
    visitor, address = signed_in(alice), reverse(f"accounts:{page}")
    assert "Nothing yet." in words(visitor.get(address))

    form = sent()
    assert [visitor.post(address, form).status_code for _ in range(2)] == [302, 302]
    attached = SimpleUploadedFile("../plan.pdf", pdf())
    assert visitor.post(address, sent(title="A file", text="", attached=attached)).status_code == 302

    text, file = model.objects.order_by("created_at", "pk")
    assert (text.title, text.text, text.content) == ("Plans", "We move in May", None)
    assert (file.text, file.file_name, file.media_type, file.content) == (None, "plan.pdf", MediaType.PDF, pdf())
    assert {row.source for row in (text, file)} == {"customer"} and {row.given_by for row in (text, file)} == {alice.pk}
    assert LedgerEntry.objects.filter(action=action, subject=alice.account_id).count() == 2
    assert "Plans" in words(visitor.get(address)) and "A file" in words(visitor.get(address))
    one = {part: reverse(f"accounts:{page}_{part}", args=[file.pk]) for part in ("item", "file", "remove")}
    assert "Download plan.pdf" in words(visitor.get(one["item"]))
    given = visitor.get(one["file"])
    assert given.content == pdf() and given["Content-Disposition"] == 'attachment; filename="plan.pdf"'
    assert visitor.get(reverse(f"accounts:{page}_file", args=[text.pk])).status_code == 404
    assert [signed_in(bob).get(where).status_code for where in one.values()] == [404] * 3
    assert signed_in(bob).post(one["remove"]).status_code == 404

    assert "Remove this?" in words(visitor.get(one["remove"]))
    assert visitor.post(one["remove"]).status_code == 302
    assert [visitor.get(where).status_code for where in one.values()] == [404] * 3
    assert "A file" not in words(visitor.get(address))
    assert sweep(timezone.now() + 2 * DAY) == 1
    assert [row.pk for row in model.objects.all()] == [text.pk]


@pytest.mark.parametrize("page", ["business", "confidential"])
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"title": " "}, "Write in a few words what it is."),
        ({"text": ""}, "Write a text or choose a file: one of the two."),
        ({"attached": FILE}, "Write a text or choose a file: one of the two."),
        ({"text": f"Card {CARD}"}, "This looks like a card number."),
        ({"title": CARD}, "This looks like a card number."),
        ({"text": "a\x00b"}, "Null characters are not allowed."),
        ({"submission": "x"}, "Load the page again, then send it once more."),
    ],
)
def test_what_cannot_be_kept_stays_in_its_form(alice: User, page: str, changed: dict[str, Any], sentence: str):
    form = sent(**changed)
    if "attached" in changed:
        form["attached"] = SimpleUploadedFile(FILE.name, FILE.content)
    answer = signed_in(alice).post(reverse(f"accounts:{page}"), form)

    assert answer.status_code == 422 and sentence in words(answer)
    assert not BusinessItem.objects.exists() and not ConfidentialItem.objects.exists()


@pytest.mark.parametrize("page", ["business", "confidential"])
def test_a_refused_file_leaves_nothing(alice: User, page: str):
    bad = SimpleUploadedFile("plan.pdf", b"<html>")
    answer = signed_in(alice).post(reverse(f"accounts:{page}"), sent(text="", attached=bad))

    assert answer.status_code == 422 and "Choose a PDF, PNG, JPEG or plain text file." in words(answer)
    assert not BusinessItem.objects.exists() and not ConfidentialItem.objects.exists()


def test_members_who_own_nothing_open_and_give_nothing():
    technical = member()
    visitor = signed_in(technical)

    assert [visitor.get(reverse(f"accounts:{page}")).status_code for page in ("business", "confidential")] == [403] * 2
    for act in (giving.give, confiding.confide):
        with pytest.raises(PermissionDenied):
            act(technical.account, by=technical, title="x", text="y")


def test_a_closed_account_changes_nothing(alice: User, item: ConfidentialItem):
    kept = giving.give(alice.account, by=alice, title="x", text="y")
    closing.close(alice.account_id, by=alice, submission=uuid7())

    for act in (
        lambda: giving.give(alice.account, by=alice, title="x", text="y"),
        lambda: confiding.confide(alice.account, by=alice, title="x", text="y"),
        lambda: giving.remove(kept.pk, by=alice),
        lambda: confiding.withdraw(item.pk, by=alice),
        lambda: confiding.move_to_business(item.pk, by=alice),
    ):
        with pytest.raises(NotActionable, match="is closed"):
            act()
    assert signed_in(alice).get("/confidential/").status_code == 409


def test_a_form_of_somebody_else_gives_nothing(alice: User, bob: User):
    own = giving.give(alice.account, by=alice, title="x", text="y")

    with pytest.raises(NotActionable, match="used already"):
        giving.give(bob.account, by=bob, title="x", text="y", submission=own.pk)


# What staff note.


def test_staff_note_and_the_customer_reads_and_removes_it(alice: User, sam: User):
    address = reverse("admin:accounts_account_note-business", args=[alice.account_id])
    form = {"title": "Use-case", "text": "Runs a shop", "submission": str(uuid7())}
    assert [signed_in(sam).post(address, form).status_code for _ in range(2)] == [302, 302]

    note = BusinessItem.objects.get()
    assert (note.source, note.given_by, note.text) == ("staff", sam.pk, "Runs a shop")
    assert LedgerEntry.objects.get(action="business.noted").subject == alice.account_id
    visitor = signed_in(alice)
    assert "Our staff" in words(visitor.get("/business/"))
    assert "Our staff noted this." in words(visitor.get(reverse("accounts:business_item", args=[note.pk])))
    giving.remove(note.pk, by=alice)
    assert "Use-case" not in words(visitor.get("/business/"))


def test_nobody_else_notes(alice: User):
    for role in ["none", *(role for role in ROLES if role != "support")]:
        stranger = make_staff(f"x-{role}".replace("_", "-"), *([] if role == "none" else [role]))
        with pytest.raises(PermissionDenied):
            giving.note(alice.account_id, by=stranger, title="x", text="y")
    with pytest.raises(PermissionDenied):
        giving.note(alice.account_id, by=alice, title="x", text="y")


def test_a_note_is_refused_with_a_card_number_and_once_nobody_reads_it(alice: User, sam: User):
    with pytest.raises(ValidationError, match="card number"):
        giving.note(alice.account_id, by=sam, title="x", text=CARD)
    asked = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    with pytest.raises(NotActionable, match="sign-in has ended"):
        giving.note(alice.account_id, by=sam, title="x", text="y", at=asked.due_at)


def test_staff_read_business_information_by_role_and_the_ledger_says_so(alice: User, sam: User):
    kept = giving.give(alice.account, by=alice, title="Big plan", file=FILE)
    page = reverse("admin:accounts_businessitem_change", args=[kept.pk])
    file = reverse("admin:accounts_businessitem_file", args=[kept.pk])

    shown = signed_in(sam).get(page).content.decode()
    given = signed_in(sam).get(file)

    assert "Big plan" in shown and f'<a href="{file}">plan.pdf</a>' in shown
    assert given.content == pdf() and given["Content-Disposition"].startswith("attachment")
    looks = LedgerEntry.objects.filter(action="viewed", subject=alice.account_id)
    assert [json.loads(look.body)["categories"] for look in looks] == [["business"], ["business"]]
    listed = signed_in(sam).get(reverse("admin:accounts_businessitem_changelist")).content.decode()
    assert "Big plan" not in listed and alice.account.number in listed


# Opening.


def opening(user: User, item: ConfidentialItem, **changed: Any) -> Any:
    address = reverse("admin:accounts_confidentialitem_open-confidential", args=[item.pk])
    return signed_in(user).post(address, {"reason": "support", "text": WHY, **changed})


def test_an_item_is_shown_once_after_a_reason_and_leaves_its_traces(alice: User, sam: User, item: ConfidentialItem):
    address = reverse("admin:accounts_confidentialitem_open-confidential", args=[item.pk])
    visitor = signed_in(sam)
    before = visitor.get(address)
    assert before.status_code == 200 and "Secret plan" not in before.content.decode()
    assert not LedgerEntry.objects.filter(subject=alice.account_id, action__in=["viewed", confiding.OPENED]).exists()

    answer = visitor.post(address, {"reason": "support", "text": WHY})

    shown = answer.content.decode()
    assert answer.status_code == 200 and "Secret plan" in shown and "Merger in May" in shown
    assert "no-store" in answer["Cache-Control"]
    entry = LedgerEntry.objects.get(action=confiding.OPENED)
    facts = json.loads(entry.body)
    assert (entry.subject, entry.actor, facts["object"]) == (alice.account_id, sam.actor, str(item.pk))
    assert (facts["roles"], facts["reason"], facts["part"]) == (["support"], "support", "text")
    assert facts["categories"] == ["confidential"] and facts["kind"] == "accounts.confidentialitem"
    assert "Secret" not in entry.body and "second step" not in entry.body
    again = (
        visitor.get(address).content.decode()
        + visitor.get(reverse("admin:accounts_confidentialitem_change", args=[item.pk])).content.decode()
    )
    assert "Secret plan" not in again and "Merger" not in again and facts["reference"] in again
    # Two openings are two entries: none is shown for the price of an earlier one.
    visitor.post(address, {"reason": "fault", "text": WHY})
    assert LedgerEntry.objects.filter(action=confiding.OPENED).count() == 2


def test_the_owners_are_told_by_mail_and_read_the_words_in_the_portal(alice: User, sam: User, item: ConfidentialItem):
    second = User.objects.create_user(alice.account, "correct horse battery staple", is_owner=True)
    other = User.objects.create_user(alice.account, "correct horse battery staple")
    for user, address in ((second, "second@alice.example"), (other, "technical@alice.example")):
        SignInIdentifier.of(user, "email", address).save()
    add_billing_contact(alice)
    opening(sam, item)

    sent = list(OutboxMessage.objects.filter(event__startswith="confidential:").order_by("pk"))
    assert [message.content["to"] for message in sent] == ["alice@alice.example", "second@alice.example"]
    for message in sent:
        assert "second step" not in json.dumps(message.content) and "Secret" not in json.dumps(message.content)
        assert "We need it to answer the customer" in message.content["body"]
    copy = Correspondence.objects.get(event__startswith="confidential:")
    assert WHY in copy.body and "Secret" not in copy.body and sent[0].copy == copy.pk
    visitor = signed_in(alice)
    assert "Once, on" in words(visitor.get("/confidential/"))
    shown = visitor.get(reverse("accounts:confidential_item", args=[item.pk]))
    assert "We need it to answer the customer" in words(shown)
    link = reverse("accounts:message", args=[copy.pk])
    assert f'href="{link}"' in shown.content.decode() and WHY in words(visitor.get(link))


def test_the_entry_is_there_before_the_content_is_read(
    alice: User, sam: User, item: ConfidentialItem, monkeypatch: pytest.MonkeyPatch
):
    def failing(*args: Any) -> None:
        assert not connection.in_atomic_block
        assert LedgerEntry.objects.filter(action=confiding.OPENED).count() == 1
        raise RuntimeError("read")

    monkeypatch.setattr(confiding, "_read", failing)
    with pytest.raises(RuntimeError, match="read"):
        confiding.open_item(item.pk, by=sam, reason=Reason.SUPPORT, words=WHY)

    assert LedgerEntry.objects.filter(action=confiding.OPENED).count() == 1


def test_without_its_ledger_entry_nothing_is_read(sam: User, item: ConfidentialItem, monkeypatch: pytest.MonkeyPatch):
    def failing(*args: Any, **facts: Any) -> None:
        raise RuntimeError("no ledger")

    read: list[Any] = []
    monkeypatch.setattr("accounts.confiding.ledger.record", failing)
    monkeypatch.setattr(confiding, "_read", lambda *args: read.append(args))
    with pytest.raises(RuntimeError, match="no ledger"):
        confiding.open_item(item.pk, by=sam, reason=Reason.SUPPORT, words=WHY)

    assert read == [] and not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"text": ""}, "Enter this: reason in your words."),
        ({"text": "because"}, "at least 10 characters"),
        ({"text": " a" + " " * 20 + "b "}, "at least 10"),
        ({"text": f"The card {CARD} fails"}, "looks like a card number"),
        ({"text": "x" * 501}, "at most 500"),
        ({"reason": ""}, "Enter this: reason."),
        ({"reason": "curious"}, "Select a valid choice."),
    ],
)
def test_without_a_proper_reason_nothing_is_shown_or_noted(
    sam: User, item: ConfidentialItem, changed: dict[str, str], sentence: str
):
    answer = opening(sam, item, **changed)

    assert answer.status_code == 422 and sentence in answer.content.decode()
    assert "Secret plan" not in answer.content.decode()
    assert not LedgerEntry.objects.filter(action=confiding.OPENED).exists() and not OutboxMessage.objects.exists()


@pytest.mark.parametrize("role", ["none", *(role for role in ROLES if role not in OPENERS)])
def test_who_may_not_gets_403_and_leaves_no_entry(item: ConfidentialItem, role: str):
    user = make_staff("someone", *([] if role == "none" else [role]))
    address = reverse("admin:accounts_confidentialitem_open-confidential", args=[item.pk])

    assert signed_in(user).get(address).status_code == opening(user, item).status_code == 403
    with pytest.raises(PermissionDenied):
        confiding.open_item(item.pk, by=user, reason=Reason.SUPPORT, words=WHY)
    assert not LedgerEntry.objects.filter(subject=item.account_id, action__in=["viewed", confiding.OPENED]).exists()


def test_a_customer_opens_nothing_by_the_door_of_staff(alice: User, item: ConfidentialItem):
    with pytest.raises(PermissionDenied):
        confiding.open_item(item.pk, by=alice, reason=Reason.SUPPORT, words=WHY)


def test_a_file_is_given_out_once_per_opening(alice: User, sam: User):
    kept = confiding.confide(alice.account, by=alice, title="Plan", file=FILE)
    answer = opening(sam, kept)

    assert answer.content == pdf() and answer["Content-Disposition"] == 'attachment; filename="plan.pdf"'
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'" and "no-store" in answer["Cache-Control"]
    assert json.loads(LedgerEntry.objects.get(action=confiding.OPENED).body)["part"] == "file"
    with pytest.raises(NotActionable, match="no such part"):
        confiding.open_item(kept.pk, by=sam, reason=Reason.SUPPORT, words=WHY, part=Part.TEXT)
    assert LedgerEntry.objects.filter(action=confiding.OPENED).count() == 1


def test_an_item_with_both_asks_which(alice: User, sam: User):
    kept = ConfidentialItem.objects.create(
        account=alice.account, title="Both", text="Words", file_name="a.txt", media_type=MediaType.TEXT, size=1,
        content=b"x", source="customer", created_at=timezone.now(),
    )  # fmt: skip

    assert opening(sam, kept).status_code == 422
    assert "Words" in opening(sam, kept, part="text").content.decode()
    assert opening(sam, kept, part="file").content == b"x"


def test_what_is_removed_or_past_its_time_is_not_opened(alice: User, sam: User, item: ConfidentialItem):
    other = confiding.confide(alice.account, by=alice, title="x", text="y")
    confiding.withdraw(other.pk, by=alice)
    assert opening(sam, other).status_code == 404
    with pytest.raises(NotActionable, match="not there any more"):
        confiding.open_item(other.pk, by=sam, reason=Reason.SUPPORT, words=WHY)
    asked = closing.close(alice.account_id, by=alice, submission=uuid7()).request
    confiding.open_item(item.pk, by=sam, reason=Reason.SUPPORT, words=WHY)
    with pytest.raises(NotActionable, match="has ended"):
        confiding.open_item(item.pk, by=sam, reason=Reason.SUPPORT, words=WHY, at=asked.due_at)
    assert LedgerEntry.objects.filter(action=confiding.OPENED).count() == 1


# Nowhere else.

PLANTED = "Quetzalcoatl"


def plant(user: User) -> None:
    """Put the word into every confidential field of an account, and into a business item for the control."""
    with keyring():
        for row in ConfidentialItem.objects.filter(account=user.account_id):
            row.title, row.text, row.file_name = f"{PLANTED} title", f"{PLANTED} text", f"{PLANTED}.txt"
            row.content, row.media_type, row.size = PLANTED.encode(), MediaType.TEXT, len(PLANTED)
            row.save()


@pytest.mark.parametrize("role", ["none", *ROLES])
def test_no_page_of_staff_shows_a_confidential_value(role: str):
    world = make_world()
    plant(world.customer)
    visitor, user = world.client(role), world.staff[role]
    seen = []

    for room in rooms():
        for page in pages(room, user):
            answer = visitor.get(page)
            if (
                answer.status_code == 200
                and not answer.streaming
                and PLANTED in answer.content.decode("utf-8", "replace")
            ):
                seen.append(page)
    for page in ("/admin/", reverse("admin:find")):
        assert PLANTED not in visitor.get(page).content.decode()
    found = visitor.post(reverse("admin:find"), {"wanted": PLANTED})
    # What was typed stands in its field again; nothing else may.
    assert found.content.decode().count(PLANTED) <= 1

    assert seen == []


def test_the_walk_would_find_a_value(monkeypatch: pytest.MonkeyPatch):
    """Negative control: a room that shows the title is caught."""
    world = make_world()
    plant(world.customer)
    room: Any = next(room for room in rooms() if room.model is ConfidentialItem)
    monkeypatch.setattr(type(room), "name_of", lambda self, record: record.title)
    page = world.client("support").get(room.url_of(a_record(room, world)))

    assert PLANTED in page.content.decode()


def test_the_card_counts_and_leads_to_confidential_items_for_those_who_may(alice: User, item: ConfidentialItem):
    confiding.confide(alice.account, by=alice, title="x", file=FILE)
    card = reverse("admin:accounts_account_change", args=[alice.account_id])
    for role in ROLES:
        shown = signed_in(make_staff(f"c-{role}".replace("_", "-"), role)).get(card).content.decode()
        assert ("Given in confidence: 2" in shown) == (role in OPENERS)
        assert ("Business information" in shown) == (role in {"support", "legal", "privacy_officer"})


def test_the_tables_of_roles_say_the_same():
    for role in Role:
        user = make_staff(f"t-{role.value}".replace("_", "-"), role.value)
        assert category_view(user, "confidential") == View.HIDDEN
        assert may(user, "accounts.open_confidential") == (role.value in OPENERS)
    assert {"open-confidential"} == {act.slug for room, act in acts() if room.model is ConfidentialItem}


# Moving.


def test_the_owner_moves_an_item_and_it_is_sealed_anew(alice: User, item: ConfidentialItem):
    visitor, address = signed_in(alice), reverse("accounts:confidential_move", args=[item.pk])
    explained = visitor.get(address)
    assert "Only you can change that." in words(explained) and not BusinessItem.objects.exists()

    answer = visitor.post(address)

    moved = BusinessItem.objects.get()
    assert answer["Location"] == reverse("accounts:business_item", args=[moved.pk])
    assert (moved.title, moved.text, moved.source) == ("Secret plan", "Merger in May", "customer")
    item.refresh_from_db()
    assert item.removed_at is not None
    boxes = {table: box(table) for table in ("accounts_businessitem", "accounts_confidentialitem")}
    assert key_of(boxes["accounts_businessitem"]) != key_of(boxes["accounts_confidentialitem"])
    assert LedgerEntry.objects.get(action="confidential.moved").actor == alice.actor
    assert visitor.post(address).status_code == visitor.get(address).status_code == 404
    assert BusinessItem.objects.count() == 1


def box(table: str) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT title FROM {table}")
        return bytes(cursor.fetchone()[0])


def test_a_file_moves_whole(alice: User):
    kept = confiding.confide(alice.account, by=alice, title="Plan", file=FILE)
    moved = confiding.move_to_business(kept.pk, by=alice)

    moved.refresh_from_db()
    assert (moved.file_name, moved.media_type, moved.size, moved.content) == (
        "plan.pdf",
        "application/pdf",
        len(pdf()),
        pdf(),
    )


def test_nobody_else_moves_an_item(bob: User, item: ConfidentialItem):
    others = [bob, User.objects.create_user(item.account, "correct horse battery staple")]
    others += [make_staff(f"m-{role}".replace("_", "-"), role) for role in ROLES]
    for stranger in others:
        with pytest.raises(PermissionDenied):
            confiding.move_to_business(item.pk, by=stranger)
    assert signed_in(bob).post(reverse("accounts:confidential_move", args=[item.pk])).status_code == 404
    assert not BusinessItem.objects.exists()
    item.refresh_from_db()
    assert item.removed_at is None


def test_a_move_happens_whole_or_not_at_all(alice: User, item: ConfidentialItem, monkeypatch: pytest.MonkeyPatch):
    def failing(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(confiding, "_end", failing)
    with pytest.raises(RuntimeError):
        confiding.move_to_business(item.pk, by=alice)

    assert not BusinessItem.objects.exists()


def test_a_box_copied_to_business_by_raw_sql_opens_for_nobody(runtime: Connection, alice: User, item: ConfidentialItem):
    """Raw SQL can copy the bytes; they are bound to their table and row, so that the copy is no copy."""
    runtime.execute(
        "INSERT INTO accounts_businessitem (id, account_id, title, text, media_type, size, source, created_at) "
        "SELECT id, account_id, title, text, media_type, size, source, created_at FROM accounts_confidentialitem"
    )
    with keyring(), pytest.raises(DoesNotOpen):
        assert BusinessItem.objects.get().title


def test_nobody_but_customers_gives_in_confidence():
    user = furnish(make_customer("carla"))
    with pytest.raises(IntegrityError, match="confidential_item_is_given_by_the_customer"), transaction.atomic():
        ConfidentialItem.objects.filter(account=user.account_id).update(source="staff")


# Pages.


def test_pages_with_much_in_them_stay_small(alice: User, sam: User):
    kept = [
        confiding.confide(alice.account, by=alice, title=f"Title number {n} " + "x" * 150, text="y" * 5000)
        for n in range(30)
    ]
    for n in range(30):
        giving.give(alice.account, by=alice, title=f"Title number {n} " + "x" * 150, text="y" * 5000)
    for _ in range(30):
        confiding.open_item(kept[-1].pk, by=sam, reason=Reason.SUPPORT, words=WHY)
    visitor = signed_in(alice)
    found = {}

    for page in ("/business/", "/confidential/", f"/confidential/{kept[-1].pk}/", "/messages/"):
        with sql() as statements:
            answer = visitor.get(page)
        assert answer.status_code == 200 and "Page 1 of 2" in words(answer)
        found[page] = len(statements)
        assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []
    assert {page: n for page, n in found.items() if n > 12} == {}
    assert "30 times" in words(visitor.get("/confidential/"))
    for odd in ("0", "-1", "99", "x", "９"):
        assert visitor.get("/confidential/", {"page": odd}).status_code == 200


def test_whoever_is_not_signed_in_is_sent_to_sign_in(item: ConfidentialItem):
    for name in ("item", "file", "remove", "move"):
        page = reverse(f"accounts:confidential_{name}", args=[item.pk])
        assert Client().get(page)["Location"] == f"/sign-in/?next={page}"
