"""One declared model with its guard, and no other change: held, exported, erased and in the record of processing.

The model and its table are made here, the table by the owner with what `print_guards` prints for it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import exporting
from accounts.datamap import Category, Held, Personal, Purpose
from accounts.datamap.checks import check_data_map
from accounts.exporting_pieces import pieces
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Export
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText
from retention import closing, guards, purge, schedule
from retention.checks import check_guards_in_migrations
from tests.cast import DAY
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")

STATEMENTS = guards._statements
FUNCTION = "FUNCTION public.guard_erasure_update()"


def declared() -> type[models.Model]:
    """Make the model, as a room would declare it."""

    class Wish(OfAccount):
        words = SealedText()
        score = SealedText(null=True)
        made_at = models.DateTimeField()

        personal: ClassVar[Personal] = Personal(
            category=Category.SUPPORT,
            label="Wish for the future",
            time="made_at",
            purposes=(Purpose.LAYOUT,),
            source="a crystal ball",
            fields={"words": Held("Words of the wish"), "score": Held("Our score", required=False, shown=frozenset())},
        )

        class Meta:
            app_label = "accounts"

    return Wish


@pytest.fixture
def wish(owner: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[models.Model]]:
    """The model with its table and its guards, forgotten afterwards."""
    before = guards.left_over_sql()
    model = declared()
    try:
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            editor.create_model(model)
        for statement in editor.collected_sql:
            owner.execute(statement)
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON accounts_wish TO portal_runtime")
        migration = _migration(before)
        owner.execute(migration)
        # The migration's file, as it would stand beside the others.
        monkeypatch.setattr(
            guards, "_statements", lambda alias: STATEMENTS(alias) + (migration if alias == "default" else "")
        )
        yield model
    finally:
        del apps.all_models["accounts"]["wish"]
        apps.clear_cache()
        for field in (Account, *Account.__mro__):
            getattr(field, "_meta", Account._meta)._expire_cache()


def _migration(before: str) -> str:
    """Return the SQL that somebody would freeze: the triggers, and the function that counts what is left."""
    triggers = "\n".join(line for line in guards.governed_sql().splitlines() if "public.accounts_wish" in line)
    files = STATEMENTS("default")
    start = files.rindex("CREATE OR REPLACE " + FUNCTION)
    function = files[start : files.index("$guard$;", start) + len("$guard$;")]
    assert before in function
    return f"\n{triggers}\n{function.replace(before, guards.left_over_sql())}\n"


def make(model: Any, account_id: Any, words_: str = "A rocket for Charlie") -> Any:
    with keyring():
        return model.objects.create(account_id=account_id, words=words_, score="secret 7", made_at=timezone.now())


def test_the_checks_are_content(wish):
    assert check_data_map() == []
    assert check_guards_in_migrations() == []
    assert guards.differences() == []


def test_it_appears_in_what_we_hold(wish, charlie):
    make(wish, charlie.account_id)
    visitor = signed_in(charlie)

    overview = words(visitor.get(reverse("retention:data")))
    page = words(visitor.get(reverse("retention:data_category", args=["support"])))

    assert "a crystal ball" in overview
    assert "Wish for the future" in page
    assert "A rocket for Charlie" in page
    assert "secret 7" not in page


def test_it_appears_in_the_export(wish, charlie):
    make(wish, charlie.account_id)
    export = exporting.ask(
        charlie.account_id, by=charlie, categories=["support"], formats=["json", "csv"], submission=uuid7()
    )

    exporting.make(export.pk, cutoffs=schedule.cutoffs(timezone.now()), kept_for=schedule.span("export"))

    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces(Export.objects.get(pk=export.pk)))))
    [record] = json.loads(archive.read("support/wish.json"))["records"]
    assert record["words"] == "A rocket for Charlie"
    assert "score" not in record
    assert b"A rocket for Charlie" in archive.read("support/wish.csv")
    assert "Our score" in {left["what"] for left in json.loads(archive.read("manifest.json"))["not_included"]}


def test_it_appears_in_the_record_of_processing(wish, capsys):
    call_command("data_map", "--format", "json")
    support = next(one for one in json.loads(capsys.readouterr().out) if one["category"] == "support")
    call_command("data_map")

    assert "accounts_wish" in {table["table"] for table in support["tables"]}
    assert "Wish for the future (`accounts_wish`)" in capsys.readouterr().out


def test_it_is_counted_and_erased(wish, charlie, bob, owner):
    make(wish, charlie.account_id)
    make(wish, bob.account_id)
    closing.close(charlie.account_id, by=charlie, submission=uuid7(), at=timezone.now() - 31 * DAY)

    tally = purge.ring()

    assert tally.stopped == ""
    left = owner.execute("SELECT account_id FROM accounts_wish").fetchall()
    assert left == [(bob.account_id,)]
    # Nothing of its category can be written any more, by any way.
    with pytest.raises(DatabaseError, match="support"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_wish (id, account_id, words, made_at) VALUES (gen_random_uuid(), %s, 'x', now())",
            [charlie.account_id],
        )


def test_without_its_declaration_nothing_starts(wish, monkeypatch):
    """Negative control: a field that nobody declared is named by the check."""
    given = wish.__dict__["personal"]
    monkeypatch.setattr(wish, "personal", Personal(**{**given.__dict__, "fields": {"words": given.fields["words"]}}))

    [error] = check_data_map()

    assert error.id == "accounts.E002"
    assert "Wish.score" in error.msg


def test_the_model_is_forgotten_afterwards():
    assert "wish" not in apps.all_models["accounts"]
    assert check_guards_in_migrations() == []
