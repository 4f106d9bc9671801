"""The agent whom we named to the Copyright Office for notices of infringement (17 USC 512(c)(2), 37 CFR 201.38)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

# A designation lapses when it is not renewed in time (37 CFR 201.38(c)(4)); staff are told so long before.
REMIND = dt.timedelta(days=60)


@dataclass(frozen=True)
class Agent:
    """What the page shows: the agent's own details, and by when the designation is to be renewed."""

    name: str
    organisation: str
    address: str
    phone: str
    email: str
    registration: str
    renew_by: dt.date

    def is_past(self, on: dt.date) -> bool:
        """Return whether the designation has ended by the end of the day before `on`."""
        return on > self.renew_by

    def is_to_be_renewed(self, on: dt.date) -> bool:
        """Return whether staff see to the renewal by now, or it is late."""
        return on >= self.renew_by - REMIND


def agent() -> Agent | None:
    """Return the designated agent of the settings; None where nobody is named."""
    given = settings.COPYRIGHT_AGENT
    if not given:
        return None
    texts = {name: text for name, text in given.items() if name != "renew_by"}
    return Agent(**texts, renew_by=dt.date.fromisoformat(given["renew_by"]))
