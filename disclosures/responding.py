"""What a customer answers to a notice of abuse: received, fixed here and there, disagreed, more time (P18, P19).

Who may: owners and technical members. *Acknowledging receipt* and *remedying* are two acts; both together end a
suspension at once. Acknowledging admits nothing. The time under the account's lock decides whether an answer came
before the clock.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import members
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import User
from accounts.safeguards.cards import refuse_card_number
from accounts.uploads import Upload
from disclosures import abuse_clocks, lifting, notice_mails, notifying, replying
from disclosures.models import AbuseCase, AbuseNotice, CaseCopy, CaseFile, NoticeFile
from disclosures.notice_mails import Step

LONGEST_DONE = 2_000


def acknowledge(notice_id: UUID, *, by: User, at: dt.datetime | None = None) -> AbuseNotice:
    """Record that the customer received a notice, and return it; once, and no admission."""
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        members.refuse_unless(by, account, Part.NOTICES)
        at = at or timezone.now()
        if notice.acknowledged_at is not None:
            return notice
        _answered_before_it_was_accepted(notice, at)
        notice.acknowledged_at, notice.acknowledged_by = at, by.pk
        notice.save(update_fields=["acknowledged_at", "acknowledged_by"])
        notifying.record(by.actor, "acknowledged", case, notice, at)
        notice_mails.tell(notice, account, Step.ACKNOWLEDGED, at)
        lifting.when_both_are_done(notice, account, case, at)
    return notice


def fix(
    notice_id: UUID,
    done: Mapping[UUID, str],
    *,
    by: User,
    files: Sequence[Upload] = (),
    at: dt.datetime | None = None,
) -> AbuseNotice:
    """Record what was done at each place, by the id of the item; return the notice, remedied when all are fixed.

    `files` show what was done; the case keeps a copy of its own. Raises NotActionable for a place that is not in the
    notice, one without words, and one that is fixed already.
    """
    refuse_card_number("\n".join(done.values()))
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        members.refuse_unless(by, account, Part.NOTICES)
        at = at or timezone.now()
        items = {item.pk: item for item in notice.items.all()}
        if not done or set(done) - set(items):
            raise NotActionable("Choose the places where you did something.")
        for pk, words in done.items():
            if not words.strip() or len(words) > LONGEST_DONE:
                raise NotActionable("Say for each place what you did there.")
            if not items[pk].is_left:
                raise NotActionable(f"Place {items[pk].number} is fixed already, or back. Load the page again.")
            items[pk].fixed_at, items[pk].fixed_by, items[pk].done = at, by.pk, words.strip()
            items[pk].save(update_fields=["fixed_at", "fixed_by", "done"])
        _answered_before_it_was_accepted(notice, at)
        said = "\n".join(f"{items[pk].number}: {words.strip()}" for pk, words in done.items())
        notifying.copy(case, CaseCopy.Kind.REMEDY, said, by.actor, at)
        sent = [_keep(notice, case, file, by, at) for file in files]
        numbers = sorted(items[pk].number for pk in done)
        notifying.record(by.actor, "fixed", case, notice, at, items=numbers, files=sent)
        if not any(item.is_left for item in items.values()):
            notice.remedied_at, notice.remedied_by = at, by.pk
            notice.save(update_fields=["remedied_at", "remedied_by"])
            notifying.record(by.actor, "remedied", case, notice, at)
            notice_mails.tell(notice, account, Step.REMEDIED, at, once=f"{at:%Y%m%d%H%M%S}")
            replying.tell_reporter(case, replying.Step.ANSWERED, at)
            notifying.settle_hold(notice, at)
        lifting.when_both_are_done(notice, account, case, at)
    return notice


def _keep(notice: AbuseNotice, case: AbuseCase, file: Upload, by: User, at: dt.datetime) -> UUID:
    """Keep a file twice, for the account and for the case, each under its own key; return the id of the case's."""
    about = {"name": file.name, "media_type": file.media_type, "size": file.size, "content": file.content}
    NoticeFile.objects.create(account_id=notice.account_id, notice=notice, sent_at=at, sent_by=by.pk, **about)
    sha256 = hashlib.sha256(file.content).hexdigest()
    return CaseFile.objects.create(case=case, sha256=sha256, sent_at=at, sent_by=by.actor, **about).pk


def disagree(notice_id: UUID, *, by: User, text: str, at: dt.datetime | None = None) -> AbuseNotice:
    """Record that the customer disagrees, and why; a person of ours looks at it. Once."""
    refuse_card_number(text)
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        members.refuse_unless(by, account, Part.NOTICES)
        at = at or timezone.now()
        if notice.disagreed_at is not None:
            return notice
        if not text.strip():
            raise NotActionable("Say why you disagree.")
        _answered_before_it_was_accepted(notice, at)
        notice.disagreed_at, notice.disagreed_by, notice.disagreement = at, by.pk, text.strip()
        notice.save(update_fields=["disagreed_at", "disagreed_by", "disagreement"])
        notifying.copy(case, CaseCopy.Kind.DISAGREEMENT, text.strip(), by.actor, at)
        notifying.record(by.actor, "disagreed", case, notice, at)
        notice_mails.tell(notice, account, Step.DISAGREED, at)
        replying.tell_reporter(case, replying.Step.ANSWERED, at)
        notifying.settle_hold(notice, at)
    return notice


def ask_for_time(notice_id: UUID, *, by: User, reason: str, at: dt.datetime | None = None) -> AbuseNotice:
    """Give the customer the same time once more, with their reason; return the notice.

    Raises NotActionable the second time, without a reason, and when the time is over or an answer came.
    """
    refuse_card_number(reason)
    with keyring(), transaction.atomic(durable=True):
        notice, account, case = notifying.locked(notice_id)
        members.refuse_unless(by, account, Part.NOTICES)
        at = at or timezone.now()
        if notice.extended_at is not None:
            raise NotActionable(f"Notice {notice.reference}: you got more time once. Answer it now.")
        if notice.is_answered:
            raise NotActionable(f"Notice {notice.reference}: your answer came. You need no more time.")
        if notice.act_by is None:
            raise NotActionable(f"Notice {notice.reference}: your time has not begun yet.")
        if notice.lapsed_at is not None or at >= notice.act_by:
            raise NotActionable(f"Notice {notice.reference}: the time is over. You can still answer it.")
        if not reason.strip():
            raise NotActionable("Say why you need more time.")
        later = abuse_clocks.extended(notice.kind, case.severity, notice.act_by, notice.sent_at)
        if later <= notice.act_by:
            raise NotActionable(f"Notice {notice.reference}: no more time can be given.")
        notice.act_by, notice.remind_at, notice.reminded_at = later, abuse_clocks.remind_at(at, later), None
        notice.extended_at, notice.extended_by, notice.extension_reason = at, by.pk, reason.strip()
        notice.save(
            update_fields=["act_by", "remind_at", "reminded_at", "extended_at", "extended_by", "extension_reason"]
        )
        notifying.copy(case, CaseCopy.Kind.EXTENSION, reason.strip(), by.actor, at)
        notifying.record(by.actor, "extended", case, notice, at)
        notice_mails.tell(notice, account, Step.EXTENDED, at)
    return notice


def _answered_before_it_was_accepted(notice: AbuseNotice, at: dt.datetime) -> None:
    """Whoever answers has it: the notice counts as delivered from then on, whatever the mail did."""
    if notice.delivered_at is None:
        notifying.begin(notice, at)
        notice.refresh_from_db(fields=["delivered_at", "act_by", "material_by"])
