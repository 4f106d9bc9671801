"""Endpoints of webhooks: added, rotated, paused, resumed and tried by whoever administers the systems.

Who may: the roles with "accounts.manage_webhooks". A secret is shown once, when it is made; it stands in no log and no
ledger entry, and sealed in the table. After a rotation the previous one signs beside the new one for a day. An event
of a sealed matter is chosen only by somebody who may know of such matters.
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import webhooks
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import EndpointState, User, WebhookEndpoint
from accounts.reaching import clean_url
from accounts.roles import may, sees_sealed
from accounts.safeguards import ledger, outbox
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import OutboxMessage

MANAGE = "accounts.manage_webhooks"
OVERLAP = dt.timedelta(hours=24)
PREFIX = "whsec_"


def add(
    name: str, url: str, events: Iterable[str], *, by: User, at: dt.datetime | None = None
) -> tuple[WebhookEndpoint, str]:
    """Return a new active endpoint and its secret ("whsec_" and 32 random bytes in base 64), which is shown once.

    Raises ValidationError for a name that is no system's or an address that cannot be, NotActionable for no event, an
    unknown one, or a name that is taken; PermissionDenied for a sealed event that the user may not know of.
    """
    at = at or timezone.now()
    _administrators_only(by)
    _refuse_personal(name)
    chosen = _known(events, by)
    secret = _new_secret()
    endpoint = WebhookEndpoint(name=name, url=clean_url(url), events=chosen, created_at=at, created_by=by.pk)
    endpoint.secret = secret
    try:
        with keyring(), transaction.atomic(durable=True):
            endpoint.save(force_insert=True)
            ledger.record(by.actor, "webhook.added", None, at=at, endpoint=endpoint.pk, events=chosen)
    except IntegrityError:
        raise NotActionable("Another endpoint has this name. Choose another name.") from None
    return endpoint, secret


def choose(endpoint_id: UUID, events: Iterable[str], *, by: User, at: dt.datetime | None = None) -> WebhookEndpoint:
    """Change which events an endpoint takes from now on and return it; what waits already goes. Errors as in `add`."""
    at = at or timezone.now()
    _administrators_only(by)
    with transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        unseen = [name for name in endpoint.events if name.startswith(outbox.SEALED) and not sees_sealed(by)]
        chosen = sorted({*_known(events, by), *unseen})
        if chosen != endpoint.events:
            endpoint.events = chosen
            endpoint.save(update_fields=["events"])
            ledger.record(by.actor, "webhook.events_chosen", None, at=at, endpoint=endpoint.pk, events=chosen)
    return endpoint


def rotate(
    endpoint_id: UUID, *, by: User, seen: str | None = None, at: dt.datetime | None = None
) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret and return both; the previous one signs beside it for a day, an older one ends.

    `seen` is the `rotation` that a form was made for: sent twice, it would end the secret that the receiver still has.
    Raises NotActionable when there was another one since.
    """
    at = at or timezone.now()
    _administrators_only(by)
    secret = _new_secret()
    with keyring(), transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        if seen is not None and seen != endpoint.rotation:
            raise NotActionable(USED_FORM)
        endpoint.previous_secret, endpoint.previous_until = endpoint.secret, at + OVERLAP
        endpoint.secret = secret
        endpoint.save(update_fields=["secret", "previous_secret", "previous_until"])
        ledger.record(by.actor, "webhook.rotated", None, at=at, endpoint=endpoint.pk)
    return endpoint, secret


def pause(endpoint_id: UUID, *, by: User, at: dt.datetime | None = None) -> WebhookEndpoint:
    """Send an endpoint nothing from now on: new events pass it by, and what is queued waits for `resume`.

    Raises NotActionable when it is paused already.
    """
    at = at or timezone.now()
    _administrators_only(by)
    with transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        if endpoint.state != EndpointState.ACTIVE:
            raise NotActionable(f"Endpoint {endpoint.name} is paused already; resume it to send to it again.")
        endpoint.state, endpoint.paused_at, endpoint.paused_by = EndpointState.PAUSED, at, by.pk
        endpoint.save(update_fields=["state", "paused_at", "paused_by"])
        ledger.record(by.actor, "webhook.paused", None, at=at, endpoint=endpoint.pk)
    return endpoint


