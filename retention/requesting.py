"""Asking for a right with a sign-in: the request, its clocks and its confirmation by mail, in one transaction (P21).

Whoever is signed in is verified (11 CCR 7060: existing login). The same form sent twice, and the same words asked
again while the first request runs, are one request. An objection to a use that the portal can stop by itself is
fulfilled at once. A deletion by the owner of an account is no request of this kind: it begins at `/delete/`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import members, restricting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import Account, State, User
from accounts.models.rights import Restriction
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from retention import cleaning, request_clocks, request_letters
from retention.models import PrivacyRequest
from retention.models.privacy import PrivacyRequestQuerySet, Regime, Right, Status

# Rights that stop a use of data.
STOPPING = {
    Right.RESTRICTION.value: Restriction.Ground.RESTRICTION,
    Right.OBJECTION.value: Restriction.Ground.OBJECTION,
    Right.OPT_OUT.value: Restriction.Ground.OPT_OUT,
}
USED = "This form was used already for another request. Open the page again and send it once more."


@dataclass(frozen=True)
class Wish:
    """What is asked for: two equal wishes of one person are one request while the first runs."""

    right: str
    regime: str = Regime.CCPA.value
    purposes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    details: str = ""

    def __post_init__(self) -> None:
        # An opt-out names no purpose: it stops sharing, and the one use beside the service itself (11 CCR 7026).
        opted_out = (Purpose.SHARING.value, Purpose.LAYOUT.value)
        purposes = opted_out if self.right == Right.OPT_OUT else self.purposes
        object.__setattr__(self, "purposes", tuple(sorted(set(purposes))) if self.right in STOPPING else ())
        object.__setattr__(self, "categories", tuple(sorted(set(self.categories))))
        object.__setattr__(self, "details", self.details.replace("\r\n", "\n").strip())

    @classmethod
    def of(cls, request: PrivacyRequest) -> Wish:
        """Return the wish behind a request."""
        return cls(
            request.right, request.regime, tuple(request.purposes), tuple(request.categories), request.details or ""
        )


def ask(account_id: UUID, wish: Wish, *, by: User, submission: UUID, at: dt.datetime | None = None) -> PrivacyRequest:
    """Make a request of an account and return it; a repetition returns the first one.

    Raises ValidationError for a card number, PermissionDenied for strangers, NotActionable for a deletion, for a closed
    account, for a use that nobody can stop, and for a form that was used for something else.
    """
    at = at or timezone.now()
    refuse_card_number(wish.details)
    _refuse_unknown_uses(wish)
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        members.refuse_unless(by, account, Part.REQUESTS)
        own = PrivacyRequest.objects.filter(account=account)
        made = known(submission, own, wish, at) or running(own, wish)
        if made is not None:
            return made
        if wish.right == Right.DELETION:
            raise NotActionable("A deletion of your account begins on its own page: open Delete your account.")
        if account.state != State.ACTIVE:
            raise NotActionable(f"Account {account.number} is closed: cancel its deletion before you ask for more.")
        request = new(wish, submission, at)
        request.account, request.user = account, by.pk
        request.status, request.verified_at, request.verified_by = Status.IN_PROGRESS, at, by.actor
        request.save(force_insert=True)
        ledger.record(by.actor, "request.received", account.pk, at=at, **facts_of(request))
        if wish.right in STOPPING and restricting.is_automatic(wish.purposes):
            _grant(request, at)
            request_letters.decided(request, at)
        else:
            request_letters.received(request, account)
    return request


def new(wish: Wish, submission: UUID, at: dt.datetime) -> PrivacyRequest:
    """Return a request with its clocks, not saved; its receipt is confirmed by the mail of the same transaction."""
    return PrivacyRequest(
        right=wish.right,
        regime=wish.regime,
        submission=submission,
        purposes=list(wish.purposes),
        categories=list(wish.categories),
        details=wish.details or None,
        received_at=at,
        confirm_by=request_clocks.confirm_by(at),
        confirmed_at=at,
        expected_by=request_clocks.expected_by(wish.right, wish.regime, at),
    )


def known(submission: UUID, own: PrivacyRequestQuerySet, wish: Wish, at: dt.datetime) -> PrivacyRequest | None:
    """Return the request this form made before; raise NotActionable when that was another one, or somebody else's.

    What is past its time is not compared: whether its words are still there would tell of what keeps them.
    """
    made = PrivacyRequest.objects.filter(submission=submission).first()
    if made is None:
        return None
    is_own = own.filter(pk=made.pk).exists()
    if is_own and (cleaning.is_past(made, at) or Wish.of(made) == wish):
        return made
    raise NotActionable(USED)


def running(own: PrivacyRequestQuerySet, wish: Wish) -> PrivacyRequest | None:
    """Return a request of the same person that asks for the same and has not ended."""
    alike = own.open().filter(right=wish.right).order_by("received_at", "pk")
    return next((request for request in alike if Wish.of(request) == wish), None)


def facts_of(request: PrivacyRequest) -> dict[str, object]:
    """Return what the ledger notes of a request: its id and fixed words."""
    return {
        "request": request.pk,
        "right": str(request.right),
        "regime": str(request.regime),
        "expected_by": request.expected_by,
    }


def _grant(request: PrivacyRequest, at: dt.datetime) -> None:
    """Fulfil at once what the portal stops by itself."""
    assert request.account_id is not None  # noqa: S101 - made by an account
    ground = STOPPING[request.right]
    restricting.place(request.account_id, request.purposes, ground=ground, by="system", request=request.pk, at=at)
    request.status, request.decided_at, request.decided_by = Status.FULFILLED, at, ledger.SYSTEM
    request.decision = gettext("This use of your data stopped at once. You can allow it again on your requests page.")
    request.save(update_fields=["status", "decided_at", "decided_by", "decision"])
    ledger.record(ledger.SYSTEM, "request.fulfilled", request.account_id, at=at, request=request.pk)


def _refuse_unknown_uses(wish: Wish) -> None:
    if wish.right in {Right.RESTRICTION, Right.OBJECTION} and not wish.purposes:
        raise NotActionable("Choose at least one use of your data that has to stop.")
    if any(Purpose(purpose) not in restricting.USES for purpose in wish.purposes):
        raise NotActionable("One of these uses cannot be stopped: the law or the account's safety needs it.")
