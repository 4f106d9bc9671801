"""Mails about a notice of abuse: the notice itself, a reminder, and each step after it (P17-P19; pages.md, 15-18).

One event is told once. A mail names the kind and the reference; what is claimed stands on the page. After the due date
of a deletion nobody is written to: what is kept then tells nothing of itself (silence.md, S4).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import TextChoices
from django.urls import reverse

from accounts import mailing, owners
from accounts.models import Account, Contact, Correspondence
from accounts.safeguards import outbox
from disclosures import abuse_clocks
from disclosures.models import AbuseCase, AbuseNotice, Recipient

NOTICE = "disclosures/mail/abuse_notice.txt"
REMINDER = "disclosures/mail/abuse_reminder.txt"
STEP = "disclosures/mail/abuse_step.txt"
COMPLAINANT = "disclosures/mail/counter_complainant.txt"


class Step(TextChoices):
    """What happened after a notice; words for each stand in the template."""

    ACKNOWLEDGED = "acknowledged"
    REMEDIED = "remedied"
    DISAGREED = "disagreed"
    EXTENDED = "extended"
    DISPUTED = "disputed"
    DISABLED = "disabled"
    LAPSED = "lapsed"
    SUSPENDED = "suspended"
    LIFTED = "lifted"
    COUNTERED = "countered"
    FORWARDED = "forwarded"
    ADVANCED = "advanced"
    STOPPED = "stopped"
    PUT_BACK = "put_back"
    STRIKE = "strike"
    OVERRULED = "overruled"
    UPHELD = "upheld"
    ENDED = "ended"


def send(notice: AbuseNotice, account: Account, at: dt.datetime) -> UUID | None:
    """Post the notice to every owner and to the contact for abuse; return the kept copy its delivery is told by."""
    event = f"abuse-notice:{notice.reference}"
    also = _contacts(account, [Contact.Role.ABUSE])
    owners.tell(account, event, NOTICE, _context(notice, at), also=also, at=at)
    return _kept(account, event)


def send_again(notice: AbuseNotice, account: Account, at: dt.datetime) -> UUID | None:
    """Post the notice to another contact than the first time; return the kept copy, or None where there is none."""
    first = set(owners.recipients(account.pk, _contacts(account, [Contact.Role.ABUSE])).values())
    others = _contacts(account, [Contact.Role.TECHNICAL, Contact.Role.BILLING])
    second = next((address for address in others if address not in first), None)
    # The first address may be full or gone; those of the owners are tried once more where there is no other.
    second = second or next(iter(owners.recipients(account.pk).values()), None)
    if second is None or not account.may_sign_in(at):
        return None
    event = f"abuse-notice:{notice.reference}:again"
    mailing.mail(account, event, NOTICE, _context(notice, at), to=second, at=at)
    return _kept(account, event)


def remind(notice: AbuseNotice, account: Account, at: dt.datetime) -> None:
    """Post the reminder of an answer that is due; another day has another reminder."""
    if not account.may_sign_in(at):
        return
    due = notice.act_by
    event = f"abuse-reminder:{notice.reference}:{due:%Y%m%d%H%M}" if due else f"abuse-reminder:{notice.reference}"
    owners.tell(account, event, REMINDER, _context(notice, at), at=at)


def tell(notice: AbuseNotice, account: Account, step: Step, at: dt.datetime, once: object = "", **more: Any) -> None:
    """Post what happened, in the transaction in which it does; `once` tells repeats of one step apart."""
    if not account.may_sign_in(at):
        return
    event = f"abuse-step:{notice.reference}:{step.value}" + (f":{once}" if once else "")
    owners.tell(account, event, STEP, {**_context(notice, at), "step": step.value, **more}, at=at)


def tell_complainant(
    recipient: Recipient, reference: str, step: Step, at: dt.datetime, *, event: str, put_back_on: dt.date | None
) -> None:
    """Post to the complainant what becomes of a counter-notice: dates, and nothing of the customer."""
    context = {
        "reference": reference,
        "step": step.value,
        "at": at,
        "put_back_on": put_back_on,
        "page_path": "/report/",
    }
    subject, body = mailing.render(COMPLAINANT, context)
    content = {"to": str(recipient.email), "subject": subject, "body": body}
    outbox.post("mail", event, content, subject=recipient.pk, at=at)


def _context(notice: AbuseNotice, at: dt.datetime) -> dict[str, Any]:
    return {
        "reference": notice.reference,
        "kind": notice.kind,
        "at": at,
        "act_by": notice.act_by or _expected(notice, at),
        "ended_how": notice.ended_how,
        "page_path": reverse("disclosures:abuse_notice", args=[notice.reference]),
    }


def _expected(notice: AbuseNotice, at: dt.datetime) -> dt.datetime:
    """Return by when an answer is due if the mail is accepted at once; it is never due earlier than that."""
    [severity] = AbuseCase.objects.filter(pk=notice.case).values_list("severity", flat=True)
    return abuse_clocks.act_by(notice.kind, severity, at)


def _contacts(account: Account, roles: Iterable[str]) -> list[str]:
    found = Contact.objects.filter(account=account, role__in=list(roles), removed_at=None).order_by("role", "pk")
    return [contact.email for contact in found]


def _kept(account: Account, event: str) -> UUID | None:
    return Correspondence.objects.filter(account=account, event=event).values_list("pk", flat=True).first()
