"""A card number is refused everywhere, free text included (P4)."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# 13 to 19 digits (ISO/IEC 7812), single blanks or dashes between them; "+" before them means a telephone number.
# The run stands alone: identifiers in hexadecimal hold such runs by chance.
DIGITS = re.compile(r"(?<![\w+])\d(?:[ \-\u2010-\u2015\u00a0]?\d){12,18}(?!\w)")


def holds_card_number(text: str) -> bool:
    """Return whether `text` holds a run of digits that passes the Luhn check as a payment card number would."""
    return any(_passes_luhn(re.sub(r"\D", "", run)) for run in DIGITS.findall(_plain_digits(text)))


def refuse_card_number(text: str) -> None:
    """Raise ValidationError when `text` holds what looks like a card number; the message repeats none of it."""
    if holds_card_number(text):
        raise ValidationError(
            _("This looks like a card number. Take it out: card numbers are never stored here."), code="card_number"
        )


def _plain_digits(text: str) -> str:
    # Full-width and other decimal digits count as the digits they show; most texts hold none, and are many.
    if text.isascii():
        return text
    return "".join(str(int(letter)) if letter.isdecimal() else letter for letter in text)


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1
