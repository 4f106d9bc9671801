"""System checks of the data map: nothing that leads to a subject is undeclared, no personal text is stored in clear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register
from django.db import models

from accounts.datamap.declaring import Ends, Personal
from accounts.datamap.reading import CARRIES_NO_PERSON, foreign, references
from accounts.safeguards.fields import SealedField

ROOTS = ("accounts.account", "accounts.user")
# A bare id leads to somebody too: what erasing ends is referred to by plain UUIDs.
SUBJECT_NAMES = {"account", "account_id", "subject", "user", "user_id"}
# Named exceptions to encryption (architecture: safeguards); a new one is a decision, not a convenience.
CLEAR_BY_DECISION = {
    "accounts.user.password": "an Argon2 hash",
    "accounts.signinidentifier.digest": "a blind index, keyed and one-way",
    "accounts.session.session_data": "sealed by the session store under a key of its own",
    "accounts.ipassignment.address": "ranges of addresses are compared by the database (P10)",
    "retention.dispute.reference_digest": "a blind index, keyed and one-way",
}


@register("datamap")
def check_data_map(app_configs: Iterable[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error per undeclared model or field, wrong declaration, or personal value stored in clear."""
    found: list[CheckMessage] = []
    for model in apps.get_models(include_auto_created=True):
        if _leads_to_subject(model, set()) or "personal" in model.__dict__:
            found.extend(_check_model(model))
    return found


def _check_model(model: type[models.Model]) -> Iterator[CheckMessage]:
    entry = model.__dict__.get("personal")
    if model._meta.label_lower in foreign() or not model._meta.managed:
        return
    if not isinstance(entry, Personal):
        yield Error(
            f"{model._meta.label} leads to an account but declares nothing in the data map.",
            hint="Give it an attribute `personal = datamap.Personal(...)`, or declare_foreign() if it is a library's.",
            obj=model,
            id="accounts.E001",
        )
        return
    names = {field.name for field in model._meta.fields}
    yield from _check_fields(model, entry)
    for name in sorted(({*entry.fields, *entry.plain, *entry.facts} | ({entry.time} if entry.time else set())) - names):
        yield Error(f"{model._meta.label} declares {name!r}, which is no field.", obj=model, id="accounts.E003")
    if entry.ends == Ends.ROWS and entry.account and entry.account.removesuffix("_id") not in names:
        yield Error(
            f"{model._meta.label} has no account on the row itself.",
            hint="Every governed table, lines and messages too, carries the account's id.",
            obj=model,
            id="accounts.E004",
        )
    yield from _check_references(model, entry)


def _check_fields(model: type[models.Model], entry: Personal) -> Iterator[CheckMessage]:
    for field in model._meta.fields:
        label = f"{model._meta.label_lower}.{field.name}"
        if isinstance(field, SealedField) or label in CLEAR_BY_DECISION:
            if field.name not in entry.fields:
                yield _undeclared(model, field.name)
        elif field.name in entry.fields and not isinstance(field, CARRIES_NO_PERSON):
            yield Error(
                f"{model._meta.label}.{field.name} is personal and stored in clear.",
                hint="Use a sealed field of accounts.safeguards.fields.",
                obj=model,
                id="accounts.E005",
            )
        elif not (isinstance(field, CARRIES_NO_PERSON) or field.choices or field.name in {*entry.plain, *entry.fields}):
            yield _undeclared(model, field.name)


def _undeclared(model: type[models.Model], name: str) -> Error:
    return Error(
        f"{model._meta.label}.{name} can hold personal words and is not declared.",
        hint="Name it under `fields` of the model's declaration, or under `plain` with the reason.",
        obj=model,
        id="accounts.E002",
    )


def _check_references(model: type[models.Model], entry: Personal) -> Iterator[CheckMessage]:
    for column, other, _key in references(model):
        declared = other.__dict__.get("personal")
        if isinstance(declared, Personal) and declared.ends == Ends.ROWS and declared.category != entry.category:
            yield Error(
                f"{model._meta.label}.{column} binds two categories that end at different times.",
                hint="Use db_constraint=False with on_delete=DO_NOTHING, or a plain UUIDField.",
                obj=model,
                id="accounts.E006",
            )


def _leads_to_subject(model: type[models.Model], seen: set[type[models.Model]]) -> bool:
    if model._meta.label_lower in ROOTS:
        return True
    if model in seen:
        return False
    seen.add(model)
    for field in model._meta.get_fields():
        if getattr(field, "column", None) and field.name in SUBJECT_NAMES:
            return True
    return any(_leads_to_subject(other, seen) for other in _referred_to(model))


def _referred_to(model: type[models.Model]) -> list[type[models.Model]]:
    return [field.remote_field.model for field in model._meta.fields if isinstance(field, models.ForeignKey)]
