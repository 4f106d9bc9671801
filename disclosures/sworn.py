"""What whoever signs a counter-notice states (17 USC 512(g)(3)): in full, in English, which is the binding language.

A signed counter-notice names the version it was signed with; an older version stays here as long as one names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CURRENT = "2026-11-27"
_PERJURY = (
    "I swear, under penalty of perjury, that I have a good faith belief that the material was removed or disabled as a "
    "result of mistake or misidentification of the material to be removed or disabled."
)
_SERVICE = (
    "I will accept service of process from the person who provided notification under 17 USC 512(c)(1)(C) or an agent "
    "of such person."
)
_IN_US = (
    "I consent to the jurisdiction of the Federal District Court for the judicial district in which my address "
    "is located."
)
# 17 USC 512(g)(3)(D): for an address outside the United States.
_OUTSIDE_US = (
    "My address is outside of the United States. I consent to the jurisdiction of the Federal District Court for any "
    "judicial district in which the service provider may be found."
)
_TEXTS: Mapping[str, Mapping[bool, tuple[str, ...]]] = MappingProxyType(
    {CURRENT: {False: (_PERJURY, _IN_US, _SERVICE), True: (_PERJURY, _OUTSIDE_US, _SERVICE)}}
)


def statements(version: str, *, is_outside_us: bool) -> tuple[str, ...]:
    """Return the sworn statements of a version, for an address in the United States or outside."""
    return _TEXTS[version][is_outside_us]
