"""Mail that comes in for the abuse desk: a notice of ours that came back, or a report (P17; law-and-timers.md).

Whatever is no bounce of a notice becomes a report in a case. A bounce names the mail it returns by its Message-ID,
which holds the id of the outbox row; where that was a notice, its clock stops and a second contact is written to.
"""

from __future__ import annotations

import re
from uuid import UUID

from accounts.errors import NotActionable
from accounts.safeguards.models import OutboxMessage
from disclosures import notifying, reporting
from disclosures.models import AbuseNotice, AbuseReport
from disclosures.reports import reading
from disclosures.reports.shape import Format

# RFC 3464: the fields of the report, then the headers of the message that came back.
FAILED = re.compile(rb"^Action:\s*failed\b", re.IGNORECASE | re.MULTILINE)
RETURNED = re.compile(rb"^Message-ID:\s*<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@", re.IGNORECASE | re.MULTILINE)
LOOKED_AT = 1024 * 1024


def take(raw: bytes) -> list[reporting.Taken]:
    """Take one message in; return the cases it belongs to, none where it was a notice of ours that came back."""
    report = reading.read(raw)
    if report.format == Format.DELIVERY_STATUS and _came_back(raw[:LOOKED_AT]):
        return []
    return reporting.take_in(raw, channel=AbuseReport.Channel.MAIL, report=report)


def _came_back(raw: bytes) -> bool:
    """Note that a notice of ours came back; return whether the message is a bounce of one."""
    if not FAILED.search(raw):
        return False
    ids = [UUID(found.decode()) for found in RETURNED.findall(raw)]
    letters = OutboxMessage.objects.filter(pk__in=ids, kind="mail", copy__isnull=False).values("copy")
    notice = AbuseNotice.objects.filter(letter__in=letters).first()
    if notice is None:
        return False
    try:
        notifying.came_back(notice.pk)
    except NotActionable:
        # It was answered, ended or came back before: the bounce tells nothing new.
        return True
    return True
