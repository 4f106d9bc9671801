"""The forms of the deletion pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

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


class FindForm(forms.Form):
    """Reference and code, as they stand in the first mail."""

    reference = forms.CharField(
        label=_("Reference"),
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
        help_text=_("For example DEL-7F3K-22QM"),
        error_messages={"required": _("Enter the reference from the mail.")},
    )
    code = forms.CharField(
        label=_("Code"),
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
        error_messages={"required": _("Enter the code from the mail.")},
    )
