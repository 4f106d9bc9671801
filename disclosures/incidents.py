"""A release that was a mistake cannot be called back: it becomes an incident with its own clock (815 ILCS 530).

Who may: legal and the privacy officer. The recipient is asked to destroy what it got, the customer is told, and the
authority where the law asks for it; each is recorded with its time, and the incident closes when all that applies is.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from disclosures.models import Disclosure, Incident, Stage
from disclosures.refusing import locked, refuse_without
from retention import schedule

RECORD = "disclosures.record_incident"
STEPS = {
    "recall": ("recall_asked_at", "the recipient was asked to destroy it"),
    "customer": ("customer_told_at", "the customer was told"),
    "authority": ("authority_told_at", "the authority was told"),
}


def record(disclosure_id: UUID, *, what: str, by: User, at: dt.datetime | None = None) -> Incident:
    """Record that a release was a mistake and return the incident, with the date by which to act."""
    at = at or timezone.now()
    refuse_without(by, RECORD)
    with keyring(), transaction.atomic(durable=True):
        disclosure: Disclosure = locked(disclosure_id)
        if disclosure.state not in {Stage.RELEASED, Stage.DELIVERED}:
            raise NotActionable(f"Disclosure {disclosure.reference} was not released: withdraw it instead.")
        made = Incident.objects.create(
            disclosure=disclosure, what=what, found_by=by.pk, found_at=at, act_by=at + schedule.span("incident")
        )
        ledger.record(by.actor, "incident.recorded", disclosure.pk, at=at, incident=made.pk)
    return made


def note(incident_id: UUID, step: str, *, by: User, at: dt.datetime | None = None) -> Incident:
    """Record a step of an open incident ("recall", "customer", "authority") and return it; what is recorded stays."""
    at = at or timezone.now()
    refuse_without(by, RECORD)
    if step not in STEPS:
        raise NotActionable(f"An incident has these steps: {', '.join(STEPS)}.")
    column = STEPS[step][0]
    with keyring(), transaction.atomic(durable=True):
        incident = _open(incident_id)
        if getattr(incident, column) is None:
            setattr(incident, column, at)
            incident.save(update_fields=[column])
            ledger.record(by.actor, "incident.noted", incident.disclosure_id, at=at, incident=incident.pk, step=step)
    return incident


def close(incident_id: UUID, *, closing_note: str, by: User, at: dt.datetime | None = None) -> Incident:
    """Close an incident once the recipient was asked and the customer told, or the note says why not."""
    at = at or timezone.now()
    refuse_without(by, RECORD)
    with keyring(), transaction.atomic(durable=True):
        incident = _open(incident_id)
        missing = [
            words for step, (column, words) in STEPS.items() if step != "authority" and not getattr(incident, column)
        ]
        if missing and not closing_note.strip():
            raise NotActionable(f"It is not recorded that {missing[0]}. Record it, or say why not.")
        incident.closed_at, incident.closed_by, incident.closing_note = at, by.pk, closing_note or None
        incident.save(update_fields=["closed_at", "closed_by", "closing_note"])
        ledger.record(by.actor, "incident.closed", incident.disclosure_id, at=at, incident=incident.pk)
    return incident


def _open(incident_id: UUID) -> Incident:
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    if incident.closed_at is not None:
        raise NotActionable(f"Incident {incident.reference} is closed. Record another one if there is more.")
    return incident
