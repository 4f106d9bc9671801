"""Roles of staff: given and taken as a whole, by the operator; no page changes them.

Afterwards the member of staff is in the groups of exactly these roles, the ledger names them, and every session of
theirs has ended: the next page they open is one of the new roles.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.errors import NotActionable
from accounts.models import Session, User
from accounts.roles import Role
from accounts.safeguards import ledger


def appoint(user_id: UUID, roles: Iterable[Role], *, by: str = ledger.SYSTEM) -> User:
    """Give a member of staff these roles instead of those they had; no roles means that they may do nothing."""
    wanted = sorted({role.value for role in roles})
    with transaction.atomic(durable=True):
        user = User.objects.select_for_update().get(pk=user_id)
        if not user.is_staff:
            raise NotActionable(f"User {user.pk} belongs to a customer; only staff have roles.")
        user.groups.set(Group.objects.filter(name__in=wanted))
        Session.objects.filter(user=user.pk).delete()
        ledger.record(by, "staff.appointed", user.pk, roles=wanted)
    return user
