"""What stays and what goes: holds, disputes, erasures, deletion requests, switches."""

from __future__ import annotations

from retention.models.disputes import Dispute
from retention.models.erasures import Erasure, KeptVersion, Limit, PurgeSwitch, Stage
from retention.models.holds import Hold, HoldRelease, ToldHold
from retention.models.requests import DeletionRequest

__all__ = [
    "DeletionRequest",
    "Dispute",
    "Erasure",
    "Hold",
    "HoldRelease",
    "KeptVersion",
    "Limit",
    "PurgeSwitch",
    "Stage",
    "ToldHold",
]
