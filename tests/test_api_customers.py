"""The customers' own API: from the data map, one's own alone, S7's cut-offs, pages that neither repeat nor hide."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import api_me, datamap
from accounts.datamap import Audience
from accounts.datamap.records import Record, records, shown_fields
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Attachment, Contact, PaymentMethod, SignInIdentifier, TicketNote, User
from accounts.safeguards.fields import SealedBytes
from retention import placing, schedule
from retention.models import Hold
from tests.calling import call, calm, own_token
from tests.cast import DAY, furnish, make_customer, sign_in_from
from tests.test_pages_silence import SEALED
from tests.visiting import sql

pytestmark = pytest.mark.usefixtures("committed")

DATA = "/api/v1/data/"


def read(path: str, token: str) -> Any:
    calm()
    answer = call(path, token)
    assert answer.status_code == 200, answer.content
    return answer.json()


def walk(path: str, token: str, way: str = "next") -> list[list[dict[str, Any]]]:
    """Return the pages of a list, following its own links."""
    pages, here = [], path
    while here:
        page = read(here.removeprefix(settings.PORTAL_ORIGIN), token)
        pages.append(page["results"])
        here = page[way]
    return pages


def ids(pages: list[list[dict[str, Any]]]) -> list[str]:
    return [entry["id"] for page in pages for entry in page]


# Who and what.


def test_a_token_tells_whose_it_is(alice: User):
    found = read("/api/v1/me/", own_token(alice))

    assert (found["account"], found["state"], found["user"]) == (alice.account.number, "active", str(alice.pk))
    assert found["scopes"] == ["data:read"] and found["due_at"] is None


def test_the_categories_are_those_of_the_data_map(charlie: User):
    found = read(DATA, own_token(charlie))["results"]

    shown = {entry.category.value for entry in datamap.governed().values() if Audience.CUSTOMER in entry.shown}
    assert {each["category"] for each in found} == shown
    counts = datamap.counts([charlie.account_id], schedule.cutoffs(timezone.now()))
    assert {each["category"]: each["records"] for each in found} == {each: counts[each] for each in shown}
    access = next(each for each in found if each["category"] == "access")
    assert (access["record_days"], access["kept_until"]) == (schedule.number("access"), None)
    assert access["purposes"] and access["sources"] == ["your browser"] and access["name"] == "Sign-in history"


def test_the_records_of_every_category_are_as_many_as_it_says_and_what_is_declared(charlie: User):
    token = own_token(charlie)
    for each in read(DATA, token)["results"]:
        found = [entry for page in walk(f"{DATA}{each['category']}/?limit=2", token) for entry in page]
        assert len(found) == each["records"], each["category"]
        labels = {str(entry.label) for entry in datamap.governed().values() if entry.category == each["category"]}
        assert {entry["kind"] for entry in found} <= labels


def test_values_are_shown_as_they_are_held(charlie: User):
    token = own_token(charlie)
    contacts = {
        tuple((f["label"], f["value"]) for f in each["fields"])
        for each in read(f"{DATA}contact/", token)["results"]
        if each["kind"] == "Contact"
    }
    with keyring():
        held = {
            (("Name", c.name), ("Company", c.company), ("E-mail", c.email), ("Telephone", c.phone), ("Role", c.role))
            for c in Contact.objects.filter(account=charlie.account_id)
        }
    assert contacts == held and len(held) == 2


def test_what_is_not_the_customers_to_see_is_not_there(charlie: User):
    token = own_token(charlie)
    everything = json.dumps([walk(f"{DATA}{category.value}/", token) for category in api_me.readable()])

    with keyring():
        method = PaymentMethod.objects.get(account=charlie.account_id)
        note = TicketNote.objects.get(account=charlie.account_id)
        assert method.brand in everything
        assert method.token not in everything and note.body not in everything
    assert "Internal note" not in everything
    assert charlie.password not in everything
    for digest in SignInIdentifier.objects.filter(user=charlie).values_list("digest", flat=True):
        assert bytes(digest).hex() not in everything


def test_nobody_reads_anybody_elses(charlie: User):
    other = furnish(make_customer("dora"))
    token = own_token(charlie)
    everything = json.dumps([walk(f"{DATA}{category.value}/", token) for category in api_me.readable()])

    assert "Charlie Canary" in everything
    assert "dora" not in everything.lower() and str(other.pk) not in everything


@pytest.mark.parametrize("category", ["nothing", "legal", "-", "Identity", "identity%00", "１"])
def test_another_category_is_404(alice: User, category: str):
    answer = call(f"{DATA}{category}/", own_token(alice))

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


# Silence.


def test_what_is_past_the_schedule_is_not_there_even_when_a_hold_keeps_it(charlie: User):
    old = timezone.now() - dt.timedelta(days=schedule.number("access") + 30)
    sign_in_from(charlie, ip="203.0.113.240", at=old)
    free = own_token(charlie)
    first = [walk(f"{DATA}access/", free), read(DATA, free)["results"]]
    placing.place(charlie.account_id, Hold.Kind.LEGAL, by="system", matter="sealed 4711")

    assert [walk(f"{DATA}access/", free), read(DATA, free)["results"]] == first
    assert "203.0.113.240" not in json.dumps(first)


def test_without_the_cut_off_it_would_be_there(charlie: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: it is the schedule handed down that leaves it out."""
    sign_in_from(charlie, ip="203.0.113.240", at=timezone.now() - 120 * DAY)
    endless = api_me.Schedule(lambda at: {}, lambda account, category: (None, None))
    monkeypatch.setattr(api_me.ReadData, "schedule", endless)

    assert "203.0.113.240" in json.dumps(walk(f"{DATA}access/", own_token(charlie)))


