"""The words a customer agrees to, in versions: what was agreed to is stored with its version and hash (P20).

Another wording is another version here; what was given under an older one keeps its own words.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.datamap import Category
from disclosures.models import ConsentPurpose, Recipient

VERSION = "2026-11-01"


@dataclass(frozen=True)
class Words:
    """What is shown and agreed to."""

    version: str
    text: str

    @property
    def sha256(self) -> bytes:
        """Return the hash of the words."""
        return hashlib.sha256(self.text.encode()).digest()


def of(purpose: str, recipient: Recipient | None, categories: Iterable[str], until: dt.date) -> Words:
    """Return the words of a consent as they are shown and kept."""
    kinds = ", ".join(str(Category(name).label) for name in Category.values if name in set(categories))
    if purpose == ConsentPurpose.MARKETING:
        lines = [_("You agree that we send you news and offers of our own by e-mail.")]
    else:
        lines = [
            _("You agree that we give data of yours to %(name)s.") % {"name": recipient.name if recipient else ""},
            _("They get only the kinds named here, for no payment, and each time two of our people check it first."),
        ]
    lines += [
        _("Kinds of data: %(kinds)s.") % {"kinds": kinds},
        _("This holds until %(until)s. You can take it back at any time, at once, without giving a reason.")
        % {"until": until.isoformat()},
        _("What was given before you take it back cannot be called back."),
    ]
    return Words(VERSION, "\n".join(str(line) for line in lines))