def resume(endpoint_id: UUID, *, by: User, at: dt.datetime | None = None) -> WebhookEndpoint:
    """Send to an endpoint again, what waited for it at once; raise NotActionable when it is active."""
    at = at or timezone.now()
    _administrators_only(by)
    with transaction.atomic(durable=True):
        # The rows first, as whoever ends one locks it before its endpoint.
        waiting = OutboxMessage.objects.filter(kind=webhooks.KIND, state="queued", event__endswith=f":{endpoint_id}")
        waiting.update(retry_at=None)
        endpoint = _locked(endpoint_id)
        if endpoint.state != EndpointState.PAUSED:
            raise NotActionable(f"Endpoint {endpoint.name} is active; there is nothing to resume.")
        endpoint.state, endpoint.paused_at, endpoint.paused_by = EndpointState.ACTIVE, None, None
        endpoint.gone_at = None
        endpoint.save(update_fields=["state", "paused_at", "paused_by", "gone_at"])
        ledger.record(by.actor, "webhook.resumed", None, at=at, endpoint=endpoint.pk)
    return endpoint


def settle(endpoint_id: UUID, *, by: User, at: dt.datetime | None = None) -> WebhookEndpoint:
    """Note that staff looked at what an endpoint never got; raise NotActionable when nothing was lost since."""
    at = at or timezone.now()
    _administrators_only(by)
    with transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        if not endpoint.lost:
            raise NotActionable(f"Endpoint {endpoint.name} has lost no event since somebody last looked.")
        ledger.record(by.actor, "webhook.settled", None, at=at, endpoint=endpoint.pk, lost=endpoint.lost)
        endpoint.lost, endpoint.lost_at = 0, None
        endpoint.save(update_fields=["lost", "lost_at"])
    return endpoint


def send_test(endpoint_id: UUID, *, by: User, at: dt.datetime | None = None) -> WebhookEndpoint:
    """Post a test event to an endpoint, whatever it takes; raise NotActionable when it is paused."""
    at = at or timezone.now()
    _administrators_only(by)
    with keyring(), transaction.atomic(durable=True):
        endpoint = _locked(endpoint_id)
        if endpoint.state != EndpointState.ACTIVE:
            raise NotActionable(f"Endpoint {endpoint.name} is paused. Resume it, then send a test.")
        webhooks.post_test(endpoint, str(uuid7()), at)
        ledger.record(by.actor, "webhook.tested", None, at=at, endpoint=endpoint.pk)
    return endpoint


def choosable(by: User) -> list[webhooks.Event]:
    """Return the events this user may choose for an endpoint, by name."""
    return [event for _, event in sorted(webhooks.EVENTS.items()) if not event.is_sealed or sees_sealed(by)]


def _locked(endpoint_id: UUID) -> WebhookEndpoint:
    return WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id)


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _known(events: Iterable[str], by: User) -> list[str]:
    chosen = sorted(set(events))
    if not chosen or not webhooks.EVENTS.keys() >= set(chosen):
        raise NotActionable("Choose at least one event that the portal tells; nothing was changed.")
    if any(webhooks.EVENTS[name].is_sealed for name in chosen) and not sees_sealed(by):
        raise PermissionDenied("Events of sealed matters are chosen by somebody who may know of them.")
    return chosen


def _refuse_personal(name: str) -> None:
    # The name is stored in clear and outlives every account.
    refuse_card_number(name)
    if "@" in name or not name.strip():
        raise ValidationError("Name the system that receives the events, not a person's address.", code="name")


def _administrators_only(by: User) -> None:
    if not may(by, MANAGE):
        raise PermissionDenied("Only administrators keep the endpoints of webhooks.")
