"""What the acts on legal requests share: the order of locks, who may, and that an ended request stays as it ended."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied

from accounts import roles
from accounts.errors import NotActionable
from accounts.models import Account, User
from disclosures.models import LegalRequest, Sought
from retention.models import Hold

RECEIVES = "disclosures.receive_legalrequest"
VERIFIES = "disclosures.verify_legalrequest"
ASSIGNS = "disclosures.assign_legalrequest"
ANSWERS = "disclosures.answer_legalrequest"
DOWNLOADS = "disclosures.download_legaldocument"


def locked(request_id: UUID, *more: UUID) -> LegalRequest:
    """Return the request read anew and locked, after every account it concerns and `more`; raise NotActionable."""
    list(Account.objects.locked({*account_ids(request_id), *more}))
    request = LegalRequest.objects.select_for_update(of=("self",)).filter(pk=request_id).first()
    if request is None:
        raise NotActionable("There is no such legal request. Look it up in the list.")
    return request


def locked_open(request_id: UUID, *more: UUID) -> LegalRequest:
    """Return what `locked` returns; raise NotActionable for a request that has ended."""
    request = locked(request_id, *more)
    if request.closed_at is not None:
        raise NotActionable(
            f"Request {request.reference} has ended: {request.get_outcome_display()}. Enter a new one if more came."
        )
    return request


def account_ids(request_id: UUID) -> set[UUID]:
    """Return the accounts that were found for a request, and those its holds are on."""
    found = Sought.objects.filter(request=request_id).exclude(account=None).values_list("account_id", flat=True)
    held = Hold.objects.filter(cause=request_id).values_list("account_id", flat=True)
    return {pk for pk in [*found, *held] if pk is not None}


def sought_ids(request: LegalRequest) -> list[UUID]:
    """Return the accounts the request seeks, each once, in the order of locks."""
    found = Sought.objects.filter(request=request, found=Sought.Found.ONE).values_list("account_id", flat=True)
    return sorted({pk for pk in found if pk is not None})


def refuse_strangers(by: User, act: str) -> None:
    """Raise PermissionDenied for whoever may not do this, or may not know of sealed matters."""
    if not (roles.may(by, act) and roles.sees_sealed(by)):
        raise PermissionDenied("Only legal and the privacy officer work on legal requests.")
