"""Proving who asks: a single-use code for the address, then facts that staff compare with what is held.

The code is bound to one request and its address, kept as a hash, and ends. A try is counted by one UPDATE before the
code is looked at, so that parallel tries cannot exceed the limit. Proving the address gives a lasting code, by which
the person follows the request. How many facts must match follows from what is asked (schedule: "matching",
"matching_high"); what changes or shows nothing of anybody needs none.
"""

from __future__ import annotations

import datetime as dt
import secrets
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import roles
from accounts.errors import NotActionable
from accounts.keys import identifiers
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from retention import request_clocks, request_letters, schedule
from retention.closing import code_digest
from retention.following import LONGEST, tidy
from retention.models import PrivacyRequest
from retention.models.privacy import MOST_TRIES, Right, Status

NOBODYS = secrets.token_bytes(32)
# A copy of the data and a deletion do the most harm in the wrong hands: a high degree of certainty, and a signature.
HIGH = {Right.ACCESS.value, Right.PORTABILITY.value, Right.DELETION.value}
# An opt-out needs no verified request (11 CCR 7026(d)), and a complaint shows and changes nothing.
NONE_NEEDED = {Right.OPT_OUT.value, Right.COMPLAINT.value}
# Who verified, when the proof of the address is enough.
BY_ADDRESS = "system:address"


def needed(right: str) -> int:
    """Return how many facts must match before a request of this right is verified."""
    if right in NONE_NEEDED:
        return 0
    return schedule.number("matching_high" if right in HIGH else "matching")


def give_code(request: PrivacyRequest, at: dt.datetime) -> str:
    """Give the request a fresh code, not saved; it is known only until its mail is written."""
    code = identifiers.code()
    request.code_digest, request.code_tries = code_digest(code), 0
    request.code_ends_at = request_clocks.after(at, "code_of_request")
    request.__dict__["_code"] = code
    return code


def mail_code(request: PrivacyRequest, *, signs_in: bool, at: dt.datetime) -> None:
    """Post the mail with the code that `give_code` has just made."""
    code = request.__dict__.pop("_code")
    # One mail a code: its end is its number.
    number = int(request.code_ends_at.timestamp()) if request.code_ends_at else 0
    request_letters.code(request, code, signs_in=signs_in, number=number, at=at)


def send_code(request: PrivacyRequest, *, signs_in: bool, at: dt.datetime) -> None:
    """Replace a code that opens nothing any more, in the caller's transaction."""
    give_code(request, at)
    request.save(update_fields=["code_digest", "code_tries", "code_ends_at"])
    mail_code(request, signs_in=signs_in, at=at)


def is_used_up(request: PrivacyRequest, at: dt.datetime) -> bool:
    """Return whether the code that proves the address cannot be used any more, and the address is not proved."""
    ends = request.code_ends_at
    return request.address_confirmed_at is None and (request.code_tries >= MOST_TRIES or ends is None or ends <= at)


def enter(typed_reference: str, typed_code: str, at: dt.datetime | None = None) -> PrivacyRequest | None:
    """Return the request that reference and code open, proving its address at the first time; None for all else.

    Unknown, wrong, used, out of time and out of tries read alike and cost the same statements.
    """
    at = at or timezone.now()
    reference, given = tidy(typed_reference), code_digest(typed_code[:LONGEST])
    with keyring(), transaction.atomic(durable=True):
        counted = PrivacyRequest.objects.filter(
            reference=reference, address_confirmed_at=None, code_tries__lt=MOST_TRIES, code_ends_at__gt=at
        ).update(code_tries=F("code_tries") + 1)
        request = PrivacyRequest.objects.filter(reference=reference, account=None).first()
        expected = bytes(request.code_digest) if request is not None and request.code_digest else NOBODYS
        is_right = secrets.compare_digest(given, expected)
        if request is None or not is_right:
            return None
        if request.address_confirmed_at is None:
            return _prove(request, at) if counted else None
    return request if follows(request, at) else None


def follows(request: PrivacyRequest, at: dt.datetime) -> bool:
    """Return whether the lasting code still opens the request: until its words are gone."""
    ended = request.decided_at
    return request.cleaned_at is None and (ended is None or at < request_clocks.cleaned_at(request.status, ended))


def _prove(request: PrivacyRequest, at: dt.datetime) -> PrivacyRequest | None:
    """Note that the address is the person's and mail the lasting code; the row is locked by the counted try."""
    if request.status not in {Status.OPEN, Status.IN_PROGRESS}:
        return None
    code = identifiers.code()
    request.address_confirmed_at, request.code_digest = at, code_digest(code)
    request.code_tries, request.code_ends_at = 0, None
    fields = ["address_confirmed_at", "code_digest", "code_tries", "code_ends_at"]
    if needed(request.right) == 0 and request.agent is None:
        fields += _verify(request, BY_ADDRESS, at)
    request.save(update_fields=fields)
    ledger.record(ledger.SYSTEM, "request.address-proved", request.pk, at=at, request=request.pk)
    request_letters.confirmed(request, code, at)
    return request


def compare(request_id: UUID, *, by: User, matched: int, at: dt.datetime | None = None) -> PrivacyRequest:
    """Note how many facts staff found to match; enough of them verify the request. Return it.

    Raises PermissionDenied without the permission, NotActionable before the address is proved, once verified or ended.
    """
    at = at or timezone.now()
    if not roles.may(by, "retention.verify_request"):
        raise PermissionDenied("Only the privacy officer records that an identity was checked.")
    with keyring(), transaction.atomic(durable=True):
        request = PrivacyRequest.objects.select_for_update().get(pk=request_id)
        if hindrance := why_not(request):
            raise NotActionable(hindrance)
        request.facts_matched = matched
        fields = ["facts_matched"]
        if matched >= needed(request.right) and not (request.right in HIGH and not is_declared(request)):
            fields += _verify(request, by.actor, at)
        request.save(update_fields=fields)
        is_verified = request.verified_at is not None
        ledger.record(
            by.actor, "request.compared", request.pk, at=at, request=request.pk, matched=matched, verified=is_verified
        )
    return request


def why_not(request: PrivacyRequest) -> str:
    """Return why nobody can compare facts now, as a sentence; empty when they can."""
    if request.status not in {Status.OPEN, Status.IN_PROGRESS}:
        return f"Request {request.reference} is {request.get_status_display()}; only a running one is verified."
    if request.verified_at is not None:
        return f"Request {request.reference} is verified already. Go on to answer it."
    if request.address_confirmed_at is None:
        return f"Request {request.reference} waits for the person to prove the address. Wait for the code."
    return ""


def is_declared(request: PrivacyRequest) -> bool:
    """Return whether the person signed the declaration that a high degree of certainty needs."""
    return bool((request.facts or {}).get("declaration"))


def _verify(request: PrivacyRequest, by: str, at: dt.datetime) -> list[str]:
    request.verified_at, request.verified_by = at, by
    request.status, request.reason = Status.IN_PROGRESS, ""
    return ["verified_at", "verified_by", "status", "reason"]
