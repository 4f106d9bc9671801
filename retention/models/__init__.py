"""What stays and what goes: holds, disputes, erasures, deletion and privacy requests, switches."""

from __future__ import annotations

from retention.models.disputes import Dispute
from retention.models.erasures import Erasure, KeptVersion, Limit, PurgeSwitch, Stage
from retention.models.holds import Hold, HoldRelease, ToldHold
from retention.models.privacy import PrivacyRequest, RequestMessage
from retention.models.requests import DeletionRequest

__all__ = [
    "DeletionRequest",
    "Dispute",
    "Erasure",
    "Hold",
    "HoldRelease",
    "KeptVersion",
    "Limit",
    "PrivacyRequest",
    "PurgeSwitch",
    "RequestMessage",
    "Stage",
    "ToldHold",
]
