"""Countries by their ISO 3166-1 alpha-2 code, for addresses (P2)."""

from __future__ import annotations

import iso3166
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

NAMES: dict[str, str] = {country.alpha2: country.apolitical_name for country in iso3166.countries}


def choices() -> list[tuple[str, str]]:
    """Return (code, name) of every country, by name."""
    return sorted(NAMES.items(), key=lambda country: country[1])


def clean_country(code: str) -> str:
    """Return a code in capitals; raise ValidationError for one that names no country."""
    code = code.strip().upper()
    if code not in NAMES:
        raise ValidationError(_("Choose a country from the list."), code="country")
    return code
