"""Services under an account, each with its minimum term (P10, P23)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from ipaddress import ip_interface
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Case, Count, F, Func, OuterRef, Q, Subquery, When, Window
from django.db.models.functions import Least, RowNumber

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.models.account import OfAccount, State
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
    order = models.UUIDField(null=True, blank=True)

    objects = ServiceQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.SERVICES,
        label="Service",
        time="started_at",
        purposes=(Purpose.SERVICES, Purpose.ADMINISTER),
        source="your orders",
        fields={"name": Held("Name", reach=Reach.SERVICE)},
        plain={"plan": "a product code"},
        facts={
            "monthly_cents": "Price of a month in cents",
            "term_ends_at": "Minimum term ends",
            "term_waived_at": "Minimum term waived",
            "closing_stops_at": "Stops because the account closed",
        },
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


class InetField(models.Field):  # type: ignore[type-arg]
    """A PostgreSQL `inet`: an address, or a network with its prefix (Django's own field refuses prefixes)."""

    def db_type(self, connection: Any) -> str:
        return "inet"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> str | None:
        return None if value is None else str(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = self.get_prep_value(value)
        # Django's own adapter takes single addresses only.
        return value if value is None else ip_interface(value)


class IpAssignmentQuerySet(models.QuerySet["IpAssignment"]):
    """Facts about many assignments."""

    def held(self, at: dt.datetime) -> IpAssignmentQuerySet:
        """Assignments that count at `at`: from their first moment on, and no longer at their last."""
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=at), assigned_at__lte=at)

    def outlived(self, at: dt.datetime) -> IpAssignmentQuerySet:
        """Assignments without an end whose service is over at `at`, each with the moment it should have ended, `until`.

        A service's own end is for good. The one that closing sets is not before the due date: until then whoever
        cancels has the service back, with its addresses.
        """
        stops = Service.objects.filter(pk=OuterRef("service")).values("stops_at")
        due = Case(When(account__state=State.CLOSED, then=F("account__due_at")))
        return self.filter(ended_at=None).annotate(until=Least(Subquery(stops), due)).filter(until__lte=at)

    def first_of(self, services: Iterable[UUID], most: int) -> IpAssignmentQuerySet:
        """The `most` newest of each of these services, with how many there are as `total`, in one query."""
        by_service: dict[str, Any] = {"partition_by": F("service")}
        place = Window(RowNumber(), order_by=[F("assigned_at").desc(), F("pk").desc()], **by_service)
        numbered = self.filter(service__in=list(services)).annotate(place=place, total=Window(Count("*"), **by_service))
        return numbered.filter(place__lte=most).order_by("service", "place")


class IpAssignment(OfAccount):
    """An address or network assigned to a service over a span of time (P10): whom an address concerned *then*.

    In clear by decision: ranges are compared by the database, which refuses two holders of one address at one moment.
    """

    service = models.UUIDField()
    address = InetField()
    assigned_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = IpAssignmentQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.NETWORK,
        label="IP address",
        time="assigned_at",
        purposes=(Purpose.ADMINISTER, Purpose.SECURITY),
        source="assigned by us",
        fields={"address": Held("Address or network", reach=Reach.NUMBER)},
    )

    class Meta:
        constraints = [
            # Also the index of `who_held`.
            ExclusionConstraint(
                name="ip_assignment_has_one_holder_at_a_time",
                expressions=[
                    (OpClass("address", "inet_ops"), RangeOperators.OVERLAPS),
                    # Not a column of its own: a range in a kept version would be text in the session's DateStyle.
                    (Func(F("assigned_at"), F("ended_at"), function="tstzrange"), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gt=F("assigned_at")), name="ip_assignment_ends_after_it_began"
            ),
        ]
        indexes = [models.Index(fields=["account", "assigned_at"], name="ip_assignment_by_account")]


class SuspensionQuerySet(models.QuerySet["Suspension"]):
    """Facts about many suspensions."""

    def standing(self) -> SuspensionQuerySet:
        """Suspensions that nobody has lifted."""
        return self.filter(lifted_at=None)


class Suspension(OfAccount):
    """An account or one of its services is suspended: an additive row like a hold, lifted by what ends its ground."""

    class Ground(models.TextChoices):
        """Who suspended it, and why."""

        BILLING = "billing", "billing"
        ABUSE = "abuse", "abuse desk"

    # Empty for the whole account.
    service = models.UUIDField(null=True)
    ground = models.CharField(max_length=10, choices=Ground)
    placed_at = models.DateTimeField()
    placed_by = models.CharField(max_length=60)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=60, blank=True)

    objects = SuspensionQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.SERVICES,
        label="Suspension",
        time="placed_at",
        purposes=(Purpose.ADMINISTER,),
        source="made by us",
        fields={},
        plain={"placed_by": "an id", "lifted_by": "an id"},
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by="") | (Q(lifted_at__isnull=False) & ~Q(lifted_by="")),
                name="suspension_lifted_has_time_and_person",
            ),
        ]
