"""Exports: a copy of what is held, asked for by an owner, made in the background, fetched with the password (P21).

The engine is told its numbers: up to when each kind of record is shown, how long a copy is kept. One export at a time
is made for an account. Whoever makes it says so with every piece; a claim that is old is taken up by another worker,
which begins anew, and the first one writes nothing more. A copy is no record: no hold keeps it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import datamap, mailing
from accounts.datamap import Category
from accounts.errors import USED_FORM, NotActionable
from accounts.exporting_contents import FORMATS, write
from accounts.exporting_pieces import Claim, ClaimLost, PieceWriter
from accounts.keys.keyring import keyring
from accounts.models import Account, Export, ExportPart, User
from accounts.safeguards import ledger
from accounts.safeguards.ledger import SYSTEM

log = structlog.get_logger(__name__)

# A claim without a sign of life for this long is taken up again.
STALE = dt.timedelta(minutes=1)
SIGN_OF_LIFE = dt.timedelta(seconds=10)
MOST_ATTEMPTS = 3
TENDED = 100
State = Export.State
Cutoffs = Mapping[str, dt.datetime]


def ask(
    account_id: UUID,
    *,
    by: User,
    categories: Iterable[str],
    formats: Iterable[str],
    submission: UUID,
    at: dt.datetime | None = None,
) -> Export:
    """Ask for an export and return it; a repeated `submission` returns the first one.

    Raises PermissionDenied for anybody but an owner, NotActionable while another is being made or when sign-in ended.
    """
    at = at or timezone.now()
    wanted = [category.value for category in Category if category in set(categories)]
    forms = [form for form in FORMATS if form in set(formats)]
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        _owner_only(account, by)
        made = Export.objects.filter(submission=submission).first()
        if made is not None and made.account_id == account.pk:
            return made
        if made is not None:
            raise NotActionable(USED_FORM)
        if not wanted or not forms:
            raise NotActionable(f"Account {account.number}: choose at least one kind of data and one format.")
        if not account.may_sign_in(at):
            raise NotActionable(f"Account {account.number} is {account.state}; its data cannot be exported any more.")
        underway = Export.objects.underway().filter(account=account).first()
        if underway is not None:
            raise NotActionable(
                _("Export %(reference)s is being made. Wait until it is ready, or delete it.")
                % {"reference": underway.reference}
            )
        export = Export.objects.create(
            account=account, user=by.pk, submission=submission, categories=wanted, formats=forms, asked_at=at
        )
        ledger.record(by.actor, "export.asked", account.pk, at=at, export=export.pk, categories=wanted, formats=forms)
        _mail(account, export, "started", at)
    return export


def state_of(export: Export, at: dt.datetime | None = None) -> str:
    """Return where an export stands: a copy whose time is over has ended, whoever has noted that already."""
    is_over = export.expires_at is not None and export.expires_at <= (at or timezone.now())
    return State.ENDED if export.state == State.READY and is_over else export.state


def make(export_id: UUID, *, cutoffs: Cutoffs, kept_for: dt.timedelta) -> str:
    """Make an export; return "ready", "failed", "lost" (not wanted any more, or taken over) or "not due".

    May be called twice at once, and again after a process died: the rows say who makes it.
    """
    export = _claim(export_id)
    if export is None:
        return "not due"
    claim = Claim(export)
    try:
        with keyring():
            writer = _written(claim, cutoffs)
            _finish(claim, writer, kept_for)
    except ClaimLost:
        log.info("export ended early", export=str(export_id))
        return "lost"
    except Exception as error:  # noqa: BLE001 - whatever it was, the row says so and the next attempt begins anew
        log.error("export failed", export=str(export_id), error=type(error).__name__)
        _note_failure(export, type(error).__name__)
        return "failed"
    return "ready"


def remove(export_id: UUID, *, by: User, at: dt.datetime | None = None) -> None:
    """Delete a copy for good, or stop one that is being made; its pieces go with the next look. Twice is once."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        account = Account.objects.locked([by.account_id] if by.account_id else []).get()
        _owner_only(account, by)
        own = Export.objects.filter(pk=export_id, account=account, removed_at=None)
        if own.update(removed_at=at, state=State.ENDED):
            ledger.record(by.actor, "export.removed", account.pk, at=at, export=export_id)


def note_download(export_id: UUID, *, by: User, at: dt.datetime | None = None) -> Export:
    """Count one download before it begins, and tell the owner by mail; raise NotActionable when there is no copy."""
    at = at or timezone.now()
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([by.account_id] if by.account_id else []).get()
        _owner_only(account, by)
        export = Export.objects.filter(pk=export_id, account=account).first()
        if export is None or not Export.objects.downloadable(at).filter(pk=export_id).exists():
            raise NotActionable(_("This download has ended. Make a new export."))
        export.downloads += 1
        export.downloaded_at = at
        export.save(update_fields=["downloads", "downloaded_at"])
        ledger.record(by.actor, "export.downloaded", account.pk, at=at, export=export.pk, downloads=export.downloads)
        _mail(account, export, "downloaded", at, key=f":{export.downloads}", ends_at=export.expires_at)
    return export


