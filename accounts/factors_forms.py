"""The forms of second factors: codes, passkeys, their names. What cannot be read is refused, never an error page."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as base
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.safeguards.cards import refuse_card_number
from accounts.signing_in import may_sign_in

LONGEST_CODE = 20
LONGEST_NAME = 60
LONGEST_CREDENTIAL = 20_000
MOST_PASSKEYS = 20
# What the libraries below raise for bytes that are no signature, no key or no answer to the question asked.
UNREADABLE = (AttributeError, TypeError, ValueError, LookupError, struct.error, InvalidSignature, UnsupportedAlgorithm)


def passkey_name(**given: Any) -> forms.CharField:
    """Return the field of a passkey's name."""
    missing = {"required": _("Give the passkey a name.")}
    return forms.CharField(
        label=_("Name of the passkey"),
        max_length=LONGEST_NAME,
        validators=[refuse_card_number],
        error_messages=missing,
        **given,
    )


class CodeForm(base.AuthenticateForm):  # type: ignore[misc]
    """The code of an app or a recovery code, at sign-in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self)


class ConfirmCodeForm(base.ReauthenticateForm):  # type: ignore[misc]
    """A code once more, before a sensitive step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self)


class AppForm(totp.ActivateTOTPForm):  # type: ignore[misc]
    """The first code of a new app: it shows that the app has the secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self)


class PasskeyForm(webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey: one that signs in by itself, so the device must have checked its owner."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["passwordless"]
        self.fields["name"] = passkey_name(required=False)
        _ask_for_a_passkey(self)

    def clean(self) -> dict[str, Any]:
        """Return what was given; the library reads from it that the owner must have been checked."""
        if Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN).count() >= MOST_PASSKEYS:
            raise ValidationError(_("You have as many passkeys as we keep. Remove one first."))
        if "credential" not in self.cleaned_data:
            return dict(self.cleaned_data)
        self.cleaned_data["passwordless"] = True
        with refusing(self.cleaned_data["credential"]):
            cleaned: dict[str, Any] = super().clean()
        return cleaned


class PasskeyNameForm(webauthn.EditWebAuthnForm):  # type: ignore[misc]
    """Another name for a passkey."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = passkey_name()


class Answering(forms.Form):
    """A passkey's answer: whatever cannot be read or does not match is refused in the same words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_passkey(self)

    def clean_credential(self) -> Authenticator:
        """Return the passkey that answered; its owner may sign in now."""
        with refusing(self.cleaned_data["credential"]):
            authenticator: Authenticator = super().clean_credential()  # type: ignore[misc]
        if not may_sign_in(authenticator.user):
            raise get_adapter().validation_error("incorrect_code")
        return authenticator


class PasskeySignInForm(Answering, webauthn.LoginWebAuthnForm):  # type: ignore[misc]
    """Signing in by passkey alone."""


class PasskeyStepForm(Answering, webauthn.AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey after the password."""


class ConfirmPasskeyForm(Answering, webauthn.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey once more, before a sensitive step."""


@contextmanager
def refusing(credential: object) -> Iterator[None]:
    """Turn whatever the libraries say of an unreadable answer into one refusal."""
    refusal: ValidationError = get_adapter().validation_error("incorrect_code")
    if not isinstance(credential, dict) or len(str(credential)) > LONGEST_CREDENTIAL:
        raise refusal
    try:
        yield
    except ValidationError as error:
        # The library's own words for limits stay; Django's for a malformed id would show it.
        raise error if getattr(error, "code", "") in {"too_many_login_attempts", "rate_limited"} else refusal from None
    except UNREADABLE:
        raise refusal from None


def _ask_for_a_code(form: forms.Form) -> None:
    field = forms.CharField(
        label=_("Code"),
        max_length=LONGEST_CODE,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
        error_messages={
            "required": _("Enter the code."),
            "max_length": _("A code has no more than 20 characters."),
        },
    )
    form.fields["code"] = field


def _ask_for_a_passkey(form: forms.Form) -> None:
    form.fields["credential"].error_messages.update(
        required=_("Your browser did not answer with a passkey. Try again."),
        invalid=_("Your browser did not answer with a passkey. Try again."),
    )
