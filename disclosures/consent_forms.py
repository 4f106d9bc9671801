"""The forms of consent: nothing is ticked before the customer ticks it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.datamap import Category
from accounts.page_forms import SentOnce
from disclosures.models.consents import SHAREABLE


class AgreeForm(SentOnce):
    """Which kinds of data may go to a partner."""

    categories = forms.MultipleChoiceField(
        label=_("Kinds of data they may get"),
        choices=[(name, Category(name).label) for name in SHAREABLE],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Tick at least one kind of data.")},
    )

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the kinds that were ticked."""
        given: dict[str, Any] = self.cleaned_data
        return tuple(given["categories"])
