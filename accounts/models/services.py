"""Services under an account, each with its minimum term (P10, P23)."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText


class ServiceQuerySet(models.QuerySet["Service"]):
    """Facts about many services."""

    def running(self, at: dt.datetime) -> ServiceQuerySet:
        """Services that have not stopped at `at`."""
        return self.filter(Q(stops_at=None) | Q(stops_at__gt=at), Q(closing_stops_at=None) | Q(closing_stops_at__gt=at))

    def bound(self, at: dt.datetime) -> ServiceQuerySet:
        """Services whose minimum term still runs at `at`: an unsatisfied agreement (P26)."""
        return self.filter(term_ends_at__gt=at, term_waived_at=None)


class Service(OfAccount):
    """One hosted thing. `stops_at` is its own end, `closing_stops_at` the one that closing the account sets (P23)."""

    name = SealedText(max_length=253)
    plan = models.CharField(max_length=40)
    monthly_cents = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    term_ends_at = models.DateTimeField(null=True, blank=True)
    term_waived_at = models.DateTimeField(null=True, blank=True)
    paid_until = models.DateTimeField(null=True, blank=True)
    stops_at = models.DateTimeField(null=True, blank=True)
    closing_stops_at = models.DateTimeField(null=True, blank=True)

    objects = ServiceQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.SERVICES,
        label="Service",
        time="started_at",
        purposes=(Purpose.SERVICES, Purpose.ADMINISTER),
        source="your orders",
        fields={"name": Held("Name", reach=Reach.SERVICE)},
        plain={"plan": "a product code"},
    )

    class Meta:
        indexes = [
            # the obligation check of the purge
            models.Index(fields=["account", "term_ends_at"], name="service_by_term"),
        ]
        permissions = [("waive_term", "Can waive a minimum term")]

    def stop_on_close(self, at: dt.datetime, due_at: dt.datetime) -> dt.datetime:
        """Return the moment this service stops when its account closes at `at` (P23).

        With its paid term, but never after `due_at`: it is erased then.
        """
        paid = self.paid_until if self.paid_until and self.paid_until > at else at
        return min(paid, due_at, self.stops_at or due_at)

    @property
    def ends_at(self) -> dt.datetime | None:
        """When it stops, as closing the account or the service itself has it; None when no end is planned."""
        return self.closing_stops_at or self.stops_at
