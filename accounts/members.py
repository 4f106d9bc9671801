"""The people of an account: what each role may open, who owns it, and where the owners are written to.

`OPENS` is the one table of what members see: pages, acts and tests read it. Owners open everything. What is not of the
account but of the person (sign-in, password, own address, leaving) is everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.errors import NotActionable
from accounts.models import Account, MemberRole, Person, SignInIdentifier, State, User

OWNER = "owner"
BILLING, TECHNICAL = MemberRole.BILLING, MemberRole.TECHNICAL
ROLES = MappingProxyType({OWNER: _("Owner"), BILLING.value: _("Billing"), TECHNICAL.value: _("Technical")})
# What each role is for, in words to choose by.
MEANS = MappingProxyType(
    {
        OWNER: _("Owner: opens and may do everything"),
        BILLING.value: _("Billing: invoices, orders, billing contacts and support"),
        TECHNICAL.value: _("Technical: services, notices of abuse and support"),
    }
)


class Part(StrEnum):
    """A part of the customer's portal that not every member opens."""

    INVOICES = "invoices"
    ORDERS = "orders"
    SERVICES = "services"
    TICKETS = "tickets"
    BILLING_CONTACTS = "billing contacts"
    CONTACTS = "contacts"
    BUSINESS = "business"
    CONFIDENTIAL = "confidential"
    DATA = "data"
    CONSENT = "consent"
    EXPORT = "export"
    REQUESTS = "requests"
    MESSAGES = "messages"
    TOKENS = "tokens"
    MEMBERS = "members"
    NOTICES = "notices"
    COUNTER = "counter-notices"
    DELETION = "deletion"


_NOBODY_ELSE: frozenset[MemberRole] = frozenset()
# Which members open a part besides the owners.
OPENS: Mapping[Part, frozenset[MemberRole]] = MappingProxyType(
    {
        Part.INVOICES: frozenset({BILLING}),
        Part.ORDERS: frozenset({BILLING}),
        Part.BILLING_CONTACTS: frozenset({BILLING}),
        Part.SERVICES: frozenset({TECHNICAL}),
        Part.TICKETS: frozenset({BILLING, TECHNICAL}),
        Part.CONTACTS: _NOBODY_ELSE,
        Part.BUSINESS: _NOBODY_ELSE,
        Part.CONFIDENTIAL: _NOBODY_ELSE,
        Part.DATA: _NOBODY_ELSE,
        Part.CONSENT: _NOBODY_ELSE,
        Part.EXPORT: _NOBODY_ELSE,
        Part.REQUESTS: _NOBODY_ELSE,
        Part.MESSAGES: _NOBODY_ELSE,
        Part.TOKENS: _NOBODY_ELSE,
        Part.MEMBERS: _NOBODY_ELSE,
        # Whoever runs a site repairs it; what is sworn is for whom the account is.
        Part.NOTICES: frozenset({TECHNICAL}),
        Part.COUNTER: _NOBODY_ELSE,
        Part.DELETION: _NOBODY_ELSE,
    }
)


def may_open(user: User, part: Part) -> bool:
    """Return whether the user's role in the account opens a part of it; staff have roles of their own."""
    return user.account_id is not None and (user.is_owner or user.member_role in OPENS[part])


def roles_that_open(part: Part) -> list[Any]:
    """Return the labels of the roles that open a part, owners first."""
    return [ROLES[OWNER], *(ROLES[role.value] for role in MemberRole if role in OPENS[part])]


def role_of(user: User) -> str:
    """Return the role of a member: "owner", "billing" or "technical"."""
    return OWNER if user.is_owner else user.member_role


def active(account_id: UUID) -> QuerySet[User]:
    """Return who is a member of the account now."""
    return User.objects.filter(account=account_id, is_active=True)


def owners(account_id: UUID) -> QuerySet[User]:
    """Return who owns the account now, the longest-standing first."""
    return active(account_id).filter(is_owner=True).order_by("created_at", "pk")


def owner_names(account_id: UUID) -> list[str]:
    """Return the names of the owners, to say whom a member can ask."""
    ids = list(owners(account_id).values_list("pk", flat=True))
    people = {person.user_id: person.name for person in Person.objects.filter(user__in=ids, removed_at=None)}
    return [people[pk] for pk in ids if pk in people]


def refuse_unless(by: User, account: Account, part: Part) -> User:
    """Return `by` as it is now, read under the account's lock; raise PermissionDenied for whoever may not.

    A role that was taken away while somebody waited for the lock counts as taken away.
    """
    now = active(account.pk).filter(pk=by.pk).first()
    if now is None or not may_open(now, part):
        raise PermissionDenied("This is for other members of the account: its owners decide who.")
    return now


def refuse_closed(account: Account) -> None:
    """Raise NotActionable for an account that is not open."""
    if account.state != State.ACTIVE:
        raise NotActionable(f"Account {account.number} is closed: cancel its deletion first, then change this.")


def addresses(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the e-mail address each user signs in with; whoever has none is left out."""
    kind = SignInIdentifier.Kind.EMAIL
    found = SignInIdentifier.objects.filter(user__in=list(user_ids), kind=kind, signs_in=True)
    return {name.user_id: name.value for name in found}