def test_no_call_asks_for_holds(charlie: User):
    token = own_token(charlie)
    with sql() as statements:
        read("/api/v1/me/", token)
        read(DATA, token)
        for category in api_me.readable():
            read(f"{DATA}{category.value}/", token)

    assert [one for one in statements if SEALED.search(one)] == []


def test_what_was_removed_is_not_there(charlie: User):
    token = own_token(charlie)
    before = ids(walk(f"{DATA}contact/", token))
    gone = Contact.objects.filter(account=charlie.account_id).earliest("created_at")
    Contact.objects.filter(pk=gone.pk).update(removed_at=timezone.now())

    assert ids(walk(f"{DATA}contact/", token)) == [each for each in before if each != str(gone.pk)]


# Pages.


def test_pages_neither_repeat_nor_hide_forth_and_back(charlie: User):
    token = own_token(charlie)
    at = timezone.now() - DAY
    for number in range(7):
        sign_in_from(charlie, ip=f"203.0.113.{number}", at=at)  # one moment: the id decides
    whole = ids(walk(f"{DATA}access/?limit=100", token))
    forth = walk(f"{DATA}access/?limit=3", token)

    assert ids(forth) == whole and len(set(whole)) == len(whole)
    assert [len(page) for page in forth[:-1]] == [3] * (len(forth) - 1)
    last = f"{DATA}access/?limit=3"
    while (page := read(last, token))["next"]:
        last = page["next"].removeprefix(settings.PORTAL_ORIGIN)
    back = walk(last, token, "previous")
    assert [entry for page in reversed(back) for entry in ids([page])] == whole


def test_what_is_added_meanwhile_moves_no_page(charlie: User):
    token = own_token(charlie)
    for number in range(5):
        sign_in_from(charlie, ip=f"203.0.113.{number}", at=timezone.now() - number * DAY)
    first = read(f"{DATA}access/?limit=2", token)
    second = read(first["next"].removeprefix(settings.PORTAL_ORIGIN), token)
    sign_in_from(charlie, ip="203.0.113.99")

    assert read(first["next"].removeprefix(settings.PORTAL_ORIGIN), token)["results"] == second["results"]


