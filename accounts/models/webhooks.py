"""Where signed webhooks go: the endpoints of other systems, each with a secret of its own."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.keys.identifiers import uuid7
from accounts.safeguards.fields import SealedText

# What an address may look like, whoever writes it: no user, no query, no fragment; plain http on loopback only, which
# the act allows in a trial. The act and the sending look closer.
ADDRESS = r"^(https://|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?(/|$))[^@?#\\\s]*$"


class EndpointState(models.TextChoices):
    """Whether an endpoint is sent anything."""

    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    """Facts about many endpoints."""

    def taking(self, event: str) -> WebhookEndpointQuerySet:
        """Active endpoints that take this event."""
        return self.filter(state=EndpointState.ACTIVE, events__contains=[event])

    def gone(self) -> WebhookEndpointQuerySet:
        """Endpoints whose receiver answered that it wants no more (410) and that nobody has resumed."""
        return self.exclude(gone_at=None)

    def losing(self) -> WebhookEndpointQuerySet:
        """Endpoints that events were lost for since staff last looked: they failed for the whole of a week."""
        return self.exclude(lost_at=None)


class WebhookEndpoint(models.Model):
    """A receiver of signed webhooks: another system of the company, never a customer. Nothing personal is in it.

    The secret is sealed under the endpoint's own key. For a day after a rotation the previous one signs too.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    url = models.CharField("address", max_length=500)
    events = ArrayField(models.CharField(max_length=40))
    state = models.CharField(max_length=10, choices=EndpointState, default=EndpointState.ACTIVE)
    secret = SealedText(max_length=100)
    previous_secret = SealedText(max_length=100, null=True)
    previous_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.UUIDField()
    paused_at = models.DateTimeField(null=True)
    # Empty when the receiver itself ended it, by answering 410.
    paused_by = models.UUIDField(null=True)
    gone_at = models.DateTimeField(null=True)
    last_sent_at = models.DateTimeField(null=True)
    # Names of classes of errors, never an address or what a receiver answered.
    last_failure = models.CharField(max_length=80, blank=True)
    last_failed_at = models.DateTimeField(null=True)
    # Events that expired unsent since staff last looked, and when the first of them did.
    lost = models.PositiveIntegerField(default=0)
    lost_at = models.DateTimeField(null=True)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(url__regex=ADDRESS), name="webhook_address_has_no_secret_and_is_https"),
            models.CheckConstraint(condition=~Q(events=[]), name="webhook_endpoint_takes_an_event"),
            models.CheckConstraint(
                condition=Q(state="active", paused_at=None, paused_by=None, gone_at=None)
                | (
                    Q(state="paused", paused_at__isnull=False)
                    & (Q(paused_by__isnull=False, gone_at=None) | Q(paused_by=None, gone_at__isnull=False))
                ),
                name="webhook_paused_has_time_and_cause",
            ),
            models.CheckConstraint(
                condition=Q(previous_secret=None, previous_until=None)
                | Q(previous_secret__isnull=False, previous_until__isnull=False),
                name="webhook_previous_secret_has_its_end",
            ),
            models.CheckConstraint(
                condition=Q(lost=0, lost_at=None) | Q(lost__gt=0, lost_at__isnull=False),
                name="webhook_lost_has_its_time",
            ),
        ]
        permissions = [("manage_webhooks", "Can add, rotate, pause, resume and test webhook endpoints")]

    def __str__(self) -> str:
        return self.name

    def key_place(self) -> tuple[UUID, str]:
        """An endpoint is a subject of its own."""
        return self.pk, "webhook"

    @property
    def rotation(self) -> str:
        """Return which of its secrets it has, as a form names it: another one after each rotation."""
        return self.previous_until.isoformat() if self.previous_until else "first"

    def secrets(self, at: dt.datetime) -> list[str]:
        """Return the secrets that sign at `at`: the newest first, the previous one during its overlap."""
        known = [self.secret]
        if self.previous_secret is not None and self.previous_until is not None and at < self.previous_until:
            known.append(self.previous_secret)
        return known
