"""The parts of a legal request's page in the admin."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import account_link
from accounts.admin_base import Eyes, Section
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment
from disclosures import answering, checking
from disclosures.models import LegalDocument, LegalLetter, LegalNotice, LegalRequest, Silence
from retention import sight
from retention.models import Hold

DAY = dt.timedelta(days=1)
# What happened, as the timeline says it; what is not named here is said as the ledger has it.
EVENTS = {
    "legal.received": "received",
    "legal.sought": "person searched",
    "legal.sought-decided": "person decided",
    "legal.nothing-left": "nothing left to hold",
    "legal.lookalike": "look-alike sender",
    "legal.document-added": "document added",
    "legal.document-scanned": "document scanned",
    "legal.document-opened": "document downloaded",
    "legal.completed": "completed",
    "legal.checked": "checked",
    "legal.verified": "verified",
    "legal.narrowed": "narrowed",
    "legal.assigned": "assigned",
    "legal.noted": "note written",
    "legal.more-time": "more time agreed",
    "legal.objected": "objection",
    "legal.objection-ended": "objection ended",
    "legal.letter-made": "letter drafted",
    "legal.letter-sent": "letter sent",
    "legal.renewal-asked": "renewal asked for",
    "legal.renewed": "preservation renewed",
    "legal.provisional-ended": "provisional hold ended",
    "legal.closed": "closed",
    "viewed": "looked at",
}


def days_left(request: LegalRequest, at: dt.datetime) -> str:
    """Return how many days are left until an answer is due, or that it is overdue."""
    if request.closed_at is not None:
        return "ended"
    due = request.agreed_due_at or request.due_at
    if due is None:
        return "no date"
    left = (due - at) // DAY
    return f"{left} days" if left >= 0 else f"overdue by {-left} days"


def status(request: LegalRequest) -> str:
    """Return how a request stands, in a word or two."""
    if request.closed_at is not None:
        return request.get_outcome_display()
    if request.objected_at is not None and request.objection_ended_at is None:
        return "objection stands"
    if request.verified_at is not None:
        return "verified"
    return "draft" if request.missing else "to verify"


def standing(eyes: Eyes, record: LegalRequest) -> Section:
    """Return the facts of a request, with its clocks."""
    now, clock = timezone.now(), answering.objection_clock(record)
    recipient = record.recipient
    facts = [
        ("Reference", record.reference),
        ("Instrument", record.get_instrument_display()),
        ("Comes from", "a government body" if record.is_governmental else "a private party"),
        ("Registered as", f"{recipient.name} ({recipient.reference})" if recipient else "not known yet"),
        *eyes.facts(record),
        ("Jurisdiction", record.jurisdiction or "none"),
        ("Served", format_html("{}, {}", moment(record.served_at), record.get_served_how_display())),
        ("Received", _when(eyes, record.received_at, record.received_by)),
        ("Due", moment(record.due_at) or "no date"),
        ("Agreed date", moment(record.agreed_due_at) or "none"),
        ("Days left", days_left(record, now)),
        (
            "Objection in time until",
            format_html("{}: {}", moment(clock.until), clock.why) if clock else "no such clock",
        ),
        ("Objection", _when(eyes, record.objected_at, record.objected_by)),
        ("Objection ended", _when(eyes, record.objection_ended_at, record.objection_ended_by)),
        ("Asks for", sight.category_names(record.categories) or "nothing named"),
        ("Of the time from", moment(record.period_from) or "the beginning"),
        ("Of the time until", moment(record.period_to) or "without end"),
        ("Preservation letter before it", record.preserved_by.reference if record.preserved_by else "none"),
        ("Still lacks", ", ".join(record.missing) or "nothing"),
        ("Status", status(record)),
        ("Verified", _when(eyes, record.verified_at, record.verified_by)),
        ("Assigned to", eyes.who(record.assigned_to) if record.assigned_to else "nobody"),
        ("Closed", _when(eyes, record.closed_at, record.closed_by)),
    ]
    return Section("Request", facts=facts)


def persons(eyes: Eyes, record: LegalRequest) -> Section:
    """Return whom it seeks and what was found."""
    rows = [
        (
            row.get_kind_display(),
            eyes.on(row, "value"),
            moment(row.moment) or "",
            row.get_found_display(),
            account_link(row) if row.account else "",
            eyes.who(row.decided_by),
        )
        for row in record.sought.select_related("account").order_by("pk")
    ]
    return Section("Whom it seeks", head=("By", "Named as", "At", "Found", "Account", "Decided by"), rows=rows)


def checklist(eyes: Eyes, record: LegalRequest) -> Section:
    """Return every check the request needs, and what was said of it last."""
    found, rows = checking.newest(record), []
    for item in checking.needed(record):
        row = found.get(item)
        if row is None:
            rows.append((item.label, "not yet", "", "", ""))
        else:
            met = "yes" if row.is_met else "no"
            rows.append((item.label, met, eyes.who(row.checked_by), moment(row.checked_at), eyes.on(row, "note")))
    return Section("Checklist", head=("Check", "Met", "By", "When", "Note"), rows=rows)


def on_file(eyes: Eyes, record: LegalRequest) -> Section:
    """Return the addresses a letter is checked against."""
    recipient = record.recipient
    if recipient is None:
        return Section("On file", empty="No authority is registered for this request yet.")
    own = [("Name", recipient.name), ("Verified by", recipient.verified_how)]
    return Section("On file", facts=[*own, *eyes.facts(recipient)])


def documents(eyes: Eyes, record: LegalRequest) -> Section:
    """Return the documents: a link to the download of those that may be had, and why not for the others."""
    rows = []
    for row in LegalDocument.objects.filter(request=record).defer("content").order_by("added_at", "pk"):
        state = f"{row.get_state_display()}: {row.why}" if row.why else row.get_state_display()
        name: Any = eyes.on(row, "name")
        if row.state != LegalDocument.State.UNSCANNED:
            name = format_html(
                '<a href="{}">{}</a>', reverse("admin:disclosures_legaldocument_file", args=[row.pk]), name
            )
        copy = "for the customer" if row.is_for_customer else ""
        rows.append((name, filesizeformat(row.size), state, row.sha256, copy, moment(row.added_at)))
    return Section("Documents", head=("Download", "Size", "State", "SHA-256", "Copy", "Added"), rows=rows)


def holds(eyes: Eyes, record: LegalRequest) -> Section:
    """Return what the request holds, and held."""
    room: Any = admin.site.get_model_admin(Hold)
    rows = [
        (
            format_html('<a href="{}">{}</a>', room.url_of(row), sight.reason(row)),
            account_link(row),
            sight.category_names(row.categories) or "everything",
            moment(row.placed_at),
            moment(row.ends_at) or "no",
            moment(row.released_at) or "no",
        )
        for row in Hold.objects.filter(cause=record.pk).select_related("account").order_by("placed_at", "pk")
    ]
    head = ("Kind", "Account", "Covers", "Placed", "Ends by itself", "Released")
    return Section("Holds", head=head, rows=rows)


def silence(eyes: Eyes, record: LegalRequest) -> Section:
    """Return the orders of silence."""
    rows = [
        (
            row.get_ground_display(),
            moment(row.starts_at),
            moment(row.ends_at) or "",
            moment(row.review_by) or "",
            moment(row.lifted_at) or "no",
        )
        for row in Silence.objects.filter(request=record).order_by("starts_at", "pk")
    ]
    head = ("Ground", "From", "Until", "Review by", "Lifted")
    return Section("Silence", head=head, rows=rows, empty="No order of silence is recorded.")


def notices(eyes: Eyes, record: LegalRequest) -> Section:
    """Return what the customers are owed and were told."""
    rows = [
        (
            row.reference,
            account_link(row),
            moment(row.owed_since),
            moment(row.sent_at) or "not yet",
            moment(row.release_from),
        )
        for row in LegalNotice.objects.filter(request=record).select_related("account").order_by("owed_since", "pk")
    ]
    head = ("Reference", "Account", "Owed since", "Sent", "Nothing leaves before")
    return Section("Notices", head=head, rows=rows, empty="None is owed.")


def letters(eyes: Eyes, record: LegalRequest) -> Section:
    """Return the letters, each as a link."""
    rows = [
        (
            format_html(
                '<a href="{}">{}</a>',
                reverse("admin:disclosures_legalletter_change", args=[row.pk]),
                row.get_kind_display(),
            ),
            moment(row.made_at),
            eyes.who(row.made_by),
            moment(row.sent_at) or "draft",
        )
        for row in LegalLetter.objects.filter(request=record).order_by("made_at", "pk")
    ]
    return Section("Letters", head=("Letter", "Made", "By", "Sent"), rows=rows)


def letter(eyes: Eyes, record: LegalLetter) -> Section:
    """Return a letter in full."""
    facts = [
        ("Letter", record.get_kind_display()),
        ("Request", record.request.reference),
        ("Made", _when(eyes, record.made_at, record.made_by)),
        ("Sent", _when(eyes, record.sent_at, record.sent_by)),
    ]
    return Section("Letter", facts=[*facts, *eyes.facts(record)])


def notes(eyes: Eyes, record: LegalRequest) -> Section:
    """Return what colleagues wrote."""
    rows = [
        (moment(row.written_at), eyes.who(row.written_by), eyes.on(row, "text"))
        for row in record.notes.order_by("written_at", "pk")
    ]
    return Section("Notes", head=("When", "By", "Note"), rows=rows)


def timeline(eyes: Eyes, record: LegalRequest) -> Section:
    """Return all that happened to the request, as the ledger has it."""
    entries = LedgerEntry.objects.filter(subject=record.pk).order_by("at", "pk")
    rows = [(moment(row.at), EVENTS.get(row.action, row.action), eyes.who(row.actor)) for row in entries]
    return Section("Timeline", head=("When", "What", "By"), rows=rows)


def _when(eyes: Eyes, at: dt.datetime | None, by: Any) -> Any:
    return format_html("{} by {}", moment(at), eyes.who(by)) if at else "no"
