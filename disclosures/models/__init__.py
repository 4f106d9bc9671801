"""What leaves the company, and why it may: recipients, consent, legal requests, reviewed disclosures, open figures."""

from __future__ import annotations

from disclosures.models.abuse_notices import AbuseNotice, AbuseNoticeItem, CounterNotice, Strike
from disclosures.models.cases import (
    ELEMENTS,
    AbuseCase,
    AbuseReport,
    CaseCopy,
    CaseFinding,
    CaseKind,
    CaseNote,
    CaseOutcome,
    Finding,
    Severity,
)
from disclosures.models.consents import Channel, ConsentGrant, ConsentPurpose
from disclosures.models.disclosures import (
    Approval,
    Basis,
    Compulsion,
    Delivery,
    Disclosure,
    Incident,
    Packet,
    PacketPart,
    Stage,
    ToldDisclosure,
)
from disclosures.models.figures import AggregateTable, TransparencyTable
from disclosures.models.legal import (
    Check,
    Instrument,
    LegalCheck,
    LegalDocument,
    LegalLetter,
    LegalNote,
    LegalNotice,
    LegalRequest,
    Outcome,
    Silence,
    Sought,
    ToldNotice,
)
from disclosures.models.notices import NoticeChallenge, NoticeCopy
from disclosures.models.recipients import Recipient

__all__ = [
    "ELEMENTS",
    "AbuseCase",
    "AbuseNotice",
    "AbuseNoticeItem",
    "AbuseReport",
    "CaseCopy",
    "CaseFinding",
    "CaseKind",
    "CaseNote",
    "CaseOutcome",
    "Finding",
    "Severity",
    "AggregateTable",
    "Approval",
    "Basis",
    "Channel",
    "Check",
    "Compulsion",
    "ConsentGrant",
    "ConsentPurpose",
    "CounterNotice",
    "Delivery",
    "Disclosure",
    "Incident",
    "Instrument",
    "LegalCheck",
    "LegalDocument",
    "LegalLetter",
    "LegalNote",
    "LegalNotice",
    "LegalRequest",
    "NoticeChallenge",
    "NoticeCopy",
    "Outcome",
    "Packet",
    "PacketPart",
    "Recipient",
    "Silence",
    "Sought",
    "Stage",
    "Strike",
    "ToldDisclosure",
    "ToldNotice",
    "TransparencyTable",
]
