"""Telephone numbers: stored as E.164 (ITU-T), shown with their country code and blanks (P2).

A number without a country code is one of the country its contact's address lies in. Whether somebody answers it is
not asked: numbers that are possible there pass, so that new ranges and documentation numbers do.
"""

from __future__ import annotations

import phonenumbers
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from phonenumbers import PhoneNumberFormat

from accounts.safeguards.cards import refuse_card_number

USUAL_COUNTRY = "US"


def clean_phone(text: str | None, country: str | None = None) -> str | None:
    """Return a number as E.164, nothing for nothing; raise ValidationError for what is no telephone number."""
    if not text or not text.strip():
        return None
    refuse_card_number(text)
    try:
        number = phonenumbers.parse(text.strip(), (country or USUAL_COUNTRY).upper())
    except phonenumbers.NumberParseException:
        raise _refusal() from None
    if number.extension or not phonenumbers.is_possible_number(number):
        raise _refusal()
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def shown_phone(number: str | None) -> str:
    """Return a stored number as people write it, "+1 312-555-0142"; one that is no E.164 as it is."""
    if not number:
        return ""
    try:
        return phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return number


def _refusal() -> ValidationError:
    return ValidationError(
        _("Enter a telephone number with its country code and no extension, for example +1 312 555 0142."),
        code="phone",
    )
