"""What the headers of a mail say: who sent it, whom to answer, and whether a machine did."""

from __future__ import annotations

import re
from email.message import Message
from email.utils import parseaddr

from disclosures.reports.message import (
    every_header,
    header,
)
from disclosures.reports.shape import Mail, Party
from disclosures.reports.values import (
    Problems,
    domain_name,
    email_address,
    line,
    moment,
)

MESSAGE_ID = re.compile(r"<?([^\s<>]{1,500})>?")
SYSTEM_SENDERS = ("mailer-daemon", "postmaster", "no-reply", "noreply", "do-not-reply", "donotreply")
LISTS = ("List-Id", "List-Post", "List-Unsubscribe", "List-Help", "X-Autoreply", "X-Autorespond", "X-Auto-Reply-From")


def mail_of(headers: Message, problems: Problems) -> Mail:
    sender = _sender(header(headers, "From"))
    reply = email_address(header(headers, "Reply-To")) or sender.email
    sent = header(headers, "Date")
    return Mail(
        message_id=_identifier(header(headers, "Message-ID")),
        subject=header(headers, "Subject"),
        sent_from=sender,
        reply_address=reply,
        sent_at=moment(sent, problems, "Date"),
        references=tuple(
            dict.fromkeys(
                _identifier(name)
                for field in ("In-Reply-To", "References")
                for name in header(headers, field).split()[:50]
                if _identifier(name)
            )
        ),
        is_automatic=is_automatic(headers),
        headers=every_header(headers),
    )


def _identifier(text: str) -> str:
    match = MESSAGE_ID.match(text)
    return match.group(1) if match else ""


def _sender(text: str) -> Party:
    email = email_address(text)
    try:
        name = parseaddr(text[:1000])[0]
    except (ValueError, TypeError, IndexError, AttributeError):
        name = ""
    return Party(organisation=line(name), email=email, domain=domain_name(email.rpartition("@")[2]))


def is_automatic(headers: Message) -> bool:
    """Whether a machine sent it, so that no reply may be sent (RFC 3834): a reply could go round for ever."""
    submitted = header(headers, "Auto-Submitted").lower()
    suppressed = header(headers, "X-Auto-Response-Suppress").lower()
    precedence = header(headers, "Precedence").lower()
    sender = email_address(header(headers, "From")).partition("@")[0].lower()
    return (
        (submitted != "" and not submitted.startswith("no"))
        or precedence in ("bulk", "junk", "list", "auto_reply")
        or suppressed not in ("", "none")
        or header(headers, "Return-Path").replace(" ", "") == "<>"
        or any(header(headers, name) for name in LISTS)
        or sender in SYSTEM_SENDERS
        or _is_report_type(headers, "delivery-status")
    )


def _is_report_type(headers: Message, kind: str) -> bool:
    said = header(headers, "Content-Type").lower()
    return "multipart/report" in said and kind in said
