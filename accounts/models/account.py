"""The account: the subject that everything else belongs to. After the purge its row keeps number and dates only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Ends, Personal, Purpose
from accounts.keys.identifiers import account_number, uuid7


class State(models.TextChoices):
    """Active, closed (the grace period and what follows), erased (all that closure ends is verified gone)."""

    ACTIVE = "active", "active"
    CLOSED = "closed", "closed"
    ERASED = "erased", "erased"


class AccountQuerySet(models.QuerySet["Account"]):
    """Facts about many accounts."""

    def open(self) -> AccountQuerySet:
        """Accounts whose customer may still sign in to everything."""
        return self.filter(state=State.ACTIVE)

    def signing_in(self, at: dt.datetime) -> AccountQuerySet:
        """Accounts whose people may sign in at `at`: until the due date, whatever holds them."""
        return self.filter(Q(state=State.ACTIVE) | Q(state=State.CLOSED, due_at__gt=at))

    def locked(self, ids: Iterable[UUID], *, skip: bool = False) -> AccountQuerySet:
        """Lock the rows FOR UPDATE, ordered by id so that two lockers cannot cross; `skip` passes over locked ones."""
        return self.filter(pk__in=list(ids)).order_by("pk").select_for_update(skip_locked=skip)


class Account(models.Model):
    """One customer. `state` moves active -> closed -> erased; only closing and cancelling move it by hand."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.CharField(max_length=12, unique=True, default=account_number, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # When the grace period ends; sign-in ends with it, for everybody.
    due_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    # Bumped by the trigger on holds and by the purge: whoever relied on an older row version must look again.
    hold_epoch = models.BigIntegerField(default=0)

    objects = AccountQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.IDENTITY,
        label="Account",
        time="created_at",
        purposes=(Purpose.SERVICES,),
        source="made by the portal",
        fields={},
        plain={"number": "random; kept with the dates so that it is never given out again (P3)"},
        account="",
        ends=Ends.KEY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="account_state_is_known"),
            models.CheckConstraint(
                condition=Q(state=State.ACTIVE, closed_at=None, due_at=None, erased_at=None)
                | Q(state=State.CLOSED, closed_at__isnull=False, due_at__isnull=False, erased_at=None)
                | Q(state=State.ERASED, closed_at__isnull=False, due_at__isnull=False, erased_at__isnull=False),
                name="account_state_has_its_times",
            ),
        ]
        indexes = [
            # the purge's queue
            models.Index(fields=["due_at"], condition=Q(state="closed"), name="account_closed_by_due"),
        ]

    def __str__(self) -> str:
        return self.number

    def may_sign_in(self, at: dt.datetime) -> bool:
        """Return whether its people may sign in at `at`: until the due date, whatever holds it."""
        return self.state == State.ACTIVE or (
            self.state == State.CLOSED and self.due_at is not None and at < self.due_at
        )


class OfAccount(models.Model):
    """Base of what belongs to an account: the id on the row itself, sealed under the account's key of its category."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")

    personal: ClassVar[Personal]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Return whose key seals this row: the account's, of the declared category."""
        return self.account_id, self.personal.category.value
