"""The forms of the sign-in pages: what is typed is looked up and forgotten."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as library
from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import credentials
from accounts.models import User
from accounts.safeguards.finding import clean_email
from accounts.signing_in import LONGEST, find, may_sign_in


class SignInForm(library.LoginForm):  # type: ignore[misc]
    """One field for e-mail address, user name or account number, and the password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"] = forms.CharField(
            label=_("E-mail, user name or account number"),
            max_length=LONGEST,
            widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
        )
        _say(
            self,
            login=_("Enter your e-mail address, user name or account number."),
            password=_("Enter your password."),
        )
        self.order_fields(["login", "password"])

    def user_credentials(self) -> dict[str, str]:
        """Return what the backend checks; the library must not guess what kind of name was typed."""
        return {"username": self.cleaned_data["login"], "password": self.cleaned_data["password"]}

    def _login_with_password(
        self, request: HttpRequest, redirect_url: str | None, credentials: dict[str, str]
    ) -> HttpResponse:
        # The library would keep the typed name in the session as a record of how the user signed in.
        response: HttpResponse = super()._login_with_password(request, redirect_url, {})
        return response


class ResetForm(library.ResetPasswordForm):  # type: ignore[misc]
    """Asks for an address; the answer is the same, and as fast, for an address nobody signs in with."""

    users: list[User]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The library's own field makes small letters first, and of the Kelvin sign an ordinary "k".
        self.fields["email"] = forms.EmailField(
            max_length=LONGEST,
            widget=forms.EmailInput(attrs={"autocomplete": "email"}),
            error_messages={"invalid": _("Enter an e-mail address in the form name@example.com.")},
        )
        _say(self, email=_("Enter the e-mail address of your account."))

    def clean_email(self) -> str:
        """Return the address and find who signs in with it; a look-alike is refused like any wrong one."""
        email = clean_email(self.cleaned_data["email"])
        user = find(email)
        self.users = [user] if user is not None and may_sign_in(user) else []
        return email

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Post the wish; the relay mails a link to the stored address if somebody was found."""
        credentials.ask_for_reset(self.users[0] if self.users else None)
        return str(self.cleaned_data["email"])


class ConfirmForm(library.ReauthenticateForm):  # type: ignore[misc]
    """The password once more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, password=_("Enter your password."))


class ChangeForm(library.ChangePasswordForm):  # type: ignore[misc]
    """A new password in place of the present one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, oldpassword=_("Enter your present password."), **NEW_PASSWORD)


class NewPasswordForm(library.ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password by the link in a mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _say(self, **NEW_PASSWORD)


NEW_PASSWORD = {
    "password1": _("Enter a new password."),
    "password2": _("Enter the new password once more."),
}


def _say(form: forms.Form, **missing: Any) -> None:
    """Say what to enter where a field is empty, and nothing inside a field, where it vanishes on typing."""
    for name, sentence in missing.items():
        field = form.fields[name]
        field.error_messages["required"] = sentence
        field.widget.attrs.pop("placeholder", None)
        if name in {"password", "oldpassword"}:
            # The library's link to a reset: the page has its own, in the same place on every page.
            field.help_text = ""