def test_links_begin_with_the_configured_origin(charlie: User, settings: Any):
    settings.PORTAL_ORIGIN = "https://portal.example"
    link = call(f"{DATA}contact/?limit=1", own_token(charlie), HTTP_X_FORWARDED_PROTO="https").json()["next"]

    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "portal.example", f"{DATA}contact/")


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e1", "１", "", "x", "9" * 40, "1.0", " 5"])
def test_a_limit_out_of_bounds_is_400(alice: User, limit: str):
    answer = call(f"{DATA}contact/?limit={limit}", own_token(alice))

    assert answer.status_code == 400 and set(answer.json()["errors"]) == {"limit"}


@pytest.mark.parametrize(
    "cursor", ["x", "", "e30", "W10", "WzAsMCwiMjAyNiIsIjEiXQ", "é", "a" * 400, "WzEsMCwieCIsMV0="]
)
def test_a_cursor_of_ones_own_making_is_400(alice: User, cursor: str):
    answer = call(f"{DATA}contact/?cursor={cursor}", own_token(alice))

    assert answer.status_code == 400 and set(answer.json()["errors"]) == {"cursor"}


def test_a_parameter_given_twice_is_400(alice: User):
    assert call(f"{DATA}contact/?limit=1&limit=2", own_token(alice)).status_code == 400


@pytest.mark.parametrize("path", [DATA, f"{DATA}identity/"])
def test_a_parameter_that_is_not_known_is_400(alice: User, path: str):
    token = own_token(alice)

    assert call(path, token).status_code == 200
    answer = call(f"{path}?categroy=identity", token)
    assert (answer.status_code, answer.json()["errors"]) == (400, {"categroy": ["This parameter is not known."]})


def test_the_cursor_of_another_account_shows_nothing_of_it(charlie: User):
    other = furnish(make_customer("dora"))
    link = read(f"{DATA}contact/?limit=1", own_token(other))["next"].removeprefix(settings.PORTAL_ORIGIN)

    assert "dora" not in json.dumps(walk(link, own_token(charlie))).lower()


def test_a_page_opens_its_keys_at_once(charlie: User):
    token = own_token(charlie)
    for number in range(60):
        sign_in_from(charlie, ip=f"203.0.113.{number}")
    read(f"{DATA}access/?limit=1", token)
    with sql() as few:
        read(f"{DATA}access/?limit=5", token)
    with sql() as many:
        read(f"{DATA}access/?limit=60", token)

    assert len(few) == len(many) <= 8


# The walk.


def test_the_walk_is_the_same_in_pieces(charlie: User):
    cutoffs = schedule.cutoffs(timezone.now())
    with keyring():
        for model in datamap.governed():
            whole = list(records(model, charlie.account_id, cutoffs))
            pieces: list[Record] = []
            while piece := list(
                records(model, charlie.account_id, cutoffs, after=pieces[-1].place if pieces else None, limit=1)
            ):
                pieces += piece
            assert pieces == whole
            if whole:
                back = list(records(model, charlie.account_id, cutoffs, before=whole[-1].place))
                assert back[::-1] == whole[:-1]


def test_files_are_no_part_of_the_walk(charlie: User):
    files = {model for model in datamap.governed() if any(isinstance(f, SealedBytes) for f in model._meta.fields)}
    assert Attachment in files
    for model in files:
        content = [field.name for field in model._meta.fields if isinstance(field, SealedBytes)]
        assert not set(content) & {field.name for field in shown_fields(model) if not field.is_file}


def test_a_declared_model_appears_by_itself(monkeypatch: pytest.MonkeyPatch, charlie: User):
    """Whatever is declared is read, with no other change: the walk knows no table by name."""
    entry = datamap.entries()[AccessEvent]
    monkeypatch.setattr(AccessEvent, "personal", type(entry)(**{**vars(entry), "fields": {"ip": entry.fields["ip"]}}))

    fields = read(f"{DATA}access/", own_token(charlie))["results"][0]["fields"]
    assert [field["name"] for field in fields] in (["ip", "kind"], ["label"])
