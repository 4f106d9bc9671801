"""Networks a token may be used from, in CIDR notation. No network means anywhere.

A network is given with its own address ("203.0.113.0/24"): one with bits beyond its length is refused, because its
writer meant something else than it says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MOST = 20
LONGEST = 50


def clean_networks(texts: Iterable[str]) -> list[str]:
    """Return networks in their short form, each once; raise ValidationError for what is none or too many."""
    found: list[str] = []
    for text in texts:
        words = text.strip()
        if not words:
            continue
        network = str(_network(words))
        if network not in found:
            found.append(network)
    if len(found) > MOST:
        raise ValidationError(_("Give at most %(most)s networks."), code="most", params={"most": MOST})
    return found


def reaches(networks: Iterable[str] | None, address: str | None) -> bool:
    """Return whether an address lies in one of the networks; nowhere to look is everywhere, no address is nowhere."""
    wanted = list(networks or ())
    if not wanted:
        return True
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    # A server that listens on both protocols sees an IPv4 caller as ::ffff:203.0.113.7.
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in ipaddress.ip_network(network) for network in wanted)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if len(text) > LONGEST or not text.isascii():
            raise ValueError
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValidationError(
            _("Write each network like 203.0.113.0/24 or 2001:db8::/32, an address alone for one machine."),
            code="network",
        ) from None
