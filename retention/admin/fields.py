"""Fields and choices that several acts of the admin ask for."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts import datamap
from accounts.datamap import Category
from retention import dates

LONGEST_MATTER = 500


class MomentField(forms.SplitDateTimeField):
    """A day and a time in the time zone in use, each with a label of its own."""

    def __init__(self, label: Any, **kwargs: Any) -> None:
        day = {"type": "date", "aria-label": f"{label}: day"}
        time = {"type": "time", "aria-label": f"{label}: time"}
        widget = forms.SplitDateTimeWidget(date_attrs=day, time_attrs=time)
        super().__init__(label=label, widget=widget, required=False, **kwargs)

    def compress(self, data_list: Any) -> dt.datetime | None:
        """Return the moment; raise ValidationError for an hour that the clocks leave out or give twice."""
        try:
            return super().compress(data_list)
        except forms.ValidationError as error:
            if error.code == "ambiguous_timezone":
                raise forms.ValidationError(dates.CLOCKS_CHANGE) from None
            raise


def held_categories() -> list[tuple[str, str]]:
    """Return the categories a hold may name, with their labels."""
    return [(c.value, str(c.label)) for c in datamap.categories() if c != Category.CREDENTIALS]
