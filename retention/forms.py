"""The forms of the deletion pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.datamap import Category
from accounts.datamap.reading import MOST_COUNTED
from accounts.models import User
from accounts.page_forms import SentOnce
from retention.following import LONGEST


class CheckForm(SentOnce):
    """The last check before an account closes: it is its owner, who has what they want to keep."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": _("Enter your password.")},
    )
    kept = forms.BooleanField(
        label=_("I have what I want to keep"),
        error_messages={"required": _("Tick the box once you have what you want to keep.")},
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """Return the password; raise ValidationError when it is not the user's."""
        password = str(self.cleaned_data["password"])
        if not self.user.check_password(password):
            raise forms.ValidationError(_("That password does not match this account. Try again."))
        return password


def from_mail(label: Any, missing: Any, example: Any = "") -> forms.CharField:
    """Return a field for what stands in a mail: long enough, typed as it stands there, remembered by no browser."""
    return forms.CharField(
        label=label,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
        help_text=example,
        error_messages={"required": missing},
    )


class FindForm(forms.Form):
    """Reference and code, as they stand in the first mail."""

    reference = from_mail(_("Reference"), _("Enter the reference from the mail."), _("For example DEL-7F3K-22QM"))
    code = from_mail(_("Code"), _("Enter the code from the mail."))


class ExportForm(SentOnce):
    """Which kinds of data, in which formats: all of them until somebody says otherwise."""

    categories = forms.MultipleChoiceField(
        label=_("Which data"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": _("Choose at least one kind of data."),
            "invalid_choice": _("Choose from the kinds of data on this page."),
        },
    )
    formats = forms.MultipleChoiceField(
        label=_("Which formats"),
        widget=forms.CheckboxSelectMultiple,
        choices=[("json", _("Pages to read and JSON")), ("csv", _("CSV for spreadsheets"))],
        initial=["json"],
        error_messages={
            "required": _("Choose at least one format."),
            "invalid_choice": _("Choose from the formats on this page."),
        },
    )

    def __init__(self, sizes: Mapping[Category, int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["categories"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - declared above
        field.choices = [(category.value, _sized(category, rows)) for category, rows in sizes.items()]
        field.initial = [category.value for category in sizes]


def _sized(category: Category, rows: int) -> str:
    words = {"label": category.label, "rows": number_format(min(rows, MOST_COUNTED), force_grouping=True)}
    if not rows:
        return gettext("%(label)s: none") % words
    if rows > MOST_COUNTED:
        return gettext("%(label)s: more than %(rows)s") % words
    return gettext("%(label)s: %(rows)s") % words