def expire(at: dt.datetime | None = None, *, listed_for: dt.timedelta = dt.timedelta(0)) -> int:
    """End copies whose time is over and delete the pieces of all that ended; return how many exports were tended.

    An ended export is still listed for a while, so that its page can say what became of it.
    """
    at = at or timezone.now()
    over = Export.objects.filter(state=State.READY, expires_at__lte=at)
    tended = 0
    for export in over.order_by("expires_at", "pk")[:TENDED]:
        with transaction.atomic(durable=True):
            list(Account.objects.locked([export.account_id]))
            if Export.objects.filter(pk=export.pk, state=State.READY).update(state=State.ENDED):
                ledger.record(SYSTEM, "export.ended", export.account_id, at=at, export=export.pk)
                tended += 1
    gone = Export.objects.filter(removed_at=None, state__in=[State.ENDED, State.FAILED])
    gone.filter(Q(expires_at__lt=at - listed_for) | Q(expires_at=None, asked_at__lt=at - listed_for)).update(
        removed_at=at
    )
    left = ExportPart.objects.filter(export=OuterRef("pk"))
    ended = Export.objects.exclude(state__in=[State.RUNNING, State.READY]).filter(Exists(left))
    for export in ended.order_by("pk")[:TENDED]:
        with transaction.atomic(durable=True):
            list(Account.objects.locked([export.account_id]))
            _delete_pieces(export)
            tended += 1
    return tended


def forgotten(at: dt.datetime | None = None) -> list[UUID]:
    """Return the exports that nobody makes: never begun, or their worker gave no sign of life."""
    at = at or timezone.now()
    old = Q(claimed_at=None) | Q(claimed_at__lt=at - STALE)
    waiting = Export.objects.underway().filter(old, removed_at=None).order_by("asked_at", "pk")
    return list(waiting.values_list("pk", flat=True)[:TENDED])


# ------------------------------------------------------------------------------------------------ making one


def _claim(export_id: UUID) -> Export | None:
    """Take an export that nobody makes, and begin anew: what an earlier attempt left is deleted."""
    named = Export.objects.filter(pk=export_id).values_list("account_id", flat=True).first()
    if named is None:
        return None
    with transaction.atomic(durable=True):
        now = timezone.now()
        account = Account.objects.locked([named]).get()
        export = Export.objects.underway().filter(pk=export_id, removed_at=None).first()
        if export is None or (export.claimed_at is not None and export.claimed_at > now - STALE):
            return None
        if not account.may_sign_in(now):
            Export.objects.filter(pk=export.pk).update(state=State.ENDED)
            return None
        if export.attempts >= MOST_ATTEMPTS:
            _fail(account, export, export.last_error or "WorkerLost", now)
            return None
        export.attempts += 1
        export.state, export.claimed_at = State.RUNNING, now
        export.rows_done = export.rows_total = 0
        export.save(update_fields=["attempts", "state", "claimed_at", "rows_done", "rows_total"])
        _delete_pieces(export)
    return export


def _written(claim: Claim, cutoffs: Cutoffs) -> PieceWriter:
    export = claim.export
    with transaction.atomic(durable=True):
        claim.alive(rows_total=_rows(export, cutoffs))
    writer = PieceWriter(claim)
    told = timezone.now()

    def progress(rows: int) -> None:
        nonlocal told
        claim.rows_done += rows
        if timezone.now() - told > SIGN_OF_LIFE:
            told = timezone.now()
            with transaction.atomic(durable=True):
                claim.alive(told)

    write(
        writer,
        export.account_id,
        export.categories,
        export.formats,
        cutoffs,
        number=export.account.number,
        at=export.asked_at,
        progress=progress,
    )
    writer.finish()
    return writer


def _rows(export: Export, cutoffs: Cutoffs) -> int:
    """Return how many rows the passes over the tables read: each format is a pass."""
    models = [model for model, entry in datamap.visible().items() if entry.category in export.categories]
    rows = sum(datamap.shown(model, export.account_id, cutoffs).count() for model in models)
    return rows * len(export.formats)


def _finish(claim: Claim, writer: PieceWriter, kept_for: dt.timedelta) -> None:
    export, now = claim.export, timezone.now()
    with transaction.atomic(durable=True):
        account = Account.objects.locked([export.account_id]).get()
        ends_at = min(now + kept_for, account.due_at or now + kept_for)
        claim.alive(
            now, state=State.READY, ready_at=now, expires_at=ends_at, size=writer.size, sha256=writer.sha256,
            last_error="",
        )  # fmt: skip
        ledger.record(SYSTEM, "export.made", account.pk, at=now, export=export.pk, bytes=writer.size)
        _mail(account, export, "ready", now, ends_at=ends_at)


def _note_failure(export: Export, error: str) -> None:
    """Let the next look try again; after some attempts it failed, and its owner is told."""
    with keyring(), transaction.atomic(durable=True):
        now = timezone.now()
        account = Account.objects.locked([export.account_id]).get()
        mine = Export.objects.filter(pk=export.pk, state=State.RUNNING, attempts=export.attempts)
        if export.attempts < MOST_ATTEMPTS:
            mine.update(state=State.WAITING, claimed_at=now, last_error=error[:80])
        elif mine.exists():
            _fail(account, export, error, now)


def _fail(account: Account, export: Export, error: str, at: dt.datetime) -> None:
    Export.objects.filter(pk=export.pk).update(state=State.FAILED, last_error=error[:80])
    ledger.record(SYSTEM, "export.failed", account.pk, at=at, export=export.pk, error=error[:80])
    with keyring():
        _mail(account, export, "failed", at)


def _delete_pieces(export: Export) -> None:
    ExportPart.objects.filter(export=export).delete()


def _owner_only(account: Account, by: User) -> None:
    if by.account_id != account.pk or not by.is_owner:
        raise PermissionDenied("Only an owner of an account can export its data.")


def _mail(account: Account, export: Export, what: str, at: dt.datetime, *, key: str = "", **context: object) -> None:
    template = f"accounts/mail/export_{what}.txt"
    told = {"reference": export.reference, "changed_at": at, **context}
    mailing.mail(account, f"export:{export.pk}:{what}{key}", template, told, at=at)
