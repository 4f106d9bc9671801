"""Ledger, outbox, destruction orders, heartbeats, idempotency records: UUIDs only, no foreign keys to other models."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.keys.identifiers import uuid7
from accounts.safeguards.fields import SealedJSON


class LedgerEntry(models.Model):
    """One thing that was done. Written by `ledger.record` only; nobody changes or deletes one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    actor = models.CharField(max_length=60)
    action = models.CharField(max_length=60)
    subject = models.UUIDField(null=True)
    body = models.TextField()
    salt = models.BinaryField(max_length=16)
    leaf = models.BinaryField(max_length=32)

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [
            # the timeline of one subject
            models.Index(fields=["subject", "at"], name="ledger_by_subject"),
            # the auditor's list, newest first
            models.Index(fields=["-at"], name="ledger_by_time"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Delivery(models.TextChoices):
    """Where an outbox row stands."""

    QUEUED = "queued", "queued"
    SENT = "sent", "sent"
    EXPIRED = "expired", "expired"


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    """Facts about many outbox rows."""

    def due(self, at: dt.datetime | None = None) -> OutboxQuerySet:
        """Rows to carry out at `at`: queued, not withheld, not claimed a moment ago."""
        at = at or timezone.now()
        return self.filter(state=Delivery.QUEUED, due_at__lte=at).filter(Q(retry_at=None) | Q(retry_at__lte=at))


class OutboxMessage(models.Model):
    """One effect outside the database, written in the business transaction and carried out by the relay."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20)
    # What happened, by ids, e.g. "deletion:<uuid>:received": one event, one row, one Message-ID.
    event = models.CharField(max_length=120, unique=True)
    subject = models.UUIDField(null=True)
    # Under this row's own key: address, subject and text of a mail that waits (named exception of the data map).
    content = SealedJSON(null=True, refuses_cards=False)
    # The stored copy the customer reads, told when this row was sent.
    copy = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=Delivery, default=Delivery.QUEUED)
    created_at = models.DateTimeField()
    # Empty while withheld: a "done" mail waits for the verification.
    due_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=80, blank=True)
    ended_at = models.DateTimeField(null=True)
    # The transaction that ended it, set by its trigger: the key goes in a later one only.
    ended_xid = models.BigIntegerField(null=True, editable=False)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=Delivery.values), name="outbox_state_is_known"),
            models.CheckConstraint(
                condition=Q(state=Delivery.QUEUED, ended_at=None)
                | (~Q(state=Delivery.QUEUED) & Q(ended_at__isnull=False, content=None)),
                name="outbox_ended_has_time_and_no_content",
            ),
        ]
        indexes = [
            # the relay's claim
            models.Index(fields=["due_at"], condition=Q(state="queued"), name="outbox_queued"),
            models.Index(fields=["subject"], name="outbox_by_subject"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def key_place(self) -> tuple[UUID, str]:
        """A mail is a subject of its own: its key goes when it was sent, or after seven days."""
        return self.id, "mail"


class DestructionOrder(models.Model):
    """Data keys of one subject that are to be destroyed; obeyed only in a later transaction than what made them due."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.UUIDField()
    categories = ArrayField(models.CharField(max_length=32))
    made_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "categories"], name="destruction_ordered_once")]
        indexes = [models.Index(fields=["made_at"], condition=Q(done_at=None), name="destruction_pending")]

    def __str__(self) -> str:
        return str(self.id)


class DestructionSecret(models.Model):
    """The main database's half of the shared secret, as HMAC pads; no runtime role can read it."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    inner_pad = models.BinaryField()
    outer_pad = models.BinaryField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="destruction_secret_is_one_row")]

    def __str__(self) -> str:
        return "destruction secret"


class Heartbeat(models.Model):
    """When a kind of process last did its round; a row, so that Redis holds nothing worth searching."""

    name = models.CharField(primary_key=True, max_length=40)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def beat(cls, name: str, at: dt.datetime | None = None) -> None:
        """Note that `name` is alive."""
        cls.objects.update_or_create(name=name, defaults={"at": at or timezone.now()})


class IdempotencyRecord(models.Model):
    """The answer to a write that carried an Idempotency-Key, so that a repeat gets the same one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    caller = models.UUIDField()
    key = models.CharField(max_length=255)
    body_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    answer: Any = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(F("caller"), F("key"), name="idempotency_key_once_per_caller")]

    def __str__(self) -> str:
        return str(self.id)
