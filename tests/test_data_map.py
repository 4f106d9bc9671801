"""The data map: whoever adds a kind of personal data and forgets to say so, or to guard it, cannot go on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core import checks
from django.db import connections, models
from django.utils import timezone

from accounts import datamap
from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.checks import CLEAR_BY_DECISION, check_data_map
from accounts.datamap.reading import CARRIES_NO_PERSON
from accounts.models import AccessEvent, Account, Contact, User
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedField, SealedText
from retention import guards, schedule
from tests.cast import DAY, sign_in_from

Maker = Callable[..., type[models.Model]]


@pytest.fixture
def new_model() -> Iterator[Maker]:
    """Return a maker of models that vanish with the test: `new_model(OfAccount, note=SealedText())`."""
    made: list[type[models.Model]] = []

    def make(*bases: type, **content: Any) -> type[models.Model]:
        name = f"Planted{len(made)}"
        meta = type("Meta", (), {"app_label": "retention"})
        inherited = bases or (models.Model,)
        model = type(name, inherited, {"__module__": __name__, "Meta": meta, **content})
        made.append(model)
        return model

    yield make
    for model in made:
        del apps.all_models["retention"][model._meta.model_name]
    apps.clear_cache()


def declared(**changes: Any) -> Personal:
    content: dict[str, Any] = {
        "category": Category.SUPPORT,
        "label": "Planted",
        "time": "created_at",
        "purposes": (Purpose.SUPPORT,),
        "source": "you",
        "fields": {"note": Held("Note")},
    }
    return Personal(**{**content, **changes})


def ids() -> list[str]:
    return [message.id or "" for message in check_data_map()]


def test_everything_that_leads_to_an_account_is_declared():
    assert ids() == []


def test_the_check_is_one_of_those_that_run_at_every_start():
    assert check_data_map in checks.registry.registry.get_checks()


def test_a_model_that_declares_everything_passes(new_model: Maker):
    new_model(OfAccount, note=SealedText(), created_at=models.DateTimeField(), personal=declared())
    assert ids() == []


def test_a_model_that_declares_nothing_is_caught(new_model: Maker):
    new_model(OfAccount, note=SealedText(), created_at=models.DateTimeField())
    assert ids() == ["accounts.E001"]


def test_a_way_to_an_account_over_two_tables_is_found(new_model: Maker):
    near = new_model(OfAccount, note=SealedText(), created_at=models.DateTimeField(), personal=declared())
    new_model(near=models.ForeignKey(near, on_delete=models.PROTECT), text=models.TextField())
    assert ids() == ["accounts.E001"]


def test_a_subject_without_a_foreign_key_is_found(new_model: Maker):
    new_model(subject=models.UUIDField(), text=models.TextField())
    assert ids() == ["accounts.E001"]


@pytest.mark.parametrize(
    "forgotten",
    [
        models.TextField(),
        models.CharField(max_length=9),
        models.JSONField(),
        models.GenericIPAddressField(),
        models.FileField(),
        models.EmailField(),
        models.BinaryField(),
        SealedText(),
    ],
    ids=lambda field: type(field).__name__,
)
def test_a_field_that_can_hold_words_and_is_not_declared_is_caught(new_model: Maker, forgotten: models.Field):
    new_model(OfAccount, note=SealedText(), extra=forgotten, created_at=models.DateTimeField(), personal=declared())
    assert ids() == ["accounts.E002"]


def test_a_declared_field_that_does_not_exist_is_caught(new_model: Maker):
    personal = declared(fields={"note": Held("Note"), "gone": Held("Gone")})
    new_model(OfAccount, note=SealedText(), created_at=models.DateTimeField(), personal=personal)
    assert ids() == ["accounts.E003"]


def test_a_governed_table_without_the_account_on_the_row_is_caught(new_model: Maker):
    new_model(
        contact=models.ForeignKey(Contact, on_delete=models.PROTECT),
        note=SealedText(),
        created_at=models.DateTimeField(),
        personal=declared(category=Category.CONTACT),
    )
    assert ids() == ["accounts.E004"]


def test_a_personal_field_in_clear_is_caught(new_model: Maker):
    new_model(OfAccount, note=models.TextField(), created_at=models.DateTimeField(), personal=declared())
    assert ids() == ["accounts.E005"]


def test_a_constraint_between_categories_that_end_apart_is_caught(new_model: Maker):
    new_model(
        OfAccount,
        note=SealedText(),
        created_at=models.DateTimeField(),
        event=models.ForeignKey(AccessEvent, on_delete=models.PROTECT),
        personal=declared(),
    )
    assert ids() == ["accounts.E006"]


def test_a_declared_table_that_forgets_its_guard_is_caught(new_model: Maker):
    assert guards.map_against_files() == []
    new_model(OfAccount, note=SealedText(), created_at=models.DateTimeField(), personal=declared())
    found = guards.map_against_files()
    assert len(found) == len(guards.governed_triggers("t", "c", "m")) + 1
    assert all("retention_planted0" in what for what in found)


@pytest.mark.django_db
def test_the_databases_guard_what_the_map_governs():
    assert guards.differences() == []


def test_one_table_has_one_category_and_every_category_a_rule():
    for model, entry in datamap.governed().items():
        assert entry.category in schedule.RULES, model
        assert entry.account and entry.time, model


def test_children_come_before_their_parents():
    order = list(datamap.governed())
    for model in order:
        for field in model._meta.fields:
            other = field.remote_field.model if isinstance(field, models.ForeignKey) else None
            if other in order and field.db_constraint and other is not model:
                assert order.index(model) < order.index(other), (model, other)


@pytest.mark.django_db
def test_no_column_can_hold_words_in_clear_but_the_named_ones():
    """Read from the catalogue, not from the models: a column the code does not know is found too."""
    sealed = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, SealedField)
    }
    reasons = reasons_by_column()
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
                WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
                  AND t.typname NOT IN ('uuid', 'timestamptz', 'date', 'bool', 'int2', 'int4', 'int8', 'numeric')"""
        )
        columns = {(table, column) for table, column in cursor.fetchall() if table not in WITHOUT_A_PERSON}
    assert columns - sealed - reasons.keys() == set()
    assert len(sealed & columns) > 20


