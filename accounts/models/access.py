"""Access: events with address and browser (P6), sessions, tokens of other systems."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import uuid7
from accounts.models.account import Account, OfAccount
from accounts.safeguards.fields import SealedJSON, SealedText


class AccessEvent(OfAccount):
    """Somebody signed in, failed to, or signed out; read by account or by time only."""

    class Kind(models.TextChoices):
        """What happened."""

        SIGN_IN = "sign_in", "signed in"
        REFUSED = "refused", "sign-in refused"
        SIGN_OUT = "sign_out", "signed out"
        PASSWORD = "password", "password changed"  # noqa: S105 - a word, not a secret
        EMAIL = "email", "e-mail address changed"
        FACTOR = "factor", "second factor changed"
        ORDER = "order", "order placed"
        API = "api", "API used"

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
    # Address and browser it was last used from, for the list of sessions; none while nobody is signed in.
    origin = SealedJSON(null=True)
    seen_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Session",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="your browser",
        fields={"session_data": Held("Session", shown=frozenset()), "origin": Held("Address and browser")},
        plain={"session_key": "random"},
        shown=STAFF_ONLY,
    )

    @classmethod
    def get_session_store_class(cls):  # type: ignore[no-untyped-def] # noqa: ANN206 - the store imports this module
        """Return the store that reads and writes these rows."""
        from accounts.sessions import SessionStore

        return SessionStore

    def key_place(self) -> tuple[UUID, str]:
        """A member of staff is a subject of their own; a session of nobody seals nothing."""
        subject = self.account_id or self.user
        assert subject is not None  # noqa: S101 - the store notes an origin only of who is signed in
        return subject, Category.CREDENTIALS.value


class Device(OfAccount):
    """A browser that a user has signed in with: the first time with a new one is told by mail (P21)."""

    user = models.UUIDField()
    digest = models.BinaryField(max_length=32)
    label = SealedText(max_length=100)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.ACCESS,
        label="Known browser",
        time="last_seen_at",
        purposes=(Purpose.SECURITY,),
        source="your browser",
        fields={"label": Held("Browser and operating system", reach=Reach.RECORD)},
        plain={"digest": "a keyed hash, one-way"},
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="device_once_per_user")]


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
    # Networks it may be used from, in CIDR notation; none means anywhere.
    networks = models.JSONField(default=list, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        permissions = [("make_token", "Can make an API token"), ("revoke_token", "Can revoke an API token")]

    def __str__(self) -> str:
        return str(self.pk)


class AccountToken(OfAccount):
    """A customer's own API token for what is theirs: hashed, scoped, expiring, limited to networks."""

    user = models.UUIDField()
    name = SealedText(max_length=60)
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = models.JSONField(default=list)
    # A customer's own networks tell where they are: sealed, unlike those of other systems' tokens.
    networks = SealedJSON(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="API token",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={"name": Held("Name"), "networks": Held("Networks it may be used from", required=False)},
        plain={"digest": "a hash of random bytes", "scopes": "fixed words"},
    )
