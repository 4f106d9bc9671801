"""Documents of legal requests: a PDF by its content, sealed, with its hash; never shown in the browser.

What is no PDF, or something else besides, is refused and nothing is stored. A PDF that is damaged, encrypted, active or
infected is kept in quarantine, so that nothing that was served is lost. While the scanner is away a document waits and
nobody can have it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import roles, scanning
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.ledger import SYSTEM
from accounts.uploads import File, clean_name, pdf_word
from disclosures.legal_rows import DOWNLOADS, RECEIVES, locked_open, refuse_strangers
from disclosures.models import LegalDocument, LegalRequest
from disclosures.models.legal import MOST_DOCUMENT_BYTES

State = LegalDocument.State
MEDIA_TYPE = "application/pdf"
MEGABYTE = 1024 * 1024
INFECTED = "infected"


@dataclass(frozen=True)
class Looked:
    """A file that was looked at: what may be done with it, and why not more."""

    name: str
    content: bytes
    state: str
    why: str = ""

    @property
    def sha256(self) -> str:
        """Return the hash of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def look(file: File) -> Looked:
    """Look at a file before anything is kept of it; raise ValidationError for what is no PDF, empty or too large."""
    if (file.size or 0) > MOST_DOCUMENT_BYTES:
        raise _too_large()
    content = file.read(MOST_DOCUMENT_BYTES + 1)
    if len(content) > MOST_DOCUMENT_BYTES:
        raise _too_large()
    if not content:
        raise ValidationError("This file is empty. Choose another one.", code="empty")
    name, word = clean_name(file.name or ""), pdf_word(content)
    if word == "kind" or not name.lower().endswith(".pdf"):
        raise ValidationError(
            "Choose a PDF whose name ends in .pdf. This file is another kind, or more than one thing at once. "
            "Nothing was stored: keep the original, and scan or print it to a PDF.",
            code="kind",
        )
    if word != "fine":
        return Looked(name, content, State.QUARANTINED, word)
    return Looked(name, content, *_verdict(content))


def _too_large() -> ValidationError:
    most = MOST_DOCUMENT_BYTES // MEGABYTE
    return ValidationError(f"This file is larger than {most} MB. Send it in parts. Nothing was stored.", code="size")


def _verdict(content: bytes) -> tuple[str, str]:
    try:
        is_clean = scanning.scanner().is_clean(content)
    except Exception:  # noqa: BLE001 - whatever a scanner raises, nobody looked at the file
        return State.UNSCANNED, ""
    return (State.CLEAN, "") if is_clean else (State.QUARANTINED, INFECTED)


@dataclass(frozen=True)
class Added:
    """A document that is kept now, and the references of other requests that hold the very same one."""

    document: LegalDocument
    also_with: list[str]


def add(
    request_id: UUID, *, by: User, file: File, is_for_customer: bool = False, at: dt.datetime | None = None
) -> Added:
    """Add a document to an open request; the same one twice is one. Raises ValidationError, NotActionable."""
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    looked = look(file)
    with keyring(), transaction.atomic(durable=True):
        return keep_within(locked_open(request_id), looked, by=by, at=at, is_for_customer=is_for_customer)


def keep_within(
    request: LegalRequest, looked: Looked, *, by: User, at: dt.datetime, is_for_customer: bool = False
) -> Added:
    """Keep a file that was looked at, in the caller's transaction that locked the request."""
    also = also_with(request, looked.sha256)
    known = LegalDocument.objects.filter(request=request, sha256=looked.sha256).first()
    if known is not None:
        return Added(known, also)
    document = LegalDocument.objects.create(
        request=request,
        name=looked.name,
        media_type=MEDIA_TYPE,
        size=len(looked.content),
        sha256=looked.sha256,
        state=looked.state,
        why=looked.why,
        content=looked.content,
        is_for_customer=is_for_customer,
        added_by=by.pk,
        added_at=at,
    )
    ledger.record(
        by.actor,
        "legal.document-added",
        request.pk,
        at=at,
        document=document.pk,
        sha256=document.sha256,
        state=document.state,
        why=document.why,
        same_as=len(also),
    )
    return Added(document, also)


def also_with(request: LegalRequest, sha256: str) -> list[str]:
    """Return the references of the other requests that hold the document of this hash."""
    same = LegalDocument.objects.filter(sha256=sha256).exclude(request=request).order_by("added_at", "pk")
    return sorted(set(same.values_list("request__reference", flat=True)))


def rescan(at: dt.datetime | None = None, limit: int = 20) -> int:
    """Look at what waited for the scanner; return how many documents have their verdict now."""
    at = at or timezone.now()
    settled = 0
    for pk in (
        LegalDocument.objects.filter(state=State.UNSCANNED).order_by("added_at").values_list("pk", flat=True)[:limit]
    ):
        with keyring():
            document = LegalDocument.objects.get(pk=pk)
            state, why = _verdict(bytes(document.content))
            if state == State.UNSCANNED:
                break
            with transaction.atomic(durable=True):
                settled += LegalDocument.objects.filter(pk=pk, state=State.UNSCANNED).update(state=state, why=why)
                facts = {"document": pk, "state": state, "why": why}
                ledger.record(SYSTEM, "legal.document-scanned", document.request_id, at=at, **facts)
    return settled


def handed_out(document_id: UUID, *, by: User, request_ids: Iterable[UUID], at: dt.datetime | None = None) -> Looked:
    """Return a document to be downloaded, after the ledger entry that says so.

    Raises NotActionable while nobody looked at it, PermissionDenied for others than legal and the privacy officer. One
    in quarantine is named so and has no type that anything opens by itself.
    """
    at = at or timezone.now()
    if not (roles.may(by, DOWNLOADS) and roles.sees_sealed(by)):
        raise PermissionDenied("Only legal and the privacy officer download documents of legal requests.")
    document = LegalDocument.objects.get(pk=document_id, request__in=list(request_ids))
    if document.state == State.UNSCANNED:
        raise NotActionable(
            f"Document {document.sha256[:12]} was not looked at by the virus scanner yet. Try again in a few minutes."
        )
    ledger.record(
        by.actor, "legal.document-opened", document.request_id, at=at, document=document.pk, state=document.state
    )
    name = str(document.name)
    if document.state == State.QUARANTINED:
        name = f"QUARANTINED-{document.why}-{name}.quarantined"
    return Looked(name, bytes(document.content), document.state, document.why)
