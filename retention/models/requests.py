"""Deletion requests: what the customer asked for, with a reference, a code and a conversation (P23)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Ends, Personal, Purpose
from accounts.keys.identifiers import reference, uuid7
from accounts.models import Account


def _reference() -> str:
    return reference("DEL")


class DeletionRequestQuerySet(models.QuerySet["DeletionRequest"]):
    """Facts about many requests."""

    def open(self) -> DeletionRequestQuerySet:
        """Neither cancelled nor finished."""
        return self.filter(cancelled_at=None, finished_at=None)


class DeletionRequest(models.Model):
    """One request to delete an account. Its state, reasons and waiting are derived, not stored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_reference)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="deletion_requests")
    # Ids, not foreign keys: user and ticket are erased, the request stays.
    user = models.UUIDField()
    ticket = models.UUIDField()
    # The form's own token: a double submit makes one request.
    submission = models.UUIDField(unique=True)
    # A lasting, read-only capability in the mail; hashed here, ends some months after the end (schedule, "code").
    code_digest = models.BinaryField(max_length=32)
    requested_at = models.DateTimeField()
    due_at = models.DateTimeField()
    # What the page showed when the customer confirmed, per category.
    counts: Any = models.JSONField(default=dict)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = DeletionRequestQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.IDENTITY,
        label="Deletion request",
        time="requested_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={},
        plain={"reference": "random", "code_digest": "a hash of random bytes", "counts": "numbers per category"},
        ends=Ends.KEY,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(cancelled_at=None, finished_at=None),
                name="deletion_request_one_open_per_account",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_at=None) | Q(finished_at=None), name="deletion_request_ends_one_way"
            ),
        ]

    def __str__(self) -> str:
        return self.reference
