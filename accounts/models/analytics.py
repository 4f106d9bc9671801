"""Page visits of the portal: first-party, no cookie of their own, for aggregated page use only (P5, P31)."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.keys.identifiers import uuid7
from accounts.models.account import Account
from accounts.safeguards.fields import SealedText


class PageVisit(models.Model):
    """One page shown. `page` is the name of an address pattern, never an address; visitors who are not signed in
    leave nothing else.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    page = models.CharField(max_length=60)
    # The network only: the address is cut to /24 or /48 before it is stored.
    network = SealedText(max_length=45, null=True)
    at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.ANALYTICS,
        label="Page visit",
        time="at",
        purposes=(Purpose.LAYOUT,),
        source="your browser",
        fields={"network": Held("Network (shortened IP address)", required=False, reach=Reach.RECORD)},
        plain={"page": "the name of a page of the portal"},
    )

    class Meta:
        indexes = [
            models.Index(fields=["account", "at"], name="page_visit_by_account"),
            # the staff's page of aggregated use, and the rolling expiry
            models.Index(fields=["at", "page"], name="page_visit_by_time"),
        ]
        permissions = [("view_page_use", "Can view aggregated page use")]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Only visits of an account hold anything sealed."""
        assert self.account_id is not None  # noqa: S101 - who is not signed in leaves no network
        return self.account_id, Category.ANALYTICS.value
