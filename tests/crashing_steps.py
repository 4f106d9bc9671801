"""The steps at which `tests.crashing_worker` can be told to die, in the order in which a ring and a relay take them."""

from __future__ import annotations

RING = ("end_sign_in", "end_passed", "_settle_agreements", "claimed", "deleted", "settled", "erase")
KEYS = ("destroy", "_note_unreachable", "verify", "_finish")
SEND = ("_claim", "_send", "_end")

RING_STEPS = tuple(f"{side} {name}" for name in (*RING, *KEYS) for side in ("before", "after"))
SEND_STEPS = tuple(f"{side} {name}" for name in SEND for side in ("before", "after"))