# Tables of Django and of the libraries, and of ours without a person: what stands in their words.
WITHOUT_A_PERSON = {
    "django_migrations": "names of migrations",
    "django_content_type": "names of models",
    "auth_permission": "names of permissions",
    "auth_group": "names of roles",
    "django_admin_log": "never written: the runtime role cannot insert",
    "account_emailaddress": "never written: the runtime role cannot insert",
    "account_emailconfirmation": "never written: the runtime role cannot insert",
    "mfa_authenticator": "secrets and names are sealed before the sign-in library stores them",
    "accounts_apitoken": "names of other systems, hashes, scopes",
    "accounts_webhookendpoint": "names and addresses of other systems, names of errors; the secrets are sealed",
    "safeguards_ledgerentry": "ids and fixed words",
    "safeguards_outboxmessage": "kinds, events by id, names of errors; the content is sealed",
    "safeguards_destructionorder": "category names",
    "safeguards_destructionsecret": "the secret of the destruction tokens",
    "safeguards_heartbeat": "names of processes",
    "safeguards_idempotencyrecord": "keys of other systems, hashes",
    "disclosures_aggregatetable": "figures without identities",
    "disclosures_transparencytable": "figures without identities",
    "retention_limit": "names of numbers",
    "retention_purgeswitch": "category names and ids",
}


def reasons_by_column() -> dict[tuple[str, str], str]:
    """Return every column that may hold words, with the reason: declared plain or decided."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        table, entry = model._meta.db_table, model.__dict__.get("personal")
        for field in model._meta.fields:
            label = f"{model._meta.label_lower}.{field.name}"
            reason = CLEAR_BY_DECISION.get(label)
            if isinstance(entry, Personal):
                reason = reason or entry.plain.get(field.name) or ("a fixed word" if field.choices else None)
            if reason or isinstance(field, CARRIES_NO_PERSON):
                found[table, field.column] = reason or "no words"
    return found


@pytest.mark.django_db
def test_counts_leave_out_what_was_removed_and_what_is_past_its_schedule(alice: User):
    now = timezone.now()
    sign_in_from(alice, at=now - DAY)
    sign_in_from(alice, at=now - 120 * DAY)
    Contact.objects.filter(account=alice.account_id).update(removed_at=now)
    counts = datamap.counts([alice.account_id], schedule.cutoffs(now))
    assert counts["access"] == 1 and counts["contact"] == 1  # the address is still there
    assert datamap.count([alice.account_id], "access") == {alice.account_id: 2}


@pytest.mark.django_db
def test_nobody_is_counted_for_a_stranger(alice: User):
    assert datamap.count([uuid4()], "contact") == {}
    assert datamap.counts([], schedule.cutoffs(timezone.now()))["contact"] == 0


def test_every_personal_field_has_a_label_and_every_kind_a_purpose():
    for model, entry in datamap.entries().items():
        assert entry.purposes and entry.source and entry.label, model
        assert all(held.label for held in entry.fields.values()), model


def test_the_account_row_itself_keeps_number_and_dates_only():
    kept = {field.name for field in Account._meta.fields}
    assert kept == {"id", "number", "state", "created_at", "closed_at", "due_at", "erased_at", "hold_epoch"}
    assert Account.personal.ends == Ends.KEY


def test_sign_ins_page_visits_and_order_checks_expire_after_ninety_days():
    at = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    before = at - 90 * DAY
    assert schedule.cutoffs(at) == {"access": before, "analytics": before, "signals": before}
