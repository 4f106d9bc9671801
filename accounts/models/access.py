"""Access: events with address and browser (P6), sessions, tokens of other systems."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import uuid7
from accounts.models.account import Account, OfAccount
from accounts.safeguards.fields import SealedText


class AccessEvent(OfAccount):
    """Somebody signed in, failed to, or signed out; read by account or by time only."""

    class Kind(models.TextChoices):
        """What happened."""

        SIGN_IN = "sign_in", "signed in"
        REFUSED = "refused", "sign-in refused"
        SIGN_OUT = "sign_out", "signed out"
        PASSWORD = "password", "password changed"  # noqa: S105 - a word, not a secret

    kind = models.CharField(max_length=10, choices=Kind)
    user = models.UUIDField(null=True)
    ip = SealedText(max_length=45, null=True)
    browser = SealedText(max_length=400, null=True)
    at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.ACCESS,
        label="Sign-in",
        time="at",
        purposes=(Purpose.SECURITY, Purpose.FRAUD),
        source="your browser",
        fields={
            "ip": Held("IP address", required=False, reach=Reach.CONNECTIONS),
            "browser": Held("Browser", required=False, reach=Reach.RECORD),
        },
    )

    class Meta:
        indexes = [
            # the last sign-in, the history page and the rolling expiry
            models.Index(fields=["account", "at"], name="access_by_account_time"),
        ]


class Session(AbstractBaseSession):
    """A browser session; knows its account, so that closing and the purge can end it."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    user = models.UUIDField(null=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Session",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="your browser",
        fields={"session_data": Held("Session", shown=frozenset())},
        plain={"session_key": "random"},
        shown=STAFF_ONLY,
    )

    @classmethod
    def get_session_store_class(cls):  # type: ignore[no-untyped-def] # noqa: ANN206 - the store imports this module
        """Return the store that reads and writes these rows."""
        from accounts.sessions import SessionStore

        return SessionStore


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Facts about many tokens."""

    def live(self, at: dt.datetime) -> ApiTokenQuerySet:
        """Tokens that still open something."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)


class ApiToken(models.Model):
    """A token of another system (billing, provisioning): only its hash is stored, it is scoped and it expires."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60)
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        permissions = [("make_token", "Can make an API token"), ("revoke_token", "Can revoke an API token")]

    def __str__(self) -> str:
        return str(self.pk)
