"""What a browser calls itself, in words a person knows: "Firefox on Windows"."""

from __future__ import annotations

import ua_parser
from django.utils.translation import gettext as _


def families(user_agent: str | None) -> tuple[str, str]:
    """Return (browser, operating system) as families without versions, "" for what is not known."""
    if not user_agent:
        return "", ""
    found = ua_parser.parse(user_agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return browser, system


def label(user_agent: str | None) -> str:
    """Return browser and operating system in words."""
    browser, system = families(user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("Unknown browser")
