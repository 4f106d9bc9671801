"""Releasing holds. A legal one takes two people; one with an end, a closed dispute or a settled agreement ends by that.

The hold's trigger decides whether there is a ground and sets the time itself; after a release by two people the guards
honour a cool-off. When the last hold on something due ends, its erasure goes on with its original clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.models import Account, User
from accounts.safeguards import ledger
from accounts.safeguards.ledger import SYSTEM
from accounts.templatetags.portal_tags import moment_text
from retention.models import Hold, HoldRelease
from retention.refusals import named

Hook = Callable[[Hold, str, dt.datetime], None]
_releasing: list[Hook] = []
_kept_back: list[Callable[[], Exists]] = []


def when_releasing(hook: Hook) -> Hook:
    """Register what is asked before a hold is released, by whom and when, in that transaction.

    It may place another hold, so that nothing between the two is uncovered, or refuse by raising NotActionable.
    """
    _releasing.append(hook)
    return hook


def keeps_back(holds: Callable[[], Exists]) -> Callable[[], Exists]:
    """Register which holds do not end by the clock yet, as a condition on them; what stands behind them does not."""
    _kept_back.append(holds)
    return holds


def ask(hold_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> HoldRelease:
    """Ask for the release of a hold; another person must approve it."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        hold = _locked(hold_id)
        if not reason.strip():
            raise NotActionable(f"Hold {hold.pk}: say why it can be released.")
        if HoldRelease.objects.filter(hold=hold).exists():
            raise NotActionable(f"Hold {hold.pk}: its release was asked for already; a colleague can approve it.")
        release = HoldRelease(hold=hold, requested_by=by.pk, requested_at=at, reason=reason)
        release.save(force_insert=True)
        ledger.record(by.actor, "hold.release_asked", hold.account_id, at=at, hold=hold.pk)
    return release


def approve(hold_id: UUID, *, by: User, at: dt.datetime | None = None) -> Hold:
    """Approve and carry out the release that somebody else asked for; the erasure resumes by itself."""
    at = at or timezone.now()
    with named(hold_id), transaction.atomic(durable=True):
        hold = _locked(hold_id)
        release = HoldRelease.objects.select_for_update().filter(hold=hold).first()
        if release is None:
            raise NotActionable(f"Hold {hold.pk}: nobody has asked for its release yet.")
        if release.requested_by == by.pk:
            raise PermissionDenied("You asked for this release, so a colleague must approve it.")
        HoldRelease.objects.filter(pk=release.pk, approved_at=None).update(approved_by=by.pk, approved_at=at)
        _release(hold, by.actor, at, requested_by=release.requested_by)
    return hold


def end_pause(hold_id: UUID, *, by: User, at: dt.datetime | None = None) -> Hold:
    """End a staff pause before its time."""
    at = at or timezone.now()
    with named(hold_id), transaction.atomic(durable=True):
        hold = _locked(hold_id)
        if hold.kind != Hold.Kind.OPERATIONS:
            raise NotActionable(f"Hold {hold.pk} is no staff pause; its release takes two people.")
        _release(hold, by.actor, at)
    return hold


def release_within(hold: Hold, by: str, at: dt.datetime) -> None:
    """Release a hold whose ground has fallen, in the caller's transaction that locked the account."""
    _release(hold, by, at)


def end_passed(at: dt.datetime | None = None, limit: int = 200) -> int:
    """Release the holds whose end has passed; return how many. Until this is done they still cover."""
    at = at or timezone.now()
    ended = 0
    over = Hold.objects.unreleased().filter(ends_at__lte=at)
    for holds in _kept_back:
        over = over.exclude(holds())
    for hold_id in over.order_by("ends_at", "pk").values_list("pk", flat=True)[:limit]:
        with transaction.atomic(durable=True):
            hold = _locked(hold_id, must_be_unreleased=False)
            if hold.released_at is None:
                _release(hold, SYSTEM, at)
                ended += 1
    return ended


def _locked(hold_id: UUID, *, must_be_unreleased: bool = True) -> Hold:
    account_id = Hold.objects.values_list("account_id", flat=True).filter(pk=hold_id).first()
    if account_id is None:
        raise NotActionable(f"There is no hold {hold_id}.")
    list(Account.objects.locked([account_id]))
    hold = Hold.objects.get(pk=hold_id)
    if must_be_unreleased and hold.released_at is not None:
        raise NotActionable(f"Hold {hold.pk} was released on {moment_text(hold.released_at)}; nothing is left to do.")
    return hold


def _release(hold: Hold, by: str, at: dt.datetime, requested_by: UUID | None = None) -> None:
    for hook in _releasing:
        hook(hold, by, at)
    hold.released_at, hold.released_by = at, by
    hold.save(update_fields=["released_at", "released_by"])
    hold.refresh_from_db(fields=["released_at", "covers_until"])
    ledger.record(
        by,
        "hold.released",
        hold.account_id,
        at=at,
        hold=hold.pk,
        kind=str(hold.kind),
        requested_by=requested_by,
        covers_until=hold.covers_until,
    )
