"""People: who signs in, and by which names. A user belongs to exactly one account, or is staff."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.datamap import Audience, Category, Held, Personal, Purpose, Reach
from accounts.keys.identifiers import uuid7
from accounts.models.account import Account, OfAccount
from accounts.safeguards.fields import SealedText
from accounts.safeguards.finding import digest


class MemberRole(models.TextChoices):
    """What a member of an account who is no owner looks after."""

    BILLING = "billing", "billing"
    TECHNICAL = "technical", "technical"


class Theme(models.TextChoices):
    """How pages look: as the device asks, or always one way."""

    AUTO = "auto", "as your device"
    LIGHT = "light", "light"
    DARK = "dark", "dark"


class UserManager(BaseUserManager["User"]):
    """Makes users; their sign-in names are rows of their own."""

    def create_user(self, account: Account | None, password: str | None = None, **fields: Any) -> User:
        """Return a new user of `account`, or a staff user when it is None; without password none can sign in."""
        if account is not None and not fields.get("is_owner"):
            fields.setdefault("member_role", MemberRole.TECHNICAL)
        user = User(account=account, is_staff=account is None, created_at=timezone.now(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


def _handle() -> str:
    return secrets.token_hex(12)


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in. `handle` is random: what is typed is looked up in `SignInIdentifier`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, related_name="users")
    handle = models.CharField(max_length=40, unique=True, default=_handle, editable=False)
    is_owner = models.BooleanField(default=False)
    # What a member who is no owner may do; owners may everything, staff have roles of their own.
    member_role = models.CharField(max_length=10, choices=MemberRole, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    # When password, e-mail address or second factor last changed: a deletion asked for soon after waits.
    secured_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=40, blank=True)
    theme = models.CharField(max_length=5, choices=Theme, default=Theme.AUTO)

    objects = UserManager()

    USERNAME_FIELD = "handle"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Sign-in",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={"password": Held("Password (as a hash)", shown=frozenset())},
        plain={"handle": "random", "time_zone": "a name of the IANA list, to show times in"},
        facts={
            "last_login": "Last sign-in",
            "is_superuser": "May everything as staff",
            "is_owner": "Owner of the account",
            "member_role": "Role as a member",
            "is_staff": "One of our staff",
            "is_active": "May sign in",
            "secured_at": "Password, address or second factor changed",
            "theme": "Light or dark pages",
        },
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(account=None, is_staff=True, is_owner=False) | Q(account__isnull=False, is_staff=False),
                name="user_is_of_one_account_or_staff",
            ),
            models.CheckConstraint(condition=Q(is_superuser=False), name="user_is_never_superuser"),
            models.CheckConstraint(
                condition=Q(member_role="") & (Q(is_staff=True) | Q(is_owner=True))
                | Q(is_staff=False, is_owner=False, member_role__in=["billing", "technical"]),
                name="user_has_one_role_in_its_account",
            ),
            models.CheckConstraint(condition=Q(removed_at=None) | Q(is_active=False), name="user_removed_is_inactive"),
            models.CheckConstraint(
                condition=Q(password__startswith="argon2") | Q(password__startswith="!"),  # noqa: S106 - prefixes
                name="user_password_is_argon2_or_unusable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def actor(self) -> str:
        """Return how the ledger names this user."""
        return f"{'staff' if self.is_staff else 'user'}:{self.pk}"


class Person(models.Model):
    """The name of a user. It outlives the sign-in when a hold covers identity, hence no constraint between the two."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    user = models.OneToOneField(User, on_delete=models.DO_NOTHING, db_constraint=False, related_name="person")
    name = SealedText(max_length=200)
    username = SealedText(max_length=60, null=True, blank=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.IDENTITY,
        label="Name",
        time="created_at",
        purposes=(Purpose.SERVICES, Purpose.INVOICING),
        source="you",
        fields={
            "name": Held("Name", reach=Reach.NAME),
            "username": Held("User name", required=False, reach=Reach.NUMBER),
        },
    )

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """A staff member is a subject of their own."""
        return self.account_id or self.user_id, Category.IDENTITY.value


class SignInIdentifier(models.Model):
    """One name somebody signs in with. Unique while it signs in, so that a new account may take an old address."""

    class Kind(models.TextChoices):
        """What is typed; each kind has a blind index of its own."""

        EMAIL = "email", "e-mail"
        USERNAME = "username", "user name"
        NUMBER = "number", "account number"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="identifiers")
    kind = models.CharField(max_length=10, choices=Kind)
    digest = models.BinaryField(max_length=32)
    value = SealedText(max_length=254)
    # Set false for everybody at the due date: "address taken" would prove "not erased" (silence.md, S14).
    signs_in = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Sign-in name",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={
            "value": Held("Sign-in name", reach=Reach.NUMBER),
            "digest": Held("Its blind index", shown=frozenset({Audience.LEGAL})),
        },
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "digest"],
                condition=Q(signs_in=True),
                name="sign_in_identifier_is_unique_while_it_signs_in",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """A staff member is a subject of their own."""
        return self.account_id or self.user_id, Category.CREDENTIALS.value

    @classmethod
    def of(cls, user: User, kind: str, value: str) -> SignInIdentifier:
        """Return an unsaved identifier of `user`."""
        return cls(
            account_id=user.account_id,
            user=user,
            kind=kind,
            digest=digest(kind, value),
            value=value,
            created_at=timezone.now(),
        )


class Invitation(OfAccount):
    """An invitation to become a member of the account; the link in the mail is single use and hashed here."""

    email = SealedText(max_length=254)
    email_digest = models.BinaryField(max_length=32)
    role = models.CharField(max_length=10, choices=[("owner", "owner"), *MemberRole.choices])
    token_digest = models.BinaryField(max_length=32, unique=True)
    invited_by = models.UUIDField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CREDENTIALS,
        label="Invitation",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={"email": Held("E-mail")},
        plain={"email_digest": "a keyed hash of the address, one-way", "token_digest": "a hash of random bytes"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "email_digest"],
                condition=Q(accepted_at=None, removed_at=None),
                name="invitation_one_open_per_address",
            ),
        ]
