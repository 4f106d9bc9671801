"""Words of a notice of abuse for its customer: what each kind means, where it stands, and what happened when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from disclosures.models import AbuseNotice, AbuseNoticeItem, CaseKind, CounterNotice, Strike

MEANS = {
    CaseKind.DMCA.value: _("Somebody says that material on your site copies their work."),
    CaseKind.COPYRIGHT.value: _("Somebody says that material on your site copies their work."),
    CaseKind.TRADEMARK.value: _("Somebody says that your site uses their trademark."),
    CaseKind.PHISHING.value: _("Somebody says that a page of yours deceives people."),
    CaseKind.MALWARE.value: _("Somebody says that your service spreads malware."),
    CaseKind.SPAM.value: _("Somebody says that your service sends unwanted mail."),
    CaseKind.ATTACK.value: _("Somebody says that your service attacks others."),
    CaseKind.NCII.value: _("Somebody says that you show intimate images without consent."),
    CaseKind.OTHER.value: _("Somebody reported your service to us."),
}


@dataclass(frozen=True)
class State:
    """Where a notice stands: words, and the tag they are shown in ("ok", "warn", "danger")."""

    words: Any
    tag: str


def state(notice: AbuseNotice, at: dt.datetime, *, is_stopped: bool) -> State:
    """Return where a notice stands at `at`; `is_stopped`: a notice of court action stopped its put-back."""
    if notice.ended_at is not None:
        return State(_("Closed"), "ok")
    if notice.is_suspended:
        return State(_("Suspended"), "danger")
    if is_stopped:
        return State(_("Before a court"), "warn")
    if notice.countered_at is not None:
        return State(_("Counter-notice sent"), "ok")
    if notice.remedied_at is not None:
        return State(_("Fixed"), "ok") if notice.acknowledged_at else State(_("Fixed, not acknowledged"), "warn")
    if notice.disagreed_at is not None:
        return State(_("You disagree"), "ok")
    if notice.act_by is not None and notice.act_by <= at:
        return State(_("Late"), "danger")
    return State(_("Acknowledged, not fixed"), "warn") if notice.acknowledged_at else State(_("Waits for you"), "warn")


def history(
    notice: AbuseNotice, items: list[AbuseNoticeItem], counter: CounterNotice | None, strike: Strike | None
) -> list[tuple[dt.datetime, Any]]:
    """Return what happened, oldest first: moments with a sentence. What led to something stands before it."""
    told: list[tuple[dt.datetime | None, Any]] = [
        (notice.sent_at, _("We sent you the notice.")),
        (notice.delivered_at, _("It was delivered: your time began.")),
        (notice.bounced_at, _("The mail came back to us.")),
        (notice.reminded_at, _("We reminded you.")),
        (notice.extended_at, _("You got more time.")),
        (notice.acknowledged_at, _("You said that you received it.")),
        (notice.disagreed_at, _("You said that you disagree.")),
        (notice.lapsed_at, _("The time was over without an answer.")),
        (notice.suspended_at, _("We suspended the service.")),
    ]
    for item in items:
        number = {"number": item.number}
        told += [
            (item.fixed_at, _("You fixed place %(number)s.") % number),
            (item.disputed_at, _("Place %(number)s was still there when somebody looked.") % number),
            (item.disabled_at, _("We disabled place %(number)s.") % number),
            (item.restored_at, _("Place %(number)s is back.") % number),
        ]
    told.append((notice.remedied_at, _("Every place was fixed.")))
    if counter is not None:
        told += [
            (counter.signed_at, _("You signed a counter-notice.")),
            (counter.forwarded_at, _("Your counter-notice went to whoever complained.")),
            (counter.stopped_at, _("A court was asked: nothing is put back.")),
            (counter.put_back_at, _("The material was put back.")),
        ]
    if strike is not None:
        told += [
            (strike.given_at, _("You got a strike.")),
            (strike.appealed_at, _("You appealed the strike.")),
            (strike.decided_at, _("The appeal was decided.")),
            (strike.overruled_at, _("The strike was overruled.")),
        ]
    told += [(notice.lifted_at, _("The service runs again.")), (notice.ended_at, _("The matter was closed."))]
    return sorted(((when, words) for when, words in told if when is not None), key=lambda pair: pair[0])
