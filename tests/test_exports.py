"""Exports: asked for by an owner, made in the background, whole, safe to open, gone in time, and never two at once."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import time
import zipfile
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import datamap, exporting, exporting_contents, exporting_pieces
from accounts.datamap.records import shown_fields
from accounts.errors import NotActionable
from accounts.exporting_cells import cell
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, BusinessItem, Export, ExportPart, Person, TicketMessage, User
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from retention import closing, purge, schedule, tasks
from tests.cast import DAY, PASSWORD, furnish, make_customer, sign_in_from
from tests.visiting import long_signed_in, signed_in, sql, words

pytestmark = pytest.mark.usefixtures("committed")

LAW = "The law can require us to keep or hand over more than this page shows, and can forbid us to say so."
EVERYTHING = [category.value for category in dict.fromkeys(entry.category for entry in datamap.visible().values())]


def ask(user: User, categories: list[str] | None = None, formats: tuple[str, ...] = ("json", "csv")) -> Export:
    assert user.account_id is not None
    return exporting.ask(
        user.account_id, by=user, categories=categories or EVERYTHING, formats=formats, submission=uuid7()
    )


def make(export: Export) -> str:
    return exporting.make(export.pk, cutoffs=schedule.cutoffs(timezone.now()), kept_for=schedule.span("export"))


def made(user: User, *args: Any) -> Export:
    export = ask(user, *args)
    assert make(export) == "ready"
    export.refresh_from_db()
    return export


def opened(export: Export) -> zipfile.ZipFile:
    content = b"".join(exporting_pieces.pieces(export))
    assert len(content) == export.size
    assert hashlib.sha256(content).hexdigest() == export.sha256
    return zipfile.ZipFile(io.BytesIO(content))


def json_of(archive: zipfile.ZipFile, stem: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(archive.read(f"{stem}.json"))
    return found


# What is in it.


def test_an_export_holds_every_record_that_may_be_shown(charlie):
    export = ask(charlie)
    cutoffs = schedule.cutoffs(timezone.now())
    counts = {model: datamap.shown(model, charlie.account_id, cutoffs).count() for model in datamap.visible()}
    assert make(export) == "ready"
    export.refresh_from_db()
    archive = opened(export)

    assert archive.testzip() is None
    for model, entry in datamap.visible().items():
        stem = f"{entry.category.value}/{model._meta.model_name}"
        content = json_of(archive, stem)
        rows = counts[model]
        assert len(content["records"]) == rows
        names = {field.name for field in shown_fields(model)}
        assert all(set(record) == {"id", "at"} | names for record in content["records"])
        cells = list(csv.reader(io.StringIO(archive.read(f"{stem}.csv").decode("utf-8-sig"))))
        assert len(cells) == rows + 1
        assert f"{stem}.html" in archive.read("index.html").decode()


def test_the_values_are_the_customers_own(charlie):
    archive = opened(made(charlie))

    [event] = [one for one in json_of(archive, "access/accessevent")["records"] if one["ip"] == "203.0.113.77"]
    assert event["browser"] == "Canary/1.0"
    assert event["kind"] == "sign_in"
    assert json_of(archive, "identity/person")["records"][0]["name"] == "Charlie Canary"
    assert json_of(archive, "invoices/invoice")["records"][0]["total_cents"] == 1290


def test_the_manifest_tells_each_files_hash_and_what_is_not_in_it(charlie):
    archive = opened(made(charlie))

    manifest = json.loads(archive.read("manifest.json"))
    assert set(manifest["files"]) == set(archive.namelist()) - {"manifest.json"}
    for name, facts in manifest["files"].items():
        assert hashlib.sha256(archive.read(name)).hexdigest() == facts["sha256"]
    assert manifest["note"] == LAW
    left = {one["what"] for one in manifest["not_included"]}
    assert {"Password (as a hash)", "Internal note", "Provider's token", "Records past the time we keep them"} <= left
    # The same data twice does not give the same hash.
    assert len(manifest["salt"]) == 32


def test_files_are_in_it_as_files(charlie):
    archive = opened(made(charlie))

    [attachment] = json_of(archive, "support/attachment")["records"]
    assert attachment["content"].endswith("-Charlie_Canary.txt")
    assert archive.read(attachment["content"]) == b"A file of Charlie Canary"
    # A note without a file has none.
    assert json_of(archive, "business/businessitem")["records"][0]["content"] is None


def test_what_is_not_shown_is_not_in_it(charlie):
    everything = opened(made(charlie))
    content = b"".join(everything.read(name) for name in everything.namelist())

    assert b"argon2" not in content
    assert b"tok_Charlie" not in content
    assert b"A note about" not in content


def test_rows_past_the_schedule_or_removed_are_not_in_it(charlie):
    sign_in_from(charlie, ip="198.51.100.9", at=timezone.now() - 120 * DAY)
    Person.objects.filter(account=charlie.account_id).update(removed_at=timezone.now())

    archive = opened(made(charlie))

    assert b"198.51.100.9" not in archive.read("access/accessevent.json")
    assert json_of(archive, "identity/person")["records"] == []


def test_only_what_was_chosen_is_in_it(charlie):
    archive = opened(made(charlie, ["access"], ("json",)))

    folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"access", "index.html", "manifest.json"}
    assert "Support tickets" in archive.read("index.html").decode()
    csv_only = opened(made(charlie, ["access"], ("csv",)))
    assert set(csv_only.namelist()) == {"access/accessevent.csv", "access/device.csv", "manifest.json"}


def test_pages_run_nothing(charlie):
    attack = '<script>alert(1)</script><img src="x" onerror=alert(1)>'
    with keyring():
        BusinessItem.objects.create(
            account_id=charlie.account_id, title=attack, text="=1", source="customer", created_at=timezone.now()
        )

    archive = opened(made(charlie))

    pages = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".html"))
    assert "<script" not in pages
    assert "<img" not in pages
    assert "&lt;script&gt;" in pages


def test_a_page_shows_the_first_records_and_says_so(charlie, monkeypatch):
    monkeypatch.setattr(exporting_contents, "ROWS_ON_A_PAGE", 2)
    for _ in range(4):
        sign_in_from(charlie)

    archive = opened(made(charlie))

    page = archive.read("access/accessevent.html").decode()
    assert page.count("<tr>") == 3
    assert "the first 2 of" in page


@pytest.mark.parametrize(
    "typed",
    ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\x00x", "＝1", "＋1", "a;=1", "a\n=1", "a\r\n@x", ' "=1', "a; '-1"],
)
def test_what_a_spreadsheet_would_run_is_marked_as_text(typed):
    made_ = cell(typed)

    for part in made_.replace("\r", "\n").replace(";", "\n").split("\n") if "\r" not in typed[:1] else [made_]:
        assert part.lstrip(" ")[:1] not in set("=+-@\t\r\x00＝＋") or not part
    assert made_.replace("'", "") == typed.replace("'", "")


@pytest.mark.parametrize("typed", ["", "plain", "a=b", "7 + 7", "info@alice.example", "2026-11-26T10:00:00Z"])
def test_a_harmless_cell_stays_as_it_is(typed):
    assert cell(typed) == typed


def test_a_csv_with_such_cells_reads_back(charlie):
    with keyring():
        ticket = TicketMessage.objects.filter(account=charlie.account_id).first()
        assert ticket is not None
        TicketMessage.objects.create(
            account_id=charlie.account_id,
            ticket_id=ticket.ticket_id,
            body='=HYPERLINK("http://evil.example";"x")\n@SUM(1)',
            created_at=timezone.now(),
        )

    archive = opened(made(charlie))

    lines = list(csv.reader(io.StringIO(archive.read("support/ticketmessage.csv").decode("utf-8-sig"))))
    bodies = [line[lines[0].index("Message")] for line in lines[1:]]
    assert '\'=HYPERLINK("http://evil.example";"x")\n\'@SUM(1)' in bodies


def test_a_large_file_is_stored_in_sealed_pieces(charlie, monkeypatch):
    monkeypatch.setattr(exporting_pieces, "PIECE", 1000)

    export = made(charlie)

    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM accounts_exportpart WHERE export_id = %s ORDER BY number", [export.pk])
        boxes = [bytes(row[0]) for row in cursor.fetchall()]
    assert len(boxes) == -(-export.size // 1000)
    assert not any(b"PK\x03\x04" in box or b"accessevent" in box for box in boxes)
    opened(export)


# Asking for it, and who makes it.


def test_only_an_owner_asks_and_once_a_time(charlie):
    member = User.objects.create_user(charlie.account, PASSWORD)
    with pytest.raises(PermissionDenied):
        ask(member)
    first = ask(charlie)
    with pytest.raises(NotActionable, match=f"Export {first.reference} is being made"):
        ask(charlie)
    again = exporting.ask(
        charlie.account_id, by=charlie, categories=["access"], formats=["csv"], submission=first.submission
    )
    assert again.pk == first.pk
    # Whatever the code does, the database takes one at a time.
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.create(
            account_id=charlie.account_id, user=charlie.pk, submission=uuid7(), categories=["access"],
            formats=["csv"], asked_at=timezone.now(),
        )  # fmt: skip


def test_nobody_makes_it_while_somebody_does(charlie):
    export = ask(charlie)
    assert exporting._claim(export.pk) is not None

    assert make(export) == "not due"


def test_a_claim_without_a_sign_of_life_is_taken_up_and_the_first_writes_nothing_more(charlie, monkeypatch):
    monkeypatch.setattr(exporting_pieces, "PIECE", 500)
    export = ask(charlie)
    first = exporting._claim(export.pk)
    assert first is not None
    writer = exporting_pieces.PieceWriter(exporting_pieces.Claim(first))
    with keyring():
        writer.write(b"x" * 600)
    assert exporting.forgotten() == []

    Export.objects.filter(pk=export.pk).update(claimed_at=timezone.now() - 2 * exporting.STALE)
    assert exporting.forgotten() == [export.pk]
    assert make(export) == "ready"

    with keyring(), pytest.raises(exporting_pieces.ClaimLost):
        writer.write(b"y" * 600)
    export.refresh_from_db()
    assert export.attempts == 2
    opened(export)


def test_an_attempt_that_broke_is_tried_again_and_then_told(charlie, monkeypatch):
    monkeypatch.setattr(exporting, "STALE", dt.timedelta(0))
    monkeypatch.setattr(exporting, "write", lambda *args, **given: 1 / 0)
    export = ask(charlie)

    assert [make(export) for _ in range(3)] == ["failed"] * 3
    assert make(export) == "not due"

    export.refresh_from_db()
    assert (export.state, export.last_error, export.attempts) == ("failed", "ZeroDivisionError", 3)
    outbox.relay()
    assert mail.outbox[-1].subject == f"We could not make your export {export.reference}"
    text = words(signed_in(charlie).get(reverse("retention:export", args=[export.reference])))
    assert "Try again" in text
    monkeypatch.undo()
    made(charlie)


def test_an_export_whose_account_the_purge_takes_leaves_nothing(charlie, monkeypatch):
    monkeypatch.setattr(exporting_pieces, "PIECE", 500)
    export = ask(charlie)
    # Due in a moment by the database's own clock, which no test moves.
    due_at = timezone.now() + dt.timedelta(seconds=2)
    closing.close(charlie.account_id, by=charlie, submission=uuid7(), at=due_at - schedule.span("grace"))
    written = exporting_contents.Archive.member
    calls = []

    def member(self, name):
        calls.append(name)
        if len(calls) == 5:
            time.sleep(max(0, (due_at - timezone.now()).total_seconds()) + 0.1)
            purge.ring()
            assert not Export.objects.exists()
        return written(self, name)

    monkeypatch.setattr(exporting_contents.Archive, "member", member)

    assert make(export) == "lost"
    assert len(calls) >= 5
    assert not ExportPart.objects.exists()
    assert not Export.objects.exists()


def test_an_export_is_not_begun_after_the_due_date(charlie):
    export = ask(charlie)
    at = timezone.now() - schedule.span("grace") - DAY
    closing.close(charlie.account_id, by=charlie, submission=uuid7(), at=at)

    assert make(export) == "not due"
    export.refresh_from_db()
    assert export.state == "ended"


def test_a_closed_account_gets_its_copy_until_the_due_date(charlie):
    at = timezone.now() - schedule.span("grace") + 2 * DAY
    visitor = signed_in(charlie)
    keep = visitor.session.session_key
    closed = closing.close(charlie.account_id, by=charlie, submission=uuid7(), keep_session=keep, at=at)

    export = made(charlie)

    assert export.expires_at == closed.request.due_at
    assert visitor.get(reverse("retention:export", args=[export.reference])).status_code == 200


@pytest.mark.parametrize("what", ["asked", "made", "removed"])
def test_what_was_done_stands_in_the_ledger_in_fixed_words(charlie, what):
    export = made(charlie)
    exporting.remove(export.pk, by=charlie)

    entry = LedgerEntry.objects.get(action=f"export.{what}")
    assert str(export.pk) in entry.body
    assert "Charlie" not in entry.body


# The pages.


def new_page(visitor: Client, **changed: Any) -> Any:
    typed = {"categories": EVERYTHING, "formats": ["json"], "submission": str(uuid7()), **changed}
    return visitor.post(reverse("retention:export_new"), typed)


def confirmed(visitor: Client) -> Client:
    answer = visitor.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert answer.status_code == 302
    return visitor


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_from_the_form_to_the_file(charlie):
    visitor = long_signed_in(charlie)
    form = words(visitor.get(reverse("retention:export_new")))
    assert "All of it takes about" in form
    assert "What is not included, and why" in form
    answer = new_page(visitor)
    export = Export.objects.underway().get(account=charlie.account_id)
    assert answer["Location"] == reverse("retention:export", args=[export.reference])
    assert "We are making your export." in words(visitor.get(answer["Location"]))

    tasks.make_export(str(export.pk))

    page = words(visitor.get(answer["Location"]))
    export.refresh_from_db()
    assert "Your export is ready." in page
    assert export.sha256 in page
    address = reverse("retention:export_download", args=[export.reference])
    asked = visitor.get(address)
    assert (asked.status_code, asked["Location"].split("?")[0]) == (302, reverse("account_reauthenticate"))
    confirmed(visitor)
    assert visitor.get(address).status_code == 200
    export.refresh_from_db()
    assert export.downloads == 0, "looking is no download"

    got = visitor.post(address)

    assert got["Content-Type"] == "application/zip"
    assert got["Content-Disposition"] == f'attachment; filename="{export.reference}.zip"'
    assert hashlib.sha256(body_of(got)).hexdigest() == export.sha256
    export.refresh_from_db()
    assert export.downloads == 1
    assert export.downloaded_at is not None
    outbox.relay()
    subjects = [one.subject for one in mail.outbox if export.reference in one.subject]
    assert subjects == [
        f"We make your export {export.reference}",
        f"Your export {export.reference} is ready",
        f"Your export {export.reference} was downloaded",
    ]


def test_a_download_without_the_password_is_none(charlie):
    export = made(charlie)
    visitor = long_signed_in(charlie)

    answer = visitor.post(reverse("retention:export_download", args=[export.reference]))

    assert answer.status_code == 302
    export.refresh_from_db()
    assert export.downloads == 0


def test_a_form_sent_twice_asks_once(charlie):
    visitor, submission = signed_in(charlie), str(uuid7())

    one, other = (new_page(visitor, submission=submission) for _ in range(2))

    assert one["Location"] == other["Location"]


def test_a_form_that_another_account_sent_is_refused_in_words(charlie, bob):
    submission = str(uuid7())
    assert new_page(signed_in(charlie), submission=submission).status_code == 302

    answer = new_page(signed_in(bob), submission=submission)

    assert answer.status_code == 409
    assert "This form was used already" in words(answer)
    assert not Export.objects.filter(account=bob.account_id).exists()


def test_a_second_one_meanwhile_is_told_which_is_made(charlie):
    visitor = signed_in(charlie)
    export = ask(charlie)

    assert export.reference in words(visitor.get(reverse("retention:export_new")))
    answer = new_page(visitor)
    assert answer.status_code == 409
    assert export.reference in words(answer)


@pytest.mark.parametrize(
    "changed", [{"categories": []}, {"formats": []}, {"categories": ["legal"]}, {"formats": ["exe"]}]
)
def test_a_form_with_nothing_chosen_stays(charlie, changed):
    answer = new_page(signed_in(charlie), **changed)

    assert answer.status_code == 200
    assert "There is a problem" in words(answer)
    assert not Export.objects.underway().exists()


def test_other_peoples_exports_are_not_there(charlie, bob):
    export = made(charlie)
    stranger = confirmed(signed_in(bob))

    for name in ("export", "export_download", "export_remove"):
        address = reverse(f"retention:{name}", args=[export.reference])
        assert stranger.get(address).status_code == 404
        assert stranger.post(address).status_code == 404


def test_members_who_are_no_owner_are_refused(charlie):
    member = signed_in(User.objects.create_user(charlie.account, PASSWORD))

    for name in ("exports", "export_new"):
        assert member.get(reverse(f"retention:{name}")).status_code == 403


def test_a_deleted_copy_is_gone_at_once_and_its_pieces_soon(charlie):
    export = made(charlie)
    visitor = confirmed(signed_in(charlie))
    address = reverse("retention:export_remove", args=[export.reference])
    assert visitor.get(address).status_code == 302
    assert Export.objects.downloadable(timezone.now()).exists(), "GET deletes nothing"

    visitor.post(address)

    assert visitor.post(reverse("retention:export_download", args=[export.reference])).status_code == 404
    tasks.tend_exports()
    assert not ExportPart.objects.filter(export=export).exists()


def test_a_copy_ends_after_its_time(charlie):
    export = made(charlie)
    later = timezone.now() + schedule.span("export") + dt.timedelta(seconds=1)
    visitor = signed_in(charlie)

    with time_machine.travel(later, tick=False):
        visitor = confirmed(signed_in(charlie))
        page = words(visitor.get(reverse("retention:export", args=[export.reference])))
        assert "This download ended on" in page
        gone = visitor.post(reverse("retention:export_download", args=[export.reference]))
        assert gone.status_code == 410
        assert "Make a new export" in words(gone)
        with pytest.raises(NotActionable):
            exporting.note_download(export.pk, by=charlie)
        exporting.expire(listed_for=schedule.span("export"))

    assert not ExportPart.objects.filter(export=export).exists()
    export.refresh_from_db()
    assert export.state == "ended"
    # Still listed for a while, then not.
    assert export.removed_at is None
    exporting.expire(later + schedule.span("export") + DAY, listed_for=schedule.span("export"))
    export.refresh_from_db()
    assert export.removed_at is not None


def test_pages_ask_a_dozen_statements_at_most(charlie):
    export = made(charlie)
    visitor = confirmed(signed_in(charlie))
    for address in (
        reverse("retention:exports"),
        reverse("retention:export_new"),
        reverse("retention:export", args=[export.reference]),
        reverse("retention:export_download", args=[export.reference]),
    ):
        with sql() as asked:
            assert visitor.get(address).status_code == 200
        assert len(asked) <= 12, (address, len(asked))


# By a worker.


def until(export_id: UUID, state: str, seconds: float = 30) -> Export:
    end = timezone.now() + dt.timedelta(seconds=seconds)
    while timezone.now() < end:
        export = Export.objects.get(pk=export_id)
        if export.state == state:
            return export
    raise AssertionError(f"{export.state}, not {state}")


@pytest.mark.crash
def test_a_worker_makes_it_and_a_killed_one_is_followed_by_another(start_worker, monkeypatch):
    user = furnish(make_customer("erin"))
    for number in range(300):
        sign_in_from(user, ip=f"198.51.100.{number % 250}")
    export = ask(user)
    # A worker took it and died.
    exporting._claim(export.pk)
    with keyring():
        writer = exporting_pieces.PieceWriter(exporting_pieces.Claim(Export.objects.get(pk=export.pk)))
        writer.write(b"z" * exporting_pieces.PIECE)
    assert ExportPart.objects.filter(export=export).count() == 1
    Export.objects.filter(pk=export.pk).update(claimed_at=timezone.now() - 2 * exporting.STALE)

    worker = start_worker(concurrency=2)
    tasks.tend_exports.delay()
    tasks.tend_exports.delay()

    export = until(export.pk, "ready")
    archive = opened(export)
    assert export.attempts == 2
    assert len(json_of(archive, "access/accessevent")["records"]) == AccessEvent.objects.count()
    assert "Traceback" not in worker.output()
