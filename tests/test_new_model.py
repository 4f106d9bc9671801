"""A new model with a way to an account that forgets its declaration, its seals or its guard is reported by the checks.

Each model is made in a registry of its own that the checks are shown beside the real one. The control is a model that
forgets nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.core.checks import CheckMessage
from django.db import models
from django.test.utils import isolate_apps

from accounts.datamap import Category, Ends, Held, Personal, Purpose, checks, reading
from accounts.models import Account, Contact, Invoice
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText
from retention import guards
from retention.checks import check_guards_in_migrations

Model = type[models.Model]


class Plain(models.Model):
    """What the models here are made of."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Models of these tests are known to nobody else."""
    with isolate_apps("accounts"):
        yield


def reported(monkeypatch: pytest.MonkeyPatch, *made: Model) -> list[CheckMessage]:
    """Return what the checks say about these models, when they are shown beside the real ones."""

    class Shown:
        @staticmethod
        def get_models(include_auto_created: bool = False) -> list[Model]:
            return [*apps.get_models(include_auto_created=include_auto_created), *made]

    monkeypatch.setattr(checks, "apps", Shown)
    monkeypatch.setattr(reading, "apps", Shown)
    return checks.check_data_map()


def ids_of(found: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


def declaration(**given: Any) -> Personal:
    facts: dict[str, Any] = {
        "category": Category.CONTACT,
        "label": "Note",
        "time": "created_at",
        "purposes": (Purpose.SUPPORT,),
        "source": "you",
        "fields": {"words": Held("Words")},
    }
    return Personal(**{**facts, **given})


def test_the_models_there_are_forget_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reported(monkeypatch) == []
    assert check_guards_in_migrations() == []


def test_a_foreign_key_to_an_account_without_a_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Plain):
        account = models.ForeignKey(Account, on_delete=models.PROTECT)

        class Meta:
            app_label = "accounts"

    found = reported(monkeypatch, Forgetful)
    assert ids_of(found) == ["accounts.E001"]
    assert "Forgetful" in found[0].msg


@pytest.mark.parametrize("name", ["account", "account_id", "subject", "user", "user_id"])
def test_a_bare_id_of_an_account_or_a_user_without_a_declaration(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    fields = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "accounts"}),
        name: models.UUIDField(),
    }
    assert ids_of(reported(monkeypatch, type("Bare", (models.Model,), fields))) == ["accounts.E001"]


def test_a_way_over_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    class Remark(Plain):
        contact = models.ForeignKey(Contact, on_delete=models.PROTECT)

        class Meta:
            app_label = "accounts"

    class RemarkLine(Plain):
        remark = models.OneToOneField(Remark, on_delete=models.PROTECT)

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Remark, RemarkLine)) == ["accounts.E001", "accounts.E001"]


def test_a_way_over_many_to_many(monkeypatch: pytest.MonkeyPatch) -> None:
    class Group(Plain):
        members = models.ManyToManyField(Account)

        class Meta:
            app_label = "accounts"

    through = Group._meta.get_field("members").remote_field.through  # type: ignore[union-attr]
    assert "accounts.E001" in ids_of(reported(monkeypatch, Group, through))


def test_a_declaration_inherited_is_not_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Heir(OfAccount):
        personal: ClassVar[Personal]

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Heir)) == ["accounts.E001"]


def test_a_text_field_that_is_not_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        words = SealedText()
        aside = models.TextField()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration()

        class Meta:
            app_label = "accounts"

    found = reported(monkeypatch, Note)
    assert ids_of(found) == ["accounts.E002"]
    assert "aside" in found[0].msg


@pytest.mark.parametrize(
    "field",
    [
        models.CharField(max_length=10),
        models.JSONField(),
        models.BinaryField(),
        models.GenericIPAddressField(),
        models.EmailField(),
        models.FileField(),
        SealedText(),
    ],
    ids=lambda field: type(field).__name__,
)
def test_every_type_that_can_hold_words_must_be_declared(
    monkeypatch: pytest.MonkeyPatch, field: models.Field[Any, Any]
) -> None:
    names = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "accounts"}),
        "created_at": models.DateTimeField(),
        "aside": field.clone(),
        "personal": declaration(fields={}),
    }
    assert ids_of(reported(monkeypatch, type("Note", (OfAccount,), names))) == ["accounts.E002"]


def test_a_declaration_of_a_field_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        words = SealedText()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration(plain={"vanished": "a word"})

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Note)) == ["accounts.E003"]


def test_a_time_that_is_no_field(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        words = SealedText()
        personal: ClassVar[Personal] = declaration(time="born_at")

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Note)) == ["accounts.E003"]


def test_a_line_without_the_account_on_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class Line(Plain):
        contact = models.ForeignKey(Contact, on_delete=models.PROTECT)
        words = SealedText()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration()

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Line)) == ["accounts.E004"]


def test_a_personal_field_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        words = models.CharField(max_length=200)
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration()

        class Meta:
            app_label = "accounts"

    found = reported(monkeypatch, Note)
    assert ids_of(found) == ["accounts.E005"]
    assert "in clear" in found[0].msg


def test_a_key_that_binds_two_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT)
        words = SealedText()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration()

        class Meta:
            app_label = "accounts"

    assert ids_of(reported(monkeypatch, Note)) == ["accounts.E006"]


def test_a_declared_model_without_a_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(OfAccount):
        words = SealedText()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration()

        class Meta:
            app_label = "accounts"

    assert reported(monkeypatch, Note) == []
    found = check_guards_in_migrations()
    assert set(ids_of(found)) == {"retention.E001"}
    for name in guards.governed_triggers("accounts_note", "contact", "created_at"):
        assert any(f"trigger {name} on accounts_note" in message.msg for message in found)
    # The count that makes an erasure gone knows the table too, or an erasure could leave its rows.
    assert any("guard_erasure_update does not count accounts_note" in message.msg for message in found)


def test_a_guard_for_another_category_or_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    given = reading.entries()[Contact]
    monkeypatch.setattr(Contact, "personal", declaration(category=Category.BILLING, fields=given.fields))
    assert "retention.E001" in ids_of(check_guards_in_migrations())


def test_a_register_that_ends_with_its_key_needs_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Register(OfAccount):
        words = SealedText()
        created_at = models.DateTimeField()
        personal: ClassVar[Personal] = declaration(ends=Ends.KEY)

        class Meta:
            app_label = "accounts"

    assert reported(monkeypatch, Register) == []
    assert check_guards_in_migrations() == []


def test_control_a_model_that_leads_to_nobody_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Word(Plain):
        text = models.TextField()

        class Meta:
            app_label = "accounts"

    assert reported(monkeypatch, Word) == []
