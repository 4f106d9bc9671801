"""Second factors as they stand in the database: sealed whole, secrets, names and all.

The sign-in library keeps an app's secret, the seed of the recovery codes and a passkey's name in one JSON column.
Before a row is written all of it is sealed under the credentials key of its user, bound to user and kind of factor;
whoever loads the row finds it open. Thus an erased key ends the factor, a row copied to another user does not open,
and a row that was written past the portal is refused.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models.signals import post_init, post_save, pre_save
from django.dispatch import receiver

from accounts.datamap import Category
from accounts.safeguards.sealing import DoesNotOpen, seal, unseal

BOX = "sealed"


def bound_to(row: Authenticator) -> str:
    """Return what a row's box is bound to; a new row has no id yet, its user and kind it keeps for good."""
    return f"{Authenticator._meta.db_table}.data.{row.user_id}.{row.type}"


@receiver(pre_save, sender=Authenticator, dispatch_uid="factors: seal")
def _seal(instance: Authenticator, update_fields: Any = None, **kwargs: Any) -> None:
    if update_fields is not None and "data" not in update_fields:
        return
    place = (instance.user.account_id or instance.user_id, Category.CREDENTIALS.value)
    box = seal(json.dumps(instance.data), place, bound_to(instance))
    instance.data = {BOX: base64.b64encode(box).decode()}


@receiver(post_save, sender=Authenticator, dispatch_uid="factors: open again")
@receiver(post_init, sender=Authenticator, dispatch_uid="factors: open")
def _open(instance: Authenticator, **kwargs: Any) -> None:
    data = instance.__dict__.get("data")
    if isinstance(data, dict) and set(data) == {BOX}:
        instance.data = json.loads(unseal(base64.b64decode(data[BOX]), bound_to(instance)))
    elif data is not None and instance.pk is not None and "created" not in kwargs:
        raise DoesNotOpen(f"The second factor {instance.pk} is not sealed: it was not written by the portal.")
