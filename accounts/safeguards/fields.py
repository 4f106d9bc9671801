"""Model fields that are stored sealed.

A model with such fields says whose key seals them by `key_place() -> (subject, category)`, and its primary key is known
before the insert. Values open lazily; the keys of a whole list come in one query. What would store clear text
(`QuerySet.update`, `bulk_update`) is a clear error, what would compare or sort boxes is refused.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from accounts.keys.keyring import current
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.sealing import key_of, seal_bytes, unseal_bytes


class Sealed:
    """A value as it stands in the database, opened when somebody asks."""

    __slots__ = ("box",)

    def __init__(self, box: bytes) -> None:
        self.box = box

    def __repr__(self) -> str:
        return "<sealed>"


class Opened(Sealed):
    """A value that was read from the database and opened; saved again as the same box."""

    __slots__ = ("value",)

    def __init__(self, box: bytes, value: Any) -> None:
        super().__init__(box)
        self.value = value


class OpeningAttribute(DeferredAttribute):
    """Opens a sealed value at first use and keeps it for the instance."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, Opened):
            return value.value
        if isinstance(value, Sealed):
            field: Any = self.field
            opened = field.from_bytes(unseal_bytes(value.box, field.bound_to(instance)))
            instance.__dict__[field.attname] = Opened(value.box, opened)
            return opened
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class SealedField(models.Field):  # type: ignore[type-arg]
    """The common part: a `bytea` column whose content only `pre_save` writes."""

    descriptor_class = OpeningAttribute
    refuses_cards = True
    empty_strings_allowed = False

    def get_internal_type(self) -> str:
        return "BinaryField"

    def to_text(self, value: Any) -> str:
        """Return `value` as the text that is sealed."""
        raise NotImplementedError

    def from_text(self, text: str) -> Any:
        """Return the value that `to_text` wrote."""
        raise NotImplementedError

    def to_bytes(self, value: Any) -> bytes:
        """Return `value` as the bytes that are sealed; text that looks like a card number is refused."""
        text = self.to_text(value)
        if self.refuses_cards:
            refuse_card_number(text)
        return text.encode()

    def from_bytes(self, content: bytes) -> Any:
        """Return the value that `to_bytes` wrote."""
        return self.from_text(content.decode())

    def bound_to(self, instance: models.Model) -> str:
        """Return what the box is bound to: table, column and row."""
        return f"{instance._meta.db_table}.{self.column}.{instance.pk}"

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        if value is None:
            return None
        if not isinstance(value, Sealed):
            content = self.to_bytes(value)
            value = Opened(seal_bytes(content, model_instance.key_place(), self.bound_to(model_instance)), value)
            model_instance.__dict__[self.attname] = value
        return value

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, Sealed):
            return value
        raise TypeError(f"{self.model._meta.label}.{self.name} is sealed: set it on an instance and save that.")

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = self.get_prep_value(value)
        return value if value is None else value.box

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Sealed | None:
        if value is None:
            return None
        box = bytes(value)
        if len(box) > 17:
            current().note(key_of(box))
        return Sealed(box)

    def get_lookup(self, lookup_name: str) -> Any:
        # "exact" is what `field=None` asks for; with any other value `get_prep_value` refuses.
        return super().get_lookup(lookup_name) if lookup_name in {"isnull", "exact"} else None

    def get_transform(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.model._meta.label}.{self.name} is sealed; only isnull can be asked.")

    def value_to_string(self, obj: Any) -> str:
        return ""


class SealedText(SealedField):
    """Personal text; `max_length` in characters is checked by validation and at the seal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 200)
        super().__init__(*args, **kwargs)

    def to_text(self, value: Any) -> str:
        text = str(value)
        if self.max_length is not None and len(text) > self.max_length:
            raise ValueError(f"{self.name} is longer than {self.max_length} characters.")
        if "\x00" in text:
            raise ValueError(f"{self.name} holds a NUL character.")
        return text

    def from_text(self, text: str) -> str:
        return text

    def clean(self, value: Any, model_instance: Any) -> Any:
        value = super().clean(value, model_instance)
        if isinstance(value, str):
            refuse_card_number(value)
        return value

    def formfield(self, **kwargs: Any) -> Any:
        long = self.max_length is not None and self.max_length > 500
        options: dict[str, Any] = {"form_class": forms.CharField, "max_length": self.max_length}
        if long:
            options["widget"] = forms.Textarea
        return super().formfield(**{**options, **kwargs})


class SealedJSON(SealedField):
    """Personal structured data; any JSON value. `refuses_cards=False` is for what the portal alone writes."""

    def __init__(self, *args: Any, refuses_cards: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refuses_cards = refuses_cards

    def to_text(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    def from_text(self, text: str) -> Any:
        return json.loads(text)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.JSONField, **kwargs})


class SealedBytes(SealedField):
    """The content of a file; `max_length` in bytes is checked at the seal. It is a row, so that a hold keeps it and the
    purge erases it like every other.
    """

    refuses_cards = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 10 * 1024 * 1024)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def to_bytes(self, value: Any) -> bytes:
        content = bytes(value)
        if self.max_length is not None and len(content) > self.max_length:
            raise ValueError(f"{self.name} is longer than {self.max_length} bytes.")
        return content

    def from_bytes(self, content: bytes) -> bytes:
        return content
