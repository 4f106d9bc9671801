"""What the guards of disclosures answer, in words, and the locks every act on a disclosure takes in one order.

Account first, then the disclosure: holds, the purge and withdrawals of consent take the same lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import Error, transaction

from accounts.errors import NotActionable
from accounts.models import Account, User
from accounts.roles import may
from disclosures.models import AbuseCase, Disclosure
from retention.refusals import code_of

# A basis, an approval, a packet or the account is not what a release needs.
REFUSED = "PH005"
# Something that passes by waiting keeps a release back.
WAITS = "PH006"


class Unsupported(NotActionable):
    """The database refuses: what the disclosure stands on is not there any more."""


class Waits(Unsupported):
    """The database refuses for now: what was approved stays, and nothing of it changed."""


def locked(disclosure_id: UUID) -> Disclosure:
    """Return the disclosure with its account, both locked and read anew, in the caller's transaction."""
    account_id = Disclosure.objects.values_list("account_id", flat=True).get(pk=disclosure_id)
    account = Account.objects.locked([account_id]).get() if account_id else None
    found = Disclosure.objects.select_for_update(of=("self",)).select_related("recipient", "legal_request", "aggregate")
    disclosure = found.get(pk=disclosure_id)
    disclosure.account = account
    return disclosure


@contextmanager
def in_words(disclosure: Disclosure) -> Iterator[None]:
    """Raise Unsupported, in words, for what the guards of a disclosure refuse; undo what was written within."""
    try:
        with transaction.atomic():
            yield
    except Error as error:
        code = code_of(error)
        if code not in {REFUSED, WAITS}:
            raise
        said = getattr(getattr(error.__cause__, "diag", None), "message_primary", "") or ""
        why = said.partition(": ")[2] or said
        kind = Waits if code == WAITS else Unsupported
        raise kind(f"Disclosure {disclosure.reference}: {why}. Nothing left the company.") from error


def refuse_taken_back(disclosure: Disclosure) -> None:
    """Raise Unsupported for a disclosure on a case whose report was taken back, and nobody looked since."""
    if disclosure.case and AbuseCase.objects.taken_back().filter(pk=disclosure.case).exists():
        raise Unsupported(
            f"Disclosure {disclosure.reference}: the reporter took the report back. Nothing left the company."
        )


def refuse_without(by: User, act: str) -> None:
    """Raise PermissionDenied for whoever does not have the act."""
    if not may(by, act):
        raise PermissionDenied("Disclosures are worked on by legal and the privacy officer.")


def refuse_state(disclosure: Disclosure, *states: str) -> None:
    """Raise NotActionable, naming the state, for a disclosure in any other."""
    if disclosure.state not in states:
        raise NotActionable(
            f"Disclosure {disclosure.reference} is {disclosure.get_state_display()}. "
            f"This can be done while it is {' or '.join(states)}."
        )
